//! Responses of the registry, internal messages like [`crate::Request`], and the public views of keys and members.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::feed::{FeedPage, Position};
use crate::usage::UsedFrom;
use keyward_key::id::{Environment, KeyId};
use keyward_key::keyring::Generation;
use keyward_key::limit::Limit;
use keyward_key::record::Record;
use keyward_key::scope::Scope;
use keyward_key::version::{self, ReadError};

/// The state of a key or member at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Valid.
    Active,
    /// Valid until its overlap ends. A successor exists.
    Retiring,
    /// Refused after an exposure, until a member releases it.
    Quarantined,
    /// Past its expiry.
    Expired,
    /// Revoked. Final.
    Revoked,
    /// Waits for its claim. It has no secret yet, so no request passes with it.
    Pending,
}

impl Status {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Active, Self::Retiring, Self::Quarantined, Self::Expired, Self::Revoked, Self::Pending];

    /// Returns the name in answers and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Quarantined => "quarantined",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Pending => "pending",
        }
    }

    /// Parses the output of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// JSON text that is forwarded unparsed. Isolates forward views of keys and members, so they also show fields that only a newer
/// registry knows.
pub type Raw = Box<RawValue>;

/// A key that was looked up.
#[derive(Debug, Serialize, Deserialize)]
pub struct LookedUp {
    /// The key's id.
    pub id: KeyId,
    /// JSON text of its record. `None`: the authority has no such key. It is a text so that one record for a newer reader
    /// does not make the others of the same answer unreadable.
    record: Option<String>,
}

impl LookedUp {
    /// Writes the answer about one key. `None` only if the record cannot be written as JSON, which it always can.
    #[must_use]
    pub fn new(id: KeyId, record: Option<&Record>) -> Option<Self> {
        let record = match record {
            Some(record) => Some(serde_json::to_string(record).ok()?),
            None => None,
        };
        Some(Self { id, record })
    }

    /// Says that the authority has the key but cannot read its row, which does not concern the other keys of the answer.
    #[must_use]
    pub const fn unreadable(id: KeyId) -> Self {
        Self { id, record: Some(String::new()) }
    }

    /// Reads the record; `None` if the authority has no such key.
    ///
    /// # Errors
    /// [`ReadError`]: it is for a newer reader, malformed, or of another key. Nothing is known of the key then.
    pub fn record(&self) -> Result<Option<Record>, ReadError> {
        let Some(text) = &self.record else { return Ok(None) };
        let record: Record = version::read(text)?;
        if record.id == self.id {
            Ok(Some(record))
        } else {
            Err(ReadError::Malformed(serde::de::Error::custom("the record is of another key")))
        }
    }

    /// Bytes of the record's text.
    #[must_use]
    pub fn record_bytes(&self) -> usize {
        self.record.as_ref().map_or(0, String::len)
    }
}

/// The registry's answer to a [`crate::Request`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// Answer to [`crate::Request::Lookup`].
    Records {
        /// Keys with their records, in the order of the query. Keys are left out if the answer would become too large; at least
        /// one is answered.
        records: Vec<LookedUp>,
        /// Position of the authority at that moment.
        at: Position,
    },
    /// Answer to [`crate::Request::Changes`].
    Changes {
        /// A page of the feed.
        changes: FeedPage,
        /// Whether the isolate knew changes that no longer exist: the authority was restored from a backup and began a new epoch.
        restored: bool,
    },
    /// Answer to [`crate::Request::Expose`], [`crate::Request::Leak`], [`crate::Request::Limited`] and [`crate::Request::KeepReport`], whether
    /// or not the report changed anything.
    Reported,
    /// The caller may do the operation. Answer to a request without a command.
    Authorised,
    /// The operation was done. Its outcome has the operation's own form.
    Done(Raw),
    /// The operation was done before, under the same `Idempotency-Key`.
    Replayed {
        /// Outcome of the first attempt, as it was stored then.
        outcome: Raw,
        /// Nonce of the first attempt, in hex.
        nonce: String,
        /// Generation of the secret that its credential was derived and minted under.
        minted_under: Generation,
    },
    /// The operation was refused; nothing changed.
    Refused(Rejection),
    /// It is stored. Answer to [`crate::Request::UsageTimes`] and [`crate::Request::UsageMissing`].
    UsageNoted,
    /// It is stored. Answer to [`crate::Request::EndpointReport`] and [`crate::Request::EndpointTested`].
    EndpointsNoted,
}

