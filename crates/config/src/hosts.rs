//! The hosts of a deployment: `CONTROL_HOST` and `ROUTE_HOSTS`, and how the host of a request compares with them.

use serde_json::Value;

use super::reader::Reader;
use super::{Config, Origin};
use keyward_http::head::{Head, is_host, is_loopback, split_authority};

/// A host name or address, with a port if it is not the scheme's default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// In lower case, without a trailing dot.
    name: String,
    port: Option<u16>,
}

/// How the host of a request compares with a [`Host`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HostMatch {
    /// The same name and port, in any letter case, with or without the scheme's default port.
    Same,
    /// Possibly the same: the name with a trailing dot, or another port of a host without a port. Browsers send the cookies of a
    /// name to all of its ports.
    Ambiguous,
    /// Another host.
    Other,
}

/// What is served on the host of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostRole {
    /// The gate and the control plane: `CONTROL_HOST` is not set.
    GateAndControl,
    /// The gate, and the endpoints that are open on its hosts.
    Gate,
    /// The control plane: this is `CONTROL_HOST`.
    Control,
    /// Nothing: this may be `CONTROL_HOST` in another spelling, or at another port.
    Ambiguous,
}

impl Host {
    /// Parses `name` or `name:port`. Refuses a trailing dot and the ports 80 and 443, which a request to them does not show.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if !is_host(text) {
            return None;
        }
        let (name, port) = split_authority(text);
        let port = port.map(str::parse::<u16>).transpose().ok()?;
        let allowed = !name.ends_with('.') && !matches!(port, Some(0 | 80 | 443));
        allowed.then(|| Self { name: name.to_ascii_lowercase(), port })
    }

    /// Compares with the scheme and authority of a URL, as [`Head::base`] has them.
    fn compare(&self, base: &str) -> HostMatch {
        let (scheme, authority) = base.split_once("://").unwrap_or_default();
        let secure = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss");
        let (name, port) = split_authority(authority);
        let port = port.and_then(|port| port.parse::<u16>().ok()).filter(|port| *port != if secure { 443 } else { 80 });
        let plain = name.trim_end_matches('.');
        if !self.is_named(plain) {
            HostMatch::Other
        } else if plain.len() != name.len() {
            HostMatch::Ambiguous
        } else if self.port == port {
            HostMatch::Same
        } else if self.port.is_none() {
            HostMatch::Ambiguous
        } else {
            HostMatch::Other
        }
    }

    /// Whether this host has the given name. `localhost` also matches the two loopback addresses, so each works on a local machine.
    fn is_named(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(&self.name) || self.name == "localhost" && is_loopback(name)
    }
}

impl Config {
    /// Returns what is served on the host of a request.
    #[must_use]
    pub fn host_role(&self, head: &Head<'_>) -> HostRole {
        let Some(host) = &self.control_host else { return HostRole::GateAndControl };
        match host.compare(head.base()) {
            HostMatch::Same => HostRole::Control,
            HostMatch::Ambiguous => HostRole::Ambiguous,
            HostMatch::Other => HostRole::Gate,
        }
    }

    /// Whether a request may be forwarded from this host. With `ORIGIN_LIVE = "route"` a request goes to its own host, so that host
    /// must be one of `ROUTE_HOSTS`.
    #[must_use]
    pub fn forwards_from(&self, head: &Head<'_>) -> bool {
        matches!(self.origin_live, Origin::Base(_))
            || self.route_hosts.iter().any(|host| host.compare(head.base()) == HostMatch::Same)
    }
}

