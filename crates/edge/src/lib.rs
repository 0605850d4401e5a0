//! The logic of one isolate around its gate: the order in which it reads the stores, the lookups that requests share, and the answers
//! that it shares with other isolates.
//!
//! All I/O goes through [`Platform`]. In production its implementation calls workerd; in the simulator every store can fail.
//!
//! | file | contents |
//! |---|---|
//! | [`platform`] | the port to stores, clock and log, and its time limits |
//! | [`isolate`] | the state of one isolate: the gate and the lookups in flight |
//! | [`entry`] | from the text of a request's head to a reply or a forward |
//! | `context` | [`RequestContext`], the inputs of every step of one request |
//! | [`decide`](mod@decide) | the loop of gate steps and lookups |
//! | [`exposures`] | reports of keys that refused requests exposed |
//! | [`reports`] | what is sent to the authority after the answer |
//! | [`connections`] | how long WebSockets and event streams may stay open |
//! | `changes` | the feed: the data centre's cache, then the authority, then the cache's last answer |
//! | `record` | a key's record: KV, then the authority |
//! | `lookup_queue` | the keys that wait for the authority, and the lookups in flight |
//! | `metrics` | counters for metrics, which usage reports take along |
//! | `poll` | waiting for another request of the isolate |
//! | [`registry`] | queries to the authority, with one retry for reads |
//! | [`usage`] | counts of requests, and reports to the usage object |
//! | [`signing`] | assertions and notes, signed by the platform |
#![forbid(unsafe_code)]
#![deny(missing_docs, clippy::disallowed_methods)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::arithmetic_side_effects,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason
    )
)]

mod changes;
pub mod connections;
mod context;
pub mod decide;
pub mod entry;
pub mod exposures;
pub mod isolate;
pub mod leases;
mod lookup_queue;
mod metrics;
pub mod platform;
mod poll;
mod record;
pub mod registry;
pub mod reports;
pub mod signing;
pub mod usage;

pub use context::{LookupContext, RequestContext};
pub use decide::{decide, finish, is_refresh_due, refresh, start_or_wait, step};
pub use isolate::{Isolate, LookupKey};
pub use leases::renew;
pub use lookup_queue::LookupSizes;
pub use platform::{Level, LoggedEvents, Platform, RegistryFailure, ShardedObject};
pub use reports::BackgroundReport;
