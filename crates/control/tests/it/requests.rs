//! What the control plane refuses before it asks the registry: other sites' pages, other media types, other credentials, and
//! malformed bodies.

use keyward_config::{Config, HostRole};
use keyward_control::failure::Failure;
use keyward_control::operation::Input;
use keyward_control::route::find;
use keyward_control::sign_in::{SignIn, sign_in};
use keyward_control::transport::check_transport;
use keyward_control::{Operation, TextParser};
use keyward_http::head::Head;
use keyward_http::problem::Problem;
use keyward_key::id::{Class, Environment};
use keyward_key::record::Record;
use keyward_protocol::Caller;
use keyward_testkit::entropy::Seeded;
use keyward_testkit::gate_world::{ClientRequest, Key, NOW};
use keyward_testkit::text::nfc;
use serde_json::{Value, json};

fn config() -> Config {
    keyward_testkit::gate_world::config(&json!({}))
}

fn post(path: &str) -> ClientRequest {
    ClientRequest::new(&format!("POST /_keyward/v1/{path}"))
}

fn transport(request: &ClientRequest, operation: Operation) -> String {
    let text = request.text();
    let refused = check_transport(&config(), &Head::parse(&text).unwrap(), operation.spec().body).err();
    refused.map_or("passes".to_owned(), |problem| problem.code.as_str().to_owned())
}

#[test]
fn pages_of_other_sites_are_refused_for_reads_too() {
    let get = || ClientRequest::new("GET /_keyward/v1/keys");
    for (request, expected) in [
        (get(), "passes"),
        (get().with("origin", "https://gate.example"), "passes"),
        (get().with("origin", "https://GATE.example"), "passes"),
        (get().with("sec-fetch-site", "same-origin"), "passes"),
        (get().with("sec-fetch-site", "none"), "passes"),
        (get().with("origin", "https://gate.example.evil.example"), "cross_site"),
        (get().with("origin", "http://gate.example"), "cross_site"),
        (get().with("origin", "https://gate.example:8443"), "cross_site"),
        (get().with("origin", "null"), "cross_site"),
        (get().with("origin", "https://gate.example, https://evil.example"), "cross_site"),
        (get().with("sec-fetch-site", "same-site"), "cross_site"),
        (get().with("sec-fetch-site", "cross-site"), "cross_site"),
        (get().with("sec-fetch-site", "same-origin, cross-site"), "cross_site"),
        (get().with("sec-fetch-site", "SAME-ORIGIN"), "cross_site"),
        (get().with("origin", "https://gate.example").with("sec-fetch-site", "cross-site"), "cross_site"),
        (ClientRequest { base: "http://gate.example".to_owned(), ..get() }, "insecure_transport"),
    ] {
        assert_eq!(transport(&request, Operation::ListKeys), expected, "{:?}", request.headers);
    }
}

#[test]
fn only_json_is_a_body() {
    for (content_type, expected) in [
        ("application/json", "passes"),
        ("Application/JSON ; charset=utf-8", "passes"),
        ("", "unsupported_media_type"),
        ("text/plain", "unsupported_media_type"),
        ("text/plain; application/json", "unsupported_media_type"),
        ("application/json, text/plain", "unsupported_media_type"),
        ("application/jsonp", "unsupported_media_type"),
        ("application/x-www-form-urlencoded", "unsupported_media_type"),
        ("multipart/form-data; boundary=application/json", "unsupported_media_type"),
    ] {
        let request = post("keys").with("content-type", content_type);
        assert_eq!(transport(&request, Operation::IssueKey), expected, "{content_type}");
    }
    assert_eq!(transport(&post("bootstrap"), Operation::Bootstrap), "unsupported_media_type");
    assert_eq!(transport(&ClientRequest::new("GET /_keyward/v1/me"), Operation::Me), "passes");
}

#[test]
fn only_a_members_own_bearer_credential_signs_in() {
    let config = config();
    let member = Key::new(&config, Class::Member, 1);
    let data = Key::new(&config, Class::Data(Environment::Live), 2);
    let token = "a-bootstrap-token-of-a-test";
    let bearer = |text: &str| format!("Bearer {text}");
    let who = |operation: Operation, headers: &[(&str, &str)]| {
        let request = headers.iter().fold(post("keys"), |request, (name, value)| request.with(name, value));
        let text = request.text();
        match sign_in(&config, &Head::parse(&text).unwrap(), operation) {
            Ok(SignIn::Caller(Caller::Bootstrap)) => "bootstrap".to_owned(),
            Ok(SignIn::Caller(Caller::Scraper)) => "scraper".to_owned(),
            Ok(SignIn::Caller(Caller::Credential { id, .. })) => id.to_string(),
            Ok(SignIn::Caller(Caller::Access { .. }) | SignIn::Access(..)) => "access".to_owned(),
            Ok(SignIn::Caller(Caller::Session { .. })) => panic!("a session without a cookie"),
            Ok(SignIn::Caller(Caller::Holder { .. } | Caller::Claimant { .. })) => panic!("a holder signs in nowhere"),
            Err(why) => why.code().as_str().to_owned(),
        }
    };
    let id = member.record.id.to_string();
    for (operation, value, expected) in [
        (Operation::IssueKey, bearer(&member.text), id.as_str()),
        (Operation::IssueKey, format!("bearer  {} ", member.text), id.as_str()),
        (Operation::IssueKey, bearer(&data.text), "invalid_key"),
        (Operation::IssueKey, bearer(token), "invalid_key"),
        (Operation::IssueKey, member.text.clone(), "invalid_key"),
        (Operation::IssueKey, format!("Basic {}", member.text), "invalid_key"),
        (Operation::IssueKey, format!("Bearer {0}, Bearer {0}", member.text), "invalid_key"),
        (Operation::IssueKey, bearer(&data.text.replace("live", "admin")), "invalid_key"),
        (Operation::IssueKey, String::new(), "missing_key"),
        (Operation::Bootstrap, bearer(token), "bootstrap"),
        (Operation::Bootstrap, bearer(&member.text), "invalid_key"),
        (Operation::Bootstrap, bearer(&token.to_uppercase()), "invalid_key"),
        (Operation::Bootstrap, format!("Bearer {token}, Bearer {token}"), "invalid_key"),
        (Operation::Bootstrap, token.to_owned(), "invalid_key"),
    ] {
        assert_eq!(who(operation, &[("authorization", &value)]), expected, "{value}");
    }
    assert_eq!(who(Operation::IssueKey, &[("x-api-key", &member.text)]), "missing_key");
    assert_eq!(who(Operation::Bootstrap, &[("x-api-key", token)]), "missing_key");
}