impl Reader<'_> {
    /// Reads `ROUTE_HOSTS`, which `ORIGIN_LIVE = "route"` requires and which has no effect otherwise.
    pub(super) fn route_hosts(&mut self) -> Vec<Host> {
        let name = "ROUTE_HOSTS";
        let list = match self.get(name) {
            None => {
                if self.get("ORIGIN_LIVE").and_then(Value::as_str) == Some("route") {
                    self.problem(
                        name,
                        "is missing: ORIGIN_LIVE is \"route\". List the hosts of your API, like [\"api.example.com\"]",
                    );
                }
                return Vec::new();
            }
            Some(Value::String(text)) => serde_json::from_str(text).ok(),
            Some(value) => Some(value.clone()),
        };
        let hosts: Option<Vec<Host>> = match &list {
            Some(Value::Array(items)) if !items.is_empty() => {
                items.iter().map(|item| Host::parse(item.as_str()?)).collect()
            }
            _ => None,
        };
        hosts.unwrap_or_else(|| {
            let form = "must be a list of host names, like [\"api.example.com\"], each with a port only if it is not 80 or 443";
            self.problem(name, form);
            Vec::new()
        })
    }

    /// Reads `CONTROL_HOST`, which sign-in through Access requires: otherwise the cookie of Access would go to the API's pages too,
    /// and a script there could use it.
    pub(super) fn control_host(&mut self, route_hosts: &[Host], origins: [Option<&Origin>; 2]) -> Option<Host> {
        let name = "CONTROL_HOST";
        if self.get(name).is_none() {
            let access = ["ACCESS_TEAM_DOMAIN", "ACCESS_AUDIENCE"].iter().find(|access| self.get(access).is_some());
            if let Some(access) = access {
                let fix = "set a host name on which only the control plane is served, like keys.example.com";
                self.problem(name, format!("is missing: {access} is set, which needs it: {fix}"));
            }
            return None;
        }
        let host = Host::parse(self.text(name)?);
        let Some(host) = host else {
            self.problem(
                name,
                "must be a host name, like keys.example.com, with a port only if it is not 80 or 443, without a scheme and a path",
            );
            return None;
        };
        let forwards_there = |origin: &Origin| match origin {
            Origin::Base(base) => host.compare(base) != HostMatch::Other,
            Origin::Route => false,
        };
        if route_hosts.iter().any(|other| other.name == host.name && (other.port == host.port || host.port.is_none())) {
            self.problem(name, "must not be in ROUTE_HOSTS: the API is never served on this host");
        } else if origins.into_iter().flatten().any(forwards_there) {
            self.problem(
                name,
                "must not be the host of ORIGIN_LIVE or ORIGIN_TEST: the API is never served on this host",
            );
        }
        Some(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_address_and_perhaps_a_port() {
        for good in ["keys.example.com", "KEYS.Example.com", "localhost:8789", "192.0.2.7", "[2001:db8::1]:8443"] {
            assert!(Host::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "https://keys.example.com",
            "keys.example.com/",
            "keys.example.com.",
            "keys.example.com:443",
            "keys.example.com:80",
            "keys.example.com:0",
            "keys.example.com:",
            "keys.example.com:65536",
            "user@keys.example.com",
            "*.example.com",
            "keys.example.com, api.example.com",
            "k\u{e9}ys.example.com",
        ] {
            assert_eq!(Host::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn hosts_are_compared_without_letter_case_and_default_port() {
        let cases = [
            ("keys.example.com", "https://keys.example.com", HostMatch::Same),
            ("keys.example.com", "https://KEYS.example.COM:443", HostMatch::Same),
            ("Keys.example.com", "http://keys.example.com:80", HostMatch::Same),
            ("keys.example.com", "wss://keys.example.com:443", HostMatch::Same),
            ("keys.example.com", "https://keys.example.com:00443", HostMatch::Same),
            ("keys.example.com", "https://keys.example.com.", HostMatch::Ambiguous),
            ("keys.example.com", "https://keys.example.com..:443", HostMatch::Ambiguous),
            ("keys.example.com", "https://keys.example.com:80", HostMatch::Ambiguous),
            ("keys.example.com", "http://keys.example.com:443", HostMatch::Ambiguous),
            ("keys.example.com", "https://keys.example.com:8443", HostMatch::Ambiguous),
            ("keys.example.com", "https://api.example.com", HostMatch::Other),
            ("keys.example.com", "https://xkeys.example.com", HostMatch::Other),
            ("keys.example.com", "https://keys.example.com.evil.example", HostMatch::Other),
            ("keys.example.com:8443", "https://keys.example.com:8443", HostMatch::Same),
            ("keys.example.com:8443", "https://keys.example.com.:8443", HostMatch::Ambiguous),
            ("keys.example.com:8443", "https://keys.example.com", HostMatch::Other),
            ("[2001:db8::1]", "https://[2001:DB8::1]:443", HostMatch::Same),
            ("localhost:8789", "http://localhost:8789", HostMatch::Same),
            ("localhost:8789", "http://127.0.0.1:8789", HostMatch::Same),
            ("localhost:8789", "http://[::1]:8789", HostMatch::Same),
            ("localhost:8789", "http://127.0.0.1:8787", HostMatch::Other),
            ("127.0.0.1:8789", "http://localhost:8789", HostMatch::Other),
        ];
        for (host, base, expected) in cases {
            assert_eq!(Host::parse(host).unwrap().compare(base), expected, "{host} {base}");
        }
    }
}
