//! The counts of one isolate, and what is due to be reported.

use std::collections::HashMap;

use keyward_gate::KeyUse;
use keyward_http::limits::{COUNTED_KEYS, COUNTED_TOTAL, REPORTED_KEYS, REPORTED_USES};
use keyward_key::time::Millis;
use keyward_protocol::LoggedEvents;
use keyward_protocol::feed::CompactKeyId;
use keyward_protocol::usage::{KeyUsage, USAGE_SHARDS};

use super::super::metrics::IsolateMetrics;
use super::key_counter::{Added, KeyCounter};
use super::outgoing::Outgoing;
use super::source::{Network, Origin};
use super::{FIRST_USE_PAUSE_MS, REPORT_PAUSE_MS};

/// What is counted of a request, beside its key and route.
pub(super) struct Use<'a> {
    /// `allowed` or the code of the refusal.
    pub decision: &'static str,
    /// Network of the client.
    pub network: Network,
    /// Client family.
    pub client: &'a str,
    /// Time of the request.
    pub now: Millis,
}

/// Work that a counted request makes due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageDue {
    /// The key; `None` if only metrics are to be reported.
    pub key: Option<CompactKeyId>,
    /// A network of which country and system are to be set.
    pub new_network: Option<Network>,
    /// Report to send.
    pub report: Option<Report>,
}

/// What a report needs beside the counts.
pub(super) struct Surroundings<'a> {
    /// Returns a random byte.
    pub random: &'a mut dyn FnMut() -> u8,
    /// Takes the events of the log that are not counted yet.
    pub logged: &'a mut dyn FnMut() -> Vec<LoggedEvents>,
    /// Receives the counts of a new report, and the data centre.
    pub reported: &'a mut dyn FnMut(&[KeyUsage], &str),
    /// Age of the authority's last answer, in milliseconds; `None` if it is unknown.
    pub age_ms: Option<i64>,
}

/// When to report, and to which shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// To this shard at once: its unreported keys fill a report.
    Shard(u32),
    /// To all shards after [`FIRST_USE_PAUSE_MS`]: a key was used for the first time in this hour.
    AllSoon,
    /// To all shards after [`REPORT_PAUSE_MS`].
    AllLater,
}

impl Report {
    /// Returns the pause before the report, in milliseconds.
    #[must_use]
    pub const fn pause_ms(self) -> u32 {
        match self {
            Self::Shard(_) => 0,
            Self::AllSoon => FIRST_USE_PAUSE_MS,
            Self::AllLater => REPORT_PAUSE_MS,
        }
    }
}

/// A task that pauses and then reports to all shards, for all requests that need it.
#[derive(Default)]
struct PausingTask {
    since: Option<Millis>,
}

impl PausingTask {
    /// Returns whether the task must be started, and takes it as started. A task that should have ended long ago counts as ended by the
    /// platform.
    fn starts(&mut self, report: Report, now: Millis) -> bool {
        let ended_after_ms = i64::from(report.pause_ms()).saturating_mul(2);
        let is_waiting = self.since.is_some_and(|since| (0..ended_after_ms).contains(&now.since(since)));
        if !is_waiting {
            self.since = Some(now);
        }
        !is_waiting
    }
}

/// The counts of one isolate.
pub struct UsageCounter {
    keys: HashMap<CompactKeyId, KeyCounter>,
    /// Number of keys of each shard with counts, less those that a report was started for.
    unreported_keys: [usize; USAGE_SHARDS as usize],
    /// Number of counts of all keys.
    unreported: usize,
    outgoing: [Outgoing; USAGE_SHARDS as usize],
    /// Random name; empty before the first report.
    name: String,
    /// A shard that this isolate wakes with an empty report, so that shards whose keys nobody uses are awake too.
    wakes: Option<u32>,
    /// The task that reports first uses.
    soon: PausingTask,
    /// The task that reports everything.
    later: PausingTask,
    /// Number of requests that could not be counted.
    lost: u64,
    /// Counters for metrics.
    pub(crate) metrics: IsolateMetrics,
    /// The shard that the metrics go to if no report of a key takes them along.
    home: u32,
}

impl Default for UsageCounter {
    fn default() -> Self {
        Self {
            keys: HashMap::new(),
            unreported_keys: [0; USAGE_SHARDS as usize],
            unreported: 0,
            outgoing: std::array::from_fn(|_| Outgoing::default()),
            name: String::new(),
            wakes: None,
            soon: PausingTask::default(),
            later: PausingTask::default(),
            lost: 0,
            metrics: IsolateMetrics::default(),
            home: 0,
        }
    }
}

