//! Claims through the whole control plane: the link, its secret, retries, limits, and what strangers learn.

use keyward_key::format::Presented;
use keyward_testkit::gate_world::{ClientRequest, config};
use keyward_testkit::registry_world::{DAY, NOW};
use serde_json::{Value, json};

use crate::test_plane::{BOOTSTRAP_TOKEN, Plane, TestReply, bearer, key_draft, post};

const NONCE: &str = "nonce-of-this-claimant";

struct Claiming {
    plane: Plane,
    owner: String,
    id: String,
    secret: String,
}

impl Claiming {
    fn new() -> Self {
        let (plane, owner) = Plane::with_owner();
        let made = plane.call(&post("v1/keys").with("authorization", &bearer(&owner)), &draft("crm"));
        assert_eq!(made.status, 201, "{}", made.text);
        let (id, secret) = parts(&made.json["claim"]["url"]);
        Self { plane, owner, id, secret }
    }

    fn call(&self, below: &str, body: &Value) -> TestReply {
        self.plane.call(&post(&format!("v1/claims/{}{below}", self.id)), body)
    }

    fn claim(&self, nonce: &str) -> TestReply {
        self.call("", &json!({"secret": self.secret, "nonce": nonce}))
    }

    fn lookup(&self) -> TestReply {
        self.call("/lookup", &json!({"secret": self.secret}))
    }

    fn key(&self) -> Value {
        self.plane.get(&format!("v1/keys/{}", self.id), &self.owner).json
    }

    fn manage(&self, path: &str, body: &Value) -> TestReply {
        self.plane.call(&post(path).with("authorization", &bearer(&self.owner)), body)
    }
}

fn draft(integration: &str) -> Value {
    let mut draft = key_draft(integration);
    draft["deliver"] = json!("claim");
    draft
}

/// Returns the id and the secret in a link.
fn parts(url: &Value) -> (String, String) {
    let (page, fragment) = url.as_str().unwrap().split_once('#').unwrap();
    assert!(page.ends_with("/_keyward/claim"), "{page}");
    let (id, secret) = fragment.split_once('.').unwrap();
    (id.to_owned(), secret.to_owned())
}

/// An answer without the part that differs between two requests.
fn shape(reply: &TestReply) -> (u16, String) {
    (reply.status, reply.text.clone())
}

#[test]
fn the_issuer_gets_a_link_and_no_key() {
    let (plane, owner) = Plane::with_owner();
    let made = plane.call(&post("v1/keys").with("authorization", &bearer(&owner)), &draft("crm"));
    assert_eq!((made.status, &made.json["key"]["status"]), (201, &json!("pending")));
    assert!(made.json.get("api_key").is_none(), "{}", made.text);
    assert_eq!(made.json["claim"]["id"], made.json["key"]["id"]);
    assert_eq!(made.json["claim"]["expires_at"], NOW.plus_seconds(DAY).rfc3339());
    let hours = json!({"deliver": "claim", "claim_hours": 168});
    let mut week = key_draft("erp");
    week.as_object_mut().unwrap().extend(hours.as_object().unwrap().clone());
    let made = plane.call(&post("v1/keys").with("authorization", &bearer(&owner)), &week);
    assert_eq!(made.json["claim"]["expires_at"], NOW.plus_seconds(7 * DAY).rfc3339());
    let mut wrong = key_draft("mail");
    wrong["claim_hours"] = json!(24);
    let refused = plane.call(&post("v1/keys").with("authorization", &bearer(&owner)), &wrong);
    assert_eq!((refused.verdict(), &refused.json["field"]), ("400 invalid_request".to_owned(), &json!("claim_hours")));
}

#[test]
fn a_retried_issue_gets_the_same_link() {
    let (plane, owner) = Plane::with_owner();
    let request = post("v1/keys").with("authorization", &bearer(&owner)).with("idempotency-key", "once");
    let first = plane.call(&request, &draft("crm"));
    let again = plane.call(&request, &draft("crm"));
    assert_eq!((again.status, &again.json), (201, &first.json));
}

