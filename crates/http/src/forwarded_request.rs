//! Forward auth: the original request, reconstructed from the headers of a gateway's request.
//!
//! | gateway | source of the original method and URI |
//! |---|---|
//! | Traefik, Caddy | `X-Forwarded-Method`, `X-Forwarded-Uri` |
//! | nginx (`auth_request`) | `X-Original-Method`, `X-Original-URI`, which its configuration sets |
//! | Envoy (`ext_authz` over HTTP) | its own method, and the rest of its own path |
//!
//! A gateway that sets one pair passes on the other pair as its client sent it. All sources present must therefore agree: an
//! incomplete pair or a contradiction is refused.

use super::address::parse_address;
use super::head::{BadHead, Head};
use super::headers::write_line;

/// Path of the forward-auth endpoint. Envoy appends the original path.
pub const AUTHORIZE: &str = "/_keyward/v1/authorize";

/// Header with the client's address as the edge saw it.
const SEEN_ADDRESS: &str = "cf-connecting-ip";

/// Header in which a gateway presents a verifier's or an owner's credential, unchanged and without a scheme.
pub const VERIFIER: &str = "keyward-verifier";

/// Header in which a gateway passes its client's address. No proxy on the path knows this header, so none appends to it.
const CLIENT_ADDRESS: &str = "keyward-client-address";

/// Reason to refuse a forward-auth request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardAuthError {
    /// No source names the original request.
    Absent,
    /// A method without its URI, or the reverse.
    Half,
    /// Two sources name different requests.
    Contradiction,
    /// The value for the client's address is not an IP address.
    Address,
    /// `X-Forwarded-For` has several addresses, and it is unknown which one the gateway wrote.
    Addresses,
    /// The request went to a path other than [`AUTHORIZE`], where a 200 would let the original request pass.
    WrongPath,
}

impl ForwardAuthError {
    /// Returns the problem and its fix, for the gateway's operator.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Absent => {
                "Name the original request: X-Forwarded-Method and X-Forwarded-Uri, X-Original-Method and X-Original-URI, or the path after /_keyward/v1/authorize."
            }
            Self::Half => "The original request's method and URI belong together: send both headers of a pair.",
            Self::Contradiction => "Two sources name two different original requests.",
            Self::Address => "The client's address is not one IP address: set Keyward-Client-Address to it.",
            Self::Addresses => {
                "X-Forwarded-For names several addresses, which a client can write too: set Keyward-Client-Address."
            }
            Self::WrongPath => {
                "Gateways ask at /_keyward/v1/authorize. Their headers count nowhere else, and this answer permits nothing."
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
        // Accepted from anyone, since it only makes the check stricter. (Behind Cloudflare, the edge sets it for the gateway's
        // own connection.)
        let schemes = raw(head, "x-forwarded-proto").unwrap_or_default().split(',');
        let plain_http =
            schemes.map(str::trim).any(|name| name.eq_ignore_ascii_case("http") || name.eq_ignore_ascii_case("ws"));
        Ok(Self { text, plain_http })
    }

    /// Returns the head that the gate judges.
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

/// Whether a request has a header that only gateways send, and only to Keyward. An integration has no reason to send one.
#[must_use]
pub fn is_gateways(head: &Head<'_>) -> bool {
    head.headers().iter().any(|(name, _)| matches!(*name, VERIFIER | CLIENT_ADDRESS))
}

/// Whether a request is a forward-auth request, by headers that a gateway sends nowhere else. A gateway with a wrong prefix in
/// its configuration asks at another of Keyward's own paths, and takes any 200 as permission.
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
    let rest = head.target().as_sent().strip_prefix(AUTHORIZE).filter(|rest| rest.starts_with('/'));
    let sources = [
        pair("x-forwarded-method", "x-forwarded-uri")?,
        pair("x-original-method", "x-original-uri")?,
        rest.map(|rest| (head.method(), rest)),
    ];
    let mut named = sources.into_iter().flatten();
    let first = named.next().ok_or(ForwardAuthError::Absent)?;
    if named.all(|other| other == first) { Ok(first) } else { Err(ForwardAuthError::Contradiction) }
}

