//! Table of routes, and the matching of a request to a route.

mod pattern;

use std::collections::BTreeMap;
use std::sync::Arc;

use keyward_key::scope::Scope;
use pattern::{Fit, Pattern, Readings};

/// Path of the metadata of an issuer whose path is `/_keyward` (RFC 8414, section 3.1). It is Keyward's own, although it is not
/// below `/_keyward/`.
pub const METADATA_PATH: &str = "/.well-known/oauth-authorization-server/_keyward";

/// Returns whether a path is Keyward's own, in any letter case: `/_keyward`, everything below it, and [`METADATA_PATH`]. Such a path is
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
    /// The `match` of its row. Shared, because each counted request refers to it.
    text: Arc<str>,
    methods: Methods,
    pattern: Pattern,
    /// Access rule of the route.
    pub access: Access,
    /// Whether the route closes at the bound, without the grace, during an outage of the authority.
    pub closed_on_outage: bool,
    /// Whether each request gets its own assertion, bound to its method and URL, instead of a cached one.
    pub own_assertion: bool,
    /// Units that a request takes from the limits of its key.
    pub cost: u32,
}

/// Access rule of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Holders of a key with this scope.
    Scope(Scope),
    /// Anyone, with no key and no identity headers.
    Public,
}

/// Methods of a route. `HEAD` is left out, because it counts as `GET`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Methods {
    Any,
    Named(Vec<String>),
}

/// Reason why a `match` is invalid. Shown to the operator.
pub type BadPattern = &'static str;

impl Route {
    /// Parses `METHOD /path`, where the method may be several with commas, or `*`, and the path may end with `*` or `/**`.
    ///
    /// # Errors
    /// A sentence for the configuration's problem list.
    pub fn parse(text: &str, access: Access, closed_on_outage: bool) -> Result<Self, BadPattern> {
        let (methods, path) = text.split_once(' ').ok_or("must be a method (or *), one space, and a path")?;
        let (methods, pattern) = (Methods::parse(methods)?, Pattern::parse(path)?);
        Ok(Self { text: text.into(), methods, pattern, access, closed_on_outage, own_assertion: false, cost: 1 })
    }

    /// Returns the route with or without its own assertion for each request.
    #[must_use]
    pub fn with_own_assertion(self, own_assertion: bool) -> Self {
        Self { own_assertion, ..self }
    }

    /// Returns the `match` of its row in `ROUTES`, such as `GET /v1/contacts/*`. It contains no text of a client.
    #[must_use]
    pub const fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Returns the route with this cost.
    #[must_use]
    pub fn with_cost(self, cost: u32) -> Self {
        Self { cost, ..self }
    }

    fn asks_the_same(&self, other: &Self) -> bool {
        self.access == other.access
            && self.closed_on_outage == other.closed_on_outage
            && self.own_assertion == other.own_assertion
            && self.cost == other.cost
    }
}

impl Methods {
    fn parse(text: &str) -> Result<Self, BadPattern> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let mut names: Vec<String> = Vec::new();
        for name in text.split(',') {
            match name {
                "*" => return Err("must name either * or methods"),
                "HEAD" => return Err("must name GET instead of HEAD, which counts as GET"),
                "TRACE" | "CONNECT" | "TRACK" => return Err("names a method that is never forwarded"),
                name if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') => {
                    return Err("must name methods in capitals, with commas and no spaces between them, or *");
                }
                name if names.iter().any(|known| known == name) => return Err("names a method twice"),
                name => names.push(name.to_owned()),
            }
        }
        Ok(Self::Named(names))
    }

    fn have(&self, method: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Named(names) => names.iter().any(|name| name == if method == "HEAD" { "GET" } else { method }),
        }
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
    /// A path that matches a route only in another spelling gets no route. Otherwise an origin that ignores case, or decodes before it
    /// routes, could be reached through a later, wider route. For the same reason, a path that matches a route except for parts that
    /// servers drop, such as parameters or a format suffix, gets no later `*` route with different requirements.
    #[must_use]
    pub fn find(&self, method: &str, path: &str) -> Matched<'_> {
        let readings = Readings::of(path);
        let mut passed: Vec<&Route> = Vec::new();
        let mut allow: Vec<&str> = Vec::new();
        for route in &self.0 {
            let Some(fit) = route.pattern.fits(&readings) else { continue };
            match (fit, &route.methods) {
                (_, methods) if methods.have(method) => match fit {
                    Fit::Open if passed.iter().any(|passed| !route.asks_the_same(passed)) => return Matched::Nothing,
                    Fit::Whole | Fit::Open => return Matched::Route(route),
                    Fit::EquivalentSpelling => return Matched::Nothing,
                    Fit::EquivalentPath => passed.push(route),
                },
                (Fit::Whole | Fit::Open, Methods::Named(names)) => {
                    for name in names.iter().map(String::as_str) {
                        let head = (name == "GET").then_some("HEAD");
                        for name in [Some(name), head].into_iter().flatten() {
                            if !allow.contains(&name) {
                                allow.push(name);
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        if allow.is_empty() { Matched::Nothing } else { Matched::OtherMethods(allow.join(", ")) }
    }

    /// Returns the `match` of each route that one of these scopes opens, in the order of the table.
    #[must_use]
    pub fn opened_by(&self, scopes: &[String]) -> Vec<String> {
        let opens = |route: &&Route| match &route.access {
            Access::Scope(scope) => scopes.iter().any(|held| held == scope.as_str()),
            Access::Public => false,
        };
        self.0.iter().filter(opens).map(|route| route.text().to_string()).collect()
    }

    /// Returns the `match` of every route of each scope.
    #[must_use]
    pub fn by_scope(&self) -> BTreeMap<Scope, Vec<String>> {
        let mut routes: BTreeMap<Scope, Vec<String>> = BTreeMap::new();
        for route in &self.0 {
            if let Access::Scope(scope) = &route.access {
                routes.entry(scope.clone()).or_default().push(route.text().to_string());
            }
        }
        routes
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
mod tests;
