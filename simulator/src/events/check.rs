//! Rules of events, checked on plain data.

use super::world::{Arrived, Committed, EndpointLife, History, Time};

/// Number of attempts of a delivery, and the least pauses before each, in milliseconds: the documented ones less 20 %.
const ATTEMPTS: usize = 10;
const LEAST_PAUSES_MS: [Time; ATTEMPTS] =
    [0, 4_000, 240_000, 1_440_000, 5_760_000, 14_400_000, 28_800_000, 40_320_000, 57_600_000, 69_120_000];

/// Time in milliseconds that an attempt is on its way: it may have begun just before its endpoint was deleted.
const ON_ITS_WAY_MS: Time = 1_500;

/// Time in milliseconds within which an event arrives if nothing fails.
const PROMPT_MS: Time = 60_000;

/// Events committed within this time of each other, in milliseconds, may arrive in any order: two attempts are made at once.
const AT_ONCE_MS: Time = 2_000;

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub rule: &'static str,
    pub text: String,
}

/// Returns the violations of a history.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut violate = |rule, text| violations.push(Violation { rule, text });
    for arrived in &history.arrived {
        let endpoint = &history.endpoints[arrived.endpoint];
        match history.committed.iter().find(|event| event.id == arrived.id) {
            Some(event) if is_due(endpoint, event) => {}
            _ => violate("only what was committed and subscribed to arrives", format!("{arrived:?}")),
        }
        if endpoint.deletion_noted_at.is_some_and(|noted_at| arrived.at > noted_at + ON_ITS_WAY_MS) {
            violate("nothing arrives after the endpoint was deleted", format!("{arrived:?}"));
        }
    }
    for (number, endpoint) in history.endpoints.iter().enumerate() {
        for event in &history.committed {
            let of_event = |arrived: &&Arrived| arrived.endpoint == number && arrived.id == event.id;
            let arrivals: Vec<Time> = history.arrived.iter().filter(of_event).map(|arrived| arrived.at).collect();
            if is_due(endpoint, event) && endpoint.deleted_at.is_none() && arrivals.is_empty() {
                violate("every committed change arrives", format!("{event:?} at endpoint {number}"));
            }
            if arrivals.len() > ATTEMPTS {
                violate("no more attempts than the schedule has", format!("{event:?}: {arrivals:?}"));
            }
            for (pair, least) in arrivals.windows(2).zip(&LEAST_PAUSES_MS[1..]) {
                if pair[1] - pair[0] < *least - ON_ITS_WAY_MS {
                    violate("no attempt comes before its time", format!("{event:?}: {arrivals:?}"));
                }
            }
            if history.is_calm && is_due(endpoint, event) && endpoint.deleted_at.is_none() {
                let is_prompt = arrivals.len() == 1 && arrivals[0] - event.at <= PROMPT_MS;
                if !is_prompt {
                    violate("an event arrives once and soon if nothing fails", format!("{event:?}: {arrivals:?}"));
                }
            }
        }
        if history.is_calm {
            check_order(history, number, &mut violate);
        }
    }
    violations
}

fn is_due(endpoint: &EndpointLife, event: &Committed) -> bool {
    endpoint.enabled_since < event.seq
        && endpoint.only_type.is_none_or(|only| only == event.kind)
        && endpoint.deletion_seq.is_none_or(|deletion| event.seq < deletion)
}

fn check_order(history: &History, endpoint: usize, violate: &mut impl FnMut(&'static str, String)) {
    let committed = |id: &str| history.committed.iter().find(|event| event.id == id);
    let events: Vec<&Committed> = history
        .arrived
        .iter()
        .filter(|arrived| arrived.endpoint == endpoint)
        .filter_map(|arrived| committed(&arrived.id))
        .collect();
    for pair in events.windows(2) {
        if pair[0].seq > pair[1].seq && pair[0].at - pair[1].at > AT_ONCE_MS {
            violate("events arrive in the order of their changes if nothing fails", format!("{pair:?}"));
        }
    }
}
