//! When keys were used, as the shards of the usage object tell. Not a change of a key: it has no revision, no audit entry, no copy in KV.

use keyward_fault::fault;
use keyward_key::time::Millis;
use keyward_protocol::usage::{USAGE_SHARDS, UsageTimes, usage_shard};
use keyward_protocol::{Response, Status};

use super::context::days_before;
use super::key_uses;
use super::store::{Row, Store, StoreError, Value};

/// Longest pause between two messages of a shard, in milliseconds. After a longer one, reports of isolates may be missing, and nothing
/// from before it proves that a key is unused. Twice the interval of a shard whose keys are not used.
pub const LONGEST_PAUSE_MS: i64 = 3_600_000;

/// Largest difference between the clocks of a shard and of the registry, in milliseconds, delivery of the message included.
const CLOCK_TOLERANCE_MS: i64 = 300_000;

/// Stores the times of a shard's keys, in one transaction. A time after the registry's clock counts as now. Times only widen, so a
/// message that arrives twice or late changes nothing.
///
/// # Errors
/// [`StoreError`] if the store fails. The shard sends the message again.
pub fn note(store: &mut dyn Store, times: &UsageTimes, now: Millis) -> Result<Response, StoreError> {
    let limit = |at: Millis| if fault!("a use in the future is believed") { at.0 } else { at.min(now).0 };
    let mut rows = Vec::with_capacity(times.keys.len());
    for key in &times.keys {
        let from = key.from.as_ref().and_then(|from| serde_json::to_string(from).ok());
        rows.push((key.id.as_str(), limit(key.first_at.min(key.last_at)), limit(key.last_at), from));
    }
    let rows = serde_json::to_string(&rows).map_err(|_| StoreError::new("times have no JSON form"))?;
    store.transaction(&mut |store| {
        store.execute(
            "UPDATE keys SET
                 last_used_from = CASE WHEN used.last_at >= ifnull(last_used_at, 0)
                     THEN ifnull(used.last_from, last_used_from) ELSE last_used_from END,
                 first_used_at = min(ifnull(first_used_at, used.first_at), used.first_at),
                 last_used_at = max(ifnull(last_used_at, used.last_at), used.last_at)
             FROM (
                 SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS first_at,
                        json_extract(value, '$[2]') AS last_at, json_extract(value, '$[3]') AS last_from
                 FROM json_each(?)
             ) AS used WHERE keys.id = used.id",
            &[rows.as_str().into()],
        )?;
        key_uses::note(store, &times.keys, now)?;
        // Times of a shard whose clock is off are too early or too late, and so no proof of disuse.
        let is_off = now.since(times.at).saturating_abs() > CLOCK_TOLERANCE_MS;
        if is_off && !fault!("the clock of a shard is trusted") {
            return forget_shard(store, times.shard, now);
        }
        note_shard(store, times, now)
    })?;
    Ok(Response::UsageNoted)
}

/// Records that an isolate could not report to a shard. Nothing from before proves that a key of the shard is unused: the isolate may
/// end with what it counted.
///
/// # Errors
/// [`StoreError`] if the store fails. The isolate tells it again.
pub fn missing(store: &mut dyn Store, shard: u32, now: Millis) -> Result<Response, StoreError> {
    if !fault!("a missing report is proof of disuse") {
        forget_shard(store, shard, now)?;
    }
    Ok(Response::UsageNoted)
}

/// Records that the reports of a shard are complete only from now on.
fn forget_shard(store: &mut dyn Store, shard: u32, now: Millis) -> Result<(), StoreError> {
    store.execute(
        "INSERT INTO usage_shards (shard, told_at, complete_since) VALUES (?, ?, ?)
         ON CONFLICT (shard) DO UPDATE SET complete_since = excluded.complete_since,
             routes_since = CASE WHEN routes_since IS NULL THEN NULL ELSE excluded.complete_since END",
        &[Value::Integer(shard.into()), now.into(), now.into()],
    )
}

