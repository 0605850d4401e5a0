//! Messages to a shard of the usage object: reports of isolates, and the questions of the control plane.
//!
//! An isolate numbers its reports to each shard from 1 and sends one at a time: it repeats a report, unchanged, until the shard has
//! confirmed it. So the number of the last report of an isolate is all that a shard stores to count each report once.

use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use serde::{Deserialize, Serialize};

use super::hash::fnv_1a;
use super::metrics::{MetricsReport, Sample};

/// Number of shards. A key's counts are on the shard of its id, so another number needs a migration.
pub const USAGE_SHARDS: u32 = 8;

/// Decision of a request that was forwarded. Every other decision is the code of a refusal.
pub const ALLOWED: &str = "allowed";

/// Name of all decisions but [`ALLOWED`] together, in metrics and data points.
pub const REFUSED: &str = "refused";

/// Name that stands for whatever exceeds a cap.
pub const OTHER: &str = "other";

/// Milliseconds in a minute.
pub const MINUTE_MS: i64 = 60_000;
/// Minutes in an hour.
pub const HOUR_MINUTES: i64 = 60;
/// Minutes in a day.
pub const DAY_MINUTES: i64 = 1_440;

/// Returns the shard of a key, by its id.
#[must_use]
pub fn usage_shard(id: &str) -> u32 {
    fnv_1a(id.as_bytes()) % USAGE_SHARDS
}

/// A message to one shard of the usage object.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageRequest {
    /// An isolate reports.
    Report(UsageReport),
    /// The control plane asks for the series of a key.
    Series(SeriesQuery),
    /// The control plane asks for totals.
    Totals(TotalsQuery),
    /// The control plane asks for the totals of a key by route, in hours or days.
    RoutesOfKey(SeriesQuery),
    /// The control plane asks who used a key.
    Activity(ActivityQuery),
    /// The control plane asks how often keys were used since a time.
    UsesSince(Vec<SinceQuery>),
    /// The control plane asks for the metrics.
    Metrics,
}

/// Answer to a [`UsageRequest`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageResponse {
    /// The report is counted: now, or before if it was sent again.
    Reported,
    /// Answer to [`UsageRequest::Series`].
    Series(Series),
    /// Answer to [`UsageRequest::Totals`] and [`UsageRequest::RoutesOfKey`].
    Totals(Vec<Total>),
    /// Answer to [`UsageRequest::Activity`].
    Activity(ActivityPage),
    /// Answer to [`UsageRequest::UsesSince`], in the same order. `None` if the counts of that time are not kept any more.
    UsesSince(Vec<Option<u64>>),
    /// Answer to [`UsageRequest::Metrics`].
    Metrics(Vec<Sample>),
}

/// A report of an isolate to one shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageReport {
    /// Shard that the report is for. An object does not know its own name.
    pub shard: u32,
    /// Random name of the isolate.
    pub isolate: String,
    /// Number of the report among the isolate's reports to this shard, from 1.
    pub sequence: u64,
    /// Keys that were used.
    pub keys: Vec<KeyUsage>,
    /// Metrics of the isolate since its last report to any shard that had some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsReport>,
}

/// Uses of one key in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUsage {
    /// Key id.
    pub id: KeyId,
    /// Slug of its integration; `None` if the isolate did not learn it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration: Option<String>,
    /// Time of the first use in this report, by the isolate's clock.
    pub first_at: Millis,
    /// Time of the last use in this report, by the isolate's clock.
    pub last_at: Millis,
    /// Origin of the last use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_from: Option<UsedFrom>,
    /// Numbers of uses.
    pub uses: Vec<UseCount>,
}

/// Where a key was used from. A network is a /24 or a /48, never an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UsedFrom {
    /// Country, as two letters (ISO 3166-1); `None` if the platform did not tell.
    pub country: Option<String>,
    /// Number of the autonomous system; `None` if the platform did not tell.
    pub asn: Option<u32>,
    /// Network in CIDR form, `/24` for IPv4 and `/48` for IPv6; `None` if the address is unknown.
    pub network: Option<String>,
}

/// Number of uses of one key that agree in everything that is counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseCount {
    /// Minutes since 1970, by the isolate's clock.
    pub minute: i64,
    /// [`ALLOWED`] or the code of the refusal.
    pub decision: String,
    /// The route's `match`.
    pub route: String,
    /// Client family: the first product token of `User-Agent`, or an empty text.
    pub client: String,
    /// Origin.
    #[serde(flatten)]
    pub from: UsedFrom,
    /// Number of requests.
    pub count: u64,
}

impl UseCount {
    /// Returns [`ALLOWED`] or [`REFUSED`].
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        if self.decision == ALLOWED { ALLOWED } else { REFUSED }
    }
}

/// Length of a step of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// A minute. Kept for 3 hours.
    Minute,
    /// An hour. Kept for 35 days.
    Hour,
    /// A day, UTC. Kept for 400 days.
    Day,
}

impl Step {
    /// Returns the length in minutes.
    #[must_use]
    pub const fn minutes(self) -> i64 {
        match self {
            Self::Minute => 1,
            Self::Hour => HOUR_MINUTES,
            Self::Day => DAY_MINUTES,
        }
    }

    /// Returns the time for which its counts are kept, in minutes.
    #[must_use]
    pub const fn kept_minutes(self) -> i64 {
        match self {
            Self::Minute => 3 * HOUR_MINUTES,
            Self::Hour => 35 * DAY_MINUTES,
            Self::Day => 400 * DAY_MINUTES,
        }
    }

