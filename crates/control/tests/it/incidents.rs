//! Incidents through the whole control plane: what they revoke, what they make, who may, and how the checklist fills.

use keyward_key::id::Environment;
use keyward_testkit::registry_world::NOW;
use serde_json::{Value, json};

use crate::test_plane::{Plane, TestReply, bearer, key_draft, post};

struct Company {
    plane: Plane,
    owner: String,
}

impl Company {
    fn new() -> Self {
        let (plane, owner) = Plane::with_owner();
        Self { plane, owner }
    }

    /// Issues a key and returns its id.
    fn issue(&self, integration: &str, environment: &str, owner: &str) -> String {
        let mut draft = key_draft(integration);
        draft["environment"] = json!(environment);
        draft["owner"] = json!(owner);
        let made = self.plane.call(&post("v1/keys").with("authorization", &bearer(&self.owner)), &draft);
        assert_eq!(made.status, 201, "{}", made.text);
        made.json["key"]["id"].as_str().unwrap().to_owned()
    }

    fn call(&self, path: &str, body: &Value) -> TestReply {
        self.call_as(&self.owner, path, body)
    }

    fn call_as(&self, credential: &str, path: &str, body: &Value) -> TestReply {
        // Each test sends more than a member would in a second.
        self.plane.later(20);
        self.plane.call(&post(path).with("authorization", &bearer(credential)), body)
    }

    fn open(&self, fields: &Value) -> TestReply {
        self.call("v1/incidents", &body(fields))
    }

    fn key(&self, id: &str) -> Value {
        self.plane.get(&format!("v1/keys/{id}"), &self.owner).json
    }

    fn incident(&self, id: &str) -> Value {
        self.plane.get(&format!("v1/incidents/{id}"), &self.owner).json["incident"].clone()
    }

    fn entries(&self) -> Vec<Value> {
        self.plane.get("v1/audit?limit=200", &self.owner).json["items"].as_array().unwrap().clone()
    }

    fn claim(&self, claim: &Value) -> TestReply {
        let (id, secret) = claim["url"].as_str().unwrap().split_once('#').unwrap().1.split_once('.').unwrap();
        self.plane.call(&post(&format!("v1/claims/{id}")), &json!({"secret": secret, "nonce": "a-nonce-of-this-test"}))
    }
}

fn body(fields: &Value) -> Value {
    let mut body = json!({"kind": "exposed", "note": "Found in a build log"});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

fn step<'a>(incident: &'a Value, name: &str) -> &'a Value {
    incident["checklist"].as_array().unwrap().iter().find(|step| step["step"] == name).unwrap()
}

#[test]
fn an_incident_revokes_its_keys_in_one_change_and_each_has_its_receipt() {
    let company = Company::new();
    let ids = [company.issue("crm", "live", "ops"), company.issue("erp", "test", "ops")];
    let opened = company.open(&json!({"key_ids": ids}));
    assert_eq!(opened.status, 201, "{}", opened.text);
    let incident = &opened.json["incident"];
    assert_eq!(
        (&incident["status"], &incident["kind"], &incident["closed_at"]),
        (&json!("open"), &json!("exposed"), &Value::Null)
    );
    for key in incident["keys"].as_array().unwrap() {
        let shown = company.key(key["key_id"].as_str().unwrap());
        assert_eq!((&shown["status"], &shown["revoke_reason"]), (&json!("revoked"), &json!("Found in a build log")));
        assert_eq!((&key["claim"], &shown["revoked_at"]), (&Value::Null, &incident["opened_at"]));
        let revoked_at = keyward_key::time::Millis::parse(shown["revoked_at"].as_str().unwrap()).unwrap();
        assert_eq!(key["effective_by"], revoked_at.plus_seconds(5).rfc3339());
    }
    let actions: Vec<Value> = company.entries().iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions[3..], ["incident.open", "key.revoke", "key.revoke"].map(|action| json!(action)));
    let entries = company.entries();
    assert_eq!(entries[3]["subject"], incident["id"]);
    assert_eq!(entries[4]["detail"]["incident"], incident["id"]);
    assert_eq!(company.incident(incident["id"].as_str().unwrap())["keys"], incident["keys"]);
}

