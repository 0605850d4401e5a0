//! Forward auth: the original request, reconstructed from the headers of a gateway's request.
//!
//! | gateway | source of the original method and URI |
//! |---|---|
//! | Traefik, Caddy | `X-Forwarded-Method`, `X-Forwarded-Uri` |
//! | nginx (`auth_request`) | `X-Original-Method`, `X-Original-URI`, which its configuration sets |
//! | ingress-nginx (`auth-url`) | `X-Original-Method`, `X-Original-URL` with scheme and host, which the controller sets |
//! | Envoy (`ext_authz` over HTTP) | its own method, and the rest of its own path |
//!
//! A gateway that sets one pair passes on the other pair as its client sent it. All sources present must therefore agree: an
//! incomplete or contradictory pair is refused.

use super::address::parse_address;
use super::head::{BadHead, Head};
use super::headers::write_line;

/// Path of the forward-auth endpoint. Envoy appends the original path.
pub const AUTHORIZE: &str = "/_keyward/v1/authorize";

/// Header with the client's address as the edge saw it.
const SEEN_ADDRESS: &str = "cf-connecting-ip";

/// Header in which a gateway presents a verifier's credential, unchanged and without a scheme.
pub const VERIFIER: &str = "keyward-verifier";

/// Header in which ingress-nginx names the URL of the original request.
const ORIGINAL_URL: &str = "x-original-url";

/// Header in which a gateway passes its client's address. No proxy on the path knows this header, so none appends to it.
const CLIENT_ADDRESS: &str = "keyward-client-address";

/// Reason to refuse a forward-auth request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardAuthError {
    /// No source names the original request.
    Absent,
    /// A method without its URI, or the reverse.
    Half,
    /// `X-Original-URL` is no URL with a scheme, a host and a path.
    Url,
    /// Two sources name different requests.
    Contradiction,
    /// The value for the client's address is not an IP address.
    Address,
    /// `X-Forwarded-For` has several addresses, and it is unknown which one the gateway wrote.
    Addresses,
    /// The request uses a path other than [`AUTHORIZE`], where a 200 would permit the original request.
    WrongPath,
}

impl ForwardAuthError {
    /// Returns the problem and its fix, for the gateway's operator.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Absent => {
                "The original request is missing. Send X-Forwarded-Method and X-Forwarded-Uri, X-Original-Method and X-Original-URI (or X-Original-URL), or the path after /_keyward/v1/authorize."
            }
            Self::Half => {
                "The original request has a method without a URI, or the reverse. Send both headers of a pair."
            }
            Self::Url => {
                "X-Original-URL is not an http or https URL with a host and a path. Set X-Original-URI to the path instead."
            }
            Self::Contradiction => "Two sources name different original requests. Send one source, or make them agree.",
            Self::Address => "The client's address is not a single IP address. Set Keyward-Client-Address to it.",
            Self::Addresses => {
                "X-Forwarded-For has several addresses, some of which a client may have written. Set Keyward-Client-Address."
            }
            Self::WrongPath => {
                "Send forward-auth requests to /_keyward/v1/authorize. This path ignores gateway headers, and its answer permits nothing."
            }
        }
    }
}

/// The original request, as text in [`Head`]'s format.
pub struct ForwardedRequest {
    text: String,
    plain_http: bool,
}

impl ForwardedRequest {
    /// Reconstructs the original request from the gateway's request. All headers except the gateway's own are the client's,
    /// passed on. `address` replaces the address seen by the edge, which is the gateway's. With `None`, the client's address is
    /// unknown.
    ///
    /// # Errors
    /// [`ForwardAuthError`]. A URI that is not a path fails later, in [`Self::head`], with [`BadHead::Target`].
    pub fn of(head: &Head<'_>, address: Option<&str>) -> Result<Self, ForwardAuthError> {
        let (method, uri) = named(head)?;
        let mut text = format!("{}\n{method}\n{}", head.now().0, head.base());
        // A URI without a leading slash would extend the host. `/\` makes the parser refuse it.
        if !uri.starts_with('/') {
            text.push_str("/\\");
        }
        text.push_str(uri);
        text.push('\n');
        if let Some(address) = address {
            write_line(&mut text, SEEN_ADDRESS, address);
        }
        for (name, value) in head.headers() {
            let gateways = name.starts_with("x-forwarded-")
                || name.starts_with("x-original-")
                || name.starts_with("keyward-")
                || matches!(*name, SEEN_ADDRESS | "x-real-ip" | "host" | "content-length" | "transfer-encoding");
            if !gateways {
                write_line(&mut text, name, value);
            }
        }
        // Accepted from any client, since it only makes the check stricter. (Behind Cloudflare, the edge sets it for the gateway's own
        // connection.)
        let schemes = raw(head, "x-forwarded-proto").unwrap_or_default().split(',');
        let mut schemes = schemes.chain(raw(head, ORIGINAL_URL).and_then(|url| url.split(':').next()));
        let plain_http = schemes.any(
            |name| matches!(name.trim(), name if name.eq_ignore_ascii_case("http") || name.eq_ignore_ascii_case("ws")),
        );
        Ok(Self { text, plain_http })
    }

