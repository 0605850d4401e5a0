//! Head of a request, which the glue passes as one string.
//!
//! ```text
//! <milliseconds since 1970> LF <method> LF <URL> LF (<name> LF <value> LF)*
//! ```
//!
//! Neither a method, a URL nor a header line can contain a line feed (RFC 9112, section 2.2), so nothing is escaped. The runtime
//! converts names to lower case and joins repeated headers with `, `.

use super::limits::{CONNECTION_NAMES, HEADER_BYTES, HEADER_COUNT, TARGET_BYTES};
use super::problem::Code;
use super::target::{BadTarget, Target};
use keyward_key::time::Millis;

/// Head of a request in its one canonical form. It exists only for well-formed requests.
pub struct Head<'a> {
    now: Millis,
    method: &'a str,
    pub(super) https: bool,
    base: &'a str,
    target: Target<'a>,
    headers: Vec<(&'a str, &'a str)>,
    known: Known<'a>,
}

/// Headers that decisions depend on. All others are only forwarded. An empty header counts as absent.
#[derive(Default)]
struct Known<'a> {
    host: Option<&'a str>,
    authorization: Option<&'a str>,
    api_key: Option<&'a str>,
    origin: Option<&'a str>,
    sec_fetch_site: Option<&'a str>,
    preflight_method: Option<&'a str>,
    client_address: Option<&'a str>,
    connection: Option<&'a str>,
    cookie: Option<&'a str>,
    upgrade: Option<&'a str>,
    user_agent: Option<&'a str>,
    content_type: Option<&'a str>,
    content_length: Option<&'a str>,
    transfer_encoding: Option<&'a str>,
}

/// Reason to refuse a head before any other check. For the log; the caller gets [`Self::code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHead {
    /// The glue's string is malformed: a bug in Keyward or in the runtime.
    Form,
    /// Path and query together exceed [`TARGET_BYTES`].
    TargetTooLong,
    /// The headers exceed [`HEADER_COUNT`] lines or [`HEADER_BYTES`], or `Connection` lists more than [`CONNECTION_NAMES`].
    HeadersTooLarge,
    /// The URL's authority is not one host with an optional port, or differs from `Host`.
    Host,
    /// The path or query is ambiguous.
    Target(BadTarget),
    /// `TRACE`, `CONNECT`, `TRACK`, or a malformed method.
    Method,
    /// A `GET` or `HEAD` with a body, which the runtime cannot forward.
    Body,
}

impl BadHead {
    /// Returns the public code.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Form => Code::InternalError,
            Self::TargetTooLong => Code::TargetTooLong,
            Self::HeadersTooLarge => Code::HeadersTooLarge,
            Self::Host => Code::WrongHost,
            Self::Target(_) => Code::BadPath,
            Self::Method => Code::MethodNotAllowed,
            Self::Body => Code::UnexpectedBody,
        }
    }
}

impl<'a> Head<'a> {
    /// Parses the glue's string, and refuses a malformed request.
    ///
    /// # Errors
    /// [`BadHead`], for the first failed check of: target length, header size, host, target, method, body.
    pub fn parse(text: &'a str) -> Result<Self, BadHead> {
        let mut lines = text.split('\n');
        let mut line = || lines.next().ok_or(BadHead::Form);
        let now = Millis(line()?.parse().map_err(|_| BadHead::Form)?);
        let (method, url) = (line()?, line()?);
        let (scheme, rest) = url.split_once("://").ok_or(BadHead::Host)?;
        let authority_end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(authority_end).ok_or(BadHead::Host)?;
        if target.len() > TARGET_BYTES {
            return Err(BadHead::TargetTooLong);
        }
        let (headers, known) = parse_headers(lines)?;
        if authority.strip_suffix('*').is_some_and(|host| Some(host) == known.host) {
            return Err(BadHead::Target(BadTarget::Start));
        }
        // A slash, `?` or `#` in Host ends the authority of the runtime's URL early, so the two differ.
        if !is_host(authority) || known.host.is_some_and(|host| !same_authority(scheme, host, authority)) {
            return Err(BadHead::Host);
        }
        let target = Target::parse(if target.is_empty() { "/" } else { target }).map_err(BadHead::Target)?;
        let base_length = url.len().saturating_sub(rest.len()).saturating_add(authority.len());
        let head = Self {
            now,
            method,
            https: is_secure(scheme),
            base: url.get(..base_length).ok_or(BadHead::Host)?,
            target,
            headers,
            known,
        };
        if method.is_empty()
            || !method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
            || matches!(method, "TRACE" | "CONNECT" | "TRACK")
        {
            return Err(BadHead::Method);
        }
        let body =
            head.known.transfer_encoding.is_some() || head.known.content_length.is_some_and(|length| length != "0");
        if body && matches!(method, "GET" | "HEAD") {
            return Err(BadHead::Body);
        }
        Ok(head)
    }

