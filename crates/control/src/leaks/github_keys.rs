//! Cached public keys of GitHub's secret scanning, and when to fetch them.

use std::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_key::time::Millis;
use serde::Deserialize;

use super::ReportPlatform;

/// Time after which the cached list is fetched again, in milliseconds. After it, a key that GitHub has withdrawn is not accepted.
const FRESH_MILLIS: i64 = 1_800_000;
/// Maximum age of the cached list while fetches fail, in milliseconds.
const KEPT_MILLIS: i64 = 86_400_000;
/// Minimum interval between fetches, in milliseconds. Any client can send an unknown identifier.
const REFETCH_MILLIS: i64 = 60_000;
/// Timeout of one fetch, in milliseconds.
pub const FETCH_MILLIS: u32 = 4_000;
/// Maximum size of the fetched list, in bytes.
pub const LIST_BYTES: u32 = 65_536;
/// Maximum number of keys of the list.
const MOST_KEYS: usize = 64;

/// A list as fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// It is the one with the `ETag` that the request named.
    NotModified,
    /// Its text, and its `ETag`.
    List {
        /// JSON.
        text: String,
        /// `ETag`, for the next request.
        etag: Option<String>,
    },
}

/// A public key: its identifier, and its `SubjectPublicKeyInfo` in DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GithubKey {
    identifier: String,
    /// P-256 key.
    pub spki: Vec<u8>,
}

#[derive(Deserialize)]
struct List {
    public_keys: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    key_identifier: String,
    key: String,
}

/// Parses the list, and returns the keys that can be read, current or not. `None` if it is no list, or no key of it can be read.
fn parse(text: &str) -> Option<Vec<GithubKey>> {
    let list: List = serde_json::from_str(text).ok()?;
    let keys = list.public_keys.into_iter().take(MOST_KEYS);
    let keys: Vec<_> =
        keys.filter_map(|key| Some(GithubKey { spki: der_of(&key.key)?, identifier: key.key_identifier })).collect();
    (!keys.is_empty()).then_some(keys)
}

/// Returns the DER in a PEM text (RFC 7468).
fn der_of(pem: &str) -> Option<Vec<u8>> {
    let text = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?.strip_suffix("-----END PUBLIC KEY-----")?;
    STANDARD.decode(text.split_ascii_whitespace().collect::<String>()).ok()
}

/// Next action for an identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Verify with this key.
    Verify(GithubKey),
    /// Fetch the list with this `ETag`, report the result with [`GithubKeys::learn`] or [`GithubKeys::failed`], and call
    /// [`GithubKeys::next`] again.
    Fetch(Option<String>),
    /// Another request is fetching the list: wait briefly and call [`GithubKeys::next`] again.
    Wait,
    /// The list does not have the identifier.
    Unknown,
    /// The list is not available.
    Unavailable,
}

/// The cached list of one isolate.
#[derive(Default)]
pub struct GithubKeys {
    keys: Vec<GithubKey>,
    etag: Option<String>,
    fetched_at: Option<Millis>,
    tried_at: Option<Millis>,
    fetching: bool,
}

impl GithubKeys {
    /// Returns the next action for an identifier at `now`. Only one request at a time gets [`Next::Fetch`], and at most one a minute.
    pub fn next(&mut self, identifier: &str, now: Millis) -> Next {
        let within =
            |since: Option<Millis>, span: i64| since.is_some_and(|since| (0..span).contains(&now.since(since)));
        let known = self.keys.iter().find(|key| key.identifier == identifier).cloned();
        let known = known.filter(|_| within(self.fetched_at, KEPT_MILLIS));
        if let Some(key) = known.clone().filter(|_| within(self.fetched_at, FRESH_MILLIS)) {
            return Next::Verify(key);
        }
        // A fetch whose request was cancelled counts as over after its timeout.
        let fetching = self.fetching && within(self.tried_at, i64::from(FETCH_MILLIS).saturating_add(1_000));
        if !fetching && !within(self.tried_at, REFETCH_MILLIS) {
            self.tried_at = Some(now);
            self.fetching = true;
            return Next::Fetch(self.etag.clone().filter(|_| within(self.fetched_at, KEPT_MILLIS)));
        }
        let succeeded = self.fetched_at.is_some() && self.fetched_at >= self.tried_at;
        match known {
            Some(key) => Next::Verify(key),
            None if fetching => Next::Wait,
            None if succeeded => Next::Unknown,
            None => Next::Unavailable,
        }
    }

    /// Stores the fetched list, dated with the time of the call to [`Self::next`]. A list without a key counts as a failure.
    ///
    /// # Errors
    /// The cause, for the log.
    pub fn learn(&mut self, fetched: Fetched) -> Result<(), &'static str> {
        self.fetching = false;
        if let Fetched::List { text, etag } = fetched {
            self.keys = parse(&text).ok_or("the list has no key")?;
            self.etag = etag;
        } else if self.keys.is_empty() {
            return Err("nothing is known that was not modified");
        }
        self.fetched_at = self.tried_at;
        Ok(())
    }

    /// Records that the list could not be fetched.
    pub const fn failed(&mut self) {
        self.fetching = false;
    }
}

