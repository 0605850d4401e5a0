//! Limits of the feed: clock skew, the number of changes cached, and the exact instants at which an answer no longer counts.

use keyward_gate::{Applied, CopyVerdict, Gate, GateSizes};
use keyward_http::limits::REMEMBERED_CHANGES;
use keyward_key::epoch::Epoch;
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::feed::{CachedFeedPage, Change, ChangeList, FeedPage};
use keyward_testkit::gate_world::{ClientRequest, Key, NOW, World};
use serde_json::json;

const BOUND: i64 = 5_000;
/// Maximum difference between two isolates' clocks, in milliseconds.
const SKEW: i64 = 10_000;

fn after(milliseconds: i64) -> Millis {
    Millis(NOW.0 + milliseconds)
}

fn get(key: &Key) -> ClientRequest {
    ClientRequest::new("GET /v1/contacts").key(key)
}

fn warm() -> (World, Key) {
    let mut world = World::started(&json!({}));
    let key = world.issue(1, |_| {});
    assert_eq!(world.verdict(&get(&key)), "200");
    (world, key)
}

/// A page without changes.
fn nothing_new(world: &World) -> FeedPage {
    let to = world.position();
    FeedPage::Since { after: to.revision, to, entries: ChangeList::default(), more: false }
}

/// A page without changes that leaves a gap after the known history, so it is useless.
fn with_gap(world: &World) -> FeedPage {
    let to = world.position();
    FeedPage::Since { after: to.revision + 1, to, entries: ChangeList::default(), more: false }
}

#[test]
fn a_useful_answer_ends_an_outage_and_a_useless_one_does_not() {
    for (useful, at_the_bound) in [(true, "need changes"), (false, "200")] {
        let (mut world, key) = warm();
        let asked = world.gate.start_query(NOW);
        world.gate.record_failure(after(3_000));
        let changes = if useful { nothing_new(&world) } else { with_gap(&world) };
        let applied = world.gate.apply_authority(&changes, asked, after(3_500));
        assert_eq!(applied, if useful { Applied::Complete } else { Applied::Nothing });
        // At the bound only an outage allows requests without a query.
        assert_eq!(world.at(BOUND).ask(&get(&key)).verdict(), at_the_bound, "useful: {useful}");
    }
}

/// Found by the simulator (seed 20482013). Steps of less than 100 ms do not count as steps.
#[test]
fn an_answer_after_a_small_clock_step_back_is_used() {
    let (mut world, key) = warm();
    assert_eq!(world.at(-50).ask(&get(&key)).verdict(), "need changes", "unknown age");
    let asked = world.gate.start_query(after(-50));
    assert_eq!(world.gate.apply_authority(&nothing_new(&world), asked, after(-20)), Applied::Complete);
    assert_eq!(world.at(-20).ask(&get(&key)).verdict(), "200");
}

#[test]
fn a_cached_page_from_beyond_the_clock_skew_is_discarded() {
    for (ahead, expected) in [(0, Applied::Complete), (SKEW, Applied::Complete), (SKEW + 1, Applied::Nothing)] {
        let (mut world, _) = warm();
        let cached = CachedFeedPage { asked_at: after(100 + ahead), took: 10, changes: nothing_new(&world) };
        let cached = cached.seal(&world.config.keyring).unwrap();
        let asked = world.gate.start_query(after(100));
        assert_eq!(
            world.gate.apply_shared(&world.config, &cached, asked, after(100)),
            expected,
            "shared, {ahead} ms ahead"
        );
        let (mut world, _) = warm();
        assert_eq!(
            world.gate.apply_fallback(&world.config, &cached, after(100)),
            expected,
            "fallback, {ahead} ms ahead"
        );
    }
}

#[test]
fn a_fallback_page_from_a_clock_ahead_never_has_a_negative_age() {
    let mut world = World::new(&json!({}));
    let key = world.issue(1, |_| {});
    world.unreachable = true;
    for (ahead, age) in [(0, SKEW), (4_000, SKEW - 4_000), (SKEW, 0)] {
        world.gate = Gate::default();
        let first =
            FeedPage::Snapshot { after: None, at: world.position(), entries: ChangeList::default(), next: None };
        for changes in [first, nothing_new(&world)] {
            let cached =
                CachedFeedPage { asked_at: after(ahead), took: 10, changes }.seal(&world.config.keyring).unwrap();
            world.gate.apply_fallback(&world.config, &cached, NOW);
        }
        let stored = world.copy(&key.record);
        world.gate.apply_copy(&world.config, &key.record.id, &stored, NOW);
        let end = BOUND + 60_000 - age;
        for (at, expected) in [(end - 1, "200"), (end, "503 authority_unavailable")] {
            world.gate.record_failure(after(at));
            assert_eq!(world.at(at).ask(&get(&key)).verdict(), expected, "{ahead} ms ahead, at {at}");
        }
    }
}

