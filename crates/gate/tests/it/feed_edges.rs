//! The feed at the edges of what it allows: the moment from which an answer is too strange, and what an answer leaves behind.

use keyward_gate::{Applied, CopyVerdict, Gate, GateSizes};
use keyward_http::limits::REMEMBERED_CHANGES;
use keyward_key::epoch::Epoch;
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::feed::{CachedFeedPage, Change, ChangeList, FeedPage};
use keyward_testkit::gate_world::{ClientRequest, Key, NOW, World};
use serde_json::json;

const BOUND: i64 = 5_000;
/// How far two isolates' clocks may be apart.
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

/// That nothing has changed.
fn nothing_new(world: &World) -> FeedPage {
    let to = world.position();
    FeedPage::Since { after: to.revision, to, entries: ChangeList::default(), more: false }
}

/// That nothing has changed, of a gap: an answer that is no use.
fn no_use(world: &World) -> FeedPage {
    let to = world.position();
    FeedPage::Since { after: to.revision + 1, to, entries: ChangeList::default(), more: false }
}

#[test]
fn an_answer_ends_a_silence_and_what_is_no_use_does_not() {
    for (useful, at_the_bound) in [(true, "need changes"), (false, "200")] {
        let (mut world, key) = warm();
        let asked = world.gate.start_query(NOW);
        world.gate.record_failure(after(3_000));
        let changes = if useful { nothing_new(&world) } else { no_use(&world) };
        let applied = world.gate.apply_authority(&changes, asked, after(3_500));
        assert_eq!(applied, if useful { Applied::Complete } else { Applied::Nothing });
        // Past the bound only a silence lets it go on without asking.
        assert_eq!(world.at(BOUND).ask(&get(&key)).verdict(), at_the_bound, "useful: {useful}");
    }
}

/// Found by the simulator (seed 20482013): steps of less than a tenth of a second are not noticed as such.
#[test]
fn an_answer_counts_though_the_clock_stepped_back_a_little_since_the_one_before() {
    let (mut world, key) = warm();
    assert_eq!(world.at(-50).ask(&get(&key)).verdict(), "need changes", "the age of what is known can't be told");
    let asked = world.gate.start_query(after(-50));
    assert_eq!(world.gate.apply_authority(&nothing_new(&world), asked, after(-20)), Applied::Complete);
    assert_eq!(world.at(-20).ask(&get(&key)).verdict(), "200");
}

#[test]
fn a_cached_answer_of_a_clock_that_is_further_ahead_than_clocks_are_is_no_answer() {
    for (ahead, expected) in [(0, Applied::Complete), (SKEW, Applied::Complete), (SKEW + 1, Applied::Nothing)] {
        let (mut world, _) = warm();
        let kept = CachedFeedPage { asked_at: after(100 + ahead), took: 10, changes: nothing_new(&world) };
        let kept = kept.seal(&world.config.keyring).unwrap();
        let asked = world.gate.start_query(after(100));
        assert_eq!(
            world.gate.apply_shared(&world.config, &kept, asked, after(100)),
            expected,
            "fresh, {ahead} ms ahead"
        );
        let (mut world, _) = warm();
        assert_eq!(world.gate.apply_fallback(&world.config, &kept, after(100)), expected, "the last, {ahead} ms ahead");
    }
}

