//! `GET /_keyward/metrics`: who may read it, in which form, and that it shows no key.

use keyward_testkit::gate_world::ClientRequest;
use keyward_testkit::registry_world::DAY;
use serde_json::{Value, json};

use crate::test_plane::{Plane, TestReply, bearer, post};

const TOKEN: &str = "a-metrics-token-of-a-test-0";

fn scrape(plane: &Plane, credential: &str, accept: Option<&str>) -> TestReply {
    let request = ClientRequest::new("GET /_keyward/metrics").with("authorization", &bearer(credential));
    let request = accept.iter().fold(request, |request, accept| request.with("accept", accept));
    plane.send(&request, b"")
}

#[test]
fn only_owners_auditors_and_the_token_read_the_metrics() {
    let (plane, owner) = Plane::with_owner_of(&json!({"METRICS_TOKEN": TOKEN}));
    for credential in [&owner, TOKEN] {
        let reply = scrape(&plane, credential, None);
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert!(reply.text.contains("keyward_build_info{version="), "{}", reply.text);
        assert!(!reply.text.contains("wafl_"), "no key or member is named");
    }
    for role in ["manager", "responder", "verifier"] {
        let credential = plane.member(&owner, role, &Value::Null);
        assert_eq!(scrape(&plane, &credential, None).verdict(), "403 forbidden", "{role}");
    }
    let auditor = plane.member(&owner, "auditor", &Value::Null);
    assert_eq!(scrape(&plane, &auditor, None).status, 200);
    for credential in ["", "another-token-of-another-test", &TOKEN.to_uppercase()] {
        assert_eq!(scrape(&plane, credential, None).verdict(), "401 invalid_key", "{credential}");
    }
    let request = ClientRequest::new("GET /_keyward/v1/keys").with("authorization", &bearer(TOKEN));
    assert_eq!(plane.send(&request, b"").verdict(), "401 invalid_key", "the token reads nothing else");
    let (plane, _) = Plane::with_owner();
    assert_eq!(scrape(&plane, TOKEN, None).verdict(), "401 invalid_key", "without the setting");
}

#[test]
fn the_form_follows_accept() {
    let (plane, owner) = Plane::with_owner();
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                      text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    for (accept, is_open_metrics) in [
        (None, false),
        (Some("*/*"), false),
        (Some("text/plain"), false),
        (Some("application/json"), false),
        (Some("application/openmetrics-text"), true),
        (Some(prometheus), true),
    ] {
        let reply = scrape(&plane, &owner, accept);
        let expected = if is_open_metrics {
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        } else {
            "text/plain; version=0.0.4; charset=utf-8"
        };
        assert_eq!(reply.header("content-type"), Some(expected), "{accept:?}");
        assert_eq!(reply.text.ends_with("# EOF\n"), is_open_metrics, "{accept:?}");
        assert_eq!(reply.header("vary"), Some("Accept"));
    }
}

#[test]
fn gauges_show_the_registry_now() {
    let (plane, owner) = Plane::with_owner();
    let ids: Vec<String> =
        (0..3).map(|number| plane.issue(&owner, &format!("i-{number}")).0["id"].as_str().unwrap().to_owned()).collect();
    let revoke = post(&format!("v1/keys/{}/revoke", ids[0])).with("authorization", &bearer(&owner));
    assert_eq!(plane.call(&revoke, &json!({"reason": "unused"})).status, 200);
    let shows = |line: &str| {
        let text = scrape(&plane, &owner, None).text;
        assert!(text.lines().any(|shown| shown == line), "{line} in\n{text}");
    };
    shows(r#"keyward_keys{status="active",environment="live"} 2"#);
    shows(r#"keyward_keys{status="revoked",environment="live"} 1"#);
    shows(r#"keyward_keys{status="pending",environment="test"} 0"#);
    shows(r#"keyward_keys_expiring{within="30d"} 0"#);
    shows(r#"keyward_members{role="owner"} 1"#);
    shows("keyward_audit_entries 5");
    shows("keyward_keys_idle 0");
    plane.later(88 * DAY * 1_000);
    shows(r#"keyward_keys_expiring{within="1d"} 0"#);
    shows(r#"keyward_keys_expiring{within="7d"} 2"#);
    plane.later(3 * DAY * 1_000);
    shows(r#"keyward_keys{status="expired",environment="live"} 2"#);
    shows(r#"keyward_keys_expiring{within="30d"} 0"#);
}

#[test]
fn a_shard_that_does_not_answer_fails_the_scrape() {
    let (plane, owner) = Plane::with_owner();
    plane.platform.shards_reachable.set(false);
    assert_eq!(scrape(&plane, &owner, None).verdict(), "503 authority_unavailable", "a counter would look reset");
}
