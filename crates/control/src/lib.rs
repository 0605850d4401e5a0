//! The control plane: what an admin asks for becomes a command, and the registry's answer becomes a response.
//!
//! One file for each operation, in one order: what it takes, its command, its answer. [`find`] is the list of all routes.
//! Nothing here reads or writes anything: the body comes in as bytes, the command goes out as data.
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

pub mod access;
mod answer;
pub mod authorize;
mod body;
mod bootstrap;
mod caller;
pub mod certs;
mod checkpoint;
mod create_member;
mod credential;
mod health;
mod idempotency;
mod introspect;
mod issue_key;
mod jwks;
mod key_endpoints;
mod list_keys;
mod list_members;
mod metadata;
pub mod oauth;
mod problem_page;
mod query;
pub mod read_audit;
mod revocation_limiter;
mod revoke_key;
mod revoke_member;
mod rotate_key;
mod rotate_member;
mod show_key;
mod show_member;
mod text;
mod update_key;
mod update_member;
mod verify_key;

pub use answer::{answer, problem_of};
pub use caller::{NotSignedIn, SignIn, sign_in};
pub use checkpoint::{checkpoint, checkpoint_text};
pub use credential::derive_again;
pub use health::health;
pub use jwks::jwks;
pub use key_endpoints::KeyEndpointRequest;
pub use metadata::metadata;
pub use problem_page::problem_page;
pub use revocation_limiter::RevocationLimiter;

use credential::{CredentialIssuer, Subject};
use keyward_config::Config;
use keyward_http::head::Head;
use keyward_http::problem::{Code, Problem};
use keyward_http::route::METADATA_PATH;
use keyward_key::entropy::{Entropy, EntropyFailed};
use keyward_key::id::Class;
use keyward_key::mint::ApiKey;
use keyward_protocol::{Command, Idempotency, Operation};

/// Where one of Keyward's own paths leads.
#[derive(Debug, PartialEq, Eq)]
pub enum Endpoint<'a> {
    /// `GET /_keyward/health`
    Health,
    /// `GET /_keyward/problems/<code>`
    ProblemPage(Code),
    /// `GET /_keyward/openapi.json`
    OpenApi,
    /// `GET /.well-known/oauth-authorization-server/_keyward`
    Metadata,
    /// `GET /_keyward/jwks.json`
    Jwks,
    /// `ANY /_keyward/v1/authorize` and everything below
    Authorize,
    /// An operation, with the `{id}` of its path.
    Operation(Operation, &'a str),
}

/// The way of each operation: method (`ANY` is any), and path below `/_keyward/` with `*` for an id and `**` for any rest; the one
/// elsewhere begins with a slash.
pub const ROUTES: &[(&str, &str, Option<Operation>)] = &[
    ("GET", "health", None),
    ("GET", "problems/*", None),
    ("GET", "jwks.json", None),
    ("ANY", "v1/authorize", None),
    ("ANY", "v1/authorize/**", None),
    ("POST", "v1/bootstrap", Some(Operation::Bootstrap)),
    ("GET", "v1/me", Some(Operation::Me)),
    ("POST", "v1/keys", Some(Operation::IssueKey)),
    ("GET", "v1/keys", Some(Operation::ListKeys)),
    ("GET", "v1/keys/*", Some(Operation::ShowKey)),
    ("PATCH", "v1/keys/*", Some(Operation::UpdateKey)),
    ("POST", "v1/keys/*/rotate", Some(Operation::RotateKey)),
    ("POST", "v1/keys/*/revoke", Some(Operation::RevokeKey)),
    ("POST", "v1/members", Some(Operation::CreateMember)),
    ("GET", "v1/members", Some(Operation::ListMembers)),
    ("GET", "v1/members/*", Some(Operation::ShowMember)),
    ("PATCH", "v1/members/*", Some(Operation::UpdateMember)),
    ("POST", "v1/members/*/revoke", Some(Operation::RevokeMember)),
    ("POST", "v1/members/*/rotate", Some(Operation::RotateMember)),
    ("GET", "v1/audit", Some(Operation::ReadAudit)),
    ("GET", "v1/audit/checkpoint", Some(Operation::AuditCheckpoint)),
    ("GET", "v1/audit/key", Some(Operation::AuditKey)),
    ("POST", "v1/verify", Some(Operation::Verify)),
    ("POST", "oauth/introspect", Some(Operation::Introspect)),
    ("POST", "oauth/revoke", Some(Operation::RevokeByHolder)),
    ("GET", "openapi.json", None),
    ("GET", METADATA_PATH, None),
];

