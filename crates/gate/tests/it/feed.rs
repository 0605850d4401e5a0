//! How long an isolate may act on what it knows: the bound, the grace, and the ways around them that must not exist.

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

/// What the gate makes of an answer that was asked for at `asked_at` and comes at `now`.
fn learn(world: &mut World, changes: &FeedPage, asked_at: Millis, now: Millis) -> Applied {
    let asked = world.gate.start_query(asked_at);
    world.gate.apply_authority(changes, asked, now)
}

/// What it makes of what the data centre's cache has as fresh.
fn find_fresh(world: &mut World, kept: &str, found_at: Millis, now: Millis) -> Applied {
    let asked = world.gate.start_query(found_at);
    world.gate.apply_shared(&world.config, kept, asked, now)
}

/// Asks once, and says what the gate wants, without telling it anything.
fn asks(world: &mut World, at: i64, request: &ClientRequest) -> String {
    world.at(at).ask(request).verdict()
}

fn warm() -> (World, Key) {
    let mut world = world();
    let key = world.issue(1, |_| {});
    assert_eq!(world.verdict(&get(&key)), "200");
    (world, key)
}

#[test]
fn the_authority_is_asked_again_exactly_at_the_bound() {
    let (mut world, key) = warm();
    assert_eq!(asks(&mut world, BOUND - 1, &get(&key)), "200");
    assert_eq!(asks(&mut world, BOUND, &get(&key)), "need changes");
    world.refresh(after(BOUND));
    assert_eq!(asks(&mut world, 2 * BOUND - 1, &get(&key)), "200");
    assert_eq!(asks(&mut world, 2 * BOUND, &get(&key)), "need changes");
    assert_eq!(world.reads, 1, "nothing has changed, so no record is asked for again");
}

#[test]
fn the_bound_is_the_configured_one() {
    let mut world = World::started(&json!({"REVOCATION_BOUND_SECONDS": 1, "OUTAGE_GRACE_SECONDS": 0}));
    let key = world.issue(1, |_| {});
    world.answer(&key.record.id, NOW);
    assert_eq!(asks(&mut world, 999, &get(&key)), "200");
    assert_eq!(asks(&mut world, 1_000, &get(&key)), "need changes");
    world.gate.record_failure(after(1_000));
    assert_eq!(asks(&mut world, 1_000, &get(&key)), "503 authority_unavailable");
}

#[test]
fn a_refresh_is_due_well_before_the_bound_and_not_at_the_same_moment_everywhere() {
    let due = |gate: &Gate, world: &World| (0..BOUND).find(|at| gate.is_refresh_due(&world.config, after(*at)));
    let mut world = world();
    assert_eq!(due(&world.gate, &world), Some(3_000));
    world.gate = Gate::new(GateSizes::default(), 255);
    world.refresh(NOW);
    let early = due(&world.gate, &world).unwrap();
    assert!((2_500..2_600).contains(&early), "{early}");
    assert!(Gate::default().is_refresh_due(&world.config, NOW), "before the first snapshot");
}

#[test]
fn the_age_counts_from_the_question_and_not_from_the_answer() {
    let (mut world, key) = warm();
    world.at(4_000).refresh(after(1_000));
    assert_eq!(asks(&mut world, 1_000 + BOUND - 1, &get(&key)), "200");
    assert_eq!(asks(&mut world, 1_000 + BOUND, &get(&key)), "need changes");
    // An answer that took longer than the bound is no answer.
    world.at(20_000).refresh(after(20_000 - BOUND));
    assert_eq!(asks(&mut world, 20_000, &get(&key)), "need changes");
}

#[test]
fn an_older_question_never_makes_knowledge_older() {
    let (mut world, key) = warm();
    let [earlier, later] = [1_000, 4_000].map(|at| world.gate.start_query(after(at)));
    let changes = since(&world, 10, 10, &[], false);
    assert_eq!(world.gate.apply_authority(&changes, later, after(4_000)), Applied::Complete);
    assert_eq!(world.gate.apply_authority(&changes, earlier, after(4_100)), Applied::Complete);
    assert_eq!(asks(&mut world, 4_000 + BOUND - 1, &get(&key)), "200");
}

