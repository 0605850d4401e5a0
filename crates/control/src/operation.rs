//! Definition of a control-plane operation: its spec row and its four steps.
//!
//! ```text
//! isolate    parse    HTTP request → command
//! registry   authorise, handle    command → outcome, in one transaction
//! isolate    respond    outcome → HTTP response
//! ```

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::credential::{self, Minting, Subject, Wanted};
use super::exposition::Exposition;
use super::failure::Failure;
use super::leaks::view::LeakView;
use super::precondition;
use super::retry::Retryable;
use super::text::TextParser;
use keyward_config::{Config, HostRole};
use keyward_gate::SubmittedKey;
use keyward_gate::leases::KeyLimits;
use keyward_http::cookies::SessionCookie;
use keyward_http::head::Head;
use keyward_http::problem::{Code, Problem};
use keyward_http::reply::Reply;
use keyward_key::entropy::Entropy;
use keyward_key::id::{Class, KeyId};
use keyward_key::keyring::Generation;
use keyward_key::mint::{ApiKey, Minted};
use keyward_key::version;
use keyward_protocol::metrics::Sample;
use keyward_protocol::{Caller, Idempotency, NewCredential, Precondition, Raw, Role};
use keyward_registry::audit::AuditFilter;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::{Store, StoreError};
use serde_json::value::to_raw_value;

/// The row of an operation in the table of operations.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// HTTP method. `GET` also serves `HEAD`.
    pub method: &'static str,
    /// Path below `/_keyward/`, with `{id}` for an id.
    pub path: &'static str,
    /// Body that it accepts.
    pub body: BodyKind,
    /// Whether it accepts query parameters.
    pub takes_query: bool,
    /// Permission that it requires.
    pub access: Access,
    /// Whether it may write. A write runs in one transaction, and the isolate sends it only once.
    pub writes: bool,
    /// Whether a retry with the same `Idempotency-Key` gets the first response.
    pub idempotent: bool,
}

/// Permission that an operation requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Members of these roles.
    Roles(&'static [Role]),
    /// Members of these roles, and the holder of `METRICS_TOKEN`.
    RolesOrScraper(&'static [Role]),
    /// The holder of the bootstrap token.
    BootstrapToken,
    /// Any holder of the key in the body.
    KeyHolder,
    /// Any holder of the secret in the body, of the claim in the path.
    Claimant,
}

impl Access {
    /// Returns whether a member of `role` may run the operation.
    #[must_use]
    pub fn admits(self, role: Role) -> bool {
        matches!(self, Self::Roles(roles) | Self::RolesOrScraper(roles) if roles.contains(&role))
    }
}

/// Hosts that serve an endpoint. While `CONTROL_HOST` is not set, every host serves every endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServedOn {
    /// `CONTROL_HOST` only. On the hosts of the gate the path is 404.
    ControlHost,
    /// `CONTROL_HOST` only, and nowhere while it is not set: for what belongs to the console.
    Console,
    /// `CONTROL_HOST` and the hosts of the gate: for endpoints that origins, gateways and holders of keys use.
    EveryHost,
}

/// Body that an operation accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// No body: the operation is a GET.
    None,
    /// A JSON object.
    Json,
    /// No body, or `{}`.
    OptionalJson,
    /// An OAuth form. Client authentication and errors follow OAuth.
    Form,
}

