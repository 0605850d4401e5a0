//! Simulation of events: the shipped object over restarts between any two steps, a store that fails, messages that are lost, repeated and
//! late, and receivers that fail, hang and answer late; and a checker that only sees what was committed and what arrived.
//!
//! The registry is a model of its outbox: what is committed is told until it is confirmed. That nothing is told which was rolled back is a
//! property of one SQL transaction, which the registry's own tests show.

mod check;
mod world;

pub use check::{Violation, check};
pub use world::{History, execute};

/// Executes the history of a seed and checks it.
#[must_use]
pub fn run(seed: u64) -> (History, Vec<Violation>) {
    let history = execute(seed);
    let violations = check(&history);
    (history, violations)
}
