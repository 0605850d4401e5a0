//! Metrics: the one list of families, and their samples in messages.
//!
//! Counters are counted in isolates and objects, and stored by objects; gauges are read when somebody scrapes. To add a family, add its
//! row to [`FAMILIES`]. A counter of an isolate is then counted with `keyward_edge::metrics`, one of an object with
//! `keyward_store::counters`; the control plane renders whatever has a row.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// Kind of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows. Its samples are named with `_total`.
    Counter,
    /// Current value.
    Gauge,
    /// Counts by upper bound, in milliseconds. Rendered in seconds.
    Histogram(&'static [u64]),
}

/// One family of metrics.
#[derive(Debug)]
pub struct Family {
    /// Name, without `keyward_` and `_total`. A name that ends with `_seconds` has samples in milliseconds, which are rendered in seconds.
    pub name: &'static str,
    /// Kind.
    pub kind: Kind,
    /// Names of the labels, in order.
    pub labels: &'static [&'static str],
    /// Meaning.
    pub help: &'static str,
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels, help }
}

/// Requests with a genuine key.
pub const REQUESTS: &str = "requests";
/// Refusals of the gate.
pub const REFUSALS: &str = "refusals";
/// Places where the gate found records of keys.
pub const LOOKUPS: &str = "lookups";
/// Age of the authority's last answer.
pub const AUTHORITY_AGE: &str = "authority_age_seconds";
/// Time without an answer of the authority.
pub const AUTHORITY_SILENT: &str = "authority_silent_seconds";
/// Time from a revocation to its effect.
pub const REVOCATION_EFFECTIVE: &str = "revocation_effective_seconds";
/// Requests over a limit.
pub const LIMITED: &str = "limited";
/// Queries for units of limited keys.
pub const LEASE_REQUESTS: &str = "lease_requests";
/// Genuine keys in reports of leaks.
pub const LEAK_REPORTS: &str = "leak_reports";
/// Events and deliveries that wait.
pub const EVENTS_PENDING: &str = "events_pending";
/// Age of the event that waits longest.
pub const EVENT_OLDEST: &str = "event_oldest_seconds";
/// Events in the log that are worth an alarm.
pub const LOG_EVENTS: &str = "log_events";

/// Upper bounds of [`REVOCATION_EFFECTIVE`], in milliseconds.
pub const REVOCATION_BOUNDS_MS: &[u64] = &[1_000, 2_000, 3_000, 4_000, 5_000, 10_000, 60_000];

/// Every family, in the order of the exposition.
pub const FAMILIES: &[Family] = &[
    counter(
        REQUESTS,
        &["decision", "environment", "integration", "route"],
        "Requests with a genuine key, by decision, integration and route.",
    ),
    counter(REFUSALS, &["code"], "Requests that the gate refused, by code of the problem."),
    counter(LOOKUPS, &["from"], "Records of keys that requests needed, by where they were found."),
    gauge(AUTHORITY_AGE, &["location"], "Highest age of the authority's last answer in an isolate of the location."),
    counter(AUTHORITY_SILENT, &[], "Time for which isolates asked the authority without an answer."),
    Family {
        name: REVOCATION_EFFECTIVE,
        kind: Kind::Histogram(REVOCATION_BOUNDS_MS),
        labels: &[],
        help: "Upper bound of the time from a revocation until an isolate applied it.",
    },
    counter(LIMITED, &["policy"], "Requests that the gate refused because a limit was reached, by name of the limit."),
    counter(LEASE_REQUESTS, &["result"], "Queries of isolates for units of limited keys, by result."),
    gauge("keys", &["status", "environment"], "Keys by status and environment."),
    gauge("keys_expiring", &["within"], "Usable keys that expire within the time."),
    gauge("keys_idle", &[], "Usable keys that were announced as idle and not used since."),
    gauge("keys_exposed", &[], "Usable keys with an exposure that was not dismissed."),
    gauge("members", &["role"], "Active members by role."),
    gauge("claims_open", &[], "Keys that wait for their claim."),
    gauge("kv_copies_pending", &[], "Copies of keys in KV that are out of date."),
    gauge(
        "usage_shards_silent",
        &[],
        "Shards of the usage object that have not told the registry anything for an hour.",
    ),
    counter(
        LEAK_REPORTS,
        &["source", "result"],
        "Genuine keys and credentials in reports of leaks, by what became of them.",
    ),
    gauge(
        EVENTS_PENDING,
        &["stage"],
        "Events that wait for the events object, and deliveries that wait for their attempt.",
    ),
    gauge(EVENT_OLDEST, &["stage"], "Age of the event that waits longest."),
    gauge("audit_entries", &[], "Entries in the audit log."),
    counter(LOG_EVENTS, &["event", "level"], "Events in the log at level warn or error."),
    gauge("config_errors", &[], "Problems of the configuration. A version with problems does not answer."),
    gauge("build_info", &["version"], "Version of the worker that answered; always 1."),
];

/// Returns the row of a family.
#[must_use]
pub fn family(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| family.name == name)
}

/// Value of one series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Name of the family.
    pub family: String,
    /// Labels as [`labels`] writes them. Of a histogram: `le="…"` for a bucket, nothing for the sum.
    pub labels: String,
    /// Value; of a family in seconds, in milliseconds.
    pub value: u64,
    /// Time in milliseconds since 1970 at which an object first saw the series; 0 if that does not matter.
    #[serde(default, skip_serializing_if = "is_default")]
    pub since: i64,
}

/// For serde. Generic, because a lint wants an `i64` by value on some targets and by reference on others.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Sample {
    /// Creates the sample of a gauge, or the increase of a counter.
    #[must_use]
    pub fn new(family: &str, labels: &[(&str, &str)], value: u64) -> Self {
        Self { family: family.to_owned(), labels: self::labels(labels), value, since: 0 }
    }
}

/// Metrics in a report of an isolate. It counts once, as the whole report does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsReport {
    /// Increases of counters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<Sample>,
    /// Values of gauges. An object keeps the highest of the last minutes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gauges: Vec<Sample>,
}

/// Writes labels as the text formats do: `name="value"`, separated by commas.
/// <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md#escaping>
#[must_use]
pub fn labels(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{name}=\"{value}\"");
    }
    text
}

/// Writes milliseconds as seconds, with as many decimals as needed and at least one.
#[must_use]
pub fn seconds(ms: u64) -> String {
    let (whole, rest) = (ms / 1_000, ms % 1_000);
    let decimals = format!("{rest:03}");
    let decimals = decimals.trim_end_matches('0');
    format!("{whole}.{}", if decimals.is_empty() { "0" } else { decimals })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_seconds_have_decimals() {
        assert_eq!(labels(&[("a", "x\"y"), ("b", "c:\\d\ne")]), r#"a="x\"y",b="c:\\d\ne""#);
        assert_eq!([0, 1_000, 1_500, 60_000, 7].map(seconds), ["0.0", "1.0", "1.5", "60.0", "0.007"]);
    }

    #[test]
    fn every_family_is_named_by_the_rules_of_openmetrics() {
        for row in FAMILIES {
            assert_eq!(family(row.name).map(|found| found.help), Some(row.help), "{} has one row", row.name);
            assert!(row.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{}", row.name);
            assert!(!["_total", "_count", "_sum", "_bucket", "_created"].iter().any(|end| row.name.ends_with(end)));
            assert!(!row.labels.contains(&"key") && !row.labels.contains(&"key_id"), "no key is a label");
            assert!(row.help.ends_with('.') || row.help.ends_with('1'), "{}", row.name);
        }
    }
}
