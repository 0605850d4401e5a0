//! The port of the registry object to its platform.

use std::future::Future;

use crate::store::{Store, StoreError};
use keyward_key::time::Millis;
use keyward_protocol::{LeakReport, PendingReport};

pub use keyward_protocol::{Level, LoggedEvents};

/// Judgement of a report of GitHub that was kept.
pub enum Judged {
    /// GitHub's list of keys is still not available. The cause is for the log.
    Later(String),
    /// It is not a report of GitHub, or cannot be read. The cause is for the log.
    Invalid(&'static str),
    /// The keys in it, as an isolate would have reported them.
    Genuine(Vec<LeakReport>),
}

/// Platform of one instance of the object: clock, entropy, SQLite, KV, the events object, alarm, background work and log.
/// Storage and alarm outlive an instance; background work ends with it.
#[expect(async_fn_in_trait, reason = "everything runs on the one thread of the object")]
pub trait ObjectHost: Sized + 'static {
    /// Returns the time of the object's clock.
    fn now(&self) -> Millis;

    /// Returns 16 random base62 characters, or `None` if there is no entropy.
    fn random_name(&self) -> Option<String>;

    /// Runs `work` on the object's SQLite.
    ///
    /// # Errors
    /// The error of `work`.
    fn with_store<T>(&self, work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError>;

    /// Writes a text to KV, to expire at `expires_at_seconds` since 1970. Settles within
    /// [`KV_WRITE_TIMEOUT_MS`](super::KV_WRITE_TIMEOUT_MS); after a timeout the write may still happen.
    ///
    /// # Errors
    /// The cause, for the log.
    async fn kv_put(&self, name: &str, text: &str, expires_at_seconds: i64) -> Result<(), String>;

    /// Sends a message to the events object and returns its answer; both are JSON text. Settles within
    /// [`EVENTS_TIMEOUT_MS`](super::EVENTS_TIMEOUT_MS).
    ///
    /// # Errors
    /// The cause, for the log. The events object may have handled the message even so.
    async fn ask_events(&self, message: &str) -> Result<String, String>;

    /// Judges a report of GitHub that was kept.
    async fn judge(&self, report: &PendingReport) -> Judged;

    /// Sets the object's only alarm, due `after_ms` from now. Replaces an existing alarm.
    ///
    /// # Errors
    /// The cause, for the log.
    async fn set_alarm(&self, after_ms: i64) -> Result<(), String>;

    /// Removes the alarm, if one is set.
    ///
    /// # Errors
    /// The cause, for the log.
    async fn delete_alarm(&self) -> Result<(), String>;

    /// Runs `work` in the background, after the answer was sent.
    fn spawn(&self, work: impl Future<Output = ()> + 'static);

    /// Takes the events at level warn or error that were written to the log and are not counted yet.
    fn take_logged(&self) -> Vec<LoggedEvents> {
        Vec::new()
    }

    /// Writes `{"level", "event", …fields}` to the log.
    fn log(&self, level: Level, event: &str, fields: &[(&str, &str)]);
}
