//! Freshness of the feed: the bound, the grace, and attempts to get around them.

use keyward_gate::{Applied, Gate, GateSizes};
use keyward_key::epoch::Epoch;
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::feed::{CachedFeedPage, Change, ChangeList, Cursor, FeedPage, FeedQuery, Position};
use keyward_testkit::gate_world::{ClientRequest, GateAnswer, Key, NOW, World};
use serde_json::json;

const BOUND: i64 = 5_000;
const GRACE: i64 = 60_000;

fn world() -> World {
    World::started(&json!({}))
}

fn get(key: &Key) -> ClientRequest {
    ClientRequest::new("GET /v1/contacts").key(key)
}

fn closed(key: &Key) -> ClientRequest {
    ClientRequest::new("GET /v1/closed").key(key)
}

fn after(milliseconds: i64) -> Millis {
    Millis(NOW.0 + milliseconds)
}

/// Applies an answer of the authority to a query of `asked_at` that arrives at `now`.
fn apply_answer(world: &mut World, changes: &FeedPage, asked_at: Millis, now: Millis) -> Applied {
    let asked = world.gate.start_query(asked_at);
    world.gate.apply_authority(changes, asked, now)
}

/// Applies a shared page of the data centre's cache.
fn apply_shared(world: &mut World, cached: &str, found_at: Millis, now: Millis) -> Applied {
    let asked = world.gate.start_query(found_at);
    world.gate.apply_shared(&world.config, cached, asked, now)
}

/// Returns the gate's first step for a request at `at`, without fetching anything that it needs.
fn step_at(world: &mut World, at: i64, request: &ClientRequest) -> String {
    world.at(at).ask(request).verdict()
}

fn warm() -> (World, Key) {
    let mut world = world();
    let key = world.issue(1, |_| {});
    assert_eq!(world.verdict(&get(&key)), "200");
    (world, key)
}

#[test]
fn the_gate_asks_the_authority_again_exactly_at_the_bound() {
    let (mut world, key) = warm();
    assert_eq!(step_at(&mut world, BOUND - 1, &get(&key)), "200");
    assert_eq!(step_at(&mut world, BOUND, &get(&key)), "need changes");
    world.tell(after(BOUND));
    assert_eq!(step_at(&mut world, 2 * BOUND - 1, &get(&key)), "200");
    assert_eq!(step_at(&mut world, 2 * BOUND, &get(&key)), "need changes");
    assert_eq!(world.reads, 1, "no change, so no lookup");
}

#[test]
fn the_bound_is_the_configured_one() {
    let mut world = World::started(&json!({"REVOCATION_BOUND_SECONDS": 1, "OUTAGE_GRACE_SECONDS": 0}));
    let key = world.issue(1, |_| {});
    world.answer(&key.record.id, NOW);
    assert_eq!(step_at(&mut world, 999, &get(&key)), "200");
    assert_eq!(step_at(&mut world, 1_000, &get(&key)), "need changes");
    world.gate.record_failure(after(1_000));
    assert_eq!(step_at(&mut world, 1_000, &get(&key)), "503 authority_unavailable");
}

#[test]
fn a_refresh_is_due_before_the_bound_at_a_different_time_in_each_isolate() {
    let due = |gate: &Gate, world: &World| (0..BOUND).find(|at| gate.is_refresh_due(&world.config, after(*at)));
    let mut world = world();
    assert_eq!(due(&world.gate, &world), Some(3_000));
    world.gate = Gate::new(GateSizes::default(), 255);
    world.tell(NOW);
    let early = due(&world.gate, &world).unwrap();
    assert!((2_500..2_600).contains(&early), "{early}");
    assert!(Gate::default().is_refresh_due(&world.config, NOW), "before the first snapshot");
}

#[test]
fn the_age_of_an_answer_counts_from_its_query() {
    let (mut world, key) = warm();
    world.at(4_000).tell(after(1_000));
    assert_eq!(step_at(&mut world, 1_000 + BOUND - 1, &get(&key)), "200");
    assert_eq!(step_at(&mut world, 1_000 + BOUND, &get(&key)), "need changes");
    // An answer that took longer than the bound is discarded.
    world.at(20_000).tell(after(20_000 - BOUND));
    assert_eq!(step_at(&mut world, 20_000, &get(&key)), "need changes");
}

