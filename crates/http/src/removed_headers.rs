//! Request headers from clients that are never forwarded to an origin: one list, for the gate and for the gateways of `examples/`.
//!
//! With such a header a client could pose as Keyward or as another client, or change the path or method that was checked. Servers and
//! frameworks add further names, so whole families are removed by the beginning or the end of the name. Names are folded: lower case,
//! with `_`, `.` and any other punctuation as `-`.

/// Headers of one connection (RFC 9110, section 7.6.1). Every proxy removes them itself.
pub const HOP_BY_HOP: &[&str] =
    &["connection", "http2-settings", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/// Single names, sorted.
pub const NAMES: &[&str] = &[
    // Certificate of the client, from a proxy that terminates TLS (RFC 9440).
    "client-cert",
    "client-cert-chain",
    "forwarded",
    "forwarded-for-ip",
    "front-end-https",
    "keyward",
    // Gunicorn reads these as the path.
    "path-info",
    // CGI passes it as HTTP_PROXY, which HTTP clients in the origin read as a setting.
    "proxy",
    "request-uri",
    "script-name",
    "x-anonymous-consumer",
    "x-azure-socketip",
    "x-backend-host",
    "x-cdn-src-ip",
    "x-credential-identifier",
    "x-forwarded",
    "x-forwarder-for",
    "x-front-end-https",
    "x-host",
    "x-http-destinationurl",
    "x-http-method",
    "x-matched-path",
    "x-nf-client-connection-ip",
    "x-now-route-matches",
    "x-proxy-url",
    "x-proxyuser-ip",
    "x-request-uri",
    "x-scheme",
    "x-script-name",
    "x-ssl",
    "x-true-ip",
    "x-url-scheme",
];

/// Part of a name that all members of a family share.
#[derive(Clone, Copy, Debug)]
pub enum Shared {
    /// The beginning of the name.
    Start(&'static str),
    /// The end of the name.
    End(&'static str),
}

/// Headers that are removed by a part of their name.
pub struct Family {
    /// Part of the name that makes a header a member.
    pub shared: Shared,
    /// Members that servers, frameworks and gateways are known to read. A gateway that cannot remove headers by a part of the name
    /// removes these.
    pub known: &'static [&'static str],
}

impl Family {
    /// Returns whether a folded name belongs to the family.
    #[inline]
    #[must_use]
    pub fn has(&self, folded: &str) -> bool {
        // One letter distinguishes most names, which is faster than a comparison of texts.
        let third = |text: &str| text.as_bytes().get(2).copied();
        match self.shared {
            Shared::Start(start) => third(folded) == third(start) && folded.starts_with(start),
            Shared::End(end) => folded.as_bytes().last() == end.as_bytes().last() && folded.ends_with(end),
        }
    }
}

const fn start(start: &'static str, known: &'static [&'static str]) -> Family {
    Family { shared: Shared::Start(start), known }
}

const fn end(end: &'static str, known: &'static [&'static str]) -> Family {
    Family { shared: Shared::End(end), known }
}

/// Families by the beginning of the name, except those in [`X_FAMILIES`]. Kept separate because most names begin with neither.
const PLAIN_FAMILIES: &[Family] = &[
    start(
        "keyward-",
        &[
            "keyward-key-id",
            "keyward-integration",
            "keyward-environment",
            "keyward-scopes",
            "keyward-request-id",
            "keyward-assertion",
            "keyward-verifier",
            "keyward-client-address",
        ],
    ),
    // Identity headers of Cloudflare Access. They describe a member, who is unknown to the origin.
    start("cf-access-", &["cf-access-jwt-assertion", "cf-access-authenticated-user-email", "cf-access-token"]),
    start("proxy-", &["proxy-authorization", "proxy-connection"]),
    start("remote-", &["remote-addr", "remote-host", "remote-ip", "remote-user"]),
    start("ssl-client-", &["ssl-client-cert", "ssl-client-verify", "ssl-client-subject-dn"]),
    start("wl-proxy-", &["wl-proxy-client-ip", "wl-proxy-client-cert", "wl-proxy-ssl"]),
];

/// Families by the beginning of the name, which is `x-` for all of them.
const X_FAMILIES: &[Family] = &[
    // Rack answers with the path of an internal redirect that the client made up (CVE-2025-61780).
    start("x-accel-", &["x-accel-mapping"]),
    start("x-auth-request-", &["x-auth-request-user", "x-auth-request-email", "x-auth-request-redirect"]),
    start("x-authenticated-", &["x-authenticated-userid", "x-authenticated-user", "x-authenticated-scope"]),
    start("x-client-cert", &["x-client-cert"]),
    start("x-consumer-", &["x-consumer-id", "x-consumer-custom-id", "x-consumer-username"]),
    start(
        "x-envoy-",
        &["x-envoy-original-path", "x-envoy-original-host", "x-envoy-original-method", "x-envoy-external-address"],
    ),
    start("x-forward-", &["x-forward-for", "x-forward-host", "x-forward-proto"]),
    start(
        "x-forwarded-",
        &[
            "x-forwarded-by",
            "x-forwarded-client-cert",
            "x-forwarded-email",
            "x-forwarded-host",
            "x-forwarded-method",
            "x-forwarded-path",
            "x-forwarded-port",
            "x-forwarded-prefix",
            "x-forwarded-protocol",
            "x-forwarded-scheme",
            "x-forwarded-server",
            "x-forwarded-ssl",
            "x-forwarded-tls-client-cert",
            "x-forwarded-uri",
            "x-forwarded-user",
        ],
    ),
    start("x-invoke-", &["x-invoke-path", "x-invoke-query", "x-invoke-status"]),
    start("x-middleware-", &["x-middleware-subrequest", "x-middleware-rewrite", "x-middleware-next"]),
    start(
        "x-original-",
        &[
            "x-original-host",
            "x-original-method",
            "x-original-path",
            "x-original-remote-addr",
            "x-original-uri",
            "x-original-url",
        ],
    ),
    start("x-originating-", &["x-originating-ip"]),
    start("x-override-", &["x-override-url"]),
    start("x-remote-", &["x-remote-addr", "x-remote-host", "x-remote-ip", "x-remote-user"]),
    start("x-rewrite-", &["x-rewrite-uri", "x-rewrite-url"]),
    // As `x-accel-`.
    start("x-sendfile-", &["x-sendfile-type"]),
    start("x-ssl-", &["x-ssl-client-cert", "x-ssl-client-verify"]),
    start("x-webauth-", &["x-webauth-user"]),
];

/// Families by the end of the name.
const END_FAMILIES: &[Family] = &[
    end("client-ip", &["client-ip", "true-client-ip", "x-client-ip", "x-cluster-client-ip", "fastly-client-ip"]),
    end("clientip", &["x-azure-clientip", "x-arr-clientip"]),
    end("connecting-ip", &["do-connecting-ip"]),
    end("forwarded-for", &["forwarded-for", "x-forwarded-for", "x-original-forwarded-for", "x-vercel-forwarded-for"]),
    end("host-override", &["x-host-override", "x-http-host-override"]),
    end("method-override", &["x-http-method-override", "x-method-override"]),
    end("real-ip", &["x-real-ip", "cdn-real-ip"]),
];

/// Returns every family.
pub fn families() -> impl Iterator<Item = &'static Family> {
    PLAIN_FAMILIES.iter().chain(X_FAMILIES).chain(END_FAMILIES)
}

/// Returns whether a header is removed. `folded` is the folded form of `name`.
///
/// Cloudflare's own headers are kept, and so is `X-Forwarded-Proto`, which the gate sets. Both are kept only in exactly this spelling,
/// because any other spelling comes from the client.
#[must_use]
pub fn is_removed(name: &str, folded: &str) -> bool {
    if folded.starts_with("cf-") {
        return name != folded || folded.starts_with("cf-access-");
    }
    if name == "x-forwarded-proto" {
        return false;
    }
    HOP_BY_HOP.contains(&folded) || NAMES.contains(&folded) || in_family(folded)
}

fn in_family(folded: &str) -> bool {
    let by_start = if folded.starts_with("x-") { X_FAMILIES } else { PLAIN_FAMILIES };
    // Every such ending has one of these letters last.
    let by_end = if matches!(folded.as_bytes().last(), Some(b'p' | b'r' | b'e')) { END_FAMILIES } else { &[] };
    by_start.iter().any(|family| family.has(folded)) || by_end.iter().any(|family| family.has(folded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::fold;

    #[test]
    fn the_list_is_sorted_folded_and_without_repetition() {
        assert!(NAMES.is_sorted_by(|one, other| one < other));
        for name in NAMES.iter().chain(HOP_BY_HOP) {
            assert_eq!(fold(name), *name);
            assert!(!families().any(|family| family.has(name)), "{name} belongs to a family");
        }
    }

    #[test]
    fn every_family_removes_its_known_members_and_any_other() {
        for family @ Family { shared, known } in families() {
            let other = match shared {
                Shared::Start(start) => format!("{start}anything"),
                Shared::End(end) => format!("x-anything-{end}"),
            };
            assert!(!known.is_empty(), "{shared:?}");
            for name in known.iter().copied().chain([other.as_str()]) {
                assert!(is_removed(name, &fold(name)), "{name}");
                assert!(family.has(name), "{name}");
                for spelling in [name.replace('-', "_"), name.replace('-', "."), name.to_uppercase()] {
                    assert!(is_removed(&spelling, &fold(&spelling)), "{spelling}");
                }
            }
        }
    }

    #[test]
    fn what_applications_send_to_each_other_stays() {
        for name in [
            "accept",
            "authorization",
            "baggage",
            "cdn-loop",
            "cf-connecting-ip",
            "cf-ray",
            "content-type",
            "cookie",
            "forwarding",
            "host",
            "if-match",
            "idempotency-key",
            "origin",
            "prefer",
            "priority",
            "range",
            "referer",
            "traceparent",
            "user-agent",
            "via",
            "x-amz-date",
            "x-api-version",
            "x-b3-traceid",
            "x-client-version",
            "x-correlation-id",
            "x-csrf-token",
            "x-forwarded-proto",
            "x-github-event",
            "x-hub-signature-256",
            "x-middle-name",
            "x-originator",
            "x-request-id",
            "x-requested-with",
            "x-tenant-id",
        ] {
            assert!(!is_removed(name, &fold(name)), "{name}");
        }
    }

    #[test]
    fn another_spelling_of_what_the_edge_sets_is_the_clients() {
        for name in ["cf_connecting_ip", "CF-Ray", "x_forwarded_proto", "X-Forwarded-Proto", "cf-access-jwt-assertion"]
        {
            assert!(is_removed(name, &fold(name)), "{name}");
        }
    }
}
