//! Questions about usage, which the registry authorises and the shards of the usage object answer.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::failure::Failure;
use super::text_table::{self, Form};
use keyward_edge::platform::ShardedObject;
use keyward_edge::{Level, Platform};
use keyward_http::limits::TOTALS;
use keyward_http::problem::Code;
use keyward_http::reply::Reply;
use keyward_key::time::Millis;
use keyward_key::version;
use keyward_protocol::Raw;
use keyward_protocol::usage::{
    ALLOWED, Activity, ActivityPage, ActivityQuery, Series, SeriesQuery, Step, StepCount, Total, TotalsBy, TotalsQuery,
    USAGE_SHARDS, UsageRequest, UsageResponse, usage_shard,
};

/// Time in milliseconds after which a count is in its shard, while the shard answers.
const COMPLETE_AFTER_MS: i64 = 120_000;

/// A question whose caller is authorised.
pub enum UsageQuestion {
    /// The series of one key.
    Series(SeriesQuery),
    /// Totals over keys.
    Totals(TotalsQuery),
    /// Totals of one key by route.
    RoutesOfKey(SeriesQuery),
    /// Who used a key.
    Activity(ActivityQuestion),
}

/// A question for the activity of a key.
pub struct ActivityQuestion {
    /// Question to the shard.
    pub query: ActivityQuery,
    /// Audit entries of the key in the range, in order, each with its time.
    pub entries: Vec<(Millis, u64, Raw)>,
    /// Whether more audit entries follow.
    pub more_entries: bool,
    /// Number of the audit entry after which the page begins.
    pub after_entry: u64,
    /// Form of the answer.
    pub form: Form,
}

/// Asks the shards, and makes the response.
pub(super) async fn answer(
    platform: &impl Platform,
    question: UsageQuestion,
    request_id: &str,
) -> Result<Reply, Failure> {
    let ask = Asking { platform, request_id };
    match question {
        UsageQuestion::Series(query) => {
            let shard = usage_shard(query.id.as_str());
            match ask.shard(shard, &UsageRequest::Series(query.clone())).await? {
                UsageResponse::Series(series) => Ok(Reply::json(200, &shown_series(&query, series), request_id)),
                _ => Err(ask.confused(shard)),
            }
        }
        UsageQuestion::Totals(query) => {
            let mut totals = Vec::new();
            for shard in 0..USAGE_SHARDS {
                match ask.shard(shard, &UsageRequest::Totals(query.clone())).await? {
                    UsageResponse::Totals(some) => totals.extend(some),
                    _ => return Err(ask.confused(shard)),
                }
            }
            if query.by == TotalsBy::Time {
                return Ok(Reply::json(200, &shown_times(&query, totals), request_id));
            }
            Ok(Reply::json(200, &shown_totals(query.step, query.from..query.to, totals), request_id))
        }
        UsageQuestion::RoutesOfKey(query) => {
            let shard = usage_shard(query.id.as_str());
            match ask.shard(shard, &UsageRequest::RoutesOfKey(query.clone())).await? {
                UsageResponse::Totals(totals) => {
                    Ok(Reply::json(200, &shown_totals(query.step, query.from..query.to, totals), request_id))
                }
                _ => Err(ask.confused(shard)),
            }
        }
        UsageQuestion::Activity(question) => {
            let shard = usage_shard(question.query.id.as_str());
            match ask.shard(shard, &UsageRequest::Activity(question.query.clone())).await? {
                UsageResponse::Activity(page) => {
                    Ok(text_table::reply(&question.form, merge(&question, page), request_id))
                }
                _ => Err(ask.confused(shard)),
            }
        }
    }
}

/// Questions to the shards of the usage object.
pub(super) struct Asking<'a, P> {
    pub platform: &'a P,
    pub request_id: &'a str,
}

