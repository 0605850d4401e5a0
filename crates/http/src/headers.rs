//! Selects the client headers that reach the origin.
//!
//! Servers normalise names in different ways (CGI maps `-` and `_` to one character, some servers map everything except letters
//! and digits to `_`), so every rule reads `_`, `.` and any other punctuation as `-`.

use std::borrow::Cow;

use super::cookies;
use super::credential::CredentialHeaders;
use super::head::Head;
use super::key_copies::KeyCopies;
use super::removed_headers::is_removed;

/// Writes the edits to a client's headers: the names to remove with a comma after each, a line feed, then the headers to set as
/// [`write_line`] writes them.
pub fn write_edits(head: &Head<'_>, strip: CredentialHeaders, edits: &mut String) {
    let copies = KeyCopies::of(head, strip);
    let listed = Listed::of(head.connection());
    let cookie = head
        .cookie()
        .filter(|_| !listed.has("cookie"))
        .and_then(|header| cookies::without(header, |cookie| cookies::is_credential(cookie) || copies.are_in(cookie)));
    for name in removed_names(head, strip, &copies, &listed) {
        edits.push_str(name);
        edits.push(',');
    }
    if cookie.as_deref() == Some("") {
        edits.push_str("cookie,");
    }
    edits.push('\n');
    write_forwarded(head, edits);
    if let Some(left) = cookie.filter(|left| !left.is_empty()) {
        write_line(edits, "cookie", &left);
    }
}

/// Returns the names of the client headers that do not reach the origin, as they were sent.
fn removed_names<'a>(
    head: &'a Head<'_>,
    strip: CredentialHeaders,
    copies: &KeyCopies<'_>,
    listed: &Listed<'_>,
) -> impl Iterator<Item = &'a str> {
    let websocket = head.is_websocket();
    let removed = move |name: &str, value: &str| {
        if says_the_address(head, name) || (websocket && name == "upgrade") {
            return false;
        }
        let folded = fold(name);
        is_removed(name, &folded)
            || (strip.authorization && folded == "authorization")
            || (strip.api_key && folded == "x-api-key")
            || listed.has(&folded)
            || (name != "cookie" && copies.are_in(value))
    };
    head.headers().iter().filter(move |(name, value)| removed(name, value)).map(|(name, _)| *name)
}

/// Headers from which origins read the client's address.
const ADDRESS_NAMES: [&str; 2] = ["x-forwarded-for", "x-real-ip"];

/// Writes the forwarding headers: the client's address if the edge reported it, the host that the client named, and the scheme. The
/// client's own values were removed.
fn write_forwarded(head: &Head<'_>, block: &mut String) {
    for name in ADDRESS_NAMES {
        if let Some(address) = head.client_address().filter(|_| !says_the_address(head, name)) {
            write_line(block, name, address);
        }
    }
    write_line(block, "x-forwarded-host", head.authority());
    let scheme = if head.https() { "https" } else { "http" };
    if !says_once(head, "x-forwarded-proto", scheme) {
        write_line(block, "x-forwarded-proto", scheme);
    }
}

/// Returns whether a header already contains the client's address, as Cloudflare's own headers usually do. Keeping it avoids one or two
/// calls across the wasm boundary. (A `Connection` header could remove it, so then it is set.)
fn says_the_address(head: &Head<'_>, name: &str) -> bool {
    ADDRESS_NAMES.contains(&name)
        && head.connection().is_none()
        && head.client_address().is_some_and(|address| says_once(head, name, address))
}

/// Returns whether a header occurs once, with exactly this value.
fn says_once(head: &Head<'_>, name: &str, value: &str) -> bool {
    let mut values = head.headers().iter().filter(|(known, _)| *known == name).map(|(_, value)| *value);
    values.next() == Some(value) && values.next().is_none()
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

/// The folded names that a `Connection` header lists. [`Head`] limits their number.
struct Listed<'a>(Vec<Cow<'a, str>>);

impl<'a> Listed<'a> {
    fn of(connection: Option<&'a str>) -> Self {
        Self(connection.map(|list| list.split(',').map(|name| fold(name.trim())).collect()).unwrap_or_default())
    }

