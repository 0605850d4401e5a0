//! The integration tests of `keyward-registry`: one program.

mod access;
mod atomic;
mod audit;
mod claims;
mod due;
mod exposures;
mod feed;
mod histories;
mod idempotency;
mod issue;
mod limits;
mod list;
mod lookup;
mod members;
mod messages;
mod object;
mod outbox;
mod quarantine;
mod revoke;
mod roles;
mod rotate;
mod sessions;
mod sorted_list;
mod stored_form;
mod submitted_key;
mod update;
