//! `keyward keys …`.

use serde_json::json;

use crate::program::User;
use crate::server::{Reply, Server, changed, in_days, key};
use crate::snapshot::{self, timeless};

const ID: &str = "wafl_live_8Fh2kQ0sZp1L";

/// Arguments that issue a key, and further ones.
pub fn issue<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let base = [
        "keys",
        "issue",
        "--name",
        "CRM sync",
        "--integration",
        "crm-sync",
        "--environment",
        "live",
        "--purpose",
        "Nightly contact sync",
        "--owner",
        "ops@acme.example",
        "--scope",
        "contacts:read",
    ];
    [&base, more].concat()
}

fn list() -> Server {
    Server::start(|request| {
        let mut shop = key("wafl_test_000000000001", "Shop \u{1b}[31mexport");
        shop["scopes"] = json!(["contacts:read", "events:read"]);
        shop["status"] = json!("revoked");
        let page = if request.path.contains("cursor=") {
            json!({"items": [shop], "next_cursor": null})
        } else {
            json!({"items": [key(ID, "CRM sync")], "next_cursor": "n&1"})
        };
        Reply::json(200, &page)
    })
}

#[test]
fn a_list_is_read_page_by_page_and_shown_as_a_table() {
    let server = list();
    let user = User::of(&server.url);
    let outcome = user.run(&["keys", "list", "--environment", "live", "--search", "a b", "--sort", "-name"]).expect(0);
    snapshot::check("keys-list.txt", &outcome.stdout);
    assert_eq!(
        server.lines(),
        [
            "GET /_keyward/v1/keys?environment=live&q=a%20b&sort=-name&limit=200",
            "GET /_keyward/v1/keys?environment=live&q=a%20b&sort=-name&limit=200&cursor=n%261"
        ]
    );
}

#[test]
fn a_list_as_json_is_one_document_with_the_apis_own_objects() {
    let server = list();
    let items = User::of(&server.url).run(&["keys", "list", "--output", "json"]).expect(0).json();
    assert_eq!(items["items"].as_array().unwrap().len(), 2);
    assert_eq!(items["items"][0]["revision"], 17);
}

#[test]
fn completion_knows_what_was_listed_last() {
    let server = list();
    let mut user = User::of(&server.url);
    user.run(&["keys", "list"]).expect(0);
    user.variables.push(("COMPLETE", "fish".to_owned()));
    let candidates = user.run(&["--", "keyward", "keys", "show", "wafl_l"]).stdout;
    assert!(candidates.contains(ID) && candidates.contains("CRM sync"), "{candidates}");
    let candidates = user.run(&["--", "keyward", "keys", "issue", "--integration", ""]).stdout;
    assert!(candidates.contains("crm-sync"), "{candidates}");
    assert_eq!(server.lines().len(), 2, "a completion sends no request");
}

#[test]
fn one_key_is_shown_with_everything_about_it() {
    let server = Server::start(|_| {
        let mut shown = key(ID, "CRM sync");
        shown["allowed_cidrs"] = json!(["192.0.2.0/24"]);
        shown["limits"] = json!([{"name": "burst", "requests": 100, "seconds": 60}]);
        shown["exposed_at"] = json!(in_days(-2));
        Reply::json(200, &shown)
    });
    let outcome = User::of(&server.url).run(&["keys", "show", ID]).expect(0);
    snapshot::check("keys-show.txt", &timeless(&outcome.stdout));
}

#[test]
fn a_change_sends_only_what_changes_and_only_over_the_version_that_was_read() {
    let server = Server::start(|request| match request.method.as_str() {
        "GET" => Reply::json(200, &key(ID, "CRM sync")).with("etag", "\"17\""),
        _ => Reply::json(200, &changed(&key(ID, "CRM sync"))),
    });
    let user = User::of(&server.url);
    let outcome = user.run(&["keys", "update", ID, "--add-scope", "events:read", "--name", "CRM"]).expect(0);
    assert!(outcome.stdout.contains("In effect everywhere by"), "{}", outcome.stdout);
    let patch = &server.received()[1];
    assert_eq!(patch.json(), json!({"name": "CRM", "scopes": ["contacts:read", "events:read"]}));
    assert_eq!(patch.header("if-match"), Some("\"17\""));
    user.run(&["keys", "update", ID]).expect(2);
}