/// Finds the place of a request to one of Keyward's own paths.
///
/// # Errors
/// `no_route`, or `method_not_allowed` with the methods there are.
pub fn find<'a>(method: &str, path: &'a str) -> Result<Endpoint<'a>, Problem> {
    let below = path.strip_prefix("/_keyward/").unwrap_or(path);
    let method = if method == "HEAD" { "GET" } else { method };
    let mut allow = Vec::new();
    for (route_method, pattern, operation) in ROUTES {
        let Some(id) = fits(pattern, below) else { continue };
        if *route_method != method && *route_method != "ANY" {
            allow.push(if *route_method == "GET" { "GET, HEAD" } else { route_method });
            continue;
        }
        return Ok(match operation {
            Some(operation) => Endpoint::Operation(*operation, id),
            None => match *pattern {
                "health" => Endpoint::Health,
                "jwks.json" => Endpoint::Jwks,
                "openapi.json" => Endpoint::OpenApi,
                METADATA_PATH => Endpoint::Metadata,
                "problems/*" => {
                    let code = Code::ALL.iter().find(|code| code.as_str() == id);
                    Endpoint::ProblemPage(*code.ok_or(Code::NoRoute)?)
                }
                _ => Endpoint::Authorize,
            },
        });
    }
    if allow.is_empty() { Err(Code::NoRoute.into()) } else { Err(Problem::method_not_allowed(allow.join(", "))) }
}

/// The segment at the pattern's `*`, or an empty one where it has none; `None` where the path doesn't fit.
fn fits<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let mut id = "";
    let mut segments = path.split('/');
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        match expected {
            "**" => return Some(id),
            "*" if !segment.is_empty() => id = segment,
            _ if expected == segment => {}
            _ => return None,
        }
    }
    segments.next().is_none().then_some(id)
}

/// What an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// No body. It is a GET and changes nothing.
    None,
    /// A JSON object.
    Json,
    /// Nothing to say: no body, or `{}`.
    OptionalJson,
    /// A form, which [`oauth::token`] looks at: its errors have OAuth's form.
    Form,
}

/// What an operation takes.
#[must_use]
pub const fn body_kind(operation: Operation) -> BodyKind {
    match operation {
        Operation::Bootstrap
        | Operation::IssueKey
        | Operation::UpdateKey
        | Operation::RotateKey
        | Operation::RevokeKey
        | Operation::CreateMember
        | Operation::UpdateMember
        | Operation::Verify => BodyKind::Json,
        Operation::RevokeMember | Operation::RotateMember => BodyKind::OptionalJson,
        Operation::Introspect | Operation::RevokeByHolder => BodyKind::Form,
        Operation::Me
        | Operation::ListKeys
        | Operation::ShowKey
        | Operation::ListMembers
        | Operation::ShowMember
        | Operation::ReadAudit
        | Operation::AuditCheckpoint
        | Operation::AuditKey => BodyKind::None,
    }
}

/// Refuses what a page of another site sends, and bodies that are not JSON.
///
/// # Errors
/// `insecure_transport`, `cross_site` or `unsupported_media_type`.
pub fn check_transport(config: &Config, head: &Head<'_>, operation: Operation) -> Result<(), Problem> {
    if config.require_https && !head.https() {
        return Err(Code::InsecureTransport.into());
    }
    let other_origin = head.origin().is_some_and(|origin| !origin.eq_ignore_ascii_case(head.base()));
    let other_site = head.sec_fetch_site().is_some_and(|site| !matches!(site, "same-origin" | "none"));
    if other_origin || other_site {
        return Err(Code::CrossSite.into());
    }
    let acceptable = match (body_kind(operation), head.content_type()) {
        (BodyKind::None | BodyKind::Form, _) => true,
        // A browser signed in through Access carries its cookie everywhere. A page of another site can send no JSON without
        // asking first, so where no header speaks for the request its type has to.
        (BodyKind::OptionalJson, None) => config.access.is_none() || head.authorization().is_some(),
        (BodyKind::Json | BodyKind::OptionalJson, value) => value.is_some_and(is_json),
    };
    if acceptable { Ok(()) } else { Err(Code::UnsupportedMediaType.into()) }
}