impl UsageCounter {
    /// Creates empty counts; `jitter` is a random byte, which chooses the shard of the metrics.
    pub(crate) fn new(jitter: u8) -> Self {
        Self { home: u32::from(jitter) % USAGE_SHARDS, ..Self::default() }
    }

    /// Counts one request. `None` if nothing is due.
    pub(super) fn count(&mut self, used: &KeyUse<'_>, request: &Use<'_>) -> Option<UsageDue> {
        let is_full = self.unreported >= COUNTED_TOTAL;
        let Some(key) = self.keys.get_mut(&used.id) else {
            return if is_full { self.lose(used.id, request.now) } else { self.count_new(used, request) };
        };
        if is_full && key.is_reported() {
            return self.lose(used.id, request.now);
        }
        let (shard, was_reported) = (key.shard, key.is_reported());
        let added = key.add(used, request);
        self.due(used.id, shard, was_reported, added, request.now)
    }

    /// Does not count a request, because the memory for counts is full. It can still start the task that reports them: the keys with
    /// counts may never be used again.
    fn lose(&mut self, key: CompactKeyId, now: Millis) -> Option<UsageDue> {
        self.lost = self.lost.saturating_add(1);
        let report = self.later(now)?;
        Some(UsageDue { key: Some(key), new_network: None, report: Some(report) })
    }

    /// Returns the report to all shards that a waiting task will send, unless one waits already.
    fn later(&mut self, now: Millis) -> Option<Report> {
        self.later.starts(Report::AllLater, now).then_some(Report::AllLater)
    }

    fn count_new(&mut self, used: &KeyUse<'_>, request: &Use<'_>) -> Option<UsageDue> {
        if self.keys.len() >= COUNTED_KEYS {
            // Forgetting a reported key makes its next use a first use again, which costs one more report.
            self.keys.retain(|_, key| !key.is_reported());
        }
        let key = self.keys.entry(used.id).or_insert_with(|| KeyCounter::new(used));
        let shard = key.shard;
        let added = key.add(used, request);
        self.due(used.id, shard, true, added, request.now)
    }

    /// Returns what a counted use makes due. `is_unreported_now` says whether the key had no counts before it.
    fn due(
        &mut self,
        key: CompactKeyId,
        shard: u32,
        is_unreported_now: bool,
        added: Added,
        now: Millis,
    ) -> Option<UsageDue> {
        self.unreported = self.unreported.saturating_add(added.has_grown.into());
        let report = if is_unreported_now && self.fills_report(shard) {
            Some(Report::Shard(shard))
        } else if added.is_first && self.soon.starts(Report::AllSoon, now) {
            Some(Report::AllSoon)
        } else {
            self.later(now)
        };
        (report.is_some() || added.new_network.is_some()).then_some(UsageDue {
            key: Some(key),
            new_network: added.new_network,
            report,
        })
    }

    /// Adds an unreported key to its shard. Returns whether the shard's keys fill a report.
    fn fills_report(&mut self, shard: u32) -> bool {
        let Some(count) = index(shard).and_then(|place| self.unreported_keys.get_mut(place)) else { return false };
        *count = count.saturating_add(1);
        let is_full = *count >= REPORTED_KEYS;
        if is_full {
            // The keys keep their counts while a report is in flight, so the next request must not start another.
            *count = 0;
        }
        is_full
    }

    /// Counts the refusal of a request. `None` if nothing is due.
    pub(super) fn refused(&mut self, code: &'static str, now: Millis) -> Option<UsageDue> {
        self.metrics.refused(code);
        self.later(now).map(|report| UsageDue { key: None, new_network: None, report: Some(report) })
    }

    pub(super) fn set_origin(&mut self, key: CompactKeyId, network: Network, origin: Origin) {
        if let Some(key) = self.keys.get_mut(&key) {
            key.set_origin(network, origin);
        }
    }

    /// Returns the shards to report to. Ends the wait of the task that asks.
    pub(super) fn shards_due(&mut self, report: Report, now: Millis) -> Vec<u32> {
        match report {
            Report::Shard(shard) => {
                return Some(shard).into_iter().filter(|shard| !self.is_in_flight(*shard, now)).collect();
            }
            Report::AllSoon => self.soon = PausingTask::default(),
            Report::AllLater => self.later = PausingTask::default(),
        }
        let mut due = [false; USAGE_SHARDS as usize];
        for key in self.keys.values().filter(|key| !key.is_reported()) {
            if let Some(due) = index(key.shard).and_then(|shard| due.get_mut(shard)) {
                *due = true;
            }
        }
        let mut shards: Vec<u32> = (0..USAGE_SHARDS)
            .zip(due.iter().zip(&self.outgoing))
            .filter(|(shard, (due, outgoing))| {
                (**due || outgoing.is_unconfirmed() || self.wakes == Some(*shard)) && !outgoing.is_in_flight(now)
            })
            .map(|(shard, _)| shard)
            .collect();
        // Without a report of a key the metrics travel alone.
        if shards.is_empty() && self.metrics.is_pending() && !self.is_in_flight(self.home, now) {
            shards.push(self.home);
        }
        shards
    }

