//! The integration tests of `keyward-registry`: one program.

mod access;
mod atomic;
mod audit;
mod due;
mod exposures;
mod feed;
mod histories;
mod idempotency;
mod issue;
mod leaks;
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
mod sorted_list;
mod stored_form;
mod submitted_key;
mod update;
