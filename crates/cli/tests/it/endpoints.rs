//! `keyward endpoints …`.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value as Json, json};

use crate::program::User;
use crate::server::{Received, Reply, Server, in_days};
use crate::snapshot;

const ID: &str = "ep_8Fh2kQ0sZp1L3vTq";
const URL: &str = "https://hooks.acme.example/keyward";
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn endpoint(status: &str) -> Json {
    json!({"id": ID, "url": URL, "description": "Chat of the on-call team", "types": ["key.*", "leak.reported"],
        "environments": null, "signatures": ["v1a", "v1"], "status": status, "disabled_reason": null,
        "created_at": in_days(-1), "created_by": "wafl_admin_Owner0000001", "tested_at": null,
        "previous_secret_until": null, "last_delivery_at": in_days(-1), "revision": 3})
}

fn answer(request: &Received) -> Reply {
    match request.method.as_str() {
        "POST" if request.path.ends_with("/endpoints") => {
            let secret = request.json()["signatures"].as_array().unwrap().contains(&json!("v1")).then_some(SECRET);
            Reply::json(201, &json!({"endpoint": endpoint("pending"), "secret": secret}))
        }
        "POST" => Reply::json(200, &json!({"endpoint": endpoint("enabled"), "secret": SECRET})),
        "DELETE" => Reply { status: 204, headers: Vec::new(), body: String::new() },
        _ => Reply::json(200, &json!({"endpoint": endpoint("enabled")})),
    }
}

#[test]
fn endpoints_are_listed_as_a_table_and_one_is_shown_in_lines() {
    let server = Server::start(|request| match request.path.ends_with("/endpoints") {
        true => Reply::json(200, &json!({"items": [endpoint("enabled")], "next_cursor": null})),
        false => answer(request),
    });
    let user = User::of(&server.url);
    let listed = user.run(&["endpoints", "list"]).expect(0).stdout;
    let shown = user.run(&["endpoints", "show", ID]).expect(0).stdout;
    snapshot::check("endpoints.txt", &format!("{listed}\n{shown}"));
    assert_eq!(server.lines()[0], "GET /_keyward/v1/endpoints", "the operation takes no query");
}

#[test]
fn an_empty_list_says_that_nobody_is_told() {
    let server = Server::start(|_| Reply::json(200, &json!({"items": [], "next_cursor": null})));
    let outcome = User::of(&server.url).run(&["endpoints", "list"]).expect(0);
    assert!(outcome.stderr.contains("keyward endpoints add"), "{}", outcome.stderr);
}

#[test]
fn an_endpoint_without_hmac_has_no_secret_and_the_next_step_is_a_test() {
    let server = Server::start(answer);
    let user = User::of(&server.url);
    let outcome = user.run(&["endpoints", "add", URL, "--type", "key.*", "--environment", "live"]).expect(0);
    assert!(outcome.stderr.contains(&format!("keyward endpoints test {ID}")), "{}", outcome.stderr);
    assert_eq!(
        server.received()[0].json(),
        json!({"url": URL, "description": null, "types": ["key.*"], "environments": ["live"], "signatures": ["v1a"]})
    );
    user.run(&["endpoints", "add", URL, "--show"]).expect(2);
}

#[test]
fn a_secret_goes_to_the_program_and_is_shown_only_if_asked() {
    let server = Server::start(answer);
    let user = User::of(&server.url);
    assert!(user.run(&["endpoints", "add", URL, "--hmac"]).expect(2).stderr.contains("--show"));
    assert!(server.received().is_empty());
    for arguments in [vec!["endpoints", "add", URL, "--hmac"], vec!["endpoints", "rotate-secret", ID]] {
        let to_program = [&arguments[..], &["--to", "exec:cat > secret"]].concat();
        let outcome = user.run(&to_program).expect(0);
        assert_eq!(std::fs::read_to_string(user.path("secret")).unwrap(), SECRET);
        assert!(!outcome.shown().contains("whsec_"), "{}", outcome.shown());
        let outcome = user.run(&[&to_program[..], &["--output", "json"]].concat()).expect(0);
        assert!(!outcome.shown().contains("whsec_"), "{}", outcome.shown());
        let outcome = user.run(&[&arguments[..], &["--show"]].concat()).expect(0);
        assert_eq!(outcome.stdout.trim_end(), SECRET);
    }
}

