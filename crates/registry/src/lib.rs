//! The authority over keys and members.
//!
//! It decides every change in one synchronous step: read, decide, write the row, its audit entry, its outbox row and the
//! new revision in one transaction, so that all of it happened or none. It does no I/O of its own: it speaks SQL to a
//! [`store::Store`], and time and random text come in as parameters.
//!
//! | file | what it holds |
//! |---|---|
//! | [`command`], [`operation`], [`answer`] | what can be asked, and what is answered |
//! | [`apply`] | the one way in: authenticate, authorise, run, all or nothing |
//! | [`roles`], `limits` | the tables of who may do what, and where |
//! | [`members`], [`keys`] | the stored rows and their views |
//! | `issue`, `update`, `rotate`, `revoke`, [`list`] | the operations on keys |
//! | `inspect`, [`revoke_by_holder`] | what others ask about a key; its holder shuts it off |
//! | `member_create`, `member_update`, `member_rotate`, `member_revoke`, `member_list` | the operations on members |
//! | [`page`] | what every list has in common |
//! | [`idempotency`] | writes that may be retried |
//! | [`audit`] | the log and its chain of hashes |
//! | [`feed`] | what has changed, for the edges |
//! | [`outbox`] | which copies in KV are behind |
//! | [`object`] | the life of the Durable Object: start, calls, alarm, copies to KV |
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

pub mod apply;
pub mod audit;
pub mod feed;
pub mod idempotency;
mod inspect;
mod issue;
pub mod keys;
pub mod list;
mod member_create;
mod member_list;
mod member_revoke;
mod member_rotate;
mod member_update;
pub mod members;
pub mod meta;
pub mod object;
pub mod outbox;
pub mod page;
mod revoke;
pub mod revoke_by_holder;
mod rotate;
pub mod schema;
pub mod store;
mod update;
mod visibility;
