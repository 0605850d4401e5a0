//! Addresses of event receivers: `EVENT_HOSTS` is the only way out. A member cannot point Keyward at a host that the deployer did not
//! list, at an IP address, or at Keyward's own hosts and origins.
//!
//! The check reads the text itself and accepts only spellings that every URL parser reads in the same way.

use super::head::{is_host, is_loopback, split_authority};
use super::limits::EVENT_URL_BYTES;

/// One entry of `EVENT_HOSTS`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// `hooks.example.com`, at the port or at 443.
    Name(String, u16),
    /// `*.example.com`: every name below, at the port or at 443. The text begins with the dot.
    Below(String, u16),
    /// `localhost:*`, or `localhost` at one port, also over plain HTTP.
    Loopback(Option<u16>),
}

/// A host that receives no events: one of the gate's, of the control plane's or of the origins'.
#[derive(Clone, Debug, PartialEq, Eq)]
struct OwnHost {
    name: String,
    port: u16,
}

/// The hosts to which events may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventHosts {
    rules: Vec<Rule>,
    own: Vec<OwnHost>,
}

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadEventUrl {
    /// Not a URL in the one accepted spelling.
    Malformed,
    /// It has a user name.
    Credentials,
    /// The host is an IP address.
    IpAddress,
    /// The scheme is not `https`.
    NotHttps,
    /// `EVENT_HOSTS` does not list the host.
    NotListed,
    /// It is a host of Keyward or of an origin.
    OwnHost,
}

impl BadEventUrl {
    /// Returns the problem and the fix.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Malformed => {
                "This must be a URL like `https://hooks.example.com/keyward`, of at most 2,048 visible ASCII characters, without a fragment."
            }
            Self::Credentials => "The URL must not have a user name or password. Remove everything before the `@`.",
            Self::IpAddress => "The host must not be an IP address. Use a host name that EVENT_HOSTS lists.",
            Self::NotHttps => "The URL must begin with `https://`. Plain HTTP is for `localhost` only.",
            Self::NotListed => {
                "EVENT_HOSTS does not list this host and port. Use a listed host, or ask whoever deploys Keyward to list it."
            }
            Self::OwnHost => "Events never go to the hosts of Keyward or of the origins. Use another host.",
        }
    }
}

/// Scheme, name and port of an address.
struct Parts<'a> {
    is_secure: bool,
    name: &'a str,
    port: u16,
}

impl Parts<'_> {
    fn is_localhost(&self) -> bool {
        self.name == "localhost"
    }
}

/// Splits scheme and authority, without judging them. `None` if the text is no URL of ours.
fn split(url: &str) -> Option<(bool, &str)> {
    let (is_secure, rest) = match url.strip_prefix("https://") {
        Some(rest) => (true, rest),
        None => (false, url.strip_prefix("http://")?),
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    rest.get(..end).map(|authority| (is_secure, authority))
}

/// Splits an authority that [`is_host`] accepts into name and port.
fn name_and_port(authority: &str, is_secure: bool) -> Option<(&str, u16)> {
    let (name, port) = split_authority(authority);
    Some((name, port.map_or(Ok(if is_secure { 443 } else { 80 }), str::parse).ok()?))
}

/// Parses an address that has only characters of RFC 3986, in lower case up to its path.
fn parse(url: &str) -> Result<Parts<'_>, BadEventUrl> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte);
    if url.len() > EVENT_URL_BYTES || !url.bytes().all(is_plain) {
        return Err(BadEventUrl::Malformed);
    }
    let (is_secure, authority) = split(url).ok_or(BadEventUrl::Malformed)?;
    if authority.contains('@') {
        return Err(BadEventUrl::Credentials);
    }
    if !is_host(authority) || authority.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(BadEventUrl::Malformed);
    }
    let (name, port) = name_and_port(authority, is_secure).ok_or(BadEventUrl::Malformed)?;
    let parts = Parts { is_secure, name, port };
    if parts.is_localhost() {
        return Ok(parts);
    }
    // URL parsers read a last label of digits, or of hexadecimal digits after 0x, as an IPv4 address.
    let last = name.rsplit('.').next().unwrap_or_default();
    if name.starts_with('[')
        || last.starts_with("0x")
        || last.bytes().all(|byte| byte.is_ascii_digit()) && !last.is_empty()
    {
        return Err(BadEventUrl::IpAddress);
    }
    if name.split('.').any(str::is_empty) || !name.contains('.') || port == 0 {
        return Err(BadEventUrl::Malformed);
    }
    Ok(parts)
}

impl EventHosts {
    /// Parses one entry of `EVENT_HOSTS` and adds it. Returns `false` for a malformed one.
    pub fn allow(&mut self, entry: &str) -> bool {
        let Some(rule) = rule(entry) else { return false };
        self.rules.push(rule);
        true
    }

