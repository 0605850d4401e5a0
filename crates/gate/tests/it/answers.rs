//! Headers that the gate adds to responses: the expiry of a retiring key, and an outage of the authority.

use keyward_gate::Step;
use keyward_http::head::Head;
use keyward_key::id::Environment;
use keyward_testkit::gate_world::{ClientRequest, DAY, GateAnswer, Key, NOW, World};
use serde_json::json;

fn get(key: &Key) -> ClientRequest {
    ClientRequest::new("GET /v1/contacts").key(key)
}

fn post(key: &Key) -> ClientRequest {
    ClientRequest::new("POST /v1/contacts").key(key)
}

/// Returns the headers that the gate adds to the response of a forwarded request. Checks that a gateway gets the same ones.
fn added_headers(world: &mut World, request: &ClientRequest) -> Vec<(String, String)> {
    let GateAnswer::Forward(plan) = world.send(request) else { panic!("not forwarded") };
    let block = plan.answer.unwrap_or_default();
    let lines: Vec<&str> = block.lines().collect();
    let added: Vec<_> = lines.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect();
    let text = request.text();
    let head = Head::parse(&text).unwrap();
    let Step::Forward(grant) =
        keyward_testkit::signing::admit(&mut world.gate, &world.config, &head, world.now, "req-1")
    else {
        panic!("not forwarded")
    };
    let reply = grant.tell_gateway(Some("a.b.c".to_owned()), "req-1");
    for name in ["keyward-key-expires", "keyward-authority"] {
        let of_the_gate: Vec<_> = added.iter().filter(|(known, _)| known == name).map(|(_, value)| value).collect();
        let of_the_gateway: Vec<_> =
            reply.headers.iter().filter(|(known, _)| *known == name).map(|(_, value)| value).collect();
        assert_eq!(of_the_gate, of_the_gateway, "{name}");
    }
    added
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn every_response_to_the_holder_of_a_retiring_key_states_its_expiry() {
    let mut world = World::started(&json!({}));
    let key = world.issue(1, |record| {
        record.retiring = true;
        record.expires_at = NOW.plus_seconds(DAY);
    });
    let expires = NOW.plus_seconds(DAY).rfc3339();
    assert_eq!(added_headers(&mut world, &get(&key)), [pair("keyward-key-expires", &expires)]);
    let refused = world.send(&post(&key));
    assert_eq!(refused.verdict(), "403 insufficient_scope");
    assert_eq!(refused.header("keyward-key-expires"), Some(expires.as_str()));
    // During an outage both headers are added, the expiry first.
    world.unreachable = true;
    world.at(12_345);
    let both = [pair("keyward-key-expires", &expires), pair("keyward-authority", "unreachable; age=12")];
    assert_eq!(added_headers(&mut world, &get(&key)), both);
    let refused = world.send(&post(&key));
    assert_eq!(refused.header("keyward-key-expires"), Some(expires.as_str()));
    assert_eq!(refused.header("keyward-authority"), Some("unreachable; age=12"));
}

#[test]
fn only_the_holder_of_a_retiring_key_is_told_its_expiry() {
    let mut world = World::started(&json!({}));
    let (stays, retires) = (world.issue(1, |_| {}), world.issue(2, |record| record.retiring = true));
    let revoked = world.issue(3, |record| {
        record.retiring = true;
        record.revoked = true;
    });
    let other_secret = world.issue(4, |record| record.retiring = true);
    let another = stays.record.key_hash.clone();
    world.change(&other_secret.record.id, |record| record.key_hash = another);
    assert_eq!(added_headers(&mut world, &get(&stays)), []);
    assert_eq!(added_headers(&mut world, &get(&retires)).len(), 1);
    for (request, expected) in [
        (post(&stays), "403 insufficient_scope"),
        (get(&revoked), "401 revoked_key"),
        (get(&other_secret), "401 invalid_key"),
    ] {
        let refused = world.send(&request);
        assert_eq!((refused.verdict().as_str(), refused.header("keyward-key-expires")), (expected, None));
    }
}

#[test]
fn a_grant_has_the_environment_of_its_key_and_the_outage_state() {
    let mut world = World::started(&json!({}));
    let key = world.issue(1, |_| {});
    world.send(&get(&key));
    for (request, keyed, environment) in
        [(get(&key), true, Some(Environment::Live)), (ClientRequest::new("GET /public/x").key(&key), false, None)]
    {
        let text = request.text();
        let head = Head::parse(&text).unwrap();
        let Step::Forward(grant) =
            keyward_testkit::signing::admit(&mut world.gate, &world.config, &head, world.now, "req-1")
        else {
            panic!("not forwarded")
        };
        assert_eq!((grant.is_keyed(), grant.environment(), grant.is_in_outage()), (keyed, environment, false));
        assert_eq!(grant.plan(&head, "req-1").private, keyed);
    }
    // A grant also knows whether the feed was older than the bound.
    world.unreachable = true;
    world.at(12_345).send(&get(&key));
    for (request, in_outage) in [(get(&key), true), (ClientRequest::new("GET /public/x"), false)] {
        let text = request.text();
        let head = Head::parse(&text).unwrap();
        let Step::Forward(grant) =
            keyward_testkit::signing::admit(&mut world.gate, &world.config, &head, world.now, "req-1")
        else {
            panic!("not forwarded")
        };
        assert_eq!(grant.is_in_outage(), in_outage);
    }
}
