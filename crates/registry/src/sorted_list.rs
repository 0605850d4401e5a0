//! Lists of keys in any order, and searches. They scan the index of the order and check each key.
//!
//! A page scans at most [`SCANNED_KEYS`] keys, so it may be short or empty although more follow; its cursor continues the scan. A cursor
//! contains the last scanned key's place in the order, so keys that are added or removed do not shift it. It is valid only for its own
//! order.
//!
//! Who sees one environment walks an index of that environment, because a cursor tells the name or the end of the last key looked at.
//!
//! The search uses `instr` instead of `LIKE`: a Durable Object refuses patterns over 50 bytes, and `instr` needs no escaping.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::context::OperationError;
use super::keys::{select_keys, view};
use super::list::{KEY_BYTES, KeyFilter, KeyQuery, environments, json_list};
use super::members::Member;
use super::order::{KeyOrder, SortKey};
use super::page::{PAGE_BYTES, start, write_cursor};
use super::store::{LARGEST_INTEGER, Row, Store, StoreError, Value};
use super::usage::Idle;
use keyward_key::id::Environment;
use keyward_key::time::Millis;
use keyward_protocol::{KeyView, Rejection, Status};

/// Maximum number of keys that one page scans. A member may ask for 100 pages a second, and the authority answers them one by one.
pub const SCANNED_KEYS: usize = 1_000;

/// Maximum number of keys that one statement scans.
const CHUNK: usize = 250;

/// Sorts after every name, because names have at most 100 characters.
const AFTER_EVERY_NAME: char = '\u{10ffff}';

/// Place of a key in an order.
#[derive(Clone)]
struct Place {
    /// Value of the sort field; `None` if the order uses only the position.
    value: Option<Value>,
    position: i64,
}

/// Returns one page of the keys that `member` may see and the filter matches, and the cursor of the next page.
///
/// # Errors
/// A refusal of `cursor`, or a failure of the store.
pub(super) fn list(
    store: &mut dyn Store,
    member: &Member,
    query: &KeyQuery<'_>,
    now: Millis,
) -> Result<(Vec<KeyView>, Option<String>), OperationError> {
    let KeyQuery { filter, order, limit, cursor } = *query;
    let mut place = match cursor {
        Some(text) => read(order, text)?,
        None => first(order, filter),
    };
    let filters = Filters::new(member, filter, now);
    let idle = filter.idle_days.map(|days| Idle::new(store, days, now)).transpose()?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut chosen, mut bytes, mut scanned) = (Vec::new(), 0_u64, 0_usize);
    let more = 'walk: loop {
        let Some(filters) = &filters else { break false };
        let rows = chunk(store, order, filters, &place)?;
        for row in &rows {
            if is_past(order, filter, row)? {
                break 'walk false;
            }
            if row.count("fits")? != 0 && idle.as_ref().map_or(Ok(true), |idle| idle.is_met(row))? {
                bytes = bytes.saturating_add(row.count("bytes")?).saturating_add(KEY_BYTES);
                if chosen.len() == most || (!chosen.is_empty() && bytes > PAGE_BYTES) {
                    break 'walk true;
                }
                chosen.push(row.integer("position")?);
            }
            place = place_of(order, row)?;
        }
        scanned = scanned.saturating_add(rows.len());
        if rows.len() < CHUNK {
            break false;
        }
        if scanned >= SCANNED_KEYS {
            break true;
        }
    };
    let next_cursor = if more { Some(write(order, &place)?) } else { None };
    Ok((views(store, &chosen, now)?, next_cursor))
}

/// Returns the views of these keys in this order.
fn views(store: &mut dyn Store, positions: &[i64], now: Millis) -> Result<Vec<KeyView>, StoreError> {
    let rows =
        store.query(select_keys!("WHERE position IN (SELECT value FROM json_each(?))"), &[json_list(positions)?])?;
    let mut found = BTreeMap::new();
    for row in &rows {
        found.insert(row.integer("position")?, view(row, now)?);
    }
    Ok(positions.iter().filter_map(|position| found.remove(position)).collect())
}

macro_rules! scan {
    ($index:literal, $environment:literal, $after:literal, $order:literal) => {
        concat!(
            "SELECT position, name, expires_at, id, state, created_at, ifnull(last_used_at, 0) AS used_at, octet_length(scopes) + octet_length(allowed_cidrs) AS bytes,
                 (? IS NULL OR integration = ?) AND (? IS NULL OR owner = ?)
                 AND (? IS NULL OR ? = CASE WHEN state IN ('active', 'retiring', 'quarantined') AND expires_at <= ? THEN 'expired'
                     ELSE state END)
                 AND (? IS NULL OR expires_at < ?)
                 AND (? IS NULL OR (exposed_at IS NOT NULL) = ?)
                 AND (? IS NULL OR instr(lower(name), ?) > 0 OR instr(lower(id), ?) > 0) AS fits
             FROM keys ",
            $index,
            " WHERE ",
            $environment,
            $after,
            " ORDER BY ",
            $order,
            " LIMIT ?"
        )
    };
}

