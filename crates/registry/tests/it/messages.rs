//! docs/internals/storage.md says what the code does: the code reads every example there and writes it again.

use keyward_control::Operation;
use keyward_key::sealed::Sealed;
use keyward_key::version::{self, ReadError};
use keyward_protocol::audit::Entry;
use keyward_protocol::feed::CachedFeedPage;
use keyward_protocol::{Request, Response as RawResponse};
use keyward_registry::audit::audit_after;
use keyward_testkit::registry_world::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

const PAGE: &str = include_str!("../../../../docs/internals/storage.md");

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
    let read: T = serde_json::from_str(&example.to_string()).unwrap_or_else(|error| panic!("{error}: {example}"));
    assert_eq!(serde_json::to_value(&read).unwrap(), *example);
}

#[test]
fn every_message_on_the_page_is_a_message_of_the_code() {
    for example in examples("call") {
        read_and_written_again::<Request>(&example);
    }
    for example in examples("command") {
        let operation = Operation::parse(example["operation"].as_str().unwrap()).unwrap();
        let command = serde_json::value::to_raw_value(&example["command"]).unwrap();
        let again = operation.rewrite(&command).unwrap_or_else(|| panic!("{example}"));
        assert_eq!(serde_json::from_str::<Json>(again.get()).unwrap(), example["command"]);
    }
    for example in examples("answer") {
        read_and_written_again::<RawResponse>(&example);
        if !example["done"].is_null() {
            read_and_written_again::<Outcome>(&example["done"]);
        }
    }
}

#[test]
fn every_column_of_every_table_is_on_the_page() {
    let world = World::with_owner();
    for (table, rows) in [("meta", 2), ("members", 17), ("keys", 24), ("audit", 8), ("outbox", 3), ("idempotency", 8)] {
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
fn a_message_with_an_added_field_is_read_and_one_for_newer_readers_is_refused_as_such() {
    for example in examples("call").into_iter().filter(|example| example["changes"].is_null()) {
        let with = |name: &str, value: u64| {
            let mut later = example.clone();
            let inner = later.as_object_mut().unwrap().values_mut().next().unwrap();
            inner[name] = value.into();
            later.to_string()
        };
        let read = version::read::<Request>(&with("later", 1)).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), example);
        assert!(matches!(version::read::<Request>(&with("min_reader", 9)), Err(ReadError::Newer(9))));
    }
}
