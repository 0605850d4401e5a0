//! What a key is. No I/O, no clock, no random source of its own.
//!
//! ```text
//! wafl_live_8Fh2kQ0sZp1L_<46 base62 characters>
//! └── key id: public ──┘ └ secret 32 · tag 8 · check 6 ┘
//! ```
//!
//! [`format::Presented`] is the text form, parsed. [`house::Keyring`] derives every key of the house from
//! `KEYWARD_SECRET` and recognises what it minted. [`mint::ApiKey`] is a new key's text, shown once.
//! [`reissue::Reissue`] makes the same key text again for a retried write. [`signing::SigningKey`] signs the audit
//! log's head, as a [`note`], and what origins are told ([`assertion::AssertionKey`]).
//! [`record::Record`] is what the gate must know of a key; [`sealed`] is its form in KV. [`feed`] is what has changed of keys.
#![forbid(unsafe_code)]

pub mod assertion;
pub mod base62;
pub mod entropy;
pub mod feed;
pub mod format;
pub mod hash;
pub mod house;
pub mod id;
pub mod mint;
pub mod note;
pub mod record;
pub mod reissue;
pub mod scope;
pub mod sealed;
pub mod signing;
