//! `keyward claims …`.

use serde_json::{Value as Json, json};

use crate::program::User;
use crate::server::{Reply, Server, in_days};
use crate::snapshot;

const ID: &str = "wafl_live_8Fh2kQ0sZp1L";

fn claim(status: &str) -> Json {
    json!({"id": ID, "status": status, "name": "CRM sync", "integration": "crm-sync", "environment": "live",
        "owner": "ops@acme.example", "rotated_from": null, "created_at": in_days(-1), "created_by": "Olivia Owner",
        "expires_at": in_days(1), "ended_at": null})
}

#[test]
fn links_that_are_not_used_yet_are_listed_as_a_table() {
    let server = Server::start(|_| Reply::json(200, &json!({"items": [claim("open")], "next_cursor": null})));
    let outcome = User::of(&server.url).run(&["claims", "list"]).expect(0);
    snapshot::check("claims-list.txt", &outcome.stdout);
}

#[test]
fn an_empty_list_says_so_and_is_an_empty_list_in_json() {
    let server = Server::start(|_| Reply::json(200, &json!({"items": [], "next_cursor": null})));
    let user = User::of(&server.url);
    let outcome = user.run(&["claims", "list"]).expect(0);
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", "No claim link is waiting to be used.\n"));
    let outcome = user.run(&["claims", "list", "--output", "json"]).expect(0);
    assert_eq!(serde_json::from_str::<Json>(&outcome.stdout).unwrap(), json!({"items": []}));
}

#[test]
fn a_link_is_withdrawn_only_after_a_question() {
    let server = Server::start(|_| Reply::json(200, &json!({"claim": claim("withdrawn")})));
    let user = User::of(&server.url);
    assert!(user.run(&["claims", "withdraw", ID]).expect(2).stderr.contains("--yes"));
    assert!(server.received().is_empty());
    let outcome = user.run(&["claims", "withdraw", ID, "--yes"]).expect(0);
    assert!(outcome.stderr.contains("good no longer"), "{}", outcome.stderr);
    assert_eq!(server.lines(), [format!("POST /_keyward/v1/claims/{ID}/withdraw")]);
}

#[test]
fn a_link_that_had_ended_is_not_called_withdrawn() {
    let server = Server::start(|_| Reply::json(200, &json!({"claim": claim("expired")})));
    let outcome = User::of(&server.url).run(&["claims", "withdraw", ID, "--yes"]).expect(0);
    assert!(outcome.stderr.contains("Nothing was changed"), "{}", outcome.stderr);
}

#[test]
fn for_a_used_link_the_error_names_the_command_that_revokes_the_key() {
    let server = Server::start(|_| Reply::problem(409, "already_claimed", "The claim was used."));
    let outcome = User::of(&server.url).run(&["claims", "withdraw", ID, "--yes"]).expect(1);
    assert!(outcome.stderr.contains(&format!("keyward keys revoke {ID}")), "{}", outcome.stderr);
}