    fn is_in_flight(&self, shard: u32, now: Millis) -> bool {
        index(shard).and_then(|shard| self.outgoing.get(shard)).is_some_and(|outgoing| outgoing.is_in_flight(now))
    }

    /// Gives up a report to a shard that is too old to be sent again. Returns whether it did.
    pub(super) fn give_up_old(&mut self, shard: u32, now: Millis) -> bool {
        !self.is_in_flight(shard, now)
            && index(shard)
                .and_then(|shard| self.outgoing.get_mut(shard))
                .is_some_and(|outgoing| outgoing.give_up_old(now))
    }

    /// Returns the next report to a shard with its place among the reports to it; `None` if there is none, or another task waits for an answer.
    pub(super) fn next_report(
        &mut self,
        shard: u32,
        now: Millis,
        surroundings: &mut Surroundings<'_>,
    ) -> Option<(u64, String)> {
        if self.name.is_empty() {
            self.name = (0..8).map(|_| format!("{:02x}", (surroundings.random)())).collect();
            self.wakes = Some(u32::from((surroundings.random)()) % USAGE_SHARDS);
        }
        let place = index(shard)?;
        if self.is_in_flight(shard, now) {
            return None;
        }
        if !self.outgoing.get(place)?.is_unconfirmed() {
            let keys = self.take(shard);
            if !keys.is_empty() {
                (surroundings.reported)(&keys, self.metrics.location());
            }
            let wakes = self.wakes == Some(shard);
            if wakes {
                self.wakes = None;
            }
            let metrics = (!keys.is_empty() || (shard == self.home && self.metrics.is_pending())).then(|| {
                let logged = (surroundings.logged)();
                self.metrics.take(surroundings.age_ms, &logged)
            });
            let outgoing = self.outgoing.get_mut(place)?;
            if keys.is_empty() && metrics.is_none() && !(wakes && outgoing.is_new()) {
                return None;
            }
            outgoing.make(shard, &self.name, keys, metrics, now);
        }
        self.outgoing.get_mut(place)?.send(now)
    }

    /// Takes the counts of at most [`REPORTED_KEYS`] keys of a shard, and about [`REPORTED_USES`] counts.
    fn take(&mut self, shard: u32) -> Vec<KeyUsage> {
        let (mut taken, mut uses) = (Vec::new(), 0_usize);
        for key in self.keys.values_mut().filter(|key| key.shard == shard && !key.is_reported()).take(REPORTED_KEYS) {
            if uses >= REPORTED_USES {
                break;
            }
            uses = uses.saturating_add(key.len());
            taken.extend(key.take());
        }
        self.unreported = self.unreported.saturating_sub(uses);
        if let Some(count) = index(shard).and_then(|place| self.unreported_keys.get_mut(place)) {
            *count = count.saturating_sub(taken.len());
        }
        taken
    }

    pub(super) fn confirmed(&mut self, shard: u32, made: u64, now: Millis) {
        if let Some(outgoing) = index(shard).and_then(|shard| self.outgoing.get_mut(shard)) {
            outgoing.confirmed(made, now);
        }
    }

    /// Records a failed report. Returns whether counts were lost since the last failure.
    pub(super) fn failed(&mut self, shard: u32, now: Millis) -> bool {
        let gives_up =
            index(shard).and_then(|shard| self.outgoing.get_mut(shard)).is_some_and(|outgoing| outgoing.failed(now));
        std::mem::take(&mut self.lost) > 0 || gives_up
    }

    /// Returns whether the registry must learn that a report to a shard is missing.
    pub(super) fn must_tell_missing(&self, shard: u32, now: Millis) -> bool {
        index(shard).and_then(|shard| self.outgoing.get(shard)).is_some_and(|outgoing| outgoing.must_tell_missing(now))
    }

    pub(super) fn told_missing(&mut self, shard: u32, now: Millis) {
        if let Some(outgoing) = index(shard).and_then(|shard| self.outgoing.get_mut(shard)) {
            outgoing.told_missing(now);
        }
    }

    /// Returns the number of keys and of counts in memory.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        (self.keys.len(), self.keys.values().map(KeyCounter::len).sum())
    }
}

fn index(shard: u32) -> Option<usize> {
    usize::try_from(shard).ok()
}