    /// Returns the name in queries and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Parses the output of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Minute, Self::Hour, Self::Day].into_iter().find(|step| step.as_str() == text)
    }

    /// Returns the number of the step that contains a minute.
    #[must_use]
    pub const fn of_minute(self, minute: i64) -> i64 {
        minute.div_euclid(self.minutes())
    }

    /// Returns the start of the step with this number.
    #[must_use]
    pub const fn start(self, number: i64) -> Millis {
        Millis(number.saturating_mul(self.minutes()).saturating_mul(MINUTE_MS))
    }
}

/// Returns the minute that contains an instant.
#[must_use]
pub const fn minute_of(at: Millis) -> i64 {
    at.0.div_euclid(MINUTE_MS)
}

/// Question for the series of one key. Steps have numbers, counted from 1970.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SeriesQuery {
    /// Key id.
    pub id: KeyId,
    /// Length of the steps.
    pub step: Step,
    /// Number of the first step.
    pub from: i64,
    /// Number of the step after the last one.
    pub to: i64,
}

/// The series of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// The shard's clock.
    pub now: Millis,
    /// Counts, in order of time, then of decision.
    pub counts: Vec<StepCount>,
}

/// Number of requests with one decision in one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepCount {
    /// Number of the step.
    pub at: i64,
    /// [`ALLOWED`] or the code of the refusal.
    pub decision: String,
    /// Number of requests.
    pub count: u64,
}

/// Property that totals are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TotalsBy {
    /// Integration.
    Integration,
    /// Key id.
    Key,
    /// The route's `match`.
    Route,
    /// Decision.
    Code,
    /// Step of time. The name is the step's number.
    Time,
}

impl TotalsBy {
    /// Parses the name in a query.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "integration" => Some(Self::Integration),
            "key" => Some(Self::Key),
            "route" => Some(Self::Route),
            "code" => Some(Self::Code),
            "time" => Some(Self::Time),
            _ => None,
        }
    }
}

/// Question for totals of a range of hours or days.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TotalsQuery {
    /// Property to group by.
    pub by: TotalsBy,
    /// [`Step::Hour`] or [`Step::Day`].
    pub step: Step,
    /// Number of the first step.
    pub from: i64,
    /// Number of the step after the last one.
    pub to: i64,
    /// Environments to count; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environments: Option<Vec<keyward_key::id::Environment>>,
}

/// Total of one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Value of the property.
    pub name: String,
    /// Number of requests that were forwarded.
    pub allowed: u64,
    /// Number of requests that were refused.
    pub refused: u64,
}

/// Question for the number of requests with a key, allowed and refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinceQuery {
    /// Key id.
    pub id: KeyId,
    /// Number of the first hour.
    pub hour: i64,
}

/// Question for who used a key, from where and for what.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ActivityQuery {
    /// Key id.
    pub id: KeyId,
    /// Number of the first hour.
    pub from: i64,
    /// Number of the hour after the last one.
    pub to: i64,
    /// Hour and source after which the page begins.
    pub after: Option<(i64, i64)>,
    /// Maximum number of items.
    pub limit: u32,
}

/// A page of activity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityPage {
    /// Items in order of time.
    pub items: Vec<Activity>,
    /// Hour and source of the last item, if more follow.
    pub next: Option<(i64, i64)>,
}

/// Uses of a key in one hour, from one origin, by one client, of one route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// Number of the hour.
    pub hour: i64,
    /// Number of the source: with the hour it is the item's place.
    pub source: i64,
    /// The route's `match`.
    pub route: String,
    /// Client family.
    pub client: String,
    /// Origin.
    #[serde(flatten)]
    pub from: UsedFrom,
    /// Number of requests by decision.
    pub counts: Vec<(String, u64)>,
}

/// A shard tells the registry when its keys were used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageTimes {
    /// The shard.
    pub shard: u32,
    /// The shard's clock.
    pub at: Millis,
    /// Keys that were used since the last message, and all times that were not confirmed.
    pub keys: Vec<KeyTimes>,
    /// Whether each key has its [`KeyTimes::days`]. The previous version does not tell them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_days: bool,
}

/// Maximum number of keys in one [`UsageTimes`].
pub const MAX_KEY_TIMES: u32 = 2_000;

/// Times of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyTimes {
    /// Key id.
    pub id: KeyId,
    /// Time of the first use that the shard knows.
    pub first_at: Millis,
    /// Time of the last use.
    pub last_at: Millis,
    /// Origin of the last use.
    pub from: Option<UsedFrom>,
    /// What it was used for, today and yesterday by the shard's clock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<KeyDay>,
}

/// What a key was used for on one day, refused requests included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDay {
    /// Number of the day.
    pub day: i64,
    /// `match` of each route. [`OTHER`] stands for any route: not all are known.
    pub routes: Vec<String>,
    /// Number of networks. It is capped.
    pub networks: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_has_its_share_of_the_keys() {
        let mut keys = [0_u32; USAGE_SHARDS as usize];
        for number in 0..8_000 {
            keys[usize::try_from(usage_shard(&format!("wafl_live_{number:012}"))).unwrap()] += 1;
        }
        assert!(keys.iter().all(|count| (850..1_150).contains(count)), "{keys:?}");
        // Stored counts depend on it.
        assert_eq!(usage_shard("wafl_live_8Fh2kQ0sZp1L"), 0x7565_d7d9 % USAGE_SHARDS);
    }

    #[test]
    fn steps_are_numbered_from_1970() {
        let minute = minute_of(Millis(1_795_442_523_004));
        for (step, start) in [
            (Step::Minute, "2026-11-23T14:02:00.000Z"),
            (Step::Hour, "2026-11-23T14:00:00.000Z"),
            (Step::Day, "2026-11-23T00:00:00.000Z"),
        ] {
            assert_eq!(step.start(step.of_minute(minute)).rfc3339(), start);
            assert_eq!(Step::parse(step.as_str()), Some(step));
        }
        assert_eq!(minute_of(Millis(-1)), -1);
    }
}
