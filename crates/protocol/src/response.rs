//! What the registry answers, in the same internal form as [`super::command`].

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::audit::Entry;
use crate::feed::{FeedPage, Position};
use keyward_key::id::{Environment, KeyId};
use keyward_key::keyring::Generation;
use keyward_key::record::Record;
use keyward_key::scope::Scope;
use keyward_key::time::Millis;

/// The state of a key or member at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Works.
    Active,
    /// Works until its overlap ends; a successor exists.
    Retiring,
    /// Past its expiry.
    Expired,
    /// Revoked, for good.
    Revoked,
}

impl Status {
    /// The word in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// Reads [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Retiring, Self::Expired, Self::Revoked].into_iter().find(|status| status.as_str() == text)
    }
}

/// JSON as it was written: passed on, and not read.
pub type Raw = Box<RawValue>;

/// An operation's answer as the edge takes it. It only passes views and entries on, so it does not read them either: the code
/// that would read and write each field again was 6 KB of the wasm, gzipped.
pub type RawOutcome = Outcome<Raw, Raw, Raw>;

/// The registry's answer to a [`crate::Request`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response<D = Outcome> {
    /// To [`crate::Request::Lookup`].
    Record {
        /// The record, or certainly none.
        record: Option<Box<Record>>,
        /// Where the authority was then.
        at: Position,
    },
    /// To [`crate::Request::Changes`].
    Changes {
        /// What has changed.
        changes: FeedPage,
        /// That the one who asked knew changes which are gone: the authority was restored, and a new epoch has begun.
        restored: bool,
    },
    /// The operation was done, or had been.
    Done(D),
    /// The operation was refused; nothing changed.
    Refused(Rejection),
}

/// What an operation gives. Views are JSON objects in the form of the public answers: `K` of a key, `M` of a member; `E` is an
/// entry of the log.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome<K = KeyView, M = MemberView, E = Entry> {
    /// A new member (bootstrap).
    MemberCreated(M),
    /// The caller.
    Me(M),
    /// The caller may do it.
    Authorised,
    /// A new key.
    KeyIssued(Box<K>),
    /// A page of keys.
    Keys {
        /// The keys of this page.
        items: Vec<K>,
        /// Where the next page begins; `None` at the end.
        next_cursor: Option<String>,
    },
    /// One key.
    Key(Box<K>),
    /// A key that is revoked, and since when.
    KeyRevoked {
        /// The key.
        key: Box<K>,
        /// When it was revoked: the bound counts from here.
        changed_at: Millis,
    },
    /// A key after its change.
    KeyUpdated {
        /// The key.
        key: Box<K>,
        /// When it was changed: the bound counts from here.
        changed_at: Millis,
    },
    /// A successor, and the key it succeeds.
    KeyRotated {
        /// The successor.
        key: Box<K>,
        /// The old key, retiring.
        retiring: Box<K>,
        /// When: the bound counts from here.
        changed_at: Millis,
    },
    /// A member's new credential (rotation).
    MemberRotated(M),
    /// A page of members.
    Members {
        /// The members of this page.
        items: Vec<M>,
        /// Where the next page begins; `None` at the end.
        next_cursor: Option<String>,
    },
    /// One member: shown, changed or revoked.
    Member(M),
    /// A page of the audit log, in order.
    Audit {
        /// Entries as `registry::audit::Entry` writes them.
        entries: Vec<E>,
        /// Whether more follow.
        more: bool,
    },
    /// The log's head.
    AuditHead {
        /// How many entries there are.
        size: u64,
        /// The last entry's hash, 64 zeros when there is none.
        hash: String,
    },
    /// What is known of a key that somebody presented elsewhere.
    Inspected {
        /// The authority's clock: what is decided by it and what is shown are of one instant.
        at: Millis,
        /// `None` when there certainly is no such key, or none that the caller may see.
        found: Option<Box<Inspected<K>>>,
    },
    /// A write that was done before under the same `Idempotency-Key`: its answer, and what its credential was derived from.
    Replayed {
        /// The first attempt's answer, as it was written then.
        done: Raw,
        /// The first attempt's nonce, hex.
        nonce: String,
        /// The secret its credential was derived and minted under.
        minted_under: Generation,
    },
}

