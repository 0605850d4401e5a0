//! Usage of keys: one object for each shard of the keys adds up the reports of isolates.
//!
//! ```text
//! isolate ─ UsageReport ─► shard ─ one row: the report waits
//!                                ├ once a minute, and before each answer: sums in minutes · hours · days, times of the keys
//!                                └ once a minute: times to the registry, old rows removed
//! ```
//!
//! Counts add up and each report counts once; times merge by maximum and minimum. So a report that arrives late, twice or out of order
//! leaves the same state (`tests/it/merge.rs`).
//!
//! | file | contents |
//! |---|---|
//! | [`report`] | the arrival of a report, which counts once |
//! | `waiting` | reports that are not added up yet |
//! | [`sums`] | adds them up |
//! | `caps` | caps on networks, clients and routes, which a client can vary |
//! | [`query`] | series, totals and activity |
//! | [`retention`] | removal of old rows |
//! | [`metrics`] | counters of metrics, and gauges of isolates |
//! | [`times`] | times of use, sent to the registry |
//! | [`object`] | life cycle of the Durable Object |
//! | [`schema`] | the tables |
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

mod caps;
pub mod metrics;
mod names;
pub mod object;
pub mod query;
pub mod report;
pub mod retention;
pub mod schema;
pub mod sums;
pub mod times;
mod waiting;

pub use caps::{CLIENTS_A_DAY, NETWORKS_A_DAY, ROUTES_A_DAY, SOURCES_AN_HOUR};
