//! Lists of keys, newest first. `sorted_list` handles other orders and searches.
//!
//! A page reads about as many rows as it shows, for any number of keys and any filter: for each environment and state, an index yields
//! the newest positions in order, and the page takes the newest of all of them (at most 2 × 5 × (limit + 1) index entries). The state
//! is a column for this purpose, although it also depends on the clock: [`mark_expired`] updates it before a filter by state is
//! applied.

use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};

use super::context::OperationError;
use super::keys::{select_keys, view};
use super::members::Member;
use super::order::KeyOrder;
use super::page::{LARGEST_PAGE, check_limit, fitting, start, write_cursor};
use super::sorted_list;
use super::store::{Store, StoreError, Value};
use keyward_key::id::Environment;
use keyward_key::time::Millis;
use keyward_protocol::{KeyView, Status};

/// Filter of a list of keys; `None` does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFilter {
    /// Environment.
    pub environment: Option<Environment>,
    /// Slug of the integration.
    pub integration: Option<String>,
    /// Owner.
    pub owner: Option<String>,
    /// State at the time of the response.
    pub status: Option<Status>,
    /// Text that the name or the id contains. ASCII letters match in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// Time before which the key expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_before: Option<Millis>,
    /// Whether the key has an exposure that was not dismissed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed: Option<bool>,
    /// Number of days for which the key was not used. A key of which a report may be missing does not match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_days: Option<u32>,
}

impl KeyFilter {
    /// Returns whether only a scan can tell the matching keys. The other filters have indexes.
    #[must_use]
    pub const fn needs_scan(&self) -> bool {
        self.q.is_some() || self.expires_before.is_some() || self.exposed.is_some() || self.idle_days.is_some()
    }
}

/// A request for one page of a list of keys.
#[derive(Debug, Clone, Copy)]
pub struct KeyQuery<'a> {
    /// Filter.
    pub filter: &'a KeyFilter,
    /// Order.
    pub order: KeyOrder,
    /// Maximum number of keys.
    pub limit: u32,
    /// Cursor from the previous page.
    pub cursor: Option<&'a str>,
}

/// Returns one page of the keys that `member` may see and the filter matches, and the cursor of the next page.
///
/// # Errors
/// A refusal of `limit` or `cursor`, or a failure of the store.
pub fn list(
    store: &mut dyn Store,
    member: &Member,
    query: &KeyQuery<'_>,
    now: Millis,
) -> Result<(Vec<KeyView>, Option<String>), OperationError> {
    let KeyQuery { filter, order, limit, cursor } = *query;
    check_limit(limit, LARGEST_PAGE)?;
    if order != KeyOrder::default() || filter.needs_scan() {
        return sorted_list::list(store, member, query, now);
    }
    let before = start(cursor)?;
    // Without a filter by state, the lists of all states are merged, so an outdated state has no effect.
    if filter.status.is_some_and(|status| status != Status::Revoked) {
        mark_expired(store, now)?;
    }

    let page = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut positions = newest_positions(store, member, filter, before, limit.saturating_add(1))?;
    let more = fit(store, &mut positions, page)?;
    let next_cursor = positions.last().filter(|_| more).map(|last| write_cursor(*last));

    let rows = store.query(
        select_keys!("WHERE position IN (SELECT value FROM json_each(?)) ORDER BY position DESC"),
        &[json_list(&positions)?],
    )?;
    let items = rows.iter().map(|row| view(row, now)).collect::<Result<_, _>>()?;
    Ok((items, next_cursor))
}

/// Returns the environments that the member may see and the filter matches.
pub(super) fn environments(member: &Member, filter: &KeyFilter) -> impl Iterator<Item = Environment> {
    [Environment::Live, Environment::Test].into_iter().filter(|environment| {
        member.sees(*environment) && filter.environment.is_none_or(|wanted| wanted == *environment)
    })
}

/// Maximum size of a key's JSON in bytes, without its lists: texts of maximum length, fully escaped.
pub(super) const KEY_BYTES: u64 = 8_192;