#[test]
fn an_answer_to_an_older_query_never_increases_the_age() {
    let (mut world, key) = warm();
    let [earlier, later] = [1_000, 4_000].map(|at| world.gate.start_query(after(at)));
    let changes = since(&world, 10, 10, &[], false);
    assert_eq!(world.gate.apply_authority(&changes, later, after(4_000)), Applied::Complete);
    assert_eq!(world.gate.apply_authority(&changes, earlier, after(4_100)), Applied::Complete);
    assert_eq!(step_at(&mut world, 4_000 + BOUND - 1, &get(&key)), "200");
}

#[test]
fn a_revoked_key_is_refused_from_the_next_query_on() {
    let (mut world, key) = warm();
    world.change(&key.record.id, |record| record.revoked = true);
    for (at, expected) in [(1, "200"), (BOUND - 1, "200"), (BOUND, "401 revoked_key")] {
        assert_eq!(world.at(at).verdict(&get(&key)), expected, "{at}");
    }
    assert_eq!(world.reads, 1, "a revocation needs no lookup");
}

#[test]
fn the_grace_of_an_outage_is_exact_to_the_millisecond() {
    let (mut world, key) = warm();
    world.silent = true;
    for (at, expected) in [
        (BOUND, "200"),
        (BOUND + GRACE - 1, "200"),
        (BOUND + GRACE, "503 authority_unavailable"),
        (BOUND + GRACE + 86_400_000, "503 authority_unavailable"),
    ] {
        assert_eq!(world.at(at).verdict(&get(&key)), expected, "{at}");
    }
}

#[test]
fn during_the_grace_every_response_states_the_age() {
    let (mut world, key) = warm();
    world.silent = true;
    let GateAnswer::Forward(plan) = world.at(12_345).send(&get(&key)) else { panic!("not forwarded") };
    assert_eq!(plan.answer.as_deref(), Some("keyward-authority\nunreachable; age=12\n"));
    let refused = world.send(&ClientRequest::new("POST /v1/contacts").key(&key));
    assert_eq!(refused.verdict(), "403 insufficient_scope");
    assert_eq!(refused.header("keyward-authority"), Some("unreachable; age=12"));
    world.silent = false;
    let GateAnswer::Forward(plan) = world.at(20_000).send(&get(&key)) else { panic!("not forwarded") };
    assert_eq!(plan.answer, None);
}

#[test]
fn an_outage_is_logged_once_a_minute() {
    let mut world = World::started(&json!({"OUTAGE_GRACE_SECONDS": 600}));
    let mut logged = Vec::new();
    for at in (0..200_000).step_by(500) {
        world.gate.record_failure(after(at));
        if let Some(age) = world.gate.outage_to_log(&world.config, after(at)) {
            logged.push(age);
        }
    }
    assert_eq!(logged, [5, 65, 125, 185]);
}

#[test]
fn an_outage_makes_no_refused_key_valid() {
    let mut world = world();
    let revoked = world.issue(1, |record| record.revoked = true);
    let expiring = world.issue(2, |record| record.expires_at = after(BOUND + 1_000));
    let unknown = Key::live(&world.config, 3);
    let never_seen = world.issue(4, |_| {});
    for key in [&revoked, &expiring, &unknown] {
        world.send(&get(key));
    }
    world.silent = true;
    world.at(BOUND + 1_000);
    assert_eq!(world.verdict(&get(&revoked)), "401 revoked_key");
    assert_eq!(world.verdict(&get(&expiring)), "401 expired_key");
    assert_eq!(world.verdict(&get(&unknown)), "503 authority_unavailable");
    assert_eq!(world.verdict(&get(&never_seen)), "503 authority_unavailable");
}

#[test]
fn a_route_that_closes_on_outage_has_no_grace() {
    let (mut world, key) = warm();
    assert_eq!(world.verdict(&closed(&key)), "200");
    world.silent = true;
    assert_eq!(world.at(BOUND - 1).verdict(&closed(&key)), "200");
    assert_eq!(world.at(BOUND).verdict(&closed(&key)), "503 authority_unavailable");
    assert_eq!(world.verdict(&get(&key)), "200");
}

