//! The objects that count limited requests and grant leases. docs/internals/limits.md explains the protocol and proves the bound.
//!
//! | module | content |
//! |---|---|
//! | [`object`] | one instance of the object: groups in memory, rows in SQLite |
//! | [`host`] | the port to the platform |
//! | [`group`] | the limits of one group and who holds its leases: the grant |
//! | [`counter`] | what was granted under one limit, and what of it counts |
//! | [`window`], [`calendar`] | what was granted in a sliding window, or in a calendar period |
//! | [`clock`] | the object's time, which a step of its clock does not advance |
//! | [`row`] | the stored form |
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

pub mod calendar;
pub mod clock;
pub mod counter;
pub mod group;
pub mod holder;
pub mod host;
pub mod object;
pub mod row;
pub mod window;

pub use host::{Level, LimitsHost, LoggedEvents};
pub use object::LimitsObject;

use keyward_key::time::Millis;

/// Maximum difference between two clocks of the system, in milliseconds: each is up to 5 s off.
pub const CLOCK_SKEW_MS: i64 = 10_000;

/// Maximum error of one clock, in milliseconds.
pub const CLOCK_ERROR_MS: i64 = 5_000;

/// Instant of one call.
#[derive(Clone, Copy, Debug)]
pub struct Instant {
    /// The object's time, in milliseconds: for windows and leases. See [`clock`].
    pub now: i64,
    /// The host's clock: for the calendar and for rows.
    pub utc: Millis,
}