/// Returns a header's value unchanged; an empty one counts as absent. A repeated header contains a comma and a space, and neither
/// a method nor a URI can contain a space.
fn raw<'a>(head: &Head<'a>, name: &str) -> Option<&'a str> {
    head.headers().iter().find(|(known, _)| *known == name).map(|(_, value)| *value).filter(|value| !value.is_empty())
}

/// Whether a head's text is a forward-auth request, even if the head is malformed. Its refusal is then sent in the form for
/// gateways.
#[must_use]
pub fn asks_to_authorize(text: &str) -> bool {
    let url = text.split('\n').nth(2).and_then(|url| url.split_once("://")).map_or("", |(_, rest)| rest);
    let path = url.find(['/', '?', '#', '\\']).and_then(|start| url.get(start..)).unwrap_or_default();
    path.strip_prefix(AUTHORIZE).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "https://gate.example/_keyward/v1/authorize";

    fn original(line: &str, headers: &str) -> Result<String, String> {
        let (method, url) = line.split_once(' ').unwrap();
        let text = format!("5\n{method}\n{url}\nhost\ngate.example\n{headers}");
        let head = Head::parse(&text).unwrap();
        let original = ForwardedRequest::of(&head, None).map_err(|why| format!("{why:?}"))?;
        let head = original.head().map_err(|why| format!("{why:?}"))?;
        Ok(format!("{} {}{}", head.method(), head.base(), head.target().as_sent()))
    }

    #[test]
    fn each_refusal_tells_the_gateways_operator_what_to_mend() {
        use ForwardAuthError::*;
        let details = [Absent, Half, Contradiction, Address, Addresses, WrongPath].map(ForwardAuthError::detail);
        for detail in details {
            assert!(detail.len() > 40 && detail.ends_with('.'), "{detail}");
            assert_eq!(details.iter().filter(|other| **other == detail).count(), 1, "{detail}");
        }
    }

    #[test]
    fn each_gateway_names_the_request_in_its_way() {
        let expected = Ok("POST https://gate.example/v1/contacts?q=%2F&r='".to_owned());
        let traefik = "x-forwarded-method\nPOST\nx-forwarded-uri\n/v1/contacts?q=%2F&r='\n";
        let nginx = "x-original-method\nPOST\nx-original-uri\n/v1/contacts?q=%2F&r='\n";
        let envoy = format!("POST {OWN}/v1/contacts?q=%2F&r='");
        assert_eq!(original(&format!("GET {OWN}"), traefik), expected);
        assert_eq!(original(&format!("GET {OWN}?own=query"), nginx), expected);
        assert_eq!(original(&envoy, ""), expected);
        assert_eq!(original(&envoy, &format!("{traefik}{nginx}")), expected, "they may all say the same");
        assert_eq!(original(&format!("GET {OWN}/"), ""), Ok("GET https://gate.example/".to_owned()));
    }

    #[test]
    fn what_is_not_clear_is_refused() {
        let own = format!("GET {OWN}");
        for (line, headers, why) in [
            (own.clone(), "", "Absent"),
            (own.clone(), "x-forwarded-uri\n/a\n", "Half"),
            (own.clone(), "x-original-method\nGET\n", "Half"),
            (own.clone(), "x-forwarded-method\nGET\nx-original-uri\n/a\n", "Half"),
            (own.clone(), "x-forwarded-method\nGET\nx-forwarded-uri\n\n", "Half"),
            (
                own.clone(),
                "x-forwarded-method\nGET\nx-forwarded-uri\n/a\nx-original-method\nGET\nx-original-uri\n/b\n",
                "Contradiction",
            ),
            (
                own.clone(),
                "x-forwarded-method\nGET\nx-forwarded-uri\n/a\nx-original-method\nPOST\nx-original-uri\n/a\n",
                "Contradiction",
            ),
            (format!("{own}/b"), "x-forwarded-method\nGET\nx-forwarded-uri\n/a\n", "Contradiction"),
            (format!("POST {OWN}/a"), "x-forwarded-method\nGET\nx-forwarded-uri\n/a\n", "Contradiction"),
            (own.clone(), "x-forwarded-method\nGET, POST\nx-forwarded-uri\n/a\n", "Method"),
            (own.clone(), "x-forwarded-method\nget\nx-forwarded-uri\n/a\n", "Method"),
            (own.clone(), "x-forwarded-method\nGET\nx-forwarded-uri\n/a, /a\n", "Target(Character)"),
            (own.clone(), "x-forwarded-method\nGET\nx-forwarded-uri\n/a, \n", "Target(Character)"),
            (own.clone(), "x-forwarded-method\nGET\nx-forwarded-uri\n/a/../b\n", "Target(DotSegment)"),
        ] {
            assert_eq!(original(&line, headers), Err(why.to_owned()), "{line} {headers}");
        }
        for uri in ["a", "@evil.example/a", ".evil.example/a", ":1/a", "https://h/a", "//evil.example/a", "*", "\\a"] {
            let said = original(&own, &format!("x-forwarded-method\nGET\nx-forwarded-uri\n{uri}\n"));
            assert!(said.as_ref().is_err_and(|why| why.starts_with("Target")), "{uri}: {said:?}");
        }
    }

    #[test]
    fn what_describes_the_asking_and_what_gateways_say_is_not_the_clients() {
        let text = format!(
            "5\nPOST\n{OWN}/a\nhost\ngate.example\ncontent-length\n7\nx-forwarded-for\n6.6.6.6\nx-real-ip\n6.6.6.6\n\
             keyward-verifier\nwafl_admin\nkeyward-client-address\n6.6.6.6\ncf-connecting-ip\n192.0.2.1\naccept\n*/*\n\
             x-api-key\nk\n"
        );
        let head = Head::parse(&text).unwrap();
        let original = ForwardedRequest::of(&head, None).unwrap();
        let seen = original.head().unwrap();
        assert_eq!(seen.headers(), [("accept", "*/*"), ("x-api-key", "k")]);
        assert_eq!(seen.client_address(), None, "the gateway's own address is not its client's");
        let original = ForwardedRequest::of(&head, Some("198.51.100.7")).unwrap();
        let seen = original.head().unwrap();
        assert_eq!(seen.headers(), [("cf-connecting-ip", "198.51.100.7"), ("accept", "*/*"), ("x-api-key", "k")]);
    }

    #[test]
    fn a_request_that_was_plain_at_the_gateway_is_plain() {
        for (said, https) in [("", true), ("https", true), ("http", false), ("HTTP", false), ("http, https", false)] {
            let text = format!("5\nGET\n{OWN}/a\nx-forwarded-proto\n{said}\n");
            let original = ForwardedRequest::of(&Head::parse(&text).unwrap(), None).unwrap();
            assert_eq!(original.head().unwrap().https(), https, "{said}");
        }
        let text = "5\nGET\nhttp://h/_keyward/v1/authorize/a\nx-forwarded-proto\nhttps\n";
        let original = ForwardedRequest::of(&Head::parse(text).unwrap(), None).unwrap();
        assert!(
            !original.head().unwrap().https(),
            "and a gateway that asks in plain text carries the key in plain text"
        );
    }

    /// Returns the trusted client address, where the edge saw the gateway at 203.0.113.1.
    fn vouched(headers: &str) -> Result<Option<String>, ForwardAuthError> {
        let text = format!("5\nGET\n{OWN}/a\ncf-connecting-ip\n203.0.113.1\n{headers}");
        trusted_client_ip(&Head::parse(&text).unwrap()).map(|address| address.map(str::to_owned))
    }

    #[test]
    fn the_header_of_our_own_is_the_clients_address_whatever_else_is_said() {
        let is = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(vouched(""), Ok(None));
        assert_eq!(vouched("x-real-ip\n192.0.2.1\n"), Ok(None));
        assert_eq!(vouched("keyward-client-address\n192.0.2.1\n"), is("192.0.2.1"));
        assert_eq!(vouched("keyward-client-address\n2001:db8::1\n"), is("2001:db8::1"));
        assert_eq!(vouched("keyward-client-address\n203.0.113.1\n"), is("203.0.113.1"), "it may share the gateway's");
        let others = "x-forwarded-for\n6.6.6.6, 7.7.7.7\nx-real-ip\n6.6.6.6\n";
        assert_eq!(vouched(&format!("keyward-client-address\n192.0.2.1\n{others}")), is("192.0.2.1"));
        for none in ["192.0.2.1, 192.0.2.1", "192.0.2.1, 6.6.6.6", "", ",", "unix:", "192.0.2.1:80", "[::1]", "x"] {
            let said = format!("keyward-client-address\n{none}\nx-forwarded-for\n192.0.2.1\n");
            assert_eq!(vouched(&said), Err(ForwardAuthError::Address), "{none}");
        }
    }

    #[test]
    fn of_a_list_the_one_that_is_left_without_the_edges_own_is_believed_and_two_are_not() {
        let is = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(vouched("x-forwarded-for\n192.0.2.1\n"), is("192.0.2.1"));
        assert_eq!(vouched("x-forwarded-for\n192.0.2.1, 203.0.113.1\n"), is("192.0.2.1"), "the edge appended");
        assert_eq!(vouched("x-forwarded-for\n203.0.113.1,203.0.113.1\n"), is("203.0.113.1"), "one address, both");
        assert_eq!(vouched("x-forwarded-for\n203.0.113.1\n"), Ok(None), "the edge's own word, and no gateway's");
        for ambiguous in
            ["6.6.6.6, 192.0.2.1", "6.6.6.6, 203.0.113.1, 203.0.113.1", "6.6.6.6, 192.0.2.1, 203.0.113.1", ",,"]
        {
            assert_eq!(
                vouched(&format!("x-forwarded-for\n{ambiguous}\n")),
                Err(ForwardAuthError::Addresses),
                "{ambiguous}"
            );
        }
        for none in ["unknown", ", 203.0.113.1", "192.0.2.1:80"] {
            assert_eq!(vouched(&format!("x-forwarded-for\n{none}\n")), Err(ForwardAuthError::Address), "{none}");
        }
        let unseen = format!("5\nGET\n{OWN}/a\nx-forwarded-for\n192.0.2.1\n");
        assert_eq!(trusted_client_ip(&Head::parse(&unseen).unwrap()), Ok(Some("192.0.2.1")), "no edge, no word of it");
    }

    #[test]
    fn what_only_a_gateway_says_tells_that_one_asks() {
        for (headers, asks) in [
            ("", false),
            ("x-forwarded-for\n192.0.2.1\nx-forwarded-uri\n/\nx-real-ip\n192.0.2.1\n", false),
            ("keyward-verifier\n\n", true),
            ("keyward-client-address\n192.0.2.1\n", true),
            ("x-forwarded-method\nGET\n", true),
            ("x-original-method\nGET\n", true),
        ] {
            let text = format!("5\nGET\nhttps://h/_keyward/health\n{headers}");
            assert_eq!(is_asking(&Head::parse(&text).unwrap()), asks, "{headers}");
        }
    }

    #[test]
    fn an_asking_is_known_though_it_has_no_form() {
        for (url, asks) in [
            (OWN, true),
            ("https://h/_keyward/v1/authorize?x", true),
            ("https://h/_keyward/v1/authorize//..%2f", true),
            ("https://h/_keyward/v1/authorized", false),
            ("https://h/_keyward/v1/keys", false),
            ("https://h", false),
            ("https://h?/_keyward/v1/authorize", false),
            ("", false),
        ] {
            assert_eq!(asks_to_authorize(&format!("5\nGET\n{url}\n")), asks, "{url}");
        }
    }
}
