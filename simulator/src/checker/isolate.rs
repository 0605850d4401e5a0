//! Upper limit of an isolate's knowledge, derived from the events that it took part in.

use std::collections::HashMap;

use super::Violation;
use crate::history::{Answered, CacheEntryKind, Event, QueryResult, QuerySubject, Record, Time, Verdict};

/// Smallest backward step of a clock that counts as observed. The platform's rounding stays below it.
const MIN_STEP_BACK_MS: i64 = 100;
/// An outage is logged once in this interval.
const LOG_INTERVAL_MS: i64 = 60_000;
/// Longest time from the first answer in the grace to the log entry.
const LOG_DELAY_MS: i64 = 10_000;

#[derive(Default)]
pub struct Isolate {
    /// Latest clock reading that the isolate saw.
    latest_clock: i64,
    /// Time and length of backward steps that no request has observed.
    unobserved_steps: Vec<(Time, Time)>,
    /// Time of a replayed fresh answer, and by how much it may seem younger than it is.
    replays: Vec<(Time, Time)>,
    steps: Vec<Time>,
    queries: Vec<Query>,
    /// Latest query whose complete answer this isolate received.
    pub last_complete: Option<Query>,
    /// Latest time at which any isolate asked the authority for data that this isolate received.
    pub newest_data: Option<Time>,
    /// For each key: when it was last decided by its record.
    pub last_decided: HashMap<usize, Time>,
    outage_logs: Vec<(Time, i64)>,
    accepted_in_grace: Vec<Time>,
    restores_received: Vec<(Time, Time)>,
    restore_logs: Vec<Time>,
}

#[derive(Clone, Copy)]
pub struct Query {
    /// When the first attempt was sent.
    pub first: Time,
    pub asked: Time,
    pub at: Time,
    subject: QuerySubject,
    failed: bool,
}

impl Isolate {
    fn observe(&mut self, clock: i64) {
        if clock < self.latest_clock - MIN_STEP_BACK_MS {
            self.unobserved_steps.clear();
            self.latest_clock = clock;
        }
        self.latest_clock = self.latest_clock.max(clock);
    }

    fn apply_query(&mut self, query: Query, clock: i64, outcome: QueryResult) {
        let Query { first, asked, at, subject, failed } = query;
        // The age of an answer is unknown if the clock stepped meanwhile. The isolate may take it for late, and discard it.
        let stepped = self.stepped_within(first, at);
        let may_seem_late = subject == QuerySubject::FeedPage && stepped;
        let query = Query { failed: failed || may_seem_late, ..query };
        self.queries.push(query);
        if subject == QuerySubject::FeedPage && !failed {
            self.observe(clock);
        }
        if outcome == QueryResult::Complete {
            self.newest_data = self.newest_data.max(Some(asked));
            if !stepped && self.last_complete.is_none_or(|complete| complete.asked < asked) {
                self.last_complete = Some(query);
            }
        }
        if outcome == QueryResult::Restored && !stepped {
            self.restores_received.push((first, at));
        }
    }

    /// Returns by how much the isolate may underestimate the age of its data.
    pub fn clock_slack(&self, since: Time) -> Time {
        self.unobserved_steps.iter().chain(&self.replays).filter(|(at, _)| *at >= since).map(|(_, by)| by).sum()
    }

    pub fn stepped_within(&self, from: Time, to: Time) -> bool {
        self.steps.iter().any(|at| (from..=to).contains(at))
    }

    fn queries_since(&self, since: Time) -> impl Iterator<Item = &Query> {
        self.queries.iter().rev().take_while(move |query| query.at > since)
    }

    /// Returns whether a query failed after `since`.
    pub fn failed_since(&self, since: Time) -> bool {
        self.queries_since(since).any(|query| query.failed)
    }

    /// Returns whether the isolate received a new epoch after `since`, and discarded its data.
    pub fn discarded_since(&self, since: Time) -> bool {
        self.restore_logs.iter().any(|at| *at > since)
    }

    /// Returns whether a query that finished after `since` took longer than `limit`.
    pub fn waited_since(&self, since: Time, limit: Time) -> bool {
        self.queries_since(since).any(|query| query.at - query.first > limit)
    }

    pub fn lookups_since(&self, since: Time) -> usize {
        self.queries_since(since).filter(|query| query.subject == QuerySubject::Key).count()
    }
}

#[derive(Default)]
pub struct Isolates {
    isolates: HashMap<usize, Isolate>,
    /// Offset of each clock from true time when its isolate started, plus a constant that is the same for all.
    offsets: Vec<i64>,
    /// Sum of all clock steps so far.
    total_steps: i64,
    /// An answer that takes as long as the bound counts as a failure.
    bound: Time,
}

