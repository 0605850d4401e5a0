//! Rules for one answer of the gate.

use super::Violation;
use super::isolate::Isolate;
use super::states::StateHistory;
use crate::history::{Answered, Credential, History, State, Time, Verdict};

/// Longest time from the start of a query to its last use: two attempts with the pause between them, and the polls of its waiters.
const MAX_QUERY_MS: Time = 11_000;

/// Lookups that one isolate may make within two seconds at least.
const LOOKUPS_IN_2_SECONDS: usize = 40;

pub fn check(
    history: &History,
    states: &StateHistory,
    isolate: &Isolate,
    answered: &Answered,
    at: Time,
    violations: &mut Vec<Violation>,
) {
    let mut violate =
        |rule, text: String| violations.push(Violation { rule, at, text: format!("{text}: {answered:?}") });
    if answered.verdict == Verdict::Other {
        violate("every request gets a documented answer", "unexpected answer".to_owned());
        return;
    }
    if answered.credential == Credential::ForgedTag {
        if answered.verdict != Verdict::Invalid || !answered.without_read {
            violate("a forged tag is refused without a read", "forged tag".to_owned());
        }
        return;
    }
    let (bound, grace) = (history.bound_ms, if answered.closed { 0 } else { history.grace_ms });
    let slack = isolate.clock_slack(at - bound - grace - MAX_QUERY_MS - 5_000);
    if answered.verdict == Verdict::Unavailable {
        check_unavailable(history, states, isolate, answered, at, &mut violate);
        return;
    }

    let query_failed = isolate.failed_since(at - bound - slack);
    let window = if query_failed { bound + grace } else { bound };
    let last_complete = isolate.last_complete.map_or(Time::MIN, |complete| complete.asked);
    let from = (at - window - slack).max(last_complete);
    let possible = states.within(answered.key, from, at, answered.arrived);
    if !possible.iter().any(|state| demanded(state, answered) == answered.verdict) {
        let rule = match answered.verdict {
            Verdict::Accepted if at - from > bound => "no request is accepted after guaranteed_by",
            Verdict::Accepted => "no request is accepted after effective_by while the authority answers",
            _ => "no request is refused for a state that ended more than bound and grace ago",
        };
        violate(rule, format!("since {from} the authority had {possible:?}"));
    }
    check_age(states, isolate, answered, at, slack, (bound, grace), &mut violate);
}

/// Returns the verdict that a state of the authority demands.
fn demanded(state: &State, answered: &Answered) -> Verdict {
    let State::Present(rights) = state else { return Verdict::Invalid };
    if answered.credential == Credential::WrongSecret {
        Verdict::Invalid
    } else if rights.revoked {
        Verdict::Revoked
    } else if rights.ended_by_change || answered.clock >= rights.expires_at {
        Verdict::Expired
    } else if rights.quarantined {
        Verdict::Quarantined
    } else if rights.addresses & answered.address == 0 {
        Verdict::Address
    } else if rights.scopes & answered.scope == 0 {
        Verdict::Scope
    } else {
        Verdict::Accepted
    }
}

/// Checks `Keyward-Authority`: it is sent during the grace only, and its age is true.
fn check_age(
    states: &StateHistory,
    isolate: &Isolate,
    answered: &Answered,
    at: Time,
    slack: Time,
    (bound, grace): (Time, Time),
    violate: &mut impl FnMut(&'static str, String),
) {
    let Some(newest_data) = isolate.newest_data else {
        violate("an isolate without data from the authority decides nothing", "decided".to_owned());
        return;
    };
    let true_age = at - newest_data;
    match answered.age_seconds {
        None if true_age - slack >= bound => {
            violate("an answer during the grace states its age", format!("its data is {true_age} ms old"));
        }
        Some(age) if age * 1000 + 999 < true_age - slack => {
            violate("the stated age is true", format!("its data is {true_age} ms old"));
        }
        Some(age) if age * 1000 < bound || age * 1000 >= bound + grace => {
            violate("the grace starts after the bound and ends", format!("the stated age is {age} s"));
        }
        Some(age) => {
            // The isolate's own complete answer limits the age, unless a later event made it discard that answer. One of the same
            // millisecond may have come after the decision.
            let own = isolate.last_complete.filter(|own| {
                own.at < at
                    && !isolate.stepped_within(own.first, at)
                    && !isolate.discarded_since(own.at)
                    && !states.discontinuity_within(own.at, at)
            });
            if let Some(own) = own.filter(|own| age * 1000 > at - own.first) {
                violate("the stated age is true", format!("the isolate itself asked at {}", own.first));
            }
        }
        None => {}
    }
}

/// Checks that a 503 was unavoidable.
fn check_unavailable(
    history: &History,
    states: &StateHistory,
    isolate: &Isolate,
    answered: &Answered,
    at: Time,
    violate: &mut impl FnMut(&'static str, String),
) {
    let (bound, grace) = (history.bound_ms, if answered.closed { 0 } else { history.grace_ms });
    // The cached record of the key may come from a request on a route that has the grace.
    let max_window = bound + history.grace_ms;
    if let (Some(own), Some(decided)) = (isolate.last_complete, isolate.last_decided.get(&answered.key)) {
        // When the isolate decided it, the record may have been bound plus grace old, by the clock of another isolate.
        let knows_key = !states.changed_since(answered.key, decided - 2 * max_window - MAX_QUERY_MS, at)
            && !isolate.discarded_since(*decided);
        let undisturbed =
            !isolate.stepped_within(own.first, at) && !states.discontinuity_within(own.first - MAX_QUERY_MS, at);
        if at - own.first < bound + grace && history.caches_every_key && knows_key && undisturbed {
            violate(
                "no 503 within the grace for a key that the isolate knows",
                format!("it asked at {} and decided on the key at {decided}", own.first),
            );
        }
    }
    let since = answered.arrived - bound - MAX_QUERY_MS;
    // With a short bound, an answer that takes a large part of it is too old to use.
    let authority_answered = !isolate.failed_since(since)
        && !isolate.waited_since(since, bound / 3)
        && !isolate.stepped_within(since, at)
        && !states.discontinuity_within(since, at)
        && isolate.lookups_since(at - 2_000) < LOOKUPS_IN_2_SECONDS;
    if authority_answered {
        violate("no 503 while the authority answers", "none of its queries failed".to_owned());
    }
}