    /// Returns the time at which the request was read, by the isolate's clock.
    #[must_use]
    pub const fn now(&self) -> Millis {
        self.now
    }

    /// The method, in upper case.
    #[must_use]
    pub const fn method(&self) -> &'a str {
        self.method
    }

    /// Returns whether the request came over TLS.
    #[must_use]
    pub const fn https(&self) -> bool {
        self.https
    }

    /// Returns the scheme and authority of the request's own URL, without a trailing slash.
    #[must_use]
    pub const fn base(&self) -> &'a str {
        self.base
    }

    /// Host of the request's own URL, with its port if the URL names one.
    #[must_use]
    pub fn authority(&self) -> &'a str {
        self.base.split_once("://").map_or(self.base, |(_, authority)| authority)
    }

    /// Path and query.
    #[must_use]
    pub const fn target(&self) -> Target<'a> {
        self.target
    }

    /// Every header line, with names in lower case, in the order received.
    #[must_use]
    pub fn headers(&self) -> &[(&'a str, &'a str)] {
        &self.headers
    }

    /// Returns the trimmed value of a header by its lower-case name; empty if it was sent empty. For headers that only Keyward's own
    /// endpoints read. The others have accessors.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.trim_matches([' ', '\t']))
    }

    /// `Authorization`.
    #[must_use]
    pub const fn authorization(&self) -> Option<&'a str> {
        self.known.authorization
    }

    /// `X-API-Key`.
    #[must_use]
    pub const fn api_key(&self) -> Option<&'a str> {
        self.known.api_key
    }

    /// `Origin`.
    #[must_use]
    pub const fn origin(&self) -> Option<&'a str> {
        self.known.origin
    }

    /// `Sec-Fetch-Site`.
    #[must_use]
    pub const fn sec_fetch_site(&self) -> Option<&'a str> {
        self.known.sec_fetch_site
    }

    /// `Content-Type`.
    #[must_use]
    pub const fn content_type(&self) -> Option<&'a str> {
        self.known.content_type
    }

    /// `Connection`.
    #[must_use]
    pub const fn connection(&self) -> Option<&'a str> {
        self.known.connection
    }

    /// `Cookie`.
    #[must_use]
    pub const fn cookie(&self) -> Option<&'a str> {
        self.known.cookie
    }

    /// `User-Agent`.
    #[must_use]
    pub const fn user_agent(&self) -> Option<&'a str> {
        self.known.user_agent
    }

    /// The client's address as the edge saw it (`CF-Connecting-IP`), if present.
    #[must_use]
    pub const fn client_address(&self) -> Option<&'a str> {
        self.known.client_address
    }

    /// Returns whether the request opens a WebSocket, which only a GET can (RFC 6455, section 4.1). The runtime turns any other method
    /// with this header into a GET, and would forward a request that was never authorised.
    #[must_use]
    pub fn is_websocket(&self) -> bool {
        self.method == "GET" && self.known.upgrade.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"))
    }

    /// Returns the method that a CORS preflight announces (Fetch standard: `OPTIONS` with `Origin` and
    /// `Access-Control-Request-Method`).
    #[must_use]
    pub fn preflight_for(&self) -> Option<&'a str> {
        self.known.preflight_method.filter(|_| self.method == "OPTIONS" && self.known.origin.is_some())
    }

    /// Returns whether a browser page sent the request: it has `Sec-Fetch-Site`, or `Origin` and the `User-Agent` of a browser. Other
    /// clients may send `Origin` too, as WebSocket libraries do (RFC 6455, section 4.1).
    #[must_use]
    pub fn from_browser(&self) -> bool {
        let says_browser = || self.known.user_agent.is_some_and(|agent| agent.starts_with("Mozilla/"));
        self.known.sec_fetch_site.is_some() || (self.known.origin.is_some() && says_browser())
    }
}

