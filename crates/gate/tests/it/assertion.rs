//! `Keyward-Assertion`: claims, lifetime and caching.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_gate::Step;
use keyward_http::head::Head;
use keyward_key::assertion::signed;
use keyward_key::id::{Class, Environment};
use keyward_key::scope::Scope;
use keyward_key::time::Millis;
use keyward_testkit::gate_world::{ClientRequest, DAY, Key, NOW, World};
use serde_json::{Value, json};

/// Vectors made by another implementation. `tests/edge/assertion.test.mjs` recomputes and verifies them.
fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../tests/vectors/assertion.json")).unwrap()
}

fn world_with_key(changes: &Value) -> (World, Key) {
    let mut world = World::new(changes);
    let key = world.issue(1, |_| {});
    (world, key)
}

fn get(key: &Key) -> ClientRequest {
    ClientRequest::new("GET /v1/contacts").with("x-api-key", &key.text)
}

/// Returns the value of a header that the plan sets, and checks that it is set only once.
fn set(edits: &str, name: &str) -> Option<String> {
    let lines: Vec<&str> = edits.split('\n').skip(2).collect();
    let mut found = lines.chunks(2).filter(|pair| pair[0] == name).map(|pair| pair[1].to_owned());
    let first = found.next();
    assert!(found.next().is_none(), "{name} twice");
    first
}

fn assertion(world: &mut World, request: &ClientRequest) -> String {
    set(world.send(request).edits(), "keyward-assertion").expect("an assertion")
}

fn claims(jwt: &str) -> Value {
    let payload = jwt.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

const PER_REQUEST: &str = r#"[{"match": "GET /public/*", "access": "public"},
    {"match": "* /v1/contacts/*", "scope": "contacts:read", "assertion": "request"},
    {"match": "GET /v1/contacts", "scope": "contacts:read"}]"#;

#[test]
fn an_assertion_equals_that_of_another_implementation() {
    let (mut world, key) = world_with_key(&json!({}));
    assert_eq!(assertion(&mut world, &get(&key)), vectors()["kept"]["jwt"]);
    let (mut world, key) =
        world_with_key(&json!({"ROUTES": PER_REQUEST, "ISSUER": "https://keys.acme.example/_keyward"}));
    let request = ClientRequest::new("PUT /v1/contacts/7?q=1").with("x-api-key", &key.text);
    assert_eq!(assertion(&mut world, &request), vectors()["own"]["jwt"]);
}

#[test]
fn an_assertion_is_reused_for_30_seconds_even_if_the_record_is_read_again() {
    let (mut world, key) = world_with_key(&json!({}));
    let first = assertion(&mut world, &get(&key));
    for at in [1, 4_999, 5_000, 10_000, 29_999] {
        // A change that affects no claim.
        world.change(&key.record.id, |_| {});
        assert_eq!(assertion(world.at(at), &get(&key)), first, "{at}");
    }
    assert!(world.reads >= 3, "the record was read again");
    let next = assertion(world.at(30_000), &get(&key));
    assert_ne!(next, first);
    assert_ne!(claims(&next)["jti"], claims(&first)["jti"]);
    assert_eq!(claims(&next)["iat"].as_i64(), Some(NOW.0 / 1000 + 30));
}

#[test]
fn a_changed_record_gets_a_new_assertion() {
    let (mut world, key) = world_with_key(&json!({}));
    let mut seen = vec![assertion(&mut world, &get(&key))];
    // All within 30 seconds. The record is read again at each bound.
    for (at, what) in [(5_000, "scopes"), (10_000, "integration"), (15_000, "end"), (20_000, "nothing")] {
        world.change(&key.record.id, |record| match what {
            "scopes" => record.scopes.push(Scope::parse("events:read").unwrap()),
            "integration" => record.integration = "other".to_owned(),
            "end" => record.expires_at = NOW.plus_seconds(50),
            _ => {}
        });
        let jwt = assertion(world.at(at), &get(&key));
        assert_eq!(seen.contains(&jwt), what == "nothing", "{what}");
        seen.push(jwt);
    }
    let last = claims(seen.last().unwrap());
    assert_eq!(
        (&last["scope"], &last["integration"], &last["exp"]),
        (&json!("contacts:read events:read"), &json!("other"), &json!(NOW.0 / 1000 + 50))
    );
}

