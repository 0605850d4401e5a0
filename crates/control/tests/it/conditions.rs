//! `ETag` and `If-Match`: a change is made only to the version that the client has seen.

use keyward_control::Operation;
use keyward_control::operation::Access;
use keyward_testkit::gate_world::ClientRequest;
use serde_json::{Value, json};

use crate::test_plane::{Plane, TestReply, bearer, key_draft, post};

fn id_of(credential: &str) -> String {
    credential.split('_').take(3).collect::<Vec<_>>().join("_")
}

/// Sends a change with `If-Match`, as the owner.
fn change(plane: &Plane, owner: &str, line: &str, if_match: &str, body: &Value) -> TestReply {
    let (method, path) = line.split_once(' ').unwrap();
    let request = ClientRequest::new(&format!("{method} /_keyward/{path}"))
        .with("authorization", &bearer(owner))
        .with("if-match", if_match);
    plane.call(&request, body)
}

#[test]
fn a_change_is_made_only_to_a_version_that_the_condition_names() {
    let (plane, owner) = Plane::with_owner();
    let (key, _) = plane.issue(&owner, "crm");
    let path = format!("v1/keys/{}", key["id"].as_str().unwrap());
    let patch = |if_match: &str, purpose: &str| {
        change(&plane, &owner, &format!("PATCH {path}"), if_match, &json!({"purpose": purpose}))
    };
    let read = plane.get(&path, &owner);
    assert_eq!(read.header("etag"), Some("\"2\""));
    for (if_match, verdict) in [
        ("\"1\"", "412 precondition_failed"),
        ("\"nope\"", "412 precondition_failed"),
        ("W/\"2\"", "412 precondition_failed"),
        ("2", "412 precondition_failed"),
        ("\"02\"", "412 precondition_failed"),
        ("", "412 precondition_failed"),
        ("*, \"2\"", "412 precondition_failed"),
    ] {
        assert_eq!(patch(if_match, "Another").verdict(), verdict, "{if_match}");
        assert_eq!(plane.get(&path, &owner).text, read.text, "{if_match}");
    }
    let changed = patch("\"1\", \"2\"", "Another");
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"3\"")), "{}", changed.text);
    assert_eq!(patch("\"2\"", "Yet another").status, 412);
    assert_eq!(patch("*", "Yet another").header("etag"), Some("\"4\""));
    let unknown = change(&plane, &owner, "PATCH v1/keys/wafl_live_000000000000", "*", &json!({"purpose": "x"}));
    assert_eq!(unknown.verdict(), "404 not_found");
    assert_eq!(plane.get("v1/audit", &owner).json["items"].as_array().unwrap().len(), 4);
}

/// Returns each operation that changes one key or member, with the line of the request for one of these ids, and a body that it accepts.
fn changes_of_one(key: &str, member: &str) -> Vec<(Operation, String, Value)> {
    let mut changes = Vec::new();
    for operation in Operation::ALL {
        let spec = operation.spec();
        // An incident is neither a key nor a member, and the operations on endpoints of events compare the version themselves.
        let is_of_other = spec.path.contains("incidents") || spec.path.contains("endpoints");
        let is_of_one = spec.path.contains("{id}") && !is_of_other;
        if !spec.writes || !is_of_one || !matches!(spec.access, Access::Roles(_)) {
            continue;
        }
        let id = if spec.path.contains("members") { member } else { key };
        let body = match operation {
            Operation::UpdateKey | Operation::UpdateMember => json!({"name": "Other"}),
            Operation::ExtendRotation => json!({"overlap_seconds": 60}),
            Operation::RevokeKey | Operation::DismissExposure | Operation::ReleaseKey => json!({"reason": "leaked"}),
            Operation::CompromiseKey => json!({"kind": "other", "note": "leaked"}),
            _ => json!({}),
        };
        changes.push((*operation, format!("{} {}", spec.method, spec.path.replace("{id}", id)), body));
    }
    changes
}

/// Also an operation that is added later takes the condition, since the registry checks it before any.
#[test]
fn every_change_of_one_key_or_member_takes_the_condition() {
    let (plane, owner) = Plane::with_owner();
    let auditor = plane.member(&owner, "auditor", &Value::Null);
    let (key, _) = plane.issue(&owner, "crm");
    let mut tried = 0;
    for (operation, line, body) in changes_of_one(key["id"].as_str().unwrap(), &id_of(&auditor)) {
        let refused = change(&plane, &owner, &line, "\"999\"", &body);
        assert_eq!(refused.verdict(), "412 precondition_failed", "{operation:?}: {}", refused.text);
        tried += 1;
    }
    assert!(tried >= 6);
    let shown = plane.get(&format!("v1/members/{}", id_of(&auditor)), &owner);
    assert_eq!((shown.header("etag"), &shown.json["status"]), (Some("\"2\""), &json!("active")));
    assert_eq!(plane.get("v1/me", &auditor).header("etag"), Some("\"2\""));
}

/// Otherwise a condition would tell a limited member which ids exist elsewhere.
#[test]
fn a_condition_does_not_tell_a_key_out_of_sight_from_an_absent_one() {
    let (plane, owner) = Plane::with_owner();
    let auditor = plane.member(&owner, "auditor", &json!(["live"]));
    let (key, _) = plane.issue(&owner, "crm");
    let limited = plane.member(&owner, "owner", &json!(["test"]));
    let elsewhere = changes_of_one(key["id"].as_str().unwrap(), &id_of(&auditor));
    let absent = changes_of_one("wafl_live_000000000000", "wafl_admin_000000000000");
    for ((operation, line, body), (_, absent, _)) in elsewhere.into_iter().zip(absent) {
        for if_match in ["\"999\"", "\"2\"", "*"] {
            plane.later(1_000);
            let [seen, unseen] = [&line, &absent].map(|line| change(&plane, &limited, line, if_match, &body));
            assert_eq!(seen.verdict(), "404 not_found", "{operation:?} {if_match}: {}", seen.text);
            assert_eq!(seen.json["detail"], unseen.json["detail"], "{operation:?} {if_match}");
        }
    }
}

#[test]
fn a_retry_gets_the_first_answer_although_the_version_has_changed_by_it() {
    let (plane, owner) = Plane::with_owner();
    let (key, _) = plane.issue(&owner, "crm");
    let request = post(&format!("v1/keys/{}/rotate", key["id"].as_str().unwrap()))
        .with("authorization", &bearer(&owner))
        .with("idempotency-key", "one")
        .with("if-match", "\"2\"");
    let first = plane.call(&request, &json!({}));
    assert_eq!(first.status, 201, "{}", first.text);
    assert_eq!(plane.call(&request, &json!({})).json, first.json);
    // A POST that names no key changes none, so it has no version.
    let issue = post("v1/keys").with("authorization", &bearer(&owner)).with("if-match", "\"2\"");
    assert_eq!(plane.call(&issue, &key_draft("shop")).status, 201);
}
