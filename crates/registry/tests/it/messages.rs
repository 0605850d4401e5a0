//! Keeps docs/internals/storage.md true: the code parses every example there and serializes it to the same JSON.

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

/// Returns the examples of that kind.
fn examples(kind: &str) -> Vec<Json> {
    let found: Vec<Json> = PAGE
        .split(&format!("```json {kind}\n"))
        .skip(1)
        .map(|rest| serde_json::from_str(rest.split("```").next().unwrap()).unwrap())
        .collect();
    assert!(!found.is_empty(), "{kind}");
    found
}

fn round_trips<T: Serialize + DeserializeOwned>(example: &Json) {
    let read: T = serde_json::from_str(&example.to_string()).unwrap_or_else(|error| panic!("{error}: {example}"));
    assert_eq!(serde_json::to_value(&read).unwrap(), *example);
}

#[test]
fn every_documented_message_round_trips() {
    for example in examples("call") {
        round_trips::<Request>(&example);
    }
    for example in examples("command") {
        let operation = Operation::parse(example["operation"].as_str().unwrap()).unwrap();
        let command = serde_json::value::to_raw_value(&example["command"]).unwrap();
        let again = operation.rewrite(&command).unwrap_or_else(|| panic!("{example}"));
        assert_eq!(serde_json::from_str::<Json>(again.get()).unwrap(), example["command"]);
    }
    for example in examples("answer") {
        round_trips::<RawResponse>(&example);
        if !example["done"].is_null() {
            round_trips::<Outcome>(&example["done"]);
        }
    }
}

#[test]
fn every_column_of_every_table_is_documented() {
    let world = World::with_owner();
    for (table, rows) in [
        ("meta", 2),
        ("members", 17),
        ("keys", 34),
        ("audit", 8),
        ("outbox", 3),
        ("idempotency", 8),
        ("exposures", 6),
        ("usage_shards", 4),
        ("key_uses", 5),
        ("idle_keys", 6),
        ("counters", 4),
        ("sessions", 6),
        ("claims", 10),
        ("incidents", 12),
        ("incident_keys", 3),
        ("leaks", 6),
        ("leak_items", 11),
        ("pending_reports", 3),
        ("events", 2),
        ("endpoints", 17),
    ] {
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
fn the_documented_audit_entry_equals_a_written_one() {
    let stored: Json = serde_json::from_str(include_str!("stored_form.json")).unwrap();
    let example: Entry = serde_json::from_value(examples("audit entry").remove(0)).unwrap();
    let row = &stored["audit"][3];
    assert_eq!(row["hash"], example.hash.as_str());
    assert_eq!(row["previous"], example.previous.as_str());
    let detail: Json = serde_json::from_str(row["detail"].as_str().unwrap()).unwrap();
    assert_eq!(detail, Json::Object(example.detail));

    let mut world = World::with_owner();
    let entry = audit_after(&mut world.store, 0, 1).unwrap().remove(0);
    round_trips::<Entry>(&serde_json::to_value(entry).unwrap());
}

#[test]
fn the_documented_sealed_record_has_the_fields_of_a_record() {
    let mut example = examples("sealed record").remove(0)["sealed"].take();
    example["record"]["key_hash"] = "09".repeat(32).into();
    round_trips::<Sealed>(&example);
    round_trips::<CachedFeedPage>(&examples("cached page").remove(0));
}

#[test]
fn an_added_field_is_ignored_and_a_newer_message_is_reported() {
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
