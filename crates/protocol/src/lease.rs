//! Leases: messages between isolates and the objects that count limited requests.
//!
//! An isolate asks a shard for units of all its limit groups at once. The object grants leases: a number of units that the isolate may
//! spend, one for each request of cost 1, within [`LEASE_MS`] of the time at which it asked. docs/internals/limits.md explains the
//! protocol and proves the bound.

use keyward_key::limit::Limit;
use keyward_key::time::Millis;
use keyward_key::version;
use serde::{Deserialize, Serialize};

use super::feed::CompactKeyId;
use super::hash::fnv_1a;
use super::metrics::Sample;

/// Lifetime of a lease in milliseconds: by the isolate's clock from before it asked, by the object's from when it granted.
pub const LEASE_MS: i64 = 2_000;

/// Number of objects that limit groups are spread over. A change would lose what was counted.
pub const LIMIT_SHARDS: u32 = 16;

/// Maximum number of groups in a query.
pub const MAX_QUERY_GROUPS: usize = 500;

/// Returns the shard of a limit group, by its text.
#[must_use]
pub fn shard_of(group: &CompactKeyId) -> u32 {
    fnv_1a(group.as_bytes()) % LIMIT_SHARDS
}

/// An isolate's query to one shard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LeaseQuery {
    /// Random number of the isolate, below 2^48.
    pub isolate: u64,
    /// Time of the query by the isolate's clock.
    pub asked_at: Millis,
    /// Instance of the object that the isolate heard from last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Lower bound of that instance's time when the query was sent, derived from its earlier answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_at: Option<i64>,
    /// Time in milliseconds for which the isolate may continue while the object is unreachable.
    pub grace_ms: i64,
    /// The groups that need units.
    pub groups: Vec<GroupQuery>,
}

/// What an isolate needs for one limit group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupQuery {
    /// The group.
    pub group: CompactKeyId,
    /// Number of the last change of the limits, 0 before the first. The object applies the limits of the latest revision.
    pub revision: u64,
    /// Limits of the group.
    pub limits: Vec<Limit>,
    /// Units that the first waiting request needs; 0 for a renewal ahead of time.
    pub need: u64,
    /// Units that the isolate expects to spend within [`LEASE_MS`].
    pub wanted: u64,
    /// Unspent units of leases that ended or were given up. The isolate will not spend them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returned: Vec<Returned>,
    /// Units of the outage reserve that the isolate has spent since the object's instance began.
    #[serde(default, skip_serializing_if = "version::is_default")]
    pub reserve_spent: u64,
    /// [`GroupAnswer::reserve_given`] of the last answer that the isolate got from this instance; `None` before the first. It confirms
    /// that the isolate knows of a reserve that became smaller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserve_known: Option<u64>,
}

/// Unspent units of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// Number of the lease.
    pub lease: u64,
    /// Unspent units.
    pub units: u64,
}

/// The object's answer to a [`LeaseQuery`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LeaseAnswer {
    /// Instance of the object.
    pub epoch: u64,
    /// The object's time, comparable only with times of the same instance.
    pub now: i64,
    /// One answer for each group, in the order of the query. May be shorter.
    pub groups: Vec<GroupAnswer>,
    /// Increases of the object's counters since its last answer. The isolate reports them with its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<Sample>,
}

/// The answer about one group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupAnswer {
    /// The group.
    pub group: CompactKeyId,
    /// Number of the lease.
    pub lease: u64,
    /// Granted units.
    pub units: u64,
    /// Units of the outage reserve that the isolate was given since the object's instance began.
    #[serde(default, skip_serializing_if = "version::is_default")]
    pub reserve_given: u64,
    /// State of each limit after the grant, in the order in which the object applies them.
    pub limits: Vec<LimitState>,
    /// Present if the needed units were not granted: time in milliseconds until they may be available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<i64>,
}

/// State of one limit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LimitState {
    /// The limit that the object applies.
    pub limit: Limit,
    /// Units that are left.
    pub remaining: u64,
    /// Time in milliseconds until more units are left.
    pub reset_in_ms: i64,
    /// Whether this limit prevented the grant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub violated: bool,
    /// Whether the isolate must tell the registry that the limit is reached, with the next request that it refuses for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub announce: bool,
}
