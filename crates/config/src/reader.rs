//! Reading of single variables. A variable may have its JSON type or be the same value as a string.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::limits::parse_limits;
use super::route::parse_route;
use super::{AccessSettings, ConfigProblem, Origin, SecretToken};
use keyward_http::head::{is_host, is_loopback, split_authority};
use keyward_http::route::Routes;
use keyward_http::target::Target;
use keyward_key::exposure::{ExposureAction, ExposureKind, OnExposure};
use keyward_key::id::Prefix;
use keyward_key::keyring::{Keyring, Secret};
use keyward_key::limit::Limit;

/// Minimum length of a [`SecretToken`] in characters: 128 bits in base64.
const TOKEN_LENGTH: usize = 22;

/// Default of `LEAK_GITHUB_KEYS_URL`.
const GITHUB_KEYS_URL: &str = "https://api.github.com/meta/public_keys/secret_scanning";

/// Reads the variables, and collects what is wrong with them.
pub(super) struct Reader<'a> {
    pub vars: &'a Map<String, Value>,
    pub problems: Vec<ConfigProblem>,
}

impl<'a> Reader<'a> {
    pub fn problem(&mut self, variable: impl Into<String>, detail: impl Into<String>) {
        self.problems.push(ConfigProblem { variable: variable.into(), detail: detail.into() });
    }

