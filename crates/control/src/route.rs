//! Router of Keyward's own paths. Operations contribute their own rows; the other endpoints are listed here. A path without a row is
//! 404 and never reaches another endpoint.

use super::leaks::Receiver;
use super::operation::ServedOn;
use super::operations::Operation;
use keyward_config::HostRole;
use keyward_http::problem::{Code, Problem};
use keyward_http::route::METADATA_PATH;

/// Endpoint of a request to one of Keyward's own paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `GET /_keyward/health`
    Health,
    /// `GET /_keyward/problems/{code}`
    ProblemPage,
    /// `GET /_keyward/openapi.json`
    OpenApi,
    /// `GET /.well-known/oauth-authorization-server/_keyward`
    Metadata,
    /// `GET /_keyward/jwks.json`
    Jwks,
    /// Any method on `/_keyward/v1/authorize` and everything below: forward auth.
    Authorize,
    /// `GET /_keyward/claim`: the page on which a claim is opened.
    ClaimPage,
    /// A receiver of leak reports.
    Leak(Receiver),
    /// An operation.
    Operation(Operation),
}

/// A row of the table of routes.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// Method, or `ANY`.
    pub method: &'static str,
    /// Path below `/_keyward/`, with a name in braces for a segment and `{name*}` for any remaining path. A path with a leading slash
    /// is absolute.
    pub path: &'static str,
    /// Endpoint.
    pub endpoint: Endpoint,
    /// Hosts that serve it.
    pub served_on: ServedOn,
}

/// The routes that are not operations.
const FIXED: &[Route] = &[
    open("GET", "health", Endpoint::Health),
    open("GET", "problems/{code}", Endpoint::ProblemPage),
    Route { method: "GET", path: "openapi.json", endpoint: Endpoint::OpenApi, served_on: ServedOn::ControlHost },
    open("GET", METADATA_PATH, Endpoint::Metadata),
    open("GET", "jwks.json", Endpoint::Jwks),
    open("ANY", "v1/authorize", Endpoint::Authorize),
    open("ANY", "v1/authorize/{path*}", Endpoint::Authorize),
    Route { method: "GET", path: "claim", endpoint: Endpoint::ClaimPage, served_on: ServedOn::Console },
    open("POST", "v1/leaks", Endpoint::Leak(Receiver::Public)),
    open("GET", "v1/leaks/rules", Endpoint::Leak(Receiver::Rules)),
    open("POST", "v1/leaks/github", Endpoint::Leak(Receiver::GitHub)),
    open("GET", "v1/leaks/gitlab/v1/revocable_token_types", Endpoint::Leak(Receiver::GitLabTypes)),
    open("POST", "v1/leaks/gitlab/v1/revoke_tokens", Endpoint::Leak(Receiver::GitLabTokens)),
];

/// Creates a route that is not an operation and that every host serves.
const fn open(method: &'static str, path: &'static str, endpoint: Endpoint) -> Route {
    Route { method, path, endpoint, served_on: ServedOn::EveryHost }
}

impl Route {
    fn is_served_on(&self, host: HostRole) -> bool {
        match host {
            HostRole::Control => true,
            HostRole::GateAndControl => self.served_on != ServedOn::Console,
            HostRole::Gate => self.served_on == ServedOn::EveryHost,
            HostRole::Ambiguous => false,
        }
    }
}

/// Returns every route: the fixed ones, then the operations in the order of their list.
pub fn routes() -> impl Iterator<Item = Route> {
    let operations = Operation::ALL.iter().map(|operation| {
        let spec = operation.spec();
        Route {
            method: spec.method,
            path: spec.path,
            endpoint: Endpoint::Operation(*operation),
            served_on: operation.served_on(),
        }
    });
    FIXED.iter().copied().chain(operations)
}

