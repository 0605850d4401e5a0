//! Forward auth: the original request, put together from what gateways send.

use keyward_http::forwarded_request::{
    ForwardAuthError, ForwardedRequest, asks_to_authorize, is_asking, trusted_client_ip,
};
use keyward_http::head::Head;

const OWN: &str = "https://gate.example/_keyward/v1/authorize";

fn original(line: &str, headers: &str) -> Result<String, String> {
    let (method, url) = line.split_once(' ').unwrap();
    let text = format!("5\n{method}\n{url}\nhost\ngate.example\n{headers}");
    let head = Head::parse(&text).unwrap();
    let original = ForwardedRequest::of(&head, None).map_err(|why| format!("{why:?}"))?;
    let head = original.head().map_err(|why| format!("{why:?}"))?;
    Ok(format!("{} {}{}", head.method(), head.base(), head.target().as_sent()))
}

#[test]
fn each_refusal_tells_the_gateways_operator_what_to_fix() {
    use ForwardAuthError::*;
    let details = [Absent, Half, Url, Contradiction, Address, Addresses, WrongPath].map(ForwardAuthError::detail);
    for detail in details {
        assert!(detail.len() > 40 && detail.ends_with('.'), "{detail}");
        assert_eq!(details.iter().filter(|other| **other == detail).count(), 1, "{detail}");
    }
}

#[test]
fn each_gateways_description_of_the_request_is_read() {
    let expected = Ok("POST https://gate.example/v1/contacts?q=%2F&r='".to_owned());
    let traefik = "x-forwarded-method\nPOST\nx-forwarded-uri\n/v1/contacts?q=%2F&r='\n";
    let nginx = "x-original-method\nPOST\nx-original-uri\n/v1/contacts?q=%2F&r='\n";
    let ingress = "x-original-method\nPOST\nx-original-url\nhttps://api.example/v1/contacts?q=%2F&r='\n";
    let envoy = format!("POST {OWN}/v1/contacts?q=%2F&r='");
    assert_eq!(original(&format!("GET {OWN}"), ingress), expected);
    assert_eq!(original(&format!("GET {OWN}"), traefik), expected);
    assert_eq!(original(&format!("GET {OWN}?own=query"), nginx), expected);
    assert_eq!(original(&envoy, ""), expected);
    assert_eq!(original(&envoy, &format!("{traefik}{nginx}")), expected, "they may all say the same");
    assert_eq!(original(&format!("GET {OWN}/"), ""), Ok("GET https://gate.example/".to_owned()));
}

#[test]
fn an_ambiguous_or_incomplete_description_is_refused() {
    let own = format!("GET {OWN}");
    for (line, headers, why) in [
        (own.clone(), "", "Absent"),
        (own.clone(), "x-forwarded-uri\n/a\n", "Half"),
        (own.clone(), "x-original-method\nGET\n", "Half"),
        (own.clone(), "x-forwarded-method\nGET\nx-original-uri\n/a\n", "Half"),
        (own.clone(), "x-forwarded-method\nGET\nx-forwarded-uri\n\n", "Half"),
        (own.clone(), "x-original-url\nhttps://h/a\n", "Half"),
        (own.clone(), "x-forwarded-method\nGET\nx-forwarded-uri\n/a\nx-original-url\nhttps://h/a\n", "Half"),
        (own.clone(), "x-original-method\nGET\nx-original-uri\n/a\nx-original-url\nhttps://h/b\n", "Contradiction"),
        (
            own.clone(),
            "x-forwarded-method\nGET\nx-forwarded-uri\n/a\nx-original-method\nGET\nx-original-url\nhttps://h/b\n",
            "Contradiction",
        ),
        (own.clone(), "x-original-method\nGET\nx-original-url\nhttps://h/a/../b\n", "Target(DotSegment)"),
        (own.clone(), "x-original-method\nGET\nx-original-url\nhttps://h/a, https://h/b\n", "Target(EmptySegment)"),
        (
            own.clone(),
            "x-forwarded-method\nGET\nx-forwarded-uri\n/a\nx-original-method\nGET\nx-original-uri\n/b\n",
            "Contradiction",
        ),
        (
            own.clone(),
            "x-forwarded-method\nGET\nx-forwarded-uri\n/a\nx-original-method\nPOST\nx-original-uri\n/a\n",
            "Contradiction",
        ),
        (format!("{own}/b"), "x-forwarded-method\nGET\nx-forwarded-uri\n/a\n", "Contradiction"),
        (format!("POST {OWN}/a"), "x-forwarded-method\nGET\nx-forwarded-uri\n/a\n", "Contradiction"),
        (own.clone(), "x-forwarded-method\nGET, POST\nx-forwarded-uri\n/a\n", "Method"),
        (own.clone(), "x-forwarded-method\nget\nx-forwarded-uri\n/a\n", "Method"),
        (own.clone(), "x-forwarded-method\nGET\nx-forwarded-uri\n/a, /a\n", "Target(Character)"),
        (own.clone(), "x-forwarded-method\nGET\nx-forwarded-uri\n/a, \n", "Target(Character)"),
        (own.clone(), "x-forwarded-method\nGET\nx-forwarded-uri\n/a/../b\n", "Target(DotSegment)"),
    ] {
        assert_eq!(original(&line, headers), Err(why.to_owned()), "{line} {headers}");
    }
    for uri in ["a", "@evil.example/a", ".evil.example/a", ":1/a", "https://h/a", "//evil.example/a", "*", "\\a"] {
        let said = original(&own, &format!("x-forwarded-method\nGET\nx-forwarded-uri\n{uri}\n"));
        assert!(said.as_ref().is_err_and(|why| why.starts_with("Target")), "{uri}: {said:?}");
    }
}

