//! Table of routes, and the matching of a request to a route.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::target::Target;
use keyward_key::scope::Scope;

/// Path of the metadata of an issuer whose path is `/_keyward` (RFC 8414, section 3.1). It is Keyward's own, although it is not
/// below `/_keyward/`.
pub const METADATA_PATH: &str = "/.well-known/oauth-authorization-server/_keyward";

/// Whether a path is Keyward's own, in any letter case: `/_keyward`, everything below it, and [`METADATA_PATH`]. Such a path is
/// never forwarded.
#[must_use]
pub fn is_own_path(path: &str) -> bool {
    let own = "/_keyward";
    path.get(..own.len()).is_some_and(|start| start.eq_ignore_ascii_case(own))
        && matches!(path.as_bytes().get(own.len()), None | Some(b'/'))
        || path.eq_ignore_ascii_case(METADATA_PATH)
}

/// One row of `ROUTES`.
#[derive(Debug, Clone)]
pub struct Route {
    method: RouteMethod,
    pattern: Pattern,
    /// Who may use the route.
    pub access: Access,
    /// Whether the route closes at the bound, without the grace, during an outage of the authority.
    pub closed_on_outage: bool,
    /// Whether each request gets its own assertion, bound to its method and URL, instead of a cached one.
    pub own_assertion: bool,
}

/// Who may use a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Holders of a key with this scope.
    Scope(Scope),
    /// Anyone, with no key and no identity headers.
    Public,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum RouteMethod {
    Any,
    One(String),
}

#[derive(Debug, Clone)]
struct Pattern {
    literal: String,
    /// `literal` with its escapes decoded.
    decoded: Vec<u8>,
    any_rest: bool,
}

/// How a path matches a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// Byte for byte.
    Exact,
    /// In another letter case, or with escaped characters that are plain in the pattern.
    EquivalentSpelling,
    /// Except for parameters (`;…`) or a trailing slash: the same address to many servers.
    EquivalentPath,
}

/// A path, and the other forms in which an origin may read it.
struct Readings<'a> {
    path: &'a str,
    decoded: Cow<'a, [u8]>,
    /// Decoded, without parameters. `None` for a path with neither parameters nor a trailing slash.
    bare: Option<Vec<u8>>,
}

/// Why a `match` is invalid. Shown to the operator.
pub type BadPattern = &'static str;

impl Route {
    /// Parses `METHOD /path` or `METHOD /path/*`; the method may be `*`.
    ///
    /// # Errors
    /// A sentence for the configuration's problem list.
    pub fn parse(text: &str, access: Access, closed_on_outage: bool) -> Result<Self, BadPattern> {
        let (method, path) = text.split_once(' ').ok_or("must be a method (or *), one space, and a path")?;
        let method = match method {
            "*" => RouteMethod::Any,
            "HEAD" => return Err("must name GET instead of HEAD, which counts as GET"),
            "TRACE" | "CONNECT" | "TRACK" => return Err("names a method that is never forwarded"),
            name if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') => {
                RouteMethod::One(name.to_owned())
            }
            _ => return Err("must name a method in capitals, or *"),
        };
        let (literal, any_rest) = match path.strip_suffix('*') {
            Some(literal) => (literal, true),
            None => (path, false),
        };
        if literal.contains('*') {
            return Err("may have a * only at its end");
        }
        let target = Target::parse(literal)
            .map_err(|_| "must be an absolute path in its plain form, without dot segments or //")?;
        if target.query().is_some() {
            return Err("must be a path without a query");
        }
        if is_own_path(literal) {
            return Err("must not name what is Keyward's own: /_keyward and below it, and the metadata's address");
        }
        let pattern = Pattern { literal: literal.to_owned(), decoded: percent_decode_str(literal).collect(), any_rest };
        Ok(Self { method, pattern, access, closed_on_outage, own_assertion: false })
    }

    /// Returns the route with or without its own assertion for each request.
    #[must_use]
    pub fn with_own_assertion(self, own_assertion: bool) -> Self {
        Self { own_assertion, ..self }
    }

    fn asks_the_same(&self, other: &Self) -> bool {
        self.access == other.access
            && self.closed_on_outage == other.closed_on_outage
            && self.own_assertion == other.own_assertion
    }

    fn names(&self, method: &str) -> bool {
        match &self.method {
            RouteMethod::Any => true,
            RouteMethod::One(name) => name == if method == "HEAD" { "GET" } else { method },
        }
    }
}

