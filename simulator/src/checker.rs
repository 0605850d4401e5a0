//! Checks a history against the contract (docs/concepts/revocation.md). Takes plain data, returns violations, and shares no
//! code with the product.
//!
//! **The window rule.** An answer other than 503 must be the answer that *some* state of the authority demands which was in force between
//! the start of the window and the answer, in true time:
//!
//! - The window starts one bound before the answer. It starts bound plus grace before it if the route has a grace and a query of this
//!   isolate failed within the last bound: an isolate without a failed query has no grace.
//! - The window never starts before the isolate sent the query whose complete answer it received last.
//! - A key whose issue was confirmed before the request arrived, and that no earlier request presented, is never answered as unknown.
//!
//! So a key that was revoked, narrowed, shortened or replaced is not accepted after the window, and a key that is valid throughout is never
//! refused. Expiry is judged exactly, by the isolate's clock at the answer. A key that its last change ended (a rotation without overlap) is
//! expired by every clock.
//!
//! **Clocks.** Constant offsets have no effect. A backward step makes an isolate underestimate the age of its data by the step, so the window of
//! that isolate grows by the step until a request observes it (a clock more than 100 ms behind the latest reading). An observed step has
//! no effect.
//!
//! When an attacker puts an old fresh answer back into a data centre's cache, two clocks judge its age. The window grows by the largest
//! difference between the clocks of the isolates.
//!
//! **Restores.** A restore changes states at once. The states of the lost history remain allowed until the authority notices the restore
//! and starts a new epoch, because no isolate can know of it earlier.

mod answers;
mod isolate;
mod quiescence;
mod states;

use crate::history::{Event, History, Time};
use isolate::Isolates;
use states::StateHistory;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub rule: &'static str,
    pub at: Time,
    pub text: String,
}

/// Returns the violations of a history: those of single answers in order of time, then those of its end.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let states = StateHistory::of(history);
    let mut violations = Vec::new();
    let mut isolates = Isolates::new(history.bound_ms);
    for record in &history.records {
        let at = record.at;
        isolates.apply(record);
        match &record.event {
            Event::Answered(answered) => {
                answers::check(history, &states, isolates.of(answered.isolate), answered, at, &mut violations);
                isolates.record_answer(answered, at);
            }
            Event::Logged { isolate, event, clock, .. } if event == "authority_unreachable" => {
                isolates.record_outage_log(*isolate, *clock, at, &mut violations);
            }
            _ => {}
        }
    }
    isolates.check_logs(&mut violations);
    quiescence::check(history, &states, &mut violations);
    violations
}
