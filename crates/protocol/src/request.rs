//! What can be asked of the registry; [`super::answer`] is what it answers. These are internal messages: the JSON forms are
//! described in docs/STORAGE.md and are read only by this worker's own code.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::feed::FeedQuery;
use crate::role::Role;
use keyward_key::hash::KeyHash;
use keyward_key::id::{Environment, KeyId};
use keyward_key::keyring::Generation;
use keyward_key::scope::Scope;
use keyward_key::time::Millis;

use crate::operation::Operation;
use crate::response::Status;

/// One call of the object.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// The gate asks for a key's record.
    Lookup {
        /// Which key.
        id: KeyId,
    },
    /// The gate asks what has changed.
    Changes(FeedQuery),
    /// A member, or the holder of the bootstrap token, asks for an operation.
    Control(Box<ControlRequest>),
}

/// An operation of the control plane.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "next-version", serde(tag = "trial"))]
pub struct ControlRequest {
    /// Who asks.
    pub caller: Caller,
    /// For the audit log.
    pub origin: RequestMeta,
    /// What is asked.
    pub command: Command,
    /// For issue, rotate, and member creation and rotation, when the caller sent an `Idempotency-Key`.
    pub idempotency: Option<Idempotency>,
}

/// Who asks, as the edge recognised it. The registry decides whether that is a member, and what they may do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    /// The edge compared the bootstrap token.
    Bootstrap,
    /// A well-formed member's credential with the right tag.
    Credential {
        /// The member's id.
        id: KeyId,
        /// Hash of the credential presented.
        key_hash: KeyHash,
    },
    /// A person whom Cloudflare Access signed in; the edge verified its JWT.
    Access {
        /// The e-mail address it vouches for. A member's is compared without regard to ASCII case; exactly one active
        /// member must have it.
        email: String,
    },
    /// Whoever presents a well-formed data key with the right tag: no member. They may shut that key off, and nothing else.
    Holder {
        /// The key's id.
        id: KeyId,
        /// Hash of the key presented.
        key_hash: KeyHash,
    },
}

/// A write that may be retried (`Idempotency-Key`). The edge derives the new credential from `nonce` and its own secret, so a
/// retry gets the same text although nobody stored it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// Digest of route, id in the path and the header's value, hex: what the registry remembers the member's write by.
    pub fingerprint: String,
    /// Digest of the body, hex.
    pub body: String,
    /// What this attempt's credential was derived from, hex. The first attempt's is kept.
    pub nonce: String,
}

/// Where a request came from, for the audit log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "next-version", serde(tag = "trial"))]
pub struct RequestMeta {
    /// The `Keyward-Request-Id` of the request.
    pub request_id: String,
    /// The client's address as the edge saw it, if it did.
    pub client_address: Option<String>,
}

