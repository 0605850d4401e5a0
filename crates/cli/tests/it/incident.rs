//! `keyward incident …`.

use serde_json::{Value as Json, json};

use crate::program::User;
use crate::server::{Received, Reply, Server, in_days};
use crate::snapshot::{self, timeless};

const ID: &str = "wafl_live_8Fh2kQ0sZp1L";

fn incident() -> Json {
    json!({"id": "inc_1", "status": "open", "kind": "exposed", "note": "In a repository", "opened_at": in_days(-3),
        "opened_by": "wafl_admin_Owner0000001", "closed_at": null,
        "keys": [{"key_id": ID, "effective_by": in_days(0), "guaranteed_by": in_days(0),
            "claim": {"id": "c1", "url": "https://keys.example/_keyward/claim#c1.s", "expires_at": in_days(1)}}],
        "checklist": [{"step": "revoked", "done": true, "by": "wafl_admin_Owner0000001"}, {"step": "updated", "done": false, "detail": "0 of 1"}]})
}

fn answer(request: &Received) -> Reply {
    let is_dry = request.method == "POST" && request.body.contains("dry_run");
    match request.line().as_str() {
        "POST /_keyward/v1/incidents" if is_dry => {
            Reply::json(200, &json!({"keys": 25, "integrations": 3, "owners": 1, "confirm": "25 keys"}))
        }
        "POST /_keyward/v1/incidents" => Reply::json(201, &json!({"incident": incident()})),
        line if line.starts_with("GET /_keyward/v1/incidents?") => {
            Reply::json(200, &json!({"items": [incident()], "next_cursor": null}))
        }
        _ => Reply::json(200, &json!({"incident": incident()})),
    }
}

#[test]
fn an_incident_shows_what_is_concerned_asks_and_confirms_the_number_that_was_shown() {
    let server = Server::start(answer);
    let user = User::of(&server.url);
    let open = ["incident", "open", "--key", ID, "--kind", "exposed", "--note", "In a repository"];
    let asked = user.run(&open).expect(2);
    assert!(
        asked.stderr.contains("Concerned: keys 25, integrations 3, owners 1.") && asked.stderr.contains("--yes"),
        "{}",
        asked.stderr
    );
    let dry = user.run(&[&open[..], &["--dry-run"]].concat()).expect(0);
    assert!(dry.stdout.ends_with("No key was revoked.\n"), "{}", dry.stdout);
    assert!(server.received().iter().all(|request| request.json()["dry_run"] == true));

    let outcome = user.run(&[&open[..], &["--yes"]].concat()).expect(0);
    snapshot::check("incident.txt", &timeless(&outcome.stdout));
    let sent = server.received();
    assert_eq!(
        sent.last().unwrap().json(),
        json!({"key_ids": [ID], "kind": "exposed", "note": "In a repository", "replace": "claim", "confirm": "25 keys"})
    );
    assert_eq!(sent.last().unwrap().header("idempotency-key").unwrap().len(), 32);
}

#[test]
fn an_incident_concerns_keys_or_an_integration_or_an_owner() {
    let server = Server::start(answer);
    let user = User::of(&server.url);
    let rest = ["--kind", "other", "--note", "Lost", "--replace", "none", "--yes"];
    user.run(&[&["incident", "open", "--owner", "ops@acme.example"], &rest[..]].concat()).expect(0);
    assert_eq!(server.received()[1].json()["owner"], "ops@acme.example");
    user.run(&[&["incident", "open"], &rest[..]].concat()).expect(2);
    user.run(&[&["incident", "open", "--owner", "a", "--integration", "b"], &rest[..]].concat()).expect(2);
}

#[test]
fn a_claim_is_shown_with_its_state_once_its_link_is_gone() {
    for (status, text) in [("open", "open, ends in "), ("claimed", "claimed")] {
        let server = Server::start(move |_| {
            let mut incident = incident();
            incident["keys"][0]["claim"] = json!({"id": ID, "status": status, "expires_at": in_days(1)});
            Reply::json(200, &json!({"incident": incident}))
        });
        let shown = User::of(&server.url).run(&["incident", "show", "inc_1"]).expect(0).stdout;
        assert!(shown.contains(text), "{shown}");
    }
}

#[test]
fn an_incident_is_listed_shown_reviewed_and_closed() {
    let server = Server::start(answer);
    let user = User::of(&server.url);
    assert!(user.run(&["incident", "list"]).expect(0).stdout.contains("inc_1  open    exposed"));
    user.run(&["incident", "show", "inc_1"]).expect(0);
    user.run(&["incident", "review", "inc_1", "--finding", "Nothing"]).expect(0);
    user.run(&["incident", "close", "inc_1"]).expect(0);
    assert_eq!(
        server.lines()[1..],
        [
            "GET /_keyward/v1/incidents/inc_1",
            "POST /_keyward/v1/incidents/inc_1/review",
            "POST /_keyward/v1/incidents/inc_1/close"
        ]
    );
    assert_eq!(server.received()[2].json(), json!({"finding": "Nothing"}));
    user.run(&["incident", "show", "../keys"]).expect(2);
}
