use super::*;
use serde_json::json;

fn vars(changes: &Value) -> Map<String, Value> {
    let mut vars = json!({
        "KEYWARD_SECRET": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "BOOTSTRAP_TOKEN": "a-bootstrap-token-of-a-test",
        "ORIGIN_LIVE": "https://api.example.com",
        "ROUTES": [{"match": "GET /v1/contacts", "scope": "contacts:read"}],
    });
    for (name, value) in changes.as_object().unwrap() {
        vars[name] = value.clone();
    }
    vars.as_object().unwrap().clone()
}

fn problems(changes: &Value) -> Vec<String> {
    match Config::parse(&vars(changes)) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(|problem| problem.variable).collect(),
    }
}

#[test]
fn defaults_are_the_contracts() {
    let config = Config::parse(&vars(&json!({}))).ok().unwrap();
    assert_eq!(config.prefix.as_str(), "wafl");
    assert!(config.require_https && config.refuse_browsers);
    assert_eq!((config.max_key_days, config.bound_seconds, config.grace_seconds), (365, 5, 60));
    assert_eq!((config.max_member_days, config.access), (365, None));
    assert_eq!(config.origin_timeout_seconds, 60);
    assert_eq!(config.origin_live, Origin::Base("https://api.example.com".into()));
    assert_eq!(config.origin_test, None);
}