/// The statement over the keys of one environment if `$one`, otherwise that over all keys.
macro_rules! walk {
    ($one:ident, $of_one:literal, $of_all:literal, $after:literal, $order:literal) => {
        if $one { scan!($of_one, "environment = ? AND ", $after, $order) } else { scan!($of_all, "", $after, $order) }
    };
}

/// Returns the next [`CHUNK`] keys after a place, each with whether it matches. Keys with an equal value are read by a separate
/// statement, because for a comparison of pairs SQLite would scan them again.
fn chunk(store: &mut dyn Store, order: KeyOrder, filters: &Filters, place: &Place) -> Result<Vec<Row>, StoreError> {
    let only: Vec<Value> = filters.only.iter().map(|environment| environment.as_str().into()).collect();
    let one = filters.only.is_some();
    let mut ask = |sql: &str, values: &[Value], most: usize| {
        let most = Value::count(u64::try_from(most).unwrap_or(u64::MAX))?;
        store.query(sql, &[&filters.values, &only, values, &[most]].concat())
    };
    let position = Value::Integer(place.position);
    let Some(value) = &place.value else { return ask(by_position(order, one), &[position], CHUNK) };
    let (equal, beyond) = by_value(order, one);
    let mut rows = ask(equal, &[value.clone(), position], CHUNK)?;
    let left = CHUNK.saturating_sub(rows.len());
    if left > 0 {
        rows.extend(ask(beyond, std::slice::from_ref(value), left)?);
    }
    Ok(rows)
}

/// Returns the statement that scans the order of creation from a position.
const fn by_position(order: KeyOrder, one: bool) -> &'static str {
    if order.descending {
        walk!(one, "INDEXED BY keys_of_environment", "", "position < ?", "position DESC")
    } else {
        walk!(one, "INDEXED BY keys_of_environment", "", "position > ?", "position")
    }
}

/// Returns the statements that scan an order: one for the keys with an equal value, and one for the keys after them.
const fn by_value(order: KeyOrder, one: bool) -> (&'static str, &'static str) {
    macro_rules! by_end {
        ($after:literal, $order:literal) => {
            walk!(one, "INDEXED BY keys_of_environment_sorted_by_end", "INDEXED BY keys_sorted_by_end", $after, $order)
        };
    }
    macro_rules! by_name {
        ($after:literal, $order:literal) => {
            walk!(
                one,
                "INDEXED BY keys_of_environment_sorted_by_name",
                "INDEXED BY keys_sorted_by_name",
                $after,
                $order
            )
        };
    }
    macro_rules! by_use {
        ($after:literal, $order:literal) => {
            walk!(one, "INDEXED BY keys_of_environment_sorted_by_use", "INDEXED BY keys_sorted_by_use", $after, $order)
        };
    }
    match (order.by, order.descending) {
        (SortKey::LastUsedAt, false) => (
            by_use!("ifnull(last_used_at, 0) = ? AND position > ?", "position"),
            by_use!("ifnull(last_used_at, 0) > ?", "ifnull(last_used_at, 0), position"),
        ),
        (SortKey::LastUsedAt, true) => (
            by_use!("ifnull(last_used_at, 0) = ? AND position < ?", "position DESC"),
            by_use!("ifnull(last_used_at, 0) < ?", "ifnull(last_used_at, 0) DESC, position DESC"),
        ),
        (SortKey::CreatedAt | SortKey::ExpiresAt, false) => {
            (by_end!("expires_at = ? AND position > ?", "position"), by_end!("expires_at > ?", "expires_at, position"))
        }
        (SortKey::CreatedAt | SortKey::ExpiresAt, true) => (
            by_end!("expires_at = ? AND position < ?", "position DESC"),
            by_end!("expires_at < ?", "expires_at DESC, position DESC"),
        ),
        (SortKey::Name, false) => (
            by_name!("name COLLATE NOCASE = ? AND position > ?", "position"),
            by_name!("name COLLATE NOCASE > ?", "name COLLATE NOCASE, position"),
        ),
        (SortKey::Name, true) => (
            by_name!("name COLLATE NOCASE = ? AND position < ?", "position DESC"),
            by_name!("name COLLATE NOCASE < ?", "name COLLATE NOCASE DESC, position DESC"),
        ),
    }
}

/// What the statements compare with.
struct Filters {
    /// The one environment to walk; `None` is every environment.
    only: Option<Environment>,
    /// The parameters, in the order of the statements.
    values: Vec<Value>,
}