impl<P: Platform> Asking<'_, P> {
    /// Asks one shard.
    pub async fn shard(&self, shard: u32, request: &UsageRequest) -> Result<UsageResponse, Failure> {
        let message = serde_json::to_string(request).map_err(|_| self.confused(shard))?;
        let answer = self.platform.ask_shard(ShardedObject::Usage, shard, &message).await;
        match answer.map(|answer| version::read::<UsageResponse>(&answer)) {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(_)) => Err(self.confused(shard)),
            Err(cause) => Err(self.failed(shard, &cause)),
        }
    }

    /// A shard that does not answer is never "no usage".
    fn failed(&self, shard: u32, cause: &str) -> Failure {
        let shard = shard.to_string();
        let fields = [("shard", shard.as_str()), ("cause", cause), ("request_id", self.request_id)];
        self.platform.log(Level::Error, "usage_query_failed", &fields);
        Code::AuthorityUnavailable.into()
    }

    /// Returns the failure for an answer of another kind.
    pub fn confused(&self, shard: u32) -> Failure {
        self.failed(shard, "the answer does not match the question")
    }
}

/// A range of time in a response.
#[derive(Serialize)]
struct Shown<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'static str>,
    from: String,
    to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    complete_to: Option<String>,
    items: Vec<T>,
}

/// One step of a series in a response.
#[derive(Serialize)]
struct ShownStep {
    at: String,
    allowed: u64,
    refused: Map<String, Json>,
}

fn shown_series(query: &SeriesQuery, series: Series) -> Shown<ShownStep> {
    let SeriesQuery { step, from, to, .. } = *query;
    let mut items: Vec<(i64, ShownStep)> = Vec::new();
    for StepCount { at, decision, count } in series.counts {
        if items.last().is_none_or(|(last, _)| *last != at) {
            items.push((at, ShownStep { at: step.start(at).rfc3339(), allowed: 0, refused: Map::new() }));
        }
        let Some((_, item)) = items.last_mut() else { continue };
        if decision == ALLOWED {
            item.allowed = count;
        } else {
            item.refused.insert(decision, count.into());
        }
    }
    let complete = Millis(series.now.0.saturating_sub(COMPLETE_AFTER_MS)).min(step.start(to));
    Shown {
        step: Some(step.as_str()),
        from: step.start(from).rfc3339(),
        to: step.start(to).rfc3339(),
        complete_to: Some(complete.max(step.start(from)).rfc3339()),
        items: items.into_iter().map(|(_, item)| item).collect(),
    }
}

/// Adds up the totals of all shards: the largest first, and those of equal size by name.
fn shown_totals(step: Step, range: Range<i64>, totals: Vec<Total>) -> Shown<Total> {
    let mut items: Vec<Total> = summed(totals).into_values().collect();
    items.sort_by_key(|total| std::cmp::Reverse(total.allowed.saturating_add(total.refused)));
    items.truncate(TOTALS);
    shown(step, range, items)
}

/// Adds up the totals of all shards by step, in order of time. The range has at most 92 steps.
fn shown_times(query: &TotalsQuery, totals: Vec<Total>) -> Shown<Total> {
    let start = |total: Total| {
        let number = total.name.parse().ok()?;
        Some(Total { name: query.step.start(number).rfc3339(), ..total })
    };
    let items = summed(totals.into_iter().filter_map(start)).into_values().collect();
    shown(query.step, query.from..query.to, items)
}

fn summed(totals: impl IntoIterator<Item = Total>) -> BTreeMap<String, Total> {
    let mut sums: BTreeMap<String, Total> = BTreeMap::new();
    for total in totals {
        let sum = sums.entry(total.name.clone()).or_insert_with(|| Total { allowed: 0, refused: 0, ..total.clone() });
        sum.allowed = sum.allowed.saturating_add(total.allowed);
        sum.refused = sum.refused.saturating_add(total.refused);
    }
    sums
}

fn shown(step: Step, range: Range<i64>, items: Vec<Total>) -> Shown<Total> {
    let (from, to) = (step.start(range.start).rfc3339(), step.start(range.end).rfc3339());
    Shown { step: None, from, to, complete_to: None, items }
}

