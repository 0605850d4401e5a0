//! How an isolate finds out what its gate needs: in which order which store is asked, who waits for whom, and what is kept.
//!
//! It does I/O, but only through [`Outside`]: in workerd that is the platform, in the simulator a world in which every store fails.
//!
//! | file | what it holds |
//! |---|---|
//! | [`outside`] | the port to stores, clock and log |
//! | [`isolate`] | what one isolate keeps, and who is asking |
//! | `decide` | ask the gate, find out what it needs, ask again |
//! | `changes` | what the authority has changed: the data centre's cache, then the authority, then the cache's last word |
//! | `record` | a key's record: KV, then the authority |
//! | [`registry`] | asking the authority, with one retry for what only reads |
//! | [`signing`] | assertions and notes, signed by the platform |
#![forbid(unsafe_code)]

mod changes;
pub mod decide;
pub mod isolate;
pub mod outside;
mod record;
pub mod registry;
pub mod signing;

pub use decide::{decide, finish, refresh, step};
pub use isolate::Isolate;
pub use outside::{Level, Outside};
