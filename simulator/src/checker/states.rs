//! What the authority had of each key, when.

use std::collections::HashMap;

use crate::history::{History, State, Time, What};

/// From when (included) until when (excluded) a state was in force.
#[derive(Debug)]
pub struct Span {
    pub from: Time,
    pub until: Time,
    pub revision: u64,
    pub state: State,
}

#[derive(Default)]
pub struct States {
    keys: HashMap<usize, Vec<Span>>,
    /// When the first confirmation of a key's issue came, and whether somebody used the key before.
    issued: HashMap<usize, Time>,
    used_early: HashMap<usize, bool>,
    /// When something happened to the whole history: a restore, or a new epoch.
    pub upheavals: Vec<Time>,
    pub restores: Vec<(Time, Time)>,
    pub epochs: usize,
}

static ABSENT: State = State::Absent;

impl States {
    pub fn of(history: &History) -> Self {
        let mut states = Self::default();
        // Spans of histories that are gone, until a new epoch begins.
        let mut lost: Vec<(usize, usize)> = Vec::new();
        for record in &history.records {
            let at = record.at;
            match &record.what {
                What::State { key, revision, state } => {
                    let spans = states.keys.entry(*key).or_insert_with(first);
                    if let Some(last) = spans.last_mut().filter(|last| last.until == Time::MAX) {
                        last.until = at;
                    }
                    // One that is lost already may be open yet; what comes now is behind it all the same.
                    spans.push(Span { from: at, until: Time::MAX, revision: *revision, state: state.clone() });
                }
                What::Restored { to, .. } => {
                    states.upheavals.push(at);
                    states.restores.push((*to, at));
                    for (key, spans) in &states.keys {
                        let gone = spans.iter().enumerate().filter(|(_, span)| span.until > *to);
                        lost.extend(gone.map(|(place, _)| (*key, place)));
                    }
                }
                What::EpochBegan => {
                    states.upheavals.push(at);
                    states.epochs += 1;
                    for (key, place) in lost.drain(..) {
                        let spans = states.keys.get_mut(&key).expect("it was there");
                        spans[place].until = spans[place].until.max(at);
                    }
                }
                What::Confirmed { key, change: "issue" | "rotate", .. } => {
                    states.issued.entry(*key).or_insert(at);
                }
                What::Answered(answered)
                    if states.issued.get(&answered.key).is_none_or(|issued| answered.arrived < *issued) =>
                {
                    states.used_early.insert(answered.key, true);
                }
                _ => {}
            }
        }
        for (key, place) in lost {
            states.keys.get_mut(&key).expect("it was there")[place].until = Time::MAX;
        }
        states
    }

    /// The states of a key in force at some time after `from` and not after `to`.
    pub fn within(&self, key: usize, from: Time, to: Time, arrived: Time) -> Vec<&State> {
        let Some(spans) = self.keys.get(&key) else { return vec![&ABSENT] };
        let confirmed = self.issued.get(&key).is_some_and(|issued| *issued <= arrived);
        let known = confirmed && !self.used_early.get(&key).copied().unwrap_or_default();
        let within = |span: &&Span| span.from <= to && span.until > from;
        spans.iter().skip(usize::from(known)).filter(within).map(|span| &span.state).collect()
    }

    /// Whether a key was changed after `from`.
    pub fn changed_since(&self, key: usize, from: Time, to: Time) -> bool {
        let spans = self.keys.get(&key).map(Vec::as_slice).unwrap_or_default();
        spans.iter().any(|span| from <= span.from && span.from <= to)
    }

    pub fn upheaval_within(&self, from: Time, to: Time) -> bool {
        self.upheavals.iter().any(|at| (from..=to).contains(at))
    }

    /// Whether what was true at `at` may have been undone by a later restore: what is written in the millisecond of the backup
    /// may be in it or not.
    pub fn undone(&self, at: Time) -> bool {
        self.restores.iter().any(|(to, restored)| *to <= at && at <= *restored)
    }

    pub fn spans(&self) -> impl Iterator<Item = (usize, &[Span])> {
        self.keys.iter().map(|(key, spans)| (*key, spans.as_slice()))
    }

    pub fn has_revision(&self, key: usize, revision: u64, until: Time) -> Option<Time> {
        let spans = self.keys.get(&key)?;
        spans.iter().find(|span| span.revision == revision && span.from <= until).map(|span| span.from)
    }
}

fn first() -> Vec<Span> {
    vec![Span { from: Time::MIN, until: Time::MAX, revision: 0, state: State::Absent }]
}