/// One item of activity, or an audit entry of the key.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ActivityItem {
    /// Uses in one hour.
    Use(ShownUse),
    /// A change of the key.
    Change {
        /// Time of the change.
        at: String,
        /// The entry as the audit log shows it.
        audit: Raw,
    },
}

/// Uses in one hour that agree in everything.
#[derive(Serialize)]
pub(super) struct ShownUse {
    /// Start of the hour.
    pub at: String,
    pub route: String,
    pub network: Option<String>,
    pub client: String,
    pub country: Option<String>,
    pub asn: Option<u32>,
    pub allowed: u64,
    pub refused: Map<String, Json>,
}

impl From<Activity> for ShownUse {
    fn from(activity: Activity) -> Self {
        let Activity { hour, route, client, from, counts, .. } = activity;
        let (mut allowed, mut refused) = (0, Map::new());
        for (decision, count) in counts {
            if decision == ALLOWED {
                allowed = count;
            } else {
                refused.insert(decision, count.into());
            }
        }
        let at = Step::Hour.start(hour).rfc3339();
        Self { at, route, network: from.network, client, country: from.country, asn: from.asn, allowed, refused }
    }
}

/// A page of activity, with the cursor of the next one.
pub(super) struct MergedPage {
    pub items: Vec<ActivityItem>,
    pub next_cursor: Option<String>,
}

/// Merges uses and audit entries in order of time. An entry comes after the uses of its hour have begun.
fn merge(question: &ActivityQuestion, page: ActivityPage) -> MergedPage {
    let mut place = (question.query.after, question.after_entry);
    let most = usize::try_from(question.query.limit).unwrap_or(usize::MAX);
    let mut more = page.next.is_some() || question.more_entries;
    // Whatever follows the last use of a page that is not the last one must wait for the next page, and so for entries.
    let uses_end = page.next.map(|(hour, _)| Step::Hour.start(hour));
    let entries_end = question.entries.last().filter(|_| question.more_entries).map(|(at, ..)| *at);
    let mut uses = page.items.into_iter().peekable();
    let mut entries = question.entries.iter().peekable();
    let mut items = Vec::new();
    while items.len() < most {
        let use_at = uses.peek().map(|used| Step::Hour.start(used.hour));
        let entry_at = entries.peek().map(|(at, ..)| *at);
        let takes_use = match (use_at, entry_at) {
            (Some(use_at), Some(entry_at)) => use_at <= entry_at,
            (Some(use_at), None) => entries_end.is_none_or(|end| use_at <= end),
            (None, Some(entry_at)) if uses_end.is_none_or(|end| entry_at < end) => false,
            (None, _) => break,
        };
        if takes_use {
            let Some(used) = uses.next() else { break };
            place.0 = Some((used.hour, used.source));
            items.push(ActivityItem::Use(used.into()));
        } else {
            let Some((at, seq, audit)) = entries.next() else { break };
            place.1 = *seq;
            items.push(ActivityItem::Change { at: at.rfc3339(), audit: audit.clone() });
        }
    }
    more |= uses.peek().is_some() || entries.peek().is_some();
    let (hour, source) = place.0.unwrap_or((question.query.from, -1));
    let next_cursor = more.then(|| format!("{hour}.{}.{}", source.saturating_add(1), place.1));
    MergedPage { items, next_cursor }
}

/// Parses a cursor: hour and source of the last use, and number of the last entry.
pub(super) fn read_cursor(text: &str) -> Option<((i64, i64), u64)> {
    let mut parts = text.split('.').map(|part| super::query::whole(part).filter(|number| *number < 1 << 53));
    let (hour, source, entry) = (parts.next()??, parts.next()??, parts.next()??);
    let number = |number: u64| i64::try_from(number).ok();
    parts.next().is_none().then_some(((number(hour)?, number(source)?.saturating_sub(1)), entry))
}
