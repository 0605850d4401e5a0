//! Receivers of leak reports: who may report, what is revoked, and that the answers tell nothing.

use crate::test_plane::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_control::leaks::github_keys::Fetched;
use keyward_key::id::Environment;
use keyward_testkit::gate_world::ClientRequest;
use serde_json::{Value, json};

const TOKEN: &str = "a-token-of-gitlab-of-a-test";
/// `SEQUENCE { 1, 1 }`
const SIGNATURE: &str = "MAYCAQECAQE=";

fn with_token() -> (Plane, String) {
    let (plane, owner) = Plane::with_owner_of(&json!({"LEAK_GITLAB_TOKEN": TOKEN}));
    let list = json!({"public_keys": [{"key_identifier": "one", "is_current": true,
        "key": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}]});
    serve_list(&plane, &list.to_string());
    let mut right = [0; 64];
    (right[31], right[63]) = (1, 1);
    plane.platform.right_signature.set(right);
    (plane, owner)
}

fn serve_list(plane: &Plane, text: &str) {
    *plane.platform.list.borrow_mut() = Ok(Fetched::List { text: text.to_owned(), etag: Some("\"1\"".to_owned()) });
}

fn github_as(plane: &Plane, identifier: &str, signature: &str, body: &Value) -> TestReply {
    let request = post("v1/leaks/github")
        .with("github-public-key-identifier", identifier)
        .with("github-public-key-signature", signature);
    plane.call(&request, body)
}

fn github(plane: &Plane, body: &Value) -> TestReply {
    github_as(plane, "one", SIGNATURE, body)
}

fn gitlab(plane: &Plane, body: &Value) -> TestReply {
    plane.call(&post("v1/leaks/gitlab/v1/revoke_tokens").with("authorization", TOKEN), body)
}

fn public(plane: &Plane, body: &Value) -> TestReply {
    plane.call(&post("v1/leaks").with("cf-connecting-ip", "192.0.2.7"), body)
}

fn status(plane: &Plane, owner: &str, key: &Value) -> Value {
    plane.get(&format!("v1/keys/{}", key["id"].as_str().unwrap()), owner).json["status"].clone()
}

fn leaks(plane: &Plane, owner: &str) -> Vec<Value> {
    plane.get("v1/leaks", owner).json["items"].as_array().unwrap().clone()
}

/// A key with the right tag whose id exists nowhere.
fn unknown(plane: &Plane) -> String {
    keyward_testkit::gate_world::Key::live(&plane.config, 77).text
}

#[test]
fn each_receiver_revokes_the_key_and_records_a_report_without_its_text() {
    let (plane, owner) = with_token();
    for (number, source) in ["github", "gitlab", "public"].into_iter().enumerate() {
        let (key, text) = plane.issue(&owner, source);
        let url = format!("https://a.example/{number}?k={text}");
        let reply = match source {
            "github" => github(&plane, &json!([{"token": text, "type": "t", "url": url, "source": "commit"}])),
            "gitlab" => gitlab(&plane, &json!([{"token": text, "type": "t", "location": url}])),
            _ => public(
                &plane,
                &json!({"keys": [text], "note": format!("see {text}"), "found_at": "2026-01-01T00:00:00Z"}),
            ),
        };
        assert_eq!(reply.status, [200, 204, 202][number], "{source} {}", reply.text);
        assert_eq!(status(&plane, &owner, &key), "revoked", "{source}");
        let found = leaks(&plane, &owner);
        assert_eq!(found.len(), number + 1);
        let leak = &found[0];
        assert_eq!(leak["source"], source);
        let item = &leak["items"][0];
        assert_eq!((&item["key_id"], &item["was_active"]), (&key["id"], &json!(true)));
        assert_eq!(item["routes"][0], "GET /v1/contacts", "{item}");
        if source == "public" {
            assert_eq!((&leak["note"], &leak["found_at"]), (&json!("see [key]"), &json!("2026-01-01T00:00:00.000Z")));
        } else {
            assert_eq!(leak["place"], format!("https://a.example/{number}?k=[key]"));
        }
        let shown = plane.get(&format!("v1/leaks/{}", leak["id"].as_str().unwrap()), &owner);
        assert_eq!(&shown.json, leak);
        assert!(!shown.text.contains(&text));
        let messages = format!("{:?}", plane.platform.messages.borrow());
        assert!(!messages.contains(&text), "the registry gets no text");
    }
}

