//! The control plane: issuing, changing and revoking keys, members, the audit log, and forward auth.
//!
//! ```text
//! serve ─ route ─ sign_in ─ operations/<operation>: parse ─┐          respond ─ response
//!                                                          └ message ┐   ┌ outcome
//!                              authority (in the registry): authorise, handle
//! ```
//!
//! | file | contents |
//! |---|---|
//! | [`operations`] | one file for each operation, and the one list of them |
//! | [`operation`] | the trait of an operation: its spec row and four steps |
//! | [`mod@serve`] | the flow of a request at the edge, above the port [`ControlPlatform`] |
//! | [`authority`] | the flow of a message in the registry |
//! | [`route`] | the router |
//! | [`authorize`] | forward auth |
//! | [`leaks`] | receivers of leak reports |
//! | `guard`, `callers` | rate limits and cached refusals, which protect the authority |
//! | [`audit_stream`] | the audit log as a stream |
//! | `usage_query`, `events_query` | questions to the usage object and to the events object, and their answers |
//! | [`console`] | the console's files |
//! | [`open_api`] | the OpenAPI document and the table of roles, generated from the rows |
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

pub mod access;
pub mod access_verifier;
pub mod audit_stream;
pub mod authority;
pub mod authorize;
mod body;
mod callers;
pub mod certs;
pub mod changed;
mod checkpoint;
mod claimant;
pub mod console;
pub mod credential;
pub mod delivery;
mod endpoint_body;
mod events_query;
mod exposition;
pub mod failure;
mod guard;
mod health;
pub mod incident;
pub mod incident_view;
pub mod inspect;
mod jwks;
pub mod leaks;
mod limits;
mod metadata;
mod metrics;
pub mod oauth;
pub mod open_api;
pub mod operation;
pub mod operations;
pub mod platform;
mod precondition;
mod problem_page;
mod query;
mod rate_limiter;
mod rejection;
mod retry;
mod revocation_limiter;
pub mod route;
pub mod serve;
mod sight;
pub mod sign_in;
mod text;
mod text_table;
mod time_range;
pub mod transport;
mod usage_query;

pub use authority::answer;
pub use callers::Callers;
pub use health::health;
pub use leaks::LeakState;
pub use operations::Operation;
pub use platform::{AccessFailure, BODY_TIMEOUT_MS, BodyError, ControlPlatform};
pub use revocation_limiter::RevocationLimiter;
pub use serve::{ControlContext, ControlReply, serve};
pub use text::TextParser;
