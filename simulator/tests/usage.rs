//! The checker of usage finds every planted fault, and finds no violation in the same histories without a fault.

use simulator::planted::assert_each_shows;
use simulator::usage::{check, execute};

const SEEDS: u64 = 60;
/// Number of histories in which a planted fault must be found.
const SEEDS_WITH_FAULT: u64 = 400;

const FAULTS: [&str; 10] = [
    "a repeated usage report counts again",
    "a use in the future is believed",
    "the clock of an isolate that is behind is believed",
    "the clock of a shard is trusted",
    "a silent shard counts as proof",
    "a missing report is proof of disuse",
    "a gap in the messages of a shard is no gap",
    "an idle key is revoked without a warning",
    "an idle key is revoked on missing data",
    "a use after the warning is overlooked",
];

#[test]
fn no_history_of_usage_violates_a_rule() {
    let (mut idle, mut uses, mut lost, mut revoked) = (0, 0, 0, 0);
    for seed in 0..SEEDS {
        let history = execute(seed);
        let violations = check(&history);
        assert_eq!(violations, [], "seed {seed}");
        idle += history.seen.iter().filter(|seen| seen.is_idle).count();
        uses += history.uses.len();
        revoked += history.revocations.len();
        lost += history.uses.iter().filter(|used| used.lost_at.is_some()).count();
    }
    println!(
        "{SEEDS} histories: {uses} uses, {lost} unreported at an end of their isolate, {idle} times a key was idle, {revoked} keys revoked"
    );
    assert!(idle > 100 && uses > 1_000 && lost > 10 && revoked > 3);
}

#[test]
#[ignore = "takes minutes: npm test runs it"]
fn the_checker_of_usage_finds_each_planted_fault() {
    let violation = |seed| check(&execute(seed)).first().map(|found| found.rule.to_owned());
    assert_each_shows(&FAULTS, SEEDS_WITH_FAULT, violation);
}