impl<'a> Readings<'a> {
    fn of(path: &'a str) -> Self {
        let decoded: Cow<'a, [u8]> = percent_decode_str(path).into();
        let bare = (decoded.ends_with(b"/") || decoded.contains(&b';')).then(|| {
            let segments = decoded.split(|byte| *byte == b'/');
            let names = segments.map(|segment| segment.split(|byte| *byte == b';').next().unwrap_or_default());
            names.collect::<Vec<_>>().join(&b'/')
        });
        Self { path, decoded, bare }
    }
}

impl Pattern {
    fn fits(&self, readings: &Readings<'_>) -> Option<Fit> {
        let whole = |path: usize, literal: usize| self.any_rest || path == literal;
        if readings.path.starts_with(&self.literal) && whole(readings.path.len(), self.literal.len()) {
            return Some(Fit::Exact);
        }
        let loosely = |path: &[u8]| {
            whole(path.len(), self.decoded.len())
                && path.get(..self.decoded.len()).is_some_and(|start| start.eq_ignore_ascii_case(&self.decoded))
        };
        if loosely(&readings.decoded) {
            return Some(Fit::EquivalentSpelling);
        }
        let bare = readings.bare.as_deref()?;
        (loosely(bare) || bare.strip_suffix(b"/").is_some_and(loosely)).then_some(Fit::EquivalentPath)
    }
}

/// Result of a lookup in the table of routes.
#[derive(Debug)]
pub enum Matched<'r> {
    /// The first route that matches.
    Route(&'r Route),
    /// Routes match the path but not the method. Contains their methods, for `Allow`.
    OtherMethods(String),
    /// No route matches the path.
    Nothing,
}

