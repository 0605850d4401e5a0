//! Verifying what Cloudflare Access signed. What is checked, and when the team's keys are fetched, stands in
//! [`keyward_control::access`] and [`keyward_control::certs`].

use super::isolate_state::IsolateState;
use super::log::{Level, event};
use super::{clock, glue};
use keyward_config::AccessSettings;
use keyward_control::NotSignedIn;
use keyward_control::access::{Assertion, BadAssertion};
use keyward_control::certs::{CERTS_BYTES, FETCH_MILLIS, Next, PublicKey, parse_certs};
use keyward_protocol::Caller;

/// How long to wait before asking again whether another request has fetched the keys, and how often.
const WAIT_MILLIS: u32 = 50;
const WAITS: u32 = FETCH_MILLIS / WAIT_MILLIS + 2;

/// Why the signature did not sign anybody in.
pub enum Unverified {
    /// It is none of the team's: 401.
    Refused(NotSignedIn),
    /// The team's keys can't be had: 503, since nothing is known against it.
    Unavailable,
}

fn refused(why: BadAssertion) -> Unverified {
    Unverified::Refused(NotSignedIn::Access(why))
}

/// Finds the key by its id, fetches the team's keys if that is due, and verifies the signature.
pub async fn verify(
    edge: &IsolateState,
    settings: &AccessSettings,
    assertion: Assertion,
    request_id: &str,
) -> Result<Caller, Unverified> {
    let key = key_of(edge, settings, &assertion.kid, request_id).await?;
    let verified = glue::verify_rs256(&key.n, &key.e, &assertion.signature, &assertion.signed).await;
    // A key that can't be imported verifies nothing.
    if verified.ok().and_then(|value| value.as_bool()) == Some(true) {
        Ok(Caller::Access { email: assertion.email })
    } else {
        Err(refused(BadAssertion::Signature))
    }
}

async fn key_of(
    edge: &IsolateState,
    settings: &AccessSettings,
    kid: &str,
    request_id: &str,
) -> Result<PublicKey, Unverified> {
    for _ in 0..WAITS {
        let next = edge.certs.try_borrow_mut().map_or(Next::Unavailable, |mut certs| certs.next(kid, clock::now()));
        match next {
            Next::Verify(key) => return Ok(key),
            Next::Fetch => fetch(edge, settings, request_id).await,
            Next::Wait => {
                let _ = glue::pause(WAIT_MILLIS).await;
            }
            Next::Unknown => return Err(refused(BadAssertion::UnknownKey)),
            Next::Unavailable => break,
        }
    }
    Err(Unverified::Unavailable)
}

async fn fetch(edge: &IsolateState, settings: &AccessSettings, request_id: &str) {
    let url = format!("{}/cdn-cgi/access/certs", settings.team_domain);
    let fetched = match glue::fetch_text(&url, CERTS_BYTES, FETCH_MILLIS).await {
        Ok(text) => text.as_string().as_deref().and_then(parse_certs).ok_or_else(|| "no key set".to_owned()),
        Err(thrown) => Err(glue::cause(&thrown)),
    };
    let Ok(mut certs) = edge.certs.try_borrow_mut() else { return };
    match fetched {
        Ok(keys) => certs.learn(keys),
        Err(cause) => {
            certs.failed();
            drop(certs);
            event(Level::Warn, "access_certs_failed", &[("cause", &cause), ("request_id", request_id)]);
        }
    }
}
