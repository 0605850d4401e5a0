//! Every refusal of the gate, as docs/concepts/keys.md lists them.

use keyward_gate::Reason;
use keyward_key::id::{Class, Environment};
use keyward_testkit::gate_world::{ClientRequest, DAY, GateAnswer, Key, NOW, World};
use serde_json::{Value, json};

const INVALID_TOKEN: &str = r#"Bearer realm="keyward", error="invalid_token""#;

fn get() -> ClientRequest {
    ClientRequest::new("GET /v1/contacts")
}

fn world() -> World {
    World::new(&json!({}))
}

/// The same key with one character of its secret changed and the check recomputed, so only the tag is wrong.
fn forged(key: &Key) -> String {
    let mut body = key.text[..key.text.len() - 6].to_owned();
    let at = body.len() - 20;
    let other = if &body[at..=at] == "a" { "b" } else { "a" };
    body.replace_range(at..=at, other);
    let check = keyward_key::format::check_of(&body);
    format!("{body}{}", std::str::from_utf8(&check).unwrap())
}

#[test]
fn a_valid_key_is_accepted_in_either_header() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    for request in [
        get().with("authorization", &format!("Bearer {}", key.text)),
        get().with("authorization", &format!("bEaReR   {} ", key.text)),
        get().with("x-api-key", &key.text),
        get().with("x-api-key", &key.text).with("authorization", ""),
        get().with("x-api-key", &key.text).with("authorization", "Digest a=\"b\", c=\"d\""),
        ClientRequest::new("HEAD /v1/contacts/7?x=y").with("x-api-key", &key.text),
        // Node's fetch is not a browser.
        get().with("x-api-key", &key.text).with("sec-fetch-mode", "cors"),
    ] {
        assert_eq!(world.verdict(&request), "200", "{:?}", request.headers);
    }
    assert_eq!(world.reads, 1);
}

#[test]
fn a_request_without_a_credential_is_missing_key_without_an_error_code() {
    let mut world = world();
    for request in [get(), get().with("authorization", ""), get().with("x-api-key", " \t").with("authorization", " ")] {
        let outcome = world.send(&request);
        assert_eq!(outcome.verdict(), "401 missing_key");
        assert_eq!(outcome.header("www-authenticate"), Some(r#"Bearer realm="keyward""#));
    }
    assert_eq!(world.reads, 0);
}

#[test]
fn two_credentials_or_a_repeated_header_are_ambiguous() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    let (bearer, twice) = (format!("Bearer {}", key.text), format!("Bearer {0}, Bearer {0}", key.text));
    for headers in [
        vec![("x-api-key", key.text.as_str()), ("authorization", bearer.as_str())],
        vec![("x-api-key", "nonsense"), ("authorization", bearer.as_str())],
        vec![("x-api-key", key.text.as_str()), ("authorization", "wafl_broken")],
        vec![("x-api-key", key.text.as_str()), ("authorization", "Basic abc, Bearer wafl_x")],
        vec![("authorization", twice.as_str())],
        vec![("authorization", "Basic abc, Basic def")],
        vec![("x-api-key", "a, b")],
    ] {
        let request = headers.iter().fold(get(), |request, (name, value)| request.with(name, value));
        let outcome = world.send(&request);
        assert_eq!(outcome.verdict(), "400 ambiguous_credentials", "{headers:?}");
        assert_eq!(outcome.header("www-authenticate"), None);
    }
    assert_eq!(world.reads, 0);
}

#[test]
fn a_well_formed_key_anywhere_in_the_url_is_refused() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    let escaped: String = key.text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let half_escaped = key.text.replacen('_', "%5F", 2);
    for (target, expected) in [
        (format!("/v1/contacts?key={}", key.text), "400 key_in_url"),
        (format!("/v1/contacts/{}", key.text), "400 key_in_url"),
        (format!("/v1/contacts?x{}y", key.text), "400 key_in_url"),
        (format!("/v1/contacts?{escaped}"), "400 key_in_url"),
        (format!("/v1/contacts?{half_escaped}"), "400 key_in_url"),
        (format!("/nowhere?{}", key.text), "400 key_in_url"),
        (format!("/public/x?{}", key.text), "400 key_in_url"),
        (format!("/v1/contacts?{}", forged(&key)), "400 key_in_url"),
        (format!("/v1/contacts?{}", &key.text[..key.text.len() - 1]), "200"),
        (format!("/v1/contacts?{}", key.record.id), "200"),
        ("/v1/contacts?wafl_live_%zz".to_owned(), "200"),
    ] {
        let outcome = world.send(&ClientRequest::new(&format!("GET {target}")).key(&key));
        assert_eq!(outcome.verdict(), expected, "{target}");
    }
}

