//! Queries to the objects that count limited requests. There is at most one in flight for each object, for all keys that need units.

use std::sync::Arc;

use super::context::LookupContext;
use super::decide::satisfy;
use super::isolate::{Isolate, LookupKey};
use super::platform::{Level, Platform, ShardedObject};
use super::usage;
use keyward_config::Config;
use keyward_gate::leases::{KeyLimits, Receipt};
use keyward_gate::{Need, Reason, Refusal, Spending};
use keyward_http::problem::{Code, Problem};
use keyward_key::version;
use keyward_protocol::lease::LeaseAnswer;

/// Maximum number of queries that one request waits for. While more requests arrive than leases allow, each waits for several.
pub const MAX_LEASE_ROUNDS: u8 = 12;

/// Asks a shard for the units that the gate needs, and applies the answer.
pub(super) async fn ask(context: &LookupContext<'_, impl Platform>, shard: u32) {
    let LookupContext { isolate, config, platform, request_id } = *context;
    let asked_at = platform.now();
    let number = isolate.number(platform);
    let Some(query) = isolate.gate().and_then(|mut gate| gate.lease_query(config, shard, number, asked_at)) else {
        return;
    };
    let answered = match serde_json::to_string(&query) {
        Ok(message) => platform.ask_shard(ShardedObject::Limits, shard, &message).await,
        Err(error) => Err(error.to_string()),
    };
    let answer = answered.and_then(|text| version::read::<LeaseAnswer>(&text).map_err(|error| error.to_string()));
    let now = platform.now();
    if let Some(mut usage) = isolate.usage() {
        usage.metrics.lease_request(answer.is_ok());
    }
    match answer {
        Ok(answer) => {
            if let Some(mut gate) = isolate.gate() {
                gate.apply_leases(shard, &answer, asked_at, now);
            }
            if let Some(mut usage) = isolate.usage() {
                usage.metrics.add_object_counters(answer.counters);
            }
        }
        Err(cause) => {
            let shard_name = ShardedObject::Limits.name(shard);
            let fields = [("object", shard_name.as_str()), ("cause", &cause), ("request_id", request_id)];
            platform.log(Level::Warn, "limits_query_failed", &fields);
            if let Some(mut gate) = isolate.gate() {
                gate.record_lease_failure(shard, now);
            }
        }
    }
}

/// Returns whether requests have made a renewal of leases due since the last call. Must be called after each decision about a request of a
/// limited key; if it returns `true`, the caller starts [`renew`] in the background.
pub fn take_renewal_due(isolate: &Isolate) -> bool {
    isolate.gate().is_some_and(|mut gate| gate.take_renewal_due())
}

/// Renews leases in the background, at each shard that keys wait for.
pub async fn renew(isolate: &Isolate, config: &Config, platform: &impl Platform) {
    let context = LookupContext { isolate, config, platform, request_id: "" };
    for shard in isolate.gate().map(|gate| gate.pending_shards()).unwrap_or_default() {
        let lookup = LookupKey::Lease(shard);
        if isolate.try_start(&lookup, platform.now()) {
            ask(&context, shard).await;
            isolate.finish(&lookup);
        }
    }
}

/// Counts a request that another worker handles, and asks for the units that it needs.
///
/// # Errors
/// `rate_limited` or `authority_unavailable`.
pub async fn count(
    context: &LookupContext<'_, impl Platform>,
    limits: &Arc<KeyLimits>,
    cost: u32,
) -> Result<Receipt, Refusal> {
    for _ in 0..MAX_LEASE_ROUNDS {
        let spending = Spending::of(cost, context.config, context.platform.now());
        let counted = match context.isolate.gate() {
            Some(mut gate) => gate.count(limits, spending),
            None => return Err(Refusal::new(Code::InternalError, Reason::GateBusy)),
        };
        match counted {
            Ok(Some(receipt)) => return Ok(receipt),
            Ok(None) => satisfy(context, Need::Lease(limits.shard)).await?,
            Err(refusal) => {
                usage::count_limits(context.isolate, &refusal);
                return Err(*refusal);
            }
        }
    }
    Err(crowded())
}

/// Returns the refusal of a request that waited for units which others took each time.
pub(super) fn crowded() -> Refusal {
    Refusal::with(Problem::rate_limited("Too many requests at once. Try again in 1 second.", 1), Reason::Limit)
}
