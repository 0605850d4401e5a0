//! Keyward, an API-key gate at the edge.
//!
//! It issues keys to named integrations, verifies every request before it reaches the origin, and shuts a key off
//! everywhere within a stated bound. The rooms, and which may know which:
//!
//! ```text
//! time, json ← key ← http ← config ← gate, registry ← admin, edge ← cloudflare
//! ```
//!
//! | room | what it holds |
//! |---|---|
//! | [`time`] | instants as milliseconds, and their RFC 3339 form |
//! | [`json`] | reading the JSON of stored forms and internal messages |
//! | [`key`] | what a key is: format, id, hash, record, scope |
//! | [`http`] | HTTP as plain data: head, path, route, credential, headers, problem |
//! | [`config`] | vars and secrets, checked all at once |
//! | [`gate`] | the decision about a request, and the plan of forwarding it |
//! | [`registry`] | the authority: commands, their transaction, members, audit, outbox |
//! | [`admin`] | the control plane: JSON in, command, JSON out; one file per operation |
//! | `cloudflare` | the only room that names the platform: events, bindings, storage, glue |
//!
//! Every room but the last is free of I/O, clock and random source: these come in as parameters.
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

pub mod admin;
pub mod config;
pub mod edge;
pub mod gate;
pub mod http;
pub mod json;
pub mod key;
pub mod registry;
pub mod time;

#[cfg(target_arch = "wasm32")]
mod cloudflare;
