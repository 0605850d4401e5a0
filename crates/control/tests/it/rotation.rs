//! The overlap of a rotation: ended early, or prolonged.

use keyward_key::time::Millis;
use keyward_testkit::registry_world::{DAY, NOW};
use serde_json::{Value, json};

use crate::test_plane::{Plane, TestReply, bearer, key_draft, post};

struct Rotated {
    plane: Plane,
    owner: String,
    old: String,
}

impl Rotated {
    /// A key of ten days, rotated with an overlap of an hour.
    fn new() -> Self {
        let (plane, owner) = Plane::with_owner();
        let mut draft = key_draft("crm");
        draft["expires_in_days"] = json!(10);
        let made = plane.call(&post("v1/keys").with("authorization", &bearer(&owner)), &draft);
        let old = made.json["key"]["id"].as_str().unwrap().to_owned();
        let rotated = Self { plane, owner, old };
        assert_eq!(rotated.post("rotate", &json!({"overlap_seconds": 3600})).status, 201);
        rotated
    }

    fn post(&self, operation: &str, body: &Value) -> TestReply {
        let request = post(&format!("v1/keys/{}/{operation}", self.old)).with("authorization", &bearer(&self.owner));
        self.plane.call(&request, body)
    }

    fn at(&self, seconds: i64) -> String {
        self.plane.platform.now.set(NOW.plus_seconds(seconds));
        self.plane.platform.now.get().rfc3339()
    }

    fn last_entry(&self) -> Value {
        let log = self.plane.get("v1/audit", &self.owner).json;
        log["items"].as_array().unwrap().last().unwrap().clone()
    }
}

fn time(seconds: i64) -> String {
    NOW.plus_seconds(seconds).rfc3339()
}

#[test]
fn an_overlap_is_ended_now_and_the_answer_can_be_asked_for_again() {
    let rotated = Rotated::new();
    let now = rotated.at(60);
    let first = rotated.post("finish-rotation", &Value::Null);
    assert_eq!(first.status, 200, "{}", first.text);
    assert_eq!((&first.json["key"]["status"], &first.json["key"]["expires_at"]), (&json!("expired"), &json!(now)));
    assert_eq!(first.json["effective_by"], Millis(NOW.0 + 65_000).rfc3339());
    let entry = rotated.last_entry();
    assert_eq!((&entry["action"], &entry["subject"]), (&json!("key.finish_rotation"), &json!(rotated.old)));
    assert_eq!(entry["detail"]["after"], json!({"expires_at": now, "status": "expired"}));
    rotated.at(70);
    let again = rotated.post("finish-rotation", &json!({}));
    assert_eq!((again.status, &again.json), (200, &first.json));
    assert_eq!(rotated.last_entry(), entry, "nothing is written");
    assert_eq!(rotated.post("extend-rotation", &json!({"overlap_seconds": 60})).verdict(), "409 not_active");
}

#[test]
fn an_overlap_is_prolonged_from_now_up_to_the_keys_own_end() {
    let rotated = Rotated::new();
    rotated.at(60);
    let extend = |seconds: i64| rotated.post("extend-rotation", &json!({"overlap_seconds": seconds}));
    for (seconds, field) in [(0, "overlap_seconds"), (3_540, "overlap_seconds"), (2_592_001, "overlap_seconds")] {
        let refused = extend(seconds);
        assert_eq!((refused.verdict(), &refused.json["field"]), ("400 invalid_request".to_owned(), &json!(field)));
    }
    assert_eq!(rotated.post("extend-rotation", &json!({})).json["field"], "overlap_seconds");
    let longer = extend(7_200);
    assert_eq!((longer.status, &longer.json["key"]["status"]), (200, &json!("retiring")), "{}", longer.text);
    assert_eq!(longer.json["key"]["expires_at"], time(7_260));
    let entry = rotated.last_entry();
    assert_eq!(entry["action"], "key.extend_rotation");
    assert_eq!(
        (&entry["detail"]["before"], &entry["detail"]["after"]),
        (&json!({"expires_at": time(3_600)}), &json!({"expires_at": time(7_260)}))
    );
    assert_eq!(extend(2_592_000).json["key"]["expires_at"], time(10 * DAY));
    assert_eq!(extend(2_592_000).verdict(), "400 invalid_request");
    rotated.at(10 * DAY);
    assert_eq!(extend(60).verdict(), "409 not_active");
}

#[test]
fn only_a_retiring_key_has_an_overlap_to_end_or_prolong() {
    let (plane, owner) = Plane::with_owner();
    let (key, _) = plane.issue(&owner, "crm");
    let call = |operation: &str, body: &Value| {
        let path = format!("v1/keys/{}/{operation}", key["id"].as_str().unwrap());
        plane.call(&post(&path).with("authorization", &bearer(&owner)), body)
    };
    for _ in 0..2 {
        assert_eq!(call("finish-rotation", &json!({})).verdict(), "409 not_active");
        assert_eq!(call("extend-rotation", &json!({"overlap_seconds": 60})).verdict(), "409 not_active");
        call("revoke", &json!({"reason": "leaked"}));
    }
    let auditor = plane.member(&owner, "auditor", &Value::Null);
    let path = format!("v1/keys/{}/finish-rotation", key["id"].as_str().unwrap());
    let refused = plane.call(&post(&path).with("authorization", &bearer(&auditor)), &json!({}));
    assert_eq!(refused.verdict(), "403 forbidden");
}
