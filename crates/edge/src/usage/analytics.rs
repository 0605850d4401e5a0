//! Data points for the optional dataset of Analytics Engine, made of the counts that a report takes along. docs/guides/analytics.md
//! documents their form.
//!
//! A point stands for all requests of the report that agree in everything that it names. So the path of a request does nothing for it.

use std::collections::BTreeMap;

use keyward_key::id::Class;
use keyward_protocol::usage::{ALLOWED, KeyUsage, OTHER, USAGE_SHARDS};

/// Maximum number of points that the platform takes from one event; it drops any more.
/// <https://developers.cloudflare.com/analytics/analytics-engine/limits/>
const POINTS_OF_AN_EVENT: usize = 250;

/// Maximum number of points of one report. An event that reports once to each shard loses no point. One that sends several full reports to
/// a shard may.
const POINTS_OF_A_REPORT: usize = 25;

const _: () = assert!(USAGE_SHARDS as usize * POINTS_OF_A_REPORT <= POINTS_OF_AN_EVENT);

/// Number of texts of a point.
const TEXTS: usize = 7;

/// Positions of the texts that are replaced by `other`, one after the other, until a report has few enough points: key, country, route,
/// code.
const REPLACED: [usize; 4] = [6, 4, 2, 1];

/// One data point: its index and its texts. Equal ones add up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DataPoint {
    /// Slug of the integration; empty if it is unknown.
    pub integration: String,
    /// Decision, code of the refusal, route, environment, country, data centre, key id. Empty if there is none.
    pub texts: [String; TEXTS],
}

/// Returns the points of a report with their numbers of requests. Few reports have more than [`POINTS_OF_A_REPORT`] different ones; these
/// lose details, but no requests.
#[must_use]
pub fn points(keys: &[KeyUsage], location: &str) -> BTreeMap<DataPoint, u64> {
    let mut counts = BTreeMap::new();
    for key in keys {
        let environment = match key.id.class() {
            Class::Data(environment) => environment.as_str(),
            Class::Member => "",
        };
        for of in &key.uses {
            let decision = of.outcome();
            let code = if decision == ALLOWED { "" } else { of.decision.as_str() };
            let country = of.from.country.as_deref().unwrap_or_default();
            let texts = [decision, code, &of.route, environment, country, location, key.id.as_str()];
            let integration = key.integration.clone().unwrap_or_default();
            add(&mut counts, DataPoint { integration, texts: texts.map(str::to_owned) }, of.count);
        }
    }
    for position in REPLACED {
        if counts.len() <= POINTS_OF_A_REPORT {
            return counts;
        }
        counts = merged(counts, |point| {
            if let Some(text) = point.texts.get_mut(position).filter(|text| !text.is_empty()) {
                OTHER.clone_into(text);
            }
        });
    }
    if counts.len() > POINTS_OF_A_REPORT {
        counts = merged(counts, |point| OTHER.clone_into(&mut point.integration));
    }
    counts
}

fn merged(counts: BTreeMap<DataPoint, u64>, change: impl Fn(&mut DataPoint)) -> BTreeMap<DataPoint, u64> {
    let mut merged = BTreeMap::new();
    for (mut point, count) in counts {
        change(&mut point);
        add(&mut merged, point, count);
    }
    merged
}

fn add(counts: &mut BTreeMap<DataPoint, u64>, point: DataPoint, count: u64) {
    let sum = counts.entry(point).or_default();
    *sum = sum.saturating_add(count);
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_key::id::KeyId;
    use keyward_key::time::Millis;
    use keyward_protocol::usage::{UseCount, UsedFrom};

    fn used(number: usize, integration: &str, uses: &[(&str, &str, &str, u64)]) -> KeyUsage {
        let id = KeyId::parse(&format!("wafl_live_{number:012}"));
        let count = |(decision, route, country, count): &(&str, &str, &str, u64)| UseCount {
            minute: 1,
            decision: (*decision).to_owned(),
            route: (*route).to_owned(),
            client: "curl".to_owned(),
            from: UsedFrom {
                country: Some((*country).to_owned()),
                asn: None,
                network: Some("192.0.2.0/24".to_owned()),
            },
            count: *count,
        };
        KeyUsage {
            id: id.unwrap(),
            integration: Some(integration.to_owned()),
            first_at: Millis(1),
            last_at: Millis(2),
            last_from: None,
            uses: uses.iter().map(count).collect(),
        }
    }

    fn sum(points: &BTreeMap<DataPoint, u64>) -> u64 {
        points.values().sum()
    }

    #[test]
    fn requests_that_agree_are_one_point() {
        let uses = [("allowed", "GET /a", "DE", 3), ("allowed", "GET /a", "DE", 4), ("revoked_key", "GET /a", "DE", 1)];
        let points = points(&[used(1, "crm", &uses)], "FRA");
        let told: Vec<(String, u64)> = points.iter().map(|(point, count)| (point.texts.join("|"), *count)).collect();
        let id = used(1, "crm", &[]).id;
        assert_eq!(
            told,
            [
                (format!("allowed||GET /a|live|DE|FRA|{}", id.as_str()), 7),
                (format!("refused|revoked_key|GET /a|live|DE|FRA|{}", id.as_str()), 1)
            ]
        );
        assert!(points.keys().all(|point| point.integration == "crm"));
    }

    #[test]
    fn a_report_of_many_keys_loses_keys_first_and_no_request() {
        let keys: Vec<KeyUsage> = (0..200)
            .map(|number| used(number, "crm", &[("allowed", "GET /a", "DE", 1), ("allowed", "GET /b", "AT", 1)]))
            .collect();
        let points = points(&keys, "FRA");
        assert_eq!((points.len(), sum(&points)), (2, 400));
        assert!(points.keys().all(|point| point.texts[6] == OTHER && point.texts[4] != OTHER));
    }

    #[test]
    fn no_report_has_too_many_points() {
        let keys: Vec<KeyUsage> = (0..200)
            .map(|number| {
                let (route, country) = (format!("GET /{number}"), format!("{number}"));
                used(
                    number,
                    &format!("integration-{number}"),
                    &[("allowed", &route, &country, 1), ("rate_limited", &route, &country, 2)],
                )
            })
            .collect();
        let points = points(&keys, "FRA");
        assert_eq!((points.len(), sum(&points)), (2, 600));
    }
}
