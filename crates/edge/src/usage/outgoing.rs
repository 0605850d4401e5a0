//! Reports of an isolate to one shard: numbered from 1, one at a time, repeated unchanged until confirmed.

use keyward_key::time::Millis;
use keyward_protocol::metrics::MetricsReport;
use keyward_protocol::usage::{KeyUsage, UsageReport, UsageRequest};

/// Age in milliseconds after which a report that was not answered counts as cancelled with its task.
const ABANDONED_AFTER_MS: i64 = 6_000;

/// Age in milliseconds after which an isolate gives a report up. Much less than the time for which a shard remembers the isolate, so no
/// report counts twice.
const GIVE_UP_AFTER_MS: i64 = 3_600_000;

/// Pause in milliseconds after which an isolate reports under another name: half the time for which a shard remembers it.
const FORGOTTEN_AFTER_MS: i64 = 43_200_000;

/// Minimum interval between messages to the registry that a report is missing, in milliseconds.
const MISSING_INTERVAL_MS: i64 = 60_000;

/// Reports to one shard.
#[derive(Default)]
pub(super) struct Outgoing {
    /// Number of the name that the shard knows the isolate by.
    generation: u32,
    sequence: u64,
    /// Number of reports made, under all names. A late answer to an earlier one must not confirm the present one.
    made: u64,
    /// Time of the last confirmation.
    confirmed_at: Option<Millis>,
    unconfirmed: Option<Unconfirmed>,
    sent_at: Option<Millis>,
    told_missing_at: Option<Millis>,
}

struct Unconfirmed {
    message: String,
    made_at: Millis,
}

impl Outgoing {
    /// Returns whether a report waits for its confirmation.
    pub const fn is_unconfirmed(&self) -> bool {
        self.unconfirmed.is_some()
    }

    /// Returns whether nothing was sent yet.
    pub const fn is_new(&self) -> bool {
        self.made == 0
    }

    /// Returns whether another task waits for an answer.
    pub fn is_in_flight(&self, now: Millis) -> bool {
        self.sent_at.is_some_and(|sent_at| (0..ABANDONED_AFTER_MS).contains(&now.since(sent_at)))
    }

    /// Makes the next report. Only if none is unconfirmed. After a long pause the shard may have forgotten the isolate, so the report is the
    /// first one under another name.
    pub fn make(
        &mut self,
        shard: u32,
        isolate: &str,
        keys: Vec<KeyUsage>,
        metrics: Option<MetricsReport>,
        now: Millis,
    ) {
        if self.confirmed_at.is_some_and(|at| !(0..FORGOTTEN_AFTER_MS).contains(&now.since(at))) {
            self.generation = self.generation.saturating_add(1);
            self.sequence = 0;
        }
        self.sequence = self.sequence.saturating_add(1);
        self.made = self.made.saturating_add(1);
        let isolate = format!("{isolate}.{}", self.generation);
        let report = UsageReport { shard, isolate, sequence: self.sequence, keys, metrics };
        if let Ok(message) = serde_json::to_string(&UsageRequest::Report(report)) {
            self.unconfirmed = Some(Unconfirmed { message, made_at: now });
        }
    }

    /// Gives up an unconfirmed report that is too old to be sent, for example after a pause of the isolate, and returns whether it did. The
    /// shard may have counted it and forgotten the isolate since, so the next report is the first one under another name.
    pub fn give_up_old(&mut self, now: Millis) -> bool {
        // A clock that stepped back proves no age.
        let is_old = |made_at: Millis| !(0..GIVE_UP_AFTER_MS).contains(&now.since(made_at));
        if !self.unconfirmed.as_ref().is_some_and(|unconfirmed| is_old(unconfirmed.made_at)) {
            return false;
        }
        self.generation = self.generation.saturating_add(1);
        (self.sequence, self.unconfirmed, self.sent_at) = (0, None, None);
        true
    }

    /// Returns the unconfirmed report and its place among all reports made, to be sent now.
    pub fn send(&mut self, now: Millis) -> Option<(u64, String)> {
        let message = self.unconfirmed.as_ref()?.message.clone();
        self.sent_at = Some(now);
        Some((self.made, message))
    }

    /// Records that the shard has counted a report, named by what [`Self::send`] returned with it.
    pub fn confirmed(&mut self, made: u64, now: Millis) {
        if made == self.made {
            (self.unconfirmed, self.sent_at, self.confirmed_at) = (None, None, Some(now));
        }
    }

    /// Returns whether the registry must learn that a report is missing: at most once a minute.
    pub fn must_tell_missing(&self, now: Millis) -> bool {
        !self.told_missing_at.is_some_and(|told_at| (0..MISSING_INTERVAL_MS).contains(&now.since(told_at)))
    }

    /// Records that the registry learned it.
    pub const fn told_missing(&mut self, now: Millis) {
        self.told_missing_at = Some(now);
    }

    /// Records that a report was not confirmed. Returns whether it is given up.
    pub fn failed(&mut self, now: Millis) -> bool {
        self.sent_at = None;
        self.give_up_old(now)
    }
}
