//! The forwarding plan: the parts of a request that reach the origin.

use keyward_key::id::{Class, Environment};
use keyward_key::scope::Scope;
use keyward_testkit::gate_world::{ClientRequest, Key, World};
use serde_json::{Value, json};

/// Returns the parts of the plan: URL, names of removed headers, headers to set.
fn plan(world: &mut World, request: &ClientRequest) -> (String, Vec<String>, Vec<(String, String)>) {
    let outcome = world.send(request);
    let lines: Vec<&str> = outcome.edits().split('\n').collect();
    let (end, lines) = lines.split_last().unwrap();
    assert_eq!(*end, "", "the plan ends in a line feed");
    let (removed, end) = lines[1].rsplit_once(',').unwrap_or_default();
    assert_eq!(end, "", "a comma after each name");
    let set = lines[2..].chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect();
    (lines[0].to_owned(), removed.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(), set)
}

fn world_with_key(changes: &Value) -> (World, Key) {
    let mut world = World::new(changes);
    let key = world.issue(1, |_| {});
    (world, key)
}

fn get(key: &Key) -> ClientRequest {
    ClientRequest::new("GET /v1/contacts").with("x-api-key", &key.text)
}

#[test]
fn the_plan_of_an_accepted_request_is_this_literal_text() {
    let mut world = World::new(&json!({}));
    let key = world.issue(1, |record| record.scopes.push(Scope::parse("events:read").unwrap()));
    let request = ClientRequest::new("GET /v1/contacts/7?q=%2F..&x=a'b")
        .with("accept", "*/*")
        .with("x-api-key", &key.text)
        .with("cf-connecting-ip", "192.0.2.7");
    let outcome = world.send(&request);
    // assertion.rs tests its content.
    let (_, assertion) = outcome.edits().split_once("\nkeyward-assertion\n").unwrap();
    let assertion = assertion.split('\n').next().unwrap();
    assert_eq!(assertion.split('.').count(), 3);
    let expected = format!(
        "https://live.example/v1/contacts/7?q=%2F..&x=a'b\nx-api-key,\n\
         x-forwarded-for\n192.0.2.7\nx-real-ip\n192.0.2.7\n\
         keyward-key-id\n{}\nkeyward-integration\ncrm-sync\nkeyward-environment\nlive\n\
         keyward-scopes\ncontacts:read events:read\n\
         keyward-assertion\n{assertion}\nkeyward-request-id\nreq-1\n",
        key.record.id
    );
    assert_eq!(outcome.edits(), expected);
}

#[test]
fn the_url_is_the_origin_plus_the_target_bytes_as_sent() {
    let (mut world, key) = world_with_key(&json!({"ORIGIN_LIVE": "http://127.0.0.1:8788/"}));
    for target in [
        "/v1/contacts",
        "/v1/contacts?",
        "/v1/contacts??a=b&&c",
        "/v1/contacts?next=http://evil.example/../x&y=[a]{b}|c^`\\",
        "/v1/contacts/",
        "/v1/contacts/%C3%A9t%C3%A9%20%26;v=1,2:@!$'()*+=~",
        "/v1/contacts/100%25",
    ] {
        let (url, _, _) = plan(&mut world, &ClientRequest::new(&format!("GET {target}")).key(&key));
        assert_eq!(url, format!("http://127.0.0.1:8788{target}"));
    }
}

#[test]
fn the_host_selects_the_origin_on_a_zone_route_only() {
    let request = |key: &Key| ClientRequest {
        base: "https://elsewhere.example:8443".to_owned(),
        ..get(key).with("host", "elsewhere.example:8443").with("x-forwarded-host", "evil.example")
    };
    let (mut world, key) = world_with_key(&json!({}));
    assert_eq!(plan(&mut world, &request(&key)).0, "https://live.example/v1/contacts");
    let on_route = |hosts| json!({"ORIGIN_LIVE": "route", "ROUTE_HOSTS": hosts});
    let (mut world, key) = world_with_key(&on_route(json!(["elsewhere.example:8443"])));
    let (url, removed, _) = plan(&mut world, &request(&key));
    assert_eq!(url, "https://elsewhere.example:8443/v1/contacts");
    assert_eq!(removed, ["x-api-key", "x-forwarded-host"]);
    let (mut world, key) = world_with_key(&on_route(json!(["gate.example", "elsewhere.example"])));
    assert_eq!(plan(&mut world, &get(&key)).0, "https://gate.example/v1/contacts");
    assert_eq!(world.verdict(&request(&key)), "421 misdirected_request");
    let public = ClientRequest { base: "http://127.0.0.1:9290".to_owned(), ..ClientRequest::new("GET /public/x") };
    assert_eq!(world.verdict(&public), "421 misdirected_request");
}

