//! Requests to the registry; [`crate::Response`] is what it answers. These are internal messages between versions of this
//! worker. docs/internals/storage.md describes their JSON forms.

use serde::{Deserialize, Serialize};

use crate::feed::FeedQuery;
use crate::response::Raw;
use keyward_key::hash::KeyHash;
use keyward_key::id::KeyId;
use keyward_key::keyring::Generation;

/// A request to the registry.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// The gate looks up the record of a key.
    Lookup {
        /// Id of the key.
        id: KeyId,
    },
    /// The gate asks for changes.
    Changes(FeedQuery),
    /// The control plane asks for an operation.
    Control(Box<ControlRequest>),
}

/// A request for an operation of the control plane.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "next-version", serde(tag = "trial"))]
pub struct ControlRequest {
    /// The caller, as the edge recognised it.
    pub caller: Caller,
    /// The HTTP request behind this one, for the audit log.
    pub request: RequestMeta,
    /// Name of the operation, such as `issue_key`.
    pub operation: String,
    /// Whether the operation may write. Only what cannot write is asked again after a failure.
    pub writes: bool,
    /// Arguments of the operation, in its own form. `None` only asks whether the caller may do the operation: the edge
    /// found the body wrong, and a stranger must learn 401 or 403 before anything about the body.
    pub command: Option<Raw>,
    /// The credential that the edge minted for an operation that creates one.
    pub credential: Option<NewCredential>,
    /// The `Idempotency-Key` of a request for an operation that creates a credential, if it had one.
    pub idempotency: Option<Idempotency>,
    /// The `If-Match` of a change of one key or member, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precondition: Option<Precondition>,
}

/// Version that a key or member must have for a change of it (`If-Match`, RFC 9110, section 13.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Precondition {
    /// A reader that knows no precondition must not ignore one: always 2.
    pub min_reader: u64,
    /// The key or member.
    pub id: KeyId,
    /// Revisions, one of which it must have; `None` admits any.
    pub revisions: Option<Vec<u64>>,
}

/// A caller, as the edge recognised it. The registry decides whether it is a member, and what they may do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    /// Holder of the bootstrap token, which the edge compared.
    Bootstrap,
    /// Holder of a well-formed member credential with the right tag.
    Credential {
        /// The member's id.
        id: KeyId,
        /// Hash of the credential presented.
        key_hash: KeyHash,
    },
    /// A person whom Cloudflare Access signed in; the edge verified the JWT.
    Access {
        /// E-mail address in the JWT. The comparison with members' addresses ignores ASCII case, and exactly one active
        /// member must have it.
        email: String,
    },
    /// Holder of a well-formed data key with the right tag. They are no member: they may revoke that key, and nothing else.
    Holder {
        /// The key's id.
        id: KeyId,
        /// Hash of the key presented.
        key_hash: KeyHash,
    },
}

/// A write that may be retried (`Idempotency-Key`). The edge derives the new credential from `nonce` and its own secret, so
/// a retry gets the same text although nobody stored it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// Digest of the route, the id in the path and the header's value, in hex. Names the write among those of its member.
    pub fingerprint: String,
    /// Digest of the body, in hex.
    pub body: String,
    /// Seed of this attempt's credential, in hex. The registry keeps that of the first attempt.
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

/// A key or member credential that the edge has just minted. Its text stays at the edge; the registry gets only this.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewCredential {
    /// Id of the key or member.
    pub id: KeyId,
    /// Hash to keep.
    pub key_hash: KeyHash,
    /// Generation of the secret it was minted under.
    pub minted_under: Generation,
}
