//! The authority over keys and members: its tables, and the functions that control-plane operations use on them.
//!
//! An operation decides and writes in one synchronous transaction: the row, its audit entry, its outbox row and the new
//! revision are written together or not at all. The registry does no I/O itself: it sends SQL to a [`store::Store`], and time and
//! random text are parameters. The operations are in `keyward-control`, one file each.
//!
//! | file | contents |
//! |---|---|
//! | [`context`] | context, errors and transaction of an operation |
//! | [`authentication`] | authentication of the caller |
//! | [`keys`], `attributes`, [`members`] | the stored rows and their views |
//! | [`sessions`] | sessions of the console |
//! | [`list`], [`order`], `sorted_list`, [`member_list`], [`page`] | lists |
//! | [`idempotency`] | retries of writes |
//! | [`audit`] | the log and its hash chain |
//! | [`exposures`], [`quarantine`] | exposures of keys and members' credentials, and keys that are refused after one |
//! | [`leaks`] | reports of leaked keys |
//! | [`feed`] | the change feed for isolates |
//! | [`outbox`] | KV copies that are out of date |
//! | [`usage`], [`idle`] | when keys were used; keys that nobody uses |
//! | [`metrics`] | gauges of the tables, and counters of the object's log events |
//! | [`claims`] | permissions to mint a pending key |
//! | [`incidents`] | keys that were revoked together, and what is still to be done |
//! | [`posture`] | findings about keys and members, and their score |
//! | [`due`] | work that falls due at a time |
//! | [`events`], [`endpoints`], [`notices`] | events for the events object, where it sends them, and events about the end of keys |
//! | [`object`] | life cycle of the Durable Object: start, calls, alarm, copies to KV |
//! | [`schema`], [`meta`] | the tables, and the authority's counter |
//! | [`store`] | the port to SQLite |
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

mod attributes;
pub mod audit;
pub mod authentication;
pub mod claims;
pub mod context;
pub mod due;
pub mod endpoints;
pub mod events;
pub mod exposures;
pub mod feed;
pub mod idempotency;
pub mod idle;
pub mod incidents;
pub mod key_limits;
pub mod key_uses;
pub mod keys;
pub mod leaks;
pub mod list;
mod lookup;
pub mod member_list;
pub mod members;
pub mod meta;
pub mod metrics;
pub mod notices;
pub mod object;
pub mod order;
pub mod outbox;
pub mod page;
pub mod pending_reports;
pub mod posture;
pub mod quarantine;
pub mod schema;
pub mod sessions;
mod sorted_list;
pub mod usage;

pub use keyward_store as store;

use context::Policy;
use feed::FeedSizes;
use keyward_key::time::Millis;
use keyward_protocol::{ControlRequest, Request, Response};
use store::{Store, StoreError};

/// Settings and circumstances of one request to the registry.
pub struct AnswerContext<'a> {
    /// Settings that limit keys and members.
    pub policy: &'a Policy,
    /// Page sizes of the feed.
    pub feed: FeedSizes,
    /// 16 characters for the name of a new epoch, in case one begins.
    pub random: &'a str,
    /// Time of the registry's clock.
    pub now: Millis,
}

/// Answers one request. `control` runs the operations of the control plane.
///
/// # Errors
/// [`StoreError`] if the store failed: nothing changed, and the answer is unknown.
pub fn answer(
    store: &mut dyn Store,
    request: Request,
    context: &AnswerContext<'_>,
    control: impl FnOnce(&mut dyn Store, ControlRequest) -> Result<Response, StoreError>,
) -> Result<Response, StoreError> {
    let AnswerContext { policy, feed, random, now } = *context;
    match request {
        Request::Lookup { ids } => lookup::answer(store, &ids),
        Request::Changes(query) => {
            let (changes, restored) = feed::answer(store, &query, feed, random, now)?;
            Ok(Response::Changes { changes, restored })
        }
        Request::Control(control_request) => control(store, *control_request),
        Request::UsageTimes(times) => usage::note(store, &times, now),
        Request::UsageMissing { shard } => usage::missing(store, shard, now),
        Request::Expose(report) => exposures::record(store, &report, policy.on_exposure, now),
        Request::Leak(report) => leaks::report(store, &report, policy, now),
        Request::Limited(report) => key_limits::note_reached(store, &report, now),
        Request::KeepReport(report) => pending_reports::keep(store, &report, now),
        Request::EndpointReport(report) => endpoints::note_report(store, &report, now),
        Request::EndpointTested(tested) => endpoints::note_test(store, &tested, now),
    }
}
