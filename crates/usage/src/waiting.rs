//! Reports that arrived and are not added up yet: the table `waiting`.

use std::collections::BTreeMap;

use keyward_fault::fault;
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_key::version;
use keyward_protocol::metrics::{MetricsReport, Sample};
use keyward_protocol::usage::{KeyUsage, UsageReport, UsedFrom, minute_of};
use keyward_store::{Store, StoreError, Value};

/// Maximum number of reports that are added up in one transaction. Usually fewer wait.
const BATCH: usize = 500;

/// Maximum time in milliseconds between a use and the arrival of its report: an isolate gives a report up after an hour.
const LATEST_MS: i64 = 7_200_000;

/// Waiting reports, merged into one.
pub(super) struct Batch {
    /// Their sum. Its isolate and number mean nothing.
    pub sum: UsageReport,
    /// Number of the last row.
    pub last: i64,
    /// Whether no further reports wait.
    pub is_last: bool,
    /// Number of rows that could not be read.
    pub unreadable: u64,
}

/// Stores a report that arrived at `now`.
pub(super) fn store(store: &mut dyn Store, report: &UsageReport, now: Millis) -> Result<(), StoreError> {
    store.execute("INSERT INTO waiting (at, report) VALUES (?, ?)", &[now.into(), Value::json(report)?])
}

/// Returns the reports that wait longest; `None` if none waits.
pub(super) fn read(store: &mut dyn Store) -> Result<Option<Batch>, StoreError> {
    let most = i64::try_from(BATCH).unwrap_or(i64::MAX);
    let rows =
        store.query("SELECT number, at, report FROM waiting ORDER BY number LIMIT ?", &[Value::Integer(most)])?;
    let Some(last) = rows.last() else { return Ok(None) };
    let (mut merged, mut unreadable) = (Merged::default(), 0_u64);
    for row in &rows {
        match version::read::<UsageReport>(row.text("report")?) {
            Ok(report) => merged.add(report, row.millis("at")?),
            Err(_) => unreadable = unreadable.saturating_add(1),
        }
    }
    Ok(Some(Batch {
        sum: merged.into_report(),
        last: last.integer("number")?,
        is_last: rows.len() < BATCH,
        unreadable,
    }))
}

/// Removes the rows up to a number.
pub(super) fn remove(store: &mut dyn Store, last: i64) -> Result<(), StoreError> {
    store.execute("DELETE FROM waiting WHERE number <= ?", &[Value::Integer(last)])
}

/// Sum of reports. Each key, counter and gauge is in it once.
#[derive(Default)]
struct Merged {
    keys: BTreeMap<KeyId, KeyUsage>,
    counters: BTreeMap<(String, String), Sample>,
    gauges: BTreeMap<(String, String), Sample>,
}

impl Merged {
    fn add(&mut self, report: UsageReport, arrived_at: Millis) {
        for mut key in report.keys {
            limit_times(&mut key, arrived_at);
            match self.keys.entry(key.id.clone()) {
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(key);
                }
                std::collections::btree_map::Entry::Occupied(mut place) => merge(place.get_mut(), key),
            }
        }
        let MetricsReport { counters, gauges } = report.metrics.unwrap_or_default();
        let name = |sample: &Sample| (sample.family.clone(), sample.labels.clone());
        for sample in counters {
            self.counters
                .entry(name(&sample))
                .and_modify(|sum| sum.value = sum.value.saturating_add(sample.value))
                .or_insert(sample);
        }
        for sample in gauges {
            self.gauges
                .entry(name(&sample))
                .and_modify(|most| most.value = most.value.max(sample.value))
                .or_insert(sample);
        }
    }

    fn into_report(self) -> UsageReport {
        let metrics = MetricsReport {
            counters: self.counters.into_values().collect(),
            gauges: self.gauges.into_values().collect(),
        };
        UsageReport {
            shard: 0,
            isolate: String::new(),
            sequence: 0,
            keys: self.keys.into_values().collect(),
            metrics: Some(metrics),
        }
    }
}

/// Limits the times of a key by the arrival of its report at the object's own clock: no use is ever in the future, and a report arrives
/// within [`LATEST_MS`] of its uses, so an earlier time shows that the isolate's clock is behind.
fn limit_times(key: &mut KeyUsage, arrived_at: Millis) {
    let earliest = Millis(arrived_at.0.saturating_sub(LATEST_MS));
    let limit = |at: Millis| match at {
        at if fault!("a use in the future is believed") => at,
        at if fault!("the clock of an isolate that is behind is believed") => at.min(arrived_at),
        at => at.clamp(earliest, arrived_at),
    };
    (key.first_at, key.last_at) = (limit(key.first_at.min(key.last_at)), limit(key.last_at));
    let latest = minute_of(arrived_at);
    for used in &mut key.uses {
        used.minute = used.minute.min(latest);
    }
}

/// Adds a later report of a key, by the rules by which `keys` merges rows.
fn merge(sum: &mut KeyUsage, key: KeyUsage) {
    let is_named = key.integration.as_ref().is_some_and(|integration| !integration.is_empty());
    if is_named {
        sum.integration = key.integration;
    }
    let text = |from: &UsedFrom| serde_json::to_string(from).unwrap_or_default();
    let is_later = match (&sum.last_from, &key.last_from) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(old), Some(new)) => (key.last_at, text(new)) > (sum.last_at, text(old)),
    };
    if is_later {
        sum.last_from = key.last_from;
    }
    sum.first_at = sum.first_at.min(key.first_at);
    sum.last_at = sum.last_at.max(key.last_at);
    sum.uses.extend(key.uses);
}
