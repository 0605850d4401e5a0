//! Capacities of one gate.

use keyward_http::limits::{ASSERTION_BYTES, REMEMBERED_CHANGES, REMEMBERED_KEYS, REMEMBERED_NETWORKS, TOLD_CHANGES};

/// Capacities of one gate. Production uses the default; the simulator uses small random sizes to reach the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateSizes {
    /// Maximum number of cached keys, records and negative answers together. At least one is kept.
    pub cached_keys: usize,
    /// Maximum number of networks of all cached records together.
    pub cached_networks: usize,
    /// Maximum number of changed keys whose last revision the feed keeps. If there are more, KV copies are not trusted.
    pub changes: usize,
    /// Maximum number of changed keys in a snapshot for the data centre's cache. If there are more, no snapshot is published.
    pub shared_changes: usize,
    /// Maximum size of all cached assertions together, in bytes, including their claims, which are the cache keys.
    pub assertion_bytes: usize,
}

impl Default for GateSizes {
    fn default() -> Self {
        Self {
            cached_keys: REMEMBERED_KEYS,
            cached_networks: REMEMBERED_NETWORKS,
            changes: REMEMBERED_CHANGES,
            shared_changes: TOLD_CHANGES,
            assertion_bytes: ASSERTION_BYTES,
        }
    }
}
