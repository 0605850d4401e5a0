//! Metrics of a shard: counters that add up once, survive and are capped; gauges that end.

use keyward_protocol::metrics::{AUTHORITY_AGE, LIMITED, MetricsReport, REFUSALS, Sample};
use keyward_testkit::sqlite_store::SqliteStore;
use keyward_usage::metrics::read;
use keyward_usage::report::Kept;

use crate::world::{NOW, apply, key, later, report, send, store, used};

fn metrics(refusals: u64, age_ms: u64) -> MetricsReport {
    MetricsReport {
        counters: vec![Sample::new(REFUSALS, &[("code", "missing_key")], refusals)],
        gauges: vec![Sample::new(AUTHORITY_AGE, &[("location", "FRA")], age_ms)],
    }
}

fn value(samples: &[Sample], family: &str, labels: &str) -> Option<u64> {
    samples.iter().find(|sample| sample.family == family && sample.labels.contains(labels)).map(|sample| sample.value)
}

#[test]
fn counters_of_a_repeated_report_count_once() {
    let mut store = store();
    for sequence in [1, 1, 2, 2, 1] {
        let mut report = report("isolate", sequence, vec![key(1, NOW, vec![used(NOW, 5)])]);
        report.metrics = Some(metrics(3, 0));
        apply(&mut store, &report, NOW).unwrap();
    }
    let samples = read(&mut store, NOW).unwrap();
    assert_eq!(value(&samples, "refusals", "missing_key"), Some(6));
    let labels = "decision=\"allowed\",environment=\"live\",integration=\"integration-1\",route=\"GET /v1/contacts\"";
    assert_eq!(value(&samples, "requests", labels), Some(10), "{samples:?}");
}

#[test]
fn a_report_of_a_forgotten_isolate_counts_nothing() {
    let mut store = store();
    let mut report = report("isolate", 7, Vec::new());
    report.metrics = Some(metrics(3, 0));
    assert_eq!(apply(&mut store, &report, NOW), Ok(Kept::TimesOnly));
    assert_eq!(value(&read(&mut store, NOW).unwrap(), "refusals", ""), None);
}

#[test]
fn a_gauge_is_the_highest_of_the_last_two_minutes() {
    let mut store = store();
    let mut sequence = 0;
    let mut tell = |store: &mut SqliteStore, age_ms, minutes| {
        sequence += 1;
        let mut report = report("isolate", sequence, Vec::new());
        report.metrics = Some(metrics(1, age_ms));
        apply(store, &report, later(NOW, minutes)).unwrap();
        value(&read(store, later(NOW, minutes)).unwrap(), AUTHORITY_AGE, "FRA")
    };
    assert_eq!(tell(&mut store, 900, 0), Some(900));
    assert_eq!(tell(&mut store, 300, 1), Some(900));
    assert_eq!(tell(&mut store, 1_200, 2), Some(1_200));
    assert_eq!(tell(&mut store, 100, 5), Some(100));
    assert_eq!(value(&read(&mut store, later(NOW, 8)).unwrap(), AUTHORITY_AGE, "FRA"), None);
}

#[test]
fn series_of_one_family_are_capped_and_no_request_is_lost() {
    let mut store = store();
    for number in 0..2_300_u32 {
        if number % 100 == 0 {
            let keys = (number..number + 100).map(|number| key(number, NOW, vec![used(NOW, 1)])).collect();
            send(&mut store, keys, later(NOW, i64::from(number / 100)));
        }
    }
    let samples = read(&mut store, NOW).unwrap();
    let requests: Vec<&Sample> = samples.iter().filter(|sample| sample.family == "requests").collect();
    assert_eq!(requests.len(), 2_001);
    assert_eq!(requests.iter().map(|sample| sample.value).sum::<u64>(), 2_300);
    let other = "decision=\"allowed\",environment=\"live\",integration=\"other\",route=\"other\"";
    assert_eq!(value(&samples, "requests", other), Some(300));
}

#[test]
fn names_of_limits_above_the_cap_are_other_and_no_refusal_is_lost() {
    let mut store = store();
    for number in 0..42_u64 {
        let mut report = report("isolate", number + 1, Vec::new());
        let limited = |name| Sample::new(LIMITED, &[("policy", &format!("limit-{number}-{name}"))], 1);
        report.metrics = Some(MetricsReport { counters: (0..50).map(limited).collect(), gauges: Vec::new() });
        assert_eq!(apply(&mut store, &report, NOW), Ok(Kept::Counts));
    }
    let samples = read(&mut store, NOW).unwrap();
    let limited: Vec<&Sample> = samples.iter().filter(|sample| sample.family == LIMITED).collect();
    assert_eq!(limited.iter().map(|sample| sample.value).sum::<u64>(), 2_100);
    assert_eq!(limited.iter().find(|sample| sample.labels == "policy=\"other\"").map(|sample| sample.value), Some(100));
    assert!(limited.iter().all(|sample| sample.labels.starts_with("policy=")), "{limited:?}");
}
