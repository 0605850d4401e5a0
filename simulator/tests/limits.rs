//! No history lets more requests through than its limits allow, and the checker finds every planted fault.

use simulator::planted::{assert_each_shows, first_violation};

const SEEDS: u64 = 3_000;
const SEEDS_WITH_A_FAULT: u64 = 30_000;

/// Planted faults that the checker must find. Other switches in the code were not found within these seeds, or were not tried yet.
const FAULTS: [&str; 12] = [
    "a lease counts from the answer",
    "a lease has no end",
    "a lease's lifetime is left out of the window",
    "a lease is returned twice",
    "a returned lease is spent",
    "a unit is spent twice",
    "the horizon is skipped after a restart",
    "a grant is not written",
    "of several keys the last is written",
    "a forgotten reserve is given again",
    "a step of the object's clock is followed",
    "a grant before midnight counts in one day only",
];

fn violation(seed: u64) -> Option<String> {
    let violation = simulator::limits::run(seed).1.into_iter().next()?;
    Some(format!("{}: {}", violation.rule, violation.text))
}

#[test]
fn no_history_lets_more_through_than_a_limit_allows() {
    assert_eq!(first_violation("", SEEDS, violation), None);
}

#[test]
#[ignore = "takes a minute: npm test runs it"]
fn the_checker_finds_each_planted_fault_of_the_limits() {
    assert_each_shows(&FAULTS, SEEDS_WITH_A_FAULT, violation);
}
