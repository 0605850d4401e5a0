//! The port to everything outside the isolate.

use keyward_key::signing::{PublicKey, Signature, SigningKey};
use keyward_key::time::Millis;

/// Time limit of a read from KV. After it the registry is asked.
pub const KV_TIMEOUT_MS: u32 = 1_000;

/// Time limit of a read from the data centre's cache, which is in the same data centre.
pub const CACHE_TIMEOUT_MS: u32 = 250;

/// Time limit of one read of the registry. Two of them with the pause between are shorter than the default bound, so that an
/// isolate notices a hanging object within the bound.
pub const REGISTRY_READ_TIMEOUT_MS: u32 = 1_500;

/// Time limit of a change at the registry. After it the outcome is unknown.
pub const REGISTRY_CHANGE_TIMEOUT_MS: u32 = 15_000;

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For the record.
    Info,
    /// Something is wrong outside, and was dealt with.
    Warn,
    /// Something is wrong inside, or somebody has to look.
    Error,
}

/// Stores, clock, chance, log and signatures. Each call has its own time limit and settles within it, but for the two that sign, which the
/// runtime does at once. A failure's text is for the log.
#[expect(async_fn_in_trait, reason = "everything runs on the one thread of its isolate")]
pub trait Platform {
    /// The isolate's clock.
    fn now(&self) -> Millis;

    /// A random byte.
    fn jitter(&self) -> u8;

    /// Writes `{"level", "event", …fields}` to the log.
    fn log(&self, level: Level, event: &str, fields: &[(&str, &str)]);

    /// What KV holds under a name, within [`KV_TIMEOUT_MS`].
    ///
    /// # Errors
    /// The cause: it failed, or took too long.
    async fn kv_get(&self, name: &str) -> Result<Option<String>, String>;

    /// What the data centre's cache holds under a name, within [`CACHE_TIMEOUT_MS`]. A cache that fails has nothing.
    async fn cache_get(&self, name: &str) -> Option<String>;

    /// Begins to give the cache a text, to be kept under a name for so many seconds. Nobody waits for it: it may fail, or be kept for
    /// less.
    fn cache_put(&self, name: &str, text: &str, seconds: u32);

    /// Asks the authority, once; both messages are JSON text. The time limit is [`REGISTRY_CHANGE_TIMEOUT_MS`] for what may change
    /// something, otherwise [`REGISTRY_READ_TIMEOUT_MS`].
    ///
    /// # Errors
    /// The cause: it failed, refused, or took too long. What was asked for may have been done.
    async fn ask_registry(&self, message: &str, may_change: bool) -> Result<String, String>;

    /// Takes a key over, to be kept for as long as the isolate lives, and gives its public half.
    ///
    /// # Errors
    /// The cause.
    async fn hold_key(&self, key: &SigningKey) -> Result<PublicKey, String>;

    /// Signs with a key that was taken over.
    ///
    /// # Errors
    /// The cause: it was not, or it failed.
    async fn sign(&self, key: &SigningKey, text: &[u8]) -> Result<Signature, String>;

    /// Comes back after so many milliseconds.
    async fn pause(&self, milliseconds: u32);
}
