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

pub use keyward_protocol::Level;

/// Failure of a query to the registry. A change may have been made all the same.
#[derive(Debug)]
pub struct RegistryFailure {
    /// Cause, for the log.
    pub cause: String,
    /// Whether the platform refused the query because the registry is overloaded. Another attempt would add to its load.
    pub is_overload: bool,
}

impl From<String> for RegistryFailure {
    fn from(cause: String) -> Self {
        Self { cause, is_overload: false }
    }
}

/// Stores, clock, randomness, log and signatures. Each call settles within its time limit, except the two for signatures, which the
/// runtime answers at once. The text of a failure is for the log.
#[expect(async_fn_in_trait, reason = "everything runs on the one thread of its isolate")]
pub trait Platform {
    /// The isolate's clock.
    fn now(&self) -> Millis;

    /// A random byte.
    fn jitter(&self) -> u8;

    /// Writes `{"level", "event", …fields}` to the log.
    fn log(&self, level: Level, event: &str, fields: &[(&str, &str)]);

    /// Reads a value from KV, within [`KV_TIMEOUT_MS`].
    ///
    /// # Errors
    /// The cause: KV failed or took too long.
    async fn kv_get(&self, name: &str) -> Result<Option<String>, String>;

    /// Reads a value from the data centre's cache, within [`CACHE_TIMEOUT_MS`]. A failure counts as a miss.
    async fn cache_get(&self, name: &str) -> Option<String>;

    /// Starts to write a value to the data centre's cache with a TTL in seconds. Nothing waits for the write: it may fail, and the
    /// cache may drop the value sooner.
    fn cache_put(&self, name: &str, text: &str, seconds: u32);

    /// Sends one query to the authority; both messages are JSON text. The time limit is [`REGISTRY_CHANGE_TIMEOUT_MS`] for what may change
    /// something, otherwise [`REGISTRY_READ_TIMEOUT_MS`].
    ///
    /// # Errors
    /// [`RegistryFailure`]: the registry failed, refused or took too long.
    async fn ask_registry(&self, message: &str, may_change: bool) -> Result<String, RegistryFailure>;

    /// Imports a signing key for the life of the isolate, and returns its public half.
    ///
    /// # Errors
    /// The cause.
    async fn hold_key(&self, key: &SigningKey) -> Result<PublicKey, String>;

    /// Signs with an imported key.
    ///
    /// # Errors
    /// The cause: the key was not imported, or signing failed.
    async fn sign(&self, key: &SigningKey, text: &[u8]) -> Result<Signature, String>;

    /// Resolves after a pause.
    async fn pause(&self, milliseconds: u32);
}
