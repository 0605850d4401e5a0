//! Sign-in through Cloudflare Access: the JWT in `Cf-Access-Jwt-Assertion`.
//!
//! 1. [`Assertion::parse`] reads the JWT (RFC 7519) and checks everything except its signature: form, size, `alg`, `iss`, `aud`,
//!    `exp`, `nbf`, and that it contains an e-mail address. A JWT that fails here causes no fetch.
//! 2. [`super::certs::Certs`] returns the team's key for that `kid`, or requests a fetch of the keys.
//! 3. The platform verifies the signature. Only then is the e-mail address sent to the registry, which finds its member.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use keyward_config::AccessSettings;
use keyward_http::limits::{ACCESS_KEY_ID_BYTES, ACCESS_TOKEN_BYTES, CONTACT_CHARS};
use keyward_key::time::Millis;

/// Accepted sizes of an RSA signature, in bytes (keys of 2,048 to 4,096 bits).
pub(super) const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=512;
/// A JWT with valid claims and an unverified signature. Do not trust its contents before the signature is verified.
pub struct Assertion {
    /// Id of the team's key that signed it.
    pub kid: String,
    /// The bytes that are signed: header and payload as sent.
    pub signed: String,
    /// RSASSA-PKCS1-v1_5 with SHA-256 over [`Self::signed`].
    pub signature: Vec<u8>,
    /// E-mail address of the person who signed in.
    pub email: String,
}

/// Reason why a JWT is refused. For the log; the caller gets the same 401 for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadAssertion {
    /// Not three parts of base64url JSON, or too long.
    Form,
    /// Not RS256, or with critical extensions (`crit`).
    Algorithm,
    /// No usable key id.
    KeyId,
    /// Another issuer.
    Issuer,
    /// Another audience.
    Audience,
    /// Expired, or without `exp`.
    Expired,
    /// Not yet valid.
    Early,
    /// No e-mail address. A service token has none, because it does not belong to a person.
    Email,
    /// The team has no key with this id.
    UnknownKey,
    /// The signature does not match the key.
    Signature,
}

impl Assertion {
    /// Parses a JWT and checks its claims at `now`, without any leeway.
    ///
    /// # Errors
    /// [`BadAssertion`], for the first failed check.
    pub fn parse(token: &str, settings: &AccessSettings, now: Millis) -> Result<Self, BadAssertion> {
        if token.len() > ACCESS_TOKEN_BYTES {
            return Err(BadAssertion::Form);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(BadAssertion::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(BadAssertion::Form)?;
        let (header, payload) = (json(header)?, json(payload)?);
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| BadAssertion::Form)?;

        // RFC 8725, section 3.1: the verifier chooses the algorithm, never the token.
        if header.get("alg").and_then(Value::as_str) != Some("RS256") || header.get("crit").is_some() {
            return Err(BadAssertion::Algorithm);
        }
        let kid = text(&header, "kid", ACCESS_KEY_ID_BYTES).ok_or(BadAssertion::KeyId)?;
        if payload.get("iss").and_then(Value::as_str) != Some(&settings.team_domain) {
            return Err(BadAssertion::Issuer);
        }
        let is_ours = |value: &Value| value.as_str() == Some(&settings.audience);
        let for_us = match payload.get("aud") {
            Some(Value::Array(audiences)) => audiences.iter().any(is_ours),
            Some(audience) => is_ours(audience),
            None => false,
        };
        if !for_us {
            return Err(BadAssertion::Audience);
        }
        if instant(&payload, "exp").is_none_or(|end| now >= end) {
            return Err(BadAssertion::Expired);
        }
        if payload.get("nbf").is_some() && instant(&payload, "nbf").is_none_or(|start| now < start) {
            return Err(BadAssertion::Early);
        }
        let email = text(&payload, "email", CONTACT_CHARS).ok_or(BadAssertion::Email)?;
        if !RSA_BYTES.contains(&signature.len()) {
            return Err(BadAssertion::Signature);
        }
        Ok(Self { kid, signed: signed.to_owned(), signature, email })
    }
}

fn json(part: &str) -> Result<Value, BadAssertion> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| BadAssertion::Form)?;
    let text = String::from_utf8(bytes).map_err(|_| BadAssertion::Form)?;
    serde_json::from_str(&text).ok().filter(Value::is_object).ok_or(BadAssertion::Form)
}

pub(super) fn text(object: &Value, name: &str, most: usize) -> Option<String> {
    let text = object.get(name)?.as_str()?;
    let fits = (1..=most).contains(&text.len()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

/// Parses a NumericDate: seconds since 1970, possibly with a fraction.
fn instant(object: &Value, name: &str) -> Option<Millis> {
    let seconds = object.get(name)?.as_f64().filter(|seconds| (0.0..1e11).contains(seconds))?;
    #[expect(clippy::cast_possible_truncation, reason = "below 1e14")]
    Some(Millis((seconds * 1000.0) as i64))
}

#[cfg(test)]
mod tests {
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
}
