//! No history of events violates a rule, and the checker finds every planted fault.

use simulator::events::run;
use simulator::planted::{assert_each_shows, first_violation};

const SEEDS: u64 = 1_500;
const SEEDS_WITH_A_FAULT: u64 = 1_500;

const FAULTS: [&str; 7] = [
    "a deleted endpoint stays",
    "an attempt is not written down before it begins",
    "an older list of endpoints is applied",
    "the alarm is not set before the answer",
    "an attempt without an answer counts as delivered",
    "a failed attempt is repeated at once",
    "an interrupted attempt is not repeated",
];

fn violation(seed: u64) -> Option<String> {
    let violation = run(seed).1.into_iter().next()?;
    Some(format!("{}: {}", violation.rule, violation.text))
}

#[test]
fn no_history_of_events_violates_a_rule() {
    assert_eq!(first_violation("", SEEDS, violation), None);
    let counted = |what| (0..100).map(|seed| run(seed).0.counts.get(what).copied().unwrap_or_default()).sum::<u64>();
    for (what, least) in
        [("object restarted", 100), ("alarm interrupted", 10), ("failures of the store", 10), ("arrived", 1_000)]
    {
        assert!(counted(what) >= least, "{what}: {}", counted(what));
    }
}

#[test]
#[ignore = "takes a minute: npm test runs it"]
fn the_checker_of_events_finds_each_planted_fault() {
    assert_each_shows(&FAULTS, SEEDS_WITH_A_FAULT, violation);
}