impl Isolates {
    pub fn new(bound: Time) -> Self {
        Self { bound, ..Self::default() }
    }

    pub fn of(&self, number: usize) -> &Isolate {
        &self.isolates[&number]
    }

    fn of_mut(&mut self, number: usize) -> &mut Isolate {
        self.isolates.entry(number).or_default()
    }

    pub fn apply(&mut self, record: &Record) {
        let at = record.at;
        match &record.event {
            Event::IsolateStarted { isolate, clock, .. } => {
                self.offsets.push(*clock - at);
                self.isolates.insert(*isolate, Isolate::default());
            }
            Event::ClockStepped { isolate, by } => {
                self.total_steps += by.abs();
                let isolate = self.of_mut(*isolate);
                isolate.steps.push(at);
                if *by < 0 {
                    isolate.unobserved_steps.push((at, -by));
                }
            }
            Event::RequestArrived { isolate, clock } => self.of_mut(*isolate).observe(*clock),
            Event::Answered(answered) => self.of_mut(answered.isolate).observe(answered.clock),
            Event::QueryFinished { isolate, subject, first, asked, clock, outcome } => {
                let too_late = *subject == QuerySubject::FeedPage && at - first >= self.bound;
                let failed = *outcome == QueryResult::Failed || too_late;
                let query = Query { first: *first, asked: *asked, at, subject: *subject, failed };
                self.of_mut(*isolate).apply_query(query, *clock, *outcome);
            }
            Event::CacheRead {
                isolate,
                kind: kind @ (CacheEntryKind::Fresh | CacheEntryKind::Last),
                asked,
                replayed,
            } => {
                let max_difference = match (self.offsets.iter().min(), self.offsets.iter().max()) {
                    (Some(min), Some(max)) => max - min + self.total_steps,
                    _ => 0,
                };
                let isolate = self.of_mut(*isolate);
                isolate.newest_data = isolate.newest_data.max(Some(*asked));
                if *replayed && *kind == CacheEntryKind::Fresh && max_difference > 0 {
                    isolate.replays.push((at, max_difference));
                }
            }
            Event::Logged { isolate, event, .. } if event == "authority_restored" => {
                self.of_mut(*isolate).restore_logs.push(at);
            }
            _ => {}
        }
    }

    pub fn record_answer(&mut self, answered: &Answered, at: Time) {
        let isolate = self.of_mut(answered.isolate);
        if !matches!(answered.verdict, Verdict::Unavailable | Verdict::Invalid | Verdict::Other) {
            isolate.last_decided.insert(answered.key, at);
        }
        if answered.age_seconds.is_some() && answered.verdict == Verdict::Accepted {
            isolate.accepted_in_grace.push(at);
        }
    }

    pub fn record_outage_log(&mut self, number: usize, clock: i64, at: Time, violations: &mut Vec<Violation>) {
        let isolate = self.of_mut(number);
        if let Some((before, then)) = isolate.outage_logs.last()
            && (0..LOG_INTERVAL_MS).contains(&(clock - then))
            && !isolate.stepped_within(*before, at)
        {
            let text = format!("isolate {number} logged the outage again {} ms after {before}", clock - then);
            violations.push(Violation { rule: "an outage is logged once a minute", at, text });
        }
        isolate.outage_logs.push((at, clock));
    }

    /// Checks that restores and outages were logged.
    pub fn check_logs(&self, violations: &mut Vec<Violation>) {
        for (number, isolate) in &self.isolates {
            for (first, at) in &isolate.restores_received {
                // Of two queries in flight, the one that is answered first logs the restore.
                if !isolate.restore_logs.iter().any(|logged| (first..=at).contains(&logged)) {
                    let text = format!("isolate {number} received a new epoch and logged nothing");
                    violations.push(Violation { rule: "an isolate logs a restore that it notices", at: *at, text });
                }
            }
            for (index, first) in isolate.accepted_in_grace.iter().enumerate() {
                let later = isolate.accepted_in_grace[index..].iter().find(|at| **at >= first + LOG_DELAY_MS);
                let Some(last) = later else { break };
                let logged = isolate.outage_logs.iter().any(|(at, _)| (first - LOG_INTERVAL_MS..=*last).contains(at));
                if !logged && !isolate.stepped_within(first - LOG_INTERVAL_MS, *last) {
                    let text = format!(
                        "isolate {number} accepted requests in the grace from {first} to {last} and logged nothing"
                    );
                    violations.push(Violation { rule: "an outage is logged", at: *last, text });
                    break;
                }
            }
        }
    }
}
