//! Life cycle of one object: groups in memory, rows in SQLite.
//!
//! A call is one [`LeaseQuery`] in and one [`LeaseAnswer`] out, handled without an await. A row is written before the answer that needs
//! it, in one transaction for all groups of the query.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use keyward_key::time::Millis;
use keyward_key::version;
use keyward_protocol::FetchError;
use keyward_protocol::feed::CompactKeyId;
use keyward_protocol::lease::{GroupAnswer, GroupQuery, LeaseAnswer, LeaseQuery, MAX_QUERY_GROUPS};
use keyward_store::migrations::{self, Schema};
use keyward_store::{Store, StoreError, Value};

use super::Instant;
use super::clock::{ObjectClock, Reading};
use super::group::{Asker, Group};
use super::host::{Level, LimitsHost, LoggedEvents};
use super::row::Row;

/// Tables of the object. A released step is never edited.
const SCHEMA: Schema = Schema {
    steps: &[&[
        "CREATE TABLE limit_groups (group_id TEXT PRIMARY KEY, state TEXT NOT NULL, idle_after INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    ]],
    oldest: 1,
};

/// Number of groups in memory above which idle ones are dropped.
const SWEEP_ABOVE: usize = 20_000;

/// Time in milliseconds without a query after which a group may be dropped from memory.
const IDLE_MS: i64 = 60_000;

/// Interval between removals of old rows, in milliseconds.
const PURGE_INTERVAL_MS: i64 = 3_600_000;

#[derive(Default)]
struct State {
    /// Number of this instance; `None` before the first call.
    epoch: Option<u64>,
    clock: ObjectClock,
    groups: HashMap<CompactKeyId, Group>,
    sweep_above: usize,
    /// Number of groups that were loaded.
    loaded: u64,
    purged_at: Option<Millis>,
}

/// One instance of the object. Its memory is lost when it ends.
pub struct LimitsObject<H> {
    host: H,
    state: RefCell<State>,
}

impl<H: LimitsHost> LimitsObject<H> {
    /// Creates an instance. It first reads its store at the first call.
    #[must_use]
    pub fn new(host: H) -> Self {
        Self { host, state: RefCell::new(State { sweep_above: SWEEP_ABOVE, ..State::default() }) }
    }

    /// Returns the platform of this instance.
    pub const fn host(&self) -> &H {
        &self.host
    }

    /// Answers one message.
    ///
    /// # Errors
    /// [`FetchError`]; the cause is logged.
    pub fn fetch(&self, message: &str) -> Result<String, FetchError> {
        let Ok(query) = version::read::<LeaseQuery>(message) else {
            self.host.log(Level::Error, "limits_message_malformed", &[]);
            return Err(FetchError::Malformed);
        };
        let answered = self
            .answer(&query)
            .and_then(|answer| serde_json::to_string(&answer).map_err(|error| StoreError::new(error.to_string())));
        answered.map_err(|error| {
            self.host.log(Level::Error, "limits_failed", &[("cause", &error.to_string())]);
            FetchError::Failed
        })
    }

    fn answer(&self, query: &LeaseQuery) -> Result<LeaseAnswer, StoreError> {
        let mut state = self.state.try_borrow_mut().map_err(|_| StoreError::new("the object is busy"))?;
        let epoch = match state.epoch {
            Some(epoch) => epoch,
            None => self.start()?,
        };
        state.epoch = Some(epoch);
        let is_ours = query.epoch == Some(epoch);
        let utc = self.host.now();
        let Reading { now, witnessed } = state.clock.read(utc, query.object_at.filter(|_| is_ours));
        let at = Instant { now, utc };
        let answered = self.host.with_store(|store| answer_groups(store, &mut state, query, is_ours, at));
        if answered.is_err() {
            // The groups hold grants that are not stored and not answered. Their rows assume more than they had granted.
            for asked in &query.groups {
                state.groups.remove(&asked.group);
            }
        }
        let groups = answered?;
        state.sweep(now);
        self.purge(&mut state, utc);
        let counters = self.host.take_logged().iter().map(LoggedEvents::sample).collect();
        Ok(LeaseAnswer { epoch, now: witnessed, groups, counters })
    }

    fn start(&self) -> Result<u64, StoreError> {
        self.host.with_store(|store| migrations::migrate(store, &SCHEMA, &mut |_| Ok(())))?;
        self.host.random_number().ok_or_else(|| StoreError::new("no entropy for an instance"))
    }

    /// Removes rows that no longer matter, at most once an hour. A failure is logged and costs nothing else: what was granted is answered.
    ///
    /// Reads every row, a few milliseconds for 10,000. An index on `idle_after` would be written with every row instead, several times a
    /// minute for each group in use.
    fn purge(&self, state: &mut State, utc: Millis) {
        if state.purged_at.is_some_and(|purged_at| (0..PURGE_INTERVAL_MS).contains(&utc.since(purged_at))) {
            return;
        }
        state.purged_at = Some(utc);
        let purge =
            |store: &mut dyn Store| store.execute("DELETE FROM limit_groups WHERE idle_after < ?", &[utc.into()]);
        if let Err(error) = self.host.with_store(purge) {
            self.host.log(Level::Error, "limits_failed", &[("cause", &error.to_string())]);
        }
    }
}

impl State {
    /// Drops idle groups while there are many. Their rows restore them.
    fn sweep(&mut self, now: i64) {
        if self.groups.len() > self.sweep_above {
            self.groups.retain(|_, group| now.saturating_sub(group.used_at) < IDLE_MS);
            self.sweep_above = self.groups.len().saturating_mul(2).max(SWEEP_ABOVE);
        }
    }
}

fn answer_groups(
    store: &mut dyn Store,
    state: &mut State,
    query: &LeaseQuery,
    is_ours: bool,
    at: Instant,
) -> Result<Vec<GroupAnswer>, StoreError> {
    let mut answers = Vec::with_capacity(query.groups.len().min(MAX_QUERY_GROUPS));
    let mut rows = Vec::new();
    let asker =
        Asker { isolate: query.isolate, grace_ms: query.grace_ms, asked_at: query.asked_at, knows_instance: is_ours };
    for asked in query.groups.iter().take(MAX_QUERY_GROUPS) {
        let group = match state.groups.entry(asked.group) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                state.loaded = state.loaded.saturating_add(1);
                unknown.insert(load(store, asked, at)?.with_lease_block(state.loaded))
            }
        };
        // An earlier instance knew the leases and the reserve that are reported to it. A restart counted all of them as spent.
        let report = if is_ours || keyward_fault::fault!("an earlier instance's leases are taken back") {
            None
        } else {
            Some(GroupQuery { returned: Vec::new(), reserve_spent: 0, reserve_known: None, ..asked.clone() })
        };
        answers.push(group.answer(report.as_ref().unwrap_or(asked), asker, at));
        if group.needs_write(at) {
            let advance = group.advance(at);
            rows.push((asked.group, Row::of(group, advance, at)));
            group.written(advance, at);
        }
    }
    if !rows.is_empty() && !keyward_fault::fault!("a grant is not written") {
        let left_out =
            if keyward_fault::fault!("of several keys the last is written") { rows.len().saturating_sub(1) } else { 0 };
        store.transaction(&mut |store| {
            rows.iter().skip(left_out).try_for_each(|(group, row)| write(store, group, row))
        })?;
    }
    Ok(answers)
}

fn load(store: &mut dyn Store, asked: &GroupQuery, at: Instant) -> Result<Group, StoreError> {
    let found =
        store.query("SELECT state FROM limit_groups WHERE group_id = ?", &[String::from(asked.group).into()])?;
    let Some(row) = found.first() else { return Ok(Group::new(asked.revision)) };
    let row = Row::from_stored(row.text("state")?).map_err(|error| StoreError::new(error.to_string()))?;
    Ok(row.restore(at))
}

fn write(store: &mut dyn Store, group: &CompactKeyId, row: &Row) -> Result<(), StoreError> {
    store.execute(
        "INSERT INTO limit_groups (group_id, state, idle_after) VALUES (?, ?, ?)
         ON CONFLICT (group_id) DO UPDATE SET state = excluded.state, idle_after = excluded.idle_after",
        &[String::from(*group).into(), Value::json(row)?, row.idle_after().into()],
    )
}
