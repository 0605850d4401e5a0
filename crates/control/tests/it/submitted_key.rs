//! Keys submitted in a body: who may ask, how forms are parsed, and that verification decides as the gate does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_control::oauth::{Challenge, OAuthError, client, token};
use keyward_control::operation::{Answer, Input};
use keyward_control::transport::check_transport;
use keyward_control::{Operation, TextParser};
use keyward_gate::SubmittedKey;
use keyward_http::head::Head;
use keyward_key::id::{Class, KeyId};
use keyward_key::record::Record;
use keyward_key::time::Millis;
use keyward_protocol::Caller;
use keyward_testkit::entropy::Seeded;
use keyward_testkit::gate_world::{ClientRequest, DAY, Key, NOW, World};
use keyward_testkit::text::nfc;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Returns the id in the message to the registry, and the body of the answer if the registry finds this record at `at`.
fn asked(
    world: &World,
    operation: Operation,
    body: &str,
    at: Millis,
    find: impl FnOnce(&str) -> Option<Record>,
) -> (Option<String>, String) {
    let spec = operation.spec();
    let content_type =
        if operation == Operation::Verify { "application/json" } else { "application/x-www-form-urlencoded" };
    let request = ClientRequest::new(&format!("{} /_keyward/{}", spec.method, spec.path));
    let text = request.with("content-type", content_type).text();
    let head = Head::parse(&text).unwrap();
    let input = Input {
        config: &world.config,
        head: &head,
        id: "",
        body: body.as_bytes(),
        text: TextParser::new(&nfc),
        request_id: "req-1",
    };
    let prepared = operation.prepare(&input, &mut Seeded::new(1)).unwrap_or_else(|failure| panic!("{failure:?}"));
    let command: Value = serde_json::from_str(prepared.command.get()).unwrap();
    let id = command["id"].as_str().map(str::to_owned);
    let found = id.as_deref().and_then(find).map(|record| {
        let key = json!({"id": record.id});
        json!({"record": record, "created_at": NOW, "key": key})
    });
    let outcome = json!({"inspected": {"at": at, "found": found}}).to_string();
    let answer = prepared.respond(&input, Ok(RawValue::from_string(outcome).unwrap()));
    let Ok(Answer::Reply(reply)) = answer else { panic!("no reply") };
    (id, reply.body)
}

/// Returns the verdict about this key for this request, from the record that the authority has.
fn verify(world: &World, key: &str, method: &str, path: &str, ip: Option<&str>) -> String {
    let body = json!({"api_key": key, "method": method, "path": path, "ip": ip}).to_string();
    let find = |id: &str| world.authority.get(&KeyId::parse(id).unwrap()).cloned();
    let (_, body) = asked(world, Operation::Verify, &body, world.now, find);
    let verdict: Value = serde_json::from_str(&body).unwrap();
    if verdict["valid"] == true { "valid".to_owned() } else { verdict["code"].as_str().unwrap().to_owned() }
}

#[test]
fn verify_decides_about_every_request_as_the_gate_does() {
    let mut world = World::new(&json!({}));
    let other = Key::live(&world.config, 90).record.key_hash;
    let network = |record: &mut Record| record.allowed_cidrs = vec!["192.0.2.0/24".parse().unwrap()];
    let member = Key::new(&world.config, Class::Member, 91);
    let mut keys = vec![
        world.issue(1, |_| {}),
        world.issue(2, |record| record.revoked = true),
        world.issue(3, |record| record.expires_at = NOW),
        world.issue(4, |record| record.expires_at = NOW.plus_seconds(1)),
        world.issue(5, |record| record.key_hash = other),
        world.issue(6, network),
        world.issue(7, |record| record.scopes = vec!["contacts:write".parse_scope()]),
        world.issue(8, |record| record.retiring = true),
        world.issue(9, |record| {
            network(record);
            record.revoked = true;
            record.expires_at = NOW;
        }),
        world.issue(10, |record| {
            network(record);
            record.scopes = vec!["contacts:write".parse_scope()];
        }),
        Key::live(&world.config, 92),
        member,
    ];
    keys.push(Key { text: format!("{}x", keys[0].text), ..keys[0].clone() });
    let paths = [
        "/v1/contacts",
        "/v1/contacts/7?a=b",
        "/v1/closed",
        "/nowhere",
        "/V1/contacts",
        "/v1/contacts/",
        "/v1/%63ontacts",
        "/v1/../x",
        "/v1//contacts",
        "/_keyward/v1/keys",
        "/_KEYWARD",
        "/.well-known/oauth-authorization-server/_keyward",
    ];
    let mut verdicts = std::collections::BTreeSet::new();
    for key in &keys {
        let in_url = format!("/v1/contacts?k={}", keys[0].text);
        for path in paths.into_iter().chain([in_url.as_str()]) {
            for method in ["GET", "HEAD", "POST", "PURGE", "TRACE", "get"] {
                for ip in [None, Some("192.0.2.7"), Some("192.0.3.7"), Some("::ffff:192.0.2.7")] {
                    let request = ClientRequest::new(&format!("{method} {path}")).key(key);
                    let request = match ip {
                        Some(ip) => request.with("cf-connecting-ip", ip),
                        None => request,
                    };
                    let there = world.verdict(&request);
                    let there = there.split(' ').nth(1).unwrap_or("valid").to_owned();
                    let here = verify(&world, &key.text, method, path, ip);
                    assert_eq!(here, there, "{method} {path} {ip:?} {}", key.record.id);
                    verdicts.insert(here);
                }
            }
        }
    }
    let all = [
        "address_not_allowed",
        "bad_path",
        "expired_key",
        "insufficient_scope",
        "invalid_key",
        "key_in_url",
        "method_not_allowed",
        "no_route",
        "revoked_key",
        "valid",
    ];
    assert_eq!(verdicts.into_iter().collect::<Vec<_>>(), all);
}

