//! What an isolate may know, from what was seen of it.

use std::collections::HashMap;

use super::Violation;
use crate::history::{About, Answered, CacheEntryKind, QueryResult, Record, Time, Verdict, What};

/// Less is the platform's rounding.
const STEP_BACK: i64 = 100;
/// How often an outage is logged at most, and how long an isolate may take to.
const LOG_EVERY: i64 = 60_000;
const LOG_WITHIN: i64 = 10_000;

#[derive(Default)]
pub struct Isolate {
    /// The latest clock that it was shown.
    latest: i64,
    /// Backward steps that nothing it knows is proof against: when, and how far.
    unseen: Vec<(Time, Time)>,
    /// Old answers put back as fresh ones: when, and by how much they may have seemed younger.
    replays: Vec<(Time, Time)>,
    pub steps: Vec<Time>,
    pub asks: Vec<Asked>,
    /// The latest question whose complete answer this isolate had.
    pub complete: Option<Asked>,
    /// The latest time at which anybody had asked the authority for what this isolate was told.
    pub heard: Option<Time>,
    /// When each key was last answered by its record.
    pub judged: HashMap<usize, Time>,
    outage_logs: Vec<(Time, i64)>,
    graces: Vec<Time>,
    restored: Vec<(Time, Time)>,
    alarms: Vec<Time>,
}

#[derive(Clone, Copy)]
pub struct Asked {
    /// When it was first tried.
    pub first: Time,
    pub asked: Time,
    pub at: Time,
    pub about: About,
    pub failed: bool,
}

impl Isolate {
    fn observe(&mut self, clock: i64) {
        if clock < self.latest - STEP_BACK {
            self.unseen.clear();
            self.latest = clock;
        }
        self.latest = self.latest.max(clock);
    }

    /// By how much what it knows may seem younger than it is.
    pub fn slack(&self, since: Time) -> Time {
        self.unseen.iter().chain(&self.replays).filter(|(at, _)| *at >= since).map(|(_, by)| by).sum()
    }

    pub fn stepped_within(&self, from: Time, to: Time) -> bool {
        self.steps.iter().any(|at| (from..=to).contains(at))
    }

    /// Whether it has asked in vain, and learned of it after `since`.
    pub fn failed_since(&self, since: Time) -> bool {
        self.asks.iter().rev().take_while(|ask| ask.at > since).any(|ask| ask.failed)
    }

    /// Whether it was told of another history since, and forgot what it knew.
    pub fn forgot_since(&self, since: Time) -> bool {
        self.alarms.iter().any(|at| *at > since)
    }

    /// Whether an answer took longer than so much.
    pub fn waited_since(&self, since: Time, longest: Time) -> bool {
        self.asks.iter().rev().take_while(|ask| ask.at > since).any(|ask| ask.at - ask.first > longest)
    }

    pub fn looked_up_since(&self, since: Time) -> usize {
        self.asks.iter().rev().take_while(|ask| ask.at > since).filter(|ask| ask.about == About::Key).count()
    }
}

#[derive(Default)]
pub struct Isolates {
    isolates: HashMap<usize, Isolate>,
    /// How far each clock was from true time at its isolate's birth, but for what is the same for all.
    offsets: Vec<i64>,
    /// How far clocks have stepped, all together.
    stepped: i64,
    /// An answer that takes as long as the bound is none.
    bound: Time,
}

impl Isolates {
    pub fn new(bound: Time) -> Self {
        Self { bound, ..Self::default() }
    }

    pub fn of(&self, number: usize) -> &Isolate {
        &self.isolates[&number]
    }

