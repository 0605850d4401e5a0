//! The operating system's keyring: Keychain, Credential Manager, Secret Service.
//!
//! Such a service may hang, for example while it waits for a window that nobody sees. So each call runs in a thread of its own and has a
//! timeout.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::Credential;
use crate::failure::{Exit, Failure};
use crate::secret::Secret;

/// Maximum time of a call.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Name of this program's entries.
const SERVICE: &str = "keyward";

/// Entry of a profile. Its name contains the address, so that a profile that names another deployment never sends this one's
/// credential there.
fn account(profile: &str, url: &str) -> String {
    format!("{profile}@{url}")
}

/// Reads a profile's credential; `None` if the keyring has none.
///
/// # Errors
/// [`Failure`] if the keyring is missing, locked or does not answer.
pub fn read(profile: &str, url: &str) -> Result<Option<Credential>, Failure> {
    let account = account(profile, url);
    let text = call(move || match keyring::Entry::new(SERVICE, &account)?.get_password() {
        Ok(text) => Ok(Some(Secret::new(text))),
        Err(keyring::Error::NoEntry) => Ok(None),
        Err(error) => Err(error),
    })?;
    text.map(|text| Credential::parse(text.expose(), "The keyring")).transpose()
}

/// Stores a profile's credential.
///
/// # Errors
/// [`Failure`] as of [`read`].
pub fn write(profile: &str, url: &str, credential: &Credential) -> Result<(), Failure> {
    let (account, text) = (account(profile, url), credential.text.clone());
    call(move || keyring::Entry::new(SERVICE, &account)?.set_password(text.expose()))
}

/// Removes a profile's credential.
///
/// # Errors
/// [`Failure`] as of [`read`].
pub fn delete(profile: &str, url: &str) -> Result<(), Failure> {
    let account = account(profile, url);
    call(move || match keyring::Entry::new(SERVICE, &account)?.delete_credential() {
        Err(keyring::Error::NoEntry) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    })
}

fn call<T: Send + 'static>(work: impl FnOnce() -> keyring::Result<T> + Send + 'static) -> Result<T, Failure> {
    within(TIMEOUT, move || work().map_err(|error| format!("The keyring failed: {error}.")))
}

/// Runs `work` in a thread. After the timeout nobody waits for it any more.
fn within<T: Send + 'static>(
    timeout: Duration,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, Failure> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || sender.send(work()));
    let outcome = match receiver.recv_timeout(timeout) {
        Ok(outcome) => outcome,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            Err(format!("The keyring did not answer within {} s.", timeout.as_secs()))
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => Err("The keyring failed.".to_owned()),
    };
    outcome.map_err(|message| {
        Failure::new(Exit::Refused, message)
            .next("Set KEYWARD_CREDENTIAL, or keep the credential in a file: `keyward login --credential-file FILE`.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyring_that_hangs_is_given_up_with_a_next_step() {
        let failure = within(Duration::from_millis(20), || {
            thread::sleep(Duration::from_secs(5));
            Ok(())
        });
        let text = failure.unwrap_err().text();
        assert!(text.contains("did not answer") && text.contains("KEYWARD_CREDENTIAL"), "{text}");
    }

    #[test]
    fn a_credential_belongs_to_one_address() {
        assert_ne!(account("prod", "https://a.example"), account("prod", "https://b.example"));
    }
}
