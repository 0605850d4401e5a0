//! Forward auth: another gateway asks, and the gate decides about its client's request.

use keyward_testkit::gate_world::ClientRequest;
use serde_json::json;

use crate::test_plane::{Plane, TestReply, bearer, post};

/// Asks about `GET /v1/contacts` with a key, as a gateway with this credential.
fn ask(plane: &Plane, key: &str, verifier: Option<&str>) -> TestReply {
    let request =
        ClientRequest::new("GET /_keyward/v1/authorize/v1/contacts").with("authorization", &format!("Bearer {key}"));
    let request = match verifier {
        Some(verifier) => request.with("keyward-verifier", verifier).with("keyward-client-ip", "192.0.2.7"),
        None => request,
    };
    plane.send(&request, b"")
}

#[test]
fn a_good_key_gets_200_with_the_identity_and_a_bad_one_the_gates_refusal() {
    let (plane, owner) = Plane::with_owner();
    let (key, text) = plane.issue(&owner, "crm");
    let reply = ask(&plane, &text, None);
    assert_eq!(reply.status, 200, "{}", reply.text);
    let id = key["id"].as_str().unwrap();
    assert!(reply.headers.iter().any(|(_, value)| value == id), "{:?}", reply.headers);
    assert!(reply.headers.iter().any(|(name, _)| name.contains("assertion")), "{:?}", reply.headers);
    let refused = ask(&plane, "nonsense", None);
    assert_eq!((refused.status, &refused.json["code"]), (401, &json!("invalid_key")));
}

#[test]
fn a_gateways_credential_must_vouch_for_the_keys_environment() {
    let (plane, owner) = Plane::with_owner();
    let (_, text) = plane.issue(&owner, "crm");
    let verifier = plane.member(&owner, "verifier", &json!(["live"]));
    let elsewhere = plane.member(&owner, "verifier", &json!(["test"]));
    let auditor = plane.member(&owner, "auditor", &json!(null));
    assert_eq!(ask(&plane, &text, Some(&verifier)).status, 200);
    for untrusted in [elsewhere.as_str(), auditor.as_str(), owner.as_str(), text.as_str(), "nonsense"] {
        let refused = ask(&plane, &text, Some(untrusted));
        assert_eq!((refused.status, &refused.json["code"]), (403, &json!("forbidden")), "{untrusted}");
        assert!(refused.text.contains("Its operator must replace it."), "{}", refused.text);
    }
    assert!(plane.logged("verifier_refused"));
    let asked = plane.asked();
    assert_eq!(ask(&plane, "nonsense", Some(&verifier)).status, 401);
    assert_eq!(plane.asked(), asked, "garbage costs no call of the registry");
    plane.platform.reachable.set(false);
    assert_eq!(ask(&plane, &text, Some(&verifier)).json["code"], "authority_unavailable");
}

#[test]
fn a_gateway_that_asks_at_another_path_is_refused() {
    let (plane, _) = Plane::with_owner();
    let request = ClientRequest::new("GET /_keyward/v1/me")
        .with("x-original-uri", "/v1/contacts")
        .with("x-original-method", "GET");
    let refused = plane.send(&request, b"");
    assert!(refused.status >= 400, "{}", refused.text);
    assert_eq!(plane.asked(), 0);
}

#[test]
fn a_revoked_verifier_does_not_learn_which_addresses_a_key_may_come_from() {
    let (plane, owner) = Plane::with_owner();
    let verifier = plane.member(&owner, "verifier", &json!(null));
    let mut draft = crate::test_plane::key_draft("crm");
    draft["allowed_cidrs"] = json!(["192.0.2.0/24"]);
    let made = plane.call(&post("v1/keys").with("authorization", &bearer(&owner)), &draft);
    let text = made.json["api_key"].as_str().unwrap();
    let ask = |method: &str, address: &str| {
        let request = ClientRequest::new("GET /_keyward/v1/authorize")
            .with("authorization", &bearer(text))
            .with("x-original-uri", "/v1/contacts")
            .with("x-original-method", method)
            .with("keyward-verifier", &verifier)
            .with("keyward-client-address", address);
        plane.send(&request, b"").json["code"].clone()
    };
    assert_eq!([ask("GET", "192.0.2.7"), ask("GET", "198.51.100.1")], [json!(null), json!("address_not_allowed")]);
    assert_eq!(ask("POST", "192.0.2.7"), "insufficient_scope");
    let id: String = verifier.split('_').take(3).collect::<Vec<_>>().join("_");
    plane.call(&post(&format!("v1/members/{id}/revoke")).with("authorization", &bearer(&owner)), &json!({}));
    for method in ["GET", "POST"] {
        for address in ["192.0.2.7", "198.51.100.1"] {
            assert_eq!(ask(method, address), "forbidden", "{method} {address}");
        }
    }
}