/// Fetches GitHub's list, as [`Next::Fetch`] asks.
///
/// # Errors
/// The cause, for the log.
pub(super) async fn fetch(
    platform: &impl ReportPlatform,
    url: &str,
    keys: &RefCell<GithubKeys>,
    etag: Option<&str>,
) -> Result<(), String> {
    let fetched = platform.fetch_list(url, etag).await;
    let Ok(mut keys) = keys.try_borrow_mut() else { return Ok(()) };
    match fetched {
        Ok(fetched) => keys.learn(fetched).map_err(str::to_owned),
        Err(cause) => {
            keys.failed();
            Err(cause)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Millis = Millis(1_800_000_000_500);
    const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMFkw\nEwYH\n-----END PUBLIC KEY-----\n";

    fn list(identifiers: &[&str]) -> Fetched {
        let keys: Vec<_> = identifiers
            .iter()
            .map(|identifier| json!({"key_identifier": identifier, "key": PEM, "is_current": false}))
            .collect();
        Fetched::List { text: json!({"public_keys": keys}).to_string(), etag: Some("\"1\"".to_owned()) }
    }

    fn at(milliseconds: i64) -> Millis {
        Millis(NOW.0 + milliseconds)
    }

    fn verifies(next: &Next) -> bool {
        matches!(next, Next::Verify(key) if key.spki == [0x30, 0x59, 0x30, 0x13, 0x06, 0x07])
    }

    #[test]
    fn the_list_is_fetched_once_and_unknown_identifiers_cause_one_fetch_a_minute() {
        let mut keys = GithubKeys::default();
        assert_eq!(keys.next("a", NOW), Next::Fetch(None));
        assert_eq!(keys.next("a", NOW), Next::Wait);
        keys.learn(list(&["a"])).unwrap();
        assert!(verifies(&keys.next("a", NOW)));
        for milliseconds in 0..60 {
            assert_eq!(keys.next("b", at(milliseconds * 1_000)), Next::Unknown);
        }
        assert_eq!(keys.next("b", at(60_000)), Next::Fetch(Some("\"1\"".to_owned())));
        assert!(verifies(&keys.next("a", at(60_000))), "a known one is verified meanwhile");
        keys.learn(Fetched::NotModified).unwrap();
        assert_eq!(keys.next("b", at(60_001)), Next::Unknown);
    }

    #[test]
    fn a_withdrawn_key_is_refused_after_half_an_hour() {
        let mut keys = GithubKeys::default();
        keys.next("a", NOW);
        keys.learn(list(&["a"])).unwrap();
        assert!(verifies(&keys.next("a", at(FRESH_MILLIS - 1))));
        assert!(matches!(keys.next("a", at(FRESH_MILLIS)), Next::Fetch(Some(_))));
        keys.learn(list(&["b"])).unwrap();
        assert_eq!(keys.next("a", at(FRESH_MILLIS)), Next::Unknown);
    }

    #[test]
    fn without_a_list_the_answer_is_unavailable_and_a_kept_list_is_used_for_a_day() {
        let mut keys = GithubKeys::default();
        keys.next("a", NOW);
        keys.failed();
        assert_eq!(keys.next("a", NOW), Next::Unavailable);
        assert!(matches!(keys.next("a", at(60_000)), Next::Fetch(None)));
        keys.learn(list(&["a"])).unwrap();
        assert!(matches!(keys.next("a", at(60_000 + FRESH_MILLIS)), Next::Fetch(_)));
        keys.failed();
        assert!(verifies(&keys.next("a", at(60_001 + FRESH_MILLIS))));
        assert_eq!(keys.next("b", at(60_001 + FRESH_MILLIS)), Next::Unavailable, "the list is not fresh");
        assert!(matches!(keys.next("a", at(60_000 + KEPT_MILLIS)), Next::Fetch(None)));
        keys.failed();
        assert_eq!(keys.next("a", at(60_000 + KEPT_MILLIS)), Next::Unavailable);
    }

    #[test]
    fn a_malformed_list_is_a_failure() {
        for text in ["", "[]", "{}", r#"{"public_keys":[]}"#, r#"{"public_keys":[{"key_identifier":"a","key":"x"}]}"#] {
            let mut keys = GithubKeys::default();
            keys.next("a", NOW);
            assert!(keys.learn(Fetched::List { text: text.to_owned(), etag: None }).is_err(), "{text}");
            assert_eq!(keys.next("a", NOW), Next::Unavailable, "{text}");
        }
        let mut keys = GithubKeys::default();
        keys.next("a", NOW);
        assert!(keys.learn(Fetched::NotModified).is_err());
    }
}
