//! Events that the events object does not know yet. An event is written with the audit entry of its change, in the same transaction, so
//! it exists exactly if the change was committed. The object tells the events object afterwards ([`crate::object`]).
//!
//! A row without an event says that an endpoint has changed.

use serde_json::{Map, Value as Json};

use super::keys;
use super::members;
use super::store::{Row, Store, StoreError, Value};
use super::{audit, endpoints, incidents, meta};
use keyward_key::id::{Class, Environment, KeyId};
pub use keyward_key::time::EffectTimes;
use keyward_key::time::Millis;
use keyward_protocol::audit::Entry;
use keyward_protocol::events::{Event, MAX_TOLD_EVENTS, News};

/// Actions of the audit log, each with the type of its event. Other actions cause no event.
const TYPES: &[(&str, &str)] = &[
    ("key.issue", "key.issued"),
    ("key.claim", "key.claimed"),
    ("key.rotate", "key.rotated"),
    ("key.end_near", "key.expiring"),
    ("key.end", "key.expired"),
    ("key.revoke", "key.revoked"),
    ("claim.expire", "key.revoked"),
    ("claim.withdraw", "key.revoked"),
    ("key.quarantine", "key.quarantined"),
    ("key.expose", "key.exposed"),
    ("key.idle", "key.idle"),
    ("key.reach_limit", "key.limited"),
    ("leak.report", "leak.reported"),
    ("incident.open", "incident.opened"),
    ("incident.close", "incident.closed"),
    ("bootstrap", "member.created"),
    ("member.create", "member.created"),
    ("member.update", "member.updated"),
    ("member.rotate", "member.rotated"),
    ("member.revoke", "member.revoked"),
    ("member.expose", "member.exposed"),
    ("endpoint.stop", "endpoint.disabled"),
];

/// Fields of an entry's detail that its event shows too. All others stay in the log.
const SHOWN_DETAIL: &[&str] = &[
    "reason",
    "kind",
    "route",
    "network",
    "days",
    "claim_until",
    "endpoint",
    "last_used_at",
    "unused_since",
    "revoke_at",
    "revoke_in_days",
    "incident",
    "note",
    "keys",
    "replace",
    "source",
    "limit",
    "requests",
    "seconds",
    "period",
];

/// Number of hex digits of the audit entry's hash in the id of its event: 96 bits.
const ID_DIGITS: usize = 24;

/// Writes the event of an audit entry that was just appended, within the caller's transaction, if its action has one.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub(super) fn note(store: &mut dyn Store, entry: &Entry, at: Millis) -> Result<(), StoreError> {
    let Some((_, kind)) = TYPES.iter().find(|(action, _)| *action == entry.action) else { return Ok(()) };
    let (mut data, environment) = match KeyId::parse(&entry.subject) {
        Some(id) if id.class() == Class::Member => (member_data(store, &id)?, None),
        Some(id) => key_data(store, &id, at)?,
        None => (other_data(entry), environment_of_keys(store, entry)?),
    };
    for name in SHOWN_DETAIL {
        if let Some(value) = entry.detail.get(*name).filter(|value| !value.is_null()) {
            data.insert((*name).to_owned(), shortened(value));
        }
    }
    data.insert("actor".to_owned(), entry.actor.as_str().into());
    data.insert("seq".to_owned(), entry.seq.into());
    data.insert("audit_seq".to_owned(), entry.seq.into());
    let digits: String = entry.hash.chars().take(ID_DIGITS).collect();
    let event = Event { id: format!("evt_{digits}"), seq: entry.seq, at, kind: (*kind).to_owned(), environment, data };
    insert(store, entry.seq, Some(&event))
}

/// Maximum number of items of a list in an event. The audit entry has all of them. Receivers may refuse bodies over 20 KB.
const LISTED: usize = 50;

/// Returns a value of an entry as its event shows it.
fn shortened(value: &Json) -> Json {
    match value {
        Json::Array(items) => Json::Array(items.iter().take(LISTED).cloned().collect()),
        other => other.clone(),
    }
}

/// Records that the list of endpoints has changed, within the caller's transaction. The number is that of the audit entry.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub(super) fn note_endpoints(store: &mut dyn Store, seq: u64) -> Result<(), StoreError> {
    insert(store, seq, None)
}

fn insert(store: &mut dyn Store, seq: u64, event: Option<&Event>) -> Result<(), StoreError> {
    let text = event.map(serde_json::to_string).transpose();
    let text = text.map_err(|_| StoreError::new("an event has no JSON form"))?;
    store.execute("INSERT OR IGNORE INTO events (seq, event) VALUES (?, ?)", &[Value::count(seq)?, text.into()])
}

