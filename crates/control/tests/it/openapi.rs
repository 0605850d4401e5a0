//! The OpenAPI document describes every route of the control plane and nothing else; what it lists it takes from the code.
//! That real answers are as it says is shown in `tests/edge/openapi.test.mjs`.

use std::collections::BTreeSet;

use keyward_control::ROUTES;
use keyward_http::problem::Code;
use serde_json::Value;

fn document() -> Value {
    serde_json::from_str(include_str!("../../src/openapi.json")).unwrap()
}

/// `{id}` and its like as the route table writes them.
fn as_pattern(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "*" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let document = document();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in
            item.as_object().unwrap().keys().filter(|key| !matches!(key.as_str(), "parameters" | "description"))
        {
            let new = described.insert(format!("{} {}", method.to_uppercase(), as_pattern(path)));
            assert!(new, "{method} {path} is described twice");
        }
    }
    let row = |(method, pattern): (&str, &str)| {
        // Any method means the same there, and is described once; a rest of several segments as one.
        let (method, pattern) = (method.replace("ANY", "GET"), pattern.replace("**", "*"));
        if pattern.starts_with('/') { format!("{method} {pattern}") } else { format!("{method} /_keyward/{pattern}") }
    };
    let routes: BTreeSet<String> = ROUTES.iter().map(|(method, pattern, _)| row((method, pattern))).collect();
    assert_eq!(described, routes);
}

#[test]
fn every_operation_has_a_name_of_its_own_and_says_who_may() {
    let document = document();
    let mut names = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values().filter(|value| value["responses"].is_object()) {
            assert!(names.insert(operation["operationId"].as_str().unwrap()), "{operation}");
            assert!(operation["security"].is_array(), "{operation}");
        }
    }
    assert_eq!(names.len(), ROUTES.len());
}

#[test]
fn every_code_of_a_problem_is_listed_once() {
    let listed: Vec<String> =
        serde_json::from_value(document()["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].clone())
            .unwrap();
    assert_eq!(listed, Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>());
}
