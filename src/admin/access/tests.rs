//! The claims of an assertion, one by one.

use super::*;
use serde_json::json;

const NOW: Millis = Millis(1_800_000_000_500);

fn settings() -> AccessSettings {
    AccessSettings { team_domain: "https://acme.cloudflareaccess.com".to_owned(), audience: "4714c135".to_owned() }
}

fn claims() -> Value {
    json!({"iss": "https://acme.cloudflareaccess.com", "aud": ["4714c135"], "exp": 1_800_000_001, "nbf": 1_800_000_000,
           "iat": 1_800_000_000, "email": "ada@acme.example", "sub": "1", "type": "app"})
}

fn token(header: &Value, payload: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(payload), URL_SAFE_NO_PAD.encode([1; 256]))
}

fn judged(header: &Value, payload: &Value) -> Result<String, BadAssertion> {
    Assertion::parse(&token(header, payload), &settings(), NOW).map(|assertion| assertion.email)
}

#[test]
fn claims_in_order_are_taken() {
    let header = json!({"alg": "RS256", "kid": "k1", "typ": "JWT"});
    assert_eq!(judged(&header, &claims()).as_deref(), Ok("ada@acme.example"));
    let mut payload = claims();
    payload["aud"] = json!("4714c135");
    assert!(judged(&header, &payload).is_ok());
    payload["aud"] = json!(["other", "4714c135"]);
    payload["exp"] = json!(1_800_000_000.501);
    payload.as_object_mut().unwrap().remove("nbf");
    assert!(judged(&header, &payload).is_ok());
    let parsed = Assertion::parse(&token(&header, &payload), &settings(), NOW).unwrap_or_else(|_| panic!());
    assert_eq!((parsed.kid.as_str(), parsed.signature.len()), ("k1", 256));
    assert!(token(&header, &payload).starts_with(&parsed.signed));
}

#[test]
fn each_claim_that_is_wrong_is_refused() {
    use BadAssertion::*;
    let right = json!({"alg": "RS256", "kid": "k1"});
    for (header, why) in [
        (json!({"alg": "none", "kid": "k1"}), Algorithm),
        (json!({"alg": "HS256", "kid": "k1"}), Algorithm),
        (json!({"alg": "rs256", "kid": "k1"}), Algorithm),
        (json!({"alg": "PS256", "kid": "k1"}), Algorithm),
        (json!({"alg": ["RS256"], "kid": "k1"}), Algorithm),
        (json!({"kid": "k1"}), Algorithm),
        (json!({"alg": "RS256", "kid": "k1", "crit": ["exp"]}), Algorithm),
        (json!({"alg": "RS256"}), KeyId),
        (json!({"alg": "RS256", "kid": 1}), KeyId),
        (json!({"alg": "RS256", "kid": ""}), KeyId),
        (json!({"alg": "RS256", "kid": "k".repeat(257)}), KeyId),
        (json!(["RS256"]), Form),
    ] {
        assert_eq!(judged(&header, &claims()), Err(why), "{header}");
    }
    for (name, value, why) in [
        ("iss", json!("https://acme.cloudflareaccess.com/"), Issuer),
        ("iss", json!("https://evil.cloudflareaccess.com"), Issuer),
        ("iss", json!(null), Issuer),
        ("aud", json!(["4714c136"]), Audience),
        ("aud", json!([]), Audience),
        ("aud", json!([["4714c135"]]), Audience),
        ("aud", json!({"4714c135": 1}), Audience),
        ("aud", json!(null), Audience),
        ("exp", json!(1_800_000_000), Expired),
        ("exp", json!(1_800_000_000.5), Expired),
        ("exp", json!("1900000000"), Expired),
        ("exp", json!(1e300), Expired),
        ("exp", json!(-1), Expired),
        ("exp", json!(null), Expired),
        ("nbf", json!(1_800_000_001), Early),
        ("nbf", json!("1"), Early),
        ("nbf", json!(null), Early),
        ("email", json!(""), Email),
        ("email", json!(null), Email),
        ("email", json!(["ada@acme.example"]), Email),
        ("email", json!("ada@acme.example\n"), Email),
        ("email", json!("a".repeat(255)), Email),
    ] {
        let mut payload = claims();
        payload[name] = value;
        assert_eq!(judged(&right, &payload), Err(why), "{payload}");
    }
}