#[test]
fn an_endpoint_whose_secret_was_not_delivered_is_removed() {
    let server = Server::start(answer);
    let outcome = User::of(&server.url).run(&["endpoints", "add", URL, "--hmac", "--to", "exec:exit 1"]).expect(1);
    assert!(outcome.stderr.contains("The endpoint was removed again."), "{}", outcome.stderr);
    assert_eq!(server.lines()[1], format!("DELETE /_keyward/v1/endpoints/{ID}"));
}

#[test]
fn a_test_that_did_not_arrive_fails_and_says_what_came() {
    let delivery = |attempt: Json| {
        json!({"id": "dlv_1", "endpoint": ID, "type": "endpoint.test", "event_time": in_days(0), "status": "failed",
            "next_attempt_at": null, "attempts": [attempt]})
    };
    for (attempt, delivered, code, text) in [
        (json!({"at": in_days(0), "status": 204, "error": null, "duration_ms": 12}), true, 0, "status 204 after 12 ms"),
        (
            json!({"at": in_days(0), "status": 500, "error": null, "duration_ms": 12}),
            false,
            1,
            "status 500 after 12 ms",
        ),
        (
            json!({"at": in_days(0), "status": null, "error": "timeout", "duration_ms": 15000}),
            false,
            1,
            "no answer in time",
        ),
    ] {
        let body = json!({"delivered": delivered, "delivery": delivery(attempt)});
        let server = Server::start(move |_| Reply::json(200, &body));
        let outcome = User::of(&server.url).run(&["endpoints", "test", ID]).expect(code);
        assert!(outcome.shown().contains(text), "{}", outcome.shown());
    }
}

#[test]
fn an_endpoint_is_enabled_disabled_and_after_a_question_removed() {
    let server = Server::start(answer);
    let user = User::of(&server.url);
    user.run(&["endpoints", "enable", ID]).expect(0);
    user.run(&["endpoints", "disable", ID]).expect(0);
    user.run(&["endpoints", "remove", ID]).expect(2);
    user.run(&["endpoints", "remove", ID, "--yes"]).expect(0);
    user.run(&["endpoints", "show", "../keys"]).expect(2);
    let sent = server.received();
    assert_eq!([sent[0].json(), sent[1].json()], [json!({"status": "enabled"}), json!({"status": "disabled"})]);
    assert_eq!(server.lines()[2..], [format!("DELETE /_keyward/v1/endpoints/{ID}")]);
}

#[test]
fn what_would_make_a_second_endpoint_or_secret_is_sent_once() {
    let server = Server::start(|_| Reply::problem(503, "authority_unavailable", "Later.").with("retry-after", "0"));
    let user = User::of(&server.url);
    for (arguments, look) in [
        (vec!["endpoints", "add", URL], "keyward endpoints list"),
        (vec!["endpoints", "add", URL, "--hmac", "--show"], "keyward endpoints list"),
        (vec!["endpoints", "rotate-secret", ID, "--show"], "keyward endpoints show"),
    ] {
        let before = server.lines().len();
        let outcome = user.run(&arguments).expect(5);
        assert_eq!(server.lines().len() - before, 1, "{arguments:?}");
        assert!(outcome.stderr.contains("is unknown.") && outcome.stderr.contains(look), "{}", outcome.stderr);
    }
}

/// The first attempt deletes the endpoint, and its answer is lost.
#[test]
fn an_endpoint_that_a_first_attempt_removed_counts_as_removed() {
    let sent = AtomicU64::new(0);
    let server = Server::start(move |_| match sent.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::problem(503, "authority_unavailable", "Later.").with("retry-after", "0"),
        _ => Reply::problem(404, "not_found", "There is none."),
    });
    let user = User::of(&server.url);
    let remove = ["endpoints", "remove", ID, "--yes"];
    let outcome = user.run(&remove).expect(0);
    assert!(outcome.stderr.contains("was removed."), "{}", outcome.stderr);
    assert_eq!(server.lines().len(), 2);
    let outcome = user.run(&remove).expect(1);
    assert!(outcome.stderr.contains("There is none."), "{}", outcome.stderr);
}

#[test]
fn an_old_secret_is_shown_with_its_end() {
    let server = Server::start(|_| {
        let mut endpoint = endpoint("enabled");
        endpoint["previous_secret_until"] = json!(in_days(0));
        Reply::json(200, &json!({"endpoint": endpoint}))
    });
    let shown = User::of(&server.url).run(&["endpoints", "show", ID]).expect(0).stdout;
    assert!(shown.contains(&format!("good until {}", &in_days(0)[..10])), "{shown}");
}
