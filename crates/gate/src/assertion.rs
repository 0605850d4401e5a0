//! `Keyward-Assertion`: what an origin is told of a caller, signed (RFC 7519), so that it need not trust the way it came.
//!
//! An assertion is found again by everything that it says but its times, its *subject*:
//!
//! ```text
//! <issuer> LF <audience> LF <the key's end, milliseconds> LF <key id> LF <integration> LF <environment> LF <scopes>
//! ```
//!
//! So one that was signed for other scopes, an older record, another origin or issuer can't be found, whatever became of the
//! record meanwhile: the gate makes the subject anew from the record that it has just judged by. None of these has a line feed.

use std::sync::Arc;

use lru::LruCache;
use serde::Serialize;

use keyward_config::{Config, Origin};
use keyward_http::head::Head;
use keyward_http::headers::write_line;
use keyward_http::origin::origin_of;
use keyward_http::route::Route;
use keyward_key::assertion::{AssertionKey, digest};
use keyward_key::id::Class;
use keyward_key::record::Record;
use keyward_key::time::Millis;

/// The header.
pub(super) const NAME: &str = "keyward-assertion";

/// How long a signed assertion is used again. With [`LIFE_SECONDS`] every origin has at least as long to look at it.
const KEPT_MILLIS: i64 = 30_000;

/// From `iat` to `exp` at most.
const LIFE_SECONDS: i64 = 60;

/// Characters of a kept assertion's `jti`: 132 bits.
const JTI_CHARS: u8 = 22;

/// The claims, in the order in which they are written.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    /// Seconds since 1970, as all times of a JWT: when it was signed, by the isolate's clock.
    iat: i64,
    exp: i64,
    integration: &'a str,
    env: &'a str,
    scope: &'a str,
    /// Of a request's own assertion: its method and its URL without the query (named as in RFC 9449, section 4.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    htm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    htu: Option<&'a str>,
    jti: &'a str,
}

impl<'a> Claims<'a> {
    /// What a subject says, signed at `now`. `None` if it has not its form, which ours always has.
    fn of(subject: &'a str, now: Millis) -> Option<Self> {
        let mut lines = subject.split('\n');
        let (iss, aud) = (lines.next()?, lines.next()?);
        let ends: i64 = lines.next()?.parse().ok()?;
        let (sub, integration, env, scope) = (lines.next()?, lines.next()?, lines.next()?, lines.next()?);
        let iat = now.0.div_euclid(1000);
        // Never past the key's own end. In its last second that is no time at all: the origin refuses a moment before the gate.
        let exp = iat.saturating_add(LIFE_SECONDS).min(ends.div_euclid(1000));
        Some(Self { iss, sub, aud, iat, exp, integration, env, scope, htm: None, htu: None, jti: "" })
    }

    fn text(&self, key: &AssertionKey) -> Option<String> {
        Some(key.unsigned(&serde_json::to_vec(self).ok()?))
    }
}

/// The assertion of one accepted request: signed already, or to be signed.
pub(super) struct Assertion {
    subject: Arc<str>,
    jwt: Option<Arc<str>>,
    /// Whether it is this request's alone; otherwise it is kept for the next ones.
    own: bool,
    now: Millis,
}

impl Assertion {
    /// Whether there is nothing left to sign.
    pub const fn is_signed(&self) -> bool {
        self.jwt.is_some()
    }

    /// What is signed for this request alone, if it is.
    pub fn own_jwt(&self) -> Option<&str> {
        self.jwt.as_deref().filter(|_| self.own)
    }

    /// Writes the header's line.
    pub fn write(&self, block: &mut String) {
        if let Some(jwt) = &self.jwt {
            write_line(block, NAME, jwt);
        }
    }

    /// What is to be signed.
    pub fn text(&self, key: &AssertionKey, head: &Head<'_>, request_id: &str) -> Option<String> {
        if self.own { self.own_text(key, head, request_id) } else { kept_text(&self.subject, key, self.now) }
    }

    /// What is to be signed for this request alone, whatever is kept.
    ///
    /// The gate has no randomness, and needs none: a request's id is random (95 bits), new for each request, and of the
    /// isolate's making, so it is the `jti`, and origins find the request by it.
    pub fn own_text(&self, key: &AssertionKey, head: &Head<'_>, request_id: &str) -> Option<String> {
        let claims = Claims::of(&self.subject, self.now)?;
        let url = format!("{}{}", claims.aud, head.target().path());
        Claims { htm: Some(head.method()), htu: Some(&url), jti: request_id, ..claims }.text(key)
    }

    /// With what was signed.
    pub fn signed(self, jwt: Arc<str>, assertions: &mut Assertions) -> Self {
        if !self.own {
            assertions.keep(Arc::clone(&self.subject), CachedFeedPage { jwt: Arc::clone(&jwt), signed_at: self.now });
        }
        Self { jwt: Some(jwt), ..self }
    }

    /// The identity headers: names, and values as [`Record`] has them.
    pub fn identity(&self) -> Option<[(&'static str, &str); 4]> {
        let claims = Claims::of(&self.subject, self.now)?;
        Some([
            ("keyward-key-id", claims.sub),
            ("keyward-integration", claims.integration),
            ("keyward-environment", claims.env),
            ("keyward-scopes", claims.scope),
        ])
    }
}

struct CachedFeedPage {
    jwt: Arc<str>,
    signed_at: Millis,
}

/// The assertions that one isolate keeps: for half a minute each, and of bounded size together.
pub(super) struct Assertions {
    kept: LruCache<Arc<str>, CachedFeedPage>,
    bytes: usize,
    max_bytes: usize,
    /// Where the subject of the request at hand is put together, so that finding one takes no new memory.
    subject: String,
}

impl Assertions {
    /// Creates an empty cache of at most this many bytes.
    pub fn new(max_bytes: usize) -> Self {
        Self { kept: LruCache::unbounded(), bytes: 0, max_bytes, subject: String::new() }
    }

