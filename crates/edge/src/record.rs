//! The lookup of a key's record.

use super::isolate::{Isolate, LookupKey};
use super::lookup_queue::{Batch, KvCopy};
use super::metrics::FoundIn;
use super::platform::{Level, Platform};
use super::poll::Polls;
use super::registry::{self, Unreachable};
use keyward_config::Config;
use keyward_gate::CopyVerdict;
use keyward_key::id::KeyId;
use keyward_key::sealed::{Broken, storage_name};
use keyward_key::time::Millis;
use keyward_protocol::feed::{FeedQuery, Position};
use keyward_protocol::{LookedUp, Request, Response};

/// The lookup failed: the authority is unreachable or in backoff, or too many keys wait for it.
pub(super) struct Unknown;

/// Looks up the record of a key and applies it to the gate.
///
/// 1. The copy in KV decides, unless the feed knows a newer change of the key.
/// 2. Otherwise, and if KV has no copy, fails, is slow or holds something that is not authentic, the authority is asked, outside a
///    backoff. Keys that are needed while a lookup is in flight share the next one.
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
    let lookup = Lookup { isolate, config, platform, request_id };
    let found_in = match lookup.read_copy(id).await {
        Some(copy) => {
            lookup.ask_authority(id, copy).await?;
            FoundIn::Authority
        }
        None => FoundIn::Kv,
    };
    if let Some(mut usage) = isolate.usage() {
        usage.metrics.found(found_in);
    }
    Ok(())
}

/// What a waiting request does next.
enum Turn {
    /// Its key has been answered.
    Answered,
    /// It asks about these keys.
    Ask(Batch),
    /// It waits for the lookup in flight.
    Wait,
}

struct Lookup<'a, P> {
    isolate: &'a Isolate,
    config: &'a Config,
    platform: &'a P,
    request_id: &'a str,
}

impl<P: Platform> Lookup<'_, P> {
    /// Reads the copy in KV. `None` if it decides; otherwise what KV has of the key that the authority must be asked about.
    async fn read_copy(&self, id: &KeyId) -> Option<KvCopy> {
        let stored = match self.platform.kv_get(&storage_name(id)).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return Some(KvCopy::Absent),
            Err(cause) => {
                self.log("kv_failed", ("cause", &cause));
                return Some(KvCopy::Absent);
            }
        };
        let Some(mut gate) = self.isolate.gate() else { return Some(KvCopy::Absent) };
        let verdict = gate.apply_copy(self.config, id, &stored, self.platform.now());
        drop(gate);
        match verdict {
            CopyVerdict::Settled => None,
            CopyVerdict::Confirm => Some(KvCopy::Authentic),
            CopyVerdict::Broken(why) => {
                // A newer version of the worker runs beside this one for a while. Its copies are not for this one.
                if why != Broken::Newer {
                    let fields = [("key_id", id.as_str()), ("why", why.as_str()), ("request_id", self.request_id)];
                    self.platform.log(Level::Warn, "kv_record_broken", &fields);
                }
                Some(KvCopy::Absent)
            }
        }
    }

    /// Waits until the authority has answered about a key, and asks it whenever no lookup is in flight.
    async fn ask_authority(&self, id: &KeyId, copy: KvCopy) -> Result<(), Unknown> {
        if !self.may_query() {
            return Err(Unknown);
        }
        if !self.isolate.lookups().is_some_and(|mut lookups| lookups.push(id, copy)) {
            self.log("lookup_queue_full", ("key_id", id.as_str()));
            return Err(Unknown);
        }
        let mut polls = Polls::default();
        loop {
            let now = self.platform.now();
            self.isolate.touch(&LookupKey::Record(id.clone()), now);
            match self.next_turn(id, now)? {
                Turn::Answered => return Ok(()),
                Turn::Ask(batch) => self.look_up(batch).await,
                Turn::Wait if polls.pause(self.platform).await => {}
                Turn::Wait => return Err(Unknown),
            }
        }
    }

    /// Returns what a request that waits for a key does next.
    fn next_turn(&self, id: &KeyId, now: Millis) -> Result<Turn, Unknown> {
        let may_query = self.may_query();
        let mut lookups = self.isolate.lookups().ok_or(Unknown)?;
        if !lookups.is_waiting(id) {
            return if may_query { Ok(Turn::Answered) } else { Err(Unknown) };
        }
        if !may_query && !lookups.is_in_flight(now) {
            lookups.fail();
            return Err(Unknown);
        }
        Ok(lookups.start(now).map_or(Turn::Wait, Turn::Ask))
    }

    fn may_query(&self) -> bool {
        let now = self.platform.now();
        self.isolate.gate().is_some_and(|mut gate| gate.may_query(self.config, now))
    }

    /// Asks the authority about keys, and applies the answer to the gate.
    async fn look_up(&self, batch: Batch) {
        let fallback = self.fault_position();
        let request = Request::Lookup { ids: batch.ids.clone() };
        match registry::ask(self.platform, &request).await {
            Ok(Response::Records { records, at }) if !records.is_empty() => self.apply(&batch, &records, &at),
            // A planted fault: an error counts as the answer that there is no such key.
            Err(Unreachable(_)) if fallback.is_some() => {
                if let Some(at) = fallback {
                    let records: Vec<_> = batch.ids.iter().filter_map(|id| LookedUp::new(id.clone(), None)).collect();
                    self.apply(&batch, &records, &at);
                }
            }
            Ok(_) => self.unreachable("the registry answered another query"),
            Err(Unreachable(cause)) => self.unreachable(&cause),
        }
    }

    fn fault_position(&self) -> Option<Position> {
        if !keyward_fault::fault!("an error is taken for a miss") {
            return None;
        }
        match self.isolate.gate()?.next_query() {
            FeedQuery::Since(at) => Some(at),
            FeedQuery::Snapshot { .. } => None,
        }
    }

    fn apply(&self, batch: &Batch, records: &[LookedUp], at: &Position) {
        let now = self.platform.now();
        for looked_up in records {
            match looked_up.record() {
                // If a change has overtaken the answer, the gate asks once more.
                Ok(record) => {
                    if let Some(mut gate) = self.isolate.gate() {
                        gate.apply_record(&looked_up.id, record, at, now);
                    }
                }
                Err(why) => {
                    let cause = why.to_string();
                    let fields =
                        [("key_id", looked_up.id.as_str()), ("cause", &cause), ("request_id", self.request_id)];
                    self.platform.log(Level::Error, "record_unreadable", &fields);
                }
            }
        }
        if let Some(mut lookups) = self.isolate.lookups() {
            lookups.finish(batch, records.iter().map(|looked_up| &looked_up.id));
        }
    }

    fn unreachable(&self, cause: &str) {
        self.log("authority_query_failed", ("cause", cause));
        self.isolate.authority_failed(self.platform.now());
        if let Some(mut lookups) = self.isolate.lookups() {
            lookups.fail();
        }
    }

    fn log(&self, event: &str, field: (&str, &str)) {
        self.platform.log(Level::Warn, event, &[field, ("request_id", self.request_id)]);
    }
}