/// One operation. The implementing type is the parsed request. It is sent to the registry as JSON, except for fields that serde skips,
/// which stay in the isolate.
pub trait ControlOperation: Serialize + DeserializeOwned + 'static {
    /// The spec row.
    const SPEC: Spec;
    /// Hosts that serve it.
    const SERVED_ON: ServedOn = ServedOn::ControlHost;
    /// Whether a session does not suffice: the request must show the member's credential again in `Keyward-Confirm`.
    const NEEDS_CONFIRMATION: bool = false;
    /// Whether some of its requests need that, which [`Self::handle`] decides.
    const TAKES_CONFIRMATION: bool = Self::NEEDS_CONFIRMATION;
    /// The operation object of the OpenAPI document, as JSON text, without what the row implies: what a session adds, and for members the
    /// common responses (400, 401, 403, 503; 404, 412, 413, 415 and 422 where they fit).
    const OPEN_API: &'static str;
    /// Outcome of [`Self::handle`], which the registry returns to the isolate as JSON.
    type Outcome: Serialize + DeserializeOwned;

    /// Parses the HTTP request. Runs in the isolate.
    ///
    /// # Errors
    /// The failure to answer with, provided that the caller has permission for the operation.
    fn parse(input: &Input<'_>) -> Result<Self, Failure>;

    /// Draws the random values that a request needs, after [`Self::parse`]. Runs in the isolate.
    ///
    /// # Errors
    /// The failure to answer with.
    fn draw(&mut self, _: &Input<'_>, _: &mut dyn Entropy) -> Result<(), Failure> {
        Ok(())
    }

    /// Returns the subject of the credential that the isolate must mint for this request.
    fn subject(&self) -> Option<Subject> {
        None
    }

    /// Returns the key that the caller presents in the body, for an operation of [`Access::KeyHolder`].
    fn submitted_key(&self) -> Option<&SubmittedKey> {
        None
    }

    /// Returns the caller, for an operation of [`Access::Claimant`]; `None` if the secret is wrong.
    fn claimant(&self) -> Option<Caller> {
        None
    }

    /// Returns the class of the key of each claim that the isolate must mint for this request, beside [`Self::subject`].
    fn wanted_claims(&self) -> Vec<Class> {
        Vec::new()
    }

    /// Takes the minted claims. The message needs their hashes, and the response their secrets.
    fn take_claims(&mut self, _claims: Vec<Minted>) {}

    /// Returns the caller's nonce in the body, which takes the place of `Idempotency-Key`.
    fn nonce(&self) -> Option<&str> {
        None
    }

    /// Checks the caller's limit to environments, after the role was checked. `request` is `None` if the isolate found the request
    /// invalid. Runs in the registry.
    ///
    /// # Errors
    /// The refusal, or a failure of the store.
    fn authorise(request: Option<&Self>, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError>;

    /// Runs the operation, in one transaction if it writes. Runs in the registry.
    ///
    /// # Errors
    /// The refusal, or a failure of the store.
    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Self::Outcome, OperationError>;

    /// Creates the response. `minted` is the credential for [`Self::subject`], derived again for a retry. Runs in the isolate.
    ///
    /// # Errors
    /// The failure to answer with.
    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Self::Outcome, Failure>,
        minted: Option<&Minted>,
    ) -> Result<Answer, Failure>;
}

/// An HTTP request for an operation.
pub struct Input<'a> {
    /// Configuration.
    pub config: &'a Config,
    /// Head of the request.
    pub head: &'a Head<'a>,
    /// The `{id}` in its path, or an empty text.
    pub id: &'a str,
    /// Body.
    pub body: &'a [u8],
    /// Parser of text fields.
    pub text: TextParser<'a>,
    /// `Keyward-Request-Id`.
    pub request_id: &'a str,
}

impl Input<'_> {
    /// Parses the id in the path. A malformed id gets the 404 of an absent key.
    ///
    /// # Errors
    /// `not_found`.
    pub fn key_id(&self) -> Result<KeyId, Problem> {
        KeyId::parse(self.id).ok_or_else(|| Code::NotFound.into())
    }

    /// Returns the query, or an empty text.
    #[must_use]
    pub fn query(&self) -> &str {
        self.head.target().query().unwrap_or_default()
    }

    /// Returns the 200 with `body` as JSON, as a reply.
    #[must_use]
    pub fn reply(&self, body: &impl Serialize) -> Reply {
        Reply::json(200, body, self.request_id)
    }

    /// Returns the 200 with `body` as JSON.
    #[must_use]
    pub fn ok(&self, body: &impl Serialize) -> Answer {
        Answer::Reply(Reply::json(200, body, self.request_id))
    }

    /// Returns the session cookie on `CONTROL_HOST`. On every other host there are no sessions.
    #[must_use]
    pub fn session_cookie(&self) -> SessionCookie<'_> {
        session_cookie(self.config, self.head)
    }

    /// Returns the 201 with `body` as JSON.
    #[must_use]
    pub fn created(&self, body: &impl Serialize) -> Answer {
        Answer::Reply(Reply::json(201, body, self.request_id))
    }
}

/// Returns the session cookie of a request on `CONTROL_HOST`. On every other host there are no sessions.
pub(super) fn session_cookie<'a>(config: &Config, head: &Head<'a>) -> SessionCookie<'a> {
    match (config.host_role(head), head.cookie()) {
        (HostRole::Control, Some(header)) => SessionCookie::find(header),
        _ => SessionCookie::Absent,
    }
}

