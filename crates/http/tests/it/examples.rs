//! The gateways of `examples/` remove every header that the gate removes.

use std::fs;
use std::path::Path;

use keyward_http::removed_headers::{Family, NAMES, Shared, families};

fn example(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(file);
    fs::read_to_string(path).expect("a file of the repository").to_ascii_lowercase()
}

/// Every single name, and the known members of each family.
fn known() -> Vec<&'static str> {
    let members = families().flat_map(|Family { known, .. }| known.iter().copied());
    NAMES.iter().copied().chain(members).chain(["authorization", "x-api-key"]).collect()
}

/// The known names, and an unknown member of each family.
fn known_and_unknown() -> Vec<String> {
    let unknown = families().map(|Family { shared, .. }| match shared {
        Shared::Start(start) => format!("{start}anything"),
        Shared::End(end) => format!("x-anything-{end}"),
    });
    known().into_iter().map(str::to_owned).chain(unknown).collect()
}

fn all_removed<'a>(file: &str, names: impl IntoIterator<Item = &'a str>, removes: impl Fn(&str, &str) -> bool) {
    let config = example(file);
    let missing: Vec<&str> = names.into_iter().filter(|name| !removes(&config, name)).collect();
    assert!(missing.is_empty(), "examples/{file} lets these pass: {missing:?}");
}

#[test]
fn nginx_replaces_or_removes_every_known_header() {
    all_removed("nginx/keyward.conf", known(), |config, name| {
        let api = config.split("location / {").nth(1).and_then(|rest| rest.split("\n    }").next()).unwrap();
        api.contains(&format!("\n        proxy_set_header {name} "))
    });
}

#[test]
fn traefik_replaces_or_removes_every_known_header() {
    // Its entry point removes a client's own, and it writes its own values.
    let its_own = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-server", "x-real-ip"];
    let names = known().into_iter().filter(|name| !its_own.contains(name));
    all_removed("traefik/dynamic.yml", names, |config, name| config.contains(&format!("\n          {name}: \"\"\n")));
}

#[test]
fn ingress_nginx_replaces_or_removes_every_known_header() {
    // The controller writes its own values.
    let its_own =
        ["x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-scheme", "x-real-ip", "x-scheme"];
    let names = known().into_iter().filter(|name| !its_own.contains(name));
    all_removed("ingress-nginx/ingress.yaml", names, |config, name| {
        let list = config.split("auth-response-headers: \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        list.split(',').any(|listed| listed.trim_matches(['\\', '\n', ' ']) == name)
    });
}

#[test]
fn caddy_removes_every_known_header_and_every_family() {
    let names = known_and_unknown();
    all_removed("caddy/Caddyfile", names.iter().map(String::as_str), |config, name| {
        let patterns = config.lines().filter_map(|line| {
            let line = line.trim();
            line.strip_prefix("request_header -").or_else(|| line.strip_prefix("header_up -"))
        });
        patterns.into_iter().any(|pattern| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
            (Some(_), Some(_)) => name.contains(pattern.trim_matches('*')),
            (Some(end), None) => name.ends_with(end),
            (None, Some(start)) => name.starts_with(start),
            (None, None) => name == pattern,
        })
    });
}

#[test]
fn envoy_removes_every_known_header_and_every_family() {
    let names = known_and_unknown();
    all_removed("envoy/envoy.yaml", names.iter().map(String::as_str), |config, name| {
        let matcher = |kind: &str, line: &str| {
            let rest = line.split_once(&format!("key_matcher: {{ {kind}: "))?.1;
            rest.split([',', ' ']).next().map(str::to_owned)
        };
        let list = config.split("request_headers_to_remove:").nth(1).and_then(|rest| rest.split("routes:").next());
        list.unwrap().contains(&format!("\n                        - {name}\n"))
            || config.lines().any(|line| {
                matcher("prefix", line).is_some_and(|start| name.starts_with(&start))
                    || matcher("suffix", line).is_some_and(|end| name.ends_with(&end))
            })
    });
}
