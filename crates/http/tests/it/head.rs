//! Heads: the accessors of headers, preflights, browsers and hosts.

use keyward_http::head::{BadHead, Head};

/// Returns a head with these headers, each written `name: value`.
fn with(method: &str, headers: &[&str]) -> String {
    let mut text = format!("5\n{method}\nhttps://h/\n");
    for header in headers {
        let (name, value) = header.split_once(':').unwrap();
        text.push_str(&format!("{name}\n{value}\n"));
    }
    text
}

#[test]
fn each_header_is_read_under_its_own_name_and_empty_counts_as_absent() {
    type Read = for<'a> fn(&Head<'a>) -> Option<&'a str>;
    let all: [(&str, Read); 7] = [
        ("authorization", |head| head.authorization()),
        ("x-api-key", |head| head.api_key()),
        ("origin", |head| head.origin()),
        ("sec-fetch-site", |head| head.sec_fetch_site()),
        ("content-type", |head| head.content_type()),
        ("connection", |head| head.connection()),
        ("cf-connecting-ip", |head| head.client_address()),
    ];
    for (name, _) in all {
        for (sent, expected) in [("a value", Some("a value")), (" \ta \t", Some("a")), ("", None), (" \t ", None)] {
            let text = with("POST", &[&format!("{name}:{sent}")]);
            let head = Head::parse(&text).unwrap();
            for (other, read) in all {
                assert_eq!(read(&head), expected.filter(|_| other == name), "{other} of {name}: {sent:?}");
            }
        }
        assert_eq!(
            Head::parse(&with("POST", &[&format!("{name}:a"), &format!("{name}:a")])).err(),
            Some(BadHead::Form),
            "{name}"
        );
    }
}

#[test]
fn a_preflight_is_options_with_an_origin_and_a_requested_method() {
    let (origin, requested) = ("origin:https://a", "access-control-request-method:PUT");
    for (method, headers, expected) in [
        ("OPTIONS", &[origin, requested][..], Some("PUT")),
        ("OPTIONS", &[requested], None),
        ("OPTIONS", &[origin], None),
        ("OPTIONS", &[], None),
        ("GET", &[origin, requested], None),
        ("PUT", &[origin, requested], None),
    ] {
        let text = with(method, headers);
        assert_eq!(Head::parse(&text).unwrap().preflight_for(), expected, "{method} {headers:?}");
    }
}

#[test]
fn a_browser_is_recognised_by_either_header() {
    for (headers, expected) in [
        (&["origin:null"][..], true),
        (&["sec-fetch-site:none"], true),
        (&["origin:https://a", "sec-fetch-site:cross-site"], true),
        (&["sec-fetch-mode:cors"], false),
        (&[], false),
    ] {
        let text = with("GET", headers);
        assert_eq!(Head::parse(&text).unwrap().from_browser(), expected, "{headers:?}");
    }
}

#[test]
fn a_bracketed_host_contains_address_characters_only() {
    for (host, is_one) in [
        ("[::1]", true),
        ("[::ffff:192.0.2.1]", true),
        ("[]", false),
        ("[::1%25eth0]", false),
        ("[a.example]", false),
        ("[x]", false),
    ] {
        let text = format!("5\nGET\nhttps://{host}/\n");
        let expected = if is_one { None } else { Some(BadHead::Host) };
        assert_eq!(Head::parse(&text).err(), expected, "{host}");
    }
}
