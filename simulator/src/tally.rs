//! What was simulated how often: so that one sees that the faults do occur.

use std::collections::BTreeMap;

use crate::history::{History, Presents, QueryResult, Verdict, What};

#[derive(Default, Clone)]
pub struct Tally(BTreeMap<String, u64>);

impl Tally {
    fn count(&mut self, name: impl Into<String>) {
        *self.0.entry(name.into()).or_default() += 1;
    }

    pub fn take(&mut self, history: &History) {
        self.count("histories");
        for record in &history.records {
            match &record.what {
                What::Answered(answered) => {
                    let verdict = match (answered.presents, answered.verdict) {
                        (Presents::Garbage, _) => "garbage refused",
                        (_, Verdict::Accepted) => "accepted",
                        (_, Verdict::Invalid) => "401 invalid_key",
                        (_, Verdict::Revoked) => "401 revoked_key",
                        (_, Verdict::Expired) => "401 expired_key",
                        (_, Verdict::Address) => "403 address_not_allowed",
                        (_, Verdict::Scope) => "403 insufficient_scope",
                        (_, Verdict::Unavailable) => "503 authority_unavailable",
                        (_, Verdict::Other) => "other",
                    };
                    self.count(format!("answer: {verdict}"));
                    self.count(if answered.at_once { "answered at once" } else { "answered after asking" });
                    if answered.age.is_some() {
                        self.count("answered in the grace");
                    }
                }
                What::Asked { about, outcome: QueryResult::Failed, .. } => {
                    self.count(format!("asked in vain: {about:?}"))
                }
                What::Asked { about, .. } => self.count(format!("asked: {about:?}")),
                What::Read { kind, replayed: true, .. } => self.count(format!("cache, replayed: {kind:?}")),
                What::Read { kind, .. } => self.count(format!("cache: {kind:?}")),
                What::Confirmed { change, .. } => self.count(format!("change: {change}")),
                What::Logged { event, .. } => self.count(format!("log: {event}")),
                What::Restored { announced: true, .. } => self.count("restore, announced"),
                What::Restored { .. } => self.count("restore, not announced"),
                What::EpochBegan => self.count("epoch began"),
                What::ObjectRestarted => self.count("object restarted"),
                What::Born { .. } => self.count("isolate born"),
                What::Died { .. } => self.count("isolate died"),
                What::Cut { .. } => self.count("request cut off"),
                What::Stepped { by, .. } => {
                    self.count(if *by < 0 { "clock stepped back" } else { "clock stepped forth" })
                }
                What::Fault { what } => {
                    let words: Vec<&str> = what.split([' ', '(', '{', ':']).take(4).collect();
                    let short = if what.starts_with('a') || what.starts_with('t') {
                        words.join(" ")
                    } else {
                        words[0].to_owned()
                    };
                    self.count(format!("trouble: {short}"));
                }
                What::State { .. } | What::Arrived { .. } => {}
            }
        }
    }

    pub fn add(&mut self, other: &Self) {
        for (name, count) in &other.0 {
            *self.0.entry(name.clone()).or_default() += count;
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
