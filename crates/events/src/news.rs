//! What the registry tells: events, and the list of endpoints.

use keyward_key::epoch::Epoch;
use keyward_key::id::Environment;
use keyward_key::time::Millis;
use keyward_protocol::events::{Endpoint, Event, News};
use keyward_store::{Store, StoreError, Value, meta};
use serde_json::{Map, Value as Json};

use crate::body::body;
use crate::endpoints;

/// Name in `meta` of the authority's epoch.
const EPOCH: &str = "epoch";
/// Name in `meta` of the number of the last audit entry at which the list of endpoints is known.
const ENDPOINTS_AT: &str = "endpoints_at";

/// Stores a message of the registry, in one transaction. A message that arrives twice, or after a later one, adds nothing and changes
/// no endpoint back.
///
/// # Errors
/// [`StoreError`] if the store fails. The registry tells it again.
pub fn apply(store: &mut dyn Store, news: &News, source: &str, now: Millis) -> Result<(), StoreError> {
    store.transaction(&mut |store| {
        if is_latest(store, news)? {
            endpoints::replace_all(store, &news.endpoints)?;
            meta::write(store, EPOCH, news.epoch.clone())?;
            meta::write(store, ENDPOINTS_AT, news.at.to_string())?;
        }
        for event in &news.events {
            if let Some(number) = insert(store, event, source, now)? {
                deliver(store, event, number, &news.endpoints, now)?;
            }
        }
        Ok(())
    })
}

/// Returns whether the list of endpoints is not older than the one that is stored. Numbers compare within an epoch, and a later epoch wins.
fn is_latest(store: &mut dyn Store, news: &News) -> Result<bool, StoreError> {
    let Some(epoch) = meta::read(store, EPOCH)? else { return Ok(true) };
    let at = meta::read(store, ENDPOINTS_AT)?.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    if epoch == news.epoch {
        return Ok(news.at >= at || keyward_fault::fault!("an older list of endpoints is applied"));
    }
    Ok(Epoch::from_stored(news.epoch.clone()).began() >= Epoch::from_stored(epoch).began())
}

/// Inserts an event and returns its number; `None` if it is known.
fn insert(store: &mut dyn Store, event: &Event, source: &str, now: Millis) -> Result<Option<i64>, StoreError> {
    let known = store.query("SELECT number FROM events WHERE id = ?", &[event.id.as_str().into()])?;
    if !known.is_empty() {
        return Ok(None);
    }
    let new = NewEvent {
        id: &event.id,
        seq: event.seq,
        at: event.at,
        kind: &event.kind,
        environment: event.environment,
        only_for: None,
        data: &event.data,
    };
    new.insert(store, source, now).map(|(number, _)| Some(number))
}

/// An event to insert.
pub(crate) struct NewEvent<'a> {
    pub id: &'a str,
    pub seq: u64,
    pub at: Millis,
    pub kind: &'a str,
    pub environment: Option<Environment>,
    /// The one endpoint that receives it; `None` for every subscriber.
    pub only_for: Option<&'a str>,
    pub data: &'a Map<String, Json>,
}

impl NewEvent<'_> {
    /// Writes the event. Returns its number and its body.
    pub fn insert(&self, store: &mut dyn Store, source: &str, now: Millis) -> Result<(i64, String), StoreError> {
        let body = body(source, self)?;
        let rows = store.query("SELECT ifnull(max(number), 0) + 1 AS number FROM events", &[])?;
        let number = rows.first().map(|row| row.integer("number")).transpose()?.unwrap_or(1);
        store.execute(
            "INSERT INTO events (number, id, seq, at, type, environment, only_for, body, received_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            &[
                Value::Integer(number),
                self.id.into(),
                Value::count(self.seq)?,
                self.at.into(),
                self.kind.into(),
                self.environment.map(Environment::as_str).into(),
                self.only_for.into(),
                body.as_str().into(),
                now.into(),
            ],
        )?;
        Ok((number, body))
    }
}

/// Inserts the deliveries of a new event. An endpoint receives what was committed after it was enabled.
fn deliver(
    store: &mut dyn Store,
    event: &Event,
    number: i64,
    endpoints: &[Endpoint],
    now: Millis,
) -> Result<(), StoreError> {
    for endpoint in endpoints {
        let is_enabled = endpoint.enabled_since.is_some_and(|since| since < event.seq);
        if !is_enabled || !endpoint.subscribes_to(&event.kind, event.environment) {
            continue;
        }
        // Not one that this object has stopped.
        store.execute(
            "INSERT OR IGNORE INTO deliveries (endpoint, event, type, status, attempts, next_at)
             SELECT id, ?, ?, 'pending', 0, ? FROM endpoints WHERE id = ? AND is_enabled = 1",
            &[Value::Integer(number), event.kind.as_str().into(), now.into(), endpoint.id.as_str().into()],
        )?;
    }
    Ok(())
}
