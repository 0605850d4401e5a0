//! Gathers the metrics of all objects. To add an object, ask it here.

use std::collections::{BTreeMap, BTreeSet};

use super::events_query;
use super::failure::Failure;
use super::usage_query::Asking;
use keyward_edge::Platform;
use keyward_http::limits::METRIC_INTEGRATIONS;
use keyward_protocol::metrics::{Kind, REQUESTS, Sample, family};
use keyward_protocol::usage::{OTHER, USAGE_SHARDS, UsageRequest, UsageResponse};

/// Samples by family and labels.
pub(super) type Samples = BTreeMap<(String, String), u64>;

/// Adds the metrics of the usage object and of the events object to those of the registry. A shard of the usage object that does not answer
/// fails the scrape: a counter without it would look like one that was reset. The events object has gauges only, which are left out then.
pub(super) async fn gather(
    platform: &impl Platform,
    mut samples: Vec<Sample>,
    request_id: &str,
) -> Result<Samples, Failure> {
    let ask = Asking { platform, request_id };
    for shard in 0..USAGE_SHARDS {
        match ask.shard(shard, &UsageRequest::Metrics).await? {
            UsageResponse::Metrics(some) => samples.extend(some),
            _ => return Err(ask.confused(shard)),
        }
    }
    samples.extend(events_query::metrics(platform, request_id).await);
    samples.push(Sample::new("config_errors", &[], 0));
    samples.push(Sample::new("build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1));
    Ok(merge(samples))
}

/// Adds up counters, and takes the highest of each gauge. Integrations above the cap become `other`: those that were seen last, so that a
/// series never changes its name.
fn merge(samples: Vec<Sample>) -> Samples {
    let kept = kept_integrations(&samples);
    let mut merged = Samples::new();
    for Sample { family: name, labels, value, .. } in samples {
        let labels = match integration_of(&name, &labels) {
            Some(integration) if !kept.contains(integration) => {
                labels.replacen(&format!("integration=\"{integration}\""), &format!("integration=\"{OTHER}\""), 1)
            }
            _ => labels,
        };
        let is_gauge = family(&name).is_some_and(|family| family.kind == Kind::Gauge);
        let sum = merged.entry((name, labels)).or_default();
        *sum = if is_gauge { (*sum).max(value) } else { sum.saturating_add(value) };
    }
    merged
}

/// Returns the slug of the integration in the labels of a request. A slug has no character that is escaped.
fn integration_of<'l>(family: &str, labels: &'l str) -> Option<&'l str> {
    let (_, rest) = labels.split_once("integration=\"").filter(|_| family == REQUESTS)?;
    rest.split_once('"').map(|(slug, _)| slug)
}

fn kept_integrations(samples: &[Sample]) -> BTreeSet<String> {
    let mut first_seen: BTreeMap<&str, i64> = BTreeMap::new();
    for sample in samples {
        if let Some(integration) = integration_of(&sample.family, &sample.labels) {
            let since = first_seen.entry(integration).or_insert(sample.since);
            *since = sample.since.min(*since);
        }
    }
    let mut order: Vec<(i64, &str)> = first_seen.into_iter().map(|(slug, since)| (since, slug)).collect();
    order.sort_unstable();
    order.into_iter().take(METRIC_INTEGRATIONS).map(|(_, slug)| slug.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(integration: &str, route: &str, value: u64, since: i64) -> Sample {
        let labels = [("decision", "allowed"), ("environment", "live"), ("integration", integration), ("route", route)];
        Sample { since, ..Sample::new(REQUESTS, &labels, value) }
    }

    #[test]
    fn counters_of_shards_add_up_and_the_highest_gauge_counts() {
        let age = |value| Sample::new("authority_age_seconds", &[("location", "FRA")], value);
        let merged = merge(vec![request("crm", "GET /a", 2, 1), request("crm", "GET /a", 3, 5), age(4), age(2)]);
        assert_eq!(merged.values().copied().collect::<Vec<u64>>(), [4, 5]);
    }

    #[test]
    fn integrations_above_the_cap_are_other_and_no_series_changes_its_name() {
        let mut samples: Vec<Sample> =
            (0..600).map(|number| request(&format!("i-{number:03}"), "GET /a \"x\"", 1, 1_000 - number)).collect();
        let names = |samples: &[Sample]| {
            let merged = merge(samples.to_vec());
            let other: u64 =
                merged.iter().filter(|((_, labels), _)| labels.contains("=\"other\"")).map(|(_, n)| n).sum();
            (merged.keys().cloned().collect::<BTreeSet<_>>(), other)
        };
        let (before, other) = names(&samples);
        assert_eq!((before.len(), other), (METRIC_INTEGRATIONS + 1, 100));
        samples.push(request("a-new-one", "GET /a \"x\"", 7, 2_000));
        assert_eq!(names(&samples), (before, 107));
    }
}