/// An endpoint that is limited to the other environment receives nothing of it.
#[test]
fn the_events_of_an_incident_have_the_environment_of_its_keys() {
    let company = Company::new();
    for (environments, expected) in [
        (&["live"][..], Some(Environment::Live)),
        (&["test", "test"], Some(Environment::Test)),
        (&["live", "test"], None),
    ] {
        let ids = (0..).zip(environments).map(|(number, environment)| {
            let name = format!("crm-{number}-{}", environments.join("-"));
            company.issue(&name, environment, "ops")
        });
        let opened = company.open(&json!({"key_ids": ids.collect::<Vec<_>>()}));
        assert_eq!(opened.status, 201, "{}", opened.text);
        let id = opened.json["incident"]["id"].as_str().unwrap();
        company.call(&format!("v1/incidents/{id}/review"), &json!({"finding": "Nothing"}));
        assert_eq!(company.call(&format!("v1/incidents/{id}/close"), &json!({})).status, 200);
        let events = company.plane.events();
        let events: Vec<_> = events.iter().filter(|event| event.data.get("incident") == Some(&json!(id))).collect();
        for kind in ["incident.opened", "incident.closed"] {
            let event = events.iter().find(|event| event.kind == kind).unwrap();
            assert_eq!(event.environment, expected, "{kind} {environments:?}");
        }
    }
}

#[test]
fn an_unknown_key_is_named_and_nothing_is_done() {
    let company = Company::new();
    let id = company.issue("crm", "live", "ops");
    for unknown in ["wafl_live_000000000000", "wafl_test_000000000000"] {
        let refused = company.open(&json!({"key_ids": [id, unknown]}));
        assert_eq!(refused.verdict(), "404 not_found");
        assert!(refused.json["detail"].as_str().unwrap().contains(unknown), "{}", refused.text);
    }
    assert_eq!(company.key(&id)["status"], "active");
    assert_eq!(company.entries().len(), 2);
    assert_eq!(company.open(&json!({"integration": "none"})).verdict(), "404 not_found");
}

#[test]
fn a_revoked_key_keeps_its_first_receipt_and_its_first_reason() {
    let company = Company::new();
    let id = company.issue("crm", "live", "ops");
    company.call(&format!("v1/keys/{id}/revoke"), &json!({"reason": "first"}));
    let before = company.key(&id);
    company.plane.later(60_000);
    let opened = company.open(&json!({"key_ids": [id], "replace": "claim"}));
    assert_eq!(opened.status, 201, "{}", opened.text);
    let revoked_at = keyward_key::time::Millis::parse(before["revoked_at"].as_str().unwrap()).unwrap();
    let key = &opened.json["incident"]["keys"][0];
    assert_eq!((&key["effective_by"], &key["claim"]), (&json!(revoked_at.plus_seconds(5).rfc3339()), &Value::Null));
    assert_eq!(company.key(&id), before);
}

#[test]
fn a_selection_takes_every_key_that_is_not_final_in_both_environments() {
    let company = Company::new();
    let live = company.issue("crm", "live", "ops");
    let test = company.issue("crm", "test", "dev");
    let other = company.issue("erp", "live", "ops");
    let rotated = company.call(&format!("v1/keys/{live}/rotate"), &json!({}));
    let successor = rotated.json["key"]["id"].as_str().unwrap().to_owned();
    let pending = company.call(&format!("v1/keys/{test}/rotate"), &json!({"deliver": "claim"}));
    let pending = pending.json["key"]["id"].as_str().unwrap().to_owned();
    let counted = company.open(&json!({"integration": "crm", "dry_run": true}));
    let expected = json!({"keys": 4, "integrations": 1, "owners": 2, "confirm": "4 keys"});
    assert_eq!((counted.status, &counted.json), (200, &expected));
    assert_eq!(company.key(&live)["status"], "retiring", "a dry run changes nothing");
    let opened = company.open(&json!({"integration": "crm"}));
    assert_eq!(opened.json["incident"]["keys"].as_array().unwrap().len(), 4);
    for id in [&live, &test, &successor, &pending] {
        assert_eq!(company.key(id)["status"], "revoked");
    }
    assert_eq!(company.key(&other)["status"], "active");
    let opened = company.open(&json!({"owner": "ops"}));
    assert_eq!(opened.json["incident"]["keys"][0]["key_id"], other);
}