/// Answer of an operation. [`mod@super::serve`] turns each kind into a response.
pub enum Answer {
    /// A response.
    Reply(Reply),
    /// The entries that match a filter, from a first page to the end of the log, as JSON lines.
    Lines(super::audit_stream::Page, AuditFilter),
    /// A request that is permitted if the limits of its key allow it.
    Counted(Box<CountedRequest>),
    /// The head of the audit log, for signing.
    Checkpoint {
        /// Number of entries.
        size: u64,
        /// Hash of the last entry, in hex.
        hash: String,
    },
    /// The public keys that verify checkpoints.
    CheckpointKeys,
    /// A question to the usage object.
    Usage(super::usage_query::UsageQuestion),
    /// The registry's metrics, to which those of the other objects are added.
    Metrics(Vec<Sample>, Exposition),
    /// Leak reports, to which the uses since are added: one, or a page with its cursor.
    Leaks(LeaksShown),
    /// A question to the events object.
    Events(super::events_query::EventsQuestion),
    /// The public keys that verify events.
    EventKeys,
}

/// Leak reports in a response.
pub enum LeaksShown {
    /// One report.
    One(Box<LeakView>),
    /// A page, and the cursor of the next one.
    Page(Vec<LeakView>, Option<String>),
}

/// A request of another worker, to be counted against the limits of its key.
pub struct CountedRequest {
    /// Id of the key.
    pub key: KeyId,
    /// Limits of the key.
    pub limits: Arc<KeyLimits>,
    /// Units that the request costs.
    pub cost: u32,
    /// Response if it is counted.
    pub counted: Reply,
    /// Response if a limit is reached.
    pub over_limit: Reply,
}

impl Answer {
    /// Adds a `Set-Cookie`.
    #[must_use]
    pub fn setting_cookie(mut self, value: String) -> Self {
        if let Self::Reply(reply) = &mut self {
            reply.headers.push(("set-cookie", value));
        }
        self
    }

    /// Adds the revision in this view of a key or member as `ETag`.
    #[must_use]
    pub fn tagged(mut self, view: &Raw) -> Self {
        if let Self::Reply(reply) = &mut self {
            reply.headers.extend(precondition::tag(view).map(|tag| ("etag", tag)));
        }
        self
    }
}

/// A parsed request: the message for the registry, and the data needed to create the response.
pub struct Prepared {
    /// The operation's request as JSON.
    pub command: Raw,
    /// The minted credential, without its text.
    pub credential: Option<NewCredential>,
    /// Fingerprint of the write, if it has an `Idempotency-Key`.
    pub idempotency: Option<Idempotency>,
    /// Version that the key or member in the path must have (`If-Match`).
    pub precondition: Option<Precondition>,
    /// The holder of the key or of the claim's secret in the body, for an operation of [`Access::KeyHolder`] or [`Access::Claimant`].
    pub holder: Option<Caller>,
    retryable: Option<Retryable>,
    minted: Option<Minted>,
    request: Box<dyn Respond>,
}

impl Prepared {
    /// Returns the text of the minted credential. Only the response shows it; the registry never receives it.
    #[must_use]
    pub fn api_key(&self) -> Option<&ApiKey> {
        self.minted.as_ref().map(|minted| &minted.api_key)
    }

    /// Creates the response for an outcome or a failure.
    ///
    /// # Errors
    /// The failure to answer with.
    pub fn respond(self, input: &Input<'_>, outcome: Result<Raw, Failure>) -> Result<Answer, Failure> {
        self.request.respond(input, outcome, self.minted.as_ref())
    }

    /// Creates the response to a retry: the first attempt's outcome with its credential, which is derived again.
    ///
    /// # Errors
    /// `authority_unavailable` if this isolate lacks the secret of the first attempt. An isolate with that secret can answer.
    pub fn replay(
        mut self,
        input: &Input<'_>,
        outcome: Raw,
        nonce: &str,
        minted_under: &Generation,
    ) -> Result<Answer, Failure> {
        let lost = || Failure::Fault { event: "replay_failed", code: Code::AuthorityUnavailable };
        let retryable = self.retryable.as_ref().ok_or_else(lost)?;
        let wanted = self.request.wanted();
        let minting = credential::derive_again(input.config, retryable, wanted, nonce, minted_under);
        let Minting { subject, claims } = minting.ok_or_else(lost)?;
        self.request.take_claims(claims);
        self.request.respond(input, Ok(outcome), subject.as_ref())
    }
}

