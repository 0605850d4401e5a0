//! Whether a history was allowed. It knows the contract (CONTRACT §2 and §5, in README.md's words: "How fast a change takes hold")
//! and no code of the product: plain data in, violations out.
//!
//! **The rule of the window.** A request that is not answered 503 must be answered as *some* state of the authority demands that was
//! in force within the window from K to the answer, all in true time:
//!
//! - K is the answer less the bound; or less bound and grace if the route is not closed on outage and an asking of this isolate
//!   failed within the last bound. An isolate that has asked nobody in vain has no grace.
//! - K is never before the question of the last complete answer that this isolate had from the authority.
//! - A key whose issue was confirmed before the request came, and that nobody used before, is never answered as if it weren't there.
//!
//! So a key that was revoked, narrowed, shortened or replaced is not accepted past the window, and one that is valid throughout is
//! never refused. Whether a key is past its end is judged by the clock of the isolate at the answer, exactly; one whose end had
//! come by the authority's own clock when it was changed (an overlap of 0) is over by anybody's.
//!
//! **Clocks.** Constant offsets give nothing. A backward step that no request observed makes what an isolate knows seem younger by
//! the step: exactly so much is added to the window of that isolate, until a request observes it (shows the isolate a clock that is
//! more than 100 ms behind the latest it has seen). Observed, it gives nothing.
//!
//! An old answer that somebody puts back into a data centre's cache as a fresh one is judged by two clocks: it makes what an isolate knows seem
//! younger by as much as the clocks of the isolates are apart at most.
//!
//! **A restore** brings other states at once, but what was true in the history that is gone counts until the authority has noticed
//! and begun a new epoch: until then nobody could know.

mod answers;
mod isolate;
mod quiescence;
mod states;

use crate::history::{History, Time, What};
use isolate::Isolates;
use states::States;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub rule: &'static str,
    pub at: Time,
    pub text: String,
}

/// Everything that was not allowed, in the order of time.
#[must_use]
pub fn judge(history: &History) -> Vec<Violation> {
    let states = States::of(history);
    let mut violations = Vec::new();
    let mut isolates = Isolates::new(history.bound);
    for record in &history.records {
        let at = record.at;
        isolates.take(record);
        match &record.what {
            What::Answered(answered) => {
                answers::judge(history, &states, isolates.of(answered.isolate), answered, at, &mut violations);
                isolates.note_answer(answered, at);
            }
            What::Logged { isolate, event, clock, .. } if event == "authority_unreachable" => {
                isolates.note_outage_log(*isolate, *clock, at, &mut violations);
            }
            _ => {}
        }
    }
    isolates.judge_alarms(&mut violations);
    quiescence::judge(history, &states, &mut violations);
    violations
}
