//! The key: format, id, hash, keyring and stored record. No I/O, no clock, no random source of its own.
//!
//! ```text
//! wafl_live_8Fh2kQ0sZp1L_<46 base62 characters>
//! └── key id: public ──┘ └ secret 32 · tag 8 · check 6 ┘
//! ```
//!
//! | type or module | purpose |
//! |---|---|
//! | [`format::Presented`] | a presented key, parsed |
//! | [`keyring::Keyring`] | derives the server's keys from `KEYWARD_SECRET` and recognises minted keys |
//! | [`mint::ApiKey`] | text of a new key, shown once |
//! | [`deterministic_entropy::DeterministicEntropy`] | derives the same key text again for a retried write |
//! | [`signing::SigningKey`] | signs checkpoints of the audit log ([`note`]) and assertions ([`assertion::AssertionKey`]) |
//! | [`record::Record`] | the data of a key that the gate decides by; [`sealed`] is its form in KV |
//! | [`epoch::Epoch`] | name of one history of the authority |
//! | [`exposure::ExposureKind`] | how a key became visible to others |
//! | [`version`] | lets two versions of the worker read each other's forms |
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

pub mod assertion;
pub mod base62;
pub mod claim;
pub mod deterministic_entropy;
pub mod entropy;
pub mod epoch;
pub mod exposure;
pub mod format;
pub mod hash;
pub mod id;
pub mod keyring;
pub mod limit;
pub mod mint;
pub mod note;
pub mod record;
pub mod scope;
pub mod sealed;
pub mod session;
pub mod signing;
pub mod time;
pub mod version;
pub mod webhook;