#[test]
fn a_test_key_goes_to_the_test_origin_with_its_own_identity() {
    let mut world = World::new(&json!({}));
    let key = Key::new(&world.config, Class::Data(Environment::Test), 1);
    world.authority.insert(key.record.id.clone(), key.record.clone());
    let (url, _, set) = plan(&mut world, &get(&key));
    assert_eq!(url, "https://test.example/v1/contacts");
    assert!(set.contains(&("keyward-environment".to_owned(), "test".to_owned())));
    assert!(set.contains(&("keyward-key-id".to_owned(), key.record.id.to_string())));
}

#[test]
fn the_credential_is_removed_and_the_origins_authorization_kept() {
    let (mut world, key) = world_with_key(&json!({}));
    let bearer = format!("Bearer {}", key.text);
    let plain = || ClientRequest::new("GET /v1/contacts");
    for (request, expected) in [
        (plain().with("authorization", &bearer), vec!["authorization"]),
        (plain().with("authorization", &bearer).with("x_api_key", "other"), vec!["authorization", "x_api_key"]),
        (plain().with("authorization", &bearer).with("x-api-key", ""), vec!["authorization", "x-api-key"]),
        (get(&key).with("authorization", "Basic YTpi"), vec!["x-api-key"]),
        (
            get(&key).with("connection", "authorization").with("authorization", "Basic YTpi"),
            vec!["x-api-key", "connection"],
        ),
    ] {
        assert_eq!(plan(&mut world, &request).1, expected);
    }
}

#[test]
fn every_spelling_of_a_keyward_header_is_removed() {
    let (mut world, key) = world_with_key(&json!({}));
    for name in [
        "keyward-key-id",
        "keyward_key_id",
        "keyward.key.id",
        "keyward_key-id",
        "keyward-scopes",
        "keyward-assertion",
        "keyward-request-id",
        "keyward",
        "keyward-",
        "keyward~key~id",
        "keyward!key!id",
        "keyward*key|id",
        "x~forwarded~host",
        "proxy",
        "proxy-anything",
        "x^original^url",
    ] {
        let (_, removed, set) = plan(&mut world, &get(&key).with(name, "forged"));
        assert_eq!(removed, ["x-api-key", name]);
        assert!(set.iter().all(|(_, value)| value != "forged"));
    }
}

#[test]
fn headers_listed_by_connection_are_removed_in_any_spelling() {
    let (mut world, key) = world_with_key(&json!({}));
    let request = get(&key)
        .with("connection", "close, X-One,x_two ,\tX.Three, Keyward-Key-Id")
        .with("x-one", "1")
        .with("x_two", "2")
        .with("x.three", "3")
        .with("x-four", "4");
    let (_, removed, set) = plan(&mut world, &request);
    assert_eq!(removed, ["x-api-key", "connection", "x-one", "x_two", "x.three"]);
    assert!(set.iter().any(|(name, value)| name == "keyward-key-id" && *value == key.record.id.to_string()));
}

#[test]
fn a_public_route_is_forwarded_without_identity_and_credential() {
    let (mut world, key) = world_with_key(&json!({}));
    let public = || ClientRequest::new("GET /public/x");
    let bearer = format!("Bearer {}", key.text);
    for (request, expected) in [
        (public(), vec![]),
        (public().with("authorization", &bearer), vec!["authorization"]),
        (public().with("authorization", "Basic YTpi").with("x-api-key", "theirs"), vec![]),
        (
            public().with("x-api-key", &key.text).with("authorization", "wafl_broken"),
            vec!["x-api-key", "authorization"],
        ),
        (public().with("authorization", &format!("{bearer}, {bearer}")), vec!["authorization"]),
        (public().with("x_api_key", &key.text), vec!["x_api_key"]),
        (public().with("x.api.key", &key.text).with("x-api-key", "theirs"), vec!["x.api.key", "x-api-key"]),
        (public().with("keyward-key-id", "forged"), vec!["keyward-key-id"]),
    ] {
        assert!(!world.send(&request).is_private());
        let (url, removed, set) = plan(&mut world, &request);
        assert_eq!(url, "https://live.example/public/x");
        assert_eq!(removed, expected, "{:?}", request.headers);
        assert_eq!(set, [("keyward-request-id".to_owned(), "req-1".to_owned())]);
    }
    assert_eq!(world.reads, 0);
    assert!(world.send(&get(&key)).is_private(), "responses to keyed requests are private");
}

#[test]
fn only_a_websocket_upgrade_passes() {
    let (mut world, key) = world_with_key(&json!({}));
    for (protocol, expected) in [
        ("websocket", vec!["x-api-key", "connection"]),
        ("WebSocket", vec!["x-api-key", "connection"]),
        ("h2c", vec!["x-api-key", "connection", "upgrade"]),
        ("websocket, h2c", vec!["x-api-key", "connection", "upgrade"]),
        ("TLS/1.0", vec!["x-api-key", "connection", "upgrade"]),
    ] {
        let request = get(&key).with("connection", "Upgrade").with("upgrade", protocol);
        assert_eq!(plan(&mut world, &request).1, expected, "{protocol}");
    }
    let without = ClientRequest::new("GET /v1/contacts").with("connection", "Upgrade").with("upgrade", "websocket");
    assert_eq!(world.verdict(&without), "401 missing_key");
}
