//! Metrics of the registry: gauges of its tables, and counters of its log events.

use keyward_key::id::Environment;
use keyward_key::time::Millis;
use keyward_protocol::metrics::{EVENT_OLDEST, EVENTS_PENDING, Sample};
use keyward_protocol::{LoggedEvents, Role, Status};

use super::context::days_after;
use super::store::counters::{self, Increase};
use super::store::{Row, Store, StoreError, Value};
use super::usage::LONGEST_PAUSE_MS;
use super::{idle, leaks};

/// Columns of the query for keys, and the label `within` of each.
const WITHIN: [(&str, &str); 3] = [("within_1d", "1d"), ("within_7d", "7d"), ("within_30d", "30d")];

/// Label of events that wait here, beside `delivery` of the events object.
const STAGE: [(&str, &str); 1] = [("stage", "outbox")];

/// Counts events of the log.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn count_logged(store: &mut dyn Store, logged: &[LoggedEvents], now: Millis) -> Result<(), StoreError> {
    let increases: Vec<Increase> = logged.iter().map(|events| events.sample().increase()).collect();
    store.transaction(&mut |store| counters::add_fixed(store, increases.clone(), now))
}

/// Returns every sample of the registry. Reads each row of the keys once, which takes a few milliseconds for 10,000.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn read(store: &mut dyn Store, now: Millis) -> Result<Vec<Sample>, StoreError> {
    let mut samples = keys(store, now)?;
    let mut gauge = |family, labels: &[(&str, &str)], value| samples.push(Sample::new(family, labels, value));
    gauge("keys_idle", &[], idle::count(store)?);
    for role in Role::ALL {
        let sql = "SELECT count(*) AS count FROM members WHERE role = ? AND revoked_at IS NULL AND expires_at > ?";
        gauge("members", &[("role", role.as_str())], count(store, sql, &[role.as_str().into(), now.into()])?);
    }
    let open = "SELECT count(*) AS count FROM claims WHERE state = 'open' AND expires_at > ?";
    gauge("claims_open", &[], count(store, open, &[now.into()])?);
    gauge("kv_copies_pending", &[], count(store, "SELECT count(*) AS count FROM outbox", &[])?);
    let (waiting, oldest_ms) = waiting_events(store, now)?;
    gauge(EVENTS_PENDING, &STAGE, waiting);
    gauge(EVENT_OLDEST, &STAGE, oldest_ms);
    gauge("audit_entries", &[], count(store, "SELECT ifnull(max(seq), 0) AS count FROM audit", &[])?);
    let silent = "SELECT count(*) AS count FROM usage_shards WHERE told_at NOT BETWEEN ? AND ?";
    let since = Millis(now.0.saturating_sub(LONGEST_PAUSE_MS));
    gauge("usage_shards_silent", &[], count(store, silent, &[since.into(), now.into()])?);
    let stored = counters::read(store)?.into_iter().map(|counter| Sample {
        family: counter.family,
        labels: counter.labels,
        value: counter.value,
        since: counter.since.0,
    });
    let stored: Vec<Sample> = stored.collect();
    // `increase()` of Prometheus misses the first report of a series that does not begin at 0.
    let is_stored =
        |zero: &Sample| stored.iter().any(|sample| (&sample.family, &sample.labels) == (&zero.family, &zero.labels));
    samples.extend(leaks::no_reports().into_iter().filter(|zero| !is_stored(zero)));
    samples.extend(stored);
    Ok(samples)
}

/// Returns the number of events that the events object has not stored yet, and the age of the oldest in milliseconds.
fn waiting_events(store: &mut dyn Store, now: Millis) -> Result<(u64, u64), StoreError> {
    let rows = store.query(
        "SELECT (SELECT count(*) FROM events WHERE event IS NOT NULL) AS count,
             (SELECT at FROM audit WHERE seq = (SELECT min(seq) FROM events WHERE event IS NOT NULL)) AS oldest",
        &[],
    )?;
    let row = rows.first().ok_or_else(|| StoreError::new("a count has no row"))?;
    let oldest = row.optional_parsed("oldest", |text| Millis::parse(text).ok())?;
    let age_ms = oldest.map_or(0, |at| now.since(at).max(0));
    Ok((row.count("count")?, u64::try_from(age_ms).unwrap_or_default()))
}

fn count(store: &mut dyn Store, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
    store.query(sql, values)?.first().map_or(Ok(0), |row| row.count("count"))
}

fn keys(store: &mut dyn Store, now: Millis) -> Result<Vec<Sample>, StoreError> {
    let rows = store.query(
        "SELECT environment, CASE WHEN state <> 'revoked' AND expires_at <= ? THEN 'expired' ELSE state END AS status,
             count(*) AS count, sum(expires_at <= ?) AS within_1d, sum(expires_at <= ?) AS within_7d,
             sum(expires_at <= ?) AS within_30d, sum(exposed_at IS NOT NULL) AS exposed
         FROM keys GROUP BY environment, status",
        &[now.into(), days_after(now, 1).into(), days_after(now, 7).into(), days_after(now, 30).into()],
    )?;
    let mut samples = Vec::new();
    for environment in Environment::ALL {
        for status in Status::ALL {
            let group = |row: &&Row| {
                row.text("environment") == Ok(environment.as_str()) && row.text("status") == Ok(status.as_str())
            };
            let keys = rows.iter().find(group).map_or(Ok(0), |row| row.count("count"))?;
            let labels = [("status", status.as_str()), ("environment", environment.as_str())];
            samples.push(Sample::new("keys", &labels, keys));
        }
    }
    for (column, within) in WITHIN {
        let usable = [Status::Active, Status::Retiring];
        samples.push(Sample::new("keys_expiring", &[("within", within)], sum(&rows, column, &usable)?));
    }
    let exposed = [Status::Active, Status::Retiring, Status::Quarantined];
    samples.push(Sample::new("keys_exposed", &[], sum(&rows, "exposed", &exposed)?));
    Ok(samples)
}

/// Returns the sum of a column over the keys with one of these statuses.
fn sum(rows: &[Row], column: &str, statuses: &[Status]) -> Result<u64, StoreError> {
    let mut sum = 0_u64;
    for row in rows {
        if statuses.contains(&row.parsed("status", Status::parse)?) {
            sum = sum.saturating_add(row.count(column)?);
        }
    }
    Ok(sum)
}