#[test]
fn whoever_has_the_link_claims_the_key_and_a_repeated_nonce_gets_it_again() {
    let claiming = Claiming::new();
    let seen = claiming.lookup();
    assert_eq!((seen.status, &seen.json["claim"]["status"]), (200, &json!("open")));
    assert_eq!((&seen.json["claim"]["issued_by"], &seen.json["key"]["name"]), (&json!("Ada"), &json!("crm sync")));
    assert_eq!(claiming.key()["status"], "pending", "looking uses nothing up");
    let first = claiming.claim(NONCE);
    assert_eq!((first.status, &first.json["key"]["status"]), (201, &json!("active")), "{}", first.text);
    let text = first.json["api_key"].as_str().unwrap();
    let presented = Presented::parse(text, &claiming.plane.config.prefix).unwrap();
    assert!(claiming.plane.config.keyring.recognise(&presented).is_some());
    assert!(text.starts_with(&claiming.id));
    claiming.plane.later(599_999);
    assert_eq!(shape(&claiming.claim(NONCE)), shape(&first));
    // Another spelling of the same body is the same request.
    let body = format!("{{ \"nonce\": {NONCE:?},\n\"secret\": {:?} }}", claiming.secret);
    let request = post(&format!("v1/claims/{}", claiming.id)).with("content-type", "application/json");
    assert_eq!(shape(&claiming.plane.send(&request, body.as_bytes())), shape(&first));
    claiming.plane.later(1);
    assert_eq!(claiming.claim(NONCE).verdict(), "409 already_claimed");
}

#[test]
fn another_nonce_is_told_that_the_claim_was_used_and_may_revoke_the_key() {
    let claiming = Claiming::new();
    assert_eq!(claiming.claim(NONCE).status, 201);
    assert_eq!(claiming.claim("nonce-of-somebody-else").verdict(), "409 already_claimed");
    assert!(claiming.plane.logged("claim_used_again"));
    assert_eq!(claiming.lookup().json["claim"]["status"], "claimed");
    let revoked = claiming.call("/revoke", &json!({"secret": claiming.secret}));
    assert_eq!((revoked.status, &revoked.json["key"]["revoked_by"]), (200, &json!("claimant")));
    assert_eq!(revoked.json["effective_by"], NOW.plus_seconds(5).rfc3339());
    assert_eq!(claiming.call("/revoke", &json!({"secret": claiming.secret})).json, revoked.json);
    // The nonce still gets the answer of its time, which opens nothing any more.
    assert_eq!(claiming.claim(NONCE).status, 201);
    assert_eq!(claiming.key()["status"], "revoked");
}

#[test]
fn the_key_is_the_same_after_the_secret_was_rotated_and_gone_with_the_old_secret() {
    let old = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let new = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
    let with = |current: &str, previous: Value| {
        let changes = json!({"KEYWARD_SECRET": current, "KEYWARD_SECRET_PREVIOUS": previous});
        config(&changes)
    };
    let mut plane = Plane::new(&json!({"KEYWARD_SECRET": old}));
    let owner = plane.call(
        &post("v1/bootstrap").with("authorization", &bearer(BOOTSTRAP_TOKEN)),
        &json!({"name": "Ada", "email": "ada@acme.example"}),
    );
    let owner = owner.json["api_key"].as_str().unwrap().to_owned();
    let made = plane.call(&post("v1/keys").with("authorization", &bearer(&owner)), &draft("erp"));
    let (id, secret) = parts(&made.json["claim"]["url"]);
    let claim =
        |plane: &Plane| plane.call(&post(&format!("v1/claims/{id}")), &json!({"secret": secret, "nonce": NONCE}));
    plane.config = with(new, Value::Null);
    assert_eq!(claim(&plane).verdict(), "404 not_found");
    plane.config = with(old, Value::Null);
    let first = claim(&plane);
    assert_eq!(first.status, 201, "{}", first.text);
    plane.config = with(new, json!(old));
    assert_eq!(shape(&claim(&plane)), shape(&first));
    plane.config = with(new, Value::Null);
    assert_eq!(claim(&plane).verdict(), "404 not_found");
}

#[test]
fn two_claimants_at_once_get_one_key() {
    let claiming = Claiming::new();
    let request = post(&format!("v1/claims/{}", claiming.id)).with("content-type", "application/json");
    let body = json!({"secret": claiming.secret, "nonce": NONCE}).to_string();
    *claiming.plane.platform.body.borrow_mut() = Some(body.into_bytes());
    let same = claiming.plane.serve_together(&[request.clone(), request]);
    assert_eq!(same, ["201", "201"], "the same nonce");
    let entries = claiming.plane.get("v1/audit", &claiming.owner).json["items"].as_array().unwrap().len();
    assert_eq!(entries, 4, "issued, claimed once, and shown again");
    assert_eq!(claiming.claim("racer-two-racer-two").verdict(), "409 already_claimed");
}

