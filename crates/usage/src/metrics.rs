//! Metrics of a shard: counters that survive its restarts, and the latest gauges of isolates.

use std::collections::BTreeMap;

use keyward_key::id::Class;
use keyward_key::time::Millis;
use keyward_protocol::LoggedEvents;
use keyward_protocol::metrics::{LIMITED, REQUESTS, Sample, labels};
use keyward_protocol::usage::{ALLOWED, KeyUsage, OTHER, REFUSED, UsageReport};
use keyward_store::counters::{self, Increase};
use keyward_store::{Store, StoreError, Value};

/// Time in milliseconds for which the value of a gauge stands, if no isolate tells a later one.
const GAUGE_MS: i64 = 120_000;

/// Adds the metrics of a report that counts, within its transaction.
pub(super) fn count(store: &mut dyn Store, report: &UsageReport, now: Millis) -> Result<(), StoreError> {
    let mut increases: Vec<Increase> = requests(&report.keys);
    if let Some(metrics) = &report.metrics {
        increases.extend(metrics.counters.iter().map(Sample::increase));
        keep_gauges(store, &metrics.gauges, now)?;
    }
    counters::add(store, increases, without_names, now)
}

/// Returns the increases of the counter of requests.
fn requests(keys: &[KeyUsage]) -> Vec<Increase> {
    let mut sums: BTreeMap<(&str, &str, &str, &str), u64> = BTreeMap::new();
    for key in keys {
        let Class::Data(environment) = key.id.class() else { continue };
        let integration = key.integration.as_deref().unwrap_or_default();
        for of in &key.uses {
            let sum = sums.entry((of.outcome(), environment.as_str(), integration, &of.route)).or_default();
            *sum = sum.saturating_add(of.count);
        }
    }
    let increase = |((decision, environment, integration, route), count): ((&str, &str, &str, &str), u64)| {
        (REQUESTS.to_owned(), request_labels(decision, environment, integration, route), count)
    };
    sums.into_iter().map(increase).collect()
}

fn request_labels(decision: &str, environment: &str, integration: &str, route: &str) -> String {
    labels(&[("decision", decision), ("environment", environment), ("integration", integration), ("route", route)])
}

/// Returns the labels of the series that stands for those above the cap. Names become `other`; the decision and the environment are kept.
/// Labels of a family without names have a fixed set of values, and stay.
fn without_names(family: &str, text: &str) -> String {
    match family {
        LIMITED => return labels(&[("policy", OTHER)]),
        REQUESTS => {}
        _ => return text.to_owned(),
    }
    let has = |label: &str| text.contains(label);
    let decision = if has("decision=\"allowed\"") { ALLOWED } else { REFUSED };
    let environment = if has("environment=\"live\"") { "live" } else { "test" };
    request_labels(decision, environment, OTHER, OTHER)
}

/// Keeps the highest value of each gauge, until no isolate has told one as high for [`GAUGE_MS`].
fn keep_gauges(store: &mut dyn Store, gauges: &[Sample], now: Millis) -> Result<(), StoreError> {
    if gauges.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = gauges.iter().map(|sample| (&sample.family, &sample.labels, sample.value)).collect();
    store.execute(
        "INSERT INTO gauges (family, labels, value, at)
         SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), ?
         FROM json_each(?) WHERE true
         ON CONFLICT (family, labels) DO UPDATE SET value = excluded.value, at = excluded.at
             WHERE excluded.value >= value OR abs(excluded.at - at) > ?",
        &[now.into(), Value::json(&rows)?, Value::Integer(GAUGE_MS)],
    )?;
    store.execute("DELETE FROM gauges WHERE abs(? - at) > ?", &[now.into(), Value::Integer(GAUGE_MS)])
}

/// Counts events of the log.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn count_logged(store: &mut dyn Store, logged: &[LoggedEvents], now: Millis) -> Result<(), StoreError> {
    let increases = logged.iter().map(|events| events.sample().increase()).collect();
    store.transaction(&mut |store| counters::add_fixed(store, Vec::clone(&increases), now))
}

/// Returns every sample of the shard.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn read(store: &mut dyn Store, now: Millis) -> Result<Vec<Sample>, StoreError> {
    let stored = counters::read(store)?.into_iter();
    let mut samples: Vec<Sample> = stored
        .map(|counter| Sample {
            family: counter.family,
            labels: counter.labels,
            value: counter.value,
            since: counter.since.0,
        })
        .collect();
    let rows = store.query(
        "SELECT family, labels, value FROM gauges WHERE abs(? - at) <= ? ORDER BY family, labels",
        &[now.into(), Value::Integer(GAUGE_MS)],
    )?;
    for row in &rows {
        let (family, labels) = (row.text("family")?.to_owned(), row.text("labels")?.to_owned());
        samples.push(Sample { family, labels, value: row.count("value")?, since: 0 });
    }
    Ok(samples)
}
