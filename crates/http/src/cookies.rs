//! Cookies: the console's session, and the edit of a `Cookie` header that removes some and keeps the others byte for byte.

/// Cookies that are credentials for Keyward's control plane: those of Cloudflare Access, which a browser sends to every path of the
/// host, and the console's session.
const CREDENTIALS: &[&str] = &["CF_Authorization", "CF_AppSession", "CF_Binding", "CF_Session", SESSION];

/// Name of the console's session cookie. Browsers accept the prefix only from the host itself, over HTTPS, for the whole host.
const SESSION: &str = "__Host-keyward";

/// Attributes of the session cookie (RFC 6265, section 4.1).
const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Strict";

/// The session cookie of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SessionCookie<'a> {
    /// None, or an empty one.
    Absent,
    /// One, with this value.
    One(&'a str),
    /// Two or more. A browser sends one only, so somebody else set the other.
    Several,
}

impl<'a> SessionCookie<'a> {
    /// Finds it in a `Cookie` header. The runtime joins repeated headers with a comma, so a cookie may also begin after a comma.
    #[must_use]
    pub fn find(header: &'a str) -> Self {
        let mut found = header.split([';', ',']).filter_map(|cookie| {
            let (name, value) = cookie.split_once('=').unwrap_or((cookie, ""));
            (name.trim() == SESSION).then(|| value.trim())
        });
        match (found.next(), found.next()) {
            (None | Some(""), None) => Self::Absent,
            (Some(value), None) => Self::One(value),
            (_, Some(_)) => Self::Several,
        }
    }
}

/// Returns the `Set-Cookie` that makes a browser send this session token until it is closed. The registry ends the session earlier.
#[must_use]
pub fn set_session(token: &str) -> String {
    format!("{SESSION}={token}; {ATTRIBUTES}")
}

/// Returns the `Set-Cookie` that makes a browser forget the session token.
#[must_use]
pub fn forget_session() -> String {
    format!("{SESSION}=; {ATTRIBUTES}; Max-Age=0")
}

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
    fn a_request_has_one_session_or_none_and_two_are_never_one_of_them() {
        for (header, expected) in [
            ("", SessionCookie::Absent),
            ("a=b", SessionCookie::Absent),
            ("__Host-keyward", SessionCookie::Absent),
            ("__Host-keyward=", SessionCookie::Absent),
            ("a=__Host-keyward=x", SessionCookie::Absent),
            ("x__Host-keyward=x; __Host-keywardx=y", SessionCookie::Absent),
            ("__host-keyward=x; __HOST-KEYWARD=y", SessionCookie::Absent),
            ("__Host-keyward=x", SessionCookie::One("x")),
            ("a=b;__Host-keyward=x=y; c=d", SessionCookie::One("x=y")),
            ("a=b,  __Host-keyward = x ,c=d", SessionCookie::One("x")),
            ("__Host-keyward=x; __Host-keyward=x", SessionCookie::Several),
            ("__Host-keyward=x; a=b; __Host-keyward=y", SessionCookie::Several),
            ("__Host-keyward=x, __Host-keyward=y", SessionCookie::Several),
            ("__Host-keyward=; __Host-keyward=y", SessionCookie::Several),
            ("__Host-keyward; __Host-keyward=y", SessionCookie::Several),
        ] {
            assert!(SessionCookie::find(header) == expected, "{header}");
        }
    }

    #[test]
    fn the_session_cookie_is_for_this_host_alone_and_out_of_reach_of_scripts() {
        assert_eq!(set_session("abc"), "__Host-keyward=abc; Path=/; Secure; HttpOnly; SameSite=Strict");
        assert_eq!(forget_session(), "__Host-keyward=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
        assert_eq!(without("__Host-keyward=abc", is_credential).as_deref(), Some(""));
    }

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