    /// Returns the variable's value. Empty and `null` count as not set.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.vars.get(name).filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    pub fn text(&mut self, name: &str) -> Option<&'a str> {
        let text = self.get(name)?.as_str();
        if text.is_none() {
            self.problem(name, "must be a string");
        }
        text
    }

    pub fn secret(&mut self, name: &str) -> Option<Secret> {
        let secret = Secret::parse(self.text(name)?);
        if secret.is_none() {
            self.problem(name, "must be 32 random bytes in base64: create one with `openssl rand -base64 32`");
        }
        secret
    }

    pub fn keyring(&mut self) -> Option<Keyring> {
        if self.get("KEYWARD_SECRET").is_none() {
            self.problem("KEYWARD_SECRET", "is missing: set 32 random bytes in base64 (`openssl rand -base64 32`)");
        }
        let current = self.secret("KEYWARD_SECRET");
        let previous = self.secret("KEYWARD_SECRET_PREVIOUS");
        Keyring::new(&current?, previous.as_ref())
    }

    pub fn bootstrap_token(&mut self) -> Option<SecretToken> {
        let name = "BOOTSTRAP_TOKEN";
        if self.get(name).is_none() {
            self.problem(name, "is missing: set a random text (`openssl rand -base64 32`)");
        }
        self.token(name)
    }

    pub fn metrics_token(&mut self) -> Option<SecretToken> {
        let name = "METRICS_TOKEN";
        self.get(name)?;
        if self.get(name) == self.get("BOOTSTRAP_TOKEN") {
            self.problem(name, "must differ from BOOTSTRAP_TOKEN: use `openssl rand -base64 32`");
        }
        self.token(name)
    }

    pub fn token(&mut self, name: &str) -> Option<SecretToken> {
        let token = self.text(name)?;
        if token.len() < TOKEN_LENGTH || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.problem(name, "must be at least 22 visible ASCII characters: use `openssl rand -base64 32`");
            return None;
        }
        Some(SecretToken(Sha256::digest(token.as_bytes()).into()))
    }

    pub fn leak_gitlab_token(&mut self) -> Option<SecretToken> {
        self.token("LEAK_GITLAB_TOKEN")
    }

    /// Reads `LEAK_GITHUB_KEYS_URL`. Whoever answers there can have keys revoked that they know, so plain HTTP is for tests on loopback only.
    pub fn leak_github_keys_url(&mut self) -> String {
        let name = "LEAK_GITHUB_KEYS_URL";
        let text = self.text(name).unwrap_or(GITHUB_KEYS_URL);
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let (host, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).unwrap_or_default();
        let allowed = scheme == "https" || scheme == "http" && is_loopback(split_authority(host).0);
        if !(allowed && is_host(host) && (path.is_empty() || Target::parse(path).is_ok())) {
            self.problem(name, "must be an https URL; plain http only on loopback");
        }
        text.to_owned()
    }

    pub fn prefix(&mut self) -> Option<Prefix> {
        let prefix = match self.get("KEY_PREFIX") {
            None => Prefix::parse("wafl"),
            Some(_) => Prefix::parse(self.text("KEY_PREFIX")?),
        };
        if prefix.is_none() {
            self.problem("KEY_PREFIX", "must be 2 to 8 of a-z");
        }
        prefix
    }

    pub fn origin_live(&mut self) -> Option<Origin> {
        if self.get("ORIGIN_LIVE").is_none() {
            self.problem("ORIGIN_LIVE", "is missing: set the origin's scheme and host, or \"route\" on a zone route");
        }
        let text = self.text("ORIGIN_LIVE")?;
        if text == "route" { Some(Origin::Route) } else { self.base("ORIGIN_LIVE", text) }
    }

    pub fn origin_test(&mut self) -> Option<Origin> {
        let text = self.text("ORIGIN_TEST")?;
        self.base("ORIGIN_TEST", text)
    }

    pub fn base(&mut self, name: &str, text: &str) -> Option<Origin> {
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let host = rest.strip_suffix('/').unwrap_or(rest);
        if matches!(scheme, "http" | "https") && is_host(host) {
            return Some(Origin::Base(format!("{scheme}://{host}")));
        }
        self.problem(name, "must be a scheme and a host, like https://api.example.com, without a path");
        None
    }

    pub fn flag(&mut self, name: &str, default: bool) -> bool {
        match self.get(name) {
            None => default,
            Some(Value::Bool(value)) => *value,
            Some(Value::String(text)) if text == "true" => true,
            Some(Value::String(text)) if text == "false" => false,
            Some(_) => {
                self.problem(name, "must be true or false");
                default
            }
        }
    }

    pub fn number(&mut self, name: &str, default: u32, least: u32, most: u32) -> u32 {
        let value = match self.get(name) {
            None => return default,
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_u64().and_then(|value| u32::try_from(value).ok()),
        };
        value.filter(|value| (least..=most).contains(value)).unwrap_or_else(|| {
            self.problem(name, format!("must be a whole number from {least} to {most}"));
            default
        })
    }

    pub fn authority_epoch(&mut self) -> Option<String> {
        let name = "AUTHORITY_EPOCH";
        let text = self.text(name)?;
        if text.len() > 64 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.problem(name, "must be 1 to 64 visible ASCII characters");
        }
        Some(text.to_owned())
    }

    /// Requires both settings or neither: with only one, an operator could wrongly believe that sign-in through Access is on, or
    /// off.
    pub fn access(&mut self) -> Option<AccessSettings> {
        let names = ["ACCESS_TEAM_DOMAIN", "ACCESS_AUDIENCE"];
        let [domain, audience] = names.map(|name| self.get(name).is_some().then(|| self.text(name)));
        match (domain, audience) {
            (None, None) => return None,
            (Some(_), None) => self.problem(
                "ACCESS_AUDIENCE",
                "is missing: set it, or remove ACCESS_TEAM_DOMAIN; one has no effect without the other",
            ),
            (None, Some(_)) => self.problem(
                "ACCESS_TEAM_DOMAIN",
                "is missing: set it, or remove ACCESS_AUDIENCE; one has no effect without the other",
            ),
            (Some(_), Some(_)) => {}
        }
        let team_domain = domain.flatten().map(|text| text.strip_suffix('/').unwrap_or(text));
        if team_domain.is_some_and(|text| !is_team_domain(text)) {
            self.problem("ACCESS_TEAM_DOMAIN", "must be https://<team>.cloudflareaccess.com");
        }
        let audience = audience.flatten();
        if audience.is_some_and(|text| text.len() > 128 || !text.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
            self.problem("ACCESS_AUDIENCE", "must be the audience tag of the Access application, 64 hex digits");
        }
        Some(AccessSettings { team_domain: team_domain?.to_owned(), audience: audience?.to_owned() })
    }

    /// Reads `ISSUER` unchanged, because verifiers compare it character by character.
    pub fn issuer(&mut self) -> Option<String> {
        let text = self.text("ISSUER")?;
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let (host, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).unwrap_or_default();
        let in_order = matches!(scheme, "http" | "https")
            && is_host(host)
            && (path.is_empty() || Target::parse(path).is_ok_and(|target| target.query().is_none()));
        if !in_order {
            self.problem("ISSUER", "must be a URL without a query, like https://api.example.com/_keyward");
        }
        in_order.then(|| text.to_owned())
    }

    /// Reads `ON_EXPOSURE`: a table of kinds, each with its action. A kind that it does not name is only recorded.
    pub fn on_exposure(&mut self) -> OnExposure {
        let name = "ON_EXPOSURE";
        let table = match self.get(name) {
            None => return OnExposure::default(),
            Some(Value::String(text)) => serde_json::from_str(text).ok(),
            Some(value) => value.as_object().cloned(),
        };
        let parse = |table: Map<String, Value>| {
            table.iter().try_fold(OnExposure::default(), |settings, (kind, action)| {
                Some(settings.with(ExposureKind::parse(kind)?, ExposureAction::parse(action.as_str()?)?))
            })
        };
        table.and_then(parse).unwrap_or_else(|| {
            let form = "must be a table of url, browser and http, each record, quarantine or revoke";
            self.problem(name, form);
            OnExposure::default()
        })
    }

    pub fn default_limits(&mut self) -> Vec<Limit> {
        let name = "DEFAULT_LIMITS";
        let list = match self.get(name) {
            None => return Vec::new(),
            Some(Value::String(text)) => serde_json::from_str(text).ok(),
            Some(value) => Some(value.clone()),
        };
        parse_limits(list).unwrap_or_else(|problem| {
            self.problem(name, problem);
            Vec::new()
        })
    }

    pub fn routes(&mut self) -> Routes {
        let parsed = match self.get("ROUTES") {
            Some(Value::String(text)) => serde_json::from_str(text).ok(),
            Some(value) => Some(value.clone()),
            None => None,
        };
        let rows = match parsed {
            Some(Value::Array(rows)) if !rows.is_empty() => rows,
            _ => {
                self.problem(
                    "ROUTES",
                    "must be a non-empty list of routes, each with `match` and either `scope` or `access`",
                );
                return Routes::default();
            }
        };
        let mut routes = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            match parse_route(row) {
                Ok(route) => routes.push(route),
                Err(detail) => self.problem(format!("ROUTES[{index}]"), detail),
            }
        }
        Routes::new(routes)
    }
}

/// Whether the text is the domain of a Cloudflare Access team or, for tests, a port on localhost.
fn is_team_domain(text: &str) -> bool {
    let team = text.strip_prefix("https://").and_then(|text| text.strip_suffix(".cloudflareaccess.com"));
    let fits = |name: &str| {
        (1..=63).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let port = text.strip_prefix("http://127.0.0.1:").and_then(|port| port.parse::<u16>().ok());
    team.is_some_and(fits) || port.is_some()
}
