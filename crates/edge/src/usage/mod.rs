//! Counts the requests of genuine keys in memory, and reports them to the shards of the usage object.
//!
//! ```text
//! count ─► UsageDue ─► origin?  the platform tells country and system of a new network
//!                   └► report?  at once for the first use of a key in an hour, otherwise within half a minute
//! report_shard ─► one message to one shard, repeated unchanged until it is confirmed
//! ```
//!
//! Counting a known key, route, network and client allocates nothing and makes no crossing.

mod analytics;
mod counter;
mod key_counter;
mod outgoing;
pub(crate) mod source;

pub use analytics::DataPoint;
pub use counter::{Report, UsageCounter, UsageDue};
pub use source::Origin;

use super::context::RequestContext;
use super::isolate::Isolate;
use super::metrics::FoundIn;
use super::platform::{Level, Platform, ShardedObject};
use super::registry;
use counter::{Surroundings, Use};
use keyward_gate::{Grant, KeyUse, Refusal};
use keyward_http::head::Head;
use keyward_http::problem::Code;
use keyward_http::route::Matched;
use keyward_key::time::Millis;
use keyward_key::version;
use keyward_protocol::feed::CompactKeyId;
use keyward_protocol::usage::{ALLOWED, UsageResponse};
use keyward_protocol::{Request, Response};

/// Pause before a report that is not urgent, in milliseconds. The platform ends background work 30 s after the answer.
pub const REPORT_PAUSE_MS: u32 = 20_000;

/// Pause before first uses are reported, in milliseconds. They share a report: one for each would cost far more than their requests.
pub const FIRST_USE_PAUSE_MS: u32 = 1_000;

/// Maximum number of reports that one task sends to one shard.
const REPORTS_A_TASK: u32 = 10;

/// How a request got the record of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFrom {
    /// It was in memory.
    Memory,
    /// By a lookup, which was counted, if the gate needed one.
    Lookup,
}

/// Counts a request that will be forwarded. `None` on a public route, and if nothing is to be done.
pub fn count_grant(isolate: &Isolate, head: &Head<'_>, grant: &Grant, record: RecordFrom) -> Option<UsageDue> {
    count(isolate, head, &grant.used()?, (ALLOWED, record))
}

/// Counts the refusal of a request that has no genuine key, for the metrics only.
pub fn count_code(isolate: &Isolate, code: Code, now: Millis) -> Option<UsageDue> {
    isolate.usage()?.refused(code.as_str(), now)
}

/// Counts a refused request: for the metrics always, for its key if that is genuine.
pub fn count_refusal(
    context: &RequestContext<'_, impl Platform>,
    refusal: &Refusal,
    record: RecordFrom,
) -> Option<UsageDue> {
    let RequestContext { isolate, head, .. } = *context;
    count_limits(isolate, refusal);
    let code = refusal.problem.code;
    let Some(due) = count_key_refusal(context, refusal, record) else {
        return count_code(isolate, code, head.now());
    };
    // The report of the key takes the metrics along.
    if let Some(mut usage) = isolate.usage() {
        usage.metrics.refused(code.as_str());
    }
    Some(due)
}

/// Counts each limit that a refusal names, for the metrics.
pub fn count_limits(isolate: &Isolate, refusal: &Refusal) {
    if let Some(mut usage) = isolate.usage() {
        refusal.problem.limits_reached().for_each(|name| usage.metrics.limited(name));
    }
}

fn count_key_refusal(
    context: &RequestContext<'_, impl Platform>,
    refusal: &Refusal,
    record: RecordFrom,
) -> Option<UsageDue> {
    let RequestContext { isolate, config, head, .. } = *context;
    let code = refusal.problem.code;
    if let Some(used) = refusal.used() {
        return count(isolate, head, &used, (code.as_str(), record));
    }
    // The record is unknown, because neither KV nor the authority answered. The tag has shown that the key is one of ours.
    let key_id = refusal.key_id.as_ref().filter(|_| code == Code::AuthorityUnavailable)?;
    let Matched::Route(route) = config.routes.find(head.method(), head.target().path()) else { return None };
    let used = KeyUse { id: CompactKeyId::of(key_id)?, key_id, integration: None, route: route.text() };
    count(isolate, head, &used, (code.as_str(), RecordFrom::Lookup))
}

