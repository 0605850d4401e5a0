//! Errors of the API and of the network.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::program::User;
use crate::server::{Reply, Server, key};

#[test]
fn a_problem_shows_title_detail_request_and_next_step() {
    let server = Server::start(|_| Reply::problem(404, "not_found", "There is no such key."));
    let outcome = User::of(&server.url).run(&["keys", "show", "wafl_live_8Fh2kQ0sZp1L"]).expect(1);
    assert_eq!(outcome.stdout, "");
    assert_eq!(
        outcome.stderr,
        "error: Problem title. There is no such key.\n  request: req-0000000000000001\n  next: `keyward keys list` shows the ids. What is outside your environments is not found either.\n"
    );
}

#[test]
fn an_unreachable_deployment_has_exit_code_5() {
    let outcome = User::of("http://127.0.0.1:1").run(&["keys", "list"]).expect(5);
    assert!(outcome.stderr.contains("can't be reached") && outcome.stderr.contains("next: "), "{}", outcome.stderr);
}

#[test]
fn a_read_is_repeated_when_the_deployment_asks_for_it() {
    let calls = AtomicUsize::new(0);
    let server = Server::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::problem(503, "authority_unavailable", "Later.").with("retry-after", "0"),
        _ => Reply::json(200, &key("wafl_live_8Fh2kQ0sZp1L", "CRM sync")),
    });
    User::of(&server.url).run(&["keys", "show", "wafl_live_8Fh2kQ0sZp1L"]).expect(0);
    assert_eq!(server.lines().len(), 2);
}

#[test]
fn a_creation_is_repeated_with_the_same_idempotency_key() {
    let calls = AtomicUsize::new(0);
    let server = Server::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::problem(503, "authority_unavailable", "Later.").with("retry-after", "0"),
        _ => Reply::json(
            201,
            &json!({"key": key("wafl_live_8Fh2kQ0sZp1L", "CRM sync"), "claim": {"id": "c", "url": "https://k/c#c.s", "expires_at": "2030-01-01T00:00:00.000Z"}}),
        ),
    });
    User::of(&server.url).run(&crate::keys::issue(&[])).expect(0);
    let sent = server.received();
    assert_eq!(sent.len(), 2);
    let tokens: Vec<_> = sent.iter().map(|request| request.header("idempotency-key").unwrap()).collect();
    assert_eq!((tokens[0], tokens[0].len()), (tokens[1], 32));
}

#[test]
fn a_creation_with_an_unknown_outcome_says_so() {
    let server = Server::start(|_| Reply::problem(503, "authority_unavailable", "Later.").with("retry-after", "0"));
    let outcome = User::of(&server.url).run(&crate::keys::issue(&[])).expect(5);
    assert!(outcome.stderr.contains("Whether the key was made is unknown."), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("keyward keys list --integration crm-sync"), "{}", outcome.stderr);
}

#[test]
fn an_answer_of_something_else_is_recognised() {
    let server = Server::start(|_| Reply { status: 200, headers: Vec::new(), body: "<html>".to_owned() });
    let outcome = User::of(&server.url).run(&["whoami"]).expect(1);
    assert!(outcome.stderr.contains("is it the control plane?"), "{}", outcome.stderr);
}
