//! Edits a `Cookie` header: some cookies are removed, the others stay byte for byte.

/// Cookies that are credentials for Keyward's control plane: those of Cloudflare Access, which a browser sends to every path of the
/// host, and the console's session.
const CREDENTIALS: &[&str] = &["CF_Authorization", "CF_AppSession", "CF_Binding", "CF_Session", "__Host-keyward"];

/// Returns whether a cookie, `name=value`, is a credential for Keyward's control plane.
pub(super) fn is_credential(cookie: &str) -> bool {
    let name = cookie.split('=').next().unwrap_or_default().trim();
    CREDENTIALS.contains(&name)
}

/// Returns the header without the cookies that `drop` selects; empty if none is left. `None` if it selects none.
///
/// The runtime joins repeated `Cookie` headers with a comma, so a cookie may also begin after a comma.
pub(super) fn without(header: &str, drop: impl Fn(&str) -> bool) -> Option<String> {
    let parts = || header.split_inclusive([';', ',']);
    let cookie = |part: &'_ str| -> bool { drop(part.trim_end_matches([';', ','])) };
    if !parts().any(cookie) {
        return None;
    }
    let mut left = String::with_capacity(header.len());
    for part in parts().filter(|part| !cookie(part)) {
        left.push_str(if left.is_empty() { part.trim_start() } else { part });
    }
    // The last remaining cookie may have preceded a removed one.
    if left.ends_with([';', ',']) && !header.ends_with([';', ',']) {
        left.pop();
    }
    Some(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_for_the_control_plane_are_removed_and_other_cookies_stay_byte_for_byte() {
        for (header, expected) in [
            ("a=b", None),
            ("", None),
            ("a=CF_Authorization", None),
            ("xCF_Authorization=1; CF_AuthorizationX=2", None),
            ("cf_authorization=1", None),
            ("CF_Authorization=x", Some("")),
            ("CF_Authorization", Some("")),
            ("CF_Authorization=x; __Host-keyward=y;CF_AppSession=z", Some("")),
            ("a=b; CF_Authorization=x.y.z", Some("a=b")),
            ("CF_Authorization=x; a=b", Some("a=b")),
            ("a=b;CF_Authorization=x;c=d==; e=\"f g\"", Some("a=b;c=d==; e=\"f g\"")),
            ("a=b; CF_Authorization = x; c=é", Some("a=b; c=é")),
            ("a=1,2; CF_AppSession=x", Some("a=1,2")),
            // Two headers, joined by the runtime.
            ("a=b, CF_Authorization=x", Some("a=b")),
            ("a=b, CF_Authorization=x; c=d", Some("a=b, c=d")),
            ("CF_Authorization=x, a=b", Some("a=b")),
            ("a=\"x; CF_Authorization=y\"", Some("a=\"x")),
            (";;CF_Authorization=x", Some(";")),
        ] {
            assert_eq!(without(header, is_credential).as_deref(), expected, "{header}");
        }
    }
}
