//! The port of the object to its platform.

use keyward_key::time::Millis;
use keyward_store::{Store, StoreError};

pub use keyward_protocol::{Level, LoggedEvents};

/// Platform of one instance of the object: clock, entropy, SQLite, log. Storage outlives an instance.
pub trait LimitsHost {
    /// Returns the time of the object's clock.
    fn now(&self) -> Millis;

    /// Returns a random number below 2^48 that names this instance, or `None` if there is no entropy.
    fn random_number(&self) -> Option<u64>;

    /// Runs `work` on the object's SQLite.
    ///
    /// # Errors
    /// The error of `work`.
    fn with_store<T>(&self, work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError>;

    /// Takes the events at level warn or error that were written to the log and are not counted yet.
    fn take_logged(&self) -> Vec<LoggedEvents> {
        Vec::new()
    }

    /// Writes `{"level", "event", …fields}` to the log.
    fn log(&self, level: Level, event: &str, fields: &[(&str, &str)]);
}
