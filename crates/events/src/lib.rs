//! Delivery of events to endpoints: one object, which the registry tells what happened.
//!
//! ```text
//! registry ─ News ─► object ─ one transaction: events · deliveries
//!                          └ alarm: attempts that are due · reports to the registry · old rows removed
//! ```
//!
//! An attempt is written down before it begins, with the time of the next one. So an instance that ends in the middle of an attempt neither
//! loses the delivery nor repeats it before its time.
//!
//! | file | contents |
//! |---|---|
//! | [`news`] | events and endpoints that the registry tells |
//! | [`endpoints`] | the copy of the registry's list, and how each receiver does |
//! | [`deliveries`] | attempts: which is due, its start, its outcome |
//! | [`schedule`] | times of attempts |
//! | [`signature`] | headers of Standard Webhooks |
//! | `body` | the body, valid as Standard Webhooks and as CloudEvents |
//! | [`list`], [`again`] | what members read; deliveries that they send again |
//! | `metrics` | gauges of deliveries |
//! | [`retention`] | removal of old rows |
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

pub mod again;
mod body;
pub mod deliveries;
pub mod endpoints;
pub mod list;
mod metrics;
pub mod news;
pub mod object;
pub mod retention;
pub mod schedule;
pub mod schema;
pub mod signature;
