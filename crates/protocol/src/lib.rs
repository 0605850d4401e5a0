//! Messages between isolates and the registry: requests, responses, and the change feed.
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
pub mod feed;
pub mod operation;
pub mod request;
pub mod response;
pub mod role;

pub use operation::Operation;
pub use request::{
    Caller, Command, ControlRequest, Idempotency, KeyChanges, KeyDraft, KeyFilter, Lifetime, Limit, MemberChanges,
    MemberDraft, NewCredential, Request, RequestMeta,
};
pub use response::{Inspected, KeyView, MemberView, Outcome, Raw, RawOutcome, Rejection, Response, Status};
pub use role::Role;
