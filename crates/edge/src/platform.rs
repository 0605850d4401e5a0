//! Port to stores, clock, log and signatures.

use std::collections::BTreeMap;

use super::usage::DataPoint;
use keyward_key::signing::{PublicKey, Signature, SigningKey};
use keyward_key::time::Millis;

/// Timeout of a KV read, in milliseconds. After it the registry is queried.
pub const KV_TIMEOUT_MS: u32 = 1_000;

/// Timeout of a read from the data centre's cache, in milliseconds.
pub const CACHE_TIMEOUT_MS: u32 = 250;

/// Timeout of one registry read, in milliseconds. Two attempts and the pause between them take less than the default bound, so that
/// an isolate detects an unresponsive object within the bound.
pub const REGISTRY_READ_TIMEOUT_MS: u32 = 1_500;

/// Timeout of a change at the registry, in milliseconds. After it the outcome is unknown.
pub const REGISTRY_CHANGE_TIMEOUT_MS: u32 = 15_000;

/// Timeout of one message to a shard of another object, in milliseconds.
pub const SHARD_TIMEOUT_MS: u32 = 1_500;

use keyward_protocol::events::EVENTS_OBJECT;
pub use keyward_protocol::{Level, LoggedEvents};

/// Timeout of one message to the events object, in milliseconds: a test waits for its receiver.
pub const EVENTS_TIMEOUT_MS: u32 = 30_000;

/// Class of the objects beside the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardedObject {
    /// Delivers events. It has one shard.
    Events,
    /// Grants leases of limited keys.
    Limits,
    /// Adds up usage reports.
    Usage,
}

impl ShardedObject {
    /// Returns the name of its binding.
    #[must_use]
    pub const fn binding(self) -> &'static str {
        match self {
            Self::Events => "EVENTS",
            Self::Limits => "LIMITS",
            Self::Usage => "USAGE",
        }
    }

    /// Returns the name of one shard's object.
    #[must_use]
    pub fn name(self, shard: u32) -> String {
        match self {
            Self::Events => EVENTS_OBJECT.to_owned(),
            Self::Limits => format!("limits-{shard}"),
            Self::Usage => format!("usage-{shard}"),
        }
    }

    /// Returns the timeout of one message, in milliseconds.
    #[must_use]
    pub const fn timeout_ms(self) -> u32 {
        match self {
            Self::Events => EVENTS_TIMEOUT_MS,
            Self::Limits | Self::Usage => SHARD_TIMEOUT_MS,
        }
    }
}

/// Failure of a query to the registry. If the query was a change, the change may have been committed.
#[derive(Debug)]
pub struct RegistryFailure {
    /// Cause, for the log.
    pub cause: String,
    /// Whether the platform refused the query because the registry is overloaded. A retry would add to its load.
    pub is_overload: bool,
}

impl From<String> for RegistryFailure {
    fn from(cause: String) -> Self {
        Self { cause, is_overload: false }
    }
}

/// Stores, clock, randomness, log and signatures. Each call settles within its timeout; the two calls for signatures have none, since
/// they are local. The text of a failure is for the log.
#[expect(async_fn_in_trait, reason = "everything runs on the one thread of its isolate")]
pub trait Platform {
    /// Returns the time of the isolate's clock.
    fn now(&self) -> Millis;

    /// Returns a random byte.
    fn jitter(&self) -> u8;

    /// Writes `{"level", "event", …fields}` to the log.
    fn log(&self, level: Level, event: &str, fields: &[(&str, &str)]);

    /// Takes the events at level warn or error that were written to the log and are not counted yet.
    fn take_logged(&self) -> Vec<LoggedEvents> {
        Vec::new()
    }

    /// Writes data points for analyses, with the number of requests that each stands for. `points` is called only if there is somewhere to
    /// write to; nothing depends on it.
    fn write_points(&self, points: impl FnOnce() -> BTreeMap<DataPoint, u64>) {
        let _ = points;
    }

    /// Reads a value from KV, within [`KV_TIMEOUT_MS`].
    ///
    /// # Errors
    /// The cause: KV failed or took too long.
    async fn kv_get(&self, name: &str) -> Result<Option<String>, String>;

    /// Reads a value from the data centre's cache, within [`CACHE_TIMEOUT_MS`]. A failure counts as a miss.
    async fn cache_get(&self, name: &str) -> Option<String>;

    /// Starts to write a value to the data centre's cache with a TTL in seconds. The caller does not wait for the write. The write may
    /// fail, and the cache may evict the value early.
    fn cache_put(&self, name: &str, text: &str, seconds: u32);

    /// Sends one query to the authority; both messages are JSON text. The timeout is [`REGISTRY_CHANGE_TIMEOUT_MS`] for a query that may
    /// write, otherwise [`REGISTRY_READ_TIMEOUT_MS`].
    ///
    /// # Errors
    /// [`RegistryFailure`]: the registry failed, refused or took too long.
    async fn ask_registry(&self, message: &str, may_change: bool) -> Result<String, RegistryFailure>;

    /// Sends one message to a shard of another object, within its [timeout](ShardedObject::timeout_ms); both messages are JSON text.
    ///
    /// # Errors
    /// The cause: the object failed, refused or took too long. It may have handled the message even so.
    async fn ask_shard(&self, object: ShardedObject, shard: u32, message: &str) -> Result<String, String>;

    /// Imports a signing key for the lifetime of the isolate and returns its public half.
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
