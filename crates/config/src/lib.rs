//! Variables and secrets, parsed once per isolate. All problems are reported at once, by variable name, without the value of any
//! secret.
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

mod effective;
mod event_hosts;
mod hosts;
mod limits;
mod route;
mod settings;

use std::borrow::Cow;

use ctutils::CtEq;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use keyward_http::event_url::EventHosts;
use keyward_http::head::{Head, is_host, is_loopback, split_authority};
use keyward_http::origin::origin_of;
use keyward_http::route::Routes;
use keyward_http::target::Target;
use keyward_key::exposure::{ExposureAction, ExposureKind, OnExposure};
use keyward_key::id::Prefix;
use keyward_key::keyring::{Keyring, Secret};
use keyward_key::limit::Limit;
use keyward_key::time::Millis;
use limits::parse_limits;
use route::parse_route;

pub use effective::{EffectiveSetting, of_default};
pub use hosts::{Host, HostRole};
pub use settings::{SETTINGS, Setting, settings_table};

/// Minimum length of a [`SecretToken`] in characters: 128 bits in base64.
const TOKEN_LENGTH: usize = 22;

/// Default of `LEAK_GITHUB_KEYS_URL`.
const GITHUB_KEYS_URL: &str = "https://api.github.com/meta/public_keys/secret_scanning";

/// A complete, valid configuration.
pub struct Config {
    /// `KEY_PREFIX`.
    pub prefix: Prefix,
    /// Keys derived from `KEYWARD_SECRET` and `KEYWARD_SECRET_PREVIOUS`.
    pub keyring: Keyring,
    /// `BOOTSTRAP_TOKEN`.
    pub bootstrap_token: SecretToken,
    /// `METRICS_TOKEN`.
    pub metrics_token: Option<SecretToken>,
    /// `ORIGIN_LIVE`.
    pub origin_live: Origin,
    /// `ORIGIN_TEST`. With `None`, test keys get 503.
    pub origin_test: Option<Origin>,
    /// `ROUTE_HOSTS`; see [`Self::forwards_from`].
    route_hosts: Vec<Host>,
    /// `ROUTES`, in order.
    pub routes: Routes,
    /// `REQUIRE_HTTPS`, default true.
    pub require_https: bool,
    /// `REFUSE_BROWSERS`, default true.
    pub refuse_browsers: bool,
    /// `MAX_KEY_DAYS`, default 365.
    pub max_key_days: u32,
    /// `MAX_MEMBER_DAYS`, default 365.
    pub max_member_days: u32,
    /// `REVOCATION_BOUND_SECONDS`, default 5.
    pub bound_seconds: u32,
    /// `OUTAGE_GRACE_SECONDS`, default 60.
    pub grace_seconds: u32,
    /// `ORIGIN_TIMEOUT_SECONDS`, default 60: timeout for the headers of the origin's response.
    pub origin_timeout_seconds: u32,
    /// `MAX_CONNECTION_SECONDS`, default 86,400: maximum age of a WebSocket or event stream that began with a key.
    pub max_connection_seconds: u32,
    /// `AUTHORITY_EPOCH`: any text. A changed value informs the authority that it was restored from a backup.
    pub authority_epoch: Option<String>,
    /// `CONTROL_HOST`; see [`Self::host_role`].
    control_host: Option<Host>,
    /// `ACCESS_TEAM_DOMAIN` and `ACCESS_AUDIENCE`. `None` if neither is set; then nobody signs in through Access.
    pub access: Option<AccessSettings>,
    /// `ISSUER`; see [`Self::issuer`].
    issuer: Option<String>,
    /// `LEAK_GITHUB_KEYS_URL`: list of the keys that sign GitHub's leak reports.
    pub leak_github_keys_url: String,
    /// `LEAK_GITLAB_TOKEN`. With `None`, GitLab's endpoints are absent.
    pub leak_gitlab_token: Option<SecretToken>,
    /// `ON_EXPOSURE`, by default only recorded.
    pub on_exposure: OnExposure,
    /// `IDLE_DAYS`: days without use after which a key is idle.
    pub idle_days: u32,
    /// `ROTATE_DAYS`: age of a key, in days, from which its rotation is overdue.
    pub rotate_days: u32,
    /// `REVOKE_IDLE_DAYS`: days without use after which a key is revoked; 0 for never.
    pub revoke_idle_days: u32,
    /// `EVENT_HOSTS`, without the hosts of Keyward and of the origins.
    pub event_hosts: EventHosts,
    /// Settings as given, without secrets; see [`Self::effective`].
    given: effective::Given,
    /// `DEFAULT_LIMITS`, for keys without limits of their own.
    pub default_limits: Vec<Limit>,
}