/// A key, as the gate decides by it and as answers show it.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "next-version", serde(tag = "trial"))]
pub struct Inspected<K = KeyView> {
    /// For the decision.
    pub record: Record,
    /// When it was issued.
    pub created_at: Millis,
    /// For the answer.
    pub key: K,
}

/// Why an operation was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// No such member, wrong secret, expired or revoked: 401, all alike. The reason is for the log.
    Unauthenticated {
        /// For the log only.
        reason: String,
    },
    /// The role may not, or not in that environment: 403.
    Forbidden,
    /// No such thing, or one the caller may not see: 404, alike.
    NotFound,
    /// There is an owner already: 409.
    AlreadyBootstrapped,
    /// The integration has an active key in that environment: 409.
    IntegrationHasKey {
        /// The key to rotate.
        id: KeyId,
    },
    /// An active key of that environment has that name: 409.
    NameTaken {
        /// The key that has it.
        id: KeyId,
    },
    /// A field is wrong in a way that only the registry can tell: 400.
    Invalid {
        /// The field's name.
        field: String,
        /// What is wrong and what would be right.
        detail: String,
    },
    /// A scope that no route uses: 400 `unknown_scope`.
    UnknownScope {
        /// Where it stands, like `scopes[0]`.
        field: String,
        /// Which scope is not known, and which there are.
        detail: String,
    },
    /// The minted id exists already: mint another and ask again.
    IdTaken,
    /// The key is revoked, expired or (for a rotation) retiring: 409.
    NotActive {
        /// Its state.
        status: Status,
    },
    /// It would leave no owner: 409.
    LastOwner,
    /// Another member who is not revoked has this e-mail address: 409.
    EmailTaken,
    /// The same `Idempotency-Key` came with another body: 422.
    IdempotencyMismatch,
}

/// A key as every answer shows it. Field order is the contract's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyView {
    /// Key id.
    pub id: KeyId,
    /// Name.
    pub name: String,
    /// Integration slug.
    pub integration: String,
    /// Environment.
    pub environment: Environment,
    /// Purpose.
    pub purpose: String,
    /// Owner.
    pub owner: String,
    /// Scopes.
    pub scopes: Vec<Scope>,
    /// Networks it may come from.
    pub allowed_cidrs: Vec<IpNet>,
    /// State at the time of the answer.
    pub status: Status,
    /// RFC 3339.
    pub created_at: String,
    /// Member id.
    pub created_by: String,
    /// RFC 3339.
    pub expires_at: String,
    /// The key it succeeded.
    pub rotated_from: Option<KeyId>,
    /// The key that succeeded it.
    pub successor: Option<KeyId>,
    /// RFC 3339.
    pub revoked_at: Option<String>,
    /// Member id, or `holder`.
    pub revoked_by: Option<String>,
    /// Why.
    pub revoke_reason: Option<String>,
    /// RFC 3339; not recorded yet.
    pub last_used_at: Option<String>,
    /// The authority's number for its last change.
    pub revision: u64,
}

/// A member as every answer shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MemberView {
    /// Member id.
    pub id: KeyId,
    /// Name.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// Role.
    pub role: String,
    /// The environments they are limited to; `None` is no limit.
    pub environments: Option<Vec<Environment>>,
    /// State at the time of the answer.
    pub status: Status,
    /// RFC 3339.
    pub created_at: String,
    /// Member id, or `bootstrap`.
    pub created_by: String,
    /// RFC 3339.
    pub expires_at: String,
    /// RFC 3339.
    pub revoked_at: Option<String>,
    /// The authority's number for their last change.
    pub revision: u64,
}