type Headers<'a> = (Vec<(&'a str, &'a str)>, Known<'a>);

fn parse_headers<'a>(mut lines: impl Iterator<Item = &'a str>) -> Result<Headers<'a>, BadHead> {
    let mut headers = Vec::with_capacity(24);
    let mut known = Known::default();
    let mut bytes = 0_usize;
    while let Some(name) = lines.next() {
        // The string ends in a line feed, so the last element is empty.
        let Some(value) = lines.next() else {
            let too_many = known.connection.is_some_and(|list| names_in(list) > CONNECTION_NAMES);
            return match name {
                "" if too_many => Err(BadHead::HeadersTooLarge),
                "" => Ok((headers, known)),
                _ => Err(BadHead::Form),
            };
        };
        bytes = bytes.saturating_add(name.len()).saturating_add(value.len());
        if headers.len() >= HEADER_COUNT || bytes > HEADER_BYTES {
            return Err(BadHead::HeadersTooLarge);
        }
        headers.push((name, value));
        let slot = match name {
            "host" => &mut known.host,
            "authorization" => &mut known.authorization,
            "x-api-key" => &mut known.api_key,
            "origin" => &mut known.origin,
            "sec-fetch-site" => &mut known.sec_fetch_site,
            "access-control-request-method" => &mut known.preflight_method,
            "cf-connecting-ip" => &mut known.client_address,
            "connection" => &mut known.connection,
            "cookie" => &mut known.cookie,
            "upgrade" => &mut known.upgrade,
            "user-agent" => &mut known.user_agent,
            "content-type" => &mut known.content_type,
            "content-length" => &mut known.content_length,
            "transfer-encoding" => &mut known.transfer_encoding,
            _ => continue,
        };
        // The runtime joins repeated headers. If it stopped doing so, the gate would check one of two values and forward both.
        if slot.is_some() {
            return Err(BadHead::Form);
        }
        *slot = Some(value.trim_matches([' ', '\t'])).filter(|value| !value.is_empty());
    }
    Err(BadHead::Form)
}

/// Returns the time at which a request arrived, of a malformed one too: the first line of the glue's string.
#[must_use]
pub fn arrived_at(text: &str) -> Option<Millis> {
    text.split('\n').next()?.parse().ok().map(Millis)
}

/// Returns whether the request came over TLS, even if its head is malformed.
#[must_use]
pub fn came_over_https(text: &str) -> bool {
    let scheme = text.split('\n').nth(2).and_then(|url| url.split_once("://")).map_or("", |(scheme, _)| scheme);
    is_secure(scheme)
}

fn is_secure(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss")
}

fn names_in(list: &str) -> usize {
    list.split(',').filter(|name| !name.trim().is_empty()).count()
}

/// Splits an authority into host and port. The colons of an IPv6 address in brackets are part of the host.
#[must_use]
pub fn split_authority(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Returns whether a host is a name or address of this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// Returns whether the authority is one host and at most one port: letters, digits, `.`, `-`, `_`, or an IPv6 address in brackets.
/// Refuses user information and a second host.
#[must_use]
pub fn is_host(authority: &str) -> bool {
    let (host, port) = split_authority(authority);
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    let bracketed = |text: &str| {
        text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).is_some_and(|text| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))
        })
    };
    !host.is_empty()
        && (plain(host) || bracketed(host))
        && port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

