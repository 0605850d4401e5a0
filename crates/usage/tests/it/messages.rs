//! Keeps docs/internals/storage.md true: the code parses every example of a usage message and serializes it to the same JSON.

use keyward_protocol::usage::{UsageRequest, UsageResponse};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

const PAGE: &str = include_str!("../../../../docs/internals/storage.md");

fn round_trip<T: Serialize + DeserializeOwned>(kind: &str, expected: usize) {
    let examples: Vec<&str> = PAGE.split(&format!("```json {kind}\n")).skip(1).collect();
    assert_eq!(examples.len(), expected, "{kind}");
    for example in examples {
        let example: Json = serde_json::from_str(example.split("```").next().unwrap()).unwrap();
        let read: T = serde_json::from_str(&example.to_string()).unwrap_or_else(|error| panic!("{error}: {example}"));
        assert_eq!(serde_json::to_value(&read).unwrap(), example);
    }
}

#[test]
fn every_documented_usage_message_round_trips() {
    round_trip::<UsageRequest>("usage call", 7);
    round_trip::<UsageResponse>("usage answer", 6);
}
