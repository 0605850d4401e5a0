//! Counts of what was simulated, to show that the faults occur.

use std::collections::BTreeMap;

use crate::history::{Credential, Event, History, QueryResult, Verdict};

#[derive(Default, Clone)]
pub struct Tally(BTreeMap<String, u64>);

impl Tally {
    /// Adds a count.
    pub fn add(&mut self, name: impl Into<String>, count: u64) {
        *self.0.entry(name.into()).or_default() += count;
    }

    fn count(&mut self, name: impl Into<String>) {
        self.add(name, 1);
    }

    /// Counts the events of one history.
    pub fn count_history(&mut self, history: &History) {
        self.count("histories");
        for record in &history.records {
            match &record.event {
                Event::Answered(answered) => {
                    let verdict = match (answered.credential, answered.verdict) {
                        (Credential::ForgedTag, _) => "forged tag refused",
                        (_, Verdict::Accepted) => "accepted",
                        (_, Verdict::Invalid) => "401 invalid_key",
                        (_, Verdict::Revoked) => "401 revoked_key",
                        (_, Verdict::Expired) => "401 expired_key",
                        (_, Verdict::Quarantined) => "401 quarantined_key",
                        (_, Verdict::Address) => "403 address_not_allowed",
                        (_, Verdict::Scope) => "403 insufficient_scope",
                        (_, Verdict::Unavailable) => "503 authority_unavailable",
                        (_, Verdict::Other) => "other",
                    };
                    self.count(format!("answer: {verdict}"));
                    self.count(if answered.without_read { "answered without a read" } else { "answered after a read" });
                    if answered.age_seconds.is_some() {
                        self.count("answered in the grace");
                    }
                }
                Event::QueryFinished { subject, outcome: QueryResult::Failed, .. } => {
                    self.count(format!("query failed: {subject:?}"))
                }
                Event::QueryFinished { subject, .. } => self.count(format!("query answered: {subject:?}")),
                Event::CacheRead { kind, replayed: true, .. } => self.count(format!("cache read, replayed: {kind:?}")),
                Event::CacheRead { kind, .. } => self.count(format!("cache read: {kind:?}")),
                Event::ChangeConfirmed { change, .. } => self.count(format!("change: {change}")),
                Event::Logged { event, .. } => self.count(format!("log: {event}")),
                Event::Restored { announced: true, .. } => self.count("restore, announced"),
                Event::Restored { .. } => self.count("restore, not announced"),
                Event::EpochStarted => self.count("epoch started"),
                Event::ObjectRestarted => self.count("object restarted"),
                Event::IsolateStarted { .. } => self.count("isolate started"),
                Event::IsolateStopped { .. } => self.count("isolate stopped"),
                Event::TaskCancelled { .. } => self.count("task cancelled"),
                Event::ClockStepped { by, .. } => {
                    self.count(if *by < 0 { "clock stepped back" } else { "clock stepped forward" })
                }
                Event::Fault { description } => {
                    let words: Vec<&str> = description.split([' ', '(', '{', ':']).take(4).collect();
                    let short = if description.starts_with('a') || description.starts_with('t') {
                        words.join(" ")
                    } else {
                        words[0].to_owned()
                    };
                    self.count(format!("fault: {short}"));
                }
                Event::StateChanged { .. } | Event::RequestArrived { .. } => {}
            }
        }
    }

    /// Adds the counts of another tally.
    pub fn merge(&mut self, other: &Self) {
        for (name, count) in &other.0 {
            self.add(name.as_str(), *count);
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, count) in &self.0 {
            writeln!(formatter, "  {count:>10}  {name}")?;
        }
        Ok(())
    }
}