#[test]
fn an_outage_observed_before_the_bound_gives_no_grace() {
    let (mut world, key) = warm();
    world.gate.record_failure(after(BOUND));
    assert_eq!(step_at(&mut world, BOUND, &get(&key)), "200");
    // Requests continue while a query is in flight.
    assert_eq!(step_at(&mut world, 2 * BOUND - 1, &get(&key)), "200");
    assert!(!world.gate.is_refresh_due(&world.config, after(BOUND + 999)), "backoff of a second");
    assert!(world.gate.is_refresh_due(&world.config, after(BOUND + 1_000)));
    // After a pause the gate must query first: the authority may be reachable again, and a key revoked.
    assert_eq!(step_at(&mut world, 2 * BOUND, &get(&key)), "need changes");
}

#[test]
fn an_unreachable_authority_is_retried_after_a_second_and_its_first_answer_ends_the_outage() {
    let (mut world, key) = warm();
    let at = BOUND + GRACE;
    world.gate.record_failure(after(at));
    assert_eq!(step_at(&mut world, at + 999, &get(&key)), "503 authority_unavailable");
    assert_eq!(step_at(&mut world, at + 1_000, &get(&key)), "need changes");
    world.tell(after(at + 1_000));
    assert_eq!(step_at(&mut world, at + 1_000, &get(&key)), "200");
    world.gate.record_failure(after(at + 1_001));
    world.tell(after(at + 1_002));
    assert_eq!(
        step_at(&mut world, at + 1_002 + BOUND, &get(&key)),
        "need changes",
        "past the bound, and the authority is reachable"
    );
}

#[test]
fn under_a_short_bound_the_grace_covers_the_time_until_the_next_retry() {
    let mut world = World::new(&json!({"REVOCATION_BOUND_SECONDS": 1}));
    world.gate = Gate::new(GateSizes::default(), 255);
    let key = world.issue(1, |_| {});
    world.tell(NOW);
    world.answer(&key.record.id, NOW);
    world.gate.record_failure(after(2_000));
    for (at, expected) in [(2_999, "200"), (3_000, "need changes")] {
        assert_eq!(step_at(&mut world, at, &get(&key)), expected, "{at}");
    }
}

#[test]
fn after_the_clock_steps_back_the_gate_asks_the_authority() {
    let (mut world, key) = warm();
    assert_eq!(step_at(&mut world, -1_000, &get(&key)), "need changes");
    world.silent = true;
    assert_eq!(world.verdict(&get(&key)), "503 authority_unavailable", "unknown age");
    world.silent = false;
    assert_eq!(world.at(1_000).verdict(&get(&key)), "200");
    assert_eq!(world.reads, 1, "records stay cached");
    // An answer from before the step is not fresh again when the clock reaches its time.
    world.at(3_600_000).send(&get(&key));
    assert_eq!(world.at(2_000).verdict(&get(&key)), "200");
    world.change(&key.record.id, |record| record.revoked = true);
    assert_eq!(world.at(3_600_000 + 2_000).verdict(&get(&key)), "401 revoked_key");
}

#[test]
fn an_answer_is_discarded_if_the_clock_stepped_back_meanwhile() {
    let (mut world, key) = warm();
    let changes = since(&world, 10, 10, &[], false);
    assert_eq!(apply_answer(&mut world, &changes, after(4_000), after(3_000)), Applied::Nothing);
    assert_eq!(step_at(&mut world, BOUND, &get(&key)), "need changes");
    // Also if a request noticed the step and the clock has caught up since.
    let mut world = self::world();
    let asked = world.gate.start_query(after(1_000));
    world.at(2_000).ask(&get(&key));
    world.at(500).ask(&get(&key));
    assert_eq!(world.gate.apply_authority(&changes, asked, after(1_500)), Applied::Nothing);
}

#[test]
fn clock_jitter_of_milliseconds_causes_no_query() {
    let (mut world, key) = warm();
    assert_eq!(step_at(&mut world, 60, &get(&key)), "200");
    assert_eq!(step_at(&mut world, 10, &get(&key)), "200");
}

