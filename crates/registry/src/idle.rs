//! Idle keys: keys that nobody uses are announced, and revoked after warnings if `REVOKE_IDLE_DAYS` says so.
//!
//! ```text
//! last use ── idle_days ── announced ── … ── 30 days ── 7 days ── 1 day ── revoked
//!                                            └ each is announced before the revocation
//! ```
//!
//! Every step needs proof that the key is unused ([`Evidence`]). A gap in the reports restarts the days and the warnings, and a warning
//! that is late delays the revocation. So no key is revoked on missing data, and none without its warnings.

use keyward_fault::fault;
use keyward_key::id::KeyId;
use keyward_key::time::Millis;

use super::context::{OWN_ACTOR, days_after, days_before, record_own};
use super::due::{BATCH, DueWork};
use super::keys;
use super::meta;
use super::store::{Row, Store, StoreError, Value};
use super::usage::Evidence;

/// Days after its issue at which a key that was never used is idle, if `IDLE_DAYS` is not less.
pub const NEVER_USED_DAYS: u32 = 30;

/// Days before a revocation at which it is announced. A key whose days without use are fewer has only the later ones.
pub const WARNINGS_DAYS: [u32; 3] = [30, 7, 1];

/// Pause in milliseconds until a key is checked again of which nothing is proven: 6 hours.
const UNPROVEN_PAUSE_MS: i64 = 21_600_000;

/// Days until an expired key is looked at again. Lists mark it as expired, and then it is not found any more.
const EXPIRED_PAUSE_DAYS: u32 = 30;

/// The due work that announces and revokes idle keys.
pub const CHECK: DueWork = DueWork { name: "check_idle_keys", next: next_check, run: check_due };

/// `IDLE_DAYS` and `REVOKE_IDLE_DAYS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleRules {
    /// Days without use after which a key is idle.
    pub idle_days: u32,
    /// Days without use after which a key is revoked; 0 for never.
    pub revoke_days: u32,
}

impl Default for IdleRules {
    fn default() -> Self {
        Self { idle_days: 90, revoke_days: 0 }
    }
}

impl IdleRules {
    /// Returns the days without use after which a key is idle.
    #[must_use]
    pub fn idle_days_of(self, is_used: bool) -> u32 {
        if is_used { self.idle_days } else { self.idle_days.min(NEVER_USED_DAYS) }
    }

    /// Returns the warning after one of so many days; `None` if the revocation is next.
    fn warning_after(self, warned_days: Option<u32>) -> Option<u32> {
        if fault!("an idle key is revoked without a warning") {
            return None;
        }
        let applies =
            |days: &u32| (*days < self.revoke_days || *days == 1) && warned_days.is_none_or(|last| *days < last);
        WARNINGS_DAYS.into_iter().find(applies)
    }

    /// Returns the fewest days after which a key needs anything.
    fn fewest_days(self, is_used: bool) -> u32 {
        let revoke_days = if self.revoke_days == 0 { u32::MAX } else { self.revoke_days };
        let first_warning = self.warning_after(None).map_or(revoke_days, |days| revoke_days.saturating_sub(days));
        self.idle_days_of(is_used).min(first_warning)
    }
}

/// Stores the rules of the settings, and checks all keys again if they have changed.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn follow_settings(store: &mut dyn Store, rules: IdleRules) -> Result<(), StoreError> {
    if meta::read(store, "idle_days")?.is_some() && read_rules(store)? == rules {
        return Ok(());
    }
    store.transaction(&mut |store| {
        meta::write(store, "idle_days", rules.idle_days.to_string())?;
        meta::write(store, "revoke_idle_days", rules.revoke_days.to_string())?;
        // Warnings of other rules are void: their time is no longer that of a step.
        store.execute("UPDATE idle_keys SET unused_since = 0", &[])?;
        store.execute("UPDATE keys SET idle_check_at = NULL WHERE idle_check_at IS NOT NULL", &[])
    })
}

pub(super) fn read_rules(store: &mut dyn Store) -> Result<IdleRules, StoreError> {
    let mut days = |name, default| {
        Ok::<u32, StoreError>(meta::read(store, name)?.and_then(|text| text.parse().ok()).unwrap_or(default))
    };
    let IdleRules { idle_days, revoke_days } = IdleRules::default();
    Ok(IdleRules { idle_days: days("idle_days", idle_days)?, revoke_days: days("revoke_idle_days", revoke_days)? })
}

