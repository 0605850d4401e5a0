//! Whether an answer was allowed.

use super::Violation;
use super::isolate::Isolate;
use super::states::States;
use crate::history::{Answered, History, Presents, State, Time, Verdict};

/// The longest that an asking can reach back: two tries with their pause, and the looks of those who wait for it.
const ASKING: Time = 11_000;

/// Look-ups that one isolate may make within two seconds in any case.
const LOOK_UPS: usize = 40;

pub fn judge(
    history: &History,
    states: &States,
    isolate: &Isolate,
    answered: &Answered,
    at: Time,
    violations: &mut Vec<Violation>,
) {
    let mut violate =
        |rule, text: String| violations.push(Violation { rule, at, text: format!("{text}: {answered:?}") });
    if answered.verdict == Verdict::Other {
        violate("no request of ours gets another answer", "unexpected".to_owned());
        return;
    }
    if answered.presents == Presents::Garbage {
        if answered.verdict != Verdict::Invalid || !answered.at_once {
            violate("what has not our tag is refused, and costs no read", "garbage".to_owned());
        }
        return;
    }
    let (bound, grace) = (history.bound, if answered.closed { 0 } else { history.grace });
    let slack = isolate.slack(at - bound - grace - ASKING - 5_000);
    if answered.verdict == Verdict::Unavailable {
        judge_unavailable(history, states, isolate, answered, at, (bound, grace, history.grace), &mut violate);
        return;
    }

    let in_vain = isolate.failed_since(at - bound - slack);
    let reach = if in_vain { bound + grace } else { bound };
    let heard = isolate.complete.map_or(Time::MIN, |complete| complete.asked);
    let from = (at - reach - slack).max(heard);
    let possible = states.within(answered.key, from, at, answered.arrived);
    if !possible.iter().any(|state| demanded(state, answered) == answered.verdict) {
        let rule = match answered.verdict {
            Verdict::Accepted if at - from > bound => "nothing is accepted after guaranteed_by",
            Verdict::Accepted => "nothing is accepted after effective_by while the authority answers",
            _ => "nothing is refused for what has not been so since bound and grace",
        };
        violate(rule, format!("since {from} the authority had {possible:?}"));
    }
    judge_age(states, isolate, answered, at, slack, (bound, grace), &mut violate);
}

/// What a state of the authority demands.
fn demanded(state: &State, answered: &Answered) -> Verdict {
    let State::Present(rights) = state else { return Verdict::Invalid };
    if answered.presents == Presents::WrongSecret {
        Verdict::Invalid
    } else if rights.revoked {
        Verdict::Revoked
    } else if rights.over || answered.clock >= rights.expires_at {
        Verdict::Expired
    } else if rights.addresses & answered.address == 0 {
        Verdict::Address
    } else if rights.scopes & answered.scope == 0 {
        Verdict::Scope
    } else {
        Verdict::Accepted
    }
}

/// Whether `Keyward-Authority` says what is.
fn judge_age(
    states: &States,
    isolate: &Isolate,
    answered: &Answered,
    at: Time,
    slack: Time,
    (bound, grace): (Time, Time),
    violate: &mut impl FnMut(&'static str, String),
) {
    let Some(heard) = isolate.heard else {
        violate("an isolate that has not heard from the authority decides nothing", "decided".to_owned());
        return;
    };
    let truly = at - heard;
    match answered.age {
        None if truly - slack >= bound => {
            violate("an answer during the grace says so", format!("what it knows is {truly} ms old"));
        }
        Some(age) if age * 1000 + 999 < truly - slack => {
            violate("the age is a true one", format!("what it knows is {truly} ms old"));
        }
        Some(age) if age * 1000 < bound || age * 1000 >= bound + grace => {
            violate("the grace is after the bound and ends", format!("the age is {age} s"));
        }
        Some(age) => {
            // Nothing that it was told later than this made it know less.
            let own = isolate.complete.filter(|own| {
                !isolate.stepped_within(own.first, at)
                    && !isolate.forgot_since(own.at)
                    && !states.upheaval_within(own.at, at)
            });
            if let Some(own) = own.filter(|own| age * 1000 > at - own.first) {
                violate("the age is a true one", format!("it has itself asked at {}", own.first));
            }
        }
        None => {}
    }
}

/// Whether 503 was the right answer.
fn judge_unavailable(
    history: &History,
    states: &States,
    isolate: &Isolate,
    answered: &Answered,
    at: Time,
    (bound, grace, whole_grace): (Time, Time, Time),
    violate: &mut impl FnMut(&'static str, String),
) {
    // What it judged the key by may have been known by a route that is not closed.
    let longest = bound + whole_grace;
    if let (Some(own), Some(judged)) = (isolate.complete, isolate.judged.get(&answered.key)) {
        // What it judged by then may have been as old as bound and grace, and by another's clock.
        let knows_key = history.cache_holds_all
            && !states.changed_since(answered.key, judged - 2 * longest - ASKING, at)
            && !isolate.forgot_since(*judged);
        let quiet = !isolate.stepped_within(own.first, at) && !states.upheaval_within(own.first - ASKING, at);
        if at - own.first < bound + grace && knows_key && quiet {
            violate(
                "no 503 within the grace for a key that the isolate knows",
                format!("it has asked at {} and judged the key at {judged}", own.first),
            );
        }
    }
    let since = answered.arrived - bound - ASKING;
    // Under a short bound an answer that takes a good part of it is old before it can be used.
    let served = !isolate.failed_since(since)
        && !isolate.waited_since(since, bound / 3)
        && !isolate.stepped_within(since, at)
        && !states.upheaval_within(since, at)
        && isolate.looked_up_since(at - 2_000) < LOOK_UPS;
    if served {
        violate("no 503 while the authority answers", "nothing it has asked for has failed".to_owned());
    }
}