#[test]
fn two_isolates_keep_the_bound_by_their_own_clocks() {
    let (mut world, key) = warm();
    // The clock of the second isolate is an hour ahead. Isolates share no feed.
    let first = std::mem::take(&mut world.gate);
    assert_eq!(world.at(3_600_000).verdict(&get(&key)), "200");
    world.change(&key.record.id, |record| record.revoked = true);
    assert_eq!(step_at(&mut world, 3_600_000 + BOUND - 1, &get(&key)), "200");
    assert_eq!(world.at(3_600_000 + BOUND).verdict(&get(&key)), "401 revoked_key");
    world.gate = first;
    assert_eq!(step_at(&mut world, BOUND - 1, &get(&key)), "200");
    assert_eq!(world.at(BOUND).verdict(&get(&key)), "401 revoked_key");
}

// Order of answers.

fn id(number: u32) -> KeyId {
    KeyId::parse(&format!("wafl_live_{number:012}")).unwrap()
}

fn entries(changes: &[(u32, u64, bool)]) -> ChangeList {
    let mut entries = ChangeList::default();
    for (number, revision, revoked) in changes {
        entries.push(&id(*number), Change { revision: *revision, revoked: *revoked });
    }
    entries
}

fn position(world: &World, revision: u64) -> Position {
    Position { revision, head: format!("{revision:016x}"), ..world.position() }
}

fn page(world: &World, after: Option<&str>, at: u64, next: Option<&str>) -> FeedPage {
    let cursor = |text: &str| Cursor(text.to_owned());
    FeedPage::Snapshot {
        after: after.map(cursor),
        at: position(world, at),
        entries: entries(&[]),
        next: next.map(cursor),
    }
}

fn since(world: &World, after: u64, to: u64, changes: &[(u32, u64, bool)], more: bool) -> FeedPage {
    FeedPage::Since { after, to: position(world, to), entries: entries(changes), more }
}

#[test]
fn a_snapshot_is_as_old_as_its_oldest_page() {
    let mut world = World::new(&json!({}));
    assert_eq!(world.gate.next_query(), FeedQuery::Snapshot { after: None });
    // The first page comes from the authority, the second from a cache, where it is a minute old.
    assert_eq!(
        {
            let changes = page(&world, None, 100, Some("a"));
            apply_answer(&mut world, &changes, NOW, NOW)
        },
        Applied::More
    );
    assert_eq!(world.gate.next_query(), FeedQuery::Snapshot { after: Some(Cursor("a".to_owned())) });
    assert_eq!(
        {
            let changes = page(&world, None, 100, Some("a"));
            apply_answer(&mut world, &changes, NOW, NOW)
        },
        Applied::Nothing,
        "another page is due"
    );
    assert_eq!(
        {
            let changes = page(&world, Some("a"), 90, Some("b"));
            apply_answer(&mut world, &changes, NOW, NOW)
        },
        Applied::More
    );
    assert_eq!(
        {
            let changes = page(&world, Some("b"), 110, None);
            apply_answer(&mut world, &changes, NOW, NOW)
        },
        Applied::More
    );
    assert_eq!(world.gate.next_query(), FeedQuery::Since(position(&world, 90)));
    let key = world.issue(1, |_| {});
    assert_eq!(world.ask(&get(&key)).verdict(), "need changes", "unknown age of the pages");
    assert_eq!(
        {
            let changes = since(&world, 80, 110, &[], false);
            apply_answer(&mut world, &changes, NOW, NOW)
        },
        Applied::Complete
    );
    assert_eq!(world.ask(&get(&key)).verdict(), "need record");
}

