//! Messages between isolates and the objects: requests, responses, the change feed, usage reports, leases, and events.
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

pub mod audit;
pub mod events;
pub mod exposure;
pub mod feed;
pub mod fetch_error;
mod hash;
pub mod leak;
pub mod lease;
pub mod level;
pub mod limited;
pub mod metrics;
pub mod request;
pub mod response;
pub mod role;
pub mod usage;

pub use exposure::{ExposureReport, MAX_EXPOSED_KEYS, SubmittedHash};
pub use fetch_error::FetchError;
pub use leak::{LeakReport, LeakSource, LeakedKey, MAX_LEAKED_KEYS, PendingReport};
pub use level::{Level, LoggedEvents};
pub use limited::{ANNOUNCE_INTERVAL_MS, LimitedReport};
pub use request::{
    Caller, Confirmation, ControlRequest, Idempotency, MAX_LOOKUP_KEYS, NewCredential, Precondition, Request,
    RequestMeta,
};
pub use response::{KeyAttributes, KeyView, LookedUp, MemberView, Raw, Rejection, Response, Status};
pub use role::Role;
