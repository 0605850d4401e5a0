//! The port of the events object to its platform.

use keyward_key::signing::{Signature, SigningKey};
use keyward_key::time::Millis;
use keyward_store::{Store, StoreError};

use crate::deliveries::{Failure, Outcome};

pub use keyward_protocol::{Level, LoggedEvents};

/// Timeout of one attempt in milliseconds, until the answer's body has been read or cut off.
pub const ATTEMPT_TIMEOUT_MS: u32 = 15_000;
/// Maximum size of an answer that is read, in bytes. The rest is cut off.
pub const ANSWER_BYTES: u32 = 4_096;
/// Timeout of one message to the registry, in milliseconds.
pub const REGISTRY_TIMEOUT_MS: u32 = 10_000;

/// A request to a receiver. The platform follows no redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Address.
    pub url: String,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: String,
}

/// Platform of one instance of the object: clock, randomness, SQLite, receivers, signatures, the registry, alarm and log. Storage and alarm
/// outlive an instance.
#[expect(async_fn_in_trait, reason = "everything runs on the one thread of the object")]
pub trait EventsHost {
    /// Returns the time of the object's clock.
    fn now(&self) -> Millis;

    /// Returns random bits, which spread the times of attempts.
    fn jitter(&self) -> u16;

    /// Returns 24 random base62 characters, or `None` if there is no entropy.
    fn random_name(&self) -> Option<String>;

    /// Runs `work` on the object's SQLite.
    ///
    /// # Errors
    /// The error of `work`.
    fn with_store<T>(&self, work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError>;

    /// Sends a POST to a receiver, within [`ATTEMPT_TIMEOUT_MS`]. Reads at most [`ANSWER_BYTES`] of the answer, and returns nothing of its
    /// body. Never returns a success for a request that was not sent.
    ///
    /// # Errors
    /// [`Failure`]: there was no answer. The receiver may have handled the request even so.
    async fn send(&self, request: &Outgoing) -> Result<Outcome, Failure>;

    /// Signs with a key, which the platform imports at first use.
    ///
    /// # Errors
    /// The cause, for the log.
    async fn sign(&self, key: &SigningKey, text: &[u8]) -> Result<Signature, String>;

    /// Sends a message to the registry and returns its answer, within [`REGISTRY_TIMEOUT_MS`]; both are JSON text.
    ///
    /// # Errors
    /// The cause, for the log. The registry may have handled the message even so.
    async fn ask_registry(&self, message: &str) -> Result<String, String>;

    /// Sets the object's only alarm, due `after_ms` from now. Replaces an existing alarm.
    ///
    /// # Errors
    /// The cause, for the log.
    async fn set_alarm(&self, after_ms: i64) -> Result<(), String>;

    /// Takes the events at level warn or error that were written to the log and are not counted yet.
    fn take_logged(&self) -> Vec<LoggedEvents> {
        Vec::new()
    }

    /// Writes `{"level", "event", …fields}` to the log.
    fn log(&self, level: Level, event: &str, fields: &[(&str, &str)]);
}
