//! Which routes there are, and which one a request takes.

use super::target::Target;
use crate::key::scope::Scope;

/// One row of `ROUTES`.
#[derive(Debug, Clone)]
pub struct Route {
    method: RouteMethod,
    pattern: Pattern,
    /// Who may take it.
    pub access: Access,
    /// During an outage of the authority: whether it closes at the bound, without the grace.
    pub closed_on_outage: bool,
}

/// Who may take a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Keys that have this scope.
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
    any_rest: bool,
}

/// Why a `match` is no route. Shown to whoever configures it.
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
        if literal == "/_keyward" || literal.starts_with("/_keyward/") {
            return Err("must not begin with /_keyward/, which is Keyward's own");
        }
        Ok(Self { method, pattern: Pattern { literal: literal.to_owned(), any_rest }, access, closed_on_outage })
    }

    fn names(&self, method: &str) -> bool {
        match &self.method {
            RouteMethod::Any => true,
            RouteMethod::One(name) => name == if method == "HEAD" { "GET" } else { method },
        }
    }
}

impl Pattern {
    /// `Some(exact)` where the path fits, letter case aside; `exact` says whether it fits in its own letter case.
    fn fits(&self, path: &str) -> Option<bool> {
        let literal = self.literal.as_bytes();
        let start = path.as_bytes().get(..literal.len())?;
        let fits = (self.any_rest || path.len() == literal.len()) && start.eq_ignore_ascii_case(literal);
        fits.then(|| start == literal)
    }
}

/// What the table says of a request.
#[derive(Debug)]
pub enum Matched<'r> {
    /// The first route that fits.
    Route(&'r Route),
    /// Routes have the path but not the method; these methods they have, for `Allow`.
    OtherMethods(String),
    /// No route has the path.
    Nothing,
}

/// All routes, in order. The first match wins.
#[derive(Debug, Clone, Default)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// The table, in the order of `ROUTES`.
    #[must_use]
    pub const fn new(routes: Vec<Route>) -> Self {
        Self(routes)
    }

    /// The route of a request. A path that fits a route only in another letter case takes none: an origin that ignores case
    /// would otherwise be reached through a later, wider route.
    #[must_use]
    pub fn find(&self, method: &str, path: &str) -> Matched<'_> {
        let mut allow: Vec<&str> = Vec::new();
        for route in &self.0 {
            let Some(exact) = route.pattern.fits(path) else { continue };
            if route.names(method) {
                return if exact { Matched::Route(route) } else { Matched::Nothing };
            }
            if let (true, RouteMethod::One(name)) = (exact, &route.method) {
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

    /// Every scope that a route asks for, each once, in order.
    #[must_use]
    pub fn scopes(&self) -> Vec<Scope> {
        let mut scopes: Vec<Scope> = self
            .0
            .iter()
            .filter_map(|route| match &route.access {
                Access::Scope(scope) => Some(scope.clone()),
                Access::Public => None,
            })
            .collect();
        scopes.sort();
        scopes.dedup();
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
            "GET /a b",
        ] {
            assert!(Route::parse(row, Access::Public, false).is_err(), "{row}");
        }
    }
}
