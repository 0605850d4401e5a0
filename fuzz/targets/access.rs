//! Sign-in through Cloudflare Access: a JWT is refused, or a second, independent parser finds every claim valid.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_config::AccessSettings;
use keyward_control::access::Assertion;
use keyward_control::certs::parse_certs;
use keyward_http::limits::{ACCESS_KEYS, ACCESS_TOKEN_BYTES};
use keyward_key::time::Millis;
use serde_json::Value;

const NOW: Millis = Millis(1_800_000_000_500);

/// Input: header and payload of a JWT, separated by a line feed. Without a line feed: a JWT as sent, and a team's key set.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let settings = AccessSettings { team_domain: "https://a.example".to_owned(), audience: "us".to_owned() };
    let token = match text.split_once('\n') {
        None => {
            check_certs(text);
            text.to_owned()
        }
        Some((header, payload)) => {
            let (header, payload) = (URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
            format!("{header}.{payload}.{}", URL_SAFE_NO_PAD.encode([1; 256]))
        }
    };
    let Ok(assertion) = Assertion::parse(&token, &settings, NOW) else { return };
    assert!(token.len() <= ACCESS_TOKEN_BYTES);
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3);
    assert_eq!(assertion.signed, format!("{}.{}", parts[0], parts[1]));
    assert!((256..=512).contains(&assertion.signature.len()));
    let read = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
    };
    let (header, payload) = (read(parts[0]), read(parts[1]));
    assert_eq!(header["alg"], "RS256");
    assert!(header.get("crit").is_none());
    assert_eq!(header["kid"], assertion.kid.as_str());
    assert_eq!(payload["iss"], "https://a.example");
    let audience = &payload["aud"];
    assert!(audience == "us" || audience.as_array().is_some_and(|all| all.iter().any(|one| one == "us")));
    assert!(payload["exp"].as_f64().expect("exp is a number") > 1_800_000_000.5);
    assert!(payload.get("nbf").is_none_or(|start| start.as_f64().is_some_and(|start| start < 1_800_000_000.501)));
    assert_eq!(payload["email"], assertion.email.as_str());
    assert!(!assertion.email.is_empty() && !assertion.email.chars().any(char::is_control));
}

fn check_certs(text: &str) {
    let Some(keys) = parse_certs(text) else { return };
    assert!(keys.len() <= ACCESS_KEYS);
    for key in keys {
        assert!((256..=512).contains(&URL_SAFE_NO_PAD.decode(&key.n).expect("base64url").len()));
        assert!((1..=8).contains(&key.e.len()));
    }
}
