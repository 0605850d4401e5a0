//! Canonical paths: any bytes are refused, or two independent parsers see the same segments as the router.

use keyward_http::target::Target;
use url::Url;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(target) = Target::parse(text) else { return };
    let (sent, path) = (target.as_sent(), target.path());
    assert_eq!(sent, text, "the target is forwarded unchanged");

    // First the WHATWG parser of workerd, browsers and Node. It must find nothing to normalise.
    let url = Url::parse(&format!("http://origin.example{sent}")).expect("an accepted target is a URL");
    assert_eq!(url.host_str(), Some("origin.example"));
    assert_eq!((url.port(), url.username(), url.fragment()), (None, "", None));
    assert_eq!(url.path(), path);
    // The only permitted rewriting: `'` in a query, whose two forms every parser treats the same.
    assert_eq!(url.query(), target.query().map(|query| query.replace('\'', "%27")).as_deref());

    // Second RFC 3986 by hand, with the known deviations of servers.
    let (before, query) = sent.split_once('?').map_or((sent, None), |(before, query)| (before, Some(query)));
    assert_eq!((before, query), (path, target.query()));
    let raw: Vec<&str> = path.split('/').skip(1).collect();
    let decoded: Vec<String> = raw.iter().map(|segment| decode(segment)).collect();
    // Decoding first and splitting afterwards gives the same segments.
    assert_eq!(decode(path).split('/').skip(1).collect::<Vec<_>>(), decoded);
    for (index, segment) in decoded.iter().enumerate() {
        assert!(!segment.is_empty() || index + 1 == decoded.len(), "an empty segment: {path}");
        let name = segment.split(';').next().unwrap_or_default();
        assert!(name != "." && name != "..", "a dot segment: {path}");
        assert!(!segment.contains('\\') && !segment.chars().any(char::is_control), "hidden: {path}");
        // Decoding a second time changes no structure and creates no dot segment.
        let again = decode_lossy(segment);
        assert!(!again.contains(['/', '\\', '\0']), "doubly encoded: {path}");
        assert!(!matches!(again.split(';').next(), Some("." | "..")), "doubly encoded dots: {path}");
    }
}

fn decode(text: &str) -> String {
    String::from_utf8(decode_bytes(text)).expect("an accepted path is UTF-8 when decoded")
}

fn decode_lossy(text: &str) -> String {
    String::from_utf8_lossy(&decode_bytes(text)).into_owned()
}

fn decode_bytes(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        let byte = pair.filter(|pair| pair.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match (bytes[at], byte.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}
