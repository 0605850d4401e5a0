//! Callers of the control plane cannot overload the authority.

use keyward_control::ControlReply;
use keyward_testkit::gate_world::ClientRequest;
use serde_json::{Value, json};

use crate::test_plane::{Plane, TestReply, bearer, post, run};

fn me(credential: &str) -> ClientRequest {
    ClientRequest::new("GET /_keyward/v1/me").with("authorization", &bearer(credential))
}

/// A plane with an owner and a revoked member's credential.
fn with_dead_credential() -> (Plane, String, String) {
    let (plane, owner) = Plane::with_owner();
    let dead = plane.member(&owner, "verifier", &Value::Null);
    let id: Vec<&str> = dead.split('_').take(3).collect();
    let revoke = post(&format!("v1/members/{}/revoke", id.join("_"))).with("authorization", &bearer(&owner));
    assert_eq!(plane.call(&revoke, &json!({})).status, 200);
    plane.platform.messages.borrow_mut().clear();
    (plane, owner, dead)
}

fn is_limited(reply: &TestReply) -> bool {
    let limited = reply.verdict() == "429 rate_limited";
    assert_eq!(reply.header("retry-after"), limited.then_some("1"), "{reply:?}");
    limited
}

#[test]
fn ten_thousand_requests_with_one_dead_credential_cost_one_query() {
    let (plane, owner, dead) = with_dead_credential();
    let replies: Vec<TestReply> = (0..10_000).map(|_| plane.send(&me(&dead), b"")).collect();
    assert_eq!(plane.asked(), 1);
    let (refused, limited) = replies.split_at(20);
    assert!(refused.iter().all(|reply| reply.verdict() == "401 invalid_key"));
    assert!(limited.iter().all(is_limited));
    let id: Vec<&str> = dead.split('_').take(3).collect();
    let logged = plane.platform.log.borrow().iter().filter(|line| line.contains(&id.join("_"))).count();
    assert_eq!(logged, 20, "each refused sign-in is logged with the member's id");
    plane.later(1_000);
    assert_eq!(plane.send(&me(&dead), b"").verdict(), "401 invalid_key");
    let body = json!({"api_key": "x"});
    assert_eq!(plane.call(&post("v1/verify").with("authorization", &bearer(&dead)), &body).status, 401);
    assert_eq!(plane.asked(), 1, "whatever it asks for");
    assert_eq!(plane.send(&me(&owner), b"").status, 200, "another credential is not affected");
    plane.later(600_000);
    assert_eq!(plane.send(&me(&dead), b"").status, 401);
    assert_eq!(plane.asked(), 3, "the authority may have been restored from a backup");
}

#[test]
fn ten_thousand_revocations_of_one_key_by_its_holder_cost_one_query() {
    let (plane, owner) = Plane::with_owner();
    let (key, text) = plane.issue(&owner, "crm");
    let before = plane.asked();
    let mut limited = 0;
    for number in 0..10_000_u32 {
        let request = post("oauth/revoke")
            .with("content-type", "application/x-www-form-urlencoded")
            .with("cf-connecting-ip", &std::net::Ipv4Addr::from(number).to_string());
        let reply = plane.send(&request, format!("token={text}").as_bytes());
        assert!(reply.status == 200 || is_limited(&reply), "{reply:?}");
        limited += usize::from(reply.status == 429);
    }
    assert_eq!((plane.asked() - before, limited), (1, 9_980));
    let shown = plane.get(&format!("v1/keys/{}", key["id"].as_str().unwrap()), &owner);
    assert_eq!(shown.json["status"], "revoked");
}

#[test]
fn a_replaced_and_an_expired_credential_cost_one_query_each() {
    let (plane, owner) = Plane::with_owner();
    let [replaced, expired] = [(); 2].map(|()| plane.member(&owner, "auditor", &Value::Null));
    let id: Vec<&str> = replaced.split('_').take(3).collect();
    let rotate = post(&format!("v1/members/{}/rotate", id.join("_"))).with("authorization", &bearer(&owner));
    let rotated = plane.call(&rotate, &json!({}));
    assert_eq!(rotated.status, 201, "{}", rotated.text);
    let successor = rotated.json["api_key"].as_str().unwrap();
    assert_eq!(plane.send(&me(successor), b"").status, 200);
    let before = plane.asked();
    for _ in 0..10 {
        assert_eq!(plane.send(&me(&replaced), b"").status, 401);
        assert_eq!(plane.send(&me(successor), b"").status, 200, "the successor has the same id");
    }
    assert_eq!(plane.asked() - before, 11);
    plane.later(400 * 86_400_000);
    let before = plane.asked();
    for _ in 0..10 {
        assert_eq!(plane.send(&me(&expired), b"").status, 401);
    }
    assert_eq!(plane.asked() - before, 1);
}

/// An incident of an owner mints 2,000 claims. A credential that is refused, that has no request left, or whose role may not open an incident
/// must not have an isolate do that.
#[test]
fn nothing_is_minted_for_a_caller_who_may_not_open_an_incident() {
    let (plane, owner, dead) = with_dead_credential();
    let auditor = plane.member(&owner, "auditor", &Value::Null);
    let open = |credential: &str| {
        let body = json!({"owner": "ops", "kind": "exposed", "note": "Found in a build log", "replace": "claim"});
        plane.platform.next_seed.set(Some(99));
        let verdict = plane.call(&post("v1/incidents").with("authorization", &bearer(credential)), &body).verdict();
        (verdict, plane.platform.next_seed.take().is_none())
    };
    assert_eq!(open(&dead), ("401 invalid_key".to_owned(), false), "the first refusal is the authority's");
    assert_eq!(open(&dead), ("401 invalid_key".to_owned(), false));
    assert_eq!(open(&auditor), ("403 forbidden".to_owned(), false));
    assert_eq!(open(&owner), ("404 not_found".to_owned(), true));
    while !is_limited(&plane.send(&me(&owner), b"")) {}
    assert_eq!(open(&owner), ("429 rate_limited".to_owned(), false));
}