trait ParseScope {
    fn parse_scope(&self) -> keyward_key::scope::Scope;
}

impl ParseScope for str {
    fn parse_scope(&self) -> keyward_key::scope::Scope {
        keyward_key::scope::Scope::parse(self).unwrap()
    }
}

#[test]
fn a_record_of_another_key_is_no_answer() {
    let mut world = World::new(&json!({}));
    let (one, other) = (world.issue(1, |_| {}), world.issue(2, |_| {}));
    let handed = SubmittedKey::recognise(&world.config, &one.text).ok().unwrap();
    assert!(handed.check_alive(Some(&one.record), NOW).is_ok());
    let mut swapped = other.record;
    swapped.key_hash = one.record.key_hash;
    let refused = handed.check_alive(Some(&swapped), NOW).unwrap_err();
    assert_eq!(refused.problem.code.as_str(), "invalid_key");
}

#[test]
fn a_key_is_submitted_by_https_only_and_by_no_page_of_another_site() {
    let config = keyward_testkit::gate_world::config(&json!({}));
    for operation in [Operation::Verify, Operation::Introspect, Operation::RevokeByHolder] {
        let verdict = |request: ClientRequest| {
            let text = request.with("content-type", "application/json").text();
            let refused = check_transport(&config, &Head::parse(&text).unwrap(), operation.spec().body).err();
            refused.map_or("passes", |problem| problem.code.as_str())
        };
        let post = || ClientRequest::new("POST /");
        assert_eq!(verdict(post()), "passes");
        let plain = ClientRequest { base: "http://gate.example".to_owned(), ..post() };
        assert_eq!(verdict(plain), "insecure_transport", "{operation:?}");
        assert_eq!(verdict(post().with("origin", "https://evil.example")), "cross_site", "{operation:?}");
        assert_eq!(verdict(post().with("sec-fetch-site", "cross-site")), "cross_site", "{operation:?}");
    }
}

#[test]
fn a_members_credential_is_refused_as_a_submitted_key() {
    let config = keyward_testkit::gate_world::config(&json!({}));
    let refused = SubmittedKey::recognise(&config, &Key::new(&config, Class::Member, 1).text).err().unwrap();
    assert_eq!(refused.problem.code.as_str(), "invalid_key");
}

#[test]
fn the_metadata_is_never_forwarded_whatever_the_routes_say() {
    let routes = json!([{"match": "GET /.well-known/*", "access": "public"}, {"match": "* /*", "access": "public"}]);
    let mut world = World::new(&json!({"ROUTES": routes}));
    let address = "/.well-known/oauth-authorization-server/_keyward";
    for (line, expected) in [
        (format!("GET {address}"), "404 no_route"),
        (format!("POST {address}?x=y"), "404 no_route"),
        (format!("GET {address}/"), "200"),
        (format!("GET {address}2"), "200"),
        ("GET /.well-known/oauth-authorization-server".to_owned(), "200"),
    ] {
        assert_eq!(world.verdict(&ClientRequest::new(&line)), expected, "{line}");
    }
}

