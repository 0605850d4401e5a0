//! Sign-in through Cloudflare Access: the JWT in `Cf-Access-Jwt-Assertion`.
//!
//! 1. [`Assertion::parse`] reads the JWT (RFC 7519) and checks everything but its signature: form, size, `alg`, `iss`, `aud`,
//!    `exp`, `nbf`, and that it vouches for an e-mail address. What is wrong here costs no fetch.
//! 2. [`Certs`] says whether the team's key of that `kid` is at hand, or is to be fetched.
//! 3. The platform verifies the signature. Only then does the registry hear the e-mail address, and says whose it is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::config::AccessSettings;
use crate::time::Millis;

/// The longest JWT that is read. Access's have 1 to 2 KB.
const TOKEN_BYTES: usize = 8_192;
/// The longest key id. Access's have 64 characters.
const KID_BYTES: usize = 256;
/// The longest e-mail address (RFC 5321).
const EMAIL_BYTES: usize = 254;
/// RSA with 2,048 to 4,096 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=512;
/// Access publishes two keys, a few more while it rotates them.
const KEYS: usize = 16;

/// How long keys are used before they are fetched again: a key that the team has withdrawn opens nothing after that.
const FRESH_MILLIS: i64 = 3_600_000;
/// How long they are used while fetching them fails.
const KEPT_MILLIS: i64 = 86_400_000;
/// An unknown `kid`, which anyone can send, makes us fetch at most this often.
const REFETCH_MILLIS: i64 = 60_000;
/// After a fetch that failed.
const RETRY_MILLIS: i64 = 5_000;
/// How long one fetch may take.
pub const FETCH_MILLIS: u32 = 4_000;
/// The longest answer that is read.
pub const CERTS_BYTES: u32 = 65_536;

/// A JWT whose claims are in order. Its signature is yet to be verified: nothing in it may be believed before.
pub struct Assertion {
    /// Which of the team's keys signed it.
    pub kid: String,
    /// The bytes that are signed: header and payload as sent.
    pub signed: String,
    /// RSASSA-PKCS1-v1_5 with SHA-256 over [`Self::signed`].
    pub signature: Vec<u8>,
    /// Whom it vouches for.
    pub email: String,
}

/// Why a JWT is refused. For the log; to the caller every one is the same 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadAssertion {
    /// Not three parts of base64url JSON, or too long.
    Form,
    /// Not RS256, or with extensions that must be understood.
    Algorithm,
    /// No usable key id.
    KeyId,
    /// Another issuer.
    Issuer,
    /// For another application.
    Audience,
    /// Past its end, or without one.
    Expired,
    /// Not yet valid.
    Early,
    /// Without an e-mail address: a service token, which is no person.
    Email,
    /// No key of that id, after the team was asked.
    UnknownKey,
    /// The signature is not that key's.
    Signature,
}

impl Assertion {
    /// Parses a JWT and checks its claims at `now`, without any leeway.
    ///
    /// # Errors
    /// [`BadAssertion`], by what was found wrong first.
    pub fn parse(token: &str, settings: &AccessSettings, now: Millis) -> Result<Self, BadAssertion> {
        if token.len() > TOKEN_BYTES {
            return Err(BadAssertion::Form);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(BadAssertion::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(BadAssertion::Form)?;
        let (header, payload) = (json(header)?, json(payload)?);
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| BadAssertion::Form)?;

        // RFC 8725, section 3.1: the algorithm is ours to choose, never the token's.
        if header.get("alg").and_then(Value::as_str) != Some("RS256") || header.get("crit").is_some() {
            return Err(BadAssertion::Algorithm);
        }
        let kid = text(&header, "kid", KID_BYTES).ok_or(BadAssertion::KeyId)?;
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
        let email = text(&payload, "email", EMAIL_BYTES).ok_or(BadAssertion::Email)?;
        if !RSA_BYTES.contains(&signature.len()) {
            return Err(BadAssertion::Signature);
        }
        Ok(Self { kid, signed: signed.to_owned(), signature, email })
    }
}

fn json(part: &str) -> Result<Value, BadAssertion> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| BadAssertion::Form)?;
    serde_json::from_slice(&bytes).ok().filter(Value::is_object).ok_or(BadAssertion::Form)
}

fn text(object: &Value, name: &str, most: usize) -> Option<String> {
    let text = object.get(name)?.as_str()?;
    let fits = (1..=most).contains(&text.len()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

/// A NumericDate: seconds since 1970, perhaps with a fraction.
fn instant(object: &Value, name: &str) -> Option<Millis> {
    let seconds = object.get(name)?.as_f64().filter(|seconds| (0.0..1e11).contains(seconds))?;
    #[expect(clippy::cast_possible_truncation, reason = "below 1e14")]
    Some(Millis((seconds * 1000.0) as i64))
}

/// One of the team's public keys (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    kid: String,
    /// The modulus, base64url.
    pub n: String,
    /// The exponent, base64url.
    pub e: String,
}

/// Reads `{team domain}/cdn-cgi/access/certs`: the keys that RS256 can be verified with. `None` for what is no key set.
#[must_use]
pub fn parse_certs(body: &str) -> Option<Vec<PublicKey>> {
    let set: Value = serde_json::from_str(body).ok()?;
    let keys = set.get("keys")?.as_array()?.iter().filter_map(|key| {
        let is = |name: &str, value: &str| key.get(name).is_none_or(|found| found.as_str() == Some(value));
        let usable = key.get("kty")?.as_str() == Some("RSA") && is("alg", "RS256") && is("use", "sig");
        let (n, e) = (text(key, "n", 1_024)?, text(key, "e", 8)?);
        let bits = URL_SAFE_NO_PAD.decode(&n).ok()?.len();
        (usable && RSA_BYTES.contains(&bits)).then_some(PublicKey { kid: text(key, "kid", KID_BYTES)?, n, e })
    });
    Some(keys.take(KEYS).collect())
}

/// The team's keys, as one isolate knows them.
#[derive(Default)]
pub struct Certs {
    keys: Vec<PublicKey>,
    fetched_at: Option<Millis>,
    tried_at: Option<Millis>,
    fetching: bool,
}

/// What to do about a key id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Verify with this key.
    Verify(PublicKey),
    /// Fetch the keys, say so with [`Certs::learn`] or [`Certs::failed`], and ask again.
    Fetch,
    /// Another request fetches them: wait a little and ask again.
    Wait,
    /// The team has no such key.
    Unknown,
    /// The team's keys can't be had.
    Unavailable,
}

impl Certs {
    /// What to do about `kid` at `now`. [`Next::Fetch`] is given to one request at a time, which is noted.
    pub fn next(&mut self, kid: &str, now: Millis) -> Next {
        let within =
            |since: Option<Millis>, span: i64| since.is_some_and(|since| (0..span).contains(&now.since(since)));
        let kept = within(self.fetched_at, KEPT_MILLIS);
        let known = self.keys.iter().find(|key| key.kid == kid && kept).cloned();
        if let Some(key) = known.clone().filter(|_| within(self.fetched_at, FRESH_MILLIS)) {
            return Next::Verify(key);
        }
        // A fetch whose request went away is over when its time is.
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

    /// The keys were fetched, asked for when [`Self::next`] said so. A set without a key is a fault of the other side.
    pub fn learn(&mut self, keys: Vec<PublicKey>) {
        self.fetching = false;
        if !keys.is_empty() {
            self.keys = keys;
            self.fetched_at = self.tried_at;
        }
    }

    /// The keys could not be fetched.
    pub const fn failed(&mut self) {
        self.fetching = false;
    }
}

#[cfg(test)]
mod tests;
