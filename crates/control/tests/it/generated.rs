//! Files that are generated from the rows of routes, codes and settings, and kept in the repository: the OpenAPI document, the
//! advice, and tables of the documentation. `KEYWARD_UPDATE=1 cargo test -p keyward-control generated` writes them.
//! `tests/edge/openapi.test.mjs` compares real responses with the document.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use keyward_config::settings_table;
use keyward_control::open_api::{document, hosts_table, roles_table};
use keyward_control::route::routes;
use keyward_http::problem::Code;

const BASE: &str = include_str!("../../src/openapi_base.json");

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

/// Compares a file with the generated content, or updates it.
fn compare(name: &str, generated: &str) {
    let path = path(name);
    if std::env::var_os("KEYWARD_UPDATE").is_some() {
        fs::write(&path, generated).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    assert!(
        written == generated,
        "{name} differs from the rows. Update it: KEYWARD_UPDATE=1 cargo test -p keyward-control generated"
    );
}

#[test]
fn the_openapi_document_is_generated_from_the_rows() {
    let document = document(BASE).unwrap();
    compare("crates/control/src/openapi.json", &format!("{}\n", serde_json::to_string_pretty(&document).unwrap()));
}

/// Compares the table that begins with `first_line` on a page, or updates it.
fn compare_table(name: &str, first_line: &str, table: &str) {
    let written = fs::read_to_string(path(name)).unwrap();
    let begin = written.find(first_line).unwrap();
    let old: usize = written[begin..].lines().take_while(|line| line.starts_with('|')).map(|line| line.len() + 1).sum();
    compare(name, &format!("{}{table}{}", &written[..begin], &written[begin + old..]));
}

#[test]
fn the_table_of_roles_is_generated_from_the_rows() {
    compare_table("docs/reference/roles.md", "| operation |", &roles_table());
}

#[test]
fn the_table_of_hosts_is_generated_from_the_rows() {
    compare_table("docs/reference/hosts.md", "| endpoint |", &hosts_table());
}

#[test]
fn the_table_of_settings_is_generated_from_the_rows() {
    compare_table("docs/reference/configuration.md", "| setting |", &settings_table());
}

#[test]
fn the_advice_is_generated_from_the_codes() {
    let rows: Vec<String> = Code::ALL
        .iter()
        .map(|code| format!("  {:?}: {}", code.as_str(), serde_json::to_string(code.advice()).unwrap()))
        .collect();
    compare("crates/control/src/advice.json", &format!("{{\n{}\n}}\n", rows.join(",\n")));
}

#[test]
fn the_table_of_errors_is_generated_from_the_codes() {
    let row =
        |code: &Code| format!("| `{}` | {} | {} | {} |\n", code.as_str(), code.status(), code.detail(), code.advice());
    let rows: String = Code::ALL.iter().map(row).collect();
    let head = "| code | status | detail | what to do |\n|---|---|---|---|\n";
    compare_table("docs/reference/errors.md", "| code | status | detail |", &format!("{head}{rows}"));
}

#[test]
fn every_operation_of_the_document_has_a_unique_id_and_its_security() {
    let document = document(BASE).unwrap();
    let mut names = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            assert!(names.insert(operation["operationId"].as_str().unwrap()), "{operation}");
            assert!(operation["security"].is_array(), "{operation}");
            assert!(operation["responses"].is_object(), "{operation}");
        }
    }
    assert_eq!(names.len(), routes().count());
}

/// Whoever has a session may send a credential beside it.
#[test]
fn every_operation_with_a_session_says_that_two_credentials_are_refused() {
    let document = document(BASE).unwrap();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            if !operation["security"].as_array().unwrap().iter().any(|scheme| scheme.get("session").is_some()) {
                continue;
            }
            let codes = &operation["responses"]["400"]["content"]["application/problem+json"]["schema"]["properties"]["code"]
                ["enum"];
            let names_it = |codes: &Vec<serde_json::Value>| codes.iter().any(|code| code == "ambiguous_credentials");
            assert!(codes.as_array().is_some_and(names_it), "{operation}");
        }
    }
}
