//! Headers that reach the origin, checked by an independent implementation of docs/internals/hostile.md.

use keyward_http::credential::Credential;
use keyward_http::head::Head;
use keyward_http::headers::{write_client_address, write_removed};

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
    "x-rewrite-url",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-real-ip",
    "true-client-ip",
    "client-ip",
    "x-cluster-client-ip",
    "fastly-client-ip",
    "forwarded-for",
    "x-forwarded",
    "x-original-forwarded-for",
];

/// Input: header lines as the glue writes them, names and values in turn.
pub fn run(data: &[u8]) {
    let mut text = format!("0\nGET\nhttp://h/\n{}", text_of(data));
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let Ok(head) = Head::parse(&text) else { return };
    let (_, strip) = Credential::find(&head, &CONFIG.prefix);
    let mut list = String::new();
    write_removed(&head, strip, &mut list);
    let removed: Vec<&str> = list.split_terminator(',').collect();
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
        assert!(!NEVER.contains(&plain.as_str()), "{name} would arrive");
        assert!(!plain.starts_with("keyward-") && !plain.starts_with("proxy-"), "{name} would arrive");
        assert!(!plain.starts_with("cf-") || plain == *name, "{name} would arrive");
        assert!(plain != "upgrade" || (*name == "upgrade" && head.is_websocket()), "{name}: {value} would arrive");
        assert!(
            matches!(plain.as_str(), "authorization" | "upgrade" | "host" | "cdn-loop" | "x-forwarded-proto")
                || plain.starts_with("cf-")
                || !listed.contains(&name.to_ascii_lowercase()),
            "{name} was listed in Connection"
        );
        assert!(plain != "x-api-key" && (plain != "authorization" || !strip.authorization), "{name} would arrive");
    }
    let mut block = String::new();
    write_client_address(&head, &mut block);
    let mut values = block.split_terminator('\n').collect::<Vec<_>>();
    values.extend(kept.iter().flat_map(|name| [*name, head.client_address().unwrap_or_default()]));
    let mut expected: Vec<_> =
        head.client_address().map_or(Vec::new(), |address| vec!["x-forwarded-for", address, "x-real-ip", address]);
    values.sort_unstable();
    expected.sort_unstable();
    assert_eq!(values, expected, "the header contains the edge's address once, and nothing else");
}