#[test]
fn an_unknown_claim_a_wrong_secret_and_an_ended_claim_get_the_same_bytes() {
    let mut ended = Vec::new();
    let withdrawn = Claiming::new();
    let path = format!("v1/claims/{}/withdraw", withdrawn.id);
    assert_eq!(withdrawn.manage(&path, &Value::Null).json["claim"]["status"], "withdrawn");
    ended.push(withdrawn);
    let expired = Claiming::new();
    expired.plane.later(DAY * 1_000);
    ended.push(expired);
    let revoked = Claiming::new();
    revoked.manage(&format!("v1/keys/{}/revoke", revoked.id), &json!({"reason": "a mistake"}));
    ended.push(revoked);
    let mut unknown = Claiming::new();
    unknown.id = "wafl_live_000000000000".to_owned();
    ended.push(unknown);
    let mut other_claim = Claiming::new();
    let second = other_claim.manage("v1/keys", &draft("erp"));
    other_claim.id = second.json["key"]["id"].as_str().unwrap().to_owned();
    ended.push(other_claim);
    for wrong in ["", "x", &"0".repeat(30), &"é".repeat(15), &"a".repeat(60_000)] {
        let mut claiming = Claiming::new();
        claiming.secret = wrong.to_owned();
        ended.push(claiming);
    }
    let mut nonsense = Claiming::new();
    nonsense.id = "nonsense".to_owned();
    ended.push(nonsense);
    let known = shape(&ended[0].lookup());
    assert_eq!(known.0, 404);
    for claiming in &ended {
        assert_eq!(shape(&claiming.lookup()), known, "{}", claiming.id);
        assert_eq!(shape(&claiming.claim(NONCE)), known, "{}", claiming.id);
    }
}

#[test]
fn a_secret_without_a_right_tag_costs_no_call_of_the_registry() {
    let claiming = Claiming::new();
    let before = claiming.plane.asked();
    for secret in ["x".repeat(30), claiming.secret.replace(&claiming.secret[..1], "!")] {
        for (below, nonce) in [("", Some(NONCE)), ("/lookup", None), ("/revoke", None)] {
            let mut body = json!({"secret": secret});
            if let Some(nonce) = nonce {
                body["nonce"] = json!(nonce);
            }
            assert_eq!(claiming.call(below, &body).verdict(), "404 not_found");
        }
    }
    assert_eq!(claiming.plane.asked(), before);
}

#[test]
fn wrong_secrets_are_limited_for_each_claim_and_lock_nobody_out() {
    let claiming = Claiming::new();
    let wrong = |id: &str| {
        let request = post(&format!("v1/claims/{id}/lookup"));
        claiming.plane.call(&request, &json!({"secret": "0".repeat(30)}))
    };
    for id in [claiming.id.as_str(), "wafl_live_000000000000"] {
        for _ in 0..10 {
            assert_eq!(wrong(id).verdict(), "404 not_found");
        }
        let limited = wrong(id);
        assert_eq!((limited.verdict(), limited.header("retry-after")), ("429 rate_limited".to_owned(), Some("6")));
    }
    assert_eq!(claiming.lookup().status, 200, "the right secret is not limited by wrong ones");
    claiming.plane.later(6_000);
    assert_eq!(wrong(&claiming.id).verdict(), "404 not_found");
    assert_eq!(wrong(&claiming.id).verdict(), "429 rate_limited");
    assert_eq!(claiming.claim(NONCE).status, 201);
}

#[test]
fn a_malformed_request_is_told_its_field_whatever_the_claim() {
    for id in ["wafl_live_000000000000", "nonsense"] {
        let (plane, _) = Plane::with_owner();
        for (below, body, field) in [
            ("/lookup", json!({}), "secret"),
            ("/lookup", json!({"secret": 7}), "secret"),
            ("/lookup", json!({"secret": "x", "nonce": NONCE}), "nonce"),
            ("", json!({"secret": "x"}), "nonce"),
            ("", json!({"secret": "x", "nonce": "short"}), "nonce"),
            ("", json!({"nonce": NONCE}), "secret"),
            ("/revoke", json!({"reason": "x", "secret": "x"}), "reason"),
        ] {
            let refused = plane.call(&post(&format!("v1/claims/{id}{below}")), &body);
            assert_eq!((refused.verdict(), &refused.json["field"]), ("400 invalid_request".to_owned(), &json!(field)));
        }
    }
}