/// All routes, in order. The first match wins.
#[derive(Debug, Clone, Default)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// Creates the table, in the order of `ROUTES`.
    #[must_use]
    pub const fn new(routes: Vec<Route>) -> Self {
        Self(routes)
    }

    /// Returns the route of a request.
    ///
    /// A path that matches a route only in another spelling takes no route: an origin that ignores case, or decodes before it
    /// routes, would otherwise be reached through a later, wider route. For the same reason, a path that matches a route except
    /// for its parameters or a trailing slash takes no later `*` route with different requirements.
    #[must_use]
    pub fn find(&self, method: &str, path: &str) -> Matched<'_> {
        let readings = Readings::of(path);
        let mut passed: Option<&Route> = None;
        let mut allow: Vec<&str> = Vec::new();
        for route in &self.0 {
            let Some(fit) = route.pattern.fits(&readings) else { continue };
            if route.names(method) {
                match fit {
                    Fit::Exact
                        if passed.is_some_and(|passed| route.pattern.any_rest && !route.asks_the_same(passed)) =>
                    {
                        return Matched::Nothing;
                    }
                    Fit::Exact => return Matched::Route(route),
                    Fit::EquivalentSpelling => return Matched::Nothing,
                    Fit::EquivalentPath => passed = passed.or(Some(route)),
                }
            } else if let (Fit::Exact, RouteMethod::One(name)) = (fit, &route.method) {
                let head = (name == "GET").then_some("HEAD");
                for name in [Some(name.as_str()), head].into_iter().flatten() {
                    if !allow.contains(&name) {
                        allow.push(name);
                    }
                }
            }
        }
        if allow.is_empty() { Matched::Nothing } else { Matched::OtherMethods(allow.join(", ")) }
    }

    /// Returns every scope that a route requires, without duplicates, sorted.
    #[must_use]
    pub fn scopes(&self) -> Vec<Scope> {
        let mut scopes: Vec<Scope> = Vec::new();
        for route in &self.0 {
            // Inserted in order: sorting afterwards adds 2 KB to the gzipped wasm and is no faster for a short list.
            if let Access::Scope(scope) = &route.access
                && let Err(at) = scopes.binary_search(scope)
            {
                scopes.insert(at, scope.clone());
            }
        }
        scopes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(rows: &[&str]) -> Routes {
        let access = || Access::Public;
        Routes::new(rows.iter().map(|row| Route::parse(row, access(), false).unwrap()).collect())
    }

    fn found(routes: &Routes, method: &str, path: &str) -> String {
        match routes.find(method, path) {
            Matched::Route(route) => {
                format!("{}{}", route.pattern.literal, if route.pattern.any_rest { "*" } else { "" })
            }
            Matched::OtherMethods(allow) => format!("405 {allow}"),
            Matched::Nothing => "404".to_owned(),
        }
    }

    #[test]
    fn the_first_match_wins_and_head_counts_as_get() {
        let table = routes(&["GET /a/b", "GET /a/*", "POST /a/*", "* /z"]);
        assert_eq!(found(&table, "GET", "/a/b"), "/a/b");
        assert_eq!(found(&table, "HEAD", "/a/b"), "/a/b");
        assert_eq!(found(&table, "GET", "/a/"), "/a/*");
        assert_eq!(found(&table, "GET", "/a"), "404");
        assert_eq!(found(&table, "POST", "/a/b"), "/a/*");
        assert_eq!(found(&table, "PUT", "/a/b"), "405 GET, HEAD, POST");
        assert_eq!(found(&table, "PURGE", "/z"), "/z");
        assert_eq!(found(&table, "GET", "/z/"), "404");
    }

    #[test]
    fn another_letter_case_never_takes_a_wider_route() {
        let table = routes(&["GET /a/b", "GET /*"]);
        assert_eq!(found(&table, "GET", "/A/b"), "404");
        assert_eq!(found(&table, "GET", "/other/B"), "/*");
        assert_eq!(found(&routes(&["GET /a/*"]), "GET", "/a/UPPER"), "/a/*");
    }

    fn with_scopes(rows: &[(&str, &str)]) -> Routes {
        let route = |(row, scope): &(&str, &str)| Route::parse(row, Access::Scope(Scope::parse(scope).unwrap()), false);
        Routes::new(rows.iter().map(|row| route(row).unwrap()).collect())
    }

    #[test]
    fn another_spelling_or_reading_never_takes_a_wider_route() {
        let table = with_scopes(&[
            ("GET /v1/users/@me", "self"),
            ("GET /v1/contacts:export", "export"),
            ("GET /v1/contacts/export", "export"),
            ("GET /v1/admin/*", "admin"),
            ("GET /v1/admin", "other"),
            ("GET /v1/*", "read"),
        ]);
        for path in [
            "/v1/users/%40me",
            "/v1/users/%40ME",
            "/v1/contacts%3Aexport",
            "/v1/contacts%3aexport/",
            "/v1/contacts/export/",
            "/v1/contacts/export;x=1",
            "/v1/contacts;a=b/export",
            "/v1/contacts/export%3bx",
            "/v1/CONTACTS/export;x/",
            "/v1/admin;x/users",
            "/v1;x/admin/users",
            "/v1;x/ADMIN/users",
            "/v1/admin;x/",
        ] {
            assert_eq!(found(&table, "GET", path), "404", "{path}");
        }
        for (path, taken) in [
            ("/v1/users/@me", "/v1/users/@me"),
            ("/v1/users/@you", "/v1/*"),
            ("/v1/users/%40you", "/v1/*"),
            ("/v1/contacts/exports/", "/v1/*"),
            ("/v1/admin", "/v1/admin"),
            ("/v1/admin/", "/v1/admin/*"),
            ("/v1/admin/users;x=1", "/v1/admin/*"),
            ("/v1/other;x=1/", "/v1/*"),
        ] {
            assert_eq!(found(&table, "GET", path), taken, "{path}");
        }
    }

    #[test]
    fn a_slash_at_the_end_takes_the_wider_route_where_that_asks_for_the_same() {
        let same = with_scopes(&[("GET /v1/a", "read"), ("GET /v1/a/*", "read")]);
        assert_eq!(found(&same, "GET", "/v1/a/"), "/v1/a/*");
        let exact = with_scopes(&[("GET /v1/a", "read"), ("GET /v1/a/", "other"), ("GET /a;b", "x"), ("GET /*", "y")]);
        assert_eq!(found(&exact, "GET", "/v1/a/"), "/v1/a/", "whoever writes both means both");
        assert_eq!(found(&exact, "GET", "/a;b"), "/a;b");
        assert_eq!(found(&exact, "GET", "/"), "/*");
    }

    #[test]
    fn every_scope_that_a_route_asks_for_is_known_once_and_in_order() {
        let scope = |text: &str| Scope::parse(text).unwrap();
        let rows = ["b:read", "a:write", "b:read", "a:read"].map(|text| Access::Scope(scope(text)));
        let rows = rows.into_iter().chain([Access::Public]);
        let routes = Routes::new(rows.map(|access| Route::parse("GET /a", access, false).unwrap()).collect());
        assert_eq!(routes.scopes(), ["a:read", "a:write", "b:read"].map(scope));
    }

    #[test]
    fn a_bad_pattern_is_refused() {
        for row in [
            "",
            "/a",
            "GET",
            "get /a",
            "GET a",
            "GET  /a",
            "HEAD /a",
            "TRACE /a",
            "GET /a/*/b",
            "GET /a/../b",
            "GET //a",
            "GET /%61",
            "GET /a?b",
            "GET /_keyward/*",
            "GET /.well-known/oauth-authorization-server/_keyward",
            "* /.well-known/oauth-authorization-server/_keyward*",
            "GET /a b",
        ] {
            assert!(Route::parse(row, Access::Public, false).is_err(), "{row}");
        }
    }
}
