//! HTTP as plain data: request, route, credential, reply and error. No I/O.
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

pub mod address;
pub mod cookies;
pub mod credential;
pub mod event_url;
pub mod forwarded_request;
pub mod head;
pub mod headers;
mod key_copies;
pub mod limits;
pub mod media_type;
pub mod origin;
pub mod problem;
pub mod rate_limit;
pub mod removed_headers;
pub mod reply;
pub mod route;
pub mod target;
