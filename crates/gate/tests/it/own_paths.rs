//! Keyward's own paths are never forwarded: no route may match them, in any spelling of the path.

use keyward_config::Config;
use keyward_http::route::{Access, Route};
use keyward_testkit::gate_world::{ClientRequest, World};
use proptest::prelude::*;
use serde_json::json;

/// A world with the widest public route, so that only the path can cause a refusal.
fn open() -> World {
    World::started(
        &json!({"ROUTES": [{"match": "* /*", "access": "public"}, {"match": "* /v1/x", "scope": "contacts:read"}]}),
    )
}

const OWN: &[&str] = &[
    "/_keyward",
    "/_keyward/",
    "/_keyward/health",
    "/_keyward/v1/keys",
    "/_keyward/v1/authorize/v1/x",
    "/.well-known/oauth-authorization-server/_keyward",
];

/// Respells a path: each letter unchanged, in the other case, or as an escape in either case.
fn spelt(path: &str, choices: &[u8]) -> String {
    let letters = path.bytes().zip(choices.iter().cycle());
    letters
        .map(|(byte, choice)| match (choice % 5, byte) {
            (0, _) => char::from(byte).to_ascii_uppercase().to_string(),
            (1, b'/') => "/".to_owned(),
            (1, _) => format!("%{byte:02x}"),
            (2, b'/') => "/".to_owned(),
            (2, _) => format!("%{byte:02X}"),
            (3, _) => char::from(byte).to_ascii_lowercase().to_string(),
            _ => char::from(byte).to_string(),
        })
        .collect()
}

#[test]
fn the_test_route_matches_every_other_path() {
    let mut world = open();
    for path in ["/", "/x", "/_keywards", "/_keywar", "/x/_keyward", "/.well-known/oauth-authorization-server"] {
        assert_eq!(world.verdict(&ClientRequest::new(&format!("GET {path}"))), "200", "{path}");
    }
}

#[test]
fn no_method_on_an_own_path_is_forwarded() {
    let mut world = open();
    for path in OWN {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            assert_eq!(
                world.verdict(&ClientRequest::new(&format!("{method} {path}"))),
                "404 no_route",
                "{method} {path}"
            );
        }
    }
}

/// Patterns that match each path of [`OWN`] and the paths below it.
fn own_patterns() -> Vec<String> {
    OWN.iter().flat_map(|path| ["", "*", "/*"].map(|end| format!("{path}{end}"))).collect()
}

#[test]
fn no_route_may_match_an_own_path_in_any_letter_case() {
    for pattern in own_patterns() {
        // The metadata document is one path. Keyward does not own the paths below it.
        let is_ours = !(pattern.starts_with("/.well-known/") && pattern.ends_with("/*"));
        for spelling in [pattern.clone(), pattern.to_ascii_uppercase(), pattern.replace("key", "Key")] {
            for method in ["GET", "POST", "*"] {
                let row = format!("{method} {spelling}");
                assert_eq!(Route::parse(&row, Access::Public, false).is_err(), is_ours, "{row}");
            }
        }
    }
}

#[test]
fn a_configuration_that_routes_an_own_path_is_refused_with_the_row() {
    let vars = json!({
        "KEYWARD_SECRET": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "BOOTSTRAP_TOKEN": "a-bootstrap-token-of-a-test",
        "ORIGIN_LIVE": "https://live.example",
        "ROUTES": [{"match": "GET /*", "access": "public"}, {"match": "* /_keyward/*", "access": "public"}],
    });
    let Err(problems) = Config::parse(vars.as_object().unwrap()) else { panic!("accepted") };
    assert_eq!(problems.iter().map(|problem| problem.variable.as_str()).collect::<Vec<_>>(), ["ROUTES[1]"]);
}

proptest! {
    #[test]
    fn an_own_path_is_not_forwarded_in_any_letter_case_or_escape(
        path in prop::sample::select(OWN),
        choices in prop::collection::vec(any::<u8>(), 1..64),
        query in prop::sample::select(&["", "?", "?a=/v1/x", "?/../v1/x"][..]),
        before in prop::sample::select(&["", "/.", "/x/..", "/", "/%2e", "/x%2f.."][..]),
    ) {
        let target = format!("{before}{}{query}", spelt(path, &choices));
        let verdict = open().verdict(&ClientRequest::new(&format!("GET {target}")));
        prop_assert!(verdict == "404 no_route" || verdict == "400 bad_path", "{target}: {verdict}");
    }

    #[test]
    fn an_own_path_is_recognised_in_any_letter_case(
        path in prop::sample::select(OWN),
        upper in prop::collection::vec(any::<bool>(), 1..64),
    ) {
        let choices: Vec<u8> = upper.iter().map(|upper| if *upper { 0 } else { 3 }).collect();
        let target = spelt(path, &choices);
        prop_assert_eq!(open().verdict(&ClientRequest::new(&format!("GET {target}"))), "404 no_route", "{}", target);
    }
}
