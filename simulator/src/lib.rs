//! A world in which every store, clock and wire fails, around the very code that runs in production. docs/SIMULATOR.md says what is
//! simulated, what is not, and how a failure reads.
//!
//! | file | what it holds |
//! |---|---|
//! | [`plan`] | what shall happen in one history, drawn from a seed |
//! | [`scheduler`] | virtual time: tasks, and what wakes them |
//! | [`world`] | the plan carried out: isolates, locations, the one registry |
//! | [`port`] | what `keyward_edge` sees of the world |
//! | [`object`] | the registry's object, as `src/cloudflare/object.rs` is |
//! | [`stores`] | KV and the data centres' caches |
//! | [`sqlite`] | the registry's SQLite |
//! | [`history`] | what happened, as plain data with true times |
//! | [`checker`] | whether that was allowed: knows the contract and no code of the product |
//! | [`shrink`] | the smallest plan that still fails |
//! | [`tally`] | what was simulated how often |

pub mod checker;
pub mod history;
pub mod keys;
pub mod object;
pub mod plan;
pub mod port;
pub mod quiescence;
pub mod random;
pub mod scheduler;
pub mod shrink;
pub mod sqlite;
pub mod stores;
pub mod tally;
pub mod traffic;
pub mod world;

use checker::Violation;
use history::History;
use plan::Plan;

/// Carries out a plan and judges what happened.
#[must_use]
pub fn run(plan: &Plan) -> (History, Vec<Violation>) {
    let history = world::carry_out(plan);
    let violations = checker::judge(&history);
    (history, violations)
}