    pub fn take(&mut self, record: &Record) {
        let (at, bound) = (record.at, self.bound);
        match &record.what {
            What::Born { isolate, clock, .. } => {
                self.offsets.push(*clock - at);
                self.isolates.insert(*isolate, Isolate::default());
            }
            What::Stepped { isolate, by } => {
                self.stepped += by.abs();
                let isolate = self.isolates.entry(*isolate).or_default();
                isolate.steps.push(at);
                if *by < 0 {
                    isolate.unseen.push((at, -by));
                }
            }
            What::Arrived { isolate, clock } => self.isolates.entry(*isolate).or_default().observe(*clock),
            What::Answered(answered) => {
                self.isolates.entry(answered.isolate).or_default().observe(answered.clock);
            }
            What::Asked { isolate, about, first, asked, clock, outcome } => {
                let isolate = self.isolates.entry(*isolate).or_default();
                let failed = *outcome == QueryResult::Failed || (*about == About::FeedPage && at - first >= bound);
                // What comes across a step of the clock may pass for late, and then the authority for silent.
                let passes_for_late = *about == About::FeedPage && isolate.stepped_within(*first, at);
                let ask = Asked { first: *first, asked: *asked, at, about: *about, failed: failed || passes_for_late };
                isolate.asks.push(ask);
                if *about == About::FeedPage && !failed {
                    isolate.observe(*clock);
                }
                // An answer across a step of the clock may be thrown away: its age can't be told.
                let usable = !isolate.stepped_within(*first, at);
                if *outcome == QueryResult::Complete {
                    isolate.heard = isolate.heard.max(Some(*asked));
                    if usable && isolate.complete.is_none_or(|complete| complete.asked < *asked) {
                        isolate.complete = Some(ask);
                    }
                }
                if *outcome == QueryResult::Restored && usable {
                    isolate.restored.push((*first, at));
                }
            }
            What::Read { isolate, kind: kind @ (CacheEntryKind::Fresh | CacheEntryKind::Last), asked, replayed } => {
                let apart = match (self.offsets.iter().min(), self.offsets.iter().max()) {
                    (Some(least), Some(most)) => most - least + self.stepped,
                    _ => 0,
                };
                let isolate = self.isolates.entry(*isolate).or_default();
                isolate.heard = isolate.heard.max(Some(*asked));
                if *replayed && *kind == CacheEntryKind::Fresh && apart > 0 {
                    isolate.replays.push((at, apart));
                }
            }
            What::Logged { isolate, event, .. } if event == "authority_restored" => {
                self.isolates.entry(*isolate).or_default().alarms.push(at);
            }
            _ => {}
        }
    }

    pub fn note_answer(&mut self, answered: &Answered, at: Time) {
        let isolate = self.isolates.entry(answered.isolate).or_default();
        if !matches!(answered.verdict, Verdict::Unavailable | Verdict::Invalid | Verdict::Other) {
            isolate.judged.insert(answered.key, at);
        }
        if answered.age.is_some() && answered.verdict == Verdict::Accepted {
            isolate.graces.push(at);
        }
    }

    pub fn note_outage_log(&mut self, number: usize, clock: i64, at: Time, violations: &mut Vec<Violation>) {
        let isolate = self.isolates.entry(number).or_default();
        if let Some((before, then)) = isolate.outage_logs.last()
            && (0..LOG_EVERY).contains(&(clock - then))
            && !isolate.stepped_within(*before, at)
        {
            let text = format!("isolate {number} logged the outage {} ms after it did at {before}", clock - then);
            violations.push(Violation { rule: "an outage is logged once a minute", at, text });
        }
        isolate.outage_logs.push((at, clock));
    }

    pub fn judge_alarms(&self, violations: &mut Vec<Violation>) {
        for (number, isolate) in &self.isolates {
            for (first, at) in &isolate.restored {
                // Of two questions under way at once the first to be answered tells of it.
                if !isolate.alarms.iter().any(|alarm| (first..=at).contains(&alarm)) {
                    let text = format!("isolate {number} was told of another history and logged nothing");
                    violations.push(Violation { rule: "a restore that was noticed is logged", at: *at, text });
                }
            }
            for (place, first) in isolate.graces.iter().enumerate() {
                let Some(last) = isolate.graces[place..].iter().find(|at| **at >= first + LOG_WITHIN) else { break };
                let logged = isolate.outage_logs.iter().any(|(at, _)| (first - LOG_EVERY..=*last).contains(at));
                if !logged && !isolate.stepped_within(first - LOG_EVERY, *last) {
                    let text =
                        format!("isolate {number} went on in an outage from {first} to {last} and logged nothing");
                    violations.push(Violation { rule: "an outage is logged", at: *last, text });
                    break;
                }
            }
        }
    }
}