fn body(operation: Operation, body: &[u8]) -> Result<(), Problem> {
    let text = post("x").text();
    let id = "wafl_live_8Fh2kQ0sZp1L";
    let (config, head) = (config(), Head::parse(&text).unwrap());
    let input = Input { config: &config, head: &head, id, body, text: TextParser::new(&nfc), request_id: "req-1" };
    match operation.prepare(&input, &mut Seeded::new(1)) {
        Ok(_) => Ok(()),
        Err(Failure::Problem(problem)) => Err(problem),
        Err(failure) => panic!("{failure:?}"),
    }
}

#[test]
fn a_malformed_body_is_400_and_no_panic() {
    let deep = |open: &str, depth: usize| format!("{{\"reason\":{}", open.repeat(depth));
    for sent in [
        deep("[", 65_000),
        deep("{\"a\":", 13_000),
        deep("[", 126) + &"]".repeat(126) + "}",
        "{\"reason\":\"a\",\"reason\":\"b\"}".to_owned(),
        "{\"reason\":\"a\",\"Reason\":\"b\"}".to_owned(),
        "{\"reason\":\"a\",\"__proto__\":{}}".to_owned(),
        "{\"reason\":1e999}".to_owned(),
        "{\"reason\":-0}".to_owned(),
        "{\"reason\":NaN}".to_owned(),
        "{\"reason\":\"\\ud800\"}".to_owned(),
        "{\"reason\":\"a\\u0000\"}".to_owned(),
        "{\"reason\":\"a\u{202e}\"}".to_owned(),
        "{\"reason\":\"a\"}{\"reason\":\"b\"}".to_owned(),
        "\u{feff}{\"reason\":\"a\"}".to_owned(),
        "{\"reason\":\"a\",}".to_owned(),
        "{'reason':'a'}".to_owned(),
        "\"reason\"".to_owned(),
        "null".to_owned(),
        format!("{{\"reason\":\"{}\"}}", "a".repeat(501)),
        format!("{{{}\"reason\":\"a\"}}", "\"x\":1,".repeat(9_000)),
    ] {
        let problem = body(Operation::RevokeKey, sent.as_bytes()).unwrap_err();
        assert_eq!(
            (problem.status(), problem.code.as_str()),
            (400, "invalid_request"),
            "{}",
            &sent[..sent.len().min(60)]
        );
        assert!(problem.body("r").len() < 600, "an answer does not echo a body");
    }
    for sent in [&b"{\"reason\":\"\xff\"}"[..], b"\0", b"", b"\xef\xbb\xbf{}"] {
        assert_eq!(body(Operation::RevokeKey, sent).unwrap_err().status(), 400);
    }
    assert!(body(Operation::RevokeKey, " {\"reason\": \"Zoë's <b>\"}\n".as_bytes()).is_ok());
}

#[test]
fn a_query_is_refused_where_an_operation_takes_none() {
    let text = ClientRequest::new("POST /_keyward/v1/keys?name=x").text();
    let head = Head::parse(&text).unwrap();
    let config = config();
    let input =
        Input { config: &config, head: &head, id: "", body: b"{}", text: TextParser::new(&nfc), request_id: "req-1" };
    let refused = Operation::IssueKey.prepare(&input, &mut Seeded::new(1)).err();
    let Some(Failure::Problem(problem)) = refused else { panic!("taken") };
    let shown: Value = serde_json::from_str(&problem.body("r")).unwrap();
    assert_eq!(shown["field"], "query");
}

#[test]
fn no_spelling_of_an_own_path_leads_to_an_operation() {
    for path in
        ["/_keyward/v1/keys/", "/_keyward/V1/keys", "/_keyward/v1/keys;x", "/_keyward/v1/%20keys", "/_Keyward/v1/keys"]
    {
        assert_eq!(find("POST", path, HostRole::GateAndControl).unwrap_err().code.as_str(), "no_route", "{path}");
    }
    for method in ["PUT", "DELETE", "OPTIONS", "POST"] {
        assert_eq!(
            find(method, "/_keyward/v1/me", HostRole::GateAndControl).unwrap_err().code.as_str(),
            "method_not_allowed"
        );
    }
}

#[test]
fn the_debug_form_of_a_secret_hides_it() {
    let config = config();
    let key = Key::live(&config, 1);
    let shown = format!("{:?}", Record { expires_at: NOW, ..key.record.clone() });
    assert!(!shown.contains(&key.record.key_hash.to_hex()));
    let caller = Caller::Credential { id: key.record.id.clone(), key_hash: key.record.key_hash.clone() };
    assert!(!format!("{caller:?}").contains(&key.record.key_hash.to_hex()));
}