/// The part of [`ControlOperation`] that does not depend on the operation's types.
trait Respond {
    fn wanted(&self) -> Wanted;
    fn take_claims(&mut self, claims: Vec<Minted>);
    fn holder(&self) -> Option<Caller>;
    fn nonce(&self) -> Option<&str>;
    fn respond(
        self: Box<Self>,
        input: &Input<'_>,
        outcome: Result<Raw, Failure>,
        minted: Option<&Minted>,
    ) -> Result<Answer, Failure>;
}

impl<O: ControlOperation> Respond for O {
    fn wanted(&self) -> Wanted {
        Wanted { subject: self.subject(), claims: self.wanted_claims() }
    }

    fn take_claims(&mut self, claims: Vec<Minted>) {
        ControlOperation::take_claims(self, claims);
    }

    fn holder(&self) -> Option<Caller> {
        let holder = |key: &SubmittedKey| Caller::Holder { id: key.id().clone(), key_hash: key.hash().clone() };
        self.submitted_key().map(holder).or_else(|| self.claimant())
    }

    fn nonce(&self) -> Option<&str> {
        ControlOperation::nonce(self)
    }

    fn respond(
        self: Box<Self>,
        input: &Input<'_>,
        outcome: Result<Raw, Failure>,
        minted: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let outcome = outcome.and_then(|outcome| version::read::<O::Outcome>(outcome.get()).map_err(|_| confused()));
        ControlOperation::respond(*self, input, outcome, minted)
    }
}

/// Returns the fault for an answer that does not match its request.
pub(super) const fn confused() -> Failure {
    Failure::Fault { event: "registry_confused", code: Code::InternalError }
}

/// Parses a request, and mints what it needs.
pub(super) fn prepare<O: ControlOperation>(input: &Input<'_>, entropy: &mut dyn Entropy) -> Result<Prepared, Failure> {
    check_form(&O::SPEC, input)?;
    let mut request = O::parse(input)?;
    request.draw(input, entropy)?;
    let minting = mint_for(&O::SPEC, input, entropy, &mut request)?;
    let command = to_raw_value(&request).map_err(|_| confused())?;
    Ok(prepare_minted(&O::SPEC, input, minting, command, Box::new(request)))
}

/// The credential of a request, and how to recognise its retry.
struct MintedFor {
    minted: Option<Minted>,
    retryable: Option<Retryable>,
    idempotency: Option<Idempotency>,
}

fn mint_for(
    spec: &Spec,
    input: &Input<'_>,
    entropy: &mut dyn Entropy,
    request: &mut dyn Respond,
) -> Result<MintedFor, Failure> {
    let retryable = credential::retryable(spec, input, request.nonce())?;
    let (minting, idempotency) = credential::mint(input.config, retryable.as_ref(), request.wanted(), entropy)?;
    request.take_claims(minting.claims);
    Ok(MintedFor { minted: minting.subject, retryable, idempotency })
}

/// Checks that a request has no body and no query where the operation takes none.
fn check_form(spec: &Spec, input: &Input<'_>) -> Result<(), Problem> {
    if spec.body == BodyKind::OptionalJson && input.head.content_type().is_none() && !input.body.is_empty() {
        return Err(Code::UnsupportedMediaType.into());
    }
    if !spec.takes_query && spec.body != BodyKind::Form && !input.query().is_empty() {
        return Err(Problem::field(Code::InvalidRequest, "query", "This operation takes no query."));
    }
    Ok(())
}

fn prepare_minted(
    spec: &Spec,
    input: &Input<'_>,
    minting: MintedFor,
    command: Raw,
    request: Box<dyn Respond>,
) -> Prepared {
    let MintedFor { minted, retryable, idempotency } = minting;
    let is_members = matches!(spec.access, Access::Roles(_));
    Prepared {
        command,
        credential: minted.as_ref().map(credential::without_text),
        idempotency,
        precondition: if spec.writes && is_members { precondition::read(input.head, input.id) } else { None },
        holder: request.holder(),
        retryable,
        minted,
        request,
    }
}

/// Returns a view as JSON text.
///
/// # Errors
/// [`StoreError`] if it cannot be serialized, which does not happen for our views.
pub fn raw(view: &impl Serialize) -> Result<Raw, StoreError> {
    to_raw_value(view).map_err(|_| StoreError::new("a view has no JSON form"))
}