    /// The assertion for a request that was accepted at `now` by this record, on its way to `origin`.
    pub fn of(
        &mut self,
        config: &Config,
        route: &Route,
        head: &Head<'_>,
        origin: &Origin,
        record: &Record,
        now: Millis,
    ) -> Assertion {
        self.subject.clear();
        write_subject(config, head, origin, record, &mut self.subject);
        let found = if route.own_assertion { None } else { self.kept.get_key_value(self.subject.as_str()) };
        let fresh = |kept: &CachedFeedPage| (0..KEPT_MILLIS).contains(&now.since(kept.signed_at));
        match found.filter(|(_, kept)| fresh(kept)) {
            Some((subject, kept)) => {
                Assertion { subject: Arc::clone(subject), jwt: Some(Arc::clone(&kept.jwt)), own: false, now }
            }
            None => Assertion { subject: self.subject.as_str().into(), jwt: None, own: route.own_assertion, now },
        }
    }

    fn keep(&mut self, subject: Arc<str>, kept: CachedFeedPage) {
        self.bytes = self.bytes.saturating_add(size(&subject, &kept));
        // What comes back first is the older assertion of the same subject.
        let mut gone = self.kept.push(subject, kept).or_else(|| self.crowded());
        while let Some((subject, kept)) = gone {
            self.bytes = self.bytes.saturating_sub(size(&subject, &kept));
            gone = self.crowded();
        }
    }

    /// The least recently used, taken out, while they are too large together.
    fn crowded(&mut self) -> Option<(Arc<str>, CachedFeedPage)> {
        if self.bytes > self.max_bytes { self.kept.pop_lru() } else { None }
    }
}

fn size(subject: &str, kept: &CachedFeedPage) -> usize {
    subject.len().saturating_add(kept.jwt.len())
}

/// What is to be signed for a kept assertion. Its `jti` names it and no request: it is a digest of all that is signed, and by
/// which key, so two isolates that make the same one call it the same. Nothing is drawn at random for that.
fn kept_text(subject: &str, key: &AssertionKey, now: Millis) -> Option<String> {
    let claims = Claims::of(subject, now)?;
    let mut jti = digest(format!("{}\n{}\n{subject}", key.kid(), claims.iat).as_bytes());
    jti.truncate(JTI_CHARS.into());
    Claims { jti: &jti, ..claims }.text(key)
}

fn write_subject(config: &Config, head: &Head<'_>, origin: &Origin, record: &Record, subject: &mut String) {
    let mut line = |text: &str| {
        subject.push_str(text);
        subject.push('\n');
    };
    line(&config.issuer(head));
    match origin {
        Origin::Route => line(&origin_of(head.base())),
        Origin::Base(base) => line(base),
    }
    line(&record.expires_at.0.to_string());
    line(record.id.as_str());
    line(&record.integration);
    line(match record.id.class() {
        Class::Data(environment) => environment.as_str(),
        Class::Member => "",
    });
    for (at, scope) in record.scopes.iter().enumerate() {
        if at > 0 {
            subject.push(' ');
        }
        subject.push_str(scope.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_http::limits::ASSERTION_BYTES;
    use keyward_http::route::Access;
    use keyward_key::hash::KeyHash;
    use keyward_key::id::KeyId;
    use keyward_key::scope::Scope;

    #[test]
    fn what_is_kept_stays_bounded_however_many_keys_hosts_and_issuers_there_are() {
        let vars = serde_json::json!({
            "KEYWARD_SECRET": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "BOOTSTRAP_TOKEN": "a-bootstrap-token-of-a-test",
            "ORIGIN_LIVE": "route", "ROUTES": [{"match": "GET /*", "scope": "a"}],
        });
        let config = Config::parse(vars.as_object().unwrap()).ok().unwrap();
        let route = Route::parse("GET /*", Access::Scope(Scope::parse("a").unwrap()), false).unwrap();
        let record = Record {
            id: KeyId::parse("wafl_live_000000000000").unwrap(),
            key_hash: KeyHash::new([0; 32]),
            minted_under: config.keyring.current().generation().clone(),
            integration: "crm-sync".to_owned(),
            scopes: vec![Scope::parse("a").unwrap()],
            allowed_cidrs: Vec::new(),
            expires_at: Millis(1_000_000_000_000),
            retiring: false,
            revoked: false,
            revision: 1,
        };
        let mut assertions = Assertions::new(ASSERTION_BYTES);
        let mut of = |host: &str| {
            let text = format!("0\nGET\nhttps://{host}/\n");
            let head = Head::parse(&text).unwrap();
            let assertion = assertions.of(&config, &route, &head, &Origin::Route, &record, Millis(0));
            assert!(!assertion.is_signed());
            assert!(assertion.signed("a".repeat(text.len()).into(), &mut assertions).is_signed());
            let sum: usize = assertions.kept.iter().map(|(subject, kept)| size(subject, kept)).sum();
            assert_eq!(sum, assertions.bytes, "the count is right");
            assert!(sum <= ASSERTION_BYTES);
            assertions.kept.len()
        };
        // Hosts as long as a request can name, so that few of them are too many.
        let long = "a".repeat(30_000);
        let most = (0..60).map(|index| of(&format!("{long}{index}"))).max().unwrap();
        assert!((10..60).contains(&most), "{most}");
    }
}
