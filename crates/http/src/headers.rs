//! Selects the client headers that reach the origin.
//!
//! Servers normalise names in different ways (CGI maps `-` and `_` to one character, some servers map everything except letters
//! and digits to `_`), so every rule reads `_`, `.` and any other punctuation as `-`.

use std::borrow::Cow;

use super::credential::CredentialHeaders;
use super::head::Head;

/// Hop-by-hop headers (RFC 9110, section 7.6.1), and headers with which a client could change the routing or impersonate the
/// edge.
const REMOVED: &[&str] = &[
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "x-forwarded-uri",
    "x-forwarded-path",
    "x-forwarded-method",
    "x-forwarded-server",
    "x-original-url",
    "x-original-uri",
    "x-original-method",
    "x-original-host",
    "x-rewrite-url",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-real-ip",
    "x-original-forwarded-for",
    "x-client-ip",
    "true-client-ip",
    // Headers that frameworks read as the client's address, or treat as a forgery if they differ from the address headers above.
    "client-ip",
    "x-cluster-client-ip",
    "fastly-client-ip",
    "forwarded-for",
    "x-forwarded",
];

/// Appends the names of the client headers that do not reach the origin to `names`, with a comma after each.
pub fn write_removed(head: &Head<'_>, strip: CredentialHeaders, names: &mut String) {
    let websocket = head.is_websocket();
    for (name, _) in head.headers() {
        if says_the_address(head, name) {
            continue;
        }
        let plain = fold(name);
        let removed = plain.starts_with("keyward-")
            || plain == "keyward"
            // Also bare `Proxy`: CGI passes it as HTTP_PROXY, which HTTP clients in the origin read as a setting.
            || plain == "proxy"
            || plain.starts_with("proxy-")
            || (REMOVED.contains(&plain.as_ref()) && !(websocket && *name == "upgrade"))
            || (strip.authorization && plain == "authorization")
            || (strip.api_key && plain == "x-api-key")
            // Any other spelling of an edge header comes from the client.
            || (plain.starts_with("cf-") && plain != *name)
            || head.connection().is_some_and(|listed| lists(listed, &plain) && !(websocket && *name == "upgrade"));
        if removed {
            names.push_str(name);
            names.push(',');
        }
    }
}

/// Headers from which origins read the client's address.
const ADDRESS_NAMES: [&str; 2] = ["x-forwarded-for", "x-real-ip"];

/// Writes the client's address as the edge saw it to the headers that origins read, unless they already contain it. The client's
/// own values were removed.
pub fn write_client_address(head: &Head<'_>, block: &mut String) {
    let Some(address) = head.client_address() else { return };
    for name in ADDRESS_NAMES {
        if !says_the_address(head, name) {
            write_line(block, name, address);
        }
    }
}

/// Whether a header occurs once and already has exactly the value to set, as Cloudflare's own headers mostly do. Keeping it saves
/// one or two crossings of the wasm boundary. (A `Connection` header could remove it, so then it is set.)
fn says_the_address(head: &Head<'_>, name: &str) -> bool {
    let mut values = head.headers().iter().filter(|(known, _)| *known == name).map(|(_, value)| *value);
    ADDRESS_NAMES.contains(&name)
        && head.connection().is_none()
        && head.client_address().is_some_and(|address| values.next() == Some(address) && values.next().is_none())
}

/// Appends one header line to a block.
pub fn write_line(block: &mut String, name: &str, value: &str) {
    block.push_str(name);
    block.push('\n');
    block.push_str(value);
    block.push('\n');
}

/// Returns the name in lower case, with `_`, `.` and any other punctuation as `-`.
pub(super) fn fold(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte != b'-' && !byte.is_ascii_lowercase() && !byte.is_ascii_digit()) {
        name.chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' })
            .collect::<String>()
            .into()
    } else {
        name.into()
    }
}

