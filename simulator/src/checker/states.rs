//! States of each key in the authority over time.

use std::collections::{HashMap, HashSet};

use crate::history::{Event, History, State, Time};

/// A state, in force from `from` (included) until `until` (excluded).
#[derive(Debug)]
pub struct Span {
    pub from: Time,
    pub until: Time,
    pub revision: u64,
    pub state: State,
}

#[derive(Default)]
pub struct StateHistory {
    keys: HashMap<usize, Vec<Span>>,
    /// When the issue of each key was first confirmed.
    issued: HashMap<usize, Time>,
    /// Keys that a request presented before their issue was confirmed.
    presented_before_issue: HashSet<usize>,
    /// Times of restores and of new epochs.
    discontinuities: Vec<Time>,
    /// For each restore: the time of its backup, and when it happened.
    pub restores: Vec<(Time, Time)>,
    pub epochs: usize,
}

static ABSENT: State = State::Absent;

impl StateHistory {
    pub fn of(history: &History) -> Self {
        let mut states = Self::default();
        // Spans that a restore undid: key and index. They stay allowed until a new epoch starts.
        let mut undone: Vec<(usize, usize)> = Vec::new();
        for record in &history.records {
            let at = record.at;
            match &record.event {
                Event::StateChanged { key, revision, state } => {
                    let spans = states.keys.entry(*key).or_insert_with(initial_spans);
                    // The open span may be one that a restore undid. The new state follows it all the same.
                    if let Some(last) = spans.last_mut().filter(|last| last.until == Time::MAX) {
                        last.until = at;
                    }
                    spans.push(Span { from: at, until: Time::MAX, revision: *revision, state: state.clone() });
                }
                Event::Restored { to, .. } => {
                    states.discontinuities.push(at);
                    states.restores.push((*to, at));
                    for (key, spans) in &states.keys {
                        let lost = spans.iter().enumerate().filter(|(_, span)| span.until > *to);
                        undone.extend(lost.map(|(index, _)| (*key, index)));
                    }
                }
                Event::EpochStarted => {
                    states.discontinuities.push(at);
                    states.epochs += 1;
                    for (key, index) in undone.drain(..) {
                        let spans = states.keys.get_mut(&key).expect("a span was undone, so its key exists");
                        spans[index].until = spans[index].until.max(at);
                    }
                }
                Event::ChangeConfirmed { key, change: "issue" | "rotate", .. } => {
                    states.issued.entry(*key).or_insert(at);
                }
                Event::Answered(answered)
                    if states.issued.get(&answered.key).is_none_or(|issued| answered.arrived < *issued) =>
                {
                    states.presented_before_issue.insert(answered.key);
                }
                _ => {}
            }
        }
        for (key, index) in undone {
            states.keys.get_mut(&key).expect("a span was undone, so its key exists")[index].until = Time::MAX;
        }
        states
    }

    /// Returns the states of a key that were in force between `from` (excluded) and `to` (included).
    pub fn within(&self, key: usize, from: Time, to: Time, arrived: Time) -> Vec<&State> {
        let Some(spans) = self.keys.get(&key) else { return vec![&ABSENT] };
        let confirmed = self.issued.get(&key).is_some_and(|issued| *issued <= arrived);
        let never_unknown = confirmed && !self.presented_before_issue.contains(&key);
        let within = |span: &&Span| span.from <= to && span.until > from;
        spans.iter().skip(usize::from(never_unknown)).filter(within).map(|span| &span.state).collect()
    }

    /// Returns whether a key was changed between `from` and `to`, both included.
    pub fn changed_since(&self, key: usize, from: Time, to: Time) -> bool {
        let spans = self.keys.get(&key).map(Vec::as_slice).unwrap_or_default();
        spans.iter().any(|span| from <= span.from && span.from <= to)
    }

    pub fn discontinuity_within(&self, from: Time, to: Time) -> bool {
        self.discontinuities.iter().any(|at| (from..=to).contains(at))
    }

    /// Returns whether a later restore may have undone a change made at `at`. The backup may or may not contain a change of its own
    /// millisecond.
    pub fn may_be_undone(&self, at: Time) -> bool {
        self.restores.iter().any(|(to, restored)| *to <= at && at <= *restored)
    }

    pub fn spans(&self) -> impl Iterator<Item = (usize, &[Span])> {
        self.keys.iter().map(|(key, spans)| (*key, spans.as_slice()))
    }

    /// Returns when a revision of a key was committed, if that was not after `until`.
    pub fn made_at(&self, key: usize, revision: u64, until: Time) -> Option<Time> {
        let spans = self.keys.get(&key)?;
        spans.iter().find(|span| span.revision == revision && span.from <= until).map(|span| span.from)
    }
}

fn initial_spans() -> Vec<Span> {
    vec![Span { from: Time::MIN, until: Time::MAX, revision: 0, state: State::Absent }]
}
