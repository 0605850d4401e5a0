//! The port of the usage object to its platform.

use keyward_key::time::Millis;
use keyward_store::{Store, StoreError};

pub use keyward_protocol::{Level, LoggedEvents};

/// Platform of one instance of the object: clock, SQLite, alarm, log, and messages to the registry. Storage and alarm outlive an
/// instance.
#[expect(async_fn_in_trait, reason = "everything runs on the one thread of the object")]
pub trait UsageHost {
    /// Returns the time of the object's clock.
    fn now(&self) -> Millis;

    /// Runs `work` on the object's SQLite.
    ///
    /// # Errors
    /// The error of `work`.
    fn with_store<T>(&self, work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError>;

    /// Sends a message to the registry and returns its answer; both are JSON text.
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
