//! The OpenAPI document and the table of roles are made from the rows of the routes and kept in the repository.
//! `KEYWARD_UPDATE=1 cargo test -p keyward-control generated` writes them. `tests/edge/openapi.test.mjs` shows that real answers
//! are as the document says.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use keyward_control::open_api::{document, roles_table};
use keyward_control::route::routes;
use keyward_http::problem::Code;
use serde_json::Value;

const BASE: &str = include_str!("../../src/openapi_base.json");

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

/// Compares a file with what was generated, or updates it.
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

#[test]
fn the_table_of_roles_is_generated_from_the_rows() {
    let name = "docs/reference/roles.md";
    let written = fs::read_to_string(path(name)).unwrap();
    let begin = written.find("| operation |").unwrap();
    let table: usize =
        written[begin..].lines().take_while(|line| line.starts_with('|')).map(|line| line.len() + 1).sum();
    let generated = format!("{}{}{}", &written[..begin], roles_table(), &written[begin + table..]);
    compare(name, &generated);
}

#[test]
fn every_operation_of_the_document_has_a_name_of_its_own_and_says_who_may() {
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

#[test]
fn every_code_of_a_problem_is_listed_once() {
    let document: Value = serde_json::from_str(BASE).unwrap();
    let listed: Vec<String> =
        serde_json::from_value(document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].clone())
            .unwrap();
    assert_eq!(listed, Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>());
}
