//! Deterministic simulator: runs the shipped code over stores, clocks and networks that fail. docs/internals/simulator.md lists what is
//! simulated, what is not, and how to read a failure.
//!
//! | module | contents |
//! |---|---|
//! | [`plan`] | the events of one history, drawn from a seed |
//! | [`scheduler`] | virtual time, tasks and timers |
//! | [`world`] | execution of a plan: isolates, locations, the registry |
//! | [`port`] | the platform that `keyward_edge` runs on |
//! | [`object`] | the platform of the registry's object |
//! | [`stores`] | KV and the caches of the data centres |
//! | [`sqlite`] | the registry's SQLite |
//! | [`traffic`] | requests at the gate, changes on the control plane |
//! | [`history`] | the recorded events, as plain data in true time |
//! | [`quiescence`] | the state after the faults stopped |
//! | [`checker`] | the contract's rules; shares no code with the product |
//! | [`shrink`] | the smallest plan that still fails |
//! | [`usage`] | the counts of usage, a simulation of days with a checker of its own |
//! | [`limits`] | the same for limits: leases, objects, and a checker of windows |
//! | [`events`] | the same for events: deliveries, receivers that fail, and a checker of what arrived |
//! | [`planted`] | search for histories in which a planted fault shows |
//! | [`tally`] | counts of everything that was simulated |

pub mod checker;
pub mod events;
pub mod history;
pub mod keys;
pub mod limits;
pub mod object;
pub mod plan;
pub mod planted;
pub mod port;
pub mod quiescence;
pub mod random;
pub mod scheduler;
pub mod shrink;
pub mod sqlite;
pub mod stores;
pub mod tally;
pub mod traffic;
pub mod usage;
pub mod world;

use checker::Violation;
use history::History;
use plan::Plan;

/// Executes a plan and checks its history.
#[must_use]
pub fn run(plan: &Plan) -> (History, Vec<Violation>) {
    let history = world::execute(plan);
    let violations = checker::check(&history);
    (history, violations)
}