#[test]
fn concurrent_requests_with_a_credential_that_is_not_known_yet_share_one_query() {
    let (plane, owner, dead) = with_dead_credential();
    let verdicts = plane.serve_together(&vec![me(&dead); 100]);
    assert_eq!(plane.asked(), 1);
    assert_eq!(verdicts, ["401 invalid_key"; 100]);
    // Another isolate, where the owner is not known.
    *plane.callers.borrow_mut() = Default::default();
    assert_eq!(plane.serve_together(&vec![me(&owner); 50]), ["200"; 50]);
    assert_eq!(plane.asked(), 51, "each request is answered by the authority");
}

#[test]
fn concurrent_requests_in_an_outage_are_503_and_the_next_one_asks_again() {
    let (plane, owner) = Plane::with_owner();
    *plane.callers.borrow_mut() = Default::default();
    plane.platform.reachable.set(false);
    assert_eq!(plane.serve_together(&vec![me(&owner); 100]), ["503 authority_unavailable"; 100]);
    plane.platform.reachable.set(true);
    plane.later(1_000);
    assert_eq!(plane.send(&me(&owner), b"").status, 200);
}

#[test]
fn one_credential_has_a_hundred_requests_a_second() {
    let (plane, owner) = Plane::with_owner();
    let auditor = plane.member(&owner, "auditor", &Value::Null);
    let limited = (0..1_000).map(|_| plane.send(&me(&auditor), b"")).filter(is_limited).count();
    assert_eq!(limited, 900);
    assert_eq!(plane.send(&me(&owner), b"").status, 200);
    plane.later(1_000);
    let limited = (0..1_000).map(|_| plane.send(&me(&auditor), b"")).filter(is_limited).count();
    assert_eq!(limited, 900);
}

#[test]
fn many_credentials_together_have_the_isolates_rate_and_the_gate_is_not_affected() {
    let (plane, owner) = Plane::with_owner();
    let (_, key) = plane.issue(&owner, "crm");
    let auditors: Vec<String> = (0..4)
        .map(|_| {
            plane.later(1_000);
            plane.member(&owner, "auditor", &Value::Null)
        })
        .collect();
    plane.later(1_000);
    let mut answered = 0;
    for credential in &auditors {
        answered += (0..90).filter(|_| plane.send(&me(credential), b"").status == 200).count();
    }
    assert_eq!(answered, 200);
    let request = ClientRequest::new("GET /_keyward/v1/authorize/v1/contacts").with("authorization", &bearer(&key));
    assert_eq!(plane.send(&request, b"").status, 200, "the feed and the lookup of the key have their own rate");
}

#[test]
fn garbage_counts_against_no_limit() {
    let (plane, owner) = Plane::with_owner();
    let before = plane.asked();
    for _ in 0..1_000 {
        assert_eq!(plane.send(&me("garbage"), b"").verdict(), "401 invalid_key");
    }
    assert_eq!(plane.asked(), before);
    assert_eq!(plane.send(&me(&owner), b"").status, 200);
}

/// Otherwise one credential could have the authority read whole logs at any rate.
#[test]
fn a_page_of_a_stream_waits_for_the_rate_of_queries() {
    let (plane, owner) = Plane::with_owner();
    let auditor = plane.member(&owner, "auditor", &Value::Null);
    for number in 0..1_100 {
        plane.later(10);
        plane.issue(&owner, &format!("i{number}"));
    }
    plane.later(10_000);
    let request = ClientRequest::new("GET /_keyward/v1/audit")
        .with("authorization", &bearer(&auditor))
        .with("accept", "application/x-ndjson");
    let ControlReply::Lines(mut stream) = plane.serve(&request) else { panic!("a stream") };
    let mut next = || run(stream.next(&plane.platform, &plane.callers)).unwrap();
    assert!(next().is_some(), "the first page is there");
    let queries =
        [&owner, &auditor].map(|caller| (0..100).filter(|_| plane.get("v1/me", caller).status == 200).count());
    assert_eq!(queries.iter().sum::<usize>(), 199);
    let before = plane.platform.now.get();
    assert!(next().is_some());
    assert!(plane.platform.now.get().since(before) > 0, "the page has waited");
    assert!(next().is_none());
}

/// A reading takes the authority a while, and the gate needs its answers.
#[test]
fn one_credential_has_few_readings_of_the_posture() {
    let (plane, owner) = Plane::with_owner();
    let read = || plane.get("v1/posture", &owner);
    assert_eq!((0..50).filter(|_| read().status == 200).count(), 20);
    let limited = read();
    assert_eq!((limited.verdict(), limited.header("retry-after")), ("429 rate_limited".to_owned(), Some("3")));
    plane.later(3_000);
    assert_eq!((0..50).filter(|_| read().status == 200).count(), 1);
    assert_eq!(plane.send(&me(&owner), b"").status, 200);
}