/// Returns the number of idle keys that were announced and have not been used since.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn count(store: &mut dyn Store) -> Result<u64, StoreError> {
    let rows = store.query(
        "SELECT count(*) AS count FROM idle_keys CROSS JOIN keys ON keys.id = idle_keys.id
         WHERE is_announced AND last_at = max(created_at, ifnull(last_used_at, 0)) AND state IN ('active', 'retiring')",
        &[],
    )?;
    rows.first().map_or(Ok(0), |row| row.count("count"))
}

fn next_check(store: &mut dyn Store) -> Result<Option<Millis>, StoreError> {
    let rows = store.query(
        "SELECT ifnull(idle_check_at, created_at + 86400000) AS due_at FROM keys INDEXED BY keys_by_idle_check
         WHERE state IN ('active', 'retiring') ORDER BY ifnull(idle_check_at, created_at + 86400000) LIMIT 1",
        &[],
    )?;
    rows.first().map(|row| row.millis("due_at")).transpose()
}

fn check_due(store: &mut dyn Store, now: Millis) -> Result<(), StoreError> {
    let (rules, evidence) = (read_rules(store)?, Evidence::new(store, now)?);
    let rows = store.query(
        "SELECT keys.id, created_at, expires_at, last_used_at, last_at, unused_since, is_announced, warned_days, revoke_at
         FROM (
             SELECT id, created_at, expires_at, last_used_at FROM keys INDEXED BY keys_by_idle_check
             WHERE state IN ('active', 'retiring') AND ifnull(idle_check_at, created_at + 86400000) <= ?
             ORDER BY ifnull(idle_check_at, created_at + 86400000) LIMIT ?
         ) AS keys LEFT JOIN idle_keys ON idle_keys.id = keys.id",
        &[now.into(), Value::Integer(BATCH.into())],
    )?;
    for row in &rows {
        let key =
            Checked { id: row.parsed("id", KeyId::parse)?, used_at: row.optional_millis("last_used_at")?, rules, now };
        let next_at = key.check(store, &evidence, row)?;
        store.execute("UPDATE keys SET idle_check_at = ? WHERE id = ?", &[next_at.into(), key.id.as_str().into()])?;
    }
    Ok(())
}

/// One key that is checked.
struct Checked {
    id: KeyId,
    used_at: Option<Millis>,
    rules: IdleRules,
    now: Millis,
}

/// What was announced about a key that is not used.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    /// Last use, or the issue, since which this holds.
    last_at: Millis,
    /// Instant since which the key is proven to be unused.
    unused_since: Millis,
    is_announced: bool,
    /// Days of the last warning.
    warned_days: Option<u32>,
    /// Time of the revocation.
    revoke_at: Millis,
}

impl State {
    fn read(row: &Row) -> Result<Option<Self>, StoreError> {
        let Some(last_at) = row.optional_millis("last_at")? else { return Ok(None) };
        let warned_days = row.optional_integer("warned_days")?.and_then(|days| u32::try_from(days).ok());
        Ok(Some(Self {
            last_at,
            unused_since: row.millis("unused_since")?,
            is_announced: row.integer("is_announced")? != 0,
            warned_days,
            revoke_at: row.millis("revoke_at")?,
        }))
    }

    fn write(self, store: &mut dyn Store, id: &KeyId) -> Result<(), StoreError> {
        store.execute(
            "INSERT OR REPLACE INTO idle_keys (id, last_at, unused_since, is_announced, warned_days, revoke_at)
             VALUES (?, ?, ?, ?, ?, ?)",
            &[
                id.as_str().into(),
                self.last_at.into(),
                self.unused_since.into(),
                Value::Integer(self.is_announced.into()),
                self.warned_days.map_or(Value::Null, |days| Value::Integer(days.into())),
                self.revoke_at.into(),
            ],
        )
    }
}

