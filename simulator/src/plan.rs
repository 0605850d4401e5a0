//! Plan of one history. Every event is drawn beforehand and carries a seed for the random choices made while it executes. A plan without
//! some of its events is therefore still a valid plan, and its other events behave as before: shrinking relies on that.

mod draw;
mod requests;

pub use draw::draw;

use keyward_edge::LookupSizes;
use keyward_gate::GateSizes;
use keyward_registry::feed::FeedSizes;

use crate::history::Credential;
use crate::keys::KEY_COUNT;
use crate::random::Random;
use crate::scheduler::Time;

#[derive(Clone)]
pub struct Plan {
    pub seed: u64,
    pub bound_seconds: u32,
    pub grace_seconds: u32,
    pub locations: usize,
    /// Maximum time for which the KV cache of a location keeps a value, in milliseconds.
    pub kv_stale_ms: Time,
    pub fault_rates: FaultRates,
    pub sizes: Sizes,
    pub ends_at: Time,
    pub events: Vec<PlannedEvent>,
}

impl Plan {
    fn add(&mut self, random: &mut Random, at: Time, action: PlannedAction) {
        let seed = random.next();
        self.events.push(PlannedEvent { at, seed, action });
    }
}

/// Capacities and page sizes, drawn small so that short histories reach them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sizes {
    pub feed: FeedSizes,
    pub gate: GateSizes,
    pub lookups: LookupSizes,
}

impl Sizes {
    /// Returns whether the cache of an isolate has room for every key of a history, with its networks.
    #[must_use]
    pub const fn caches_every_key(&self) -> bool {
        self.gate.cached_keys >= KEY_COUNT && self.gate.cached_networks >= KEY_COUNT
    }
}

/// Probabilities of faults in single calls, per mille.
#[derive(Clone, Copy, Default)]
pub struct FaultRates {
    pub registry_fails: i64,
    pub answer_lost: i64,
    pub registry_slow: i64,
    pub store_fails: i64,
    pub kv_read_fails: i64,
    pub kv_read_slow: i64,
    pub kv_write_fails: i64,
    pub kv_write_misbehaves: i64,
    pub kv_write_slow: i64,
    pub cache_fails: i64,
}

#[derive(Clone, Debug)]
pub struct PlannedEvent {
    pub at: Time,
    pub seed: u64,
    pub action: PlannedAction,
}

#[derive(Clone, Debug)]
pub enum PlannedAction {
    StartIsolate {
        isolate: usize,
        location: usize,
        offset: Time,
        jitter: u8,
    },
    StopIsolate {
        isolate: usize,
    },
    /// Cancels one task of an isolate.
    CancelTask {
        isolate: usize,
    },
    StepClock {
        isolate: usize,
        to: Time,
    },
    StepRegistryClock {
        to: Time,
    },
    Request(PlannedRequest),
    Change {
        change: Change,
    },
    Fault {
        fault: Fault,
        location: Option<usize>,
        until: Time,
    },
    RestartObject,
    Backup,
    Restore {
        announced: bool,
    },
    Attack(Attack),
}

#[derive(Clone, Copy, Debug)]
pub struct PlannedRequest {
    pub isolate: usize,
    pub key: usize,
    pub credential: Credential,
    pub route: Route,
    /// Bit of the client's address.
    pub address: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Needs the first scope.
    First,
    /// Needs the second scope.
    Second,
    /// Needs the first scope, and has no grace in an outage.
    Closed,
}

/// A change of the control plane. `lifetime_ms` counts from the change.
#[derive(Clone, Debug)]
pub enum Change {
    Issue {
        key: usize,
        scopes: u8,
        addresses: u8,
        lifetime_ms: Time,
    },
    Rotate {
        key: usize,
        next: usize,
        overlap_seconds: u32,
    },
    Revoke {
        key: usize,
    },
    Scopes {
        key: usize,
        scopes: u8,
    },
    Addresses {
        key: usize,
        addresses: u8,
    },
    Expiry {
        key: usize,
        lifetime_ms: Time,
    },
    /// The holder of the key exposes it, which quarantines it.
    Quarantine {
        key: usize,
    },
    Release {
        key: usize,
    },
}

/// A fault that lasts for some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Unreachable,
    Hangs,
    Slow,
    AnswersLost,
    StoreFails,
    KvReadsFail,
    KvReadsSlow,
    KvWritesFail,
    KvWritesLate,
    CacheUnavailable,
}

/// Tampering by somebody with write access to KV or to a data centre's cache.
#[derive(Clone, Debug)]
pub enum Attack {
    /// Puts back an older copy of a key.
    Replay {
        key: usize,
    },
    /// Stores the copy of one key under the name of another.
    Move {
        from: usize,
        to: usize,
    },
    /// Grants a copy all rights.
    Widen {
        key: usize,
    },
    Delete {
        key: usize,
    },
    /// Truncates a copy.
    Truncate {
        key: usize,
    },
    /// Puts back an older entry of a location's cache.
    ReplayCache {
        location: usize,
    },
}