/// Returns whether both authorities name the same host and port. Ignores letter case (RFC 3986, section 3.2.2) and the scheme's
/// default port.
fn same_authority(scheme: &str, one: &str, other: &str) -> bool {
    let port = if is_secure(scheme) { ":443" } else { ":80" };
    let plain = |authority: &'_ str| authority.strip_suffix(port).unwrap_or(authority).to_ascii_lowercase();
    one == other || plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(method: &str, url: &str, headers: &str) -> Result<String, BadHead> {
        let text = format!("5\n{method}\n{url}\n{headers}");
        Head::parse(&text).map(|head| format!("{} {}", head.base(), head.target().as_sent()))
    }

    #[test]
    fn a_plain_head_is_parsed_unchanged() {
        for (url, expected) in [
            ("http://h/a?b", "http://h /a?b"),
            ("https://h.example:8080/", "https://h.example:8080 /"),
            ("http://h", "http://h /"),
            ("http://[::1]:80/a", "http://[::1]:80 /a"),
        ] {
            assert_eq!(parsed("GET", url, "").as_deref(), Ok(expected));
        }
    }

    #[test]
    fn a_host_that_is_not_one_plain_host_is_refused() {
        for (url, host) in [
            ("http://a/b/p", "a/b"),
            ("http://a?b/p", "a?b"),
            ("http://a#b/p", "a#b"),
            ("http://u:p@a/p", "u:p@a"),
            ("http://a, b/p", "a, b"),
            ("http://a b/p", "a b"),
            ("http://a/p", "b"),
            ("http://a:/p", "a:"),
            ("http://a:1:2/p", "a:1:2"),
            ("http://a:65536/p", "a:65536"),
            ("http://a:+80/p", "a:+80"),
            ("http://a/p", "a:81"),
            ("http://a:81/p", "a"),
            ("http://a/p", "a:443"),
            ("http:///p", ""),
            ("http://[::1/p", "[::1"),
        ] {
            assert_eq!(parsed("GET", url, &format!("host\n{host}\n")), Err(BadHead::Host), "{url}");
        }
        assert_eq!(parsed("OPTIONS", "http://h*", "host\nh\n"), Err(BadHead::Target(BadTarget::Start)));
    }

    #[test]
    fn a_host_may_be_spelled_otherwise_than_in_the_url() {
        for (url, host) in
            [("https://a/p", "A"), ("https://a/p", "a:443"), ("http://A:80/p", "a"), ("http://[::a]/p", "[::A]:80")]
        {
            assert!(parsed("GET", url, &format!("host\n{host}\n")).is_ok(), "{url} {host}");
        }
    }

    #[test]
    fn limits_are_exact() {
        let long = |bytes: usize| format!("http://h/{}", "a".repeat(bytes - 1));
        assert!(parsed("GET", &long(TARGET_BYTES), "").is_ok());
        assert_eq!(parsed("GET", &long(TARGET_BYTES + 1), ""), Err(BadHead::TargetTooLong));
        let many = |count: usize| (0..count).map(|index| format!("x-{index}\n1\n")).collect::<String>();
        assert!(parsed("GET", "http://h/", &many(HEADER_COUNT)).is_ok());
        assert_eq!(parsed("GET", "http://h/", &many(HEADER_COUNT + 1)), Err(BadHead::HeadersTooLarge));
        let large = |bytes: usize| format!("x\n{}\n", "a".repeat(bytes - 1));
        assert!(parsed("GET", "http://h/", &large(HEADER_BYTES)).is_ok());
        assert_eq!(parsed("GET", "http://h/", &large(HEADER_BYTES + 1)), Err(BadHead::HeadersTooLarge));
        let listed = |names: usize| format!("connection\n,{}\n", "a, ".repeat(names));
        assert!(parsed("GET", "http://h/", &listed(CONNECTION_NAMES)).is_ok());
        assert_eq!(parsed("GET", "http://h/", &listed(CONNECTION_NAMES + 1)), Err(BadHead::HeadersTooLarge));
    }

    #[test]
    fn methods_that_are_never_forwarded_are_refused() {
        for method in ["TRACE", "CONNECT", "TRACK", "get", "", "G T"] {
            assert_eq!(parsed(method, "http://h/", ""), Err(BadHead::Method), "{method}");
        }
    }

    #[test]
    fn a_get_with_a_body_is_refused() {
        assert_eq!(parsed("GET", "http://h/", "content-length\n3\n"), Err(BadHead::Body));
        assert_eq!(parsed("HEAD", "http://h/", "transfer-encoding\nchunked\n"), Err(BadHead::Body));
        assert!(parsed("GET", "http://h/", "content-length\n0\n").is_ok());
        assert!(parsed("DELETE", "http://h/", "content-length\n3\n").is_ok());
    }

    #[test]
    fn a_broken_glue_string_is_an_error_and_no_panic() {
        for text in [
            "",
            "x",
            "5",
            "5\nGET",
            "x\nGET\nhttp://h/\n",
            "5\nGET\nhttp://h/",
            "5\nGET\nhttp://h/\nname",
            "5\nGET\nhttp://h/\nx-api-key\na\nx-api-key\nb\n",
        ] {
            assert_eq!(Head::parse(text).err(), Some(BadHead::Form), "{text:?}");
        }
    }
}