    /// Adds a host that receives no events: an authority, or scheme and authority.
    pub fn exclude(&mut self, base: &str) {
        self.own.extend(own_host(base));
    }

    /// Returns whether no host is listed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Checks an address. `reached_at` is the scheme and authority of the request that names the address, which is a host of Keyward.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn check(&self, url: &str, reached_at: Option<&str>) -> Result<(), BadEventUrl> {
        let parts = parse(url)?;
        let is_own = |own: &OwnHost| {
            if parts.is_localhost() {
                // Locally the ports tell hosts apart.
                is_loopback(&own.name) && own.port == parts.port
            } else {
                own.name == parts.name
            }
        };
        if self.own.iter().any(is_own) || reached_at.and_then(own_host).as_ref().is_some_and(is_own) {
            return Err(BadEventUrl::OwnHost);
        }
        let allows = |rule: &Rule| match rule {
            Rule::Name(name, port) => !parts.is_localhost() && name == parts.name && *port == parts.port,
            Rule::Below(suffix, port) => {
                !parts.is_localhost() && parts.name.ends_with(suffix.as_str()) && *port == parts.port
            }
            Rule::Loopback(port) => parts.is_localhost() && port.is_none_or(|port| port == parts.port),
        };
        if !self.rules.iter().any(allows) {
            return Err(BadEventUrl::NotListed);
        }
        if parts.is_secure || parts.is_localhost() { Ok(()) } else { Err(BadEventUrl::NotHttps) }
    }
}

fn rule(entry: &str) -> Option<Rule> {
    let entry = entry.to_ascii_lowercase();
    if entry == "localhost:*" {
        return Some(Rule::Loopback(None));
    }
    let (below, authority) = match entry.strip_prefix("*.") {
        Some(authority) => (true, authority),
        None => (false, entry.as_str()),
    };
    let url = ["https://", authority].concat();
    let parts = parse(&url).ok().filter(|_| !authority.contains(['/', '?']))?;
    if parts.is_localhost() {
        return (!below).then_some(Rule::Loopback(Some(parts.port)));
    }
    Some(if below {
        Rule::Below(format!(".{}", parts.name), parts.port)
    } else {
        Rule::Name(parts.name.to_owned(), parts.port)
    })
}