#[test]
fn a_restore_keeps_the_jitter_of_an_isolate() {
    let due = |world: &World| (0..BOUND).find(|at| world.gate.is_refresh_due(&world.config, after(10 + at))).unwrap();
    for jitter in [0, 100, 255] {
        let mut world = World::new(&json!({}));
        world.gate = Gate::new(GateSizes::default(), jitter);
        world.refresh(after(10));
        let before = due(&world);
        assert_eq!(before, 3_000 - i64::from(jitter) * 500 / 256, "60 % of the bound, less up to a tenth of it");
        world.epoch = Epoch::new(after(1), "second");
        let asked = world.gate.start_query(after(10));
        let changes = world.changes(&world.gate.next_query());
        assert!(matches!(world.gate.apply_authority(&changes, asked, after(10)), Applied::NewEpoch { .. }));
        world.refresh(after(10));
        assert_eq!(due(&world), before, "jitter {jitter}");
    }
}

#[test]
fn the_feed_is_past_the_bound_from_the_bound_on_and_before_the_first_answer() {
    let (world, _) = warm();
    for (at, expected) in [(0, false), (BOUND - 1, false), (BOUND, true), (BOUND + 30_000, true)] {
        assert_eq!(world.gate.is_past_bound(&world.config, after(at)), expected, "{at}");
    }
    assert!(Gate::default().is_past_bound(&world.config, NOW));
}

/// A world whose gate knows `changed` changed keys, which do not include the returned key.
fn with_changed_keys(changed: usize) -> (World, Key) {
    let mut world = World::new(&json!({}));
    let key = world.issue(1, |_| {});
    let mut entries = ChangeList::default();
    for number in 0..changed {
        let id = KeyId::parse(&format!("wafl_live_{number:012}")).unwrap();
        entries.push(&id, Change { revision: 5, revoked: true });
    }
    let asked = world.gate.start_query(NOW);
    let page = FeedPage::Snapshot { after: None, at: world.position(), entries, next: None };
    assert_eq!(world.gate.apply_authority(&page, asked, NOW), Applied::More);
    world.refresh(NOW);
    (world, key)
}

#[test]
fn changes_are_kept_up_to_the_limit_and_copies_are_confirmed_beyond_it() {
    for (changed, expected) in
        [(REMEMBERED_CHANGES, CopyVerdict::Settled), (REMEMBERED_CHANGES + 1, CopyVerdict::Confirm)]
    {
        let (mut world, key) = with_changed_keys(changed);
        let stored = world.copy(&key.record);
        assert_eq!(world.gate.apply_copy(&world.config, &key.record.id, &stored, NOW), expected, "{changed}");
        assert_eq!(world.verdict(&get(&key)), "200", "{changed}");
    }
}

#[test]
fn an_overtaken_lookup_is_used_only_if_every_later_change_is_known() {
    for (changed, used) in [(0, true), (REMEMBERED_CHANGES + 1, false)] {
        let (mut world, key) = with_changed_keys(changed);
        let other = world.issue(2, |_| {});
        let (record, at) = (key.record.clone(), world.position());
        world.change(&other.record.id, |record| record.scopes.clear());
        world.refresh(NOW);
        assert_eq!(world.gate.apply_record(&key.record.id, Some(record), &at, NOW), used, "{changed} changed keys");
        assert_eq!(world.verdict(&get(&key)), "200");
    }
}

#[test]
fn a_negative_answer_is_dropped_at_the_next_change_of_any_key() {
    let (mut world, other) = warm();
    let key = Key::live(&world.config, 7);
    assert_eq!(world.verdict(&get(&key)), "401 invalid_key");
    assert_eq!(world.ask(&get(&key)).verdict(), "401 invalid_key");
    // The change may be the issue of this key: pages do not list newly issued keys.
    world.change(&other.record.id, |record| record.scopes.clear());
    world.refresh(NOW);
    assert_eq!(world.ask(&get(&key)).verdict(), "need record");
}

/// A page with every change after number 10, with one entry.
fn page_with(world: &World, key: &Key, revision: u64, revoked: bool) -> FeedPage {
    let mut entries = ChangeList::default();
    entries.push(&key.record.id, Change { revision, revoked });
    FeedPage::Since { after: 10, to: world.position(), entries, more: false }
}

#[test]
fn a_repeated_or_late_change_evicts_a_record_only_if_it_revokes() {
    for (revision, revoked, expected) in [
        (12, false, "200"),
        (11, false, "200"),
        // A revocation is final, in whatever order it arrives.
        (12, true, "401 revoked_key"),
        (11, true, "401 revoked_key"),
    ] {
        let (mut world, key) = warm();
        for _ in 0..2 {
            world.change(&key.record.id, |_| {});
        }
        world.refresh(NOW);
        assert_eq!(world.verdict(&get(&key)), "200", "the record of change 12 is cached");
        let changes = page_with(&world, &key, revision, revoked);
        let asked = world.gate.start_query(NOW);
        assert_eq!(world.gate.apply_authority(&changes, asked, NOW), Applied::Complete);
        assert_eq!(world.ask(&get(&key)).verdict(), expected, "change {revision}, revoked: {revoked}");
    }
}