#[test]
fn a_var_may_be_a_string_or_its_json_type() {
    for changes in [
        json!({"REQUIRE_HTTPS": false, "MAX_KEY_DAYS": 30, "ORIGIN_LIVE": "route"}),
        json!({"REQUIRE_HTTPS": "false", "MAX_KEY_DAYS": "30", "ORIGIN_LIVE": "route",
               "ROUTES": r#"[{"match": "* /*", "access": "public", "on_outage": "closed"}]"#}),
    ] {
        let config = Config::parse(&vars(&changes)).ok().unwrap();
        assert!(!config.require_https);
        assert_eq!(config.max_key_days, 30);
        assert_eq!(config.origin_live, Origin::Route);
    }
}

#[test]
fn every_problem_is_found_at_once_and_shows_no_secret() {
    let broken = json!({
        "KEYWARD_SECRET": "c2hvcnQ=",
        "KEYWARD_SECRET_PREVIOUS": "nonsense!",
        "BOOTSTRAP_TOKEN": "short",
        "KEY_PREFIX": "WAFL",
        "ORIGIN_LIVE": "https://user:word@api.example.com/path",
        "ORIGIN_TEST": "route",
        "REQUIRE_HTTPS": "yes",
        "REFUSE_BROWSERS": 1,
        "MAX_KEY_DAYS": 0,
        "REVOCATION_BOUND_SECONDS": "five",
        "OUTAGE_GRACE_SECONDS": -1,
        "ORIGIN_TIMEOUT_SECONDS": 601,
        "AUTHORITY_EPOCH": "after the restore",
        "MAX_MEMBER_DAYS": 3651,
        "ACCESS_TEAM_DOMAIN": "https://access.evil.example",
        "ACCESS_AUDIENCE": "two words",
        "ISSUER": "keys.example.com",
        "ROUTES": [{"match": "GET /a"}, {"match": "GET /a", "scope": "a", "acces": "public"}, 1],
    });
    let Err(problems) = Config::parse(&vars(&broken)) else { panic!("accepted") };
    let names: Vec<&str> = problems.iter().map(|problem| problem.variable.as_str()).collect();
    let mut expected: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    expected.pop();
    expected.extend(["ROUTES[0]", "ROUTES[1]", "ROUTES[2]"]);
    assert_eq!(names, expected);
    let shown = format!("{problems:?}");
    for secret in ["c2hvcnQ=", "nonsense!", "\"short\"", "user:word"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let Err(missing) = Config::parse(&Map::new()) else { panic!("accepted") };
    let names: Vec<&str> = missing.iter().map(|problem| problem.variable.as_str()).collect();
    assert_eq!(names, ["KEYWARD_SECRET", "BOOTSTRAP_TOKEN", "ORIGIN_LIVE", "ROUTES"]);
    assert_eq!(missing.iter().filter(|problem| problem.detail.starts_with("is missing")).count(), 3);
    assert_eq!(problems(&json!({"ROUTES": []})), ["ROUTES"]);
}

#[test]
fn an_origin_is_a_scheme_and_a_host() {
    for good in ["https://api.example.com", "http://127.0.0.1:8788/", "http://[::1]:1"] {
        assert!(problems(&json!({"ORIGIN_TEST": good})).is_empty(), "{good}");
    }
    for bad in [
        "api.example.com ftp://a https:// https:/// https://a/b https://a?b https://a#b https://u@a https://a//",
        "https://a:65536 https://a: https://a:x https://a:1:2 https://[::1 https://a%2fb https://\u{e9}",
    ]
    .iter()
    .flat_map(|row| row.split(' '))
    {
        assert_eq!(problems(&json!({"ORIGIN_TEST": bad})), ["ORIGIN_TEST"], "{bad}");
    }
}

#[test]
fn access_needs_both_settings_and_a_team_of_cloudflares() {
    let set =
        |domain: &str, audience: &str| problems(&json!({"ACCESS_TEAM_DOMAIN": domain, "ACCESS_AUDIENCE": audience}));
    let audience = "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2";
    for domain in ["https://acme.cloudflareaccess.com", "https://acme.cloudflareaccess.com/", "http://127.0.0.1:8788"] {
        assert!(set(domain, audience).is_empty(), "{domain}");
    }
    for domain in [
        "acme.cloudflareaccess.com",
        "http://acme.cloudflareaccess.com",
        "https://.cloudflareaccess.com",
        "https://acme.evil.example/.cloudflareaccess.com",
        "https://acme.cloudflareaccess.com/x",
        "https://acme.cloudflareaccess.com.evil.example",
        "http://127.0.0.1:8788@evil.example",
        "http://127.0.0.1",
        "http://10.0.0.1:80",
    ] {
        assert_eq!(set(domain, audience), ["ACCESS_TEAM_DOMAIN"], "{domain}");
    }
    assert_eq!(set("https://acme.cloudflareaccess.com", ""), ["ACCESS_AUDIENCE"]);
    assert_eq!(set("", audience), ["ACCESS_TEAM_DOMAIN"]);
    assert_eq!(set("", ""), [""; 0]);
}

#[test]
fn an_issuer_is_a_url_without_a_query_and_else_the_requests_own() {
    for bad in [
        "keys.example.com",
        "ftp://keys.example.com",
        "https://",
        "https://u@keys.example.com",
        "https://keys.example.com/a?b",
        "https://keys.example.com?b",
        "https://keys.example.com/#a",
        "https://keys.example.com/../a",
        "https://keys.example.com/a\nb",
    ] {
        assert_eq!(problems(&json!({"ISSUER": bad})), ["ISSUER"], "{bad}");
    }
    let text = "0\nGET\nhttps://Gate.example:443/v1\n";
    let head = Head::parse(text).unwrap();
    for (set, issuer) in [
        (json!({}), "https://gate.example/_keyward"),
        (json!({"ISSUER": ""}), "https://gate.example/_keyward"),
        (json!({"ISSUER": "https://keys.example.com/_keyward"}), "https://keys.example.com/_keyward"),
        (json!({"ISSUER": "http://127.0.0.1:8787"}), "http://127.0.0.1:8787"),
    ] {
        assert_eq!(Config::parse(&vars(&set)).ok().unwrap().issuer(&head), issuer);
    }
}

#[test]
fn a_route_may_ask_for_its_own_assertions_but_a_public_one_has_none() {
    let route = |rest: Value| {
        let mut row = json!({"match": "GET /a"});
        row.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        problems(&json!({"ROUTES": [row]}))
    };
    assert!(route(json!({"scope": "a", "assertion": "request"})).is_empty());
    for rest in [
        json!({"access": "public", "assertion": "request"}),
        json!({"scope": "a", "assertion": "none"}),
        json!({"scope": "a", "assertion": true}),
    ] {
        assert_eq!(route(rest.clone()), ["ROUTES[0]"], "{rest}");
    }
}

#[test]
fn a_route_with_a_parameter_is_told_what_to_write() {
    let row = json!({"match": "GET /v1/contacts/:id", "scope": "a"});
    let problems = Config::parse(&vars(&json!({"ROUTES": [row]}))).err().unwrap();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].detail.contains("GET /v1/contacts/*"), "{}", problems[0].detail);
    for pattern in ["POST,PUT,PATCH /v1/contacts/*", "GET /v1/contacts/**", "GET /**"] {
        let row = json!({"match": pattern, "scope": "a"});
        assert!(Config::parse(&vars(&json!({"ROUTES": [row]}))).is_ok(), "{pattern}");
    }
}

#[test]
fn a_bootstrap_token_is_compared_whole() {
    let config = Config::parse(&vars(&json!({}))).ok().unwrap();
    assert!(config.bootstrap_token.matches("a-bootstrap-token-of-a-test"));
    assert!(!config.bootstrap_token.matches("a-bootstrap-token-of-a-tes"));
    assert!(!config.bootstrap_token.matches(""));
}
