use super::*;

fn routes(rows: &[&str]) -> Routes {
    let access = || Access::Public;
    Routes::new(rows.iter().map(|row| Route::parse(row, access(), false).unwrap()).collect())
}

fn found(routes: &Routes, method: &str, path: &str) -> String {
    match routes.find(method, path) {
        Matched::Route(route) => route.pattern.to_string(),
        Matched::OtherMethods(allow) => format!("405 {allow}"),
        Matched::Nothing => "404".to_owned(),
    }
}

#[test]
fn the_first_match_wins_and_head_counts_as_get() {
    let table = routes(&["GET /a/b", "GET /a/*", "POST /a/*", "* /z"]);
    assert_eq!(found(&table, "GET", "/a/b"), "/a/b");
    assert_eq!(found(&table, "HEAD", "/a/b"), "/a/b");
    assert_eq!(found(&table, "GET", "/a/"), "/a/*");
    assert_eq!(found(&table, "GET", "/a"), "404");
    assert_eq!(found(&table, "POST", "/a/b"), "/a/*");
    assert_eq!(found(&table, "PUT", "/a/b"), "405 GET, HEAD, POST");
    assert_eq!(found(&table, "PURGE", "/z"), "/z");
    assert_eq!(found(&table, "GET", "/z/"), "404");
}

#[test]
fn another_letter_case_never_takes_a_wider_route() {
    let table = routes(&["GET /a/b", "GET /*"]);
    assert_eq!(found(&table, "GET", "/A/b"), "404");
    assert_eq!(found(&table, "GET", "/other/B"), "/*");
    assert_eq!(found(&routes(&["GET /a/*"]), "GET", "/a/UPPER"), "/a/*");
}

fn with_scopes(rows: &[(&str, &str)]) -> Routes {
    let route = |(row, scope): &(&str, &str)| Route::parse(row, Access::Scope(Scope::parse(scope).unwrap()), false);
    Routes::new(rows.iter().map(|row| route(row).unwrap()).collect())
}

#[test]
fn another_spelling_or_reading_never_takes_a_wider_route() {
    let table = with_scopes(&[
        ("GET /v1/users/@me", "self"),
        ("GET /v1/contacts:export", "export"),
        ("GET /v1/contacts/export", "export"),
        ("GET /v1/admin/*", "admin"),
        ("GET /v1/admin", "other"),
        ("GET /v1/*", "read"),
    ]);
    for path in [
        "/v1/users/%40me",
        "/v1/users/%40ME",
        "/v1/contacts%3Aexport",
        "/v1/contacts%3aexport/",
        "/v1/contacts/export/",
        "/v1/contacts/export;x=1",
        "/v1/contacts;a=b/export",
        "/v1/contacts/export%3bx",
        "/v1/CONTACTS/export;x/",
        "/v1/admin;x/users",
        "/v1;x/admin/users",
        "/v1;x/ADMIN/users",
        "/v1/admin;x/",
    ] {
        assert_eq!(found(&table, "GET", path), "404", "{path}");
    }
    for (path, taken) in [
        ("/v1/users/@me", "/v1/users/@me"),
        ("/v1/users/@you", "/v1/*"),
        ("/v1/users/%40you", "/v1/*"),
        ("/v1/contacts/exports/", "/v1/*"),
        ("/v1/admin", "/v1/admin"),
        ("/v1/admin/", "/v1/admin/*"),
        ("/v1/admin/users;x=1", "/v1/admin/*"),
        ("/v1/other;x=1/", "/v1/*"),
    ] {
        assert_eq!(found(&table, "GET", path), taken, "{path}");
    }
}

#[test]
fn a_slash_at_the_end_takes_the_wider_route_where_that_asks_for_the_same() {
    let same = with_scopes(&[("GET /v1/a", "read"), ("GET /v1/a/*", "read")]);
    assert_eq!(found(&same, "GET", "/v1/a/"), "/v1/a/*");
    let exact = with_scopes(&[("GET /v1/a", "read"), ("GET /v1/a/", "other"), ("GET /a;b", "x"), ("GET /*", "y")]);
    assert_eq!(found(&exact, "GET", "/v1/a/"), "/v1/a/", "whoever writes both means both");
    assert_eq!(found(&exact, "GET", "/a;b"), "/a;b");
    assert_eq!(found(&exact, "GET", "/"), "/*");
}

#[test]
fn a_route_may_name_several_methods() {
    let table = routes(&["POST,PUT,PATCH /a/*", "GET,DELETE /a/*"]);
    assert_eq!(found(&table, "PATCH", "/a/1"), "/a/*");
    assert_eq!(found(&table, "HEAD", "/a/1"), "/a/*");
    assert_eq!(found(&table, "OPTIONS", "/a/1"), "405 POST, PUT, PATCH, GET, HEAD, DELETE");
}

#[test]
fn two_stars_take_the_path_itself_and_everything_below() {
    let table =
        with_scopes(&[("GET /a/b/**", "narrow"), ("GET /a/**", "wide"), ("GET /c/d/**", "c"), ("GET /**", "all")]);
    for (path, taken) in [
        ("/a/b", "/a/b/**"),
        ("/a/b/", "/a/b/**"),
        ("/a/b/c.json", "/a/b/**"),
        ("/a/bc", "/a/**"),
        ("/a", "/a/**"),
        ("/", "/**"),
        ("/ab", "/**"),
        ("/c", "/**"),
        ("/c/D", "404"),
        ("/c/D/x", "404"),
        ("/a/B", "404"),
        ("/a/B/x", "404"),
        ("/a/b.json", "404"),
        ("/a/b;x/c", "404"),
        ("/a/b%20/c", "404"),
    ] {
        assert_eq!(found(&table, "GET", path), taken, "{path}");
    }
}

