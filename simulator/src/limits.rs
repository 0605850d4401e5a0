//! Simulation of limits: the shipped leases ([`keyward_gate::leases`]) and objects ([`keyward_limits`]) under faults, and a checker that
//! only sees when requests were let through.
//!
//! | module | contents |
//! |---|---|
//! | [`plan`] | one history, drawn from a seed |
//! | [`world`] | its execution: isolates, the object, messages between them, clocks |
//! | [`object`] | the platform of the object |
//! | [`checker`] | the promises of docs/concepts/limits.md; knows nothing of leases |

pub mod checker;
pub mod object;
pub mod plan;
pub mod world;

pub use checker::{Outcome, Violation};

/// Executes the history of a seed and checks it.
#[must_use]
pub fn run(seed: u64) -> (Outcome, Vec<Violation>) {
    let plan = plan::draw(seed);
    let outcome = world::execute(&plan);
    let violations = checker::check(&outcome);
    (outcome, violations)
}
