//! The authority over keys and members.
//!
//! It decides every change in one synchronous step: read, decide, write the row, its audit entry, its outbox row and the
//! new revision in one transaction, so that all of it happened or none. It does no I/O of its own: it speaks SQL to a
//! [`store::Store`], and time and random text come in as parameters.
//!
//! | file | what it holds |
//! |---|---|
//! | [`command`] | what can be asked, and what is answered |
//! | [`apply`] | the one way in: authenticate, authorise, run, all or nothing |
//! | [`roles`] | the table of who may do what |
//! | [`members`], [`keys`] | the stored rows and their views |
//! | `issue`, `revoke`, [`list`] | the operations on keys |
//! | [`audit`] | the log and its chain of hashes |
//! | [`outbox`] | which copies in KV are behind |
//! | [`schema`], [`meta`] | the tables, and the authority's counter |
//! | [`store`] | the port to SQLite |
#![forbid(unsafe_code)]

pub mod apply;
pub mod audit;
pub mod command;
mod issue;
pub mod keys;
pub mod list;
pub mod members;
pub mod meta;
pub mod outbox;
mod revoke;
pub mod roles;
pub mod schema;
pub mod store;