#[test]
fn what_is_no_jwt_is_refused() {
    let header = json!({"alg": "RS256", "kid": "k1"});
    let good = token(&header, &claims());
    let (start, signature) = good.rsplit_once('.').unwrap();
    for text in [
        String::new(),
        "a.b".to_owned(),
        "..".to_owned(),
        format!("{good}.x"),
        format!("{good}="),
        start.to_owned(),
        format!("{start}.{signature}!"),
        "a".repeat(9_000),
    ] {
        assert_eq!(Assertion::parse(&text, &settings(), NOW).err(), Some(BadAssertion::Form), "{text}");
    }
    for length in [0, 255, 513] {
        let text = format!("{start}.{}", URL_SAFE_NO_PAD.encode(vec![1; length]));
        assert_eq!(Assertion::parse(&text, &settings(), NOW).err(), Some(BadAssertion::Signature), "{length}");
    }
}

fn keys(kids: &[&str]) -> Vec<PublicKey> {
    let key = |kid: &&str| PublicKey { kid: (*kid).to_owned(), n: String::new(), e: String::new() };
    kids.iter().map(key).collect()
}

#[test]
fn only_rsa_keys_for_signatures_are_taken() {
    let n = URL_SAFE_NO_PAD.encode([0xff; 256]);
    let set = json!({"keys": [
        {"kid": "good", "kty": "RSA", "alg": "RS256", "use": "sig", "n": n, "e": "AQAB"},
        {"kid": "plain", "kty": "RSA", "n": n, "e": "AQAB"},
        {"kid": "ec", "kty": "EC", "n": n, "e": "AQAB"},
        {"kid": "enc", "kty": "RSA", "use": "enc", "n": n, "e": "AQAB"},
        {"kid": "weak", "kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xff; 128]), "e": "AQAB"},
        {"kty": "RSA", "n": n, "e": "AQAB"},
    ], "public_cert": {}});
    let kids: Vec<String> = parse_certs(&set.to_string()).unwrap().into_iter().map(|key| key.kid).collect();
    assert_eq!(kids, ["good", "plain"]);
    for text in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>"] {
        assert_eq!(parse_certs(text), None, "{text}");
    }
}

#[test]
fn an_unknown_key_is_fetched_for_at_most_once_a_minute() {
    let mut certs = Certs::default();
    let at = |seconds: i64| Millis(1_800_000_000_000).plus_seconds(seconds);
    assert_eq!(certs.next("a", at(0)), Next::Fetch);
    assert_eq!(certs.next("a", at(0)), Next::Wait);
    certs.learn(keys(&["a"]));
    assert!(matches!(certs.next("a", at(1)), Next::Verify(_)));
    assert_eq!(certs.next("b", at(59)), Next::Unknown);
    assert_eq!(certs.next("b", at(60)), Next::Fetch);
    assert!(matches!(certs.next("a", at(60)), Next::Verify(_)));
    certs.learn(keys(&["a"]));
    assert_eq!(certs.next("b", at(61)), Next::Unknown);
}

#[test]
fn keys_are_renewed_after_an_hour_and_outlive_an_outage_by_a_day() {
    let mut certs = Certs::default();
    let at = |seconds: i64| Millis(1_800_000_000_000).plus_seconds(seconds);
    assert_eq!(certs.next("a", at(0)), Next::Fetch);
    certs.learn(keys(&["a"]));
    assert_eq!(certs.next("a", at(3_600)), Next::Fetch);
    certs.failed();
    assert!(matches!(certs.next("a", at(3_601)), Next::Verify(_)));
    assert_eq!(certs.next("b", at(3_601)), Next::Unavailable);
    assert_eq!(certs.next("a", at(3_605)), Next::Fetch);
    certs.learn(keys(&["b"]));
    assert_eq!(certs.next("a", at(3_606)), Next::Unknown);
    assert_eq!(certs.next("b", at(3_605 + 86_400)), Next::Fetch);
    certs.failed();
    assert_eq!(certs.next("b", at(3_606 + 86_400)), Next::Unavailable);
}

#[test]
fn a_fetch_that_never_ended_does_not_hold_the_others_up() {
    let mut certs = Certs::default();
    assert_eq!(certs.next("a", NOW), Next::Fetch);
    assert_eq!(certs.next("a", NOW.plus_seconds(4)), Next::Wait);
    assert_eq!(certs.next("a", NOW.plus_seconds(5)), Next::Fetch);
    // The clock stepped back.
    assert_eq!(certs.next("a", NOW.plus_seconds(-100)), Next::Fetch);
}