#[test]
fn an_original_url_without_a_scheme_a_host_and_a_path_is_refused() {
    for url in [
        "/a",
        "a",
        "//h/a",
        "h/a",
        "ftp://h/a",
        "HTTPS://h/a",
        "https:///a",
        "https://h",
        "https://h?/a",
        "https://h#/a",
        "https://u@h/a",
        "https://h\\/a",
        "https://h%2f/a",
        "https://h, https://h/a",
        "https:/h/a",
        "https:h/a",
    ] {
        let headers = format!("x-original-method\nGET\nx-original-url\n{url}\n");
        assert_eq!(original(&format!("GET {OWN}"), &headers), Err("Url".to_owned()), "{url}");
    }
    for url in ["https://h/a", "http://h/a", "https://h:8443/a", "https://[::1]:8443/a", "https://my_host.example/a"] {
        let headers = format!("x-original-method\nGET\nx-original-url\n{url}\n");
        assert!(original(&format!("GET {OWN}"), &headers).is_ok_and(|said| said.ends_with(".example/a")), "{url}");
    }
}

#[test]
fn headers_about_the_auth_request_and_of_gateways_are_not_the_clients() {
    let text = format!(
        "5\nPOST\n{OWN}/a\nhost\ngate.example\ncontent-length\n7\nx-forwarded-for\n6.6.6.6\nx-real-ip\n6.6.6.6\n\
         keyward-verifier\nwafl_admin\nkeyward-client-address\n6.6.6.6\ncf-connecting-ip\n192.0.2.1\naccept\n*/*\n\
         x-api-key\nk\n"
    );
    let head = Head::parse(&text).unwrap();
    let original = ForwardedRequest::of(&head, None).unwrap();
    let seen = original.head().unwrap();
    assert_eq!(seen.headers(), [("accept", "*/*"), ("x-api-key", "k")]);
    assert_eq!(seen.client_address(), None, "the gateway's own address is not its client's");
    let original = ForwardedRequest::of(&head, Some("198.51.100.7")).unwrap();
    let seen = original.head().unwrap();
    assert_eq!(seen.headers(), [("cf-connecting-ip", "198.51.100.7"), ("accept", "*/*"), ("x-api-key", "k")]);
}

#[test]
fn plain_http_at_the_gateway_counts_as_plain_http() {
    for (said, https) in [("", true), ("https", true), ("http", false), ("HTTP", false), ("http, https", false)] {
        let text = format!("5\nGET\n{OWN}/a\nx-forwarded-proto\n{said}\n");
        let original = ForwardedRequest::of(&Head::parse(&text).unwrap(), None).unwrap();
        assert_eq!(original.head().unwrap().https(), https, "{said}");
    }
    for (scheme, https) in [("https", true), ("http", false)] {
        let headers = format!("x-original-method\nGET\nx-original-url\n{scheme}://h/a\n");
        let text = format!("5\nGET\n{OWN}\n{headers}");
        let original = ForwardedRequest::of(&Head::parse(&text).unwrap(), None).unwrap();
        assert_eq!(original.head().unwrap().https(), https, "{scheme}");
    }
    let text = "5\nGET\nhttp://h/_keyward/v1/authorize/a\nx-forwarded-proto\nhttps\n";
    let original = ForwardedRequest::of(&Head::parse(text).unwrap(), None).unwrap();
    assert!(!original.head().unwrap().https(), "and a gateway that asks in plain text carries the key in plain text");
}