/// Each has its body in memory, and anyone can let one arrive slowly.
#[test]
fn a_receiver_handles_eight_reports_at_the_same_time_and_another_receiver_its_own() {
    let (plane, owner) = with_token();
    let github = post("v1/leaks/github")
        .with("content-type", "application/json")
        .with("github-public-key-identifier", "one")
        .with("github-public-key-signature", SIGNATURE);
    let gitlab =
        post("v1/leaks/gitlab/v1/revoke_tokens").with("content-type", "application/json").with("authorization", TOKEN);
    *plane.platform.body.borrow_mut() = Some(b"[]".to_vec());
    for _ in 0..2 {
        plane.platform.holds_bodies.set(true);
        let verdicts = plane.serve_together(&[vec![github.clone(); 10], vec![gitlab.clone(); 10]].concat());
        let expected = |first: &str| [vec![first.to_owned(); 8], vec!["429 rate_limited".to_owned(); 2]].concat();
        assert_eq!(verdicts, [expected("200"), expected("204")].concat());
    }
    let (key, text) = plane.issue(&owner, "crm");
    assert_eq!(public(&plane, &json!({"keys": [text]})).status, 202);
    assert_eq!(status(&plane, &owner, &key), "revoked");
}

/// Anyone can write well-formed keys with a right check. The tag of each costs two MACs or more, before the answer.
#[test]
fn a_public_report_has_the_tags_of_at_most_a_thousand_keys_checked() {
    let (plane, owner) = with_token();
    let (key, text) = plane.issue(&owner, "crm");
    let forged = forged(&plane);
    assert_eq!(public(&plane, &json!({"keys": [vec![forged.as_str(); 1_000].join(" "), text]})).status, 202);
    assert_eq!(status(&plane, &owner, &key), "active", "the text behind a thousand others is not looked at");
    assert_eq!(public(&plane, &json!({"keys": [vec![forged.as_str(); 999].join(" "), text]})).status, 202);
    assert_eq!(status(&plane, &owner, &key), "revoked");
}

/// A key with a right check and a wrong tag.
pub(crate) fn forged(plane: &Plane) -> String {
    let text = unknown(plane);
    let (secret, tag) = text[..text.len() - 6].split_at(text.len() - 14);
    let body = format!("{secret}{}", if tag == "00000000" { "00000001" } else { "00000000" });
    let check = keyward_key::format::check_of(&body);
    format!("{body}{}", std::str::from_utf8(&check).unwrap())
}

/// An endpoint that is limited to the other environment does not receive a report that is only about keys of this one.
#[test]
fn the_event_of_a_report_has_the_environment_of_its_keys() {
    let (plane, owner) = with_token();
    let (_, live) = plane.issue(&owner, "crm");
    let (_, other) = plane.issue(&owner, "erp");
    let manager = plane.member(&owner, "manager", &Value::Null);
    for (texts, expected) in [(vec![live], Some(Environment::Live)), (vec![other, manager], None)] {
        assert_eq!(public(&plane, &json!({"keys": texts})).status, 202);
        let event = plane.events().pop().unwrap();
        assert_eq!((event.kind.as_str(), event.environment), ("leak.reported", expected));
    }
}

#[test]
fn a_members_credential_is_revoked_too() {
    let (plane, owner) = with_token();
    let manager = plane.member(&owner, "manager", &Value::Null);
    assert_eq!(public(&plane, &json!({"keys": [manager]})).status, 202);
    assert_eq!(plane.get("v1/me", &manager).verdict(), "401 invalid_key");
}

