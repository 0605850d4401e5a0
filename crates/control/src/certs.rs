//! Cached public keys of the Cloudflare Access team, and when to fetch them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::access::{RSA_BYTES, text};
use keyward_http::limits::{ACCESS_KEY_ID_BYTES, ACCESS_KEYS};
use keyward_key::time::Millis;

/// Time after which cached keys are fetched again, in milliseconds. After it, a key that the team has withdrawn is not accepted.
const FRESH_MILLIS: i64 = 3_600_000;
/// Maximum age of cached keys while fetches fail, in milliseconds.
const KEPT_MILLIS: i64 = 86_400_000;
/// Minimum interval between fetches for an unknown `kid`, which any client can send, in milliseconds.
const REFETCH_MILLIS: i64 = 60_000;
/// Minimum interval after a failed fetch, in milliseconds.
const RETRY_MILLIS: i64 = 5_000;
/// Timeout of one fetch, in milliseconds.
pub const FETCH_MILLIS: u32 = 4_000;
/// Maximum size of the fetched body, in bytes.
pub const CERTS_BYTES: u32 = 65_536;

/// One of the team's public keys (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    kid: String,
    /// The modulus, base64url.
    pub n: String,
    /// The exponent, base64url.
    pub e: String,
}

/// Parses `{team domain}/cdn-cgi/access/certs` and returns the keys that are usable for RS256. `None` if the body is not a key set.
#[must_use]
pub fn parse_certs(body: &str) -> Option<Vec<PublicKey>> {
    let set: Value = serde_json::from_str(body).ok()?;
    let keys = set.get("keys")?.as_array()?.iter().filter_map(|key| {
        let is = |name: &str, value: &str| key.get(name).is_none_or(|found| found.as_str() == Some(value));
        let usable = key.get("kty")?.as_str() == Some("RSA") && is("alg", "RS256") && is("use", "sig");
        let (n, e) = (text(key, "n", 1_024)?, text(key, "e", 8)?);
        let bits = URL_SAFE_NO_PAD.decode(&n).ok()?.len();
        (usable && RSA_BYTES.contains(&bits)).then_some(PublicKey { kid: text(key, "kid", ACCESS_KEY_ID_BYTES)?, n, e })
    });
    Some(keys.take(ACCESS_KEYS).collect())
}

/// Cached keys of the team in one isolate.
#[derive(Default)]
pub struct Certs {
    keys: Vec<PublicKey>,
    fetched_at: Option<Millis>,
    tried_at: Option<Millis>,
    fetching: bool,
}

/// Next action for a key id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Verify with this key.
    Verify(PublicKey),
    /// Fetch the keys, report the result with [`Certs::learn`] or [`Certs::failed`], and call [`Certs::next`] again.
    Fetch,
    /// Another request is fetching the keys: wait briefly and call [`Certs::next`] again.
    Wait,
    /// The team has no such key.
    Unknown,
    /// The team's keys are not available.
    Unavailable,
}

impl Certs {
    /// Returns the next action for `kid` at `now`. Only one request at a time gets [`Next::Fetch`].
    pub fn next(&mut self, kid: &str, now: Millis) -> Next {
        let within =
            |since: Option<Millis>, span: i64| since.is_some_and(|since| (0..span).contains(&now.since(since)));
        let kept = within(self.fetched_at, KEPT_MILLIS);
        let known = self.keys.iter().find(|key| key.kid == kid && kept).cloned();
        if let Some(key) = known.clone().filter(|_| within(self.fetched_at, FRESH_MILLIS)) {
            return Next::Verify(key);
        }
        // A fetch whose request was cancelled counts as over after its timeout.
        let fetching = self.fetching && within(self.tried_at, i64::from(FETCH_MILLIS).saturating_add(1_000));
        let succeeded = self.fetched_at.is_some() && self.fetched_at >= self.tried_at;
        let pause = if succeeded { REFETCH_MILLIS } else { RETRY_MILLIS };
        if !fetching && !within(self.tried_at, pause) {
            self.tried_at = Some(now);
            self.fetching = true;
            return Next::Fetch;
        }
        match known {
            Some(key) => Next::Verify(key),
            None if fetching => Next::Wait,
            None if succeeded => Next::Unknown,
            None => Next::Unavailable,
        }
    }

    /// Stores the fetched keys, dated with the time of the call to [`Self::next`]. A set without a key counts as a failure of the team's
    /// server.
    pub fn learn(&mut self, keys: Vec<PublicKey>) {
        self.fetching = false;
        if !keys.is_empty() {
            self.keys = keys;
            self.fetched_at = self.tried_at;
        }
    }

    /// Records that the keys could not be fetched.
    pub const fn failed(&mut self) {
        self.fetching = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Millis = Millis(1_800_000_000_500);

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
}
