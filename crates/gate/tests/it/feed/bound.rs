//! The bound: when a refresh is required, and which answers make data newer.

use super::*;

#[test]
fn a_refresh_is_required_exactly_at_the_bound() {
    let (mut world, key) = warm();
    assert_eq!(decision(&mut world, BOUND - 1, &get(&key)), "200");
    assert_eq!(decision(&mut world, BOUND, &get(&key)), "need changes");
    world.refresh(after(BOUND));
    assert_eq!(decision(&mut world, 2 * BOUND - 1, &get(&key)), "200");
    assert_eq!(decision(&mut world, 2 * BOUND, &get(&key)), "need changes");
    assert_eq!(world.reads, 1, "nothing has changed, so no record is looked up again");
}

#[test]
fn the_configured_bound_applies() {
    let mut world = World::started(&json!({"REVOCATION_BOUND_SECONDS": 1, "OUTAGE_GRACE_SECONDS": 0}));
    let key = world.issue(1, |_| {});
    world.answer(&key.record.id, NOW);
    assert_eq!(decision(&mut world, 999, &get(&key)), "200");
    assert_eq!(decision(&mut world, 1_000, &get(&key)), "need changes");
    world.gate.record_failure(after(1_000));
    assert_eq!(decision(&mut world, 1_000, &get(&key)), "503 authority_unavailable");
}

#[test]
fn a_refresh_is_due_well_before_the_bound_with_jitter_between_isolates() {
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
fn the_age_counts_from_the_query_and_not_from_the_answer() {
    let (mut world, key) = warm();
    world.at(4_000).refresh(after(1_000));
    assert_eq!(decision(&mut world, 1_000 + BOUND - 1, &get(&key)), "200");
    assert_eq!(decision(&mut world, 1_000 + BOUND, &get(&key)), "need changes");
    // An answer that took as long as the bound is discarded.
    world.at(20_000).refresh(after(20_000 - BOUND));
    assert_eq!(decision(&mut world, 20_000, &get(&key)), "need changes");
}

#[test]
fn the_answer_to_an_older_query_never_makes_data_older() {
    let (mut world, key) = warm();
    let [earlier, later] = [1_000, 4_000].map(|at| world.gate.start_query(after(at)));
    let changes = since(&world, 10, 10, &[], false);
    assert_eq!(world.gate.apply_authority(&changes, later, after(4_000)), Applied::Complete);
    assert_eq!(world.gate.apply_authority(&changes, earlier, after(4_100)), Applied::Complete);
    assert_eq!(decision(&mut world, 4_000 + BOUND - 1, &get(&key)), "200");
}

#[test]
fn a_revoked_key_is_refused_from_the_next_refresh_on() {
    let (mut world, key) = warm();
    world.change(&key.record.id, |record| record.revoked = true);
    for (at, expected) in [(1, "200"), (BOUND - 1, "200"), (BOUND, "401 revoked_key")] {
        assert_eq!(world.at(at).verdict(&get(&key)), expected, "{at}");
    }
    assert_eq!(world.reads, 1, "the feed says that the key is revoked, so no lookup is needed");
}

#[test]
fn a_clock_that_steps_back_requires_a_refresh() {
    let (mut world, key) = warm();
    assert_eq!(decision(&mut world, -1_000, &get(&key)), "need changes");
    world.unreachable = true;
    assert_eq!(world.verdict(&get(&key)), "503 authority_unavailable", "the age of the data is unknown");
    world.unreachable = false;
    assert_eq!(world.at(1_000).verdict(&get(&key)), "200");
    assert_eq!(world.reads, 1, "cached records stay");
    // Data from the time when the clock was ahead is not fresh again when the clock arrives there.
    world.at(3_600_000).send(&get(&key));
    assert_eq!(world.at(2_000).verdict(&get(&key)), "200");
    world.change(&key.record.id, |record| record.revoked = true);
    assert_eq!(world.at(3_600_000 + 2_000).verdict(&get(&key)), "401 revoked_key");
}

#[test]
fn an_answer_during_which_the_clock_stepped_back_is_discarded() {
    let (mut world, key) = warm();
    let changes = since(&world, 10, 10, &[], false);
    assert_eq!(apply(&mut world, &changes, after(4_000), after(3_000)), Applied::Nothing);
    assert_eq!(decision(&mut world, BOUND, &get(&key)), "need changes");
    // Also if a request observed the step meanwhile and the clock has caught up.
    let mut world = self::world();
    let asked = world.gate.start_query(after(1_000));
    world.at(2_000).ask(&get(&key));
    world.at(500).ask(&get(&key));
    assert_eq!(world.gate.apply_authority(&changes, asked, after(1_500)), Applied::Nothing);
}

#[test]
fn a_clock_that_varies_by_milliseconds_causes_no_refresh() {
    let (mut world, key) = warm();
    assert_eq!(decision(&mut world, 60, &get(&key)), "200");
    assert_eq!(decision(&mut world, 10, &get(&key)), "200");
}

#[test]
fn each_isolate_keeps_the_bound_by_its_own_clock() {
    let (mut world, key) = warm();
    // The clock of a second isolate is an hour ahead. The two share no data.
    let first = std::mem::take(&mut world.gate);
    assert_eq!(world.at(3_600_000).verdict(&get(&key)), "200");
    world.change(&key.record.id, |record| record.revoked = true);
    assert_eq!(decision(&mut world, 3_600_000 + BOUND - 1, &get(&key)), "200");
    assert_eq!(world.at(3_600_000 + BOUND).verdict(&get(&key)), "401 revoked_key");
    world.gate = first;
    assert_eq!(decision(&mut world, BOUND - 1, &get(&key)), "200");
    assert_eq!(world.at(BOUND).verdict(&get(&key)), "401 revoked_key");
}