#[test]
fn a_malformed_or_forged_key_costs_no_read() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    let elsewhere =
        keyward_testkit::gate_world::config(&json!({"KEYWARD_SECRET": "rkSKyGxOjk3sZFcpcI70GHOuecbf+E7/czYJiUh/COU="}));
    let member = Key::new(&world.config, Class::Member, 2);
    for value in [
        "Basic YTpi".to_owned(),
        "Bearer".to_owned(),
        format!("Bearer\t{}", key.text),
        key.text.clone(),
        "Bearer nonsense".to_owned(),
        format!("Bearer {}x", key.text),
        format!("Bearer {}", &key.text[1..]),
        format!("Bearer {}", key.text.to_uppercase()),
        format!("Bearer {}", key.text.replace("live", "test")),
        format!("Bearer {}", key.text.replace("wafl", "wafI")),
        format!("Bearer {}", "a".repeat(8_192)),
        format!("Bearer {}", forged(&key)),
        format!("Bearer {}", Key::live(&elsewhere, 1).text),
        format!("Bearer {}", member.text),
        format!("Bearer {}\u{e9}", key.text),
    ] {
        let outcome = world.send(&get().with("authorization", &value));
        assert_eq!(outcome.verdict(), "401 invalid_key", "{value}");
        assert_eq!(outcome.header("www-authenticate"), Some(INVALID_TOKEN));
        assert_eq!(outcome.refusal().key_id, None, "unverified text must not reach the log");
    }
    assert_eq!((world.reads, world.gate.cached_keys()), (0, 0));
}

#[test]
fn an_unknown_id_and_a_wrong_secret_get_the_same_answer() {
    let mut world = world();
    let unknown = Key::live(&world.config, 1);
    let other = Key::live(&world.config, 2).record.key_hash;
    let wrong = world.issue(3, |record| record.key_hash = other);
    let outcomes = [world.send(&get().key(&unknown)), world.send(&get().key(&wrong))];
    let shown = |outcome: &GateAnswer| {
        (outcome.verdict(), outcome.refusal().problem.body("r"), outcome.refusal().problem.headers().to_vec())
    };
    assert_eq!(shown(&outcomes[0]), shown(&outcomes[1]));
    assert_eq!(outcomes[0].verdict(), "401 invalid_key");
    assert_eq!(shown(&outcomes[0]), shown(&world.send(&get().with("x-api-key", "nonsense"))));
    assert_eq!(outcomes.map(|outcome| outcome.refusal().reason), [Reason::UnknownId, Reason::WrongSecret]);
}

#[test]
fn a_key_expires_to_the_millisecond() {
    let mut world = world();
    let key = world.issue(1, |record| record.expires_at = NOW.plus_seconds(1));
    assert_eq!(world.at(999).verdict(&get().key(&key)), "200");
    let outcome = world.at(1_000).send(&get().key(&key));
    assert_eq!(outcome.verdict(), "401 expired_key");
    assert_eq!(outcome.header("www-authenticate"), Some(INVALID_TOKEN));
}

#[test]
fn a_revoked_key_is_refused_as_revoked() {
    let mut world = world();
    let key = world.issue(1, |record| record.revoked = true);
    let outcome = world.send(&get().key(&key));
    assert_eq!(outcome.verdict(), "401 revoked_key");
    assert_eq!(outcome.header("www-authenticate"), Some(INVALID_TOKEN));
    assert_eq!(outcome.refusal().key_id.as_deref(), Some(&key.record.id));
}

#[test]
fn a_missing_scope_is_named_in_the_challenge() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    let outcome = world.send(&ClientRequest::new("POST /v1/contacts").key(&key));
    assert_eq!(outcome.verdict(), "403 insufficient_scope");
    let challenge = r#"Bearer realm="keyward", error="insufficient_scope", scope="contacts:write""#;
    assert_eq!(outcome.header("www-authenticate"), Some(challenge));
}

#[test]
fn a_key_is_accepted_from_its_networks_only() {
    let mut world = world();
    let key = world.issue(1, |record| {
        record.allowed_cidrs = ["192.0.2.0/24", "2001:db8::/32"].map(|network| network.parse().unwrap()).to_vec();
    });
    for (address, expected) in [
        ("192.0.2.0", "200"),
        ("192.0.2.255", "200"),
        ("::ffff:192.0.2.7", "200"),
        ("2001:db8:ffff::1", "200"),
        ("192.0.3.0", "403 address_not_allowed"),
        ("2001:db9::", "403 address_not_allowed"),
        ("192.0.2.7, 192.0.2.8", "403 address_not_allowed"),
        ("192.0.2.07", "403 address_not_allowed"),
        ("", "403 address_not_allowed"),
    ] {
        let request = get().key(&key).with("cf-connecting-ip", address).with("x-forwarded-for", "192.0.2.7");
        assert_eq!(world.verdict(&request), expected, "{address}");
    }
    assert_eq!(world.verdict(&get().key(&key).with("x-real-ip", "192.0.2.7")), "403 address_not_allowed");
}

