//! Revokes keys that were found, as their holder: whoever has a key may revoke it (RFC 7009), without a sign-in.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use zeroize::Zeroizing;

use super::Finding;
use crate::api::{Client, Request};
use crate::failure::Failure;

/// Number of keys that an address may revoke at once. Afterwards the gate takes one in 3 s.
const AT_ONCE: usize = 20;
/// Pause between the further ones.
const PAUSE: Duration = Duration::from_millis(3_100);

/// Returns one finding for each distinct key.
#[must_use]
pub fn distinct(found: &[Finding]) -> Vec<&Finding> {
    let mut seen = BTreeSet::new();
    found.iter().filter(|finding| seen.insert(finding.key.expose())).collect()
}

/// Revokes keys. `done` is called after each.
///
/// # Errors
/// [`Failure`] at the first key that the deployment did not take. Those before it are revoked.
pub fn revoke(client: &Client, keys: &[&Finding], mut done: impl FnMut(&Finding)) -> Result<(), Failure> {
    for (index, finding) in keys.iter().enumerate() {
        if index >= AT_ONCE {
            thread::sleep(PAUSE);
        }
        // A key needs no encoding: it has letters, digits and underscores.
        let form = Zeroizing::new(format!("token={}", finding.key.expose()));
        let request = Request {
            method: "POST",
            path: "/_keyward/oauth/revoke",
            form: Some(form),
            repeatable: true,
            ..Request::default()
        };
        client.send(&request)?;
        done(finding);
    }
    Ok(())
}