    /// Returns the head of the original request, about which the gate decides.
    ///
    /// # Errors
    /// [`BadHead`], as for a direct request.
    pub fn head(&self) -> Result<Head<'_>, BadHead> {
        let mut head = Head::parse(&self.text)?;
        head.https &= !self.plain_http;
        Ok(head)
    }
}

/// Returns the client's address as the gateway saw it. Call this only for a trusted gateway. The source is
/// `Keyward-Client-Address`, otherwise `X-Forwarded-For`, for Traefik, which cannot set a header of ours. An edge appends the
/// address that it saw to `X-Forwarded-For`, or sets it alone. That address is the gateway's, so it is removed.
///
/// # Errors
/// [`ForwardAuthError::Address`] if the value is not an IP address. [`ForwardAuthError::Addresses`] if more than one address
/// remains, because a client may have written all except one.
pub fn trusted_client_ip<'a>(head: &Head<'a>) -> Result<Option<&'a str>, ForwardAuthError> {
    let address = match (head.header(CLIENT_ADDRESS), raw(head, "x-forwarded-for")) {
        (Some(said), _) => said,
        (None, None) => return Ok(None),
        (None, Some(list)) => {
            let (before, last) = list.rsplit_once(',').map_or((None, list), |(before, last)| (Some(before), last));
            let seen = head.client_address().is_some_and(|seen| seen == last.trim());
            match (before, seen) {
                (None, true) => return Ok(None),
                (None, false) => last.trim(),
                (Some(one), true) if !one.contains(',') => one.trim(),
                _ => return Err(ForwardAuthError::Addresses),
            }
        }
    };
    // A repeated header contains a comma, so it does not parse.
    parse_address(address).map(|_| Some(address)).ok_or(ForwardAuthError::Address)
}

/// Returns whether a request has a header that only gateways send, and only to Keyward. An integration has no reason to send one.
#[must_use]
pub fn is_gateways(head: &Head<'_>) -> bool {
    head.headers().iter().any(|(name, _)| matches!(*name, VERIFIER | CLIENT_ADDRESS))
}

/// Returns whether a request is a forward-auth request, by headers that only gateways send. A gateway configured with a wrong prefix
/// sends it to another of Keyward's own paths, and takes any 200 as permission.
#[must_use]
pub fn is_asking(head: &Head<'_>) -> bool {
    is_gateways(head)
        || head.headers().iter().any(|(name, _)| matches!(*name, "x-forwarded-method" | "x-original-method"))
}

/// Returns the original method and URI, on which all sources present must agree.
fn named<'a>(head: &Head<'a>) -> Result<(&'a str, &'a str), ForwardAuthError> {
    let pair = |method: &str, uri: &str| match (raw(head, method), raw(head, uri)) {
        (Some(method), Some(uri)) => Ok(Some((method, uri))),
        (None, None) => Ok(None),
        _ => Err(ForwardAuthError::Half),
    };
    let original_method = raw(head, "x-original-method");
    let original_uris = [raw(head, "x-original-uri"), raw(head, ORIGINAL_URL).map(path_of).transpose()?];
    if original_method.is_some() != original_uris.iter().any(Option::is_some) {
        return Err(ForwardAuthError::Half);
    }
    let [uri, url] = original_uris.map(|uri| original_method.zip(uri));
    let rest = head.target().as_sent().strip_prefix(AUTHORIZE).filter(|rest| rest.starts_with('/'));
    let forwarded = pair("x-forwarded-method", "x-forwarded-uri")?;
    let sources = [forwarded, uri, url, rest.map(|rest| (head.method(), rest))];
    let mut named = sources.into_iter().flatten();
    let first = named.next().ok_or(ForwardAuthError::Absent)?;
    if named.all(|other| other == first) { Ok(first) } else { Err(ForwardAuthError::Contradiction) }
}

/// Returns path and query of an absolute URL, unchanged. Only the scheme and the path are used, because the host is the one that the
/// gateway's client sent.
fn path_of(url: &str) -> Result<&str, ForwardAuthError> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let (host, path) = rest.and_then(|rest| rest.split_at_checked(rest.find('/')?)).ok_or(ForwardAuthError::Url)?;
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    if !host.is_empty() && host.bytes().all(is_host) { Ok(path) } else { Err(ForwardAuthError::Url) }
}

/// Returns a header's value unchanged; an empty one counts as absent. A repeated header contains a comma and a space, and neither
/// a method nor a URI can contain a space.
fn raw<'a>(head: &Head<'a>, name: &str) -> Option<&'a str> {
    head.headers().iter().find(|(known, _)| *known == name).map(|(_, value)| *value).filter(|value| !value.is_empty())
}

/// Returns whether a head's text is a forward-auth request, even if the head is malformed. Its refusal is then sent in the form for
/// gateways.
#[must_use]
pub fn asks_to_authorize(text: &str) -> bool {
    let url = text.split('\n').nth(2).and_then(|url| url.split_once("://")).map_or("", |(_, rest)| rest);
    let path = url.find(['/', '?', '#', '\\']).and_then(|start| url.get(start..)).unwrap_or_default();
    path.strip_prefix(AUTHORIZE).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}