/// A key or credential that the edge has just minted: its text stays at the edge, the registry gets only this.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewCredential {
    /// Its public name.
    pub id: KeyId,
    /// The hash to keep.
    pub key_hash: KeyHash,
    /// The secret it was minted under.
    pub minted_under: Generation,
}

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Make the first owner.
    Bootstrap {
        /// Their name.
        name: String,
        /// Their e-mail address.
        email: String,
        /// Their credential.
        credential: NewCredential,
    },
    /// Who am I?
    Me,
    /// Only check that the caller may do an operation whose body the edge found wrong, so that
    /// a stranger learns 401 or 403 and not what is wrong with the body.
    Authorise {
        /// The operation that was asked for.
        operation: Operation,
    },
    /// Issue a key.
    IssueKey {
        /// What it shall be.
        draft: Box<KeyDraft>,
        /// What the edge minted for it.
        credential: NewCredential,
    },
    /// List keys, newest first.
    ListKeys {
        /// Which ones.
        filter: KeyFilter,
        /// 1 to 200.
        limit: u32,
        /// `next_cursor` of the page before.
        cursor: Option<String>,
    },
    /// Show one key.
    ShowKey {
        /// Which one.
        id: KeyId,
    },
    /// Revoke one key, for good.
    RevokeKey {
        /// Which one.
        id: KeyId,
        /// Why.
        reason: String,
    },
    /// Change what is given of a key; `None` leaves a field as it is.
    UpdateKey {
        /// Which one.
        id: KeyId,
        /// What changes.
        changes: Box<KeyChanges>,
    },
    /// Make a key's successor.
    RotateKey {
        /// Which one.
        id: KeyId,
        /// How long the old key goes on, 0 to 2,592,000.
        overlap_seconds: u32,
        /// What the edge minted for the successor.
        credential: NewCredential,
    },
    /// Make a member.
    CreateMember {
        /// Who they shall be.
        draft: Box<MemberDraft>,
        /// Their credential.
        credential: NewCredential,
    },
    /// List members, newest first.
    ListMembers {
        /// 1 to 200.
        limit: u32,
        /// `next_cursor` of the page before.
        cursor: Option<String>,
    },
    /// Show one member.
    ShowMember {
        /// Which one.
        id: KeyId,
    },
    /// Change what is given of a member; `None` leaves a field as it is.
    UpdateMember {
        /// Which one.
        id: KeyId,
        /// What changes.
        changes: Box<MemberChanges>,
    },
    /// Revoke a member, for good.
    RevokeMember {
        /// Which one.
        id: KeyId,
    },
    /// Replace a member's credential: same id, new secret, old one dead at once. Its life starts anew, as long as before.
    RotateMember {
        /// Which one.
        id: KeyId,
        /// The new credential; its id is the member's.
        credential: NewCredential,
    },
    /// A page of the audit log.
    ReadAudit {
        /// Entries after this number.
        after: u64,
        /// 1 to 200 (1,000 for a stream).
        limit: u32,
    },
    /// The log's head, for the edge to sign.
    AuditHead,
    /// What is to be known of a key that somebody presented elsewhere, to tell whether its token is active (RFC 7662).
    Introspect(KeyId),
    /// The same, to tell whether it may do a thing.
    Verify(KeyId),
    /// The holder of a key shuts it off (RFC 7009): the key is the caller's.
    RevokeByHolder,
}

/// What changes of a key.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct KeyChanges {
    /// New name.
    pub name: Option<String>,
    /// New purpose.
    pub purpose: Option<String>,
    /// New owner.
    pub owner: Option<String>,
    /// All scopes from now on.
    pub scopes: Option<Vec<Scope>>,
    /// All networks from now on.
    pub allowed_cidrs: Option<Vec<IpNet>>,
    /// New end: in the future, and at most `MAX_KEY_DAYS` from now.
    pub expires_at: Option<Millis>,
}

/// A member to be made. The edge has checked each field's form.
#[derive(Debug, Serialize, Deserialize)]
pub struct MemberDraft {
    /// Their name.
    pub name: String,
    /// Their e-mail address.
    pub email: String,
    /// Their role.
    pub role: Role,
    /// The environments they are limited to; `None` is no limit.
    pub environments: Option<Vec<Environment>>,
    /// Days their credential lives; `None` is `MAX_MEMBER_DAYS`.
    pub expires_in_days: Option<u32>,
}

/// What changes of a member.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct MemberChanges {
    /// New name.
    pub name: Option<String>,
    /// New e-mail address.
    pub email: Option<String>,
    /// New role.
    pub role: Option<Role>,
    /// New limit.
    pub environments: Option<Limit>,
    /// A new end of the credential's life, in days from now.
    pub expires_in_days: Option<u32>,
}

/// Where a member may act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Everywhere: `null` in a body.
    Everywhere,
    /// In these environments only.
    Only(Vec<Environment>),
}

/// A key to be issued. The edge has checked each field's form.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeyDraft {
    /// A clear name.
    pub name: String,
    /// The integration's slug.
    pub integration: String,
    /// Where it may go.
    pub environment: Environment,
    /// What it is for.
    pub purpose: String,
    /// Who answers for it.
    pub owner: String,
    /// At least one.
    pub scopes: Vec<Scope>,
    /// From where; empty means from anywhere.
    pub allowed_cidrs: Vec<IpNet>,
    /// When it ends.
    pub lifetime: Lifetime,
}

/// How the end of a key was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifetime {
    /// Not said: 90 days, or `MAX_KEY_DAYS` if that is less.
    Default,
    /// So many days from now.
    Days(u32),
    /// At this instant.
    Until(Millis),
}

/// Which keys to list; `None` is no restriction.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct KeyFilter {
    /// Of this environment.
    pub environment: Option<Environment>,
    /// Of this integration.
    pub integration: Option<String>,
    /// Of this owner.
    pub owner: Option<String>,
    /// In this state now.
    pub status: Option<Status>,
}