/// Finds the endpoint of a request to one of Keyward's own paths, and the segment at the name in braces, or an empty text. The first route
/// that matches counts, so a literal path wins over a named segment. A route that this host does not serve counts as absent.
///
/// # Errors
/// `no_route`, or `method_not_allowed` with the supported methods.
pub fn find<'a>(method: &str, path: &'a str, host: HostRole) -> Result<(Endpoint, &'a str), Problem> {
    let below = path.strip_prefix("/_keyward/").unwrap_or(path);
    let method = if method == "HEAD" { "GET" } else { method };
    let mut allowed = Vec::new();
    for route in routes() {
        let Some(segment) = matches(route.path, below) else { continue };
        let is_asked = route.method == method || route.method == "ANY";
        match (is_asked, route.is_served_on(host)) {
            (true, true) => return Ok((route.endpoint, segment)),
            (true, false) => return Err(Code::NoRoute.into()),
            (false, false) => continue,
            (false, true) => {}
        }
        allowed.push(if route.method == "GET" { "GET, HEAD" } else { route.method });
    }
    if allowed.is_empty() { Err(Code::NoRoute.into()) } else { Err(Problem::method_not_allowed(allowed.join(", "))) }
}

/// Returns the segment at the name in braces, or an empty text if the pattern has none. `None` if the path does not match.
fn matches<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let mut named = "";
    let mut segments = path.split('/');
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        if expected.ends_with("*}") {
            return Some(named);
        } else if expected.starts_with('{') && !segment.is_empty() {
            named = segment;
        } else if expected != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::BodyKind;

    #[test]
    fn every_route_is_found_by_its_method_and_path() {
        for (method, path, expected) in [
            ("GET", "/_keyward/health", (Endpoint::Health, "")),
            ("HEAD", "/_keyward/health", (Endpoint::Health, "")),
            ("GET", "/_keyward/jwks.json", (Endpoint::Jwks, "")),
            ("HEAD", "/_keyward/jwks.json", (Endpoint::Jwks, "")),
            ("PUT", "/_keyward/v1/authorize", (Endpoint::Authorize, "")),
            ("GET", "/_keyward/v1/authorize/", (Endpoint::Authorize, "")),
            ("HEAD", "/_keyward/v1/authorize/v1/contacts/7", (Endpoint::Authorize, "")),
            ("GET", "/_keyward/problems/no_route", (Endpoint::ProblemPage, "no_route")),
            ("GET", "/.well-known/oauth-authorization-server/_keyward", (Endpoint::Metadata, "")),
            ("POST", "/_keyward/v1/keys", (Endpoint::Operation(Operation::IssueKey), "")),
            ("GET", "/_keyward/v1/keys", (Endpoint::Operation(Operation::ListKeys), "")),
            ("GET", "/_keyward/v1/keys/x", (Endpoint::Operation(Operation::ShowKey), "x")),
            ("POST", "/_keyward/v1/keys/x/revoke", (Endpoint::Operation(Operation::RevokeKey), "x")),
            ("PATCH", "/_keyward/v1/members/x", (Endpoint::Operation(Operation::UpdateMember), "x")),
            ("HEAD", "/_keyward/v1/audit", (Endpoint::Operation(Operation::ReadAudit), "")),
            ("GET", "/_keyward/v1/audit/key", (Endpoint::Operation(Operation::AuditKey), "")),
        ] {
            assert_eq!(find(method, path, HostRole::GateAndControl).ok(), Some(expected), "{method} {path}");
        }
    }

    #[test]
    fn an_operation_that_takes_no_body_is_a_get_and_writes_nothing() {
        for operation in Operation::ALL {
            let spec = operation.spec();
            assert_eq!(spec.body == BodyKind::None, spec.method == "GET", "{operation:?}");
            assert!(!(spec.writes && spec.method == "GET"), "{operation:?}");
            assert!(!spec.takes_query || spec.method == "GET", "{operation:?}");
        }
    }

    #[test]
    fn no_two_routes_match_the_same_request() {
        let routes: Vec<Route> = routes().collect();
        for route in &routes {
            let path = route.path.replace("{path*}", "a/b").replace("{id}", "x").replace("{code}", "x");
            // A literal path wins over one with a name, because the fixed routes come first.
            let same = |other: &&Route| {
                matches(other.path, &path).is_some()
                    && (other.method == route.method || other.method == "ANY")
                    && other.path.contains('{') == route.path.contains('{')
            };
            assert_eq!(routes.iter().filter(same).count(), 1, "{} {}", route.method, route.path);
        }
    }

    #[test]
    fn on_the_gates_hosts_only_what_its_callers_need_is_open() {
        let mut open: Vec<String> = Vec::new();
        for route in routes() {
            let path = route.path.replace("{path*}", "a/b").replace("{id}", "x").replace("{code}", "x");
            let path = if path.starts_with('/') { path } else { format!("/_keyward/{path}") };
            let method = if route.method == "ANY" { "PUT" } else { route.method };
            let on = |host| find(method, &path, host).map(|(endpoint, _)| endpoint).map_err(|problem| problem.code);
            assert_eq!(on(HostRole::Control), Ok(route.endpoint), "{path}");
            let without_control_host = on(HostRole::GateAndControl);
            let expected = if route.served_on == ServedOn::Console { Err(Code::NoRoute) } else { Ok(route.endpoint) };
            assert_eq!(without_control_host, expected, "{path}");
            match on(HostRole::Gate) {
                Ok(endpoint) => {
                    assert_eq!(endpoint, route.endpoint, "{path}");
                    open.push(format!("{method} {path}"));
                }
                Err(code) => assert_eq!(code, Code::NoRoute, "{path}: the methods of another host are not told"),
            }
            assert_eq!(on(HostRole::Ambiguous), Err(Code::NoRoute), "{path}");
        }
        assert_eq!(
            open,
            [
                "GET /_keyward/health",
                "GET /_keyward/problems/x",
                "GET /.well-known/oauth-authorization-server/_keyward",
                "GET /_keyward/jwks.json",
                "PUT /_keyward/v1/authorize",
                "PUT /_keyward/v1/authorize/a/b",
                "POST /_keyward/v1/leaks",
                "GET /_keyward/v1/leaks/rules",
                "POST /_keyward/v1/leaks/github",
                "GET /_keyward/v1/leaks/gitlab/v1/revocable_token_types",
                "POST /_keyward/v1/leaks/gitlab/v1/revoke_tokens",
                "POST /_keyward/v1/verify",
                "POST /_keyward/oauth/introspect",
                "POST /_keyward/oauth/revoke",
            ]
        );
    }

    #[test]
    fn a_path_without_a_route_is_refused() {
        for (method, path, code) in [
            ("GET", "/_keyward", Code::NoRoute),
            ("GET", "/_keyward/", Code::NoRoute),
            ("GET", "/_KEYWARD/health", Code::NoRoute),
            ("GET", "/_keyward/health/", Code::NoRoute),
            ("GET", "/_keyward/problems/", Code::NoRoute),
            ("GET", "/_keyward/v1/keys/", Code::NoRoute),
            ("POST", "/_keyward/v1/keys//revoke", Code::NoRoute),
            ("GET", "/_keyward/v1/authorized", Code::NoRoute),
            ("POST", "/_keyward/jwks.json", Code::MethodNotAllowed),
            ("DELETE", "/_keyward/v1/keys/x", Code::MethodNotAllowed),
            ("GET", "/_keyward/v1/bootstrap", Code::MethodNotAllowed),
            ("GET", "/_keyward/v1/audit/x", Code::NoRoute),
            ("POST", "/_keyward/v1/audit", Code::MethodNotAllowed),
        ] {
            assert_eq!(find(method, path, HostRole::GateAndControl).unwrap_err().code, code, "{method} {path}");
        }
        let both = find("PUT", "/_keyward/v1/keys", HostRole::GateAndControl).unwrap_err();
        assert_eq!(both.headers(), [("allow", "POST, GET, HEAD".to_owned())]);
    }
}
