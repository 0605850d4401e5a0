//! Counters of one isolate for metrics. They travel with its usage reports: any report of keys takes them along.
//!
//! Labels are static texts, so counting allocates once for each series in an isolate.

use keyward_key::time::Millis;
use keyward_protocol::LoggedEvents;
use keyward_protocol::metrics::{
    AUTHORITY_AGE, AUTHORITY_SILENT, LEASE_REQUESTS, LIMITED, LOOKUPS, MetricsReport, REFUSALS, REVOCATION_BOUNDS_MS,
    REVOCATION_EFFECTIVE, Sample, seconds,
};
use keyward_protocol::usage::OTHER;

/// Longest time in milliseconds that one failed query stands for: an isolate without requests asks nobody.
const SILENT_MS: i64 = 10_000;

/// Location of an isolate that the platform has not told.
const UNKNOWN: &str = "unknown";

/// Maximum length of a location, in bytes.
const LOCATION_BYTES: usize = 16;

/// Where the record of a key was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundIn {
    /// In the isolate's memory.
    Memory,
    /// In KV.
    Kv,
    /// At the authority.
    Authority,
}

/// Counters of one isolate since its last report.
#[derive(Default)]
pub struct IsolateMetrics {
    /// Refusals by code.
    refusals: Vec<(&'static str, u64)>,
    in_memory: u64,
    in_kv: u64,
    at_authority: u64,
    /// Refusals by name of the limit. Names are chosen by members, so their number is capped.
    limited: Vec<(String, u64)>,
    leases_answered: u64,
    leases_failed: u64,
    /// Times from a revocation to its effect, in milliseconds.
    revocations: Vec<u64>,
    silent_ms: u64,
    /// Time of the last query without an answer, if none was answered since.
    failed_at: Option<Millis>,
    location: Option<String>,
    /// Increases of counters of objects, which came with their answers.
    from_objects: Vec<Sample>,
}

/// Maximum number of series of objects between two reports. Further ones are left out.
const OBJECT_SERIES: usize = 100;

/// Maximum number of revocations that one report has. The rest is left out of the histogram.
const REVOCATIONS: usize = 1_000;

/// Maximum number of names of limits in one report. Further ones are counted as `other`.
const LIMIT_NAMES: usize = 50;

impl IsolateMetrics {
    /// Counts a refusal because of the limit of this name.
    pub(super) fn limited(&mut self, name: &str) {
        let is_known = |(known, _): &(String, u64)| known == name;
        let is_full = self.limited.len() >= LIMIT_NAMES && !self.limited.iter().any(is_known);
        let name = if is_full { OTHER } else { name };
        match self.limited.iter_mut().find(|(known, _)| known == name) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.limited.push((name.to_owned(), 1)),
        }
    }

    /// Counts a query for units of limited keys.
    pub(super) const fn lease_request(&mut self, is_answered: bool) {
        let count = if is_answered { &mut self.leases_answered } else { &mut self.leases_failed };
        *count = count.saturating_add(1);
    }

