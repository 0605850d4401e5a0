//! `Idempotency-Key`: a write that creates a credential can be retried, even concurrently. The registry stores a fingerprint of the
//! write and the nonce from which its credential was derived. The credential is derived again and never stored.
//!
//! Fingerprint and body digest are plain SHA-256. They need no key, because the registry's tables contain their inputs anyway, except
//! the header's value, which grants no access. They are therefore the same under every `KEYWARD_SECRET`, so a retry is recognised even
//! if the secret was rotated in between. The credential must be unpredictable, so it is derived with a key. The fingerprint does not
//! include the member: the registry stores each member's writes separately, whichever sign-in they used.

use sha2::{Digest, Sha256};

use super::body::invalid;
use keyward_http::head::Head;
use keyward_http::limits::IDEMPOTENCY_KEY_CHARS;
use keyward_http::problem::Problem;
use keyward_key::deterministic_entropy::NONCE_BYTES;
use keyward_key::entropy::{Entropy, EntropyFailed};
use keyward_key::keyring::Generation;
use keyward_protocol::Idempotency;

/// Name of the header, in the runtime's spelling.
const HEADER: &str = "idempotency-key";

/// A write that can be retried.
pub(super) struct Retryable {
    pub(super) fingerprint: [u8; 32],
    body: [u8; 32],
}

impl Retryable {
    /// Reads the header, if present, for a write on `route`, the operation's path without the id.
    ///
    /// # Errors
    /// `invalid_request` for the header if its value is not 1 to 64 visible ASCII characters.
    pub(super) fn read(head: &Head<'_>, route: &str, id: &str, body: &[u8]) -> Result<Option<Self>, Problem> {
        let Some(value) = head.header(HEADER) else { return Ok(None) };
        if !(1..=IDEMPOTENCY_KEY_CHARS).contains(&value.len()) || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid("Idempotency-Key", "This must be 1 to 64 visible ASCII characters, sent once."));
        }
        let fingerprint = framed(&["keyward/idempotency/v1", route, id, value]);
        Ok(Some(Self { fingerprint, body: Sha256::digest(body).into() }))
    }

    /// Creates a write that its caller's nonce identifies, whatever else its body says.
    pub(super) fn of_nonce(route: &str, id: &str, nonce: &str) -> Self {
        let fingerprint = framed(&["keyward/idempotency/v1", route, id, nonce]);
        Self { fingerprint, body: Sha256::digest(b"").into() }
    }

    /// Returns a fresh nonce for this attempt.
    pub(super) fn nonce(entropy: &mut impl Entropy) -> Result<[u8; NONCE_BYTES], EntropyFailed> {
        let mut nonce = [0; NONCE_BYTES];
        entropy.fill(&mut nonce)?;
        Ok(nonce)
    }

    /// Returns the data for the registry to store.
    pub(super) fn note(&self, nonce: [u8; NONCE_BYTES], minted_under: Option<&Generation>) -> Idempotency {
        Idempotency {
            minted_under: minted_under.cloned(),
            fingerprint: hex::encode(self.fingerprint),
            body: hex::encode(self.body),
            nonce: hex::encode(nonce),
        }
    }
}

/// Hashes each part together with its length, so that different lists of parts never give the same input.
fn framed(parts: &[&str]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(route: &str, id: &str, value: &str) -> Option<[u8; 32]> {
        let text = format!("0\nPOST\nhttp://h/\nidempotency-key\n{value}\n");
        let retryable = Retryable::read(&Head::parse(&text).unwrap(), route, id, b"{}");
        retryable.ok().flatten().map(|retryable| retryable.fingerprint)
    }

    #[test]
    fn a_value_has_1_to_64_visible_characters() {
        for value in ["a", "~!\"", &"x".repeat(64), "0e8c6f0a-5f0a-4b0c-9d0e-111111111111"] {
            assert!(fingerprint("r", "", value).is_some(), "{value}");
        }
        for value in ["", "a b", "a, a", "é", "a\u{7f}", &"x".repeat(65)] {
            assert!(fingerprint("r", "", value).is_none(), "{value}");
        }
        let head = Head::parse("0\nPOST\nhttp://h/\n").unwrap();
        assert!(Retryable::read(&head, "r", "", b"").unwrap_or_else(|_| panic!()).is_none());
    }

    #[test]
    fn another_route_id_or_value_is_another_write() {
        let known = fingerprint("ab", "c", "d").unwrap();
        assert_eq!(fingerprint("ab", "c", "d"), Some(known));
        for (route, id, value) in [("a", "bc", "d"), ("ab", "", "cd"), ("ab", "cd", "x"), ("ab", "c", "D")] {
            assert_ne!(fingerprint(route, id, value), Some(known));
        }
    }
}
