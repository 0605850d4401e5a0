//! `Keyward-Assertion`: a signed statement of the caller's identity (JWT, RFC 7519), so that an origin need not trust the network
//! path.
//!
//! A signed assertion is cached under its [`Claims`], which are all its contents except the times. The gate builds the claims of
//! each request from the record that it has just checked, so the cache never returns an assertion for other scopes, an older
//! record, another origin or another issuer.

use std::sync::Arc;

use lru::LruCache;
use serde::Serialize;

use super::identity::Identity;
use keyward_http::head::Head;
use keyward_http::headers::write_line;
use keyward_key::assertion::{AssertionKey, digest};
use keyward_key::time::Millis;

/// Name of the header.
pub(super) const HEADER: &str = "keyward-assertion";

/// TTL of a cached assertion, in milliseconds. [`LIFETIME_SECONDS`] leaves every origin at least as long again to verify it.
const CACHE_TTL_MS: i64 = 30_000;

/// Maximum time from `iat` to `exp`.
const LIFETIME_SECONDS: i64 = 60;

/// Length of a cached assertion's `jti`: 22 characters, 132 bits.
const JTI_CHARS: u8 = 22;

/// Contents of an assertion, except its times.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Claims {
    issuer: String,
    /// Scheme and host of the origin.
    audience: String,
    identity: Arc<Identity>,
}

impl Claims {
    fn size_bytes(&self) -> usize {
        self.issuer.len().saturating_add(self.audience.len()).saturating_add(self.identity.size_bytes())
    }

    /// Builds the payload signed at `now`, with an empty `jti`.
    fn payload(&self, now: Millis) -> Payload<'_> {
        let identity = &self.identity;
        let iat = now.0.div_euclid(1000);
        // Never past the key's own expiry. In the key's last second the lifetime is zero: the origin refuses slightly before the gate.
        let exp = iat.saturating_add(LIFETIME_SECONDS).min(identity.key_expires_at.0.div_euclid(1000));
        Payload {
            iss: &self.issuer,
            sub: identity.key_id.as_str(),
            aud: &self.audience,
            iat,
            exp,
            integration: &identity.integration,
            env: identity.environment.as_str(),
            scope: &identity.scopes,
            htm: None,
            htu: None,
            jti: "",
        }
    }

    /// Returns the text to sign for a cached assertion. Its `jti` is a digest of the key and of everything signed. Two isolates that
    /// create the same assertion therefore use the same `jti`, and no randomness is needed.
    fn shared_text(&self, key: &AssertionKey, now: Millis) -> Option<String> {
        let payload = self.payload(now);
        let lines = [
            key.kid(),
            &payload.iat.to_string(),
            payload.iss,
            payload.aud,
            &self.identity.key_expires_at.0.to_string(),
            payload.sub,
            payload.integration,
            payload.env,
            payload.scope,
        ];
        let mut jti = digest(lines.join("\n").as_bytes());
        jti.truncate(JTI_CHARS.into());
        Payload { jti: &jti, ..payload }.text(key)
    }
}

/// Payload of the JWT. The fields are serialized in this order.
#[derive(Serialize)]
struct Payload<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    /// Time of signing, by the isolate's clock. In seconds since 1970, like every time in a JWT.
    iat: i64,
    exp: i64,
    integration: &'a str,
    env: &'a str,
    scope: &'a str,
    /// Method and URL without the query, only in an assertion for a single request (named as in RFC 9449, section 4.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    htm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    htu: Option<&'a str>,
    jti: &'a str,
}

impl Payload<'_> {
    fn text(&self, key: &AssertionKey) -> Option<String> {
        Some(key.signing_input(&serde_json::to_vec(self).ok()?))
    }
}

/// The assertion of one accepted request, signed or still to be signed.
pub(super) struct Assertion {
    claims: Arc<Claims>,
    jwt: Option<Arc<str>>,
    /// Whether it is for this request only. Otherwise it is cached for the next requests.
    own: bool,
    now: Millis,
}

impl Assertion {
    /// Returns whether the assertion is signed.
    pub const fn is_signed(&self) -> bool {
        self.jwt.is_some()
    }

    /// Returns the signed assertion if it is for this request only.
    pub fn own_jwt(&self) -> Option<&str> {
        self.jwt.as_deref().filter(|_| self.own)
    }

    /// Appends the header line to a block.
    pub fn write(&self, block: &mut String) {
        if let Some(jwt) = &self.jwt {
            write_line(block, HEADER, jwt);
        }
    }

    /// Returns the text to sign.
    pub fn text(&self, key: &AssertionKey, head: &Head<'_>, request_id: &str) -> Option<String> {
        if self.own { self.own_text(key, head, request_id) } else { self.claims.shared_text(key, self.now) }
    }

    /// Returns the text to sign for an assertion of this request only, even if a cached one exists.
    ///
    /// The gate has no source of randomness and needs none. The request id is random (95 bits), created by the isolate and unique to the
    /// request, so it serves as the `jti`. An origin can find the request by it.
    pub fn own_text(&self, key: &AssertionKey, head: &Head<'_>, request_id: &str) -> Option<String> {
        let payload = self.claims.payload(self.now);
        let url = format!("{}{}", payload.aud, head.target().path());
        Payload { htm: Some(head.method()), htu: Some(&url), jti: request_id, ..payload }.text(key)
    }