#[test]
fn each_integration_and_environment_gets_one_replacement_by_claim() {
    let company = Company::new();
    let live = company.issue("crm", "live", "ops");
    let test = company.issue("crm", "test", "ops");
    let rotated = company.call(&format!("v1/keys/{live}/rotate"), &json!({}));
    let successor = rotated.json["key"]["id"].as_str().unwrap().to_owned();
    let opened = company.open(&json!({"owner": "ops", "replace": "claim"}));
    assert_eq!(opened.status, 201, "{}", opened.text);
    let incident = &opened.json["incident"];
    let id = incident["id"].as_str().unwrap();
    let claims: Vec<(&Value, &Value)> = incident["keys"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|key| !key["claim"].is_null())
        .map(|key| (&key["key_id"], &key["claim"]))
        .collect();
    let replaced: Vec<&Value> = claims.iter().map(|(key, _)| *key).collect();
    assert_eq!(replaced, [&json!(successor), &json!(test)], "not the retiring key");
    assert_eq!(step(incident, "replaced")["done"], false);
    let listed = company.plane.get("v1/claims", &company.owner);
    assert_eq!(listed.json["items"].as_array().unwrap().len(), 2);
    // The second answer shows no link.
    assert!(company.incident(id)["keys"].to_string().contains("expires_at"));
    assert!(!company.incident(id).to_string().contains("url"));

    for (key, claim) in &claims {
        let claimed = company.claim(claim);
        assert_eq!((claimed.status, &claimed.json["key"]["rotated_from"]), (201, *key), "{}", claimed.text);
        assert_eq!(claimed.json["key"]["scopes"], json!(["contacts:read"]));
    }
    let shown = company.incident(id);
    assert_eq!(step(&shown, "replaced")["done"], true);
    assert_eq!(step(&shown, "updated")["done"], false);
    // Uses are recorded elsewhere; here the columns are written as they will be.
    let used = |id: &Value, at: i64| {
        let world = company.plane.platform.world.borrow();
        let sql = "UPDATE keys SET last_used_at = ?1 WHERE id = ?2";
        world.store.connection.execute(sql, (at, id.as_str().unwrap())).unwrap();
    };
    for (_, claim) in &claims {
        used(&claim["id"], NOW.0 + 50_000);
    }
    assert_eq!(step(&company.incident(id), "updated")["done"], true);
    used(claims[0].0, NOW.0 + 60_000);
    assert_eq!(step(&company.incident(id), "updated")["done"], false, "the old key is still used");
    for (_, claim) in &claims {
        used(&claim["id"], NOW.0 + 70_000);
    }
    assert_eq!(step(&company.incident(id), "updated")["done"], true);
    used(&json!(live), NOW.0 + 80_000);
    assert_eq!(step(&company.incident(id), "updated")["done"], false, "the retiring key is still used");
}

#[test]
fn a_replacement_is_made_only_for_an_integration_that_has_no_key_left() {
    let company = Company::new();
    let old = company.issue("crm", "live", "ops");
    company.call(&format!("v1/keys/{old}/rotate"), &json!({}));
    let opened = company.call(&format!("v1/keys/{old}/compromise"), &body(&json!({"replace": "claim"})));
    assert_eq!(opened.json["incident"]["keys"][0]["claim"], Value::Null, "its successor works");
    let only = company.issue("erp", "live", "ops");
    let opened = company.call(&format!("v1/keys/{only}/compromise"), &body(&json!({"replace": "claim"})));
    assert_eq!(company.claim(&opened.json["incident"]["keys"][0]["claim"]).status, 201, "{}", opened.text);
}

/// A retiring key does not reserve its name, so keys of other integrations may have it, and the next one.
#[test]
fn a_replacement_has_a_name_that_no_other_key_has() {
    let company = Company::new();
    let named = |integration: &str, name: &str| {
        let mut draft = key_draft(integration);
        draft["name"] = json!(name);
        let made = company.call("v1/keys", &draft);
        assert_eq!(made.status, 201, "{}", made.text);
        made.json["key"]["id"].as_str().unwrap().to_owned()
    };
    let old = named("crm", "Sync");
    let successor = company.call(&format!("v1/keys/{old}/rotate"), &json!({})).json["key"]["id"].clone();
    company.call(&format!("v1/keys/{}/revoke", successor.as_str().unwrap()), &json!({"reason": "x"}));
    named("erp", "Sync");
    named("mail", "Sync (crm)");
    let opened = company.call(&format!("v1/keys/{old}/compromise"), &body(&json!({"replace": "claim"})));
    assert_eq!(opened.status, 201, "{}", opened.text);
    let id = opened.json["incident"]["keys"][0]["claim"]["id"].as_str().unwrap();
    let identifier = id.rsplit('_').next().unwrap();
    assert_eq!(company.key(id)["name"], format!("Sync ({identifier})"));
}