/// Returns the trusted client address, where the edge saw the gateway at 203.0.113.1.
fn vouched(headers: &str) -> Result<Option<String>, ForwardAuthError> {
    let text = format!("5\nGET\n{OWN}/a\ncf-connecting-ip\n203.0.113.1\n{headers}");
    trusted_client_ip(&Head::parse(&text).unwrap()).map(|address| address.map(str::to_owned))
}

#[test]
fn keyward_client_address_wins_over_every_other_header() {
    let is = |text: &str| Ok(Some(text.to_owned()));
    assert_eq!(vouched(""), Ok(None));
    assert_eq!(vouched("x-real-ip\n192.0.2.1\n"), Ok(None));
    assert_eq!(vouched("keyward-client-address\n192.0.2.1\n"), is("192.0.2.1"));
    assert_eq!(vouched("keyward-client-address\n2001:db8::1\n"), is("2001:db8::1"));
    assert_eq!(vouched("keyward-client-address\n203.0.113.1\n"), is("203.0.113.1"), "it may share the gateway's");
    let others = "x-forwarded-for\n6.6.6.6, 7.7.7.7\nx-real-ip\n6.6.6.6\n";
    assert_eq!(vouched(&format!("keyward-client-address\n192.0.2.1\n{others}")), is("192.0.2.1"));
    for none in ["192.0.2.1, 192.0.2.1", "192.0.2.1, 6.6.6.6", "", ",", "unix:", "192.0.2.1:80", "[::1]", "x"] {
        let said = format!("keyward-client-address\n{none}\nx-forwarded-for\n192.0.2.1\n");
        assert_eq!(vouched(&said), Err(ForwardAuthError::Address), "{none}");
    }
}

#[test]
fn the_only_forwarded_address_besides_the_edges_own_is_trusted_and_two_are_refused() {
    let is = |text: &str| Ok(Some(text.to_owned()));
    assert_eq!(vouched("x-forwarded-for\n192.0.2.1\n"), is("192.0.2.1"));
    assert_eq!(vouched("x-forwarded-for\n192.0.2.1, 203.0.113.1\n"), is("192.0.2.1"), "the edge appended");
    assert_eq!(vouched("x-forwarded-for\n203.0.113.1,203.0.113.1\n"), is("203.0.113.1"), "one address, both");
    assert_eq!(vouched("x-forwarded-for\n203.0.113.1\n"), Ok(None), "the edge's own word, and no gateway's");
    for ambiguous in
        ["6.6.6.6, 192.0.2.1", "6.6.6.6, 203.0.113.1, 203.0.113.1", "6.6.6.6, 192.0.2.1, 203.0.113.1", ",,"]
    {
        assert_eq!(
            vouched(&format!("x-forwarded-for\n{ambiguous}\n")),
            Err(ForwardAuthError::Addresses),
            "{ambiguous}"
        );
    }
    for none in ["unknown", ", 203.0.113.1", "192.0.2.1:80"] {
        assert_eq!(vouched(&format!("x-forwarded-for\n{none}\n")), Err(ForwardAuthError::Address), "{none}");
    }
    let unseen = format!("5\nGET\n{OWN}/a\nx-forwarded-for\n192.0.2.1\n");
    assert_eq!(trusted_client_ip(&Head::parse(&unseen).unwrap()), Ok(Some("192.0.2.1")), "no edge, no word of it");
}

#[test]
fn headers_that_only_gateways_send_mark_a_gateways_request() {
    for (headers, asks) in [
        ("", false),
        ("x-forwarded-for\n192.0.2.1\nx-forwarded-uri\n/\nx-real-ip\n192.0.2.1\n", false),
        ("keyward-verifier\n\n", true),
        ("keyward-client-address\n192.0.2.1\n", true),
        ("x-forwarded-method\nGET\n", true),
        ("x-original-method\nGET\n", true),
    ] {
        let text = format!("5\nGET\nhttps://h/_keyward/health\n{headers}");
        assert_eq!(is_asking(&Head::parse(&text).unwrap()), asks, "{headers}");
    }
}

#[test]
fn a_malformed_auth_request_is_recognised() {
    for (url, asks) in [
        (OWN, true),
        ("https://h/_keyward/v1/authorize?x", true),
        ("https://h/_keyward/v1/authorize//..%2f", true),
        ("https://h/_keyward/v1/authorized", false),
        ("https://h/_keyward/v1/keys", false),
        ("https://h", false),
        ("https://h?/_keyward/v1/authorize", false),
        ("", false),
    ] {
        assert_eq!(asks_to_authorize(&format!("5\nGET\n{url}\n")), asks, "{url}");
    }
}
