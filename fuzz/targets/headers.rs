//! Headers that reach the origin, checked by an independent implementation of docs/internals/hostile.md.

use keyward_http::credential::Credential;
use keyward_http::head::Head;
use keyward_http::headers::write_edits;

use super::fixture::{CONFIG, folded, text_of};

/// Names that must never arrive from a client, after folding.
const NEVER: &[&str] = &[
    "keyward",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "http2-settings",
    "forwarded",
    "forwarded-for",
    "x-forwarded",
    "x-http-method",
    "x-host",
    "proxy",
    "front-end-https",
];

/// Beginnings of such names.
const NEVER_START: &[&str] = &[
    "keyward-",
    "proxy-",
    "x-forwarded-",
    "x-original-",
    "x-remote-",
    "x-rewrite-",
    "x-override-",
    "x-middleware-",
    "x-envoy-",
    "wl-proxy-",
    "cf-access-",
];

/// Ends of such names.
const NEVER_END: &[&str] = &["client-ip", "real-ip", "forwarded-for", "method-override", "host-override"];

/// Cookies that must never arrive.
const NEVER_COOKIES: &[&str] = &["CF_Authorization", "CF_AppSession", "__Host-keyward"];

/// Input: header lines as the glue writes them, names and values in turn.
pub fn run(data: &[u8]) {
    let mut text = format!("0\nGET\nhttp://h/\n{}", text_of(data));
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let Ok(head) = Head::parse(&text) else { return };
    let (_, strip) = Credential::find(&head, &CONFIG.prefix);
    let mut edits = String::new();
    write_edits(&head, strip, &mut edits);
    let (names, block) = edits.split_once('\n').expect("the names end in a line feed");
    let removed: Vec<&str> = names.split_terminator(',').collect();
    let mut set: Vec<(&str, &str)> =
        block.split_terminator('\n').collect::<Vec<_>>().chunks(2).map(|pair| (pair[0], pair[1])).collect();
    let listed: Vec<String> =
        head.connection().unwrap_or_default().split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
    let mut kept = Vec::new();
    for (name, value) in head.headers() {
        // The runtime passes tokens only, so other names cannot occur.
        if name.is_empty()
            || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
        {
            continue;
        }
        if removed.contains(name) {
            continue;
        }
        let plain = folded(name);
        // The edge's own header may stay, in its exact spelling only.
        if matches!(*name, "x-forwarded-for" | "x-real-ip")
            && head.client_address() == Some(value)
            && head.connection().is_none()
        {
            kept.push(*name);
            continue;
        }
        if set.iter().any(|(replaced, _)| replaced == name) {
            continue;
        }
        let never = NEVER.contains(&plain.as_str())
            || NEVER_START.iter().any(|start| plain.starts_with(start))
            || NEVER_END.iter().any(|end| plain.ends_with(end));
        let edges = plain.starts_with("cf-") && plain == *name && !plain.starts_with("cf-access-");
        assert!(!never || edges || *name == "x-forwarded-proto", "{name} would arrive");
        assert!(!plain.starts_with("cf-") || plain == *name, "{name} would arrive");
        assert!(plain != "upgrade" || (*name == "upgrade" && head.is_websocket()), "{name}: {value} would arrive");
        assert!(
            matches!(plain.as_str(), "authorization" | "upgrade" | "host" | "cdn-loop" | "x-forwarded-proto")
                || plain.starts_with("cf-")
                || !listed.contains(&name.to_ascii_lowercase()),
            "{name} was listed in Connection"
        );
        assert!(plain != "x-api-key" && (plain != "authorization" || !strip.authorization), "{name} would arrive");
        assert!(*name != "cookie" || !names_a_credential(value), "{value} would arrive");
    }
    assert!(set.iter().all(|(name, value)| *name != "cookie" || !names_a_credential(value)), "{set:?}");
    let says = |name: &str| {
        set.iter().find(|(set, _)| *set == name).or_else(|| head.headers().iter().find(|(sent, _)| *sent == name))
    };
    assert_eq!(says("x-forwarded-host"), Some(&("x-forwarded-host", "h")));
    assert_eq!(says("x-forwarded-proto"), Some(&("x-forwarded-proto", "http")));
    set.retain(|(name, _)| matches!(*name, "x-forwarded-for" | "x-real-ip"));
    let mut values: Vec<&str> = set.iter().flat_map(|(name, value)| [*name, *value]).collect();
    values.extend(kept.iter().flat_map(|name| [*name, head.client_address().unwrap_or_default()]));
    let mut expected: Vec<_> =
        head.client_address().map_or(Vec::new(), |address| vec!["x-forwarded-for", address, "x-real-ip", address]);
    values.sort_unstable();
    expected.sort_unstable();
    assert_eq!(values, expected, "the header contains the edge's address once, and nothing else");
}

fn names_a_credential(cookies: &str) -> bool {
    cookies.split([';', ',']).any(|cookie| NEVER_COOKIES.contains(&cookie.split('=').next().unwrap_or_default().trim()))
}