#[test]
fn a_revoked_key_gets_no_cached_assertion() {
    let (mut world, key) = world_with_key(&json!({}));
    assertion(&mut world, &get(&key));
    world.change(&key.record.id, |record| record.revoked = true);
    assert_eq!(world.at(5_000).verdict(&get(&key)), "401 revoked_key");
}

#[test]
fn an_assertion_expires_within_60_seconds_and_not_after_its_key() {
    for (ends_after, lives) in
        [(DAY * 1000, 60), (60_000, 60), (59_999, 60), (59_995, 59), (30_000, 30), (1_000, 1), (500, 0)]
    {
        let mut world = World::new(&json!({}));
        let key = world.issue(1, |record| record.expires_at = Millis(NOW.0 + ends_after));
        let claims = claims(&assertion(&mut world, &get(&key)));
        let (issued, ends) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
        assert_eq!(issued, NOW.0 / 1000);
        assert_eq!(ends - issued, lives, "{ends_after}");
        assert!(ends * 1000 <= NOW.0 + ends_after, "{ends_after}");
    }
}

#[test]
fn the_audience_is_the_origin_of_the_request() {
    let (mut world, key) = world_with_key(&json!({}));
    assert_eq!(claims(&assertion(&mut world, &get(&key)))["aud"], "https://live.example");
    let test = Key::new(&world.config, Class::Data(Environment::Test), 2);
    world.authority.insert(test.record.id.clone(), test.record.clone());
    let of_test = claims(&assertion(&mut world, &get(&test)));
    assert_eq!((&of_test["aud"], &of_test["env"]), (&json!("https://test.example"), &json!("test")));
}

#[test]
fn on_a_zone_route_each_host_has_its_own_cached_assertion() {
    let hosts = json!(["one.example", "two.example:8443"]);
    let (mut world, key) = world_with_key(&json!({"ORIGIN_LIVE": "route", "ROUTE_HOSTS": hosts}));
    let at = |base: &str| ClientRequest { base: base.to_owned(), ..get(&key) };
    let one = assertion(&mut world, &at("https://one.example"));
    let two = assertion(&mut world, &at("https://two.example:8443"));
    assert_eq!(
        (&claims(&one)["aud"], &claims(&one)["iss"]),
        (&json!("https://one.example"), &json!("https://one.example/_keyward"))
    );
    assert_eq!(claims(&two)["aud"], "https://two.example:8443");
    world.at(1_000);
    assert_eq!(assertion(&mut world, &at("https://one.example")), one);
    assert_eq!(assertion(&mut world, &at("https://two.example:8443")), two);
    assert_eq!(assertion(&mut world, &at("https://ONE.example:443")), one, "another spelling of the same host");
}

#[test]
fn the_issuer_is_the_setting_and_not_the_clients_host() {
    let (mut world, key) = world_with_key(&json!({"ISSUER": "https://keys.acme.example/_keyward"}));
    let elsewhere = ClientRequest { base: "https://evil.example".to_owned(), ..get(&key) };
    assert_eq!(claims(&assertion(&mut world, &elsewhere))["iss"], "https://keys.acme.example/_keyward");
}

#[test]
fn a_public_route_gets_no_assertion_and_a_clients_is_always_removed() {
    let (mut world, key) = world_with_key(&json!({}));
    for request in [ClientRequest::new("GET /public/x").key(&key), get(&key)] {
        let forged = request.with("keyward-assertion", "forged").with("keyward_assertion", "forged");
        let outcome = world.send(&forged);
        let removed = outcome.edits().split('\n').nth(1).unwrap();
        assert!(removed.contains("keyward-assertion,keyward_assertion,"), "{removed}");
        assert!(!outcome.edits().contains("forged"));
    }
    let public = world.send(&ClientRequest::new("GET /public/x").key(&key));
    assert_eq!(set(public.edits(), "keyward-assertion"), None);
}

#[test]
fn an_assertion_is_not_dated_in_the_future_after_the_clock_stepped_back() {
    let (mut world, key) = world_with_key(&json!({}));
    let ahead = assertion(world.at(20_000), &get(&key));
    let back = assertion(world.at(10_000), &get(&key));
    assert_ne!(ahead, back);
    assert_eq!(claims(&back)["iat"].as_i64(), Some(NOW.0 / 1000 + 10));
}

