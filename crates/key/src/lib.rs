//! What a key is. No I/O, no clock, no random source of its own.
//!
//! ```text
//! wafl_live_8Fh2kQ0sZp1L_<46 base62 characters>
//! └── key id: public ──┘ └ secret 32 · tag 8 · check 6 ┘
//! ```
//!
//! [`format::Presented`] is the text form, parsed. [`keyring::Keyring`] derives every key from
//! `KEYWARD_SECRET` and recognises what it minted. [`mint::ApiKey`] is a new key's text, shown once.
//! [`deterministic_entropy::DeterministicEntropy`] makes the same key text again for a retried write. [`signing::SigningKey`] signs the audit
//! log's head, as a [`note`], and what origins are told ([`assertion::AssertionKey`]).
//! [`record::Record`] is what the gate needs to know of a key; [`sealed`] is its form in KV. [`epoch::Epoch`] names one history of the authority;
//! [`version`] lets two versions of the worker read each other's forms.
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
pub mod deterministic_entropy;
pub mod entropy;
pub mod epoch;
pub mod format;
pub mod hash;
pub mod id;
pub mod keyring;
pub mod mint;
pub mod note;
pub mod record;

pub mod scope;
pub mod sealed;
pub mod signing;
pub mod time;
pub mod version;
