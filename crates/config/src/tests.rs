use super::*;
use keyward_key::exposure::ExposureAction;
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
fn defaults_are_the_documented_ones() {
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
fn a_variable_can_be_a_string_or_its_json_type() {
    for changes in [
        json!({"REQUIRE_HTTPS": false, "MAX_KEY_DAYS": 30, "ORIGIN_LIVE": "route", "ROUTE_HOSTS": ["api.example.com"]}),
        json!({"REQUIRE_HTTPS": "false", "MAX_KEY_DAYS": "30", "ORIGIN_LIVE": "route",
               "ROUTE_HOSTS": r#"["api.example.com"]"#,
               "ROUTES": r#"[{"match": "* /*", "access": "public", "on_outage": "closed"}]"#}),
    ] {
        let config = Config::parse(&vars(&changes)).ok().unwrap();
        assert!(!config.require_https);
        assert_eq!(config.max_key_days, 30);
        assert_eq!(config.origin_live, Origin::Route);
    }
}

#[test]
fn all_problems_are_reported_at_once_without_secrets() {
    let broken = json!({
        "KEYWARD_SECRET": "c2hvcnQ=",
        "KEYWARD_SECRET_PREVIOUS": "nonsense!",
        "BOOTSTRAP_TOKEN": "short",
        "METRICS_TOKEN": "s",
        "KEY_PREFIX": "WAFL",
        "ORIGIN_LIVE": "https://user:word@api.example.com/path",
        "ROUTE_HOSTS": ["https://api.example.com"],
        "ORIGIN_TEST": "route",
        "REQUIRE_HTTPS": "yes",
        "REFUSE_BROWSERS": 1,
        "MAX_KEY_DAYS": 0,
        "REVOCATION_BOUND_SECONDS": "five",
        "OUTAGE_GRACE_SECONDS": -1,
        "ORIGIN_TIMEOUT_SECONDS": 601,
        "MAX_CONNECTION_SECONDS": 59,
        "AUTHORITY_EPOCH": "after the restore",
        "MAX_MEMBER_DAYS": 3651,
        "CONTROL_HOST": "https://keys.example.com",
        "ACCESS_TEAM_DOMAIN": "https://access.evil.example",
        "ACCESS_AUDIENCE": "two words",
        "ISSUER": "keys.example.com",
        "ON_EXPOSURE": {"url": "ignore"},
        "IDLE_DAYS": 0,
        "REVOKE_IDLE_DAYS": 401,
        "ROTATE_DAYS": 0,
        "DEFAULT_LIMITS": [{"name": "burst", "requests": 0, "seconds": 60}],
        "LEAK_GITHUB_KEYS_URL": "http://api.github.com/keys",
        "LEAK_GITLAB_TOKEN": "too short",
        "EVENT_HOSTS": ["https://hooks.example.com"],
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
fn every_missing_variable_is_reported() {
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
fn access_needs_both_settings_and_a_cloudflare_team() {
    let set = |domain: &str, audience: &str| {
        problems(
            &json!({"ACCESS_TEAM_DOMAIN": domain, "ACCESS_AUDIENCE": audience, "CONTROL_HOST": "keys.example.com"}),
        )
    };
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
fn access_needs_a_host_for_the_control_plane_alone() {
    let access = json!({"ACCESS_TEAM_DOMAIN": "https://acme.cloudflareaccess.com", "ACCESS_AUDIENCE": "4714c135"});
    let Err(problems) = Config::parse(&vars(&access)) else { panic!("accepted") };
    let [problem] = problems.as_slice() else { panic!("{problems:?}") };
    assert_eq!(problem.variable, "CONTROL_HOST");
    assert!(problem.detail.contains("like keys.example.com"), "{}", problem.detail);
}

#[test]
fn the_api_is_never_on_the_host_of_the_control_plane() {
    let set = |host: &str, origin: &str, hosts: Value| {
        problems(&json!({"CONTROL_HOST": host, "ORIGIN_LIVE": origin, "ROUTE_HOSTS": hosts}))
    };
    let hosts = || json!(["api.example.com", "keys.example.com:8443"]);
    assert_eq!(set("admin.example.com", "route", hosts()), [""; 0]);
    for same in ["api.example.com", "API.example.com", "keys.example.com:8443", "keys.example.com"] {
        assert_eq!(set(same, "route", hosts()), ["CONTROL_HOST"], "{same}");
    }
    assert_eq!(set("keys.example.com", "https://keys.example.com", Value::Null), ["CONTROL_HOST"]);
    assert_eq!(set("keys.example.com", "https://keys.example.com:8443", Value::Null), ["CONTROL_HOST"]);
    assert_eq!(set("localhost:8789", "http://127.0.0.1:8789", Value::Null), ["CONTROL_HOST"]);
    assert_eq!(set("localhost:8789", "http://127.0.0.1:8788", Value::Null), [""; 0]);
}

#[test]
fn a_zone_route_needs_the_list_of_its_hosts() {
    let set = |hosts: Value| problems(&json!({"ORIGIN_LIVE": "route", "ROUTE_HOSTS": hosts}));
    assert_eq!(set(json!(["api.example.com", "127.0.0.1:8787"])), [""; 0]);
    for bad in [
        json!(null),
        json!([]),
        json!(""),
        json!("api.example.com"),
        json!(["api.example.com", 1]),
        json!(["api.example.com."]),
        json!(["*.example.com"]),
        json!({"0": "api.example.com"}),
    ] {
        assert_eq!(set(bad.clone()), ["ROUTE_HOSTS"], "{bad}");
    }
}

#[test]
fn on_a_zone_route_requests_are_forwarded_from_the_listed_hosts_only() {
    let forwards = |changes: Value, base: &str| {
        let text = format!("0\nGET\n{base}/v1\n");
        Config::parse(&vars(&changes)).ok().unwrap().forwards_from(&Head::parse(&text).unwrap())
    };
    let listed = || json!({"ORIGIN_LIVE": "route", "ROUTE_HOSTS": ["api.example.com", "127.0.0.1:8787"]});
    for base in ["https://api.example.com", "https://API.example.com:443", "http://127.0.0.1:8787"] {
        assert!(forwards(listed(), base), "{base}");
    }
    for base in
        ["https://other.example.com", "https://api.example.com.", "https://api.example.com:8443", "http://127.0.0.1"]
    {
        assert!(!forwards(listed(), base), "{base}");
        assert!(forwards(json!({}), base), "{base}");
    }
}

#[test]
fn a_host_has_one_role() {
    let role = |changes: &Value, base: &str| {
        let text = format!("0\nGET\n{base}/v1\n");
        Config::parse(&vars(changes)).ok().unwrap().host_role(&Head::parse(&text).unwrap())
    };
    assert_eq!(role(&json!({}), "https://keys.example.com"), HostRole::GateAndControl);
    let set = json!({"CONTROL_HOST": "keys.example.com"});
    assert_eq!(role(&set, "https://Keys.example.com"), HostRole::Control);
    assert_eq!(role(&set, "https://api.example.com"), HostRole::Gate);
    assert_eq!(role(&set, "https://keys.example.com."), HostRole::Ambiguous);
    assert_eq!(role(&set, "https://keys.example.com:8443"), HostRole::Ambiguous);
}

#[test]
fn the_issuer_is_a_url_without_a_query_or_derived_from_the_request() {
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
    for (set, issuer, base) in [
        (json!({}), "https://gate.example/_keyward", "https://gate.example"),
        (json!({"ISSUER": ""}), "https://gate.example/_keyward", "https://gate.example"),
        (
            json!({"ISSUER": "https://keys.example.com/_keyward"}),
            "https://keys.example.com/_keyward",
            "https://keys.example.com",
        ),
        (json!({"ISSUER": "http://127.0.0.1:8787"}), "http://127.0.0.1:8787", "http://127.0.0.1:8787"),
    ] {
        let config = Config::parse(&vars(&set)).ok().unwrap();
        assert_eq!((&*config.issuer(&head), &*config.public_base(&head)), (issuer, base));
    }
}

#[test]
fn a_route_with_a_scope_can_require_its_own_assertions_and_a_public_one_cannot() {
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
fn each_kind_of_exposure_has_its_action_and_is_recorded_by_default() {
    let set = |value: Value| Config::parse(&vars(&json!({"ON_EXPOSURE": value}))).map(|config| config.on_exposure).ok();
    let expected = OnExposure { url: ExposureAction::Revoke, ..OnExposure::default() };
    for value in [json!({"url": "revoke"}), json!(r#"{"url": "revoke", "http": "record"}"#)] {
        assert_eq!(set(value), Some(expected));
    }
    let quarantine = set(json!({"browser": "quarantine", "http": "revoke"})).unwrap();
    assert_eq!((quarantine.browser, quarantine.http), (ExposureAction::Quarantine, ExposureAction::Revoke));
    assert_eq!(set(json!({})), Some(OnExposure::default()));
    for wrong in [
        json!("quarantine"),
        json!([]),
        json!(true),
        json!({"url": "none"}),
        json!({"url": null}),
        json!({"leak": "revoke"}),
        json!({"URL": "revoke"}),
    ] {
        assert_eq!(problems(&json!({"ON_EXPOSURE": wrong})), ["ON_EXPOSURE"]);
    }
}

#[test]
fn the_list_of_githubs_keys_is_fetched_over_https_or_from_loopback() {
    let list = |url: &str| problems(&json!({"LEAK_GITHUB_KEYS_URL": url}));
    for good in [
        "https://api.github.com/meta/public_keys/secret_scanning",
        "https://[2001:db8::1]/keys",
        "http://127.0.0.1:8787/keys",
        "http://localhost/keys",
        "http://[::1]:1",
        "http://[::1]/keys",
        "http://[::1]",
    ] {
        assert!(list(good).is_empty(), "{good}");
    }
    for bad in [
        "api.github.com/keys",
        "http://api.github.com/",
        "ftp://127.0.0.1/",
        "https://",
        "http://127.0.0.1.evil.example/",
        "http://[::2]/keys",
        "http://[2001:db8::1]:80/keys",
    ] {
        assert_eq!(list(bad), ["LEAK_GITHUB_KEYS_URL"], "{bad}");
    }
    let config = Config::parse(&vars(&json!({}))).ok().unwrap();
    assert_eq!(config.leak_github_keys_url, "https://api.github.com/meta/public_keys/secret_scanning");
    assert!(config.leak_gitlab_token.is_none());
}

#[test]
fn a_bootstrap_token_matches_only_as_a_whole() {
    let config = Config::parse(&vars(&json!({}))).ok().unwrap();
    assert!(config.bootstrap_token.matches("a-bootstrap-token-of-a-test"));
    assert!(!config.bootstrap_token.matches("a-bootstrap-token-of-a-tes"));
    assert!(!config.bootstrap_token.matches(""));
}

#[test]
fn the_documented_range_of_each_number_is_the_one_that_is_checked() {
    let number = |text: &str| text.trim_matches(|letter: char| !letter.is_ascii_digit()).parse::<u32>().ok();
    let range = |meaning: &str| {
        let words: Vec<&str> = meaning.split(' ').collect();
        words.windows(3).filter(|words| words[1] == "to").find_map(|words| number(words[0]).zip(number(words[2])))
    };
    let numbers = SETTINGS.iter().filter(|setting| setting.default.is_some_and(|text| text.parse::<u32>().is_ok()));
    for Setting { name, meaning, .. } in numbers {
        let (least, most) = range(meaning).unwrap();
        let set = |value: i64| problems(&json!({ *name: value }));
        assert!(set(least.into()).is_empty() && set(most.into()).is_empty(), "{name}");
        assert_eq!(set(i64::from(least) - 1), [*name]);
        assert_eq!(set(i64::from(most) + 1), [*name]);
    }
}
