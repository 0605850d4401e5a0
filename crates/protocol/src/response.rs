//! Answers of the registry, in the same internal form as [`crate::Request`], and the public views of keys and members.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::feed::{FeedPage, Position};
use keyward_key::id::{Environment, KeyId};
use keyward_key::keyring::Generation;
use keyward_key::record::Record;
use keyward_key::scope::Scope;

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
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Active, Self::Retiring, Self::Expired, Self::Revoked];

    /// Returns the name in answers and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// Parses the output of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// JSON text that is passed on unread. Views of keys and members travel this way, so that an isolate also shows the fields
/// that only a newer registry knows.
pub type Raw = Box<RawValue>;

/// The registry's answer to a [`crate::Request`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// Answer to [`crate::Request::Lookup`].
    Record {
        /// The record; `None` says that there certainly is none.
        record: Option<Box<Record>>,
        /// Position of the authority at that moment.
        at: Position,
    },
    /// Answer to [`crate::Request::Changes`].
    Changes {
        /// A page of the feed.
        changes: FeedPage,
        /// Whether the isolate knew changes that are gone: the authority was restored, and a new epoch has begun.
        restored: bool,
    },
    /// The caller may do the operation; nothing else was asked.
    Authorised,
    /// The operation was done. Its outcome has the operation's own form.
    Done(Raw),
    /// The operation was done before, under the same `Idempotency-Key`.
    Replayed {
        /// Outcome of the first attempt, as it was written then.
        outcome: Raw,
        /// Nonce of the first attempt, in hex.
        nonce: String,
        /// Generation of the secret that its credential was derived and minted under.
        minted_under: Generation,
    },
    /// The operation was refused; nothing changed.
    Refused(Rejection),
}

/// Why an operation was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// Unknown member, wrong secret, expired or revoked: the same 401 for all.
    Unauthenticated {
        /// For the log only.
        reason: String,
    },
    /// The role must not do this, or not in that environment: 403.
    Forbidden,
    /// Absent, or out of the caller's sight: 404 for both.
    NotFound,
    /// An owner exists already: 409.
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
        /// The problem, then the fix.
        detail: String,
    },
    /// A scope that no route uses: 400 `unknown_scope`.
    UnknownScope {
        /// The field, like `scopes[0]`.
        field: String,
        /// The unknown scope, and the known ones.
        detail: String,
    },
    /// The minted id exists already: the edge mints another and asks again.
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
    /// The key or member has another version than `If-Match` names: 412.
    PreconditionFailed,
}

/// The attributes of a key that a member chooses. Every form of a key contains this struct; the registry has one list of
/// their columns (`registry::attributes`). The order of the fields is that of every answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyAttributes {
    /// Name, unique among the active keys of an environment.
    pub name: String,
    /// Slug of the integration. It has one active key in an environment.
    pub integration: String,
    /// Environment whose origins the key opens.
    pub environment: Environment,
    /// What the key is for.
    pub purpose: String,
    /// Who answers for the key.
    pub owner: String,
    /// Scopes, at least one.
    pub scopes: Vec<Scope>,
    /// Networks that the key may come from; empty means any.
    pub allowed_cidrs: Vec<IpNet>,
}

/// A key as every answer shows it. The order of the fields is that of the answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyView {
    /// Key id.
    pub id: KeyId,
    /// What a member chose.
    #[serde(flatten)]
    pub attributes: KeyAttributes,
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
    /// The reason given.
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