#[test]
fn a_suffix_that_servers_drop_never_takes_a_wider_route() {
    let table = with_scopes(&[
        ("GET /v1/contacts/export", "export"),
        ("POST /v1/contacts/purge", "purge"),
        ("GET /v1/admin/**", "admin"),
        ("* /v1/contacts/*", "contacts"),
        ("GET /v1/*", "read"),
    ]);
    for end in [
        ".json",
        ".JSON",
        ".",
        "...",
        "%20",
        "%C2%A0",
        "%20.",
        ".%20",
        ".json%20",
        ".json.",
        ".json/",
        ".tar.gz",
        ".json;x=1",
        ";x.json",
        "%E3%80%80",
        "%EF%BB%BF",
        "./",
        ".%D1%8A",
        "%3F",
        "%3fx=1",
        "%23",
        ".json%3F",
        "%3F.json/x",
    ] {
        assert_eq!(found(&table, "GET", &format!("/v1/contacts/export{end}")), "404", "{end}");
        assert_eq!(found(&table, "GET", &format!("/v1/contacts/EXPORT{end}")), "404", "{end}");
        assert_eq!(found(&table, "POST", &format!("/v1/contacts/purge{end}")), "404", "{end}");
        assert_eq!(found(&table, "GET", &format!("/v1/admin{end}")), "404", "{end}");
    }
    for path in [
        "/v1/contacts%20/export",
        "/v1/contacts./export.json",
        "/v1/%20contacts/export",
        "/v1/admin./users",
        "/v1/contacts/export/%3Fx/y",
    ] {
        assert_eq!(found(&table, "GET", path), "404", "{path}");
    }
    for (path, taken) in [
        ("/v1/contacts/7.json", "/v1/contacts/*"),
        ("/v1/contacts/exports.json", "/v1/contacts/*"),
        ("/v1/contacts/export/7.json", "/v1/contacts/*"),
        ("/v1/contacts/.export", "/v1/contacts/*"),
        ("/v1/contacts/caf%C3%A9", "/v1/contacts/*"),
        ("/v1/contacts/why%3F", "/v1/contacts/*"),
        ("/v1/contacts/%23export", "/v1/contacts/*"),
        ("/v1/administrators.json", "/v1/*"),
    ] {
        assert_eq!(found(&table, "GET", path), taken, "{path}");
    }
}

#[test]
fn every_route_that_a_path_may_be_read_as_has_to_ask_for_the_same() {
    let table = with_scopes(&[("GET /a.json", "read"), ("GET /a", "export"), ("GET /*", "read")]);
    assert_eq!(found(&table, "GET", "/a.json.gz"), "404", "not only the first of them");
    assert_eq!(found(&table, "GET", "/a.json"), "/a.json", "whoever writes both means both");
}

#[test]
fn a_parameter_in_a_route_is_refused_with_what_to_write() {
    for path in ["/v1/contacts/:id", "/v1/contacts/{id}", "/v1/contacts/<id>", "/v1/:a/b", "/v1/<int:id>/x", "/v1/[id]"]
    {
        let why = Route::parse(&format!("GET {path}"), Access::Public, false).unwrap_err();
        assert!(why.contains("GET /v1/contacts/*") && why.contains("/**"), "{path}: {why}");
    }
    for path in ["/v1/contacts:export", "/v1/x:y/z", "/v1/:", "/v1/:1"] {
        assert!(Route::parse(&format!("GET {path}"), Access::Public, false).is_ok(), "{path}");
    }
}

#[test]
fn every_scope_that_a_route_asks_for_is_known_once_and_in_order() {
    let scope = |text: &str| Scope::parse(text).unwrap();
    let rows = ["b:read", "a:write", "b:read", "a:read"].map(|text| Access::Scope(scope(text)));
    let rows = rows.into_iter().chain([Access::Public]);
    let routes = Routes::new(rows.map(|access| Route::parse("GET /a", access, false).unwrap()).collect());
    assert_eq!(routes.scopes(), ["a:read", "a:write", "b:read"].map(scope));
}

#[test]
fn a_bad_pattern_is_refused() {
    for row in [
        "",
        "/a",
        "GET",
        "get /a",
        "GET a",
        "GET  /a",
        "HEAD /a",
        "TRACE /a",
        "GET /a/*/b",
        "GET /a**",
        "GET /a/***",
        "GET /a/**/b",
        "GET **",
        "GET /a//**",
        "GET,GET /a",
        "GET,* /a",
        "GET, POST /a",
        "GET, /a",
        ",GET /a",
        "GET,HEAD /a",
        "GET,TRACE /a",
        "GET,post /a",
        "GET /_keyward/**",
        "GET /a/../b",
        "GET //a",
        "GET /%61",
        "GET /a?b",
        "GET /_keyward/*",
        "GET /.well-known/oauth-authorization-server/_keyward",
        "* /.well-known/oauth-authorization-server/_keyward*",
        "GET /a b",
    ] {
        assert!(Route::parse(row, Access::Public, false).is_err(), "{row}");
    }
}