    /// Returns whether the list has the folded name and may remove it. A client cannot remove headers that are needed to interpret the
    /// request, nor headers that the edge sets.
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|listed| listed == name)
            && !matches!(name, "authorization" | "host" | "cdn-loop" | "x-forwarded-proto")
            && !name.starts_with("cf-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "wafl_live_8Fh2kQ0sZp1L_0123456789abcdefghijABCDEFGHIJ0123456789abcdef";

    /// The names to remove and the headers to set, without those of host and scheme.
    fn edited(method: &str, headers: &str, strip: CredentialHeaders) -> (String, String) {
        let text = format!("0\n{method}\nhttp://h/\n{headers}");
        let mut edits = String::new();
        write_edits(&Head::parse(&text).unwrap(), strip, &mut edits);
        let (names, block) = edits.split_once('\n').unwrap();
        assert_eq!(block.matches("x-forwarded-host\nh\n").count(), 1, "{block}");
        (names.to_owned(), block.replace("x-forwarded-host\nh\n", "").replace("x-forwarded-proto\nhttp\n", ""))
    }

    fn removed(headers: &str) -> String {
        edited("GET", headers, CredentialHeaders { authorization: true, api_key: true }).0
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
        let own = edited("GET", "connection\nAuthorization\nauthorization\nBasic x\n", CredentialHeaders::default());
        assert_eq!(own.0, "connection,");
        let edges = "connection\nCF-Connecting-IP, cf-ray, CDN-Loop, X-Forwarded-Proto, cf_ray\ncf-connecting-ip\n192.0.2.1\n\
                     cf-ray\n1\ncdn-loop\ncloudflare\nx-forwarded-proto\nhttps\ncf_ray\n2\n";
        assert_eq!(removed(edges), "connection,cf_ray,", "what the edge says stays");
    }

    #[test]
    fn the_edges_address_is_the_only_one() {
        let (_, set) = edited("GET", "cf-connecting-ip\n192.0.2.1\n", CredentialHeaders::default());
        assert_eq!(set, "x-forwarded-for\n192.0.2.1\nx-real-ip\n192.0.2.1\n");
    }

    #[test]
    fn headers_with_the_edges_own_client_address_are_kept() {
        let edited = |own: &str| {
            let headers = format!("cf-connecting-ip\n192.0.2.1\n{own}");
            let (names, block) = edited("GET", &headers, CredentialHeaders::default());
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
    fn the_origin_learns_the_host_and_the_scheme_of_the_request() {
        let edits = |url: &str, headers: &str| {
            let text = format!("0\nGET\n{url}\n{headers}");
            let mut edits = String::new();
            write_edits(&Head::parse(&text).unwrap(), CredentialHeaders::default(), &mut edits);
            edits
        };
        let http = "\nx-forwarded-host\napi.example:8080\nx-forwarded-proto\nhttp\n";
        for forged in ["", "x-forwarded-proto\nhttps\n", "x-forwarded-proto\nhttp, https\n"] {
            assert_eq!(edits("http://api.example:8080/a", forged), http);
        }
        assert_eq!(edits("http://api.example:8080/a", "x-forwarded-host\nevil\n"), format!("x-forwarded-host,{http}"));
        // Cloudflare's own value stays.
        assert_eq!(edits("https://[::1]/", "x-forwarded-proto\nhttps\n"), "\nx-forwarded-host\n[::1]\n");
        let listed = "connection\nx-forwarded-proto\nx-forwarded-proto\nhttps\n";
        assert_eq!(edits("https://h/", listed), "connection,\nx-forwarded-host\nh\n", "nor can a client remove it");
    }

    #[test]
    fn a_copy_of_the_presented_key_reaches_no_origin() {
        let strip = CredentialHeaders { authorization: true, api_key: true };
        let key = format!("authorization\nBearer {KEY}\n");
        let plain = format!("{key}apikey\n{KEY}\nreferer\nhttps://h/?k={KEY}\nuser-agent\nx/1\n");
        assert_eq!(edited("GET", &plain, strip), ("authorization,apikey,referer,".to_owned(), String::new()));
        let cookies = format!("{key}cookie\na=b; k={KEY}; c=d\n");
        assert_eq!(edited("GET", &cookies, strip), ("authorization,".to_owned(), "cookie\na=b; c=d\n".to_owned()));
        let only = format!("{key}cookie\nk={KEY}; __Host-keyward=x\n");
        assert_eq!(edited("GET", &only, strip), ("authorization,cookie,".to_owned(), String::new()));
        let beside = format!("x-api-key\n{KEY}\nauthorization\nDigest k=\"{KEY}\"\n");
        let strip = CredentialHeaders { authorization: false, api_key: true };
        assert_eq!(edited("GET", &beside, strip).0, "x-api-key,authorization,");
        let other = format!("x-api-key\n{KEY}\nauthorization\n{}\n", KEY.replace("live", "test"));
        assert_eq!(edited("GET", &other, strip).0, "x-api-key,", "another key is the origin's matter");
    }

    #[test]
    fn a_cookie_that_connection_lists_is_removed_whole() {
        let headers = "connection\ncookie\ncookie\na=b; CF_Authorization=x\n";
        assert_eq!(
            edited("GET", headers, CredentialHeaders::default()),
            ("connection,cookie,".to_owned(), String::new())
        );
    }

    #[test]
    fn only_a_websocket_upgrade_passes() {
        assert_eq!(removed("connection\nUpgrade\nupgrade\nWebSocket\n"), "connection,");
        assert_eq!(removed("connection\nUpgrade\nupgrade\nh2c\n"), "connection,upgrade,");
    }

    #[test]
    fn an_upgrade_by_another_method_than_get_does_not_pass() {
        for method in ["POST", "HEAD", "OPTIONS"] {
            assert_eq!(edited(method, "upgrade\nwebsocket\n", CredentialHeaders::default()).0, "upgrade,");
        }
    }
}
