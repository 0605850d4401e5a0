//! The origin reads the path that the route matched. Any text is either refused, or two independent reference parsers read the
//! same segments in the forwarded URL as the route did.

use keyward_http::head::{BadHead, Head};
use keyward_http::route::{Access, Matched, Route, Routes};
use keyward_http::target::Target;
use keyward_key::scope::Scope;
use percent_encoding::percent_decode_str;
use proptest::prelude::*;

/// Segments as bytes, and the query.
type Reading = (Vec<Vec<u8>>, Option<String>);

fn decoded<'a>(segments: impl Iterator<Item = &'a str>) -> Vec<Vec<u8>> {
    segments.map(|segment| percent_decode_str(segment).collect()).collect()
}

/// The WHATWG parser writes `'` in a query as `%27`, which is equivalent.
fn one_quote(query: &str) -> String {
    query.replace('\'', "%27")
}

/// First reference: the WHATWG URL parser, which fetch and most server libraries follow.
fn whatwg(base: &str, target: &str) -> Reading {
    let url = url::Url::parse(&format!("{base}{target}")).expect("a forwarded target is a URL");
    assert_eq!(url.origin().ascii_serialization(), base, "{target:?} leaves its host");
    assert_eq!((url.fragment(), url.username()), (None, ""));
    // The parser must leave the bytes unchanged.
    let path_length = target.find('?').unwrap_or(target.len());
    assert_eq!(url.path(), &target[..path_length]);
    (decoded(url.path_segments().unwrap()), url.query().map(one_quote))
}

/// Second reference: RFC 3986 by hand, appendix B for the parts and section 5.2.4 for dot segments.
fn rfc3986(base: &str, target: &str) -> Reading {
    let reference = format!("{base}{target}");
    let (reference, fragment) = reference.split_once('#').map_or((reference.as_str(), None), |(a, b)| (a, Some(b)));
    assert_eq!(fragment, None);
    let (reference, query) = reference.split_once('?').map_or((reference, None), |(a, b)| (a, Some(one_quote(b))));
    let (_, rest) = reference.split_once("://").unwrap();
    let (authority, path) = rest.split_at(rest.find('/').unwrap());
    assert_eq!(authority, base.split_once("://").unwrap().1);
    let mut output: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for (at, segment) in segments.iter().enumerate() {
        let last = at + 1 == segments.len();
        match *segment {
            "." if last => output.push(""),
            "." => {}
            ".." => {
                output.pop();
                if last {
                    output.push("");
                }
            }
            other => output.push(other),
        }
    }
    (decoded(output.into_iter()), query)
}

fn agree(text: &str) -> bool {
    let Ok(target) = Target::parse(text) else { return false };
    assert_eq!(target.as_sent(), text);
    let saw = (decoded(target.path().split('/').skip(1)), target.query().map(one_quote));
    for base in ["https://origin.example", "http://127.0.0.1:8788"] {
        assert_eq!(whatwg(base, text), saw, "{text:?}");
        assert_eq!(rfc3986(base, text), saw, "{text:?}");
    }
    for segment in &saw.0 {
        let name = segment.split(|byte| *byte == b';').next().unwrap();
        assert!(name != b"." && name != b"..", "{text:?} has a dot segment");
        assert!(!segment.iter().any(|byte| b"/\\\0\r\n".contains(byte)), "{text:?} hides a separator");
        let again: Vec<u8> = percent_encoding::percent_decode(segment).collect();
        assert_eq!(&again, segment, "{text:?} changes when decoded twice");
    }
    true
}

/// Draws a piece of a hostile path, or any byte.
fn piece() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "/", "/", "/", "a", "v1", "admin", ".", "..", "%2e", "%2E", "%2f", "%5c", "\\", ";", "%3b", "%3B", "%", "%2",
        "%25", "?", "#", "%23", "%3f", "//", "@", "%40", ":", "%00", "%0a", "\t", " ", "%20", "\n", "%c0%af", "%C3%A9",
        "é", "\u{ff0f}", "\u{2025}", "%ff", "%u002e", "'", "\"", "<", "|", "^", "`", "{", "}", "[", "]", "~", "%7e",
        "&", "=", "+", "*", "!", "$",
    ]);
    prop_oneof![
        6 => pieces.prop_map(str::to_owned),
        1 => "\\PC",
        1 => any::<u8>().prop_map(|byte| format!("%{byte:02x}")),
        1 => any::<u8>().prop_map(|byte| char::from(byte).to_string()),
    ]
}