fn count(
    isolate: &Isolate,
    head: &Head<'_>,
    used: &KeyUse<'_>,
    (decision, record): (&'static str, RecordFrom),
) -> Option<UsageDue> {
    let mut usage = isolate.usage()?;
    if record == RecordFrom::Memory {
        usage.metrics.found(FoundIn::Memory);
    }
    let request = Use {
        decision,
        network: source::network_of(head.client_address()),
        client: source::client_of(head.user_agent()),
        now: head.now(),
    };
    usage.count(used, &request)
}

/// Sets the origin of a network that [`UsageDue::new_network`] names, and the location of the isolate.
pub fn set_origin(isolate: &Isolate, due: &UsageDue, origin: Origin, location: &str) {
    let Some(mut usage) = isolate.usage() else { return };
    usage.metrics.set_location(location);
    if let (Some(key), Some(network)) = (due.key, due.new_network) {
        usage.set_origin(key, network, origin);
    }
}

/// Returns the shards to which a report is to be sent now.
pub fn shards_due(isolate: &Isolate, report: Report, now: Millis) -> Vec<u32> {
    isolate.usage().map_or_else(Vec::new, |mut usage| usage.shards_due(report, now))
}

/// Reports to one shard. A report that is not confirmed is sent again by a later task.
pub async fn report_shard(isolate: &Isolate, platform: &impl Platform, shard: u32) {
    if isolate.usage().is_some_and(|mut usage| usage.give_up_old(shard, platform.now())) {
        platform.log(Level::Error, "usage_lost", &[("shard", &shard.to_string())]);
        tell_missing(isolate, platform, shard).await;
    }
    for _ in 0..REPORTS_A_TASK {
        let next = match isolate.usage() {
            Some(mut usage) => {
                let now = platform.now();
                let mut surroundings = Surroundings {
                    random: &mut || platform.jitter(),
                    logged: &mut || platform.take_logged(),
                    reported: &mut |keys, location| platform.write_points(|| analytics::points(keys, location)),
                    age_ms: isolate.gate().and_then(|gate| gate.authority_age_ms(now)),
                };
                usage.next_report(shard, now, &mut surroundings)
            }
            None => return,
        };
        let Some((made, message)) = next else { return };
        let answer = platform.ask_shard(ShardedObject::Usage, shard, &message).await;
        let confirmed = answer.and_then(|answer| match version::read::<UsageResponse>(&answer) {
            Ok(UsageResponse::Reported) => Ok(()),
            _ => Err("the shard did not confirm the report".to_owned()),
        });
        let now = platform.now();
        let Err(cause) = confirmed else {
            let Some(mut usage) = isolate.usage() else { return };
            usage.confirmed(shard, made, now);
            continue;
        };
        let is_lost = isolate.usage().is_some_and(|mut usage| usage.failed(shard, now));
        let number = shard.to_string();
        platform.log(Level::Warn, "usage_report_failed", &[("shard", &number), ("cause", &cause)]);
        if is_lost {
            platform.log(Level::Error, "usage_lost", &[("shard", &number)]);
        }
        return tell_missing(isolate, platform, shard).await;
    }
}

/// Tells the registry that reports to a shard are missing, so that no key of the shard is called idle. This isolate may end before the
/// shard answers again.
async fn tell_missing(isolate: &Isolate, platform: &impl Platform, shard: u32) {
    if !isolate.usage().is_some_and(|usage| usage.must_tell_missing(shard, platform.now())) {
        return;
    }
    let told = registry::ask(platform, &Request::UsageMissing { shard }).await;
    if let (Ok(Response::UsageNoted), Some(mut usage)) = (told, isolate.usage()) {
        usage.told_missing(shard, platform.now());
    }
}