    /// Adds the signed JWT, and caches it unless it is for this request only.
    pub fn signed(self, jwt: Arc<str>, assertions: &mut Assertions) -> Self {
        if !self.own {
            let cached = CachedAssertion { jwt: Arc::clone(&jwt), signed_at: self.now };
            assertions.insert(Arc::clone(&self.claims), cached);
        }
        Self { jwt: Some(jwt), ..self }
    }

    /// Returns the identity in the assertion.
    pub fn identity(&self) -> &Identity {
        &self.claims.identity
    }
}

struct CachedAssertion {
    jwt: Arc<str>,
    signed_at: Millis,
}

/// The signed assertions of one isolate. Each is cached for [`CACHE_TTL_MS`], and their total size is bounded.
pub(super) struct Assertions {
    cache: LruCache<Arc<Claims>, CachedAssertion>,
    bytes: usize,
    max_bytes: usize,
    /// Scratch space for the claims of the current request, so that a cache hit allocates nothing.
    scratch: Option<Claims>,
}

impl Assertions {
    /// Creates an empty cache of at most this many bytes.
    pub fn new(max_bytes: usize) -> Self {
        Self { cache: LruCache::unbounded(), bytes: 0, max_bytes, scratch: None }
    }

    /// Returns the assertion by `issuer` about `identity` for the origin `audience`, for a request accepted at `now`. With `own` the
    /// assertion is for this request only.
    pub fn of(&mut self, issuer: &str, audience: &str, identity: &Arc<Identity>, own: bool, now: Millis) -> Assertion {
        let claims = build_claims(&mut self.scratch, issuer, audience, identity);
        let found = if own { None } else { self.cache.get_key_value(claims) };
        let is_fresh = |cached: &CachedAssertion| (0..CACHE_TTL_MS).contains(&now.since(cached.signed_at));
        match found.filter(|(_, cached)| is_fresh(cached)) {
            Some((claims, cached)) => {
                Assertion { claims: Arc::clone(claims), jwt: Some(Arc::clone(&cached.jwt)), own: false, now }
            }
            None => Assertion { claims: Arc::new(claims.clone()), jwt: None, own, now },
        }
    }

    fn insert(&mut self, claims: Arc<Claims>, cached: CachedAssertion) {
        self.bytes = self.bytes.saturating_add(size_bytes(&claims, &cached));
        // `push` returns the replaced assertion of the same claims.
        let mut removed = self.cache.push(claims, cached).or_else(|| self.evict_one());
        while let Some((claims, cached)) = removed {
            self.bytes = self.bytes.saturating_sub(size_bytes(&claims, &cached));
            removed = self.evict_one();
        }
    }

    /// Evicts the least recently used assertion while the cache is too large.
    fn evict_one(&mut self) -> Option<(Arc<Claims>, CachedAssertion)> {
        if self.bytes > self.max_bytes { self.cache.pop_lru() } else { None }
    }
}

fn size_bytes(claims: &Claims, cached: &CachedAssertion) -> usize {
    claims.size_bytes().saturating_add(cached.jwt.len())
}

/// Builds the claims of a request in the scratch space.
fn build_claims<'s>(
    scratch: &'s mut Option<Claims>,
    issuer: &str,
    audience: &str,
    identity: &Arc<Identity>,
) -> &'s Claims {
    let claims = scratch.get_or_insert_with(|| Claims {
        issuer: String::new(),
        audience: String::new(),
        identity: Arc::clone(identity),
    });
    claims.issuer.clear();
    claims.issuer.push_str(issuer);
    claims.audience.clear();
    claims.audience.push_str(audience);
    if !Arc::ptr_eq(&claims.identity, identity) {
        claims.identity = Arc::clone(identity);
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_http::limits::ASSERTION_BYTES;
    use keyward_key::id::{Environment, KeyId};

    #[test]
    fn the_cache_stays_bounded_with_any_number_of_keys_hosts_and_issuers() {
        let identity = Arc::new(Identity {
            key_id: KeyId::parse("wafl_live_000000000000").unwrap(),
            integration: "crm-sync".to_owned(),
            environment: Environment::Live,
            scopes: "a".to_owned(),
            key_expires_at: Millis(1_000_000_000_000),
        });
        let mut assertions = Assertions::new(ASSERTION_BYTES);
        let mut insert = |host: &str| {
            let issuer = format!("https://{host}/_keyward");
            let audience = format!("https://{host}");
            let assertion = assertions.of(&issuer, &audience, &identity, false, Millis(0));
            assert!(!assertion.is_signed());
            assert!(assertion.signed("a".repeat(issuer.len()).into(), &mut assertions).is_signed());
            let sum: usize = assertions.cache.iter().map(|(claims, cached)| size_bytes(claims, cached)).sum();
            assert_eq!(sum, assertions.bytes, "the count is right");
            assert!(sum <= ASSERTION_BYTES);
            assertions.cache.len()
        };
        // Hosts as long as a request can name, so that few of them fill the cache.
        let long = "a".repeat(30_000);
        let most = (0..60).map(|index| insert(&format!("{long}{index}"))).max().unwrap();
        assert!((10..60).contains(&most), "{most}");
    }
}