#[test]
fn an_active_token_has_exactly_these_claims() {
    let mut world = World::new(&json!({}));
    let key = world.issue(1, |record| record.scopes.push("events:read".parse_scope()));
    let introspect = |token: &str, record: Option<&Record>, at| {
        asked(&world, Operation::Introspect, &format!("token={token}"), at, |_| record.cloned())
    };
    assert_eq!(introspect(&key.text, None, NOW).0.as_deref(), Some(key.record.id.as_str()));
    assert_eq!(introspect("x", Some(&key.record), NOW), (None, r#"{"active":false}"#.to_owned()));
    let told = |record: Option<&Record>, at| introspect(&key.text, record, at).1;
    let expected = format!(
        r#"{{"active":true,"scope":"contacts:read events:read","client_id":"crm-sync","sub":"{}","exp":1798034523,"iat":1795442523,"iss":"https://gate.example/_keyward","token_type":"Bearer","env":"live"}}"#,
        key.record.id
    );
    assert_eq!(told(Some(&key.record), NOW), expected);
    let end = NOW.plus_seconds(30 * DAY);
    assert_eq!(told(Some(&key.record), keyward_key::time::Millis(end.0 - 1)), expected);
    for (record, at) in [
        (Some(&key.record), end),
        (None, NOW),
        (Some(&Record { revoked: true, ..key.record.clone() }), NOW),
        (Some(&Record { key_hash: Key::live(&world.config, 9).record.key_hash, ..key.record.clone() }), NOW),
    ] {
        assert_eq!(told(record, at), r#"{"active":false}"#);
    }
}

#[test]
fn a_client_is_a_member_by_bearer_or_basic() {
    let config = keyward_testkit::gate_world::config(&json!({}));
    let member = Key::new(&config, Class::Member, 1);
    let data = Key::live(&config, 2);
    let (id, text) = (member.record.id.as_str(), member.text.as_str());
    let basic = |pair: String| format!("Basic {}", STANDARD.encode(pair));
    let escaped: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for (value, expected) in [
        (format!("Bearer {text}"), Ok(Challenge::Bearer)),
        (basic(format!("{id}:{text}")), Ok(Challenge::Basic)),
        (basic(format!("{}:{escaped}", id.replace('_', "%5F"))), Ok(Challenge::Basic)),
        (format!("bAsIc  {} ", STANDARD.encode(format!("{id}:{text}"))), Ok(Challenge::Basic)),
        (String::new(), Err(Challenge::Any)),
        (text.to_owned(), Err(Challenge::Any)),
        (format!("Digest {text}"), Err(Challenge::Any)),
        (format!("Bearer {}", data.text), Err(Challenge::Bearer)),
        (format!("Bearer {text}, Bearer {text}"), Err(Challenge::Bearer)),
        (basic(format!("{id}:{}", data.text)), Err(Challenge::Basic)),
        (basic(format!("{}:{}", data.record.id, data.text)), Err(Challenge::Basic)),
        (basic(format!("wafl_admin_000000000000:{text}")), Err(Challenge::Basic)),
        (basic(format!(":{text}")), Err(Challenge::Basic)),
        (basic(format!("{id}:+{text}")), Err(Challenge::Basic)),
        (basic(format!("{id}:{text}:")), Err(Challenge::Basic)),
        (basic(text.to_owned()), Err(Challenge::Basic)),
        ("Basic ".to_owned(), Err(Challenge::Any)),
        ("Basic \u{e9}".to_owned(), Err(Challenge::Basic)),
    ] {
        let request = ClientRequest::new("POST /_keyward/oauth/introspect").with("authorization", &value).text();
        let found = client(&config, &Head::parse(&request).unwrap());
        let found = found.map(|(caller, challenge)| {
            assert!(matches!(caller, Caller::Credential { id: named, .. } if named == member.record.id));
            challenge
        });
        assert_eq!(found, expected, "{value}");
    }
}

#[test]
fn a_form_has_one_token_and_any_other_parameters() {
    let form = "application/x-www-form-urlencoded";
    for (line, content_type, body, expected) in [
        ("/", form, "token=abc", Some("abc")),
        ("/", form, "resource=x&token=a%2Bb+c&resource=y&token_type_hint=refresh_token", Some("a+b c")),
        ("/?", form, "token=abc", Some("abc")),
        ("/", " Application/X-WWW-Form-Urlencoded ; charset=utf-8", "token=abc", Some("abc")),
        ("/", form, "token=%ff", Some("\u{fffd}")),
        ("/", form, "", None),
        ("/", form, "token", None),
        ("/", form, "token=", None),
        ("/", form, "token=a&token=a", None),
        ("/", form, "token=&token=a", None),
        ("/", form, "token=a&token_type_hint=&token_type_hint=", None),
        ("/", form, "TOKEN=a", None),
        ("/?token=a", form, "token=a", None),
        ("/", "application/json", r#"{"token":"a"}"#, None),
        ("/", "", "token=a", None),
        ("/", "application/x-www-form-urlencoded2", "token=a", None),
    ] {
        let text = ClientRequest::new(&format!("POST {line}")).with("content-type", content_type).text();
        let head = Head::parse(&text).unwrap();
        let found = token(&head, body.as_bytes());
        let said = format!("{line} {content_type} {body}");
        assert!(!matches!(&found, Err(OAuthError::Client(_))), "{said}");
        assert_eq!(found.ok().as_deref(), expected, "{said}");
    }
}
