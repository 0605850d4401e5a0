//! The platform: the only room that names `worker`, `wasm_bindgen` and `js_sys`, and the only one with I/O and a clock.
//!
//! | file | what it does |
//! |---|---|
//! | `events` | takes a request, asks the gate, sends what it says |
//! | `control` | the control plane's requests |
//! | `authorize` | forward auth: another gateway's questions |
//! | `access` | the signatures of Cloudflare Access |
//! | `audit_stream` | the audit log, to its end |
//! | `outside` | stores, clock and log, as [`crate::edge`] needs them |
//! | `send` | a response of our own, or a granted request to its origin |
//! | `object`, `sql` | the registry's Durable Object and its store |
//! | `edge`, `entropy`, `clock`, `log` | what an isolate keeps, and the system it stands on |
//! | `glue`, `entry` | the JavaScript beneath: what Rust calls, and what the runtime calls |

mod access;
mod audit_stream;
mod authorize;
mod clock;
mod control;
mod edge;
mod entropy;
mod events;
mod glue;
mod handed;
mod log;
mod object;
mod outside;
mod send;
mod sql;