#[test]
fn a_browser_page_is_refused_if_the_setting_says_so() {
    let origin = |request: ClientRequest| request.with("origin", "https://page.example");
    let browser = |request: ClientRequest| origin(request).with("user-agent", "Mozilla/5.0");
    let preflight = |line: &str| origin(ClientRequest::new(line)).with("access-control-request-method", "GET");
    let mut refusing = world();
    let key = refusing.issue(1, |_| {});
    for request in [browser(get().key(&key)), get().key(&key).with("sec-fetch-site", "none")] {
        assert_eq!(refusing.verdict(&request), "403 browser_exposed");
    }
    let outcome = refusing.send(&preflight("OPTIONS /v1/contacts"));
    assert_eq!(outcome.verdict(), "403 browser_exposed");
    assert!(outcome.refusal().problem.headers().is_empty());
    assert_eq!(refusing.verdict(&preflight("OPTIONS /nowhere")), "404 no_route");
    assert_eq!(refusing.verdict(&preflight("OPTIONS /v1/contacts/../x")), "400 bad_path");
    // OPTIONS without the headers of a preflight is an ordinary request.
    assert_eq!(refusing.verdict(&ClientRequest::new("OPTIONS /v1/contacts")), "405 method_not_allowed");
    assert_eq!(refusing.verdict(&browser(ClientRequest::new("GET /public/x"))), "200");
    assert_eq!(refusing.verdict(&origin(get().key(&key))), "200", "a client that is no browser may name an origin");

    let mut allowing = World::new(&json!({"REFUSE_BROWSERS": false}));
    let key = allowing.issue(1, |_| {});
    assert_eq!(allowing.verdict(&browser(get().key(&key))), "200");
    assert_eq!(allowing.verdict(&preflight("OPTIONS /v1/contacts")), "405 method_not_allowed");
}

#[test]
fn plain_http_is_refused_if_https_is_required() {
    for (required, expected) in [(true, "403 insecure_transport"), (false, "200")] {
        let mut world = World::new(&json!({"REQUIRE_HTTPS": required}));
        let key = world.issue(1, |_| {});
        let request = ClientRequest { base: "http://gate.example".to_owned(), ..get().key(&key) };
        // A client's header cannot claim a secure transport.
        assert_eq!(world.verdict(&request.with("x-forwarded-proto", "https")), expected);
    }
}

#[test]
fn an_unknown_path_is_404_whatever_the_credential_and_another_method_is_405() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    for request in [
        ClientRequest::new("GET /nowhere"),
        ClientRequest::new("PATCH /nowhere"),
        ClientRequest::new("GET /v1/CONTACTS"),
        ClientRequest::new("GET /_keyward/x"),
    ] {
        for request in [request.clone(), request.clone().key(&key), request.with("x-api-key", "a, b")] {
            assert_eq!(world.verdict(&request), "404 no_route");
        }
    }
    let outcome = world.send(&ClientRequest::new("DELETE /v1/contacts"));
    assert_eq!(outcome.verdict(), "405 method_not_allowed");
    assert_eq!(outcome.header("allow"), Some("GET, HEAD, POST"));
    assert_eq!(world.reads, 0);
}

#[test]
fn a_key_is_neither_accepted_nor_refused_while_the_authority_is_unreachable() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    world.unreachable = true;
    let outcome = world.send(&get().key(&key));
    assert_eq!(outcome.verdict(), "503 authority_unavailable");
    assert!(outcome.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    assert_eq!(world.verdict(&get().with("x-api-key", "nonsense")), "401 invalid_key");
}

#[test]
fn a_test_key_never_reaches_the_live_origin() {
    for (origin, expected) in [(json!("https://test.example"), "200"), (Value::Null, "503 no_origin")] {
        let mut world = World::new(&json!({ "ORIGIN_TEST": origin }));
        let key = Key::new(&world.config, Class::Data(Environment::Test), 1);
        world.authority.insert(key.record.id.clone(), key.record.clone());
        let outcome = world.send(&get().key(&key));
        assert_eq!(outcome.verdict(), expected);
        match outcome {
            GateAnswer::Forward(plan) => assert!(plan.edits.starts_with("https://test.example/v1/contacts\n")),
            other => assert_eq!(other.refusal().key_id.as_deref(), Some(&key.record.id)),
        }
    }
}

#[test]
fn every_refusal_has_a_complete_problem_body() {
    let mut world = world();
    let body: Value = serde_json::from_str(&world.send(&get()).refusal().problem.body("req-9")).unwrap();
    assert_eq!(body["type"], "/_keyward/problems/missing_key");
    assert_eq!(
        (&body["status"], &body["code"], &body["request_id"]),
        (&json!(401), &json!("missing_key"), &json!("req-9"))
    );
    assert!(body["title"].is_string() && body["detail"].is_string() && body.get("field").is_none());
    let long_gone = world.issue(1, |record| record.expires_at = NOW.plus_seconds(-400 * DAY));
    assert_eq!(world.verdict(&get().key(&long_gone)), "401 expired_key");
}
