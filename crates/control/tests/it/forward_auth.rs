//! Forward auth: another gateway asks, and the gate decides about its client's request.

use keyward_testkit::gate_world::ClientRequest;
use serde_json::json;

use crate::test_plane::{Plane, TestReply, bearer, key_draft, post};

/// The question about `GET /v1/contacts` with a key, by a gateway with this credential.
fn asking(key: &str, verifier: Option<&str>) -> ClientRequest {
    let request = ClientRequest::new("GET /_keyward/v1/authorize/v1/contacts").with("authorization", &bearer(key));
    match verifier {
        Some(verifier) => request.with("keyward-verifier", verifier).with("keyward-client-address", "192.0.2.7"),
        None => request,
    }
}

fn ask(plane: &Plane, key: &str, verifier: Option<&str>) -> TestReply {
    plane.send(&asking(key, verifier), b"")
}

/// Revokes the key or member with this credential.
fn revoke(plane: &Plane, owner: &str, kind: &str, credential: &str) {
    let id: Vec<&str> = credential.split('_').take(3).collect();
    let path = format!("v1/{kind}/{}/revoke", id.join("_"));
    let body = if kind == "keys" { json!({"reason": "leaked"}) } else { json!({}) };
    let revoked = plane.call(&post(&path).with("authorization", &bearer(owner)), &body);
    assert_eq!(revoked.status, 200, "{}", revoked.text);
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
fn a_gateways_credential_must_cover_the_keys_environment() {
    let (plane, owner) = Plane::with_owner();
    let (_, text) = plane.issue(&owner, "crm");
    let verifier = plane.member(&owner, "verifier", &json!(["live"]));
    let elsewhere = plane.member(&owner, "verifier", &json!(["test"]));
    let auditor = plane.member(&owner, "auditor", &json!(null));
    let other_owner = plane.member(&owner, "owner", &json!(null));
    assert_eq!(ask(&plane, &text, Some(&verifier)).status, 200);
    for untrusted in [&elsewhere, &auditor, &other_owner, &text, "nonsense"] {
        let refused = ask(&plane, &text, Some(untrusted));
        assert_eq!((refused.status, &refused.json["code"]), (403, &json!("forbidden")), "{untrusted}");
        assert!(refused.text.contains("Its operator must replace it."), "{}", refused.text);
    }
    assert!(plane.logged("verifier_refused"));
    let asked = plane.asked();
    assert_eq!(ask(&plane, "nonsense", Some(&verifier)).status, 401);
    assert_eq!(plane.asked(), asked, "garbage costs no call of the registry");
    plane.platform.reachable.set(false);
    assert_eq!(ask(&plane, &text, Some(&verifier)).status, 200, "the authority confirmed it within the bound");
    plane.later(5_001);
    assert_eq!(ask(&plane, &text, Some(&verifier)).json["code"], "authority_unavailable");
}

#[test]
fn one_confirmation_of_a_gateway_serves_every_request_for_the_bound() {
    let (plane, owner) = Plane::with_owner();
    let (_, text) = plane.issue(&owner, "crm");
    let verifier = plane.member(&owner, "verifier", &json!(null));
    let before = plane.control_queries();
    for number in 0..9_999 {
        assert_eq!(ask(&plane, &text, Some(&verifier)).status, 200, "request {number}");
        plane.later(i64::from(number % 2 == 0));
    }
    assert_eq!(plane.control_queries() - before, 1, "9,999 requests in less than 5,000 ms");
    assert_eq!(ask(&plane, &text, Some(&verifier)).status, 200);
    assert_eq!(plane.control_queries() - before, 2);
    assert_eq!(plane.serve_together(&vec![asking(&text, Some(&verifier)); 200]), ["200"; 200]);
    assert_eq!(plane.control_queries() - before, 2);
    plane.later(5_001);
    assert_eq!(plane.serve_together(&vec![asking(&text, Some(&verifier)); 200]), ["200"; 200]);
    assert_eq!(plane.control_queries() - before, 3, "concurrent requests share one confirmation");
}

#[test]
fn members_that_use_up_the_rate_of_queries_do_not_hold_up_a_gateway() {
    let (plane, owner) = Plane::with_owner();
    let (_, text) = plane.issue(&owner, "crm");
    let verifier = plane.member(&owner, "verifier", &json!(null));
    let members: Vec<_> = (0..4).map(|_| plane.member(&owner, "auditor", &json!(null))).collect();
    assert_eq!(ask(&plane, &text, Some(&verifier)).status, 200);
    plane.later(5_001);
    let calls: Vec<_> = members.iter().flat_map(|member| vec![member; 90]).collect();
    let limited = calls.iter().filter(|member| plane.get("v1/me", member).status == 429).count();
    assert!(limited > 100, "{limited}");
    let before = plane.control_queries();
    assert_eq!(ask(&plane, &text, Some(&verifier)).verdict(), "200");
    assert_eq!(plane.control_queries() - before, 1);
}

#[test]
fn a_revoked_gateway_is_refused_within_the_bound_and_costs_one_query() {
    let (plane, owner) = Plane::with_owner();
    let (_, text) = plane.issue(&owner, "crm");
    let verifier = plane.member(&owner, "verifier", &json!(null));
    assert_eq!(ask(&plane, &text, Some(&verifier)).status, 200);
    plane.later(1);
    revoke(&plane, &owner, "members", &verifier);
    plane.later(5_000);
    let before = plane.control_queries();
    for _ in 0..10_000 {
        assert_eq!(ask(&plane, &text, Some(&verifier)).verdict(), "403 forbidden");
    }
    assert_eq!(plane.control_queries() - before, 1);
    plane.platform.reachable.set(false);
    assert_eq!(ask(&plane, &text, Some(&verifier)).verdict(), "403 forbidden");
}

#[test]
fn a_refused_gateway_does_not_learn_which_addresses_a_key_may_be_used_from() {
    let (plane, owner) = Plane::with_owner();
    let mut draft = key_draft("near");
    draft["allowed_cidrs"] = json!(["198.51.100.0/24"]);
    let made = plane.call(&post("v1/keys").with("authorization", &bearer(&owner)), &draft);
    let text = made.json["api_key"].as_str().unwrap().to_owned();
    let [verifier, gone] = [(); 2].map(|()| plane.member(&owner, "verifier", &json!(null)));
    let elsewhere = plane.member(&owner, "verifier", &json!(["test"]));
    revoke(&plane, &owner, "members", &gone);
    assert_eq!(ask(&plane, &text, Some(&verifier)).verdict(), "403 address_not_allowed");
    for address in ["192.0.2.7", "198.51.100.7"] {
        for untrusted in [&gone, &elsewhere, &owner] {
            let request = asking(&text, None).with("keyward-verifier", untrusted);
            let refused = plane.send(&request.with("keyward-client-address", address), b"");
            assert_eq!(refused.verdict(), "403 forbidden", "{address} {untrusted}");
        }
    }
}

#[test]
fn a_slow_confirmation_of_the_gateway_does_not_let_a_revoked_key_pass_after_the_bound() {
    let (plane, owner) = Plane::with_owner();
    let (_, text) = plane.issue(&owner, "crm");
    let [verifier, slow] = [(); 2].map(|()| plane.member(&owner, "verifier", &json!(null)));
    assert_eq!(ask(&plane, &text, Some(&verifier)).status, 200);
    plane.later(1);
    revoke(&plane, &owner, "keys", &text);
    plane.later(4_700);
    assert_eq!(ask(&plane, &text, Some(&verifier)).status, 200, "the bound has not passed");
    plane.platform.timeouts.set(1);
    assert_eq!(ask(&plane, &text, Some(&slow)).verdict(), "401 revoked_key", "the first try hangs for 1.5 s");
}

#[test]
fn a_confirmation_that_takes_longer_than_the_bound_is_not_used() {
    let (plane, owner) = Plane::with_owner();
    let (_, text) = plane.issue(&owner, "crm");
    let verifier = plane.member(&owner, "verifier", &json!(null));
    assert_eq!(ask(&plane, &text, None).status, 200);
    plane.platform.timeouts.set(9);
    assert_eq!(ask(&plane, &text, Some(&verifier)).verdict(), "503 authority_unavailable");
}

#[test]
fn the_type_of_a_problem_leads_to_the_gate_and_not_to_the_api_behind_the_gateway() {
    for (changes, base) in [
        (json!({}), "https://gate.example"),
        (json!({"ISSUER": "https://keys.example.com/_keyward"}), "https://keys.example.com"),
    ] {
        let plane = Plane::new(&changes);
        let refused = ask(&plane, "nonsense", None);
        assert_eq!(refused.json["type"], format!("{base}/_keyward/problems/invalid_key"));
        let own = plane.send(&ClientRequest::new("GET /_keyward/v1/me"), b"");
        assert_eq!(own.json["type"], "/_keyward/problems/missing_key");
    }
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
    // A gateway's confirmation is cached for the bound.
    plane.later(5_000);
    for method in ["GET", "POST"] {
        for address in ["192.0.2.7", "198.51.100.1"] {
            assert_eq!(ask(method, address), "forbidden", "{method} {address}");
        }
    }
}

#[test]
fn gateways_and_workers_renew_leases_before_a_request_has_to_wait() {
    let limits = json!([{"name": "burst", "requests": 100, "seconds": 60}]);
    let (plane, owner) = Plane::with_owner_of(&json!({"DEFAULT_LIMITS": limits}));
    plane.platform.lease_units.set(Some(4));
    let (_, text) = plane.issue(&owner, "crm");
    let renewals = |work: &dyn Fn() -> u16| -> Vec<u32> {
        let before = plane.platform.renewals.get();
        (0..3)
            .map(|_| {
                assert_eq!(work(), 200);
                plane.platform.renewals.get() - before
            })
            .collect()
    };
    // A quarter of the four units is left after the third request.
    assert_eq!(renewals(&|| ask(&plane, &text, None).status), [0, 0, 1]);
    let (_, text) = plane.issue(&owner, "erp");
    let verifier = plane.member(&owner, "verifier", &json!(null));
    let verify = post("v1/verify").with("authorization", &bearer(&verifier));
    let body = json!({"api_key": text, "count": true});
    assert_eq!(renewals(&|| plane.call(&verify, &body).status), [0, 0, 1]);
}

#[test]
fn a_limit_that_a_gateway_or_another_worker_reaches_is_announced_once_for_each_key() {
    let limits = json!([{"name": "burst", "requests": 100, "seconds": 60}]);
    let (plane, owner) = Plane::with_owner_of(&json!({"DEFAULT_LIMITS": limits}));
    plane.platform.lease_units.set(Some(0));
    let announced = || {
        let page = plane.get("v1/audit?action=key.reach_limit", &owner);
        let items = page.json["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["subject"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (first, text) = plane.issue(&owner, "crm");
    let refused = ask(&plane, &text, None);
    assert_eq!((refused.status, &refused.json["code"]), (403, &json!("rate_limited")));
    assert_eq!(announced(), [first["id"].as_str().unwrap()]);
    let verifier = plane.member(&owner, "verifier", &json!(null));
    let verify = post("v1/verify").with("authorization", &bearer(&verifier));
    let (second, other) = plane.issue(&owner, "erp");
    for text in [&text, &other, &other] {
        let reply = plane.call(&verify, &json!({"api_key": text, "count": true}));
        assert_eq!((reply.status, &reply.json["code"]), (200, &json!("rate_limited")), "{}", reply.text);
    }
    assert_eq!(announced(), [first["id"].as_str().unwrap(), second["id"].as_str().unwrap()]);
}

#[test]
fn a_limit_is_announced_though_the_first_decision_waits_for_the_gateways_confirmation() {
    let limits = json!([{"name": "burst", "requests": 100, "seconds": 60}]);
    let (plane, owner) = Plane::with_owner_of(&json!({"DEFAULT_LIMITS": limits}));
    plane.platform.lease_units.set(Some(0));
    let (key, text) = plane.issue(&owner, "crm");
    let verifier = plane.member(&owner, "verifier", &json!(null));
    let refused = ask(&plane, &text, Some(&verifier));
    assert_eq!((refused.status, &refused.json["code"]), (403, &json!("rate_limited")), "{}", refused.text);
    let page = plane.get("v1/audit?action=key.reach_limit", &owner);
    let announced: Vec<_> = page.json["items"].as_array().unwrap().iter().map(|item| &item["subject"]).collect();
    assert_eq!(announced, [&key["id"]]);
}