#[test]
fn changes_must_continue_the_known_history() {
    let mut world = world();
    assert_eq!(
        {
            let changes = since(&world, 11, 12, &[], false);
            apply_answer(&mut world, &changes, NOW, NOW)
        },
        Applied::Nothing,
        "gap"
    );
    assert_eq!(
        {
            let changes = since(&world, 2, 9, &[], false);
            apply_answer(&mut world, &changes, NOW, NOW)
        },
        Applied::Nothing,
        "older than the known history"
    );
    let mut other = position(&world, 10);
    other.head = "ffffffffffffffff".to_owned();
    let changes = FeedPage::Since { after: 10, to: other, entries: entries(&[]), more: false };
    assert_eq!(apply_answer(&mut world, &changes, after(4_000), after(4_000)), Applied::Nothing, "another history");
    assert_eq!(world.gate.known_revision(), 10);
    assert_eq!(
        {
            let changes = since(&world, 10, 12, &[], true);
            apply_answer(&mut world, &changes, after(4_000), after(4_000))
        },
        Applied::More
    );
    let key = world.issue(1, |_| {});
    assert_eq!(step_at(&mut world, BOUND, &get(&key)), "need changes", "more pages: the age does not change yet");
    assert_eq!(
        {
            let changes = since(&world, 9, 13, &[], false);
            apply_answer(&mut world, &changes, after(4_000), after(4_000))
        },
        Applied::Complete
    );
    assert_eq!(step_at(&mut world, BOUND, &get(&key)), "need record");
}

#[test]
fn a_page_with_a_malformed_entry_is_discarded_whole() {
    let mut world = world();
    let mut changes = serde_json::to_value(since(&world, 10, 12, &[(1, 11, true)], false)).unwrap();
    changes["since"]["entries"] = json!("l00000000000111!,nonsense,");
    let changes: FeedPage = serde_json::from_value(changes).unwrap();
    assert_eq!(apply_answer(&mut world, &changes, NOW, NOW), Applied::Nothing);
    assert_eq!(world.gate.known_revision(), 10);
}

#[test]
fn a_new_epoch_empties_the_cache_and_an_older_one_is_ignored() {
    let (mut world, key) = warm();
    world.epoch = Epoch::new(after(1), "second");
    world.revision = 4;
    let changes = world.changes(&world.gate.next_query());
    assert_eq!(apply_answer(&mut world, &changes, after(1), after(1)), Applied::NewEpoch { known: 10, now: 4 });
    assert_eq!(world.gate.cached_keys(), 0);
    world.tell(after(1));
    assert_eq!(world.gate.known_revision(), 4);
    assert_eq!(world.at(1).ask(&get(&key)).verdict(), "need record");
    // A cache still holds an answer from before the restore.
    world.epoch = Epoch::new(NOW, "first");
    world.revision = 10;
    let changes = since(&world, 4, 10, &[], false);
    assert_eq!(apply_answer(&mut world, &changes, after(4_000), after(4_000)), Applied::Nothing);
    assert_eq!(world.gate.known_revision(), 4);
}

// The data centre's cache.

fn cached(world: &World, asked_at: i64, took: i64, changes: FeedPage) -> String {
    CachedFeedPage { asked_at: after(asked_at), took, changes }.seal(&world.config.keyring).unwrap()
}

/// Returns the time from which the gate needs changes again.
fn fresh_until(world: &mut World, key: &Key, from: i64) -> i64 {
    (from..200_000).step_by(100).find(|at| step_at(world, *at, &get(key)) == "need changes").unwrap()
}

#[test]
fn a_shared_page_gets_its_maximum_possible_age() {
    for (asked_at, took, found_at, until) in [
        // Asked at 4.0 s, took 0.1 s, found at 4.2 s. It may have been cached for more than a second.
        (4_000, 100, 4_200, 4_200 - 2_600 + BOUND),
        // The two clocks show a greater age than that.
        (4_000, 100, 7_000, 4_000 + BOUND),
        // The other isolate's clock is five seconds ahead, which changes nothing.
        (9_000, 100, 4_200, 4_200 - 2_600 + BOUND),
        // A replayed old answer is discarded.
        (-60_000, 100, 4_200, BOUND),
        // The other clock stepped while it measured, or is far off.
        (4_000, -1, 4_200, BOUND),
        (4_000, 70_000, 4_200, BOUND),
        (40_000, 100, 4_200, BOUND),
    ] {
        let (mut world, key) = warm();
        let cached = cached(&world, asked_at, took, since(&world, 10, 10, &[], false));
        apply_shared(&mut world, &cached, after(found_at), after(found_at));
        assert_eq!(fresh_until(&mut world, &key, found_at), until.max(found_at), "{asked_at} {took} {found_at}");
    }
}

