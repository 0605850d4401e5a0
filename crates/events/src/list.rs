//! Deliveries as members read them.

use keyward_key::time::Millis;
use keyward_protocol::events::{AttemptView, DeliveryPage, DeliveryQuery, DeliveryStatus, DeliveryView};
use keyward_store::{Row, Store, StoreError, Value};

/// Maximum number of deliveries that one page reads with several filters. The page may then be short or empty although more follow.
pub const SCANNED_DELIVERIES: u32 = 2_000;

macro_rules! select_deliveries {
    ($rest:literal) => {
        concat!(
            "SELECT deliveries.number, deliveries.endpoint, deliveries.type, deliveries.status, next_at, events.id, seq, events.at
             FROM deliveries JOIN events ON events.number = deliveries.event ",
            $rest
        )
    };
}

macro_rules! scan {
    ($index:literal, $of_index:literal) => {
        concat!(
            "SELECT number, (? IS NULL OR endpoint = ?) AND (? IS NULL OR type = ?) AND (? IS NULL OR status = ?) AS fits
             FROM deliveries ",
            $index,
            " WHERE ",
            $of_index,
            "number < ? ORDER BY number DESC LIMIT ?"
        )
    };
}

/// Returns a page of deliveries, newest first. Each filter has an index. With several filters it reads at most [`SCANNED_DELIVERIES`]
/// entries of the first one's index.
///
/// # Errors
/// [`StoreError`] when the store fails or a row is malformed.
pub fn page(store: &mut dyn Store, query: &DeliveryQuery) -> Result<DeliveryPage, StoreError> {
    let status = query.status.map(DeliveryStatus::as_str);
    let filters = [query.endpoint.as_deref(), query.kind.as_deref(), status];
    let sql = match filters.map(|filter| filter.is_some()) {
        [true, _, _] => scan!("INDEXED BY deliveries_by_endpoint", "endpoint = ? AND "),
        [false, true, _] => scan!("INDEXED BY deliveries_by_type", "type = ? AND "),
        [false, false, true] => scan!("INDEXED BY deliveries_by_status", "status = ? AND "),
        [false, false, false] => scan!("", ""),
    };
    let several = filters.iter().flatten().count() > 1;
    let scanned = if several { SCANNED_DELIVERIES } else { query.limit.saturating_add(1) };
    let mut parameters: Vec<Value> =
        filters.iter().flat_map(|filter| [Value::from(*filter), Value::from(*filter)]).collect();
    parameters.extend(filters.iter().flatten().next().map(|filter| Value::from(*filter)));
    parameters.push(Value::Integer(query.before.unwrap_or(keyward_store::LARGEST_INTEGER)));
    parameters.push(Value::Integer(scanned.into()));
    let rows = store.query(sql, &parameters)?;

    let most = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let (mut chosen, mut last, mut next) = (Vec::new(), None, None);
    for row in &rows {
        let number = row.integer("number")?;
        if row.integer("fits")? != 0 {
            if chosen.len() == most {
                next = last;
                break;
            }
            chosen.push(number);
        }
        last = Some(number);
    }
    if next.is_none() && several && u32::try_from(rows.len()).is_ok_and(|count| count == scanned) {
        next = last;
    }
    let rows = store.query(
        select_deliveries!(
            "WHERE deliveries.number IN (SELECT value FROM json_each(?)) ORDER BY deliveries.number DESC"
        ),
        &[Value::json(&chosen)?],
    )?;
    let items = rows.iter().map(|row| view(store, row)).collect::<Result<_, _>>()?;
    Ok(DeliveryPage { items, next })
}

/// Returns one delivery.
///
/// # Errors
/// [`StoreError`] when the store fails or a row is malformed.
pub fn find(store: &mut dyn Store, number: i64) -> Result<Option<DeliveryView>, StoreError> {
    let rows = store.query(select_deliveries!("WHERE deliveries.number = ?"), &[Value::Integer(number)])?;
    rows.first().map(|row| view(store, row)).transpose()
}

fn view(store: &mut dyn Store, row: &Row) -> Result<DeliveryView, StoreError> {
    let number = row.integer("number")?;
    let attempts = store.query(
        "SELECT at, status, error, duration_ms FROM attempts WHERE delivery = ? ORDER BY number",
        &[Value::Integer(number)],
    )?;
    let attempts = attempts.iter().map(|row| {
        Ok(AttemptView {
            at: row.millis("at")?.rfc3339(),
            status: row.optional_integer("status")?.and_then(|status| u16::try_from(status).ok()),
            error: row.optional_text("error")?.map(str::to_owned),
            duration_ms: row.optional_integer("duration_ms")?.and_then(|duration| u64::try_from(duration).ok()),
        })
    });
    Ok(DeliveryView {
        id: format!("dlv_{number}"),
        endpoint: row.text("endpoint")?.to_owned(),
        event_id: row.text("id")?.to_owned(),
        kind: row.text("type")?.to_owned(),
        seq: row.count("seq")?,
        event_time: row.millis("at")?.rfc3339(),
        status: row.parsed("status", DeliveryStatus::parse)?,
        next_attempt_at: row.optional_millis("next_at")?.map(Millis::rfc3339),
        attempts: attempts.collect::<Result<_, StoreError>>()?,
    })
}