/// Trusted identity provider for e-mail addresses: a Cloudflare Access team, for one of its applications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessSettings {
    /// `https://<team>.cloudflareaccess.com`, without a trailing slash: the issuer, and the base URL of its certificates.
    pub team_domain: String,
    /// The application's audience tag.
    pub audience: String,
}

/// Destination of accepted requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The request's own URL: the worker runs on a zone route.
    Route,
    /// Scheme, host and port, without a trailing slash.
    Base(String),
}

/// A secret that callers present, stored only as its SHA-256: `BOOTSTRAP_TOKEN`, `LEAK_GITLAB_TOKEN`.
pub struct SecretToken([u8; 32]);

impl SecretToken {
    /// Whether `presented` is the token. The digests are compared in constant time.
    #[must_use]
    pub fn matches(&self, presented: &str) -> bool {
        let digest: [u8; 32] = Sha256::digest(presented.as_bytes()).into();
        self.0.ct_eq(&digest).into()
    }
}

/// A problem with a variable, and its fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Name of the variable; for a route with its index, `ROUTES[3]`.
    pub variable: String,
    /// A sentence without the value of any secret.
    pub detail: String,
}

impl Config {
    /// Returns the times by which a change takes effect everywhere: while the authority answers, and whatever fails.
    #[must_use]
    pub fn effect_times(&self, changed_at: Millis) -> (Millis, Millis) {
        let effective = changed_at.plus_seconds(self.bound_seconds.into());
        (effective, effective.plus_seconds(self.grace_seconds.into()))
    }

    /// Checks every variable. A variable may have its JSON type or be the same value as a string.
    ///
    /// # Errors
    /// All problems, in the order of [`SETTINGS`].
    pub fn parse(vars: &Map<String, Value>) -> Result<Self, Vec<ConfigProblem>> {
        let mut reader = Reader { vars, problems: Vec::new() };
        let keyring = reader.keyring();
        let bootstrap_token = reader.bootstrap_token();
        let metrics_token = reader.metrics_token();
        let prefix = reader.prefix();
        let origin_live = reader.origin_live();
        let route_hosts = reader.route_hosts();
        let origin_test = reader.origin_test();
        let require_https = reader.flag("REQUIRE_HTTPS", true);
        let refuse_browsers = reader.flag("REFUSE_BROWSERS", true);
        let max_key_days = reader.number("MAX_KEY_DAYS", 365, 1, 3650);
        let max_member_days = reader.number("MAX_MEMBER_DAYS", 365, 1, 3650);
        let bound_seconds = reader.number("REVOCATION_BOUND_SECONDS", 5, 1, 300);
        let grace_seconds = reader.number("OUTAGE_GRACE_SECONDS", 60, 0, 86_400);
        let origin_timeout_seconds = reader.number("ORIGIN_TIMEOUT_SECONDS", 60, 1, 600);
        let max_connection_seconds = reader.number("MAX_CONNECTION_SECONDS", 86_400, 60, 604_800);
        let authority_epoch = reader.authority_epoch();
        let control_host = reader.control_host(&route_hosts, [origin_live.as_ref(), origin_test.as_ref()]);
        let access = reader.access();
        let issuer = reader.issuer();
        let on_exposure = reader.on_exposure();
        let idle_days = reader.number("IDLE_DAYS", 90, 1, 400);
        let revoke_idle_days = reader.number("REVOKE_IDLE_DAYS", 0, 0, 400);
        let rotate_days = reader.number("ROTATE_DAYS", 90, 1, 400);
        let default_limits = reader.default_limits();
        let leak_github_keys_url = reader.leak_github_keys_url();
        let leak_gitlab_token = reader.leak_gitlab_token();
        let event_hosts = reader.event_hosts();
        let routes = reader.routes();
        match (keyring, bootstrap_token, prefix, origin_live) {
            (Some(keyring), Some(bootstrap_token), Some(prefix), Some(origin_live)) if reader.problems.is_empty() => {
                Ok(Self {
                    prefix,
                    keyring,
                    bootstrap_token,
                    metrics_token,
                    origin_live,
                    origin_test,
                    route_hosts,
                    routes,
                    require_https,
                    refuse_browsers,
                    max_key_days,
                    max_member_days,
                    bound_seconds,
                    grace_seconds,
                    origin_timeout_seconds,
                    max_connection_seconds,
                    authority_epoch,
                    control_host,
                    access,
                    issuer,
                    leak_github_keys_url,
                    leak_gitlab_token,
                    on_exposure,
                    idle_days,
                    revoke_idle_days,
                    rotate_days,
                    event_hosts,
                    given: reader.given(),
                    default_limits,
                })
            }
            _ => Err(reader.problems),
        }
    }