#[test]
fn a_rotation_by_claim_leaves_the_old_key_until_the_successor_is_claimed() {
    let (plane, owner) = Plane::with_owner();
    let (old, _) = plane.issue(&owner, "crm");
    let id = old["id"].as_str().unwrap();
    let rotate = post(&format!("v1/keys/{id}/rotate")).with("authorization", &bearer(&owner));
    let made = plane.call(&rotate, &json!({"deliver": "claim", "overlap_seconds": 60}));
    assert_eq!((made.status, &made.json["key"]["rotated_from"]), (201, &json!(id)), "{}", made.text);
    for absent in ["api_key", "retiring", "effective_by"] {
        assert!(made.json.get(absent).is_none(), "{absent}");
    }
    let shown = |plane: &Plane| plane.get(&format!("v1/keys/{id}"), &owner).json;
    assert_eq!(shown(&plane), old);
    assert_eq!(plane.call(&rotate, &json!({})).verdict(), "409 integration_has_key");
    let (successor, secret) = parts(&made.json["claim"]["url"]);
    plane.later(3_600_000);
    let claimed = plane.call(&post(&format!("v1/claims/{successor}")), &json!({"secret": secret, "nonce": NONCE}));
    assert_eq!(claimed.json["retiring"]["expires_at"], NOW.plus_seconds(3_660).rfc3339(), "{}", claimed.text);
    assert_eq!(claimed.json["effective_by"], NOW.plus_seconds(3_605).rfc3339());
    assert_eq!((&shown(&plane)["status"], &shown(&plane)["successor"]), (&json!("retiring"), &json!(successor)));
}

/// Otherwise the claim would bring back what the change takes away.
#[test]
fn a_change_of_a_key_changes_the_successor_that_waits_for_its_claim() {
    let (plane, owner) = Plane::with_owner();
    let mut draft = key_draft("crm");
    draft["scopes"] = json!(["contacts:read", "contacts:write"]);
    let made = plane.call(&post("v1/keys").with("authorization", &bearer(&owner)), &draft);
    let id = made.json["key"]["id"].as_str().unwrap().to_owned();
    let rotate = post(&format!("v1/keys/{id}/rotate")).with("authorization", &bearer(&owner));
    let made = plane.call(&rotate, &json!({"deliver": "claim"}));
    let (successor, secret) = parts(&made.json["claim"]["url"]);
    let limits = json!([{"name": "burst", "requests": 10, "seconds": 60}]);
    let changes = json!({"scopes": ["contacts:read"], "allowed_cidrs": ["192.0.2.0/24"], "limits": limits,
        "expires_at": NOW.plus_seconds(10 * DAY).rfc3339()});
    let patch = ClientRequest::new(&format!("PATCH /_keyward/v1/keys/{id}")).with("authorization", &bearer(&owner));
    let changed = plane.call(&patch, &changes);
    assert_eq!((changed.status, &changed.json["key"]["id"]), (200, &json!(id)), "{}", changed.text);
    plane.call(&post(&format!("v1/claims/{successor}")), &json!({"secret": secret, "nonce": NONCE}));
    let claimed = plane.get(&format!("v1/keys/{successor}"), &owner).json;
    for field in ["scopes", "allowed_cidrs", "limits"] {
        assert_eq!(claimed[field], changed.json["key"][field], "{field}");
    }
    assert_eq!((&claimed["status"], &claimed["scopes"]), (&json!("active"), &json!(["contacts:read"])));
    assert_ne!(claimed["expires_at"], changed.json["key"]["expires_at"], "it has its own end");
    let log = plane.get(&format!("v1/audit?subject={successor}"), &owner);
    assert!(log.text.contains("key.update"), "{}", log.text);
}

/// A claimant is no member. Whoever has the link may send the same nonce 100 times a second.
#[test]
fn a_repeated_nonce_has_one_audit_entry_a_minute() {
    let claiming = Claiming::new();
    let entries = || {
        let log = claiming.plane.get("v1/audit?action=key.shown_again", &claiming.owner);
        log.json["items"].as_array().unwrap().len()
    };
    let first = claiming.claim(NONCE);
    for _ in 0..50 {
        assert_eq!(claiming.claim(NONCE).text, first.text);
    }
    assert_eq!(entries(), 1);
    claiming.plane.later(59_999);
    claiming.claim(NONCE);
    assert_eq!(entries(), 1);
    claiming.plane.later(1);
    claiming.claim(NONCE);
    assert_eq!(entries(), 2);
}

