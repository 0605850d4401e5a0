//! Keyward, an API-key gate at the edge: the worker.
//!
//! Adapters between the ports of the crates below and Cloudflare: events, objects, storage, glue. They contain no product logic.
//!
//! ```text
//! key ← http ← config ← gate ← edge ← control ← keyward
//!  └─── protocol ────────┘      │        │
//!          └──── registry, usage, events ───┘
//! ```
#![deny(missing_docs, unsafe_code, clippy::disallowed_methods)]
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
#![cfg(target_arch = "wasm32")]

mod access;
mod clock;
mod connections;
mod control;
mod entropy;
mod events;
mod events_object;
mod glue;
mod isolate_state;
mod limits;
mod log;
mod object;
mod platform;
mod reports;
mod send;
mod sql;
mod usage;
mod usage_object;
