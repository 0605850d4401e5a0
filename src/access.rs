//! Verifies the JWT of Cloudflare Access. [`keyward_control::access`] and [`keyward_control::certs`] define the checks and the times
//! at which the team's keys are fetched.

use super::isolate_state::IsolateState;
use super::{clock, glue};
use keyward_config::AccessSettings;
use keyward_control::AccessFailure;
use keyward_control::access::{Assertion, BadAssertion};
use keyward_control::certs::{CERTS_BYTES, FETCH_MILLIS, Next, PublicKey, parse_certs};

/// Pause in milliseconds between checks whether another request has fetched the keys, and the number of checks.
const WAIT_MS: u32 = 50;
const WAITS: u32 = FETCH_MILLIS / WAIT_MS + 2;

fn refused(why: BadAssertion) -> AccessFailure {
    AccessFailure::Refused(format!("{why:?}"))
}

/// Finds the key by its id, fetches the team's keys if necessary, and verifies the signature.
pub async fn verify(state: &IsolateState, settings: &AccessSettings, token: &str) -> Result<String, AccessFailure> {
    let assertion = Assertion::parse(token, settings, clock::now()).map_err(refused)?;
    let key = key_of(state, settings, &assertion.kid).await?;
    let verified = glue::verify_rs256(&key.n, &key.e, &assertion.signature, &assertion.signed).await;
    // A key that cannot be imported cannot verify anything.
    if verified.ok().and_then(|value| value.as_bool()) == Some(true) {
        Ok(assertion.email)
    } else {
        Err(refused(BadAssertion::Signature))
    }
}

async fn key_of(state: &IsolateState, settings: &AccessSettings, kid: &str) -> Result<PublicKey, AccessFailure> {
    let mut cause = "the team's keys could not be fetched a moment ago".to_owned();
    for _ in 0..WAITS {
        let next = state.certs.try_borrow_mut().map_or(Next::Unavailable, |mut certs| certs.next(kid, clock::now()));
        match next {
            Next::Verify(key) => return Ok(key),
            Next::Fetch => {
                if let Err(failed) = fetch(state, settings).await {
                    cause = failed;
                }
            }
            Next::Wait => {
                let _ = glue::pause(WAIT_MS).await;
            }
            Next::Unknown => return Err(refused(BadAssertion::UnknownKey)),
            Next::Unavailable => break,
        }
    }
    Err(AccessFailure::Unavailable(cause))
}

async fn fetch(state: &IsolateState, settings: &AccessSettings) -> Result<(), String> {
    let url = format!("{}/cdn-cgi/access/certs", settings.team_domain);
    let fetched = match glue::fetch_text(&url, CERTS_BYTES, FETCH_MILLIS).await {
        Ok(text) => text.as_string().as_deref().and_then(parse_certs).ok_or_else(|| "no key set".to_owned()),
        Err(thrown) => Err(glue::cause(&thrown)),
    };
    let Ok(mut certs) = state.certs.try_borrow_mut() else { return Ok(()) };
    match fetched {
        Ok(keys) => certs.learn(keys),
        Err(cause) => {
            certs.failed();
            return Err(cause);
        }
    }
    Ok(())
}