#[test]
fn the_last_answer_of_a_clock_ahead_of_ours_is_as_old_as_it_may_be_and_never_younger_than_now() {
    let mut world = World::new(&json!({}));
    let key = world.issue(1, |_| {});
    world.unreachable = true;
    for (ahead, age) in [(0, SKEW), (4_000, SKEW - 4_000), (SKEW, 0)] {
        world.gate = Gate::default();
        let first =
            FeedPage::Snapshot { after: None, at: world.position(), entries: ChangeList::default(), next: None };
        for changes in [first, nothing_new(&world)] {
            let kept =
                CachedFeedPage { asked_at: after(ahead), took: 10, changes }.seal(&world.config.keyring).unwrap();
            world.gate.apply_fallback(&world.config, &kept, NOW);
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
fn a_restore_leaves_an_isolate_its_own_moment_of_asking() {
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
fn what_is_known_is_past_the_bound_from_its_last_moment_on_and_before_anything_was_told() {
    let (world, _) = warm();
    for (at, expected) in [(0, false), (BOUND - 1, false), (BOUND, true), (BOUND + 30_000, true)] {
        assert_eq!(world.gate.is_past_bound(&world.config, after(at)), expected, "{at}");
    }
    assert!(Gate::default().is_past_bound(&world.config, NOW));
}

/// A gate that was told of so many changed keys, none of which is ours.
fn told_of(changed: usize) -> (World, Key) {
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
fn exactly_so_many_changed_keys_are_kept_as_the_limit_says_and_with_more_no_copy_is_believed() {
    for (changed, expected) in
        [(REMEMBERED_CHANGES, CopyVerdict::Settled), (REMEMBERED_CHANGES + 1, CopyVerdict::Confirm)]
    {
        let (mut world, key) = told_of(changed);
        let stored = world.copy(&key.record);
        assert_eq!(world.gate.apply_copy(&world.config, &key.record.id, &stored, NOW), expected, "{changed}");
        assert_eq!(world.verdict(&get(&key)), "200", "{changed}");
    }
}

#[test]
fn an_overtaken_answer_is_used_only_where_every_change_since_is_known() {
    for (changed, used) in [(0, true), (REMEMBERED_CHANGES + 1, false)] {
        let (mut world, key) = told_of(changed);
        let other = world.issue(2, |_| {});
        let (record, at) = (key.record.clone(), world.position());
        world.change(&other.record.id, |record| record.scopes.clear());
        world.refresh(NOW);
        assert_eq!(world.gate.apply_record(&key.record.id, Some(record), &at, NOW), used, "{changed} changed keys");
        assert_eq!(world.verdict(&get(&key)), "200");
    }
}

#[test]
fn that_there_is_no_such_key_is_forgotten_with_the_next_change_of_any_key() {
    let (mut world, other) = warm();
    let key = Key::live(&world.config, 7);
    assert_eq!(world.verdict(&get(&key)), "401 invalid_key");
    assert_eq!(world.ask(&get(&key)).verdict(), "401 invalid_key");
    // It may be that very key which was issued: one that is as it was issued is no entry of a page.
    world.change(&other.record.id, |record| record.scopes.clear());
    world.refresh(NOW);
    assert_eq!(world.ask(&get(&key)).verdict(), "need record");
}

/// Everything since change 10, with one entry.
fn told(world: &World, key: &Key, revision: u64, revoked: bool) -> FeedPage {
    let mut entries = ChangeList::default();
    entries.push(&key.record.id, Change { revision, revoked });
    FeedPage::Since { after: 10, to: world.position(), entries, more: false }
}

#[test]
fn a_change_that_is_told_again_or_late_takes_nothing_out_unless_it_says_revoked() {
    for (revision, revoked, expected) in [
        (12, false, "200"),
        (11, false, "200"),
        // Whatever order it came in: that is the last word on a key.
        (12, true, "401 revoked_key"),
        (11, true, "401 revoked_key"),
    ] {
        let (mut world, key) = warm();
        for _ in 0..2 {
            world.change(&key.record.id, |_| {});
        }
        world.refresh(NOW);
        assert_eq!(world.verdict(&get(&key)), "200", "its record of change 12 is known");
        let changes = told(&world, &key, revision, revoked);
        let asked = world.gate.start_query(NOW);
        assert_eq!(world.gate.apply_authority(&changes, asked, NOW), Applied::Complete);
        assert_eq!(world.ask(&get(&key)).verdict(), expected, "change {revision}, revoked: {revoked}");
    }
}