#[test]
fn a_fallback_page_gets_its_age_plus_the_clock_skew() {
    let mut world = World::new(&json!({}));
    let key = world.issue(1, |_| {});
    let stored = world.copy(&key.record);
    // An isolate that starts in an outage. The pages in the cache are 20 seconds old.
    world.silent = true;
    world.at(20_000);
    let first = cached(&world, 0, 10, page(&world, None, 10, None));
    assert_eq!(world.gate.apply_fallback(&world.config, &first, after(20_000)), Applied::More);
    let last = cached(&world, 1_000, 10, since(&world, 10, 10, &[], false));
    assert_eq!(world.gate.apply_fallback(&world.config, &last, after(20_000)), Applied::Complete);
    assert_eq!(world.ask(&get(&key)).verdict(), "need changes", "a fallback page does not replace a query");
    world.gate.record_failure(after(20_000));
    world.gate.apply_copy(&world.config, &key.record.id, &stored, after(20_000));
    assert_eq!(world.ask(&get(&key)).verdict(), "200");
    let end = 1_000 - 10_000 + BOUND + GRACE;
    for (at, expected) in [(end - 1, "200"), (end, "503 authority_unavailable")] {
        world.gate.record_failure(after(at));
        assert_eq!(step_at(&mut world, at, &get(&key)), expected, "{at}");
    }
}

#[test]
fn a_replayed_old_page_is_discarded_and_ends_no_outage() {
    let (mut world, key) = warm();
    world.gate.record_failure(after(BOUND));
    let old = cached(&world, 0, 10, since(&world, 10, 10, &[], false));
    let found_at = after(BOUND + 10);
    assert_eq!(apply_shared(&mut world, &old, found_at, found_at), Applied::Nothing);
    assert_eq!(step_at(&mut world, BOUND + 20, &get(&key)), "200", "the outage continues");
}

#[test]
fn a_cached_page_is_used_only_if_this_deployment_sealed_it() {
    let mut world = world();
    let cached = cached(&world, 0, 10, since(&world, 10, 10, &[], false));
    for wrong in
        [cached.replace("\"took\":10", "\"took\":11"), "{}".to_owned(), world.copy(&Key::live(&world.config, 1).record)]
    {
        assert!(matches!(apply_shared(&mut world, &wrong, NOW, NOW), Applied::Broken(_)), "{wrong}");
        assert!(matches!(world.gate.apply_fallback(&world.config, &wrong, NOW), Applied::Broken(_)), "{wrong}");
    }
    assert_eq!(apply_shared(&mut world, &cached, NOW, NOW), Applied::Complete);
}

// Bounded memory.

#[test]
fn too_many_changed_keys_cost_lookups_but_no_wrong_decision() {
    let mut world = World::new(&json!({}));
    let key = world.issue(1, |record| record.revision = 3);
    let old = world.copy(&key.record);
    world.change(&key.record.id, |record| record.scopes.clear());
    for start in (0..210_000_u32).step_by(10_000) {
        let changes: Vec<_> = (start..start + 10_000).map(|number| (number, 11, true)).collect();
        let after = (start > 0).then(|| Cursor(start.to_string()));
        let next = Some(Cursor((start + 10_000).to_string()));
        let page = FeedPage::Snapshot { after, at: position(&world, 11), entries: entries(&changes), next };
        if apply_answer(&mut world, &page, NOW, NOW) != Applied::More {
            break;
        }
    }
    assert!(matches!(world.gate.next_query(), FeedQuery::Since(_)), "the snapshot is abandoned");
    world.tell(NOW);
    assert_eq!(world.gate.apply_copy(&world.config, &key.record.id, &old, NOW), keyward_gate::CopyVerdict::Confirm);
    assert_eq!(world.verdict(&get(&key)), "403 insufficient_scope");
    // Cached records still follow the feed.
    world.change(&key.record.id, |record| record.revoked = true);
    world.tell(NOW);
    assert_eq!(world.verdict(&get(&key)), "401 revoked_key");
}
