//! The lookup of a key's record.

use super::isolate::Isolate;
use super::platform::{Level, Platform};
use super::registry::{self, Unreachable};
use keyward_config::Config;
use keyward_gate::CopyVerdict;
use keyward_key::id::KeyId;
use keyward_key::sealed::{Broken, storage_name};
use keyward_protocol::{Request, Response};

/// The lookup failed: the authority is unreachable or in backoff, or the lookup rate is used up.
pub(super) struct Unknown;

/// Looks up the record of a key and applies it to the gate.
///
/// 1. The copy in KV decides, unless the feed knows a newer change of the key.
/// 2. Otherwise, and if KV has no copy, fails, is slow or holds something that is not authentic, the authority is asked: outside a
///    backoff and within the lookup rate.
///
/// # Errors
/// [`Unknown`].
pub(super) async fn find(
    isolate: &Isolate,
    config: &Config,
    platform: &impl Platform,
    id: &KeyId,
    request_id: &str,
) -> Result<(), Unknown> {
    if copy_settles(isolate, config, platform, id, request_id).await {
        return Ok(());
    }
    let now = platform.now();
    if !isolate.gate().is_some_and(|mut gate| gate.may_look_up(config, now)) {
        return Err(Unknown);
    }
    match registry::ask(platform, &Request::Lookup { id: id.clone() }).await {
        Ok(Response::Record { record, at }) if record.as_ref().is_none_or(|record| record.id == *id) => {
            let Some(mut gate) = isolate.gate() else { return Err(Unknown) };
            // If a change has overtaken the answer, the gate asks once more.
            gate.apply_record(id, record.map(|record| *record), &at, platform.now());
            Ok(())
        }
        // A planted fault: an error counts as the answer that there is no such key.
        Err(Unreachable(_)) if keyward_fault::fault!("an error is taken for a miss") => {
            if let Some(mut gate) = isolate.gate()
                && let keyward_protocol::feed::FeedQuery::Since(at) = gate.next_query()
            {
                gate.apply_record(id, None, &at, platform.now());
            }
            Ok(())
        }
        Ok(_) => unreachable(isolate, platform, "the registry answered another query", request_id),
        Err(Unreachable(cause)) => unreachable(isolate, platform, &cause, request_id),
    }
}

fn unreachable(isolate: &Isolate, platform: &impl Platform, cause: &str, request_id: &str) -> Result<(), Unknown> {
    platform.log(Level::Warn, "authority_query_failed", &[("cause", cause), ("request_id", request_id)]);
    if let Some(mut gate) = isolate.gate() {
        gate.record_failure(platform.now());
    }
    Err(Unknown)
}

/// Whether the copy in KV decides. After a failure of the store, or with a copy that is not authentic, the authority is asked.
async fn copy_settles(
    isolate: &Isolate,
    config: &Config,
    platform: &impl Platform,
    id: &KeyId,
    request_id: &str,
) -> bool {
    let stored = match platform.kv_get(&storage_name(id)).await {
        Ok(Some(stored)) => stored,
        Ok(None) => return false,
        Err(cause) => {
            platform.log(Level::Warn, "kv_failed", &[("cause", &cause), ("request_id", request_id)]);
            return false;
        }
    };
    let Some(mut gate) = isolate.gate() else { return false };
    let verdict = gate.apply_copy(config, id, &stored, platform.now());
    drop(gate);
    if let CopyVerdict::Broken(why) = verdict
        && why != Broken::Newer
    {
        let fields = [("key_id", id.as_str()), ("why", why.as_str()), ("request_id", request_id)];
        platform.log(Level::Warn, "kv_record_broken", &fields);
    }
    verdict == CopyVerdict::Settled
}