fn own_host(base: &str) -> Option<OwnHost> {
    let (is_secure, authority) = split(base).unwrap_or((true, base));
    let (name, port) = name_and_port(authority, is_secure)?;
    Some(OwnHost { name: name.trim_end_matches('.').to_ascii_lowercase(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(entries: &[&str]) -> EventHosts {
        let mut hosts = EventHosts::default();
        for entry in entries {
            assert!(hosts.allow(entry), "{entry}");
        }
        hosts.exclude("https://api.example.com");
        hosts.exclude("keys.example.com");
        hosts.exclude("http://127.0.0.1:9000");
        hosts
    }

    #[test]
    fn only_listed_hosts_and_ports_are_reached() {
        let hosts = hosts(&["hooks.example.com", "Hooks.Example.org:8443", "*.example.net", "localhost:*"]);
        for good in [
            "https://hooks.example.com",
            "https://hooks.example.com/",
            "https://hooks.example.com:443/a?b=c",
            "https://hooks.example.org:8443/%20",
            "https://a.example.net/x",
            "https://a.b.example.net/x",
            "http://localhost:9001/x",
            "https://localhost:9001/x",
        ] {
            assert_eq!(hosts.check(good, None), Ok(()), "{good}");
        }
        for bad in [
            "https://hooks.example.org/",
            "https://hooks.example.com:8443/",
            "https://example.net/",
            "https://evilexample.net/",
            "https://hooks.example.com.evil.example/",
            "https://a.hooks.example.com/",
            "https://example.com/",
        ] {
            assert_eq!(hosts.check(bad, None), Err(BadEventUrl::NotListed), "{bad}");
        }
        assert_eq!(hosts.check("http://hooks.example.com:443/", None), Err(BadEventUrl::NotHttps));
        assert_eq!(hosts.check("http://hooks.example.com/", None), Err(BadEventUrl::NotListed), "port 80");
    }

    #[test]
    fn without_a_rule_for_it_this_machine_is_not_reached() {
        let hosts = hosts(&["hooks.example.com", "localhost:9001"]);
        assert_eq!(hosts.check("http://localhost:9001/", None), Ok(()));
        for bad in ["http://localhost:9002/", "https://localhost/", "http://localhost/"] {
            assert_eq!(hosts.check(bad, None), Err(BadEventUrl::NotListed), "{bad}");
        }
    }

    #[test]
    fn addresses_credentials_and_other_spellings_are_refused() {
        let hosts = hosts(&["hooks.example.com", "*.example.net", "localhost:*"]);
        for (bad, expected) in [
            ("https://192.0.2.7/", BadEventUrl::IpAddress),
            ("http://127.0.0.1:9001/", BadEventUrl::IpAddress),
            ("http://[::1]:9001/", BadEventUrl::IpAddress),
            ("https://169.254.169.254/latest", BadEventUrl::IpAddress),
            ("https://0x7f000001/", BadEventUrl::IpAddress),
            ("https://2130706433/", BadEventUrl::IpAddress),
            ("https://127.1/", BadEventUrl::IpAddress),
            ("https://a.0x7f/", BadEventUrl::IpAddress),
            ("https://[2001:db8::1]/", BadEventUrl::IpAddress),
            ("https://[::ffff:127.0.0.1]/", BadEventUrl::IpAddress),
            ("https://user@hooks.example.com/", BadEventUrl::Credentials),
            ("https://hooks.example.com:x@evil.example/", BadEventUrl::Credentials),
            ("https://hooks.example.com@evil.example/", BadEventUrl::Credentials),
            ("https://hooks.example.com\\@evil.example/", BadEventUrl::Malformed),
            ("https://hooks.example.com#@evil.example/", BadEventUrl::Malformed),
            ("https://HOOKS.example.com/", BadEventUrl::Malformed),
            ("https://hooks.example.com./", BadEventUrl::Malformed),
            ("https://h%6foks.example.com/", BadEventUrl::Malformed),
            ("https://hooks\u{3002}example.com/", BadEventUrl::Malformed),
            ("https://hooks.example.com /", BadEventUrl::Malformed),
            ("https://hooks.example.com\t/", BadEventUrl::Malformed),
            ("https:hooks.example.com/", BadEventUrl::Malformed),
            ("https:///hooks.example.com/", BadEventUrl::Malformed),
            ("HTTPS://hooks.example.com/", BadEventUrl::Malformed),
            ("ftp://hooks.example.com/", BadEventUrl::Malformed),
            ("https://intranet/", BadEventUrl::Malformed),
            ("https://a..example.net/", BadEventUrl::Malformed),
            ("https://.example.net/", BadEventUrl::Malformed),
            ("https://hooks.example.com:0/", BadEventUrl::Malformed),
            ("https://hooks.example.com:65536/", BadEventUrl::Malformed),
            ("", BadEventUrl::Malformed),
        ] {
            assert_eq!(hosts.check(bad, None), Err(expected), "{bad}");
        }
        let long = format!("https://hooks.example.com/{}", "a".repeat(EVENT_URL_BYTES));
        assert_eq!(hosts.check(&long, None), Err(BadEventUrl::Malformed));
    }

    #[test]
    fn own_hosts_and_origins_receive_no_events_even_if_they_are_listed() {
        let hosts = hosts(&["*.example.com", "*.example.com:8443", "localhost:*", "gate.example.org"]);
        for own in [
            "https://api.example.com/x",
            "https://api.example.com:8443/x",
            "https://keys.example.com/",
            "http://localhost:9000/",
        ] {
            assert_eq!(hosts.check(own, None), Err(BadEventUrl::OwnHost), "{own}");
        }
        let reached_at = Some("https://Gate.example.org");
        assert_eq!(hosts.check("https://gate.example.org/x", reached_at), Err(BadEventUrl::OwnHost));
        assert_eq!(hosts.check("http://localhost:8787/", Some("http://127.0.0.1:8787")), Err(BadEventUrl::OwnHost));
        assert_eq!(hosts.check("http://localhost:8788/", Some("http://127.0.0.1:8787")), Ok(()));
    }

    #[test]
    fn an_entry_is_a_host_perhaps_with_a_port_or_a_first_star() {
        let mut hosts = EventHosts::default();
        for bad in [
            "",
            "*",
            "*.*",
            "https://a.example",
            "a.example/",
            "192.0.2.1",
            "[::1]:9000",
            "127.0.0.1:*",
            "a.example:*",
            "*.localhost:*",
            "a.*.example",
            "user@a.example",
            "intranet",
        ] {
            assert!(!hosts.allow(bad), "{bad}");
        }
    }

    /// What this check accepts, a URL parser of the standard reads in the same way.
    #[test]
    fn the_parser_of_the_url_standard_reads_an_accepted_address_in_the_same_way() {
        let hosts = hosts(&["hooks.example.com", "*.example.net:8443", "localhost:*"]);
        for accepted in
            ["https://hooks.example.com?x", "https://a-b_c.example.net:8443/%zz//..;@", "http://localhost:9001/@"]
        {
            assert_eq!(hosts.check(accepted, None), Ok(()), "{accepted}");
            let read = url::Url::parse(accepted).unwrap();
            let parts = parse(accepted).ok().unwrap();
            assert_eq!(read.host_str(), Some(parts.name), "{accepted}");
            assert_eq!(read.port_or_known_default(), Some(parts.port), "{accepted}");
            assert!(read.username().is_empty() && read.password().is_none());
        }
    }
}
