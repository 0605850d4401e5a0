//! Reports that a limit of a key was reached.

use serde::{Deserialize, Serialize};

use keyward_key::id::KeyId;
use keyward_key::limit::Limit;

/// Time in milliseconds after an announcement within which the registry does not announce the same limit of the same key again.
pub const ANNOUNCE_INTERVAL_MS: i64 = 3_600_000;

/// A request was refused because limits of its key were reached. The object of the limits has asked the isolate for this report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LimitedReport {
    /// Id of the key.
    pub id: KeyId,
    /// The limits, at most [`LIMITS`](keyward_key::limit::LIMITS); the registry ignores any more.
    pub limits: Vec<Limit>,
    /// `Keyward-Request-Id` of the request.
    pub request_id: String,
}