#[test]
fn a_network_list_never_becomes_empty_by_accident() {
    let server = Server::start(|_| {
        let mut shown = key(ID, "CRM sync");
        shown["allowed_cidrs"] = json!(["192.0.2.0/24"]);
        Reply::json(200, &shown)
    });
    let outcome = User::of(&server.url).run(&["keys", "update", ID, "--remove-network", "192.0.2.0/24"]).expect(2);
    assert!(outcome.stderr.contains("--any-network"), "{}", outcome.stderr);
    assert_eq!(server.lines().len(), 1);
}

#[test]
fn a_revocation_asks_first_and_without_a_terminal_it_needs_yes() {
    let server = Server::start(|_| {
        let mut revoked = key(ID, "CRM sync");
        revoked["status"] = json!("revoked");
        revoked["revoke_reason"] = json!("Leaked");
        Reply::json(200, &changed(&revoked))
    });
    let user = User::of(&server.url);
    let outcome = user.run(&["keys", "revoke", ID, "--reason", "Leaked"]).expect(2);
    assert!(outcome.stderr.contains("--yes"), "{}", outcome.stderr);
    assert!(server.received().is_empty());
    let outcome = user.run(&["keys", "revoke", ID, "--reason", "Leaked", "--yes"]).expect(0);
    assert!(outcome.stdout.contains("is revoked: Leaked."), "{}", outcome.stdout);
    assert_eq!(server.received()[0].json(), json!({"reason": "Leaked"}));
}

#[test]
fn the_overlap_of_a_rotation_can_be_ended_and_prolonged() {
    let server = Server::start(|_| Reply::json(200, &changed(&key(ID, "CRM sync"))));
    let user = User::of(&server.url);
    user.run(&["keys", "finish-rotation", ID]).expect(0);
    user.run(&["keys", "extend-rotation", ID, "--overlap", "2d"]).expect(0);
    assert_eq!(
        server.lines(),
        [
            format!("POST /_keyward/v1/keys/{ID}/finish-rotation"),
            format!("POST /_keyward/v1/keys/{ID}/extend-rotation")
        ]
    );
    assert_eq!(server.received()[1].json(), json!({"overlap_seconds": 172_800}));
}

#[test]
fn exposures_are_listed_and_dismissed_and_a_quarantined_key_released() {
    let server = Server::start(|request| match request.path.contains("/exposures") {
        true => Reply::json(
            200,
            &json!({"items": [{"kind": "url", "at": in_days(-3), "route": "GET /v1/contacts", "network": null}], "next_cursor": null}),
        ),
        false => Reply::json(200, &changed(&key(ID, "CRM sync"))),
    });
    let user = User::of(&server.url);
    let listed = user.run(&["keys", "exposures", ID]).expect(0).stdout;
    assert_eq!(listed, "KIND  WHEN        ROUTE             NETWORK\nurl   2 days ago  GET /v1/contacts  –\n");
    user.run(&["keys", "dismiss-exposure", ID, "--reason", "A test"]).expect(0);
    user.run(&["keys", "release", ID, "--reason", "A test"]).expect(0);
    let sent = server.received();
    assert_eq!(sent[1].line(), format!("POST /_keyward/v1/keys/{ID}/dismiss-exposure"));
    assert_eq!(sent[2].line(), format!("POST /_keyward/v1/keys/{ID}/release"));
    assert_eq!(sent[2].json(), json!({"reason": "A test"}));
}

#[test]
fn a_list_can_be_of_the_keys_that_nobody_uses() {
    let server = list();
    let user = User::of(&server.url);
    user.run(&["keys", "list", "--idle-days", "90", "--sort", "last_used_at", "--limit", "1"]).expect(0);
    assert_eq!(server.lines()[0], "GET /_keyward/v1/keys?sort=last_used_at&idle_days=90&limit=1");
    for days in ["0", "401", "many"] {
        user.run(&["keys", "list", "--idle-days", days]).expect(2);
    }
}