/// Why an operation was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// The member is unknown, expired or revoked, or the secret is wrong: the same 401 for each.
    Unauthenticated {
        /// For the log only.
        reason: String,
        /// Whether this credential is refused for good: revoked, expired or replaced. An isolate then refuses it without another
        /// query. A registry of an older version does not say, so its refusals are not final.
        #[serde(default)]
        is_final: bool,
    },
    /// The caller's role does not allow the operation, or not in that environment: 403.
    Forbidden,
    /// The object does not exist, or is in an environment that the caller may not see: 404 for both.
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
        /// The key with that name.
        id: KeyId,
    },
    /// A field is invalid for a reason that only the registry knows: 400.
    Invalid {
        /// The field's name.
        field: String,
        /// The problem, then the fix.
        detail: String,
    },
    /// No route uses the scope: 400 `unknown_scope`.
    UnknownScope {
        /// The field, like `scopes[0]`.
        field: String,
        /// The unknown scope, and the known ones.
        detail: String,
    },
    /// The minted id exists already. The isolate mints another and retries.
    IdTaken,
    /// The key is revoked, expired or (for a rotation) retiring: 409.
    NotActive {
        /// Its state.
        status: Status,
    },
    /// The key is not quarantined, or the time to release it is over: 409.
    NotQuarantined,
    /// The change would leave no active owner: 409.
    LastOwner,
    /// Another member who is not revoked has this e-mail address: 409.
    EmailTaken,
    /// The same `Idempotency-Key` came with another body: 422.
    IdempotencyMismatch,
    /// The key or member has another version than `If-Match` names: 412.
    PreconditionFailed,
    /// The operation needs the member's credential again, beside the session: 403.
    ConfirmationRequired,
    /// The claim was used: 409.
    AlreadyClaimed,
    /// A named key does not exist, or is in an environment that the caller may not see: 404 that names it.
    KeyNotFound {
        /// The id, as it was sent.
        id: KeyId,
    },
    /// The incident has more keys than may be revoked without a confirmation of their number: 409.
    CountNotConfirmed {
        /// Number of keys that would be revoked.
        keys: usize,
    },
    /// The incident was not reviewed yet: 409.
    NotReviewed,
    /// The key has a successor that waits for its claim: 409.
    SuccessorPending {
        /// The successor.
        id: KeyId,
    },
    /// No test of the endpoint has succeeded: 409.
    EndpointNotTested,
}

/// The attributes of a key that a member chooses. Every form of a key contains this struct, and the registry has one list of
/// their columns (`registry::attributes`). Responses show the fields in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyAttributes {
    /// Name, unique among the active keys of an environment.
    pub name: String,
    /// Slug of the integration, which has at most one active key in each environment.
    pub integration: String,
    /// Environment whose origin the key may reach.
    pub environment: Environment,
    /// What the key is for.
    pub purpose: String,
    /// Person or team responsible for the key.
    pub owner: String,
    /// Scopes, at least one.
    pub scopes: Vec<Scope>,
    /// Networks that the key may be used from; empty means any.
    pub allowed_cidrs: Vec<IpNet>,
    /// Limits. In a message and a row `None` means `DEFAULT_LIMITS`; a view shows the limits that apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Vec<Limit>>,
}

/// A key as every response shows it, with its fields in this order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyView {
    /// Key id.
    pub id: KeyId,
    /// The attributes that a member chose.
    #[serde(flatten)]
    pub attributes: KeyAttributes,
    /// State at the time of the response.
    pub status: Status,
    /// Time of issue, RFC 3339.
    pub created_at: String,
    /// Member id.
    pub created_by: String,
    /// Time of expiry, RFC 3339.
    pub expires_at: String,
    /// The key that this one replaces.
    pub rotated_from: Option<KeyId>,
    /// The key that replaces this one.
    pub successor: Option<KeyId>,
    /// Time of revocation, RFC 3339.
    pub revoked_at: Option<String>,
    /// Member id, `holder` or `keyward`.
    pub revoked_by: Option<String>,
    /// The reason given.
    pub revoke_reason: Option<String>,
    /// Time of the first use, RFC 3339. `None` also for a key that a registry of an older version showed.
    #[serde(default)]
    pub first_used_at: Option<String>,
    /// Time of the last use, RFC 3339.
    pub last_used_at: Option<String>,
    /// Where the last use came from.
    #[serde(default)]
    pub last_used_from: Option<UsedFrom>,
    /// Time of the first exposure since the issue or the last dismissal, RFC 3339.
    #[serde(default)]
    pub exposed_at: Option<String>,
    /// Number of the key's last change.
    pub revision: u64,
}

/// A member as every response shows it.
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
    /// Environments that the member is limited to; `None` means no limit.
    pub environments: Option<Vec<Environment>>,
    /// State at the time of the response.
    pub status: Status,
    /// Time of creation, RFC 3339.
    pub created_at: String,
    /// Member id, or `bootstrap`.
    pub created_by: String,
    /// Time of expiry, RFC 3339.
    pub expires_at: String,
    /// Time of revocation, RFC 3339.
    pub revoked_at: Option<String>,
    /// Number of the member's last change.
    pub revision: u64,
}
