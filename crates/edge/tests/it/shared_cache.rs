//! The isolates of a data centre share the authority's answers in its cache.

use keyward_testkit::gate_world::{Key, World};
use serde_json::json;

use crate::data_centre::{DataCentre, Traffic};

fn traffic(call_ms: i64, isolates: u32) -> (Traffic, Key) {
    let mut world = World::new(&json!({}));
    let key = world.issue(1, |_| {});
    (Traffic::new(DataCentre::new(world, call_ms), isolates), key)
}

/// Returns calls of the authority per second, and reads of the cache per second and isolate, in steady traffic.
fn rates(call_ms: i64, isolates: u32) -> (f64, f64) {
    const SECONDS: i64 = 30;
    let (mut traffic, key) = traffic(call_ms, isolates);
    let all = 0..traffic.isolates.len();
    traffic.run(10_000, all.clone(), &key);
    traffic.centre.calls.set(0);
    traffic.centre.cache_reads.set(0);
    traffic.run(1_000 * SECONDS, all, &key);
    assert!(traffic.answers().iter().all(|answered| answered.verdict == "200"));
    let [calls, reads] =
        [&traffic.centre.calls, &traffic.centre.cache_reads].map(|count| f64::from(count.get()) / SECONDS as f64);
    (calls, reads / f64::from(isolates))
}

#[test]
fn a_data_centre_queries_the_authority_about_once_a_second_however_many_isolates_it_has() {
    for call_ms in [20, 100, 200, 400] {
        for isolates in [1, 10, 40] {
            let (calls, reads) = rates(call_ms, isolates);
            println!("a call takes {call_ms} ms, {isolates} isolates: {calls:.2} calls/s, {reads:.2} reads/s each");
            assert!(calls <= 2.0, "{call_ms} {isolates}: {calls} calls/s");
            // A refresh reads the cache up to twice: for an answer, and for the marker of a query.
            assert!(reads <= 8.0, "{call_ms} {isolates}: {reads} reads/s each");
        }
    }
}

#[test]
fn a_forged_marker_delays_a_query_but_never_past_the_bound() {
    let (mut traffic, key) = traffic(100, 1);
    traffic.run(10_000, 0..1, &key);
    // Whoever can write to the cache keeps the marker there, and no isolate is querying.
    traffic.centre.marker_forged.set(true);
    traffic.centre.calls.set(0);
    traffic.centre.waited.set(0);
    traffic.run(60_000, 0..1, &key);
    let calls = traffic.centre.calls.get();
    assert!(calls >= 12, "{calls} calls in a minute with a bound of 5 s");
    assert_eq!(traffic.centre.waited.get(), 0, "the feed is refreshed in the background, before the bound");
}

#[test]
fn an_isolate_that_starts_in_an_outage_serves_requests_though_none_started_for_long() {
    let (mut traffic, key) = traffic(100, 2);
    traffic.run(100_000, 0..2, &key);
    traffic.centre.unreachable.set(true);
    traffic.run(2_000, 0..2, &key);
    let late = traffic.start_isolate(7);
    traffic.run(3_000, late..late + 1, &key);
    let answers: Vec<_> = traffic.answers().into_iter().filter(|answered| answered.isolate == late).collect();
    assert!(answers.len() > 100);
    assert!(answers.iter().all(|answered| answered.verdict == "200"), "{answers:?}");
}

#[test]
fn entries_sealed_under_another_secret_are_neither_found_nor_overwritten() {
    let (mut traffic, key) = traffic(20, 1);
    traffic.run(10_000, 0..1, &key);
    let names = traffic.centre.cached_names();
    let prefix = format!("changes/{}/", traffic.centre.world.config.keyring.current().generation().as_str());
    for name in ["fresh", "last", "asking", "snapshot/first"] {
        assert!(names.contains(&format!("{prefix}{name}")), "{name}: {names:?}");
    }
    assert!(names.iter().all(|name| name.starts_with(&prefix)), "{names:?}");
    assert!(traffic.centre.logged.borrow().is_empty());
}