    /// Returns the issuer of Keyward's assertions, which is also the base URL of its metadata: `ISSUER`, or the request's own
    /// scheme and host with `/_keyward` (RFC 8414, section 2).
    #[must_use]
    pub fn issuer(&self, head: &Head<'_>) -> Cow<'_, str> {
        self.issuer.as_deref().map_or_else(|| [&origin_of(head.base()), "/_keyward"].concat().into(), Cow::Borrowed)
    }

    /// Returns the `source` of events: `ISSUER`, or the path that it would have.
    #[must_use]
    pub fn event_source(&self) -> &str {
        self.issuer.as_deref().unwrap_or("/_keyward")
    }

    /// Returns scheme and host by which this gate is known to everybody: those of `ISSUER`, or of the request.
    #[must_use]
    pub fn public_base<'a>(&'a self, head: &'a Head<'_>) -> Cow<'a, str> {
        let issuer = self.issuer.as_deref().map(|issuer| {
            let host_at = issuer.find("://").map_or(0, |at| at.saturating_add(3));
            let path_at = issuer.get(host_at..).and_then(|rest| rest.find('/')).map(|at| at.saturating_add(host_at));
            path_at.and_then(|end| issuer.get(..end)).unwrap_or(issuer)
        });
        issuer.map_or_else(|| origin_of(head.base()), Cow::Borrowed)
    }
}

struct Reader<'a> {
    vars: &'a Map<String, Value>,
    problems: Vec<ConfigProblem>,
}

impl<'a> Reader<'a> {
    fn problem(&mut self, variable: impl Into<String>, detail: impl Into<String>) {
        self.problems.push(ConfigProblem { variable: variable.into(), detail: detail.into() });
    }

