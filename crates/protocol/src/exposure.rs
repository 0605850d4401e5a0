//! Reports of keys that a request exposed.

use serde::{Deserialize, Serialize};

use keyward_key::exposure::ExposureKind;
use keyward_key::hash::KeyHash;
use keyward_key::id::KeyId;

/// Maximum number of keys in one report; the registry ignores any more.
pub const MAX_EXPOSED_KEYS: usize = 4;

/// Keys with a right tag that one refused request exposed. The registry compares each hash, so only a holder's request has an effect.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExposureReport {
    /// How they were exposed.
    pub kind: ExposureKind,
    /// The keys, at most [`MAX_EXPOSED_KEYS`].
    pub keys: Vec<SubmittedHash>,
    /// `match` of the route that the request asked for; `None` if it asked for none.
    pub route: Option<String>,
    /// Network of the client: its /24, or /48 for IPv6. `None` if its address is unknown.
    pub network: Option<String>,
    /// `Keyward-Request-Id` of the request.
    pub request_id: String,
}

/// Id and hash of a presented key or member's credential with a right tag.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SubmittedHash {
    /// Id of the key or member.
    pub id: KeyId,
    /// Hash of the text presented.
    pub key_hash: KeyHash,
}