fn is_json(content_type: &str) -> bool {
    content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// A request that somebody signed in for.
pub struct Asked<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Its head.
    pub head: &'a Head<'a>,
    /// What it asks for.
    pub operation: Operation,
    /// The `{id}` of its path.
    pub id: &'a str,
    /// Its body.
    pub body: &'a [u8],
}

/// A command, and the key that its answer will show if it succeeds.
pub struct Prepared {
    /// For the registry.
    pub command: Command,
    /// Minted here, so that its text never leaves the isolate that shows it.
    pub api_key: Option<ApiKey>,
    /// For the registry: what a retry of this write is recognised by.
    pub idempotency: Option<Idempotency>,
}

/// Why a request is not ready for the registry.
pub enum Unprepared {
    /// The body, the query or the path is wrong. The caller learns it only if they may do the operation at all.
    Wrong(Problem),
    /// There was no randomness to mint with.
    Entropy,
}

impl From<Problem> for Unprepared {
    fn from(problem: Problem) -> Self {
        Self::Wrong(problem)
    }
}

impl From<EntropyFailed> for Unprepared {
    fn from(_: EntropyFailed) -> Self {
        Self::Entropy
    }
}

/// Turns a request into its command.
///
/// # Errors
/// [`Unprepared`].
pub fn prepare(asked: &Asked<'_>, entropy: &mut impl Entropy) -> Result<Prepared, Unprepared> {
    let (operation, id, body) = (asked.operation, asked.id, asked.body);
    let query = asked.head.target().query().unwrap_or_default();
    if body_kind(operation) == BodyKind::OptionalJson && asked.head.content_type().is_none() && !body.is_empty() {
        return Err(Problem::from(Code::UnsupportedMediaType).into());
    }
    let listed = matches!(operation, Operation::ListKeys | Operation::ListMembers | Operation::ReadAudit);
    if !listed {
        refuse_query(asked.head)?;
    }
    let command = match operation {
        Operation::Bootstrap => {
            let draft = bootstrap::parse(body)?;
            return CredentialIssuer::once(asked).make(Subject::New(Class::Member), entropy, |new| draft.command(new));
        }
        Operation::IssueKey => {
            let draft = issue_key::parse(body)?;
            let class = Class::Data(draft.environment);
            return CredentialIssuer::of(asked)?
                .make(Subject::New(class), entropy, |new| issue_key::command(draft, new));
        }
        Operation::RotateKey => {
            let rotation = rotate_key::parse(id, body)?;
            return CredentialIssuer::of(asked)?
                .make(Subject::New(rotation.class), entropy, |new| rotation.command(new));
        }
        Operation::CreateMember => {
            let draft = create_member::parse(body)?;
            let whose = Subject::New(Class::Member);
            return CredentialIssuer::of(asked)?.make(whose, entropy, |new| create_member::command(draft, new));
        }
        Operation::RotateMember => {
            let member = rotate_member::parse(id, body)?;
            let whose = Subject::Existing(member.clone());
            return CredentialIssuer::of(asked)?.make(whose, entropy, |new| rotate_member::command(member, new));
        }
        Operation::Me => Command::Me,
        Operation::ListKeys => list_keys::command(query)?,
        Operation::ShowKey => show_key::command(id)?,
        Operation::UpdateKey => update_key::command(id, body)?,
        Operation::RevokeKey => revoke_key::command(id, body)?,
        Operation::ListMembers => list_members::command(query)?,
        Operation::ShowMember => show_member::command(id)?,
        Operation::UpdateMember => update_member::command(id, body)?,
        Operation::RevokeMember => revoke_member::command(id, body)?,
        Operation::ReadAudit => read_audit::command(query, read_audit::wants_lines(asked.head))?,
        Operation::AuditCheckpoint => Command::AuditHead,
        Operation::AuditKey => Command::Authorise { operation },
        // These answer by what they were asked, so they have a way of their own: [`KeyEndpointRequest`].
        Operation::Verify | Operation::Introspect | Operation::RevokeByHolder => Command::Authorise { operation },
    };
    Ok(Prepared { command, api_key: None, idempotency: None })
}

/// Refuses a query where none is taken.
fn refuse_query(head: &Head<'_>) -> Result<(), Problem> {
    if head.target().query().unwrap_or_default().is_empty() {
        return Ok(());
    }
    Err(Problem::field(Code::InvalidRequest, "query", "This operation takes no query."))
}

#[cfg(test)]
mod tests;