fn target() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..9).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_reference_parsers_read_the_segments_that_the_route_matched(text in target()) {
        agree(&text);
    }

    #[test]
    fn any_bytes_are_refused_or_read_alike_by_both_parsers(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(text) = std::str::from_utf8(&bytes) {
            agree(text);
            agree(&format!("/{text}"));
        }
        let _ = Head::parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_parsed_head_never_leaves_its_host(host in "[a-z@:/?#\\\\\\[\\]%.;, *]{0,8}", text in target()) {
        // A request line has no line feed, which separates the lines of the glue's text.
        let text = text.replace('\n', "");
        let head = format!("5\nGET\nhttps://{host}{text}\nhost\n{host}\n");
        if let Ok(head) = Head::parse(&head) {
            prop_assert_eq!(head.base(), format!("https://{host}"));
            prop_assert_eq!(head.target().as_sent(), text.as_str());
            if let Ok(url) = url::Url::parse(&format!("{}{}", head.base(), head.target().as_sent())) {
                let serialized = url.host_str().unwrap_or_default().to_owned();
                prop_assert!(host.starts_with(&serialized) || url.host().is_none_or(|name| !matches!(name, url::Host::Domain(_))));
            }
        }
    }

    #[test]
    fn no_lenient_reading_of_a_path_matches_an_earlier_route_of_another_scope(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "/", "v1", "admin", "ADMIN", "export", ";", ";x=1", "%3b", "%40", "@", "me", "%3A", ":", "V1", "x", "/", "users", "%20",
        ]), 1..9),
    ) {
        let table = routes();
        let path = format!("/{}", pieces.concat());
        prop_assume!(Target::parse(&path).is_ok());
        let Matched::Route(taken) = table.find("GET", &path) else { return Ok(()) };
        for read in origin_readings(&path) {
            if let Matched::Route(other) = table.find("GET", &read) {
                prop_assert!(rank(taken) <= rank(other), "{} is read as {}: {:?} {:?}", path, read, taken, other);
            }
        }
    }
}

/// A table with narrow routes before wide ones.
const ROUTES: [(&str, &str); 7] = [
    ("GET /v1/admin/export", "export"),
    ("GET /v1/@me", "self"),
    ("GET /v1/x:export", "verb"),
    ("GET /v1/admin/*", "admin"),
    ("GET /v1/users", "users"),
    ("GET /v1/*", "read"),
    ("GET /*", "rest"),
];

/// Returns the index of a route in the table.
fn rank(route: &Route) -> Option<usize> {
    let Access::Scope(scope) = &route.access else { return None };
    ROUTES.iter().position(|(_, name)| *name == scope.as_str())
}

fn routes() -> Routes {
    let scope = |name: &str| Access::Scope(Scope::parse(name).unwrap());
    Routes::new(ROUTES.into_iter().map(|(row, name)| Route::parse(row, scope(name), false).unwrap()).collect())
}

/// Returns the paths that a lenient server may read: every combination of four normalizations.
fn origin_readings(path: &str) -> Vec<String> {
    let rules: [fn(&str) -> String; 4] = [
        |path| percent_decode_str(path).decode_utf8().unwrap().into_owned(),
        |path| path.split('/').map(|segment| segment.split(';').next().unwrap()).collect::<Vec<_>>().join("/"),
        |path| path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path).to_owned(),
        str::to_ascii_lowercase,
    ];
    let of = |chosen: u32| {
        let rules = rules.iter().enumerate().filter(|(at, _)| chosen & (1 << at) != 0);
        rules.fold(path.to_owned(), |read, (_, rule)| rule(&read))
    };
    (0..16).map(of).collect()
}

#[test]
fn both_parsers_agree_on_accepted_targets() {
    for text in
        ["/", "/v1/contacts?a=%2F..&b='x'", "/v1/%C3%A9", "/a;b=c/d", "/v1/100%25", "/..a/...", "/a/?", "/%40:@%20"]
    {
        assert!(agree(text), "{text}");
    }
}

#[test]
fn every_spelling_of_a_dot_segment_is_refused() {
    let (dots, semis) =
        ([".", "%2e", "%2E"], ["", ";", "%3b", "%3B", ";x", "%3bx", "%3Bx%3by", ";%3B", "%3B;a=b%3b", ";;"]);
    for one in dots {
        for two in dots.into_iter().chain([""]) {
            for semi in semis {
                for (before, after) in [("/", ""), ("/", "/"), ("/v1/", "/admin"), ("/v1/", "?x")] {
                    let text = format!("{before}{one}{two}{semi}{after}");
                    assert!(Target::parse(&text).is_err(), "{text}");
                }
            }
        }
    }
}

#[test]
fn a_bad_target_is_the_clients_fault_and_not_malformed_glue() {
    assert!(matches!(Head::parse("5\nGET\nhttps://h/%2e%2e\n").err(), Some(BadHead::Target(_))));
}