/// Whether a `Connection` header lists the (folded) name and may remove it. A client cannot remove headers that the request needs
/// in order to be understood, nor headers that the edge sets.
fn lists(connection: &str, name: &str) -> bool {
    !matches!(name, "authorization" | "host" | "cdn-loop" | "x-forwarded-proto")
        && !name.starts_with("cf-")
        && connection.split(',').map(str::trim).any(|listed| fold(listed) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removed(headers: &str) -> String {
        let text = format!("0\nGET\nhttp://h/\n{headers}");
        let mut names = String::new();
        let strip = CredentialHeaders { authorization: true, api_key: true };
        write_removed(&Head::parse(&text).unwrap(), strip, &mut names);
        names
    }

    #[test]
    fn ordinary_headers_pass_and_credentials_do_not() {
        assert_eq!(
            removed("accept\n*/*\ncookie\na=b\nauthorization\nx\nx-api-key\ny\nx_api.key\nz\ncf-ray\n1\n"),
            "authorization,x-api-key,x_api.key,"
        );
    }

    #[test]
    fn headers_that_impersonate_keyward_or_the_edge_are_removed() {
        for name in [
            "keyward",
            "keyward-key-id",
            "keyward_scopes",
            "keyward.evil",
            "keyward-anything",
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-host",
            "x_forwarded_uri",
            "x.original.url",
            "x-real-ip",
            "proxy-authorization",
            "proxy_x",
            "te",
            "http2-settings",
            "x-http-method-override",
            "cf_connecting_ip",
        ] {
            assert_eq!(removed(&format!("{name}\nx\n")), format!("{name},"));
        }
    }

    #[test]
    fn headers_listed_by_connection_are_removed_except_required_ones() {
        for listed in ["X-Hop", "X-HOP", "x_hop"] {
            assert_eq!(removed(&format!("connection\nclose, {listed}\nx-hop\n1\nx-stay\n2\n")), "connection,x-hop,");
            // An upgrade keeps only its own header of those listed.
            let upgrade = format!("connection\nUpgrade, {listed}\nupgrade\nwebsocket\nx-hop\n1\n");
            assert_eq!(removed(&upgrade), "connection,x-hop,");
        }
        let text = "0\nGET\nhttp://h/\nconnection\nAuthorization\nauthorization\nBasic x\n";
        let mut names = String::new();
        write_removed(&Head::parse(text).unwrap(), CredentialHeaders::default(), &mut names);
        assert_eq!(names, "connection,");
        let edges = "connection\nCF-Connecting-IP, cf-ray, CDN-Loop, X-Forwarded-Proto, cf_ray\ncf-connecting-ip\n192.0.2.1\n\
                     cf-ray\n1\ncdn-loop\ncloudflare\nx-forwarded-proto\nhttps\ncf_ray\n2\n";
        assert_eq!(removed(edges), "connection,cf_ray,", "what the edge says stays");
    }

    #[test]
    fn the_edges_address_is_the_only_one() {
        let text = "0\nGET\nhttp://h/\ncf-connecting-ip\n192.0.2.1\n";
        let mut block = String::new();
        write_client_address(&Head::parse(text).unwrap(), &mut block);
        assert_eq!(block, "x-forwarded-for\n192.0.2.1\nx-real-ip\n192.0.2.1\n");
    }

    #[test]
    fn headers_with_the_edges_own_client_address_are_kept() {
        let edited = |own: &str| {
            let text = format!("0\nGET\nhttp://h/\ncf-connecting-ip\n192.0.2.1\n{own}");
            let head = Head::parse(&text).unwrap();
            let (mut names, mut block) = (String::new(), String::new());
            write_removed(&head, CredentialHeaders::default(), &mut names);
            write_client_address(&head, &mut block);
            (names, block.replace("\n192.0.2.1\n", ","))
        };
        let is = |names: &str, set: &str| (names.to_owned(), set.to_owned());
        assert_eq!(edited("x-forwarded-for\n192.0.2.1\n"), is("", "x-real-ip,"));
        assert_eq!(edited("x-real-ip\n192.0.2.1\nx-forwarded-for\n192.0.2.1\n"), is("", ""));
        for other in ["6.6.6.6, 192.0.2.1", "192.0.2.1, 192.0.2.1", "192.0.2.1 ", "", "192.0.2.10"] {
            assert_eq!(edited(&format!("x-real-ip\n{other}\n")), is("x-real-ip,", "x-forwarded-for,x-real-ip,"));
        }
        let twice = "x-real-ip\n192.0.2.1\nx-real-ip\n6.6.6.6\n";
        assert_eq!(edited(twice), is("x-real-ip,x-real-ip,", "x-forwarded-for,x-real-ip,"));
        assert_eq!(edited("x_real_ip\n192.0.2.1\n"), is("x_real_ip,", "x-forwarded-for,x-real-ip,"));
        let listed = "connection\nx-real-ip\nx-real-ip\n192.0.2.1\n";
        assert_eq!(edited(listed), is("connection,x-real-ip,", "x-forwarded-for,x-real-ip,"));
    }

    #[test]
    fn only_a_websocket_upgrade_passes() {
        assert_eq!(removed("connection\nUpgrade\nupgrade\nWebSocket\n"), "connection,");
        assert_eq!(removed("connection\nUpgrade\nupgrade\nh2c\n"), "connection,upgrade,");
    }

    #[test]
    fn an_upgrade_by_another_method_than_get_does_not_pass() {
        for method in ["POST", "HEAD", "OPTIONS"] {
            let text = format!("0\n{method}\nhttp://h/\nupgrade\nwebsocket\n");
            let mut names = String::new();
            write_removed(&Head::parse(&text).unwrap(), CredentialHeaders::default(), &mut names);
            assert_eq!(names, "upgrade,");
        }
    }
}