    /// Returns the variable's value. Empty and `null` count as not set.
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.vars.get(name).filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    fn text(&mut self, name: &str) -> Option<&'a str> {
        let text = self.get(name)?.as_str();
        if text.is_none() {
            self.problem(name, "must be a string");
        }
        text
    }

    fn secret(&mut self, name: &str) -> Option<Secret> {
        let secret = Secret::parse(self.text(name)?);
        if secret.is_none() {
            self.problem(name, "must be 32 random bytes in base64: create one with `openssl rand -base64 32`");
        }
        secret
    }

    fn keyring(&mut self) -> Option<Keyring> {
        if self.get("KEYWARD_SECRET").is_none() {
            self.problem("KEYWARD_SECRET", "is missing: set 32 random bytes in base64 (`openssl rand -base64 32`)");
        }
        let current = self.secret("KEYWARD_SECRET");
        let previous = self.secret("KEYWARD_SECRET_PREVIOUS");
        Keyring::new(&current?, previous.as_ref())
    }

    fn bootstrap_token(&mut self) -> Option<SecretToken> {
        let name = "BOOTSTRAP_TOKEN";
        if self.get(name).is_none() {
            self.problem(name, "is missing: set a random text (`openssl rand -base64 32`)");
        }
        self.token(name)
    }

    fn metrics_token(&mut self) -> Option<SecretToken> {
        let name = "METRICS_TOKEN";
        self.get(name)?;
        if self.get(name) == self.get("BOOTSTRAP_TOKEN") {
            self.problem(name, "must differ from BOOTSTRAP_TOKEN: use `openssl rand -base64 32`");
        }
        self.token(name)
    }

    fn token(&mut self, name: &str) -> Option<SecretToken> {
        let token = self.text(name)?;
        if token.len() < TOKEN_LENGTH || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.problem(name, "must be at least 22 visible ASCII characters: use `openssl rand -base64 32`");
            return None;
        }
        Some(SecretToken(Sha256::digest(token.as_bytes()).into()))
    }

    fn leak_gitlab_token(&mut self) -> Option<SecretToken> {
        self.token("LEAK_GITLAB_TOKEN")
    }

    /// Reads `LEAK_GITHUB_KEYS_URL`. Whoever answers there can have keys revoked that they know, so plain HTTP is for tests on loopback only.
    fn leak_github_keys_url(&mut self) -> String {
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

    fn prefix(&mut self) -> Option<Prefix> {
        let prefix = match self.get("KEY_PREFIX") {
            None => Prefix::parse("wafl"),
            Some(_) => Prefix::parse(self.text("KEY_PREFIX")?),
        };
        if prefix.is_none() {
            self.problem("KEY_PREFIX", "must be 2 to 8 of a-z");
        }
        prefix
    }

    fn origin_live(&mut self) -> Option<Origin> {
        if self.get("ORIGIN_LIVE").is_none() {
            self.problem("ORIGIN_LIVE", "is missing: set the origin's scheme and host, or \"route\" on a zone route");
        }
        let text = self.text("ORIGIN_LIVE")?;
        if text == "route" { Some(Origin::Route) } else { self.base("ORIGIN_LIVE", text) }
    }

    fn origin_test(&mut self) -> Option<Origin> {
        let text = self.text("ORIGIN_TEST")?;
        self.base("ORIGIN_TEST", text)
    }

    fn base(&mut self, name: &str, text: &str) -> Option<Origin> {
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let host = rest.strip_suffix('/').unwrap_or(rest);
        if matches!(scheme, "http" | "https") && is_host(host) {
            return Some(Origin::Base(format!("{scheme}://{host}")));
        }
        self.problem(name, "must be a scheme and a host, like https://api.example.com, without a path");
        None
    }

    fn flag(&mut self, name: &str, default: bool) -> bool {
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

    fn number(&mut self, name: &str, default: u32, least: u32, most: u32) -> u32 {
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

    fn authority_epoch(&mut self) -> Option<String> {
        let name = "AUTHORITY_EPOCH";
        let text = self.text(name)?;
        if text.len() > 64 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.problem(name, "must be 1 to 64 visible ASCII characters");
        }
        Some(text.to_owned())
    }

    /// Requires both settings or neither: with only one, an operator could wrongly believe that sign-in through Access is on, or
    /// off.
    fn access(&mut self) -> Option<AccessSettings> {
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
    fn issuer(&mut self) -> Option<String> {
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
    fn on_exposure(&mut self) -> OnExposure {
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

    fn default_limits(&mut self) -> Vec<Limit> {
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

    fn routes(&mut self) -> Routes {
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

#[cfg(test)]
mod tests;
