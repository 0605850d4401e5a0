//! Problems and replies: status, headers and body, and their form for gateways.

use keyward_http::problem::{Code, Problem};
use keyward_http::reply::Reply;
use serde_json::Value;

fn header(problem: &Problem, name: &str) -> Option<String> {
    let found: Vec<_> = problem.headers().iter().filter(|(known, _)| *known == name).collect();
    assert!(found.len() < 2, "duplicate {name}");
    found.first().map(|(_, value)| value.clone())
}

#[test]
fn a_bad_configuration_is_503_on_the_health_path_and_500_elsewhere() {
    for (problem, status) in [(Problem::unhealthy(), 503), (Problem::from(Code::Misconfigured), 500)] {
        assert_eq!((problem.code, problem.status()), (Code::Misconfigured, status));
        let reply = Reply::problem(&problem, "r");
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!((reply.status, &body["status"], &body["code"]), (status, &status.into(), &"misconfigured".into()));
    }
}

#[test]
fn every_401_has_a_challenge_with_invalid_token_if_a_credential_was_sent() {
    for code in Code::ALL {
        let expected = match (code, code.status()) {
            (Code::MissingKey, _) => Some(r#"Bearer realm="keyward""#),
            (_, 401) => Some(r#"Bearer realm="keyward", error="invalid_token""#),
            _ => None,
        };
        assert_eq!(header(&Problem::from(*code), "www-authenticate").as_deref(), expected, "{}", code.as_str());
    }
    let scope = Problem::insufficient_scope("a:b");
    let challenge = r#"Bearer realm="keyward", error="insufficient_scope", scope="a:b""#;
    assert_eq!((scope.status(), header(&scope, "www-authenticate").as_deref()), (403, Some(challenge)));
}

#[test]
fn a_retryable_error_has_retry_after() {
    for code in Code::ALL {
        let expected = (*code == Code::AuthorityUnavailable).then(|| "5".to_owned());
        assert_eq!(header(&Problem::from(*code), "retry-after"), expected, "{}", code.as_str());
    }
    let limited = Problem::rate_limited("Slowly.", 7);
    assert_eq!((limited.status(), header(&limited, "retry-after").as_deref()), (429, Some("7")));
    assert!(limited.body("r").contains("Slowly."));
}

#[test]
fn a_gateway_gets_a_clients_refusal_as_403_with_its_code_in_a_header() {
    for code in Code::ALL {
        let answer = Problem::from(*code).for_gateway();
        let expected = match code.status() {
            400 | 404 | 405 | 414 | 421 | 429 | 431 => 403,
            status => status,
        };
        assert_eq!(answer.status(), expected, "{}", code.as_str());
        assert_eq!(header(&answer, "keyward-refusal").as_deref(), Some(code.as_str()));
        assert!(answer.body("r").contains(&format!(r#""status":{expected}"#)), "{}", code.as_str());
    }
}

#[test]
fn every_reply_states_its_cache_control_and_content_type() {
    let value = |reply: &Reply, name: &str| {
        let found = reply.headers.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let cacheable = "public, max-age=300";
    for (reply, content_type, cache, body) in [
        (Reply::json(201, &1, "r"), "application/json", "no-store", "1"),
        (Reply::text("a".to_owned(), "r"), "text/plain; charset=utf-8", "no-store", "a"),
        (Reply::lines("r"), "application/x-ndjson", "no-store", ""),
        (Reply::empty("r"), "", "no-store", ""),
        (Reply::page("a".to_owned(), "r"), "text/html; charset=utf-8", cacheable, "a"),
        (Reply::published("application/jwk-set+json", &1, "r"), "application/jwk-set+json", cacheable, "1"),
        (Reply::document_head("r"), "application/json", cacheable, ""),
    ] {
        assert_eq!(value(&reply, "content-type"), content_type);
        assert_eq!(value(&reply, "cache-control"), cache);
        assert_eq!(value(&reply, "keyward-request-id"), "r");
        assert_eq!(value(&reply, "x-content-type-options"), "nosniff");
        assert_eq!(reply.body, body);
        assert_eq!(
            reply.headers.iter().filter(|(name, _)| *name == "content-type").count(),
            usize::from(!content_type.is_empty())
        );
    }
    assert!(value(&Reply::page(String::new(), "r"), "content-security-policy").starts_with("default-src 'none';"));
}

#[test]
fn an_invalid_field_is_named_with_the_fix() {
    let problem = Problem::field(Code::InvalidRequest, "scopes[1]", "must be a text");
    let body: Value = serde_json::from_str(&problem.body("r")).unwrap();
    assert_eq!((&body["field"], &body["detail"]), (&"scopes[1]".into(), &"must be a text".into()));
    let without: Value = serde_json::from_str(&Problem::from(Code::InvalidRequest).body("r")).unwrap();
    assert_eq!(without.get("field"), None);
}
