//! The console's files: where they are served, with which headers, and what an unknown path is.

use keyward_testkit::gate_world::ClientRequest;
use serde_json::{Value, json};

use crate::test_plane::{Plane, TestReply};

const API: &str = "https://api.example";

fn plane(changes: &Value) -> Plane {
    let mut vars = json!({"CONTROL_HOST": "gate.example"});
    vars.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let plane = Plane::new(&vars);
    let page = |file: &str| json!({"file": file, "type": "text/html; charset=utf-8", "immutable": false, "digest": "d1", "bytes": 12});
    *plane.platform.console.borrow_mut() = json!({
        "/": page("index.html"), "/keys": page("index.html"), "/_keyward/claim": page("claim.html"),
        "/v1/contacts": page("index.html"),
        "/assets/app.1a2b.js": {"file": "app.1a2b.js", "type": "text/javascript", "immutable": true, "digest": "d2", "bytes": 34},
    });
    plane
}

fn ask(plane: &Plane, request: &str) -> TestReply {
    plane.send(&ClientRequest::new(request), b"")
}

#[test]
fn the_console_is_on_the_control_host_alone() {
    let plane = plane(&json!({}));
    for path in ["/", "/keys", "/keys?status=active", "/assets/app.1a2b.js", "/_keyward/claim"] {
        let request = ClientRequest::new(&format!("GET {path}"));
        assert_eq!(plane.send(&request, b"").status, 200, "{path}");
        if path.starts_with("/_keyward/") {
            let elsewhere = ClientRequest { base: API.to_owned(), ..request };
            assert_eq!(plane.send(&elsewhere, b"").verdict(), "404 no_route", "{path}");
        }
    }
    assert_eq!(plane.asked(), 0);
    let without = Plane::new(&json!({}));
    *without.platform.console.borrow_mut() = plane.platform.console.take();
    assert_eq!(ask(&without, "GET /_keyward/claim").verdict(), "404 no_route", "no control host");
}

#[test]
fn every_file_has_the_strict_policy_and_is_for_its_own_origin_alone() {
    let plane = plane(&json!({}));
    for (request, file) in
        [("GET /", "index.html"), ("GET /assets/app.1a2b.js", "app.1a2b.js"), ("GET /_keyward/claim", "claim.html")]
    {
        let reply = ask(&plane, request);
        assert_eq!(reply.text, format!("file {file}"));
        for (name, value) in [
            (
                "content-security-policy",
                "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
            ),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-robots-tag", "noindex"),
            ("keyward-request-id", "req-1"),
            ("strict-transport-security", "max-age=31536000"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{request}");
        }
        assert_eq!(reply.headers.iter().filter(|(name, _)| *name == "set-cookie").count(), 0);
    }
}

#[test]
fn pages_are_never_stored_and_hashed_files_are_stored_for_a_year() {
    let plane = plane(&json!({}));
    let page = ask(&plane, "GET /keys");
    assert_eq!((page.header("cache-control"), page.header("etag")), (Some("no-store"), None));
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let asset = ask(&plane, "GET /assets/app.1a2b.js");
    assert_eq!(asset.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!((asset.header("etag"), asset.header("content-type")), (Some("\"d2\""), Some("text/javascript")));
}

#[test]
fn a_client_that_has_a_hashed_file_gets_304_and_one_that_asks_for_the_head_no_body() {
    let plane = plane(&json!({}));
    let conditional = |path: &str, tags: &str| {
        let request = ClientRequest::new(&format!("GET {path}")).with("if-none-match", tags);
        let reply = plane.send(&request, b"");
        (reply.status, reply.text)
    };
    for (tags, status) in [
        ("\"d2\"", 304),
        ("W/\"d2\"", 304),
        ("\"x\", \"d2\"", 304),
        ("*", 304),
        ("\"d1\"", 200),
        ("d2", 200),
        ("", 200),
    ] {
        assert_eq!(conditional("/assets/app.1a2b.js", tags).0, status, "{tags}");
    }
    assert_eq!(conditional("/assets/app.1a2b.js", "*").1, "");
    assert_eq!(conditional("/", "*").0, 200, "a page is never stored");
    let head = ask(&plane, "HEAD /assets/app.1a2b.js");
    assert_eq!((head.status, head.text.as_str(), head.header("content-length")), (200, "", Some("34")));
    assert_eq!(ask(&plane, "HEAD /").header("content-length"), Some("12"));
}

#[test]
fn an_unknown_path_is_421_if_a_route_has_it_and_otherwise_the_consoles_own_404() {
    let plane = plane(&json!({}));
    for (request, verdict) in [
        ("GET /v1/contacts/7", "421 misdirected_request"),
        ("DELETE /v1/contacts/7", "421 misdirected_request"),
        ("POST /v1/contacts", "421 misdirected_request"),
        ("GET /nothing", "404 no_route"),
        ("POST /nothing", "404 no_route"),
        ("POST /keys", "405 method_not_allowed"),
        ("PUT /assets/app.1a2b.js", "405 method_not_allowed"),
        ("GET /Keys", "404 no_route"),
        ("GET /keys/", "404 no_route"),
        ("GET /__proto__", "404 no_route"),
        ("GET /index.html", "404 no_route"),
        ("GET /app.1a2b.js", "404 no_route"),
    ] {
        assert_eq!(ask(&plane, request).verdict(), verdict, "{request}");
    }
    assert_eq!(ask(&plane, "GET /v1/contacts").status, 200, "the console's own path, though a route has it too");
    assert_eq!(ask(&plane, "PUT /keys").header("allow"), Some("GET, HEAD"));
    let browser = ClientRequest::new("GET /nothing").with("accept", "application/xhtml+xml, text/html;q=0.9");
    let page = plane.send(&browser, b"");
    assert_eq!((page.status, page.text.as_str()), (404, "file index.html"));
    let api = ClientRequest::new("GET /v1/contacts/7").with("accept", "text/html");
    assert_eq!(plane.send(&api, b"").verdict(), "421 misdirected_request");
}

#[test]
fn a_build_without_a_console_answers_every_path_as_an_unknown_one() {
    let plane = plane(&json!({}));
    *plane.platform.console.borrow_mut() = json!({});
    for (request, verdict) in [
        ("GET /", "404 no_route"),
        ("GET /_keyward/claim", "404 no_route"),
        ("GET /v1/contacts", "421 misdirected_request"),
        ("POST /", "404 no_route"),
    ] {
        let request = ClientRequest::new(request).with("accept", "text/html");
        assert_eq!(plane.send(&request, b"").verdict(), verdict);
    }
}

#[test]
fn over_plain_http_there_is_no_console_unless_it_is_allowed() {
    let strict = plane(&json!({}));
    let plain = |path: &str| ClientRequest {
        base: "http://gate.example".to_owned(),
        ..ClientRequest::new(&format!("GET {path}")).with("accept", "text/html")
    };
    for path in ["/", "/assets/app.1a2b.js", "/_keyward/claim"] {
        assert_eq!(strict.send(&plain(path), b"").verdict(), "403 insecure_transport", "{path}");
    }
    assert_eq!(strict.send(&plain("/nothing"), b"").verdict(), "404 no_route");
    let local = plane(&json!({"REQUIRE_HTTPS": false}));
    let page = local.send(&plain("/"), b"");
    assert_eq!((page.status, page.header("strict-transport-security")), (200, None));
}