#[test]
fn github_is_answered_whether_this_deployment_minted_each_text() {
    let (plane, owner) = with_token();
    let (_, text) = plane.issue(&owner, "crm");
    let body = json!([
        {"token": text, "type": "t", "url": "u"}, {"token": "wafl_live_x", "type": "t", "url": "u"},
        {"type": "t", "url": "u"}, 7, {"token": 7}, {"token": unknown(&plane)},
    ]);
    let first = github(&plane, &body);
    assert_eq!(
        first.json,
        json!([
            {"token_raw": text, "token_type": "t", "label": "true_positive"},
            {"token_raw": "wafl_live_x", "token_type": "t", "label": "false_positive"},
            {"token_raw": unknown(&plane), "token_type": "", "label": "true_positive"},
        ])
    );
    assert_eq!(github(&plane, &body).text, first.text, "a revoked key is a true positive");
    assert_eq!(leaks(&plane, &owner).len(), 1, "a replay stores nothing");
}

#[test]
fn a_report_without_githubs_signature_is_refused_and_does_nothing() {
    let (plane, owner) = with_token();
    let (key, text) = plane.issue(&owner, "crm");
    let body = json!([{"token": text}]);
    let before = plane.asked();
    for (identifier, signature) in [
        ("one", ""),
        ("one", "MAYCAQECAQI="),
        ("one", "AAAA"),
        ("one", "not base64"),
        ("two", SIGNATURE),
        ("", SIGNATURE),
    ] {
        let reply = github_as(&plane, identifier, signature, &body);
        assert_eq!(reply.verdict(), "401 invalid_signature", "{identifier} {signature}");
    }
    assert_eq!(plane.call(&post("v1/leaks/github"), &body).verdict(), "401 invalid_signature");
    assert_eq!(plane.asked(), before);
    assert_eq!(status(&plane, &owner, &key), "active");
    for wrong in [json!({}), json!("x"), json!(1)] {
        assert_eq!(github(&plane, &wrong).verdict(), "400 invalid_request", "{wrong}");
    }
    assert_eq!(github(&plane, &json!([])).text, "[]");
}

#[test]
fn githubs_list_is_fetched_once_a_minute_at_most_and_conditionally() {
    let (plane, _) = with_token();
    let fetches = || plane.platform.fetches.borrow().len();
    assert_eq!(github(&plane, &json!([])).status, 200);
    for _ in 0..50 {
        assert_eq!(github_as(&plane, "two", SIGNATURE, &json!([])).verdict(), "401 invalid_signature");
    }
    assert_eq!(fetches(), 1);
    plane.later(61_000);
    for _ in 0..50 {
        assert_eq!(github_as(&plane, "two", SIGNATURE, &json!([])).verdict(), "401 invalid_signature");
    }
    assert_eq!(*plane.platform.fetches.borrow(), [None, Some("\"1\"".to_owned())]);
    *plane.platform.list.borrow_mut() = Ok(Fetched::NotModified);
    plane.later(1_800_000);
    assert_eq!(github(&plane, &json!([])).status, 200);
    assert_eq!(fetches(), 3);
}

