//! Requests to the registry, which answers each with a [`crate::Response`]. These are internal messages between versions of
//! this worker. docs/internals/storage.md describes their JSON forms.

use serde::{Deserialize, Serialize};

use crate::events::{EndpointReport, EndpointTested};
use crate::exposure::ExposureReport;
use crate::feed::FeedQuery;
use crate::leak::{LeakReport, PendingReport};
use crate::response::Raw;
use crate::usage::UsageTimes;
use keyward_key::hash::KeyHash;
use keyward_key::id::KeyId;
use keyward_key::keyring::Generation;

/// Maximum number of keys in one lookup. It keeps the registry busy for a few milliseconds.
pub const MAX_LOOKUP_KEYS: usize = 500;

/// A request to the registry.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// The gate looks up the records of keys.
    Lookup {
        /// Ids of the keys, at most [`MAX_LOOKUP_KEYS`]; the registry ignores any more.
        ids: Vec<KeyId>,
    },
    /// The gate asks for changes.
    Changes(FeedQuery),
    /// The control plane asks for an operation.
    Control(Box<ControlRequest>),
    /// A shard of the usage object tells when keys were used.
    UsageTimes(UsageTimes),
    /// An isolate tells that a shard of the usage object did not confirm its report: what the shard tells may be incomplete.
    UsageMissing {
        /// The shard.
        shard: u32,
    },
    /// An isolate reports keys that a refused request exposed.
    Expose(Box<ExposureReport>),
    /// An isolate reports keys that were found where they do not belong.
    Leak(Box<LeakReport>),
    /// An isolate passes on a report of GitHub that cannot be verified yet.
    KeepReport(Box<PendingReport>),
    /// The events object tells when it delivered, and which endpoints it stopped.
    EndpointReport(EndpointReport),
    /// The events object tells that a member's test of an endpoint succeeded.
    EndpointTested(Box<EndpointTested>),
}

/// A request for an operation of the control plane.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "next-version", serde(tag = "trial"))]
pub struct ControlRequest {
    /// The caller, as the isolate recognised it.
    pub caller: Caller,
    /// Metadata of the HTTP request, for the audit log.
    pub request: RequestMeta,
    /// Name of the operation, such as `issue_key`.
    pub operation: String,
    /// Whether the operation may write. The isolate retries only reads.
    pub writes: bool,
    /// Arguments of the operation, in the operation's own form. `None` if the isolate found the body invalid: the registry then
    /// only checks the caller's permission, because 401 and 403 must come before any statement about the body.
    pub command: Option<Raw>,
    /// The credential that the isolate minted, for an operation that creates one.
    pub credential: Option<NewCredential>,
    /// The request's `Idempotency-Key`, for an operation that creates a credential.
    pub idempotency: Option<Idempotency>,
    /// The `If-Match` of a change of one key or member, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precondition: Option<Precondition>,
    /// The member's credential in `Keyward-Confirm`, if the request has one with a right tag. Only read for a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<Confirmation>,
}

/// A member's credential that a request of a session shows again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Confirmation {
    /// The member's id.
    pub id: KeyId,
    /// Hash of the credential presented.
    pub key_hash: KeyHash,
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

/// A caller, as the isolate recognised it. The registry decides whether it is a member, and which operations it may do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    /// Holder of the bootstrap token, which the isolate compared.
    Bootstrap,
    /// Holder of `METRICS_TOKEN`, which the isolate compared. Not a member: may read the metrics and nothing else.
    Scraper,
    /// Holder of a well-formed member credential with the right tag.
    Credential {
        /// The member's id.
        id: KeyId,
        /// Hash of the credential presented.
        key_hash: KeyHash,
    },
    /// A person whom Cloudflare Access signed in. The isolate verified the JWT.
    Access {
        /// E-mail address in the JWT. The comparison with members' addresses ignores ASCII case, and exactly one active
        /// member must have it.
        email: String,
    },
    /// Holder of a session cookie with the right tag.
    Session {
        /// Hash of the token.
        token_hash: KeyHash,
        /// Whether the request does not count as activity: a page sent it unprompted.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        background: bool,
    },
    /// Holder of a well-formed data key with the right tag. Not a member: may revoke that key and do nothing else.
    Holder {
        /// The key's id.
        id: KeyId,
        /// Hash of the key presented.
        key_hash: KeyHash,
    },
    /// Holder of a claim's secret with the right tag. Not a member: may look at that claim, use it, and revoke its key.
    Claimant {
        /// The id of the claim, which is its key's.
        id: KeyId,
        /// Hash of the secret presented.
        secret_hash: KeyHash,
    },
}

/// A write that may be retried (`Idempotency-Key`). The isolate derives the new credential from `nonce` and the server's secret,
/// so a retry gets the same text although nobody stored it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// Digest of the route, the id in the path and the header's value, in hex. Identifies the write among its member's writes.
    pub fingerprint: String,
    /// Digest of the body, in hex.
    pub body: String,
    /// Seed of this attempt's credential, in hex. The registry keeps the nonce of the first attempt.
    pub nonce: String,
    /// Generation of the secret that this attempt's credentials are derived under. Only for an operation whose message has no
    /// `credential`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minted_under: Option<Generation>,
}

/// Metadata of an HTTP request, for the audit log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "next-version", serde(tag = "trial"))]
pub struct RequestMeta {
    /// The `Keyward-Request-Id` of the request.
    pub request_id: String,
    /// The client's address, if it is known.
    pub client_address: Option<String>,
}

/// A newly minted key or member credential. Its text stays in the isolate that minted it; the registry receives only these fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewCredential {
    /// Id of the key or member.
    pub id: KeyId,
    /// Hash to store.
    pub key_hash: KeyHash,
    /// Generation of the secret that it was minted under.
    pub minted_under: Generation,
}