#[test]
fn a_revoked_key_is_refused_from_the_next_question_on() {
    let (mut world, key) = warm();
    world.change(&key.record.id, |record| record.revoked = true);
    for (at, expected) in [(1, "200"), (BOUND - 1, "200"), (BOUND, "401 revoked_key")] {
        assert_eq!(world.at(at).verdict(&get(&key)), expected, "{at}");
    }
    assert_eq!(world.reads, 1, "that it is revoked is all there is to know");
}

#[test]
fn while_the_authority_is_silent_the_grace_is_exact_to_the_millisecond() {
    let (mut world, key) = warm();
    world.unreachable = true;
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
fn during_the_grace_every_answer_says_so_with_the_age() {
    let (mut world, key) = warm();
    world.unreachable = true;
    let GateAnswer::Forward(plan) = world.at(12_345).send(&get(&key)) else { panic!("not forwarded") };
    assert_eq!(plan.answer.as_deref(), Some("keyward-authority\nunreachable; age=12\n"));
    let refused = world.send(&ClientRequest::new("POST /v1/contacts").key(&key));
    assert_eq!(refused.verdict(), "403 insufficient_scope");
    assert_eq!(refused.header("keyward-authority"), Some("unreachable; age=12"));
    world.unreachable = false;
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
fn silence_revives_nothing() {
    let mut world = world();
    let revoked = world.issue(1, |record| record.revoked = true);
    let expiring = world.issue(2, |record| record.expires_at = after(BOUND + 1_000));
    let unknown = Key::live(&world.config, 3);
    let never_seen = world.issue(4, |_| {});
    for key in [&revoked, &expiring, &unknown] {
        world.send(&get(key));
    }
    world.unreachable = true;
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
    world.unreachable = true;
    assert_eq!(world.at(BOUND - 1).verdict(&closed(&key)), "200");
    assert_eq!(world.at(BOUND).verdict(&closed(&key)), "503 authority_unavailable");
    assert_eq!(world.verdict(&get(&key)), "200");
}

#[test]
fn a_silence_that_was_noticed_longer_ago_than_the_bound_excuses_nothing() {
    let (mut world, key) = warm();
    world.gate.record_failure(after(BOUND));
    assert_eq!(asks(&mut world, BOUND, &get(&key)), "200");
    // Requests go on while the authority is asked anew beside them.
    assert_eq!(asks(&mut world, 2 * BOUND - 1, &get(&key)), "200");
    assert!(!world.gate.is_refresh_due(&world.config, after(BOUND + 999)), "it is left alone for a second");
    assert!(world.gate.is_refresh_due(&world.config, after(BOUND + 1_000)));
    // After a pause it has to be asked first: it may have answered for long, and a key may have been revoked.
    assert_eq!(asks(&mut world, 2 * BOUND, &get(&key)), "need changes");
}

#[test]
fn a_silent_authority_is_asked_again_after_a_second_and_its_first_word_ends_the_silence() {
    let (mut world, key) = warm();
    let at = BOUND + GRACE;
    world.gate.record_failure(after(at));
    assert_eq!(asks(&mut world, at + 999, &get(&key)), "503 authority_unavailable");
    assert_eq!(asks(&mut world, at + 1_000, &get(&key)), "need changes");
    world.refresh(after(at + 1_000));
    assert_eq!(asks(&mut world, at + 1_000, &get(&key)), "200");
    world.gate.record_failure(after(at + 1_001));
    world.refresh(after(at + 1_002));
    assert_eq!(asks(&mut world, at + 1_002 + BOUND, &get(&key)), "need changes", "past the bound, and it speaks");
}

#[test]
fn under_a_short_bound_there_is_no_gap_between_a_silence_that_counts_and_the_next_asking() {
    let mut world = World::new(&json!({"REVOCATION_BOUND_SECONDS": 1}));
    world.gate = Gate::new(GateSizes::default(), 255);
    let key = world.issue(1, |_| {});
    world.refresh(NOW);
    world.answer(&key.record.id, NOW);
    world.gate.record_failure(after(2_000));
    for (at, expected) in [(2_999, "200"), (3_000, "need changes")] {
        assert_eq!(asks(&mut world, at, &get(&key)), expected, "{at}");
    }
}

#[test]
fn when_the_clock_steps_back_the_authority_is_asked() {
    let (mut world, key) = warm();
    assert_eq!(asks(&mut world, -1_000, &get(&key)), "need changes");
    world.unreachable = true;
    assert_eq!(world.verdict(&get(&key)), "503 authority_unavailable", "nobody can say how old it is");
    world.unreachable = false;
    assert_eq!(world.at(1_000).verdict(&get(&key)), "200");
    assert_eq!(world.reads, 1, "what is known of keys stays");
    // What was learned while the clock was ahead is not fresh again when the clock gets there.
    world.at(3_600_000).send(&get(&key));
    assert_eq!(world.at(2_000).verdict(&get(&key)), "200");
    world.change(&key.record.id, |record| record.revoked = true);
    assert_eq!(world.at(3_600_000 + 2_000).verdict(&get(&key)), "401 revoked_key");
}

#[test]
fn an_answer_during_which_the_clock_stepped_back_is_no_answer() {
    let (mut world, key) = warm();
    let changes = since(&world, 10, 10, &[], false);
    assert_eq!(learn(&mut world, &changes, after(4_000), after(3_000)), Applied::Nothing);
    assert_eq!(asks(&mut world, BOUND, &get(&key)), "need changes");
    // So it is where the step was seen by a request meanwhile, and the clock has caught up.
    let mut world = self::world();
    let asked = world.gate.start_query(after(1_000));
    world.at(2_000).ask(&get(&key));
    world.at(500).ask(&get(&key));
    assert_eq!(world.gate.apply_authority(&changes, asked, after(1_500)), Applied::Nothing);
}

#[test]
fn a_clock_that_wavers_by_milliseconds_costs_nothing() {
    let (mut world, key) = warm();
    assert_eq!(asks(&mut world, 60, &get(&key)), "200");
    assert_eq!(asks(&mut world, 10, &get(&key)), "200");
}

#[test]
fn two_isolates_each_keep_the_bound_by_their_own_clock() {
    let (mut world, key) = warm();
    // Another isolate asks four seconds later; its clock is an hour ahead. Neither's knowledge is the other's.
    let first = std::mem::take(&mut world.gate);
    assert_eq!(world.at(3_600_000).verdict(&get(&key)), "200");
    world.change(&key.record.id, |record| record.revoked = true);
    assert_eq!(asks(&mut world, 3_600_000 + BOUND - 1, &get(&key)), "200");
    assert_eq!(world.at(3_600_000 + BOUND).verdict(&get(&key)), "401 revoked_key");
    world.gate = first;
    assert_eq!(asks(&mut world, BOUND - 1, &get(&key)), "200");
    assert_eq!(world.at(BOUND).verdict(&get(&key)), "401 revoked_key");
}

// The order of answers.

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
fn a_snapshot_counts_from_the_oldest_of_its_pages() {
    let mut world = World::new(&json!({}));
    assert_eq!(world.gate.next_query(), FeedQuery::Snapshot { after: None });
    // The first page from the authority, the second from a cache where it lay for a minute.
    assert_eq!(
        {
            let changes = page(&world, None, 100, Some("a"));
            learn(&mut world, &changes, NOW, NOW)
        },
        Applied::More
    );
    assert_eq!(world.gate.next_query(), FeedQuery::Snapshot { after: Some(Cursor("a".to_owned())) });
    assert_eq!(
        {
            let changes = page(&world, None, 100, Some("a"));
            learn(&mut world, &changes, NOW, NOW)
        },
        Applied::Nothing,
        "not that page"
    );
    assert_eq!(
        {
            let changes = page(&world, Some("a"), 90, Some("b"));
            learn(&mut world, &changes, NOW, NOW)
        },
        Applied::More
    );
    assert_eq!(
        {
            let changes = page(&world, Some("b"), 110, None);
            learn(&mut world, &changes, NOW, NOW)
        },
        Applied::More
    );
    assert_eq!(world.gate.next_query(), FeedQuery::Since(position(&world, 90)));
    let key = world.issue(1, |_| {});
    assert_eq!(world.ask(&get(&key)).verdict(), "need changes", "how old the pages are nobody says");
    assert_eq!(
        {
            let changes = since(&world, 80, 110, &[], false);
            learn(&mut world, &changes, NOW, NOW)
        },
        Applied::Complete
    );
    assert_eq!(world.ask(&get(&key)).verdict(), "need record");
}

#[test]
fn changes_must_follow_on_what_is_known() {
    let mut world = world();
    assert_eq!(
        {
            let changes = since(&world, 11, 12, &[], false);
            learn(&mut world, &changes, NOW, NOW)
        },
        Applied::Nothing,
        "a gap"
    );
    assert_eq!(
        {
            let changes = since(&world, 2, 9, &[], false);
            learn(&mut world, &changes, NOW, NOW)
        },
        Applied::Nothing,
        "from before"
    );
    let mut other = position(&world, 10);
    other.head = "ffffffffffffffff".to_owned();
    let changes = FeedPage::Since { after: 10, to: other, entries: entries(&[]), more: false };
    assert_eq!(learn(&mut world, &changes, after(4_000), after(4_000)), Applied::Nothing, "another history");
    assert_eq!(world.gate.known_revision(), 10);
    assert_eq!(
        {
            let changes = since(&world, 10, 12, &[], true);
            learn(&mut world, &changes, after(4_000), after(4_000))
        },
        Applied::More
    );
    let key = world.issue(1, |_| {});
    assert_eq!(asks(&mut world, BOUND, &get(&key)), "need changes", "there is more: nothing is younger yet");
    assert_eq!(
        {
            let changes = since(&world, 9, 13, &[], false);
            learn(&mut world, &changes, after(4_000), after(4_000))
        },
        Applied::Complete
    );
    assert_eq!(asks(&mut world, BOUND, &get(&key)), "need record");
}

#[test]
fn entries_without_form_are_not_believed_in_part() {
    let mut world = world();
    let mut changes = serde_json::to_value(since(&world, 10, 12, &[(1, 11, true)], false)).unwrap();
    changes["since"]["entries"] = json!("l00000000000111!,nonsense,");
    let changes: FeedPage = serde_json::from_value(changes).unwrap();
    assert_eq!(learn(&mut world, &changes, NOW, NOW), Applied::Nothing);
    assert_eq!(world.gate.known_revision(), 10);
}

#[test]
fn a_new_epoch_empties_all_memory_and_an_older_one_is_ignored() {
    let (mut world, key) = warm();
    world.epoch = Epoch::new(after(1), "second");
    world.revision = 4;
    let changes = world.changes(&world.gate.next_query());
    assert_eq!(learn(&mut world, &changes, after(1), after(1)), Applied::NewEpoch { known: 10, now: 4 });
    assert_eq!(world.gate.cached_keys(), 0);
    world.refresh(after(1));
    assert_eq!(world.gate.known_revision(), 4);
    assert_eq!(world.at(1).ask(&get(&key)).verdict(), "need record");
    // An answer from before the restore lies in a cache yet.
    world.epoch = Epoch::new(NOW, "first");
    world.revision = 10;
    let changes = since(&world, 4, 10, &[], false);
    assert_eq!(learn(&mut world, &changes, after(4_000), after(4_000)), Applied::Nothing);
    assert_eq!(world.gate.known_revision(), 4);
}

// The data centre's cache.

fn kept(world: &World, asked_at: i64, took: i64, changes: FeedPage) -> String {
    CachedFeedPage { asked_at: after(asked_at), took, changes }.seal(&world.config.keyring).unwrap()
}

/// When the gate will ask again at the latest, after it was told by a cache.
fn believed_until(world: &mut World, key: &Key, from: i64) -> i64 {
    (from..200_000).step_by(100).find(|at| asks(world, *at, &get(key)) == "need changes").unwrap()
}

#[test]
fn a_fresh_answer_of_another_isolate_counts_as_old_as_it_may_be() {
    for (asked_at, took, found_at, until) in [
        // Asked at 4.0, took 0.1, found at 4.2: it may have been kept for a second, and more.
        (4_000, 100, 4_200, 4_200 - 2_600 + BOUND),
        // By their clocks it is older than that.
        (4_000, 100, 7_000, 4_000 + BOUND),
        // The other isolate's clock is five seconds ahead: of no consequence.
        (9_000, 100, 4_200, 4_200 - 2_600 + BOUND),
        // Whoever puts back an old answer is not believed.
        (-60_000, 100, 4_200, BOUND),
        // A clock that stepped while it measured, or that is nowhere near.
        (4_000, -1, 4_200, BOUND),
        (4_000, 70_000, 4_200, BOUND),
        (40_000, 100, 4_200, BOUND),
    ] {
        let (mut world, key) = warm();
        let kept = kept(&world, asked_at, took, since(&world, 10, 10, &[], false));
        find_fresh(&mut world, &kept, after(found_at), after(found_at));
        assert_eq!(believed_until(&mut world, &key, found_at), until.max(found_at), "{asked_at} {took} {found_at}");
    }
}

#[test]
fn the_last_answer_of_a_data_centre_counts_as_older_by_what_two_clocks_may_differ() {
    let mut world = World::new(&json!({}));
    let key = world.issue(1, |_| {});
    let stored = world.copy(&key.record);
    // Born in an outage: the pages and the last answer lie in the cache for 20 seconds.
    world.unreachable = true;
    world.at(20_000);
    let first = kept(&world, 0, 10, page(&world, None, 10, None));
    assert_eq!(world.gate.apply_fallback(&world.config, &first, after(20_000)), Applied::More);
    let last = kept(&world, 1_000, 10, since(&world, 10, 10, &[], false));
    assert_eq!(world.gate.apply_fallback(&world.config, &last, after(20_000)), Applied::Complete);
    assert_eq!(
        world.ask(&get(&key)).verdict(),
        "need changes",
        "it doesn't end the silence of an authority nobody asked"
    );
    world.gate.record_failure(after(20_000));
    world.gate.apply_copy(&world.config, &key.record.id, &stored, after(20_000));
    assert_eq!(world.ask(&get(&key)).verdict(), "200");
    let end = 1_000 - 10_000 + BOUND + GRACE;
    for (at, expected) in [(end - 1, "200"), (end, "503 authority_unavailable")] {
        world.gate.record_failure(after(at));
        assert_eq!(asks(&mut world, at, &get(&key)), expected, "{at}");
    }
}

#[test]
fn an_old_answer_put_back_as_a_fresh_one_is_no_answer_and_ends_no_silence() {
    let (mut world, key) = warm();
    world.gate.record_failure(after(BOUND));
    let old = kept(&world, 0, 10, since(&world, 10, 10, &[], false));
    let found_at = after(BOUND + 10);
    assert_eq!(find_fresh(&mut world, &old, found_at, found_at), Applied::Nothing);
    assert_eq!(asks(&mut world, BOUND + 20, &get(&key)), "200", "the authority is as silent as before");
}

#[test]
fn what_a_cache_holds_is_believed_only_if_it_was_sealed_here() {
    let mut world = world();
    let kept = kept(&world, 0, 10, since(&world, 10, 10, &[], false));
    for wrong in
        [kept.replace("\"took\":10", "\"took\":11"), "{}".to_owned(), world.copy(&Key::live(&world.config, 1).record)]
    {
        assert!(matches!(find_fresh(&mut world, &wrong, NOW, NOW), Applied::Broken(_)), "{wrong}");
        assert!(matches!(world.gate.apply_fallback(&world.config, &wrong, NOW), Applied::Broken(_)), "{wrong}");
    }
    assert_eq!(find_fresh(&mut world, &kept, NOW, NOW), Applied::Complete);
}

// Growth.

#[test]
fn more_changed_keys_than_are_kept_cost_look_ups_and_never_a_wrong_answer() {
    let mut world = World::new(&json!({}));
    let key = world.issue(1, |record| record.revision = 3);
    let old = world.copy(&key.record);
    world.change(&key.record.id, |record| record.scopes.clear());
    for start in (0..210_000_u32).step_by(10_000) {
        let changes: Vec<_> = (start..start + 10_000).map(|number| (number, 11, true)).collect();
        let after = (start > 0).then(|| Cursor(start.to_string()));
        let next = Some(Cursor((start + 10_000).to_string()));
        let page = FeedPage::Snapshot { after, at: position(&world, 11), entries: entries(&changes), next };
        if learn(&mut world, &page, NOW, NOW) != Applied::More {
            break;
        }
    }
    assert!(matches!(world.gate.next_query(), FeedQuery::Since(_)), "no more pages are asked for");
    world.refresh(NOW);
    assert_eq!(world.gate.apply_copy(&world.config, &key.record.id, &old, NOW), keyward_gate::CopyVerdict::Confirm);
    assert_eq!(world.verdict(&get(&key)), "403 insufficient_scope");
    // What is remembered goes on following the feed.
    world.change(&key.record.id, |record| record.revoked = true);
    world.refresh(NOW);
    assert_eq!(world.verdict(&get(&key)), "401 revoked_key");
}
