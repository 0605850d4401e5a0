//! Verification of a JWT of Cloudflare Access: its claims, the team's key, and the signature.

use std::cell::RefCell;

use super::access::{Assertion, BadAssertion};
use super::certs::{CERTS_BYTES, Certs, FETCH_MILLIS, Next, PublicKey, parse_certs};
use super::platform::AccessFailure;
use keyward_config::AccessSettings;
use keyward_key::time::Millis;

/// Interval at which a request checks whether another one has fetched the keys, and the maximum number of checks.
const POLL_MS: u32 = 50;
const MAX_POLLS: u32 = FETCH_MILLIS / POLL_MS + 2;

/// What the verification needs of the platform.
#[expect(async_fn_in_trait, reason = "everything runs on the one thread of its isolate")]
pub trait AccessPlatform {
    /// The isolate's clock.
    fn now(&self) -> Millis;

    /// Resolves after a pause.
    async fn pause(&self, milliseconds: u32);

    /// Fetches a text of at most `max_bytes` within a time limit.
    ///
    /// # Errors
    /// The cause, for the log.
    async fn fetch_text(&self, url: &str, max_bytes: u32, timeout_ms: u32) -> Result<String, String>;

    /// Whether an RS256 signature of a text is valid. A key that cannot be imported verifies no signature.
    async fn verify_rs256(&self, key: &PublicKey, signature: &[u8], signed: &str) -> bool;
}

/// Verifies a JWT and returns the e-mail address in it. Fetches the team's keys if that is due; other requests wait for the fetch.
///
/// # Errors
/// [`AccessFailure`].
pub async fn verify(
    platform: &impl AccessPlatform,
    certs: &RefCell<Certs>,
    settings: &AccessSettings,
    token: &str,
) -> Result<String, AccessFailure> {
    let assertion = Assertion::parse(token, settings, platform.now()).map_err(refused)?;
    let key = key_of(platform, certs, settings, &assertion.kid).await?;
    if platform.verify_rs256(&key, &assertion.signature, &assertion.signed).await {
        Ok(assertion.email)
    } else {
        Err(refused(BadAssertion::Signature))
    }
}

fn refused(why: BadAssertion) -> AccessFailure {
    AccessFailure::Refused(format!("{why:?}"))
}

async fn key_of(
    platform: &impl AccessPlatform,
    certs: &RefCell<Certs>,
    settings: &AccessSettings,
    kid: &str,
) -> Result<PublicKey, AccessFailure> {
    let mut cause = "the team's keys could not be fetched a moment ago".to_owned();
    for _ in 0..MAX_POLLS {
        let next = certs.try_borrow_mut().map_or(Next::Unavailable, |mut certs| certs.next(kid, platform.now()));
        match next {
            Next::Verify(key) => return Ok(key),
            Next::Fetch => {
                if let Err(failed) = fetch(platform, certs, settings).await {
                    cause = failed;
                }
            }
            Next::Wait => platform.pause(POLL_MS).await,
            Next::Unknown => return Err(refused(BadAssertion::UnknownKey)),
            Next::Unavailable => break,
        }
    }
    Err(AccessFailure::Unavailable(cause))
}

async fn fetch(
    platform: &impl AccessPlatform,
    certs: &RefCell<Certs>,
    settings: &AccessSettings,
) -> Result<(), String> {
    let url = format!("{}/cdn-cgi/access/certs", settings.team_domain);
    let fetched = platform.fetch_text(&url, CERTS_BYTES, FETCH_MILLIS).await;
    let keys = fetched.and_then(|text| parse_certs(&text).ok_or_else(|| "no key set".to_owned()));
    let Ok(mut certs) = certs.try_borrow_mut() else { return Ok(()) };
    match keys {
        Ok(keys) => certs.learn(keys),
        Err(cause) => {
            certs.failed();
            return Err(cause);
        }
    }
    Ok(())
}