#[test]
fn without_githubs_list_a_report_is_answered_503() {
    let (plane, owner) = with_token();
    let (key, text) = plane.issue(&owner, "crm");
    let body = json!([{"token": text}]);
    for list in [Err("timeout".to_owned()), Ok(Fetched::List { text: "[]".to_owned(), etag: None })] {
        *plane.platform.list.borrow_mut() = list;
        assert_eq!(github(&plane, &body).verdict(), "503 authority_unavailable");
        assert_eq!(github(&plane, &body).verdict(), "503 authority_unavailable", "not fetched again at once");
        plane.later(61_000);
    }
    assert_eq!(plane.platform.fetches.borrow().len(), 2);
    assert_eq!(status(&plane, &owner, &key), "active");
    // A list that was fetched before serves for a day.
    serve_list(
        &plane,
        &json!({"public_keys": [{"key_identifier": "one", "key":
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"}]})
        .to_string(),
    );
    assert_eq!(github(&plane, &json!([])).status, 200);
    *plane.platform.list.borrow_mut() = Err("timeout".to_owned());
    plane.later(80_000_000);
    assert_eq!(github(&plane, &body).status, 200);
    plane.later(7_000_000);
    assert_eq!(github(&plane, &body).verdict(), "503 authority_unavailable");
}

#[test]
fn an_unreachable_registry_is_503_for_github_and_gitlab_who_retry() {
    let (plane, owner) = with_token();
    let (key, text) = plane.issue(&owner, "crm");
    plane.platform.reachable.set(false);
    assert_eq!(github(&plane, &json!([{"token": text}])).verdict(), "503 authority_unavailable");
    assert_eq!(gitlab(&plane, &json!([{"token": text}])).verdict(), "503 authority_unavailable");
    assert_eq!(public(&plane, &json!({"keys": [text]})).status, 202);
    assert!(plane.platform.log.borrow().iter().any(|line| line.starts_with("leak_report_failed")));
    plane.platform.reachable.set(true);
    assert_eq!(gitlab(&plane, &json!([{"token": text}])).status, 204);
    assert_eq!(status(&plane, &owner, &key), "revoked");
}

#[test]
fn gitlabs_endpoints_are_absent_without_a_token_and_need_it_exactly() {
    let (absent, _) = Plane::with_owner();
    let (plane, _) = with_token();
    let types = |plane: &Plane, token: &str| {
        let request = ClientRequest::new("GET /_keyward/v1/leaks/gitlab/v1/revocable_token_types");
        plane.send(&if token.is_empty() { request } else { request.with("authorization", token) }, b"")
    };
    assert_eq!(types(&absent, TOKEN).verdict(), "404 no_route");
    assert_eq!(gitlab(&absent, &json!([])).verdict(), "404 no_route");
    assert_eq!(types(&plane, TOKEN).json, json!({"types": ["gitleaks_rule_id_keyward-wafl"]}));
    for (token, verdict) in [
        ("", "401 missing_key"),
        ("x", "401 invalid_key"),
        (&bearer(TOKEN), "401 invalid_key"),
        (&TOKEN[1..], "401 invalid_key"),
    ] {
        assert_eq!(types(&plane, token).verdict(), verdict);
        let mut request = post("v1/leaks/gitlab/v1/revoke_tokens");
        if !token.is_empty() {
            request = request.with("authorization", token);
        }
        assert_eq!(plane.call(&request, &json!([])).verdict(), verdict);
    }
    assert_eq!(gitlab(&plane, &json!({})).verdict(), "400 invalid_request");
    let empty = gitlab(&plane, &json!([{"token": "x"}]));
    assert_eq!((empty.status, empty.text.as_str()), (204, ""));
}

#[test]
fn the_public_answer_is_the_same_for_every_text_and_precedes_the_registry() {
    let (plane, owner) = with_token();
    let (_, text) = plane.issue(&owner, "crm");
    let bodies = [vec![text.clone()], vec![unknown(&plane)], vec!["x".to_owned()], vec![text]];
    let mut replies: Vec<_> = bodies
        .iter()
        .map(|keys| {
            let TestReply { status, mut headers, text, .. } = public(&plane, &json!({ "keys": keys }));
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case("keyward-request-id"));
            (status, headers, text)
        })
        .collect();
    replies.dedup();
    assert_eq!(replies.len(), 1, "{replies:?}");
    assert_eq!((replies[0].0, replies[0].2.as_str()), (202, r#"{"status":"accepted"}"#));
}

#[test]
fn texts_without_a_right_tag_ask_nothing() {
    let (plane, owner) = with_token();
    let (_, text) = plane.issue(&owner, "crm");
    let before = plane.asked();
    let garbage = &text[..text.len() - 1];
    assert_eq!(github(&plane, &json!([{"token": garbage}])).status, 200);
    assert_eq!(gitlab(&plane, &json!([{"token": garbage}])).status, 204);
    assert_eq!(public(&plane, &json!({"keys": [garbage, "x"]})).status, 202);
    assert_eq!(plane.asked(), before);
    // A key that exists nowhere leaves nothing.
    assert_eq!(public(&plane, &json!({"keys": [unknown(&plane)]})).status, 202);
    assert!(leaks(&plane, &owner).is_empty());
}

#[test]
fn an_address_has_twenty_public_reports_at_once() {
    let (plane, _) = with_token();
    for _ in 0..20 {
        assert_eq!(public(&plane, &json!({"keys": ["x"]})).status, 202);
    }
    let limited = public(&plane, &json!({"keys": ["x"]}));
    assert_eq!(limited.verdict(), "429 rate_limited");
    assert!(limited.header("retry-after").is_some());
    let other = post("v1/leaks").with("cf-connecting-ip", "192.0.2.8");
    assert_eq!(plane.call(&other, &json!({"keys": ["x"]})).status, 202);
    plane.later(3_000);
    assert_eq!(public(&plane, &json!({"keys": ["x"]})).status, 202);
}

#[test]
fn a_wrong_public_report_is_refused() {
    let (plane, _) = with_token();
    for (body, field) in [
        (json!({}), "keys"),
        (json!({"keys": "x"}), "keys"),
        (json!({"keys": vec!["x"; 1_001]}), "keys"),
        (json!({"keys": ["x"], "found_at": "yesterday"}), "found_at"),
        (json!({"keys": ["x"], "colour": 1}), "colour"),
    ] {
        let reply = plane.call(&post("v1/leaks").with("cf-connecting-ip", "192.0.2.99"), &body);
        assert_eq!(reply.verdict(), "400 invalid_request", "{body}");
        assert_eq!(reply.json["field"], field);
    }
    *plane.platform.body.borrow_mut() = None;
    let reply = plane.send(&post("v1/leaks").with("content-type", "application/json"), &vec![b'x'; 1_048_577]);
    assert_eq!(reply.verdict(), "413 body_too_large");
}

#[test]
fn the_rules_find_a_key() {
    let (plane, _) = with_token();
    let reply = plane.send(&ClientRequest::new("GET /_keyward/v1/leaks/rules"), b"");
    assert_eq!(reply.json["github"], "wafl_(live|test|admin)_[0-9A-Za-z]{12}_[0-9A-Za-z]{46}");
    assert!(reply.json["gitleaks"].as_str().unwrap().contains("keyward-wafl"));
    assert!(reply.json["trufflehog"].as_str().unwrap().contains("(?:live|test|admin)"));
}

/// Signed samples of GitHub's partner program; the second has an integer of 31 bytes.
#[test]
fn githubs_own_samples_are_accepted() {
    let samples: Value =
        serde_json::from_str(include_str!("../../../../tests/vectors/github_secret_scanning.json")).unwrap();
    for sample in samples["samples"].as_array().unwrap() {
        let (plane, _) = with_token();
        let list =
            json!({"public_keys": [{"key_identifier": "k", "key": sample["public_key_pem"], "is_current": true}]});
        serve_list(&plane, &list.to_string());
        let signature = sample["signature_base64_der"].as_str().unwrap();
        // The two integers at the end of the DER text.
        let der = STANDARD.decode(signature).unwrap();
        let r_length = usize::from(der[3]);
        let (r, s) = (&der[4..4 + r_length], &der[6 + r_length..]);
        let mut raw = [0; 64];
        let r = r.strip_prefix(&[0]).unwrap_or(r);
        raw[32 - r.len()..32].copy_from_slice(r);
        raw[64 - s.len()..].copy_from_slice(s);
        plane.platform.right_signature.set(raw);
        let body: Value = serde_json::from_str(sample["body"].as_str().unwrap()).unwrap();
        assert_eq!(github_as(&plane, "k", signature, &body).status, 200);
    }
}
