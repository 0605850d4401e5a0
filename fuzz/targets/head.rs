//! The glue's string: it is refused, or becomes a head that keeps every byte and every limit.

use keyward_http::head::{Head, is_host};
use keyward_http::limits::{HEADER_BYTES, HEADER_COUNT, TARGET_BYTES};

use super::fixture::text_of;

pub fn run(data: &[u8]) {
    let text = text_of(data);
    let Ok(head) = Head::parse(&text) else { return };
    let lines: Vec<&str> = text.split('\n').collect();
    assert_eq!(head.now().0.to_string().parse::<i64>().ok(), lines[0].parse().ok());
    assert_eq!(head.method(), lines[1]);
    assert!(!head.method().is_empty() && head.method().bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-'));
    assert!(!matches!(head.method(), "TRACE" | "TRACK" | "CONNECT"));

    // Base and target together are the URL, byte for byte.
    let whole = format!("{}{}", head.base(), head.target().as_sent());
    assert!(whole == lines[2] || whole == format!("{}/", lines[2]), "{whole} is not {}", lines[2]);
    assert!(head.target().as_sent().len() <= TARGET_BYTES);
    super::path::run(head.target().as_sent().as_bytes());
    let (_, authority) = head.base().split_once("://").expect("a base has a scheme");
    assert!(is_host(authority) && !authority.contains(['/', '?', '#', '@', '\\', ',', ' ']));

    let rest = &lines[3..lines.len() - 1];
    assert_eq!(rest.len(), head.headers().len() * 2);
    assert!(head.headers().len() <= HEADER_COUNT);
    let mut bytes = 0;
    for (pair, (name, value)) in rest.chunks(2).zip(head.headers()) {
        assert_eq!(pair, [*name, *value]);
        bytes += name.len() + value.len();
    }
    assert!(bytes <= HEADER_BYTES);

    // Decisions use the last header with a name, trimmed, and never an empty one.
    for (name, known) in [
        ("authorization", head.authorization()),
        ("x-api-key", head.api_key()),
        ("origin", head.origin()),
        ("sec-fetch-site", head.sec_fetch_site()),
        ("content-type", head.content_type()),
        ("connection", head.connection()),
        ("cf-connecting-ip", head.client_address()),
    ] {
        let last = head.headers().iter().rev().find(|(header, _)| *header == name).map(|(_, value)| *value);
        assert_eq!(known, last.map(|value| value.trim_matches([' ', '\t'])).filter(|value| !value.is_empty()));
    }
    // A default port may be written or left out, in the URL and in Host.
    let default_port = if head.base().starts_with("https:") { ":443" } else { ":80" };
    let without_port = |host: &str| host.strip_suffix(default_port).unwrap_or(host).to_ascii_lowercase();
    let host =
        head.headers().iter().rev().find(|(name, _)| *name == "host").map(|(_, value)| value.trim_matches([' ', '\t']));
    assert!(
        host.is_none_or(|host| host.is_empty() || without_port(host) == without_port(authority)),
        "{host:?} is not {authority}"
    );
}
