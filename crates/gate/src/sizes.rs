//! Capacities of one gate.

use keyward_http::limits::{ASSERTION_BYTES, REMEMBERED_CHANGES, REMEMBERED_KEYS, REMEMBERED_NETWORKS, TOLD_CHANGES};

/// Capacities of one gate. The default is what ships; the simulator draws small ones, so that a small world reaches them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateSizes {
    /// Keys in the cache, records and negative answers together. At least one is kept.
    pub cached_keys: usize,
    /// Networks of all cached records together.
    pub cached_networks: usize,
    /// Changed keys whose last revision the feed keeps. With more, no copy in KV is trusted.
    pub changes: usize,
    /// Changed keys in a snapshot for the data centre's cache. With more, no snapshot is published.
    pub shared_changes: usize,
    /// Bytes of all cached assertions together, with the claims that they are found by.
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
