//! Lookups of many keys at once in one isolate.

use keyward_key::id::{Class, Environment};
use keyward_testkit::gate_world::{Key, World};
use serde_json::json;

use crate::data_centre::{DataCentre, Traffic};

/// Duration of a call of the authority, in milliseconds.
const CALL_MS: i64 = 40;

/// One isolate that has just refreshed its feed, without copies in KV, and keys that the authority knows.
fn started(keys: u64) -> (Traffic, Vec<Key>) {
    let mut world = World::new(&json!({}));
    let first = world.issue(0, |_| {});
    let keys = (1..=keys).map(|seed| world.issue(seed, |_| {})).collect();
    let mut traffic = Traffic::new(DataCentre::new(world, CALL_MS), 1);
    traffic.centre.has_copies.set(false);
    traffic.request(0, &first);
    traffic.finish();
    traffic.centre.calls.set(0);
    (traffic, keys)
}

fn verdicts(traffic: &Traffic) -> Vec<&'static str> {
    traffic.answers().iter().skip(1).map(|answered| answered.verdict).collect()
}

#[test]
fn a_thousand_first_uses_at_once_are_all_answered_with_at_most_five_calls_of_the_authority() {
    let (mut traffic, keys) = started(1_000);
    for key in &keys {
        traffic.request(0, key);
    }
    let took_ms = traffic.finish();
    assert_eq!(verdicts(&traffic), vec!["200"; 1_000]);
    let calls = traffic.centre.calls.get();
    assert!(calls <= 5, "{calls} calls");
    assert!(took_ms <= 1_000, "{took_ms} ms");
}

#[test]
fn keys_that_nobody_issued_cost_at_most_ten_calls_a_second_and_hold_up_no_issued_key() {
    let (mut traffic, issued) = started(20);
    let unknown: Vec<Key> = (10_000..12_000)
        .map(|seed| Key::new(&traffic.centre.world.config, Class::Data(Environment::Live), seed))
        .collect();
    traffic.centre.has_copies.set(true);
    for (number, key) in unknown.iter().enumerate() {
        traffic.request(0, key);
        if number % 100 == 0 {
            traffic.request(0, &issued[number / 100]);
        }
        if number % 16 == 15 {
            traffic.tick();
        }
    }
    let came_ms = i64::try_from(unknown.len()).unwrap() / 16 * 5;
    let took_ms = came_ms + traffic.finish();
    let verdicts = verdicts(&traffic);
    assert_eq!(verdicts.iter().filter(|verdict| **verdict == "200").count(), 20);
    assert_eq!(verdicts.iter().filter(|verdict| **verdict == "invalid_key").count(), 2_000);
    let calls = i64::from(traffic.centre.calls.get());
    assert!(calls <= 2 + took_ms / 100, "{calls} calls in {took_ms} ms");
}

#[test]
fn an_unreachable_authority_refuses_every_waiting_key_soon_and_is_left_alone() {
    let (mut traffic, keys) = started(200);
    traffic.centre.unreachable.set(true);
    for key in &keys {
        traffic.request(0, key);
    }
    let took_ms = traffic.finish();
    assert_eq!(verdicts(&traffic), vec!["authority_unavailable"; 200]);
    assert!(took_ms <= 500, "{took_ms} ms");
    let failures = traffic.centre.logged.borrow().iter().filter(|event| *event == "authority_query_failed").count();
    assert_eq!(failures, 1);
    // After the backoff the same keys are served.
    traffic.centre.unreachable.set(false);
    for _ in 0..400 {
        traffic.tick();
    }
    for key in &keys {
        traffic.request(0, key);
    }
    traffic.finish();
    assert_eq!(verdicts(&traffic)[200..], vec!["200"; 200]);
}