    /// Counts a refusal.
    pub(super) fn refused(&mut self, code: &'static str) {
        match self.refusals.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.refusals.push((code, 1)),
        }
    }

    /// Counts a record that a request needed.
    pub(super) const fn found(&mut self, found_in: FoundIn) {
        let count = match found_in {
            FoundIn::Memory => &mut self.in_memory,
            FoundIn::Kv => &mut self.in_kv,
            FoundIn::Authority => &mut self.at_authority,
        };
        *count = count.saturating_add(1);
    }

    /// Records that a revocation was applied, at most so long after it was made.
    pub(super) fn revocation_applied(&mut self, within_ms: i64) {
        if self.revocations.len() < REVOCATIONS {
            self.revocations.push(u64::try_from(within_ms).unwrap_or_default());
        }
    }

    /// Adds increases of an object's counters.
    pub(super) fn add_object_counters(&mut self, counters: Vec<Sample>) {
        for sample in counters {
            let is_same = |known: &&mut Sample| (&known.family, &known.labels) == (&sample.family, &sample.labels);
            let has_room = self.from_objects.len() < OBJECT_SERIES;
            match self.from_objects.iter_mut().find(is_same) {
                Some(known) => known.value = known.value.saturating_add(sample.value),
                None if has_room => self.from_objects.push(sample),
                None => {}
            }
        }
    }

    /// Records that the authority did not answer.
    pub(super) fn authority_failed(&mut self, now: Millis) {
        self.count_silence(now);
        self.failed_at = Some(now);
    }

    /// Records that the authority answered.
    pub(super) fn authority_answered(&mut self, now: Millis) {
        self.count_silence(now);
        self.failed_at = None;
    }

    fn count_silence(&mut self, now: Millis) {
        let silent_ms = self.failed_at.map_or(0, |failed_at| now.since(failed_at).clamp(0, SILENT_MS));
        self.silent_ms = self.silent_ms.saturating_add(u64::try_from(silent_ms).unwrap_or_default());
    }

    /// Sets the data centre of the isolate. A text of another form than the platform's counts as unknown.
    pub(super) fn set_location(&mut self, location: &str) {
        let is_known = !location.is_empty()
            && location.len() <= LOCATION_BYTES
            && location.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        self.location = is_known.then(|| location.to_owned());
    }

    /// Returns the data centre of the isolate.
    pub(super) fn location(&self) -> &str {
        self.location.as_deref().unwrap_or(UNKNOWN)
    }

    /// Returns whether a report has something to tell.
    pub(super) const fn is_pending(&self) -> bool {
        !self.refusals.is_empty()
            || !self.limited.is_empty()
            || self.in_memory > 0
            || self.in_kv > 0
            || self.at_authority > 0
            || self.leases_answered > 0
            || self.leases_failed > 0
    }

    /// Takes everything for a report, with the age of the authority's last answer and the events of the log.
    pub(super) fn take(&mut self, age_ms: Option<i64>, logged: &[LoggedEvents]) -> MetricsReport {
        let taken = std::mem::take(self);
        self.location.clone_from(&taken.location);
        self.failed_at = taken.failed_at;
        let mut counters = Vec::new();
        let mut count = |family: &str, labels: &[(&str, &str)], value: u64| {
            if value > 0 {
                counters.push(Sample::new(family, labels, value));
            }
        };
        for (code, refusals) in &taken.refusals {
            count(REFUSALS, &[("code", code)], *refusals);
        }
        for (policy, refusals) in &taken.limited {
            count(LIMITED, &[("policy", policy)], *refusals);
        }
        for (result, queries) in [("answered", taken.leases_answered), ("failed", taken.leases_failed)] {
            count(LEASE_REQUESTS, &[("result", result)], queries);
        }
        for (found_in, records) in [("memory", taken.in_memory), ("kv", taken.in_kv), ("authority", taken.at_authority)]
        {
            count(LOOKUPS, &[("from", found_in)], records);
        }
        count(AUTHORITY_SILENT, &[], taken.silent_ms);
        for bound in REVOCATION_BOUNDS_MS {
            let within = taken.revocations.iter().filter(|ms| *ms <= bound).count();
            count(REVOCATION_EFFECTIVE, &[("le", &seconds(*bound))], u64::try_from(within).unwrap_or_default());
        }
        let all = u64::try_from(taken.revocations.len()).unwrap_or_default();
        count(REVOCATION_EFFECTIVE, &[("le", "+Inf")], all);
        count(REVOCATION_EFFECTIVE, &[], taken.revocations.iter().fold(0, |sum: u64, ms| sum.saturating_add(*ms)));
        counters.extend(taken.from_objects);
        counters.extend(logged.iter().map(LoggedEvents::sample));
        let location = self.location();
        let age = age_ms.and_then(|age_ms| u64::try_from(age_ms).ok());
        let gauges = age.map(|age_ms| Sample::new(AUTHORITY_AGE, &[("location", location)], age_ms));
        MetricsReport { counters, gauges: gauges.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_counted_by_name_and_many_names_are_other() {
        let mut metrics = IsolateMetrics::default();
        assert!(!metrics.is_pending());
        for number in 0..LIMIT_NAMES + 10 {
            metrics.limited(&format!("limit-{number}"));
        }
        metrics.limited("limit-0");
        metrics.lease_request(true);
        metrics.lease_request(false);
        assert!(metrics.is_pending());
        let counters = metrics.take(None, &[]).counters;
        let of = |family: &str, labels: &str| {
            let is_it = |sample: &&Sample| sample.family == family && sample.labels == labels;
            counters.iter().find(is_it).map(|sample| sample.value)
        };
        assert_eq!(of(LIMITED, r#"policy="limit-0""#), Some(2));
        assert_eq!(of(LIMITED, r#"policy="other""#), Some(10));
        assert_eq!(counters.iter().filter(|sample| sample.family == LIMITED).count(), LIMIT_NAMES + 1);
        assert_eq!(of(LEASE_REQUESTS, r#"result="answered""#), Some(1));
        assert_eq!(of(LEASE_REQUESTS, r#"result="failed""#), Some(1));
        assert!(!metrics.is_pending());
    }
}
