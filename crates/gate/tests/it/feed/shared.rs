//! Feed pages from the data centre's cache: fresh ones, and the fallback in an outage.

use super::*;

fn cached_page(world: &World, asked_at: i64, took: i64, changes: FeedPage) -> String {
    CachedFeedPage { asked_at: after(asked_at), took, changes }.seal(&world.config.keyring).unwrap()
}

/// Returns when the gate requires the next refresh.
fn fresh_until(world: &mut World, key: &Key, from: i64) -> i64 {
    (from..200_000).step_by(100).find(|at| decision(world, *at, &get(key)) == "need changes").unwrap()
}

#[test]
fn a_shared_answer_counts_as_old_as_it_may_be() {
    for (asked_at, took, read_at, until) in [
        // Queried at 4.0 s, took 0.1 s, read at 4.2 s: the cache may have kept it for a second and a rounding.
        (4_000, 100, 4_200, 4_200 - 2_600 + BOUND),
        // By the two clocks it is older than that.
        (4_000, 100, 7_000, 4_000 + BOUND),
        // The other isolate's clock is five seconds ahead, which has no effect.
        (9_000, 100, 4_200, 4_200 - 2_600 + BOUND),
        // An old answer that was put back is discarded.
        (-60_000, 100, 4_200, BOUND),
        // The clock stepped during the query, or differs too much.
        (4_000, -1, 4_200, BOUND),
        (4_000, 70_000, 4_200, BOUND),
        (40_000, 100, 4_200, BOUND),
    ] {
        let (mut world, key) = warm();
        let cached = cached_page(&world, asked_at, took, since(&world, 10, 10, &[], false));
        apply_fresh(&mut world, &cached, after(read_at), after(read_at));
        assert_eq!(fresh_until(&mut world, &key, read_at), until.max(read_at), "{asked_at} {took} {read_at}");
    }
}

#[test]
fn the_fallback_answer_of_a_data_centre_counts_as_older_by_the_maximum_clock_skew() {
    let mut world = World::new(&json!({}));
    let key = world.issue(1, |_| {});
    let stored = world.copy(&key.record);
    // The isolate starts in an outage. The pages and the last answer have been in the cache for 20 seconds.
    world.unreachable = true;
    world.at(20_000);
    let first = cached_page(&world, 0, 10, page(&world, None, 10, None));
    assert_eq!(world.gate.apply_fallback(&world.config, &first, after(20_000)), Applied::More);
    let last = cached_page(&world, 1_000, 10, since(&world, 10, 10, &[], false));
    assert_eq!(world.gate.apply_fallback(&world.config, &last, after(20_000)), Applied::Complete);
    assert_eq!(
        world.ask(&get(&key)).verdict(),
        "need changes",
        "a fallback answer without a failed query gives no grace"
    );
    world.gate.record_failure(after(20_000));
    world.gate.apply_copy(&world.config, &key.record.id, &stored, after(20_000));
    assert_eq!(world.ask(&get(&key)).verdict(), "200");
    let end = 1_000 - 10_000 + BOUND + GRACE;
    for (at, expected) in [(end - 1, "200"), (end, "503 authority_unavailable")] {
        world.gate.record_failure(after(at));
        assert_eq!(decision(&mut world, at, &get(&key)), expected, "{at}");
    }
}

#[test]
fn an_old_answer_put_back_as_fresh_is_discarded_and_ends_no_outage() {
    let (mut world, key) = warm();
    world.gate.record_failure(after(BOUND));
    let old = cached_page(&world, 0, 10, since(&world, 10, 10, &[], false));
    let read_at = after(BOUND + 10);
    assert_eq!(apply_fresh(&mut world, &old, read_at, read_at), Applied::Nothing);
    assert_eq!(decision(&mut world, BOUND + 20, &get(&key)), "200", "the authority is still unreachable");
}

#[test]
fn a_cache_entry_is_accepted_only_with_a_valid_seal() {
    let mut world = world();
    let cached = cached_page(&world, 0, 10, since(&world, 10, 10, &[], false));
    for wrong in
        [cached.replace("\"took\":10", "\"took\":11"), "{}".to_owned(), world.copy(&Key::live(&world.config, 1).record)]
    {
        assert!(matches!(apply_fresh(&mut world, &wrong, NOW, NOW), Applied::Broken(_)), "{wrong}");
        assert!(matches!(world.gate.apply_fallback(&world.config, &wrong, NOW), Applied::Broken(_)), "{wrong}");
    }
    assert_eq!(apply_fresh(&mut world, &cached, NOW, NOW), Applied::Complete);
}
