//! Lists of keys in any order, and searches: they walk the index of their order and look at each key.
//!
//! A page looks at no more than [`SCANNED_KEYS`] keys, so it may be short or empty although more follow; its cursor leads on. A
//! cursor names the last key looked at by its place in the order, so keys that come and go move no others, and it is good for its
//! own order only.
//!
//! Who sees one environment walks an index of that environment, because a cursor tells the name or the end of the last key looked at.
//!
//! The search uses `instr` and not `LIKE`: a Durable Object refuses patterns over 50 bytes, and nothing is to be escaped.

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
use keyward_key::id::Environment;
use keyward_key::time::Millis;
use keyward_protocol::{KeyView, Rejection, Status};

/// Maximum number of keys that one page looks at.
pub const SCANNED_KEYS: usize = 5_000;

/// Keys that one statement looks at.
const CHUNK: usize = 250;

/// Greater than every name: names have at most 100 characters.
const AFTER_EVERY_NAME: char = '\u{10ffff}';

/// Place of a key in an order.
#[derive(Clone)]
struct Place {
    /// What the order sorts by, unless it is the position alone.
    value: Option<Value>,
    position: i64,
}

/// Returns one page of the keys that `member` may see and the filter admits, and the cursor of the next page.
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
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut chosen, mut bytes, mut scanned) = (Vec::new(), 0_u64, 0_usize);
    let more = 'walk: loop {
        let Some(filters) = &filters else { break false };
        let rows = chunk(store, order, filters, &place)?;
        for row in &rows {
            if is_past(order, filter, row)? {
                break 'walk false;
            }
            if row.count("fits")? != 0 {
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
            "SELECT position, name, expires_at, octet_length(scopes) + octet_length(allowed_cidrs) AS bytes,
                 (? IS NULL OR integration = ?) AND (? IS NULL OR owner = ?)
                 AND (? IS NULL OR ? = CASE WHEN state IN ('active', 'retiring') AND expires_at <= ? THEN 'expired'
                     ELSE state END)
                 AND (? IS NULL OR expires_at < ?)
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

/// Returns the next [`CHUNK`] keys after a place, each with whether it fits. The keys that are equal to it in the order come from a
/// statement of their own: SQLite walks over them again for a comparison of pairs.
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

/// Returns the statement that walks the order of creation from a position on.
const fn by_position(order: KeyOrder, one: bool) -> &'static str {
    if order.descending {
        walk!(one, "INDEXED BY keys_of_environment", "", "position < ?", "position DESC")
    } else {
        walk!(one, "INDEXED BY keys_of_environment", "", "position > ?", "position")
    }
}

/// Returns the statements that walk an order: over the keys equal to a place, and over those beyond it.
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
    match (order.by, order.descending) {
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
    /// `None` if no key can fit.
    fn new(member: &Member, filter: &KeyFilter, now: Millis) -> Option<Self> {
        let mut seen = environments(member, filter);
        let one = seen.next()?;
        let only = seen.next().is_none().then_some(one);
        let status = filter.status.map(Status::as_str);
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
            text.as_deref().into(),
            text.as_deref().into(),
            text.as_deref().into(),
        ];
        Some(Self { only, values })
    }
}

/// Returns the place before all keys that can fit.
fn first(order: KeyOrder, filter: &KeyFilter) -> Place {
    let position = if order.descending { LARGEST_INTEGER } else { 0 };
    match (order.by, order.descending) {
        (SortKey::CreatedAt, _) => Place { value: None, position },
        (SortKey::ExpiresAt, false) => Place { value: Some(Value::Integer(-LARGEST_INTEGER)), position },
        // Keys that end at the bound do not end before it.
        (SortKey::ExpiresAt, true) => match filter.expires_before {
            Some(bound) => Place { value: Some(bound.into()), position: 0 },
            None => Place { value: Some(Value::Integer(LARGEST_INTEGER)), position },
        },
        (SortKey::Name, false) => Place { value: Some("".into()), position },
        (SortKey::Name, true) => Place { value: Some(AFTER_EVERY_NAME.to_string().repeat(101).into()), position },
    }
}

/// Whether neither this key nor any after it can fit.
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
    };
    Ok(Place { value, position: row.integer("position")? })
}

/// Returns the cursor of a place. Newest first has that of [`super::list`].
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

/// Parses the output of [`write`] for the same order, and no other spelling.
fn read(order: KeyOrder, text: &str) -> Result<Place, Rejection> {
    if order == KeyOrder::default() {
        return Ok(Place { value: None, position: start(Some(text))? });
    }
    let refused = || Rejection::Invalid {
        field: "cursor".to_owned(),
        detail: "Unknown cursor of this `sort`. Send the `next_cursor` of the page before.".to_owned(),
    };
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
    let json = String::from_utf8(bytes).map_err(|_| refused())?;
    let (name, value, position): (String, serde_json::Value, i64) =
        serde_json::from_str(&json).map_err(|_| refused())?;
    let value = match (order.by, value) {
        (SortKey::CreatedAt, serde_json::Value::Null) => None,
        (SortKey::ExpiresAt, serde_json::Value::Number(end)) => {
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
