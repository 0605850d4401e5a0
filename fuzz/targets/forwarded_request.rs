//! Forward auth: the gate decides on the request that every source names, and never on the gateway's own request.

use std::net::IpAddr;

use keyward_http::forwarded_request::{AUTHORIZE, ForwardedRequest, asks_to_authorize, trusted_client_ip};
use keyward_http::head::Head;

use super::fixture::text_of;

pub fn run(data: &[u8]) {
    let text = text_of(data);
    let Ok(head) = Head::parse(&text) else { return };
    assert_eq!(asks_to_authorize(&text), {
        let rest = head.target().path().strip_prefix(AUTHORIZE);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    let address = trusted_client_ip(&head).ok().flatten();
    if let Some(address) = address {
        assert!(address.parse::<IpAddr>().is_ok());
        match head.header("keyward-client-address") {
            Some(said) => assert_eq!(said, address),
            None => {
                let list = head.header("x-forwarded-for").unwrap_or_default();
                let others = list.split(',').map(str::trim).filter(|one| *one != address).collect::<Vec<_>>();
                assert!(list.contains(address) && others.iter().all(|one| Some(*one) == head.client_address()));
                assert!(others.len() < 2, "a list with more than one address besides the edge's own");
            }
        }
    }
    for address in [None, address] {
        let Ok(original) = ForwardedRequest::of(&head, address) else { continue };
        let Ok(decided) = original.head() else { continue };
        let (method, uri) = (decided.method(), decided.target().as_sent());
        let value =
            |name| head.headers().iter().find(|(known, _)| *known == name).map(|(_, value)| *value).unwrap_or("");
        let mut sources = 0;
        let url = value("x-original-url");
        let in_url = url.split_once("://").and_then(|(_, rest)| rest.get(rest.find('/')?..)).unwrap_or(url);
        for (said, of) in [
            ("x-forwarded-method", value("x-forwarded-uri")),
            ("x-original-method", value("x-original-uri")),
            ("x-original-method", in_url),
        ] {
            if !of.is_empty() {
                assert_eq!((value(said), of), (method, uri));
                sources += 1;
            }
        }
        if let Some(rest) = head.target().as_sent().strip_prefix(AUTHORIZE).filter(|rest| rest.starts_with('/')) {
            assert_eq!((head.method(), rest), (method, uri));
            sources += 1;
        }
        assert!(sources > 0, "no source names {method} {uri}");
        assert_eq!(decided.base(), head.base(), "another host");
        assert!(head.https() || !decided.https(), "no header may upgrade the request to HTTPS");
        assert_eq!(decided.client_address(), address, "the client address must come from a trusted gateway");
        assert_eq!((decided.authorization(), decided.api_key()), (head.authorization(), head.api_key()));
        assert_eq!((decided.origin(), decided.sec_fetch_site()), (head.origin(), head.sec_fetch_site()));
        for (name, _) in decided.headers() {
            assert!(
                !name.starts_with("x-forwarded-") && !name.starts_with("x-original-") && !name.starts_with("keyward-")
            );
        }
    }
}