#[test]
fn a_retried_incident_gets_the_same_answer_with_the_same_links() {
    let company = Company::new();
    for (replace, integration) in [("claim", "crm"), ("none", "erp")] {
        company.issue(integration, "live", "ops");
        let request =
            post("v1/incidents").with("authorization", &bearer(&company.owner)).with("idempotency-key", integration);
        let body = body(&json!({"integration": integration, "replace": replace}));
        let first = company.plane.call(&request, &body);
        assert_eq!(first.status, 201, "{}", first.text);
        let entries = company.entries().len();
        let again = company.plane.call(&request, &body);
        assert_eq!((again.status, &again.json), (201, &first.json));
        let last = company.entries().split_off(entries);
        assert_eq!(last.iter().map(|entry| &entry["action"]).collect::<Vec<_>>(), ["key.shown_again"]);
    }
    let stored = company.plane.platform.world.borrow().store.dump().to_string();
    assert!(!stored.contains("/_keyward/claim#"));
}

#[test]
fn more_than_twenty_keys_need_their_number_as_confirmation() {
    let company = Company::new();
    for number in 0..21 {
        company.issue(&format!("i-{number}"), "live", "ops");
        company.plane.later(100);
    }
    let counted = company.open(&json!({"owner": "ops", "dry_run": true}));
    assert_eq!((&counted.json["keys"], &counted.json["confirm"]), (&json!(21), &json!("21 keys")));
    for confirm in [json!(null), json!("20 keys"), json!("yes")] {
        let refused = company.open(&json!({"owner": "ops", "confirm": confirm}));
        assert_eq!(refused.verdict(), "409 confirmation_required", "{}", refused.text);
        assert!(refused.json["detail"].as_str().unwrap().contains("21 keys"));
    }
    let opened = company.open(&json!({"owner": "ops", "confirm": "21 keys", "replace": "claim"}));
    assert_eq!(opened.status, 201, "{}", opened.text);
}

#[test]
fn an_incident_is_closed_after_its_review_by_owners_and_responders() {
    let company = Company::new();
    let id = company.issue("crm", "live", "ops");
    let opened = company.open(&json!({"key_ids": [id]}));
    let path = format!("v1/incidents/{}", opened.json["incident"]["id"].as_str().unwrap());
    let [manager, responder, auditor] =
        ["manager", "responder", "auditor"].map(|role| company.plane.member(&company.owner, role, &Value::Null));
    for refused in [&manager, &auditor] {
        assert_eq!(
            company.call_as(refused, &format!("{path}/review"), &json!({"finding": "x"})).verdict(),
            "403 forbidden"
        );
        assert_eq!(company.call_as(refused, &format!("{path}/close"), &Value::Null).verdict(), "403 forbidden");
    }
    assert_eq!(company.call_as(&responder, &format!("{path}/close"), &Value::Null).verdict(), "409 not_reviewed");
    let reviewed = company.call_as(&responder, &format!("{path}/review"), &json!({"finding": "Only our own calls"}));
    let review = step(&reviewed.json["incident"], "reviewed");
    assert_eq!((&review["done"], &review["detail"]), (&json!(true), &json!("Only our own calls")));
    let closed = company.call_as(&responder, &format!("{path}/close"), &Value::Null);
    assert_eq!((closed.status, &closed.json["incident"]["status"]), (200, &json!("closed")));
    let entries = company.entries().len();
    assert_eq!(company.call_as(&responder, &format!("{path}/close"), &json!({})).json, closed.json);
    assert_eq!(company.entries().len(), entries, "repeated, it writes nothing");
    for reader in [&manager, &responder, &auditor] {
        assert_eq!(company.plane.get(&path, reader).json, closed.json);
        assert_eq!(company.plane.get("v1/incidents", reader).json["items"][0]["status"], "closed");
    }
    let unknown = company.call("v1/incidents/inc_999/review", &json!({"finding": "x"}));
    assert_eq!(unknown.verdict(), "404 not_found");
}

