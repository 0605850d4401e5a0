//! What an error says to whom: status, challenge, and what a gateway hears instead.

use keyward_http::problem::{Code, Problem};
use keyward_http::reply::Reply;
use serde_json::Value;

fn header(problem: &Problem, name: &str) -> Option<String> {
    let found: Vec<_> = problem.headers().iter().filter(|(known, _)| *known == name).collect();
    assert!(found.len() < 2, "{name} twice");
    found.first().map(|(_, value)| value.clone())
}

#[test]
fn a_bad_configuration_is_503_at_the_health_address_and_500_everywhere_else() {
    for (problem, status) in [(Problem::unhealthy(), 503), (Problem::from(Code::Misconfigured), 500)] {
        assert_eq!((problem.code, problem.status()), (Code::Misconfigured, status));
        let reply = Reply::problem(&problem, "r");
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!((reply.status, &body["status"], &body["code"]), (status, &status.into(), &"misconfigured".into()));
    }
}

#[test]
fn every_401_has_a_challenge_and_only_what_was_presented_is_called_an_invalid_token() {
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
fn who_is_to_come_again_is_told_when() {
    for code in Code::ALL {
        let expected = (*code == Code::AuthorityUnavailable).then(|| "5".to_owned());
        assert_eq!(header(&Problem::from(*code), "retry-after"), expected, "{}", code.as_str());
    }
    let limited = Problem::rate_limited("Slowly.", 7);
    assert_eq!((limited.status(), header(&limited, "retry-after").as_deref()), (429, Some("7")));
    assert!(limited.body("r").contains("Slowly."));
}

#[test]
fn a_gateway_hears_403_of_what_a_client_did_wrong_and_in_a_header_which_wrong_it_was() {
    for code in Code::ALL {
        let told = Problem::from(*code).for_gateway();
        let expected = match code.status() {
            400 | 404 | 405 | 414 | 421 | 431 => 403,
            status => status,
        };
        assert_eq!(told.status(), expected, "{}", code.as_str());
        assert_eq!(header(&told, "keyward-refusal").as_deref(), Some(code.as_str()));
        assert!(told.body("r").contains(&format!(r#""status":{expected}"#)), "{}", code.as_str());
    }
}

#[test]
fn every_answer_of_ours_says_whether_it_may_be_kept_and_is_what_it_says_it_is() {
    let value = |reply: &Reply, name: &str| {
        let found = reply.headers.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let kept = "public, max-age=300";
    for (reply, content_type, cache, body) in [
        (Reply::json(201, &1, "r"), "application/json", "no-store", "1"),
        (Reply::text("a".to_owned(), "r"), "text/plain; charset=utf-8", "no-store", "a"),
        (Reply::lines("r"), "application/x-ndjson", "no-store", ""),
        (Reply::empty("r"), "", "no-store", ""),
        (Reply::page("a".to_owned(), "r"), "text/html; charset=utf-8", kept, "a"),
        (Reply::published("application/jwk-set+json", &1, "r"), "application/jwk-set+json", kept, "1"),
        (Reply::document_head("r"), "application/json", kept, ""),
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
fn a_wrong_field_is_named_and_what_would_be_right_is_said() {
    let problem = Problem::field(Code::InvalidRequest, "scopes[1]", "must be a text");
    let body: Value = serde_json::from_str(&problem.body("r")).unwrap();
    assert_eq!((&body["field"], &body["detail"]), (&"scopes[1]".into(), &"must be a text".into()));
    let without: Value = serde_json::from_str(&Problem::from(Code::InvalidRequest).body("r")).unwrap();
    assert_eq!(without.get("field"), None);
}