/// Others may have read the link, and it works for days.
#[test]
fn a_claimant_learns_neither_where_a_key_is_used_nor_why_it_was_revoked() {
    let (plane, owner) = Plane::with_owner();
    let (old, _) = plane.issue(&owner, "crm");
    let id = old["id"].as_str().unwrap();
    let used = r#"UPDATE keys SET last_used_from = '{"country":"DE","asn":64500,"network":"192.0.2.0/24"}'"#;
    plane.platform.world.borrow().store.connection.execute(used, []).unwrap();
    let as_owner = |path: &str, body: &Value| {
        let reply = plane.call(&post(path).with("authorization", &bearer(&owner)), body);
        assert!(matches!(reply.status, 200 | 201), "{}", reply.text);
        reply
    };
    assert_eq!(plane.get(&format!("v1/keys/{id}"), &owner).json["last_used_from"]["asn"], 64_500);
    let made = as_owner(&format!("v1/keys/{id}/rotate"), &json!({"deliver": "claim"}));
    let (successor, secret) = parts(&made.json["claim"]["url"]);
    let claim = json!({"secret": secret, "nonce": NONCE});
    let claimed = plane.call(&post(&format!("v1/claims/{successor}")), &claim);
    assert_eq!((claimed.status, &claimed.json["retiring"]["id"]), (201, &json!(id)), "{}", claimed.text);
    as_owner(
        &format!("v1/keys/{successor}/compromise"),
        &json!({"kind": "exposed", "note": "Ada posted it", "replace": "none"}),
    );
    let with_secret = |below: &str| {
        let body = json!({"secret": secret});
        plane.call(&post(&format!("v1/claims/{successor}/{below}")), &body)
    };
    let replies = [claimed, with_secret("lookup"), with_secret("revoke")];
    for reply in &replies {
        assert!(matches!(reply.status, 200 | 201), "{}", reply.text);
        for secret in ["192.0.2.0", "64500", "Ada posted it"] {
            assert!(!reply.text.contains(secret), "{secret}: {}", reply.text);
        }
    }
    assert_eq!(replies[1].json["key"]["status"], "revoked");
}

#[test]
fn open_claims_are_seen_and_withdrawn_by_owners_and_managers() {
    let claiming = Claiming::new();
    let listed = claiming.plane.get("v1/claims", &claiming.owner);
    assert_eq!((&listed.json["items"][0]["id"], &listed.json["next_cursor"]), (&json!(claiming.id), &Value::Null));
    assert!(!listed.text.contains(&claiming.secret));
    let manager = claiming.plane.member(&claiming.owner, "manager", &json!(["test"]));
    assert_eq!(claiming.plane.get("v1/claims", &manager).json["items"], json!([]));
    let withdraw = post(&format!("v1/claims/{}/withdraw", claiming.id));
    let refused = claiming.plane.call(&withdraw.clone().with("authorization", &bearer(&manager)), &Value::Null);
    assert_eq!(refused.verdict(), "404 not_found");
    assert_eq!(claiming.claim(NONCE).status, 201);
    let refused = claiming.plane.call(&withdraw.with("authorization", &bearer(&claiming.owner)), &Value::Null);
    assert_eq!(refused.verdict(), "409 already_claimed");
    assert_eq!(claiming.plane.get("v1/claims", &claiming.owner).json["items"], json!([]));
}

#[test]
fn no_audit_entry_and_no_message_has_a_secret_of_a_claim() {
    let claiming = Claiming::new();
    let first = claiming.claim(NONCE);
    claiming.claim(NONCE);
    let key = first.json["api_key"].as_str().unwrap();
    let log = claiming.plane.get("v1/audit", &claiming.owner);
    let actions: Vec<&str> =
        log.json["items"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["bootstrap", "key.issue", "key.claim", "key.shown_again"]);
    let stored = claiming.plane.platform.world.borrow().store.dump().to_string();
    let messages = format!("{:?}", claiming.plane.platform.messages.borrow());
    let lines = format!("{:?}", claiming.plane.platform.log.borrow());
    for text in [&log.text, &stored, &messages, &lines] {
        assert!(!text.contains(&claiming.secret) && !text.contains(key));
        assert!(!text.contains(&claiming.secret[..22]) && !text.contains(NONCE));
    }
}
