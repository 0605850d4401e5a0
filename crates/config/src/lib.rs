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
mod reader;
mod route;
mod settings;

use std::borrow::Cow;

use ctutils::CtEq;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use keyward_http::event_url::EventHosts;
use keyward_http::head::Head;
use keyward_http::origin::origin_of;
use keyward_http::route::Routes;
use keyward_key::exposure::OnExposure;
use keyward_key::id::Prefix;
use keyward_key::keyring::Keyring;
use keyward_key::limit::Limit;
use keyward_key::time::{EffectTimes, Millis};
use reader::Reader;

pub use effective::{EffectiveSetting, of_default};
pub use hosts::{Host, HostRole};
pub use settings::{SETTINGS, Setting, settings_table};

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
    /// Returns bound and grace.
    #[must_use]
    pub const fn effect(&self) -> EffectTimes {
        EffectTimes { bound_seconds: self.bound_seconds, grace_seconds: self.grace_seconds }
    }

    /// Returns the times by which a change takes effect everywhere: while the authority answers, and whatever fails.
    #[must_use]
    pub fn effect_times(&self, changed_at: Millis) -> (Millis, Millis) {
        self.effect().of(changed_at)
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

#[cfg(test)]
mod tests;
