//! `keyward plan`, `apply` and `export`.

use serde_json::{Value as Json, json};

use crate::program::{User, well_formed};
use crate::server::{Received, Reply, Server, changed, in_days, key};

const ID: &str = "wafl_live_8Fh2kQ0sZp1L";
const OTHER: &str = "wafl_live_000000000001";
const NEW: &str = "wafl_live_000000000002";

fn answer(request: &Received) -> Reply {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", path) if path.contains("status=active") => {
            Reply::json(200, &json!({"items": [key(ID, "CRM sync"), key(OTHER, "Shop")], "next_cursor": null}))
        }
        // A deployment that does not know the state yet.
        ("GET", _) => Reply::problem(400, "invalid_request", "This must be active, retiring, expired or revoked."),
        ("POST", "/_keyward/v1/keys") => {
            let mut body = json!({"key": key(NEW, "New")});
            if request.json().get("deliver").is_some() {
                body["claim"] =
                    json!({"id": "c", "url": "https://keys.example/_keyward/claim#c.s", "expires_at": in_days(1)});
            } else {
                body["api_key"] = json!(well_formed(NEW, 'n'));
            }
            Reply::json(201, &body)
        }
        _ => Reply::json(200, &changed(&key(ID, "CRM sync"))),
    }
}

const NEW_KEY: &str = r#"
[[key]]
name = "New"
integration = "new"
environment = "test"
purpose = "Trial"
owner = "ops@acme.example"
scopes = ["contacts:read"]
"#;

fn changes(server: &Server) -> Vec<(String, Json)> {
    let changes = server.received().into_iter().filter(|request| request.method != "GET");
    changes.map(|request| (request.line(), request.json())).collect()
}

#[test]
fn what_is_exported_has_no_difference() {
    let server = Server::start(answer);
    let user = User::of(&server.url);
    let file = user.run(&["export"]).expect(0).stdout;
    user.write("keys.toml", &file);
    let outcome = user.run(&["plan", "keys.toml", "--prune"]).expect(0);
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", "No differences.\n"));
    user.run(&["apply", "keys.toml", "--prune"]).expect(0);
    assert!(changes(&server).is_empty());
}

#[test]
fn a_plan_shows_what_would_change_and_has_exit_code_10() {
    let server = Server::start(answer);
    let user = User::of(&server.url);
    let file = user.run(&["export"]).expect(0).stdout;
    let crm = file.split("[[key]]").find(|part| part.contains("crm-sync")).unwrap();
    let crm = crm.replace("[\"contacts:read\"]", "[\"contacts:read\", \"events:read\"]").replace("ops@", "crm@");
    user.write("keys.toml", format!("[[key]]{crm}{NEW_KEY}"));
    let outcome = user.run(&["plan", "keys.toml"]).expect(10);
    crate::snapshot::check("plan.txt", &outcome.shown());
    assert!(
        user.run(&["plan", "keys.toml", "--prune"])
            .expect(10)
            .stdout
            .starts_with(&format!("- revoke {OTHER} (Shop)\n"))
    );
    let steps = user.run(&["plan", "keys.toml", "--output", "json"]).expect(10).json();
    assert_eq!(
        steps["steps"][0]["fields"],
        json!({"owner": "crm@acme.example", "scopes": ["contacts:read", "events:read"]})
    );
    assert!(changes(&server).is_empty());
}

#[test]
fn an_application_changes_in_place_and_delivers_new_keys_by_claim() {
    let server = Server::start(answer);
    let user = User::of(&server.url);
    let file = user.run(&["export"]).expect(0).stdout.replace("Nightly contact sync", "Sync");
    user.write("keys.toml", format!("{file}{NEW_KEY}"));
    let outcome = user.run(&["apply", "keys.toml"]).expect(0);
    assert!(outcome.stdout.contains("https://keys.example/_keyward/claim#c.s"), "{}", outcome.stdout);
    let changes = changes(&server);
    assert_eq!(changes[0], (format!("PATCH /_keyward/v1/keys/{ID}"), json!({"purpose": "Sync"})));
    assert_eq!(changes[2].0, "POST /_keyward/v1/keys");
    assert_eq!(changes[2].1["deliver"], "claim");
    let patch = server.received().into_iter().find(|request| request.method == "PATCH").unwrap();
    assert_eq!(patch.header("if-match"), Some("\"17\""));
}

#[test]
fn a_new_key_goes_to_its_program_and_the_json_has_no_key() {
    let server = Server::start(answer);
    let user = User::of(&server.url);
    let file = user.run(&["export"]).expect(0).stdout;
    user.write("keys.toml", format!("{file}{NEW_KEY}to = \"exec:cat > received\"\n"));
    let outcome = user.run(&["apply", "keys.toml", "--output", "json"]).expect(0);
    assert_eq!(std::fs::read_to_string(user.path("received")).unwrap(), well_formed(NEW, 'n'));
    assert!(!outcome.shown().contains("nnnnn"), "{}", outcome.shown());
    assert_eq!(outcome.json()["steps"][0]["answer"]["key"]["id"], NEW);
}

#[test]
fn a_prune_asks_first() {
    let server = Server::start(answer);
    let user = User::of(&server.url);
    user.write("keys.toml", "");
    assert!(user.run(&["apply", "keys.toml", "--prune"]).expect(2).stderr.contains("--yes"));
    assert!(changes(&server).is_empty());
    user.run(&["apply", "keys.toml"]).expect(0);
    assert!(changes(&server).is_empty());
    user.run(&["apply", "keys.toml", "--prune", "--yes"]).expect(0);
    assert_eq!(changes(&server).len(), 2);
}

#[test]
fn a_step_that_fails_does_not_stop_the_others() {
    let server = Server::start(|request| match request.path.ends_with(ID) {
        true => Reply::problem(412, "precondition_failed", "It was changed."),
        false => answer(request),
    });
    let user = User::of(&server.url);
    let file = user.run(&["export"]).expect(0).stdout.replace("Nightly contact sync", "Sync");
    user.write("keys.toml", file);
    let outcome = user.run(&["apply", "keys.toml"]).expect(1);
    assert!(
        outcome.stderr.contains("It was changed.") && outcome.stderr.contains("1 of 2 steps failed."),
        "{}",
        outcome.stderr
    );
    assert_eq!(changes(&server).len(), 2);
}

#[test]
fn a_broken_file_is_wrong_usage_and_names_its_place() {
    let user = User::of("http://127.0.0.1:1");
    user.write("keys.toml", NEW_KEY.replace("owner", "owners"));
    let outcome = user.run(&["plan", "keys.toml"]).expect(2);
    assert!(outcome.stderr.contains("keys.toml:7:1: unknown field `owners`"), "{}", outcome.stderr);
    user.run(&["apply", "missing.toml"]).expect(2);
}
