//! docs/STORAGE.md says what the code does: every example there is read by the code and written again.

use keyward_key::sealed::Sealed;
use keyward_protocol::audit::Entry;
use keyward_protocol::feed::CachedFeedPage;
use keyward_protocol::{Command, Request, Response};
use keyward_registry::audit::audit_after;
use keyward_testkit::registry_world::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

const PAGE: &str = include_str!("../../../../docs/STORAGE.md");

/// The examples of that kind.
fn examples(kind: &str) -> Vec<Json> {
    let found: Vec<Json> = PAGE
        .split(&format!("```json {kind}\n"))
        .skip(1)
        .map(|rest| serde_json::from_str(rest.split("```").next().unwrap()).unwrap())
        .collect();
    assert!(!found.is_empty(), "{kind}");
    found
}

fn read_and_written_again<T: Serialize + DeserializeOwned>(example: &Json) {
    let read: T = serde_json::from_value(example.clone()).unwrap_or_else(|error| panic!("{error}: {example}"));
    assert_eq!(serde_json::to_value(&read).unwrap(), *example);
}

#[test]
fn every_message_on_the_page_is_a_message_of_the_code() {
    for example in examples("call") {
        read_and_written_again::<Request>(&example);
    }
    for example in examples("command") {
        read_and_written_again::<Command>(&example);
    }
    for example in examples("answer") {
        read_and_written_again::<Response>(&example);
    }
}

#[test]
fn every_column_of_every_table_is_on_the_page() {
    let world = World::with_owner();
    for (table, rows) in [("meta", 2), ("members", 14), ("keys", 23), ("audit", 8), ("outbox", 3), ("idempotency", 7)] {
        let section = PAGE.split(&format!("\n### {table}\n")).nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap().split("\n### ").next().unwrap();
        let mut statement =
            world.store.connection.prepare(&format!("SELECT name, type FROM pragma_table_info('{table}')")).unwrap();
        let columns: Vec<(String, String)> =
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
        assert_eq!(columns.len(), rows, "{table}");
        for (name, kind) in columns {
            assert!(section.contains(&format!("\n| `{name}` | {kind}")), "{table}.{name}");
        }
    }
}

#[test]
fn the_audit_entry_on_the_page_is_one_that_the_code_wrote() {
    let stored: Json = serde_json::from_str(include_str!("stored_form.json")).unwrap();
    let example: Entry = serde_json::from_value(examples("audit entry").remove(0)).unwrap();
    let row = &stored["audit"][3];
    assert_eq!(row["hash"], example.hash.as_str());
    assert_eq!(row["previous"], example.previous.as_str());
    let detail: Json = serde_json::from_str(row["detail"].as_str().unwrap()).unwrap();
    assert_eq!(detail, Json::Object(example.detail));

    let mut world = World::with_owner();
    let entry = audit_after(&mut world.store, 0, 1).unwrap().remove(0);
    read_and_written_again::<Entry>(&serde_json::to_value(entry).unwrap());
}

#[test]
fn the_sealed_record_on_the_page_has_the_codes_fields() {
    let mut example = examples("sealed record").remove(0)["sealed"].take();
    example["record"]["key_hash"] = "09".repeat(32).into();
    read_and_written_again::<Sealed>(&example);
    read_and_written_again::<CachedFeedPage>(&examples("kept answer").remove(0));
}

#[test]
fn a_message_with_an_unknown_field_is_an_error() {
    for example in examples("call") {
        let mut wrong = example;
        let inner = wrong.as_object_mut().unwrap().values_mut().next().unwrap();
        inner["surprise"] = 1.into();
        assert!(serde_json::from_value::<Request>(wrong).is_err());
    }
}
