//! Reports that a limit of a key was reached.

use serde::{Deserialize, Serialize};

use keyward_key::id::KeyId;
use keyward_key::limit::Limit;

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