impl Filters {
    /// `None` if no key can match.
    fn new(member: &Member, filter: &KeyFilter, now: Millis) -> Option<Self> {
        let mut seen = environments(member, filter);
        let one = seen.next()?;
        let only = seen.next().is_none().then_some(one);
        let status = filter.status.map(Status::as_str);
        let exposed = filter.exposed.map_or(Value::Null, |exposed| Value::Integer(exposed.into()));
        let text = filter.q.as_ref().map(|text| text.to_ascii_lowercase());
        let values = vec![
            filter.integration.as_deref().into(),
            filter.integration.as_deref().into(),
            filter.owner.as_deref().into(),
            filter.owner.as_deref().into(),
            status.into(),
            status.into(),
            now.into(),
            filter.expires_before.into(),
            filter.expires_before.into(),
            exposed.clone(),
            exposed,
            text.as_deref().into(),
            text.as_deref().into(),
            text.as_deref().into(),
        ];
        Some(Self { only, values })
    }
}

/// Returns the place before all keys that can match.
fn first(order: KeyOrder, filter: &KeyFilter) -> Place {
    let position = if order.descending { LARGEST_INTEGER } else { 0 };
    match (order.by, order.descending) {
        (SortKey::CreatedAt, _) => Place { value: None, position },
        (SortKey::ExpiresAt | SortKey::LastUsedAt, false) => {
            Place { value: Some(Value::Integer(-LARGEST_INTEGER)), position }
        }
        // Keys that expire exactly at the bound do not expire before it.
        (SortKey::ExpiresAt, true) => match filter.expires_before {
            Some(bound) => Place { value: Some(bound.into()), position: 0 },
            None => Place { value: Some(Value::Integer(LARGEST_INTEGER)), position },
        },
        (SortKey::LastUsedAt, true) => Place { value: Some(Value::Integer(LARGEST_INTEGER)), position },
        (SortKey::Name, false) => Place { value: Some("".into()), position },
        (SortKey::Name, true) => Place { value: Some(AFTER_EVERY_NAME.to_string().repeat(101).into()), position },
    }
}

/// Returns whether neither this key nor any later one can match.
fn is_past(order: KeyOrder, filter: &KeyFilter, row: &Row) -> Result<bool, StoreError> {
    let ascending = order == KeyOrder { by: SortKey::ExpiresAt, descending: false };
    let end = row.millis("expires_at")?;
    Ok(ascending && filter.expires_before.is_some_and(|bound| bound <= end))
}

fn place_of(order: KeyOrder, row: &Row) -> Result<Place, StoreError> {
    let value = match order.by {
        SortKey::CreatedAt => None,
        SortKey::ExpiresAt => Some(row.millis("expires_at")?.into()),
        SortKey::Name => Some(row.text("name")?.into()),
        SortKey::LastUsedAt => Some(row.millis("used_at")?.into()),
    };
    Ok(Place { value, position: row.integer("position")? })
}

/// Returns the cursor of a place. For newest first it has the form of [`super::list`].
fn write(order: KeyOrder, place: &Place) -> Result<String, StoreError> {
    if order == KeyOrder::default() {
        return Ok(write_cursor(place.position));
    }
    let text = match &place.value {
        Some(Value::Text(name)) => serde_json::to_string(&(order.as_str(), name, place.position)),
        Some(Value::Integer(end)) => serde_json::to_string(&(order.as_str(), end, place.position)),
        Some(Value::Null) | None => serde_json::to_string(&(order.as_str(), (), place.position)),
    };
    let text = text.map_err(|_| StoreError::new("a cursor has no JSON form"))?;
    Ok(URL_SAFE_NO_PAD.encode(text))
}

/// Parses the output of [`write()`] for the same order. Accepts no other spelling.
fn read(order: KeyOrder, text: &str) -> Result<Place, Rejection> {
    if order == KeyOrder::default() {
        return Ok(Place { value: None, position: start(Some(text))? });
    }
    let refused = || Rejection::Invalid {
        field: "cursor".to_owned(),
        detail: "Unknown cursor for this `sort`. Send the `next_cursor` of the previous page.".to_owned(),
    };
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
    let json = String::from_utf8(bytes).map_err(|_| refused())?;
    let (name, value, position): (String, serde_json::Value, i64) =
        serde_json::from_str(&json).map_err(|_| refused())?;
    let value = match (order.by, value) {
        (SortKey::CreatedAt, serde_json::Value::Null) => None,
        (SortKey::ExpiresAt | SortKey::LastUsedAt, serde_json::Value::Number(end)) => {
            let end = end.as_i64().filter(|end| (-LARGEST_INTEGER..=LARGEST_INTEGER).contains(end));
            Some(Value::Integer(end.ok_or_else(refused)?))
        }
        (SortKey::Name, serde_json::Value::String(name)) => Some(Value::Text(name)),
        _ => return Err(refused()),
    };
    let place = Place { value, position };
    let ours = name == order.as_str()
        && (1..=LARGEST_INTEGER).contains(&position)
        && write(order, &place).is_ok_and(|written| written == text);
    if ours { Ok(place) } else { Err(refused()) }
}