/// Returns the fields about a key, and its environment.
fn key_data(
    store: &mut dyn Store,
    id: &KeyId,
    at: Millis,
) -> Result<(Map<String, Json>, Option<Environment>), StoreError> {
    let Some(row) = keys::find(store, id)? else { return Ok((Map::new(), None)) };
    let view = keys::view(&row, at)?;
    let attributes = view.attributes;
    let mut data = Map::new();
    data.insert("key_id".to_owned(), id.as_str().into());
    data.insert("name".to_owned(), attributes.name.into());
    data.insert("integration".to_owned(), attributes.integration.into());
    data.insert("environment".to_owned(), attributes.environment.as_str().into());
    data.insert("owner".to_owned(), attributes.owner.into());
    data.insert("status".to_owned(), view.status.as_str().into());
    data.insert("expires_at".to_owned(), view.expires_at.into());
    for (name, other) in [("successor", view.successor), ("rotated_from", view.rotated_from)] {
        data.extend(other.map(|other| (name.to_owned(), other.as_str().into())));
    }
    Ok((data, Some(attributes.environment)))
}

/// Returns the fields about a member. Without the e-mail address: receivers may be chat rooms.
fn member_data(store: &mut dyn Store, id: &KeyId) -> Result<Map<String, Json>, StoreError> {
    let mut data = Map::new();
    data.insert("member_id".to_owned(), id.as_str().into());
    if let Some(member) = members::find(store, id)? {
        data.insert("name".to_owned(), member.name.into());
        data.insert("role".to_owned(), member.role.as_str().into());
    }
    Ok(data)
}

/// Returns the fields about a subject that is neither a key nor a member.
fn other_data(entry: &Entry) -> Map<String, Json> {
    let mut data = Map::new();
    for (group, name) in [("incident.", "incident"), ("leak.", "leak")] {
        if entry.action.starts_with(group) {
            data.insert(name.to_owned(), entry.subject.as_str().into());
        }
    }
    data
}

/// Returns the environment of all keys of an incident or a leak report; `None` if they are of both, or if a member's credential is among them.
/// An event with an environment is not sent to an endpoint that is limited to the other one. An event without one is sent to every endpoint.
fn environment_of_keys(store: &mut dyn Store, entry: &Entry) -> Result<Option<Environment>, StoreError> {
    if entry.action.starts_with("incident.") {
        return Ok(incidents::environments(store, &entry.subject)?.as_deref().and_then(Environment::parse));
    }
    let keys = entry.detail.get("keys").and_then(Json::as_array).into_iter().flatten();
    let mut classes = keys.map(|key| key.as_str().and_then(KeyId::parse).map(|id| id.class()));
    let first = classes.next().flatten();
    let environment = match first {
        Some(Class::Data(environment)) => Some(environment),
        Some(Class::Member) | None => None,
    };
    Ok(environment.filter(|_| classes.all(|class| class == first)))
}

/// Returns whether there is anything to tell. Reads one row.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn is_any_pending(store: &mut dyn Store) -> Result<bool, StoreError> {
    Ok(!store.query("SELECT seq FROM events LIMIT 1", &[])?.is_empty())
}

/// Returns the next message to the events object with the number to pass to [`told`]; `None` if there is nothing to tell.
///
/// # Errors
/// [`StoreError`] when the store fails or a row is malformed.
pub fn news(store: &mut dyn Store, effect: EffectTimes) -> Result<Option<(News, u64)>, StoreError> {
    let rows =
        store.query("SELECT seq, event FROM events ORDER BY seq LIMIT ?", &[Value::Integer(MAX_TOLD_EVENTS.into())])?;
    let Some(last) = rows.last() else { return Ok(None) };
    let upto = last.count("seq")?;
    let mut events = Vec::new();
    for row in &rows {
        events.extend(event(row, effect)?);
    }
    let news = News {
        epoch: meta::epoch(store)?.as_str().to_owned(),
        at: audit::head(store)?.seq,
        events,
        endpoints: endpoints::all_for_delivery(store)?,
    };
    Ok(Some((news, upto)))
}

/// Removes what the events object has stored.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn told(store: &mut dyn Store, upto: u64) -> Result<(), StoreError> {
    store.execute("DELETE FROM events WHERE seq <= ?", &[Value::count(upto)?])
}

/// Types of events after which requests with a key are refused, with the times by which they are.
const WITH_EFFECT: &[&str] = &["key.revoked", "key.quarantined"];

fn event(row: &Row, effect: EffectTimes) -> Result<Option<Event>, StoreError> {
    let mut event: Option<Event> = row.optional_parsed("event", |text| serde_json::from_str(text).ok())?;
    if let Some(event) = event.as_mut().filter(|event| WITH_EFFECT.contains(&event.kind.as_str())) {
        let (effective, guaranteed) = effect.of(event.at);
        event.data.insert("effective_by".to_owned(), effective.rfc3339().into());
        event.data.insert("guaranteed_by".to_owned(), guaranteed.rfc3339().into());
    }
    Ok(event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_protocol::events::{EVENT_TYPES, TEST_TYPE};

    #[test]
    fn every_type_of_event_has_a_source_and_every_source_a_known_type() {
        for kind in EVENT_TYPES {
            assert!(*kind == TEST_TYPE || TYPES.iter().any(|(_, known)| known == kind), "{kind}");
        }
        for (action, kind) in TYPES {
            assert!(EVENT_TYPES.contains(kind), "{action}");
        }
    }
}