impl Checked {
    /// Does what is due for the key, and returns when to check it again.
    fn check(&self, store: &mut dyn Store, evidence: &Evidence, row: &Row) -> Result<Millis, StoreError> {
        if row.millis("expires_at")? <= self.now {
            self.forget(store)?;
            return Ok(days_after(self.now, EXPIRED_PAUSE_DAYS));
        }
        let last_at = row.millis("created_at")?.max(self.used_at.unwrap_or(Millis(0)));
        let proven = evidence.unused_since(self.id.as_str(), last_at);
        let Some(unused_since) = proven.or(Some(last_at).filter(|_| fault!("an idle key is revoked on missing data")))
        else {
            let earliest = days_after(last_at, self.rules.fewest_days(self.used_at.is_some()));
            return Ok(earliest.max(Millis(self.now.0.saturating_add(UNPROVEN_PAUSE_MS))));
        };
        let stored = State::read(row)?;
        let state = self.state(stored, last_at, unused_since);
        let (state, next_at) = self.advance(store, state)?;
        match state {
            None => self.forget(store)?,
            Some(state) if Some(state) != stored => state.write(store, &self.id)?,
            Some(_) => {}
        }
        Ok(next_at)
    }

    /// Returns what holds of the stored state. A use ends all of it; a gap in the reports ends the warnings.
    fn state(&self, stored: Option<State>, last_at: Millis, unused_since: Millis) -> State {
        match stored {
            Some(state) if state.unused_since == unused_since && state.last_at == last_at => state,
            Some(state) if fault!("a use after the warning is overlooked") => state,
            _ => State {
                last_at,
                unused_since,
                is_announced: stored.is_some_and(|state| state.last_at == last_at && state.is_announced),
                warned_days: None,
                revoke_at: days_after(unused_since, self.rules.revoke_days),
            },
        }
    }

    /// Takes the next step if it is due. Returns the state to store, `None` if there is nothing to remember, and the time of the next
    /// step.
    fn advance(&self, store: &mut dyn Store, mut state: State) -> Result<(Option<State>, Millis), StoreError> {
        let idle_days = self.rules.idle_days_of(self.used_at.is_some());
        let idle_at = days_after(state.unused_since, idle_days);
        let (mut next_at, mut is_warning) = (days_after(self.now, idle_days), false);
        if self.rules.revoke_days > 0 {
            let mut step = self.rules.warning_after(state.warned_days);
            let mut step_at = days_before(state.revoke_at, step.unwrap_or(0));
            if step_at <= self.now {
                let Some(days) = step else {
                    self.revoke(store)?;
                    return Ok((None, next_at));
                };
                // A warning that is late delays the revocation.
                state.revoke_at = state.revoke_at.max(days_after(self.now, days));
                state.warned_days = Some(days);
                is_warning = true;
                step = self.rules.warning_after(state.warned_days);
                step_at = days_before(state.revoke_at, step.unwrap_or(0));
            }
            next_at = next_at.min(step_at);
        }
        let is_newly_idle = !state.is_announced && idle_at <= self.now;
        if is_newly_idle || is_warning {
            state.is_announced |= is_newly_idle;
            self.announce(store, &state, is_warning)?;
        }
        if !state.is_announced {
            next_at = next_at.min(idle_at);
        }
        let is_worth_storing = state.is_announced || state.warned_days.is_some();
        Ok((is_worth_storing.then_some(state), next_at))
    }

    /// Announces that the key is idle or will be revoked, as an audit entry. Every event `key.idle` begins here.
    fn announce(&self, store: &mut dyn Store, state: &State, is_warning: bool) -> Result<(), StoreError> {
        let last_used_at = self.used_at.map(Millis::rfc3339);
        let mut detail =
            vec![("last_used_at", last_used_at.into()), ("unused_since", state.unused_since.rfc3339().into())];
        if is_warning {
            detail.push(("revoke_at", state.revoke_at.rfc3339().into()));
            detail.push(("revoke_in_days", state.warned_days.into()));
        }
        record_own(store, self.now, "key.idle", &self.id, detail)
    }

    fn revoke(&self, store: &mut dyn Store) -> Result<(), StoreError> {
        let reason = format!("Unused for {} days (REVOKE_IDLE_DAYS)", self.rules.revoke_days);
        keys::mark_revoked(store, &self.id, OWN_ACTOR, &reason, self.now)?;
        record_own(store, self.now, "key.revoke", &self.id, vec![("reason", reason.into())])
    }

    fn forget(&self, store: &mut dyn Store) -> Result<(), StoreError> {
        store.execute("DELETE FROM idle_keys WHERE id = ?", &[self.id.as_str().into()])
    }
}