/// Truncates the positions to a page: at most `page`, and about [`super::page::PAGE_BYTES`]. Returns whether more follow.
fn fit(store: &mut dyn Store, positions: &mut Vec<i64>, page: usize) -> Result<bool, StoreError> {
    let found = positions.len();
    positions.truncate(page);
    let rows = store.query(
        "SELECT octet_length(scopes) + octet_length(allowed_cidrs) AS bytes FROM keys
         WHERE position IN (SELECT value FROM json_each(?)) ORDER BY position DESC",
        &[json_list(positions)?],
    )?;
    let sizes = rows.iter().map(|row| Ok(row.count("bytes")?.saturating_add(KEY_BYTES)));
    positions.truncate(fitting(sizes.collect::<Result<Vec<_>, StoreError>>()?));
    Ok(positions.len() < found)
}

pub(super) fn json_list(positions: &[i64]) -> Result<Value, StoreError> {
    let text = serde_json::to_string(positions).map_err(|_| StoreError::new("positions have no JSON form"))?;
    Ok(text.into())
}

/// Marks the keys that have expired by `now`, each once. Responses do not change, because each compares the expiry itself.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn mark_expired(store: &mut dyn Store, now: Millis) -> Result<(), StoreError> {
    let working = "SELECT position FROM keys INDEXED BY keys_by_end
         WHERE state IN ('active', 'retiring') AND expires_at <= ? LIMIT 1";
    if !store.query(working, &[now.into()])?.is_empty() {
        store.execute(
            "UPDATE keys INDEXED BY keys_by_end SET state = 'expired'
             WHERE state IN ('active', 'retiring') AND expires_at <= ?",
            &[now.into()],
        )?;
    }
    let quarantined = "SELECT position FROM keys INDEXED BY keys_quarantined_by_end
         WHERE state = 'quarantined' AND expires_at <= ? LIMIT 1";
    if !store.query(quarantined, &[now.into()])?.is_empty() {
        store.execute(
            "UPDATE keys INDEXED BY keys_quarantined_by_end SET state = 'expired'
             WHERE state = 'quarantined' AND expires_at <= ?",
            &[now.into()],
        )?;
    }
    Ok(())
}

/// Returns the newest positions before `before`, newest first, at most `limit`.
fn newest_positions(
    store: &mut dyn Store,
    member: &Member,
    filter: &KeyFilter,
    before: i64,
    limit: u32,
) -> Result<Vec<i64>, StoreError> {
    let sql = match (&filter.integration, &filter.owner) {
        (None, None) => {
            "SELECT position FROM keys INDEXED BY keys_listed
             WHERE environment = ? AND state = ? AND position < ? ORDER BY position DESC LIMIT ?"
        }
        (Some(_), None) => {
            "SELECT position FROM keys INDEXED BY keys_listed_by_integration
             WHERE environment = ? AND state = ? AND integration = ? AND position < ? ORDER BY position DESC LIMIT ?"
        }
        (None, Some(_)) => {
            "SELECT position FROM keys INDEXED BY keys_listed_by_owner
             WHERE environment = ? AND state = ? AND owner = ? AND position < ? ORDER BY position DESC LIMIT ?"
        }
        (Some(_), Some(_)) => {
            "SELECT position FROM keys INDEXED BY keys_listed_by_integration_and_owner
             WHERE environment = ? AND state = ? AND integration = ? AND owner = ? AND position < ?
             ORDER BY position DESC LIMIT ?"
        }
    };
    let mut positions = BinaryHeap::new();
    for environment in environments(member, filter) {
        for state in Status::ALL.into_iter().filter(|state| filter.status.is_none_or(|wanted| wanted == *state)) {
            let mut parameters = vec![Value::from(environment.as_str()), Value::from(state.as_str())];
            parameters.extend(filter.integration.as_deref().map(Value::from));
            parameters.extend(filter.owner.as_deref().map(Value::from));
            parameters.extend([Value::Integer(before), Value::Integer(i64::from(limit))]);
            for row in store.query(sql, &parameters)? {
                positions.push(row.integer("position")?);
            }
        }
    }
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(std::iter::from_fn(|| positions.pop()).take(most).collect())
}