#[test]
fn a_route_can_require_an_assertion_bound_to_each_request() {
    let (mut world, key) = world_with_key(&json!({"ROUTES": PER_REQUEST}));
    let mut seen = Vec::new();
    for (line, method, url) in [
        ("GET /v1/contacts/7", "GET", "https://live.example/v1/contacts/7"),
        ("HEAD /v1/contacts/7", "HEAD", "https://live.example/v1/contacts/7"),
        ("PUT /v1/contacts/%C3%A9?secret=1", "PUT", "https://live.example/v1/contacts/%C3%A9"),
    ] {
        let jwt = assertion(&mut world, &ClientRequest::new(line).with("x-api-key", &key.text));
        let claims = claims(&jwt);
        assert_eq!((&claims["htm"], &claims["htu"]), (&json!(method), &json!(url)));
        assert_eq!(claims["jti"], "req-1", "the request's id");
        assert!(!seen.contains(&jwt));
        seen.push(jwt);
    }
    let cached = claims(&assertion(&mut world, &get(&key)));
    assert_eq!((cached.get("htm"), cached.get("htu")), (None, None));
}

#[test]
fn a_gateway_gets_the_identity_and_an_assertion_of_one_request() {
    let (mut world, key) = world_with_key(&json!({}));
    world.send(&get(&key));
    let answer = |world: &mut World, request: &ClientRequest| {
        let text = request.text();
        let head = Head::parse(&text).unwrap();
        let step = keyward_testkit::signing::admit(&mut world.gate, &world.config, &head, world.now, "req-2");
        let Step::Forward(grant) = step else { panic!("not accepted") };
        let environment = grant.environment();
        let derived = world.config.keyring.current();
        let own = grant.own_text(derived.assertion_key().unwrap(), &head, "req-2");
        let own = own.map(|text| {
            let signature = keyward_testkit::signing::sign(derived.assertion(), text.as_bytes());
            signed(text, &signature)
        });
        (environment, grant.tell_gateway(own, "req-2"))
    };
    let (environment, reply) = answer(&mut world, &get(&key));
    assert_eq!(environment, Some(Environment::Live));
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    let header = |name: &str| reply.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    assert_eq!(header("keyward-key-id"), Some(key.record.id.as_str()));
    assert_eq!(header("keyward-integration"), Some("crm-sync"));
    assert_eq!(header("keyward-environment"), Some("live"));
    assert_eq!(header("keyward-scopes"), Some("contacts:read"));
    assert_eq!(header("keyward-request-id"), Some("req-2"));
    assert_eq!(header("cache-control"), Some("no-store"));
    let claims = claims(header("keyward-assertion").unwrap());
    assert_eq!((&claims["htm"], &claims["jti"]), (&json!("GET"), &json!("req-2")));
    assert_eq!(claims["htu"], "https://live.example/v1/contacts");

    let text = get(&key).text();
    let head = Head::parse(&text).unwrap();
    let Step::Forward(grant) = world.gate.admit(&world.config, &head, world.now) else { panic!("not accepted") };
    assert_eq!(grant.tell_gateway(None, "req-2").status, 500, "no approval without an assertion");

    let (environment, reply) = answer(&mut world, &ClientRequest::new("GET /public/x").key(&key));
    assert_eq!(environment, None);
    let names: Vec<&str> = reply.headers.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["cache-control", "keyward-request-id", "x-content-type-options"]);
}

#[test]
fn a_gateway_gets_a_request_bound_assertion_but_no_cached_one() {
    let (mut world, key) = world_with_key(&json!({"ROUTES": PER_REQUEST}));
    for (line, own) in [("GET /v1/contacts/7", true), ("GET /v1/contacts", false), ("GET /public/x", false)] {
        let request = ClientRequest::new(line).with("x-api-key", &key.text);
        let signed = set(world.send(&request).edits(), "keyward-assertion");
        let text = request.text();
        let head = Head::parse(&text).unwrap();
        let Step::Forward(grant) =
            keyward_testkit::signing::admit(&mut world.gate, &world.config, &head, world.now, "req-1")
        else {
            panic!("not accepted")
        };
        assert_eq!(grant.own_assertion(), signed.as_deref().filter(|_| own), "{line}");
    }
}
