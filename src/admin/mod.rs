//! The control plane: what an admin asks for becomes a command, and the registry's answer becomes a response.
//!
//! One file for each operation, in one order: what it takes, its command, its answer. [`find`] is the list of all routes.
//! Nothing here reads or writes anything: the body comes in as bytes, the command goes out as data.
#![forbid(unsafe_code)]

mod answer;
mod body;
mod bootstrap;
mod caller;
mod health;
mod issue_key;
mod list_keys;
mod problem_page;
mod revoke_key;
mod show_key;
mod text;

pub use answer::answer;
pub use caller::sign_in;
pub use health::health;
pub use problem_page::problem_page;

use crate::config::Config;
use crate::http::head::Head;
use crate::http::problem::{Code, Problem};
use crate::key::entropy::{Entropy, EntropyFailed};
use crate::key::id::Class;
use crate::key::mint::{ApiKey, mint};
use crate::registry::command::{Command, NewCredential, Operation};

/// Where a path below `/_keyward/` leads.
#[derive(Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// `GET /_keyward/health`
    Health,
    /// `GET /_keyward/problems/<code>`
    ProblemPage(Code),
    /// An operation, with the `{id}` of its path.
    Operation(Operation, &'a str),
}

/// The way of each operation: method, and path below `/_keyward/` with `*` for an id.
const ROUTES: &[(&str, &str, Option<Operation>)] = &[
    ("GET", "health", None),
    ("GET", "problems/*", None),
    ("POST", "v1/bootstrap", Some(Operation::Bootstrap)),
    ("GET", "v1/me", Some(Operation::Me)),
    ("POST", "v1/keys", Some(Operation::IssueKey)),
    ("GET", "v1/keys", Some(Operation::ListKeys)),
    ("GET", "v1/keys/*", Some(Operation::ShowKey)),
    ("POST", "v1/keys/*/revoke", Some(Operation::RevokeKey)),
];

/// Finds the place of a request below `/_keyward/`.
///
/// # Errors
/// `no_route`, or `method_not_allowed` with the methods there are.
pub fn find<'a>(method: &str, path: &'a str) -> Result<Place<'a>, Problem> {
    let below = path.strip_prefix("/_keyward/").ok_or(Code::NoRoute)?;
    let method = if method == "HEAD" { "GET" } else { method };
    let mut allow = Vec::new();
    for (route_method, pattern, operation) in ROUTES {
        let Some(id) = fits(pattern, below) else { continue };
        if *route_method != method {
            allow.push(if *route_method == "GET" { "GET, HEAD" } else { route_method });
            continue;
        }
        return Ok(match operation {
            Some(operation) => Place::Operation(*operation, id),
            None if id.is_empty() => Place::Health,
            None => {
                let code = Code::ALL.iter().find(|code| code.as_str() == id);
                Place::ProblemPage(*code.ok_or(Code::NoRoute)?)
            }
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
            "*" if !segment.is_empty() => id = segment,
            _ if expected == segment => {}
            _ => return None,
        }
    }
    segments.next().is_none().then_some(id)
}

/// Whether an operation takes a JSON body.
#[must_use]
pub const fn takes_body(operation: Operation) -> bool {
    matches!(operation, Operation::Bootstrap | Operation::IssueKey | Operation::RevokeKey)
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
    let json = head.content_type().is_some_and(|value| {
        let essence = value.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
    });
    if takes_body(operation) && !json {
        return Err(Code::UnsupportedMediaType.into());
    }
    Ok(())
}

/// A command, and the key that its answer will show if it succeeds.
pub struct Prepared {
    /// For the registry.
    pub command: Command,
    /// Minted here, so that its text never leaves the isolate that shows it.
    pub api_key: Option<ApiKey>,
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
pub fn prepare(
    config: &Config,
    head: &Head<'_>,
    operation: Operation,
    id: &str,
    body: &[u8],
    entropy: &mut impl Entropy,
) -> Result<Prepared, Unprepared> {
    let query = head.target().query();
    if operation != Operation::ListKeys && query.is_some_and(|query| !query.is_empty()) {
        let detail = "This operation takes no query.";
        return Err(Problem::field(Code::InvalidRequest, "query", detail).into());
    }
    let command = match operation {
        Operation::Bootstrap => {
            let draft = bootstrap::parse(body)?;
            let (api_key, credential) = new_credential(config, Class::Member, entropy)?;
            return Ok(Prepared { command: draft.command(credential), api_key: Some(api_key) });
        }
        Operation::IssueKey => {
            let draft = issue_key::parse(body)?;
            let (api_key, credential) = new_credential(config, Class::Data(draft.environment), entropy)?;
            return Ok(Prepared { command: issue_key::command(draft, credential), api_key: Some(api_key) });
        }
        Operation::Me => Command::Me,
        Operation::ListKeys => list_keys::command(query.unwrap_or_default())?,
        Operation::ShowKey => show_key::command(id)?,
        Operation::RevokeKey => revoke_key::command(id, body)?,
        // No route leads here yet.
        _ => return Err(Problem::from(Code::NoRoute).into()),
    };
    Ok(Prepared { command, api_key: None })
}

fn new_credential(
    config: &Config,
    class: Class,
    entropy: &mut impl Entropy,
) -> Result<(ApiKey, NewCredential), EntropyFailed> {
    let minted = mint(&config.keyring, &config.prefix, class, entropy)?;
    let credential = NewCredential { id: minted.id, key_hash: minted.hash, minted_under: minted.generation };
    Ok((minted.api_key, credential))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_by_its_method_and_path() {
        for (method, path, expected) in [
            ("GET", "/_keyward/health", Place::Health),
            ("HEAD", "/_keyward/health", Place::Health),
            ("GET", "/_keyward/problems/no_route", Place::ProblemPage(Code::NoRoute)),
            ("POST", "/_keyward/v1/keys", Place::Operation(Operation::IssueKey, "")),
            ("GET", "/_keyward/v1/keys", Place::Operation(Operation::ListKeys, "")),
            ("GET", "/_keyward/v1/keys/x", Place::Operation(Operation::ShowKey, "x")),
            ("POST", "/_keyward/v1/keys/x/revoke", Place::Operation(Operation::RevokeKey, "x")),
        ] {
            assert_eq!(find(method, path).ok(), Some(expected), "{method} {path}");
        }
    }

    #[test]
    fn what_is_no_route_says_so() {
        for (method, path, code) in [
            ("GET", "/_keyward", Code::NoRoute),
            ("GET", "/_keyward/", Code::NoRoute),
            ("GET", "/_KEYWARD/health", Code::NoRoute),
            ("GET", "/_keyward/health/", Code::NoRoute),
            ("GET", "/_keyward/problems/", Code::NoRoute),
            ("GET", "/_keyward/problems/nonsense", Code::NoRoute),
            ("GET", "/_keyward/v1/keys/", Code::NoRoute),
            ("POST", "/_keyward/v1/keys//revoke", Code::NoRoute),
            ("DELETE", "/_keyward/v1/keys/x", Code::MethodNotAllowed),
            ("GET", "/_keyward/v1/bootstrap", Code::MethodNotAllowed),
        ] {
            assert_eq!(find(method, path).unwrap_err().code, code, "{method} {path}");
        }
        let both = find("PUT", "/_keyward/v1/keys").unwrap_err();
        assert_eq!(both.headers(), [("allow", "POST, GET, HEAD".to_owned())]);
    }
}
