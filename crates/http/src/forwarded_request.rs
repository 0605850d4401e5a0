//! The request that a gateway asks about (forward auth), put together from what it says of it.
//!
//! | gateway | says the original method and URI by |
//! |---|---|
//! | Traefik, Caddy | `X-Forwarded-Method`, `X-Forwarded-Uri` |
//! | nginx (`auth_request`) | `X-ForwardedRequest-Method`, `X-ForwardedRequest-URI`: its configuration names them |
//! | Envoy (`ext_authz` over HTTP) | its own method, and the rest of its own path |
//!
//! A gateway that sets one pair passes on what its client wrote into the other, so all that are there must say the same; what
//! is said by halves, or in two ways, is refused.

use std::net::IpAddr;

use super::head::{BadHead, Head};
use super::headers::write_line;

/// Where gateways ask. Envoy appends the original path.
pub const AUTHORIZE: &str = "/_keyward/v1/authorize";

/// Where a head has the client's address, as the edge saw it.
const SEEN_ADDRESS: &str = "cf-connecting-ip";

/// The header in which a gateway shows a verifier's or an owner's credential, as it is and with no scheme before it.
pub const VERIFIER: &str = "keyward-verifier";

/// Where a gateway says its client's address. No proxy on the way knows this header, so none adds to it.
const CLIENT_ADDRESS: &str = "keyward-client-address";

/// Why it is not clear which request is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardAuthError {
    /// Nothing names it.
    Absent,
    /// A method without its URI, or the reverse.
    Half,
    /// Two sources name two requests.
    Contradiction,
    /// What should be the client's address is none.
    Address,
    /// `X-Forwarded-For` names several, and nothing tells which of them the gateway wrote.
    Addresses,
    /// It came to another of Keyward's own addresses, whose 200 would let the original request pass.
    WrongPath,
}

impl ForwardAuthError {
    /// What the gateway's operator has to mend.
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

/// The original request, in the form of [`Head`]'s text.
pub struct ForwardedRequest {
    text: String,
    plain_http: bool,
}

impl ForwardedRequest {
    /// Reads the original request from the gateway's. Every other header is the client's own, passed on; `address` takes the
    /// place of the one that the edge saw, which is the gateway's. Without it the client's is not known.
    ///
    /// # Errors
    /// [`ForwardAuthError`]; and a URI that is no path is [`BadHead::Target`], as for the request itself.
    pub fn of(head: &Head<'_>, address: Option<&str>) -> Result<Self, ForwardAuthError> {
        let (method, uri) = named(head)?;
        let mut text = format!("{}\n{method}\n{}", head.now().0, head.base());
        // Without a slash it would go on with the host.
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
        // Whoever says so only makes it stricter. (Behind Cloudflare the edge writes this of the gateway's own connection.)
        let schemes = raw(head, "x-forwarded-proto").unwrap_or_default().split(',');
        let plain_http =
            schemes.map(str::trim).any(|name| name.eq_ignore_ascii_case("http") || name.eq_ignore_ascii_case("ws"));
        Ok(Self { text, plain_http })
    }

    /// The head that the gate judges.
    ///
    /// # Errors
    /// [`BadHead`], as for a request that came by itself.
    pub fn head(&self) -> Result<Head<'_>, BadHead> {
        let mut head = Head::parse(&self.text)?;
        head.https &= !self.plain_http;
        Ok(head)
    }
}

/// The client's address as a gateway saw it, to be asked for only where the gateway is believed: `Keyward-Client-Address`, and
/// where that is absent `X-Forwarded-For`, for Traefik, which can write no header of ours. An edge appends the address that it
/// saw to the latter, or writes it alone: that one is the gateway's and not the client's, so it is taken off.
///
/// # Errors
/// [`ForwardAuthError::Address`], of what is no address; [`ForwardAuthError::Addresses`] where more than one is left, for a client may have
/// written all but one of them.
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
    // Sent twice it has a comma in it, and is none.
    address.parse::<IpAddr>().map(|_| Some(address)).map_err(|_| ForwardAuthError::Address)
}

/// Whether a request has what only a gateway says to Keyward, and to nothing else: no integration has a reason to.
#[must_use]
pub fn is_gateways(head: &Head<'_>) -> bool {
    head.headers().iter().any(|(name, _)| matches!(*name, VERIFIER | CLIENT_ADDRESS))
}

/// Whether a gateway asks here, by what it would not say to anything else. A gateway that was given a wrong prefix asks somewhere
/// among Keyward's own addresses, and takes each 200 for a yes.
#[must_use]
pub fn is_asking(head: &Head<'_>) -> bool {
    is_gateways(head)
        || head.headers().iter().any(|(name, _)| matches!(*name, "x-forwarded-method" | "x-original-method"))
}

/// Method and URI, by whichever sources there are.
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

/// A header as it stands; an empty one counts as absent. Sent twice it has a comma and a space in it, which neither a method
/// nor a URI can have.
fn raw<'a>(head: &Head<'a>, name: &str) -> Option<&'a str> {
    head.headers().iter().find(|(known, _)| *known == name).map(|(_, value)| *value).filter(|value| !value.is_empty())
}

/// Whether a head's text is a gateway's asking, though it may have no form: its refusals are told in the gateways' way.
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

    /// The address that a gateway vouches for, where the edge saw the gateway at 203.0.113.1.
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