#[test]
fn a_limited_member_reaches_and_sees_only_their_environments() {
    let company = Company::new();
    let live = company.issue("crm", "live", "ops");
    let test = company.issue("crm", "test", "ops");
    let limited = company.plane.member(&company.owner, "responder", &json!(["test"]));
    let refused = company.call_as(&limited, "v1/incidents", &body(&json!({"key_ids": [live]})));
    assert_eq!(refused.verdict(), "404 not_found");
    assert_eq!(
        company.call_as(&limited, &format!("v1/keys/{live}/compromise"), &body(&json!({}))).verdict(),
        "404 not_found"
    );
    let counted = company.call_as(&limited, "v1/incidents", &body(&json!({"integration": "crm", "dry_run": true})));
    assert_eq!(counted.json["keys"], 1);
    let opened = company.call_as(&limited, "v1/incidents", &body(&json!({"integration": "crm"})));
    assert_eq!(opened.json["incident"]["keys"][0]["key_id"], test);
    assert_eq!(company.key(&live)["status"], "active");
    let both = company.open(&json!({"key_ids": [live, test]}));
    let listed = company.plane.get("v1/incidents", &limited).json;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let path = format!("v1/incidents/{}", both.json["incident"]["id"].as_str().unwrap());
    assert_eq!(company.plane.get(&path, &limited).verdict(), "404 not_found");
}

#[test]
fn a_malformed_body_is_told_its_field() {
    let company = Company::new();
    let id = company.issue("crm", "live", "ops");
    for (fields, field) in [
        (json!({}), "key_ids"),
        (json!({"integration": null, "owner": null}), "key_ids"),
        (json!({"key_ids": [id], "owner": "ops"}), "owner"),
        (json!({"key_ids": [id], "integration": "crm", "owner": "ops"}), "integration"),
        (json!({"key_ids": []}), "key_ids"),
        (json!({"key_ids": [id, id]}), "key_ids[1]"),
        (json!({"key_ids": "x"}), "key_ids"),
        (json!({"key_ids": [id, "nonsense"]}), "key_ids[1]"),
        (json!({"key_ids": ["wafl_admin_000000000000"]}), "key_ids[0]"),
        (json!({"integration": "A B"}), "integration"),
        (json!({"owner": 7}), "owner"),
        (json!({"owner": "ops", "kind": "leak"}), "kind"),
        (json!({"owner": "ops", "note": ""}), "note"),
        (json!({"owner": "ops", "replace": "mail"}), "replace"),
        (json!({"owner": "ops", "dry_run": "yes"}), "dry_run"),
        (json!({"owner": "ops", "colour": "red"}), "colour"),
    ] {
        let refused = company.open(&fields);
        assert_eq!(
            (refused.verdict(), &refused.json["field"]),
            ("400 invalid_request".to_owned(), &json!(field)),
            "{fields}"
        );
    }
}

#[test]
fn a_thousand_keys_are_revoked_and_replaced_in_one_change() {
    let company = Company::new();
    {
        let world = company.plane.platform.world.borrow();
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO keys (position, id, key_hash, minted_under, name, integration, environment, purpose, owner, scopes,
                 allowed_cidrs, state, created_at, created_by, expires_at, latest_end, revision)
             SELECT 1000000 + i, printf('wafl_live_%012d', i), printf('%064d', 0), '1f2e3d4c', 'name ' || i, 'i-' || i, 'live', 'p',
                 'ops', '[\"contacts:read\"]', '[]', 'active', ?1, 'wafl_admin_Owner0000001', ?1 + 86400000, ?1 + 86400000, 1
             FROM n";
        world.store.connection.execute(sql, [NOW.0]).unwrap();
    }
    let opened = company.open(&json!({"owner": "ops", "confirm": "1000 keys", "replace": "claim"}));
    assert_eq!(opened.status, 201, "{}", &opened.text[..300.min(opened.text.len())]);
    assert_eq!(opened.json["incident"]["keys"].as_array().unwrap().len(), 1000);
    let more = company.issue("one-more", "live", "ops");
    assert_eq!(company.key(&more)["status"], "active");
}
