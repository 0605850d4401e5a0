//! What a shard tells the registry: when its keys were used and what for, in one message a minute.

use std::collections::BTreeMap;

use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::usage::{KeyDay, KeyTimes, MAX_KEY_TIMES, OTHER, Step, minute_of};
use keyward_store::{Row, Store, StoreError, Value};

use super::caps::ROUTES_A_DAY;

/// Returns the keys of which the registry has not confirmed the last use, oldest use first, at most [`MAX_KEY_TIMES`].
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn to_tell(store: &mut dyn Store, now: Millis) -> Result<Vec<KeyTimes>, StoreError> {
    let rows = store.query(
        "SELECT number, id, first_at, last_at, last_from FROM keys INDEXED BY keys_to_tell
         WHERE last_at > told_at ORDER BY last_at LIMIT ?",
        &[Value::Integer(MAX_KEY_TIMES.into())],
    )?;
    let numbers = rows.iter().map(|row| row.integer("number")).collect::<Result<Vec<_>, _>>()?;
    let mut days = days_of(store, &numbers, now)?;
    rows.iter().zip(numbers).map(|(row, number)| times_of(row, days.remove(&number).unwrap_or_default())).collect()
}

/// Returns what keys were used for, today and yesterday: those are the days of uses that may not be told yet.
fn days_of(store: &mut dyn Store, keys: &[i64], now: Millis) -> Result<BTreeMap<i64, Vec<KeyDay>>, StoreError> {
    let today = Step::Day.of_minute(minute_of(now));
    let rows = store.query(
        "SELECT seen.key, seen.day, json_group_array(seen.text) FILTER (WHERE seen.kind = 'route') AS routes,
             count(*) FILTER (WHERE seen.kind = 'network') AS networks
         FROM json_each(?) AS days CROSS JOIN json_each(?) AS wanted
         CROSS JOIN seen ON seen.day = days.value AND seen.key = wanted.value
         GROUP BY seen.key, seen.day ORDER BY seen.key, seen.day",
        &[Value::json(&[today.saturating_sub(1), today])?, Value::json(&keys)?],
    )?;
    let mut days: BTreeMap<i64, Vec<KeyDay>> = BTreeMap::new();
    for row in &rows {
        let mut routes: Vec<String> = row.parsed("routes", |text| serde_json::from_str(text).ok())?;
        if routes.len() >= ROUTES_A_DAY {
            routes.push(OTHER.to_owned());
        }
        let networks = u32::try_from(row.count("networks")?).unwrap_or(u32::MAX);
        days.entry(row.integer("key")?).or_default().push(KeyDay { day: row.integer("day")?, routes, networks });
    }
    Ok(days)
}

/// Returns whether [`to_tell`] would return a key.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn is_any_to_tell(store: &mut dyn Store) -> Result<bool, StoreError> {
    let rows = store.query("SELECT 1 FROM keys INDEXED BY keys_to_tell WHERE last_at > told_at LIMIT 1", &[])?;
    Ok(!rows.is_empty())
}

fn times_of(row: &Row, days: Vec<KeyDay>) -> Result<KeyTimes, StoreError> {
    Ok(KeyTimes {
        id: row.parsed("id", KeyId::parse)?,
        first_at: row.millis("first_at")?,
        last_at: row.millis("last_at")?,
        from: row.optional_parsed("last_from", |text| serde_json::from_str(text).ok())?,
        days,
    })
}

/// Records that the registry has these times. A key that was used since is sent again.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn told(store: &mut dyn Store, keys: &[KeyTimes]) -> Result<(), StoreError> {
    let rows: Vec<_> = keys.iter().map(|key| (key.id.as_str(), key.last_at.0, key.first_at.0)).collect();
    store.execute(
        "UPDATE keys SET told_at = max(told_at, told.last_at) FROM (
             SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS last_at,
                    json_extract(value, '$[2]') AS first_at FROM json_each(?)
         ) AS told WHERE keys.id = told.id AND keys.first_at = told.first_at",
        &[Value::json(&rows)?],
    )
}