/// Records that a shard told its times, and since when its reports are complete.
fn note_shard(store: &mut dyn Store, times: &UsageTimes, now: Millis) -> Result<(), StoreError> {
    let pause_ms = if fault!("a gap in the messages of a shard is no gap") { i64::MAX >> 11 } else { LONGEST_PAUSE_MS };
    store.execute(
        "INSERT INTO usage_shards (shard, told_at, complete_since, routes_since) VALUES (?1, ?2, ?2, ?3)
         ON CONFLICT (shard) DO UPDATE SET told_at = excluded.told_at,
             complete_since = CASE WHEN excluded.told_at - told_at BETWEEN 0 AND ?4 THEN complete_since
                 ELSE excluded.complete_since END,
             routes_since = CASE WHEN excluded.told_at - told_at BETWEEN 0 AND ?4
                 AND excluded.routes_since IS NOT NULL THEN ifnull(routes_since, excluded.routes_since)
                 ELSE excluded.routes_since END",
        &[
            Value::Integer(times.shard.into()),
            now.into(),
            times.has_days.then_some(now).into(),
            Value::Integer(pause_ms),
        ],
    )
}

/// What the shards of the usage object prove about unused keys.
///
/// A report that is missing is no proof of disuse: a shard proves something only while it tells its times, and only about the time since
/// its last gap.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The instant since which the reports of each shard are complete; `None` if they are not.
    complete_since: [Option<Millis>; USAGE_SHARDS as usize],
    /// The instant since which each shard has told every route of its keys.
    routes_since: [Option<Millis>; USAGE_SHARDS as usize],
}

impl Evidence {
    /// Reads what the shards prove at `now`.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub fn new(store: &mut dyn Store, now: Millis) -> Result<Self, StoreError> {
        let (mut complete_since, mut routes_since) = ([None; USAGE_SHARDS as usize], [None; USAGE_SHARDS as usize]);
        for row in store.query("SELECT shard, told_at, complete_since, routes_since FROM usage_shards", &[])? {
            let is_silent = !(0..=LONGEST_PAUSE_MS).contains(&now.since(row.millis("told_at")?));
            let proves = !is_silent || fault!("a silent shard counts as proof");
            let shard = usize::try_from(row.integer("shard")?).ok();
            if let Some(place) = shard.and_then(|shard| complete_since.get_mut(shard)) {
                *place = Some(row.millis("complete_since")?).filter(|_| proves);
            }
            if let Some(place) = shard.and_then(|shard| routes_since.get_mut(shard)) {
                *place = row.optional_millis("routes_since")?.filter(|_| proves);
            }
        }
        Ok(Self { complete_since, routes_since })
    }

    /// Returns the instant since which every route that a key was used for is known; `None` if its shard does not tell.
    #[must_use]
    pub fn routes_since(&self, id: &str) -> Option<Millis> {
        let shard = usize::try_from(usage_shard(id)).ok();
        shard.and_then(|shard| self.routes_since.get(shard)).copied().flatten()
    }

    /// Returns the instant since which a key is known to be unused: `last`, its last known use or its issue, or a later instant before
    /// which reports may be missing. `None` if its shard proves nothing.
    #[must_use]
    pub fn unused_since(&self, id: &str, last: Millis) -> Option<Millis> {
        let shard = usize::try_from(usage_shard(id)).ok();
        let complete = shard.and_then(|shard| self.complete_since.get(shard)).copied().flatten();
        complete.map(|complete| complete.max(last))
    }
}

/// A rule about keys that were not used for some days. [`Evidence`] must prove it.
#[derive(Clone, Debug)]
pub struct Idle {
    /// Keys must be unused since this instant.
    since: Millis,
    evidence: Evidence,
    now: Millis,
}

impl Idle {
    /// Creates the rule for a number of days, at `now`.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub fn new(store: &mut dyn Store, days: u32, now: Millis) -> Result<Self, StoreError> {
        let since = days_before(now, days);
        Ok(Self { since, evidence: Evidence::new(store, now)?, now })
    }

    /// Returns whether the key in this row is idle: active or retiring, and neither issued nor used since. The row has the columns `id`,
    /// `state`, `created_at`, `expires_at` and `used_at`, which is 0 if the key was never used.
    ///
    /// # Errors
    /// [`StoreError`] if the row is malformed.
    pub fn is_met(&self, row: &Row) -> Result<bool, StoreError> {
        let state = row.parsed("state", Status::parse)?;
        let is_usable = matches!(state, Status::Active | Status::Retiring) && self.now < row.millis("expires_at")?;
        let last = row.millis("created_at")?.max(row.millis("used_at")?);
        let unused_since = self.evidence.unused_since(row.text("id")?, last);
        Ok(is_usable && unused_since.is_some_and(|unused_since| unused_since <= self.since))
    }
}
