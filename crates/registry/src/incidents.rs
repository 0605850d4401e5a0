//! Incidents: keys that were revoked together, their replacements, and what is still to be done.

use super::context::{Context, OperationError};
use super::keys;
use super::list::json_list;
use super::members::Member;
use super::page::{LARGEST_PAGE, check_limit, start, write_cursor};
use super::store::{Row, Store, StoreError, Value};
use keyward_key::id::{Environment, KeyId};
use keyward_key::time::Millis;
use keyward_protocol::Status;

/// A stored incident, without its keys.
#[derive(Debug)]
pub struct Incident {
    /// Position in lists: the revision that opened it.
    pub position: i64,
    /// Id, such as `inc_17`.
    pub id: String,
    /// `exposed`, `suspected` or `other`.
    pub kind: String,
    /// Text of whoever opened it.
    pub note: String,
    /// Time of opening, at which its keys were revoked.
    pub opened_at: Millis,
    /// Member who opened it.
    pub opened_by: String,
    /// Time of the last review, its author and its finding.
    pub review: Option<(Millis, String, String)>,
    /// Time of closing, and who closed it.
    pub closed: Option<(Millis, String)>,
}

/// A key of an incident.
#[derive(Debug)]
pub struct AffectedKey {
    /// The key.
    pub id: KeyId,
    /// The pending key that replaces it, if one was made.
    pub successor: Option<KeyId>,
}

fn from_row(row: &Row) -> Result<Incident, StoreError> {
    let by = |time: &str, actor: &str| -> Result<Option<(Millis, String)>, StoreError> {
        let at = row.optional_millis(time)?;
        Ok(at.zip(row.optional_text(actor)?.map(str::to_owned)))
    };
    let finding = row.optional_text("finding")?.map(str::to_owned);
    Ok(Incident {
        position: row.integer("position")?,
        id: row.text("id")?.to_owned(),
        kind: row.text("kind")?.to_owned(),
        note: row.text("note")?.to_owned(),
        opened_at: row.millis("opened_at")?,
        opened_by: row.text("opened_by")?.to_owned(),
        review: by("reviewed_at", "reviewed_by")?.zip(finding).map(|((at, by), finding)| (at, by, finding)),
        closed: by("closed_at", "closed_by")?,
    })
}

macro_rules! select_incidents {
    ($rest:literal) => {
        concat!(
            "SELECT position, id, kind, note, opened_at, opened_by, reviewed_at, reviewed_by, finding, closed_at, closed_by
             FROM incidents ",
            $rest
        )
    };
}

/// Returns an incident whose keys are all in environments that `member` may see. Any other counts as absent.
///
/// # Errors
/// [`StoreError`] when the store fails or the row is malformed.
pub fn find(store: &mut dyn Store, member: &Member, id: &str) -> Result<Option<Incident>, StoreError> {
    for scope in scopes_in_sight(member) {
        let rows = store.query(select_incidents!("WHERE id = ? AND environments = ?"), &[id.into(), scope.into()])?;
        if let Some(row) = rows.first() {
            return from_row(row).map(Some);
        }
    }
    Ok(None)
}

/// Returns the environments of an incident's keys, as stored: `live`, `test` or `live test`.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub(super) fn environments(store: &mut dyn Store, id: &str) -> Result<Option<String>, StoreError> {
    let rows = store.query("SELECT environments FROM incidents WHERE id = ?", &[id.into()])?;
    rows.first().map(|row| row.text("environments").map(str::to_owned)).transpose()
}

/// Returns the values of the column `environments` that a member may see.
fn scopes_in_sight(member: &Member) -> Vec<&'static str> {
    let (live, test) = (member.sees(Environment::Live), member.sees(Environment::Test));
    [("live", live), ("test", test), ("live test", live && test)]
        .into_iter()
        .filter_map(|(scope, seen)| seen.then_some(scope))
        .collect()
}

/// Returns one page of the incidents that `member` may see, newest first, and the cursor of the next page.
///
/// # Errors
/// A refusal of `limit` or `cursor`, or a failure of the store.
pub fn list(
    store: &mut dyn Store,
    member: &Member,
    limit: u32,
    cursor: Option<&str>,
) -> Result<(Vec<Incident>, Option<String>), OperationError> {
    check_limit(limit, LARGEST_PAGE)?;
    let before = start(cursor)?;
    let mut found = Vec::new();
    for scope in scopes_in_sight(member) {
        let rows = store.query(
            select_incidents!(
                "INDEXED BY incidents_by_environments WHERE environments = ? AND position < ? \
                 ORDER BY position DESC LIMIT ?"
            ),
            &[scope.into(), Value::Integer(before), Value::Integer(limit.saturating_add(1).into())],
        )?;
        for row in &rows {
            found.push(from_row(row)?);
        }
    }
    found.sort_unstable_by_key(|incident| std::cmp::Reverse(incident.position));
    let page = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > page;
    found.truncate(page);
    let next_cursor = found.last().filter(|_| more).map(|last| write_cursor(last.position));
    Ok((found, next_cursor))
}

/// Returns the keys of an incident, in the order of their ids.
///
/// # Errors
/// [`StoreError`] when the store fails or a row is malformed.
pub fn affected(store: &mut dyn Store, incident: &str) -> Result<Vec<AffectedKey>, StoreError> {
    store
        .query("SELECT key_id, successor FROM incident_keys WHERE incident = ? ORDER BY key_id", &[incident.into()])?
        .iter()
        .map(|row| {
            Ok(AffectedKey {
                id: row.parsed("key_id", KeyId::parse)?,
                successor: row.optional_parsed("successor", KeyId::parse)?,
            })
        })
        .collect()
}

/// An incident to insert.
pub struct NewIncident<'a> {
    /// Number of the change. The id is made of it.
    pub revision: u64,
    /// Environments of its keys.
    pub environments: &'a [Environment],
    /// `exposed`, `suspected` or `other`.
    pub kind: &'a str,
    /// Text of whoever opens it.
    pub note: &'a str,
}

/// Inserts an incident, and returns its id.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn insert(store: &mut dyn Store, by: &Context<'_>, incident: &NewIncident<'_>) -> Result<String, StoreError> {
    let id = format!("inc_{}", incident.revision);
    let has = |environment| incident.environments.contains(&environment);
    let scope = match (has(Environment::Live), has(Environment::Test)) {
        (true, true) => "live test",
        (false, true) => "test",
        _ => "live",
    };
    store.execute(
        "INSERT INTO incidents (position, id, environments, kind, note, opened_at, opened_by) VALUES (?, ?, ?, ?, ?, ?, ?)",
        &[
            Value::count(incident.revision)?,
            id.as_str().into(),
            scope.into(),
            incident.kind.into(),
            incident.note.into(),
            by.now.into(),
            by.actor_name().into(),
        ],
    )?;
    Ok(id)
}

/// Adds a key to an incident.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn add_key(store: &mut dyn Store, incident: &str, key: &AffectedKey) -> Result<(), StoreError> {
    store.execute(
        "INSERT INTO incident_keys (incident, key_id, successor) VALUES (?, ?, ?)",
        &[incident.into(), key.id.as_str().into(), key.successor.as_ref().map(KeyId::as_str).into()],
    )
}

/// Records a review.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn review(store: &mut dyn Store, by: &Context<'_>, incident: &str, finding: &str) -> Result<(), StoreError> {
    store.execute(
        "UPDATE incidents SET reviewed_at = ?, reviewed_by = ?, finding = ? WHERE id = ?",
        &[by.now.into(), by.actor_name().into(), finding.into(), incident.into()],
    )
}

/// Closes an incident.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn close(store: &mut dyn Store, by: &Context<'_>, incident: &str) -> Result<(), StoreError> {
    store.execute(
        "UPDATE incidents SET closed_at = ?, closed_by = ? WHERE id = ? AND closed_at IS NULL",
        &[by.now.into(), by.actor_name().into(), incident.into()],
    )
}

/// Selection of the keys of an incident by one of their attributes.
#[derive(Clone, Copy, Debug)]
pub enum Selection<'a> {
    /// Keys of this integration.
    Integration(&'a str),
    /// Keys of this owner.
    Owner(&'a str),
}

/// Returns the rows of the selected keys that are not final, in the environments that `member` may see, at most `limit`.
///
/// # Errors
/// [`StoreError`] when the store fails or a row is malformed.
pub fn select(
    store: &mut dyn Store,
    member: &Member,
    selection: Selection<'_>,
    limit: usize,
    now: Millis,
) -> Result<Vec<Row>, StoreError> {
    const UNFINISHED: [Status; 4] = [Status::Active, Status::Pending, Status::Retiring, Status::Quarantined];
    let (sql, wanted) = match selection {
        Selection::Integration(slug) => (
            "SELECT position FROM keys INDEXED BY keys_listed_by_integration
             WHERE environment = ? AND state = ? AND integration = ? AND expires_at > ? ORDER BY position LIMIT ?",
            slug,
        ),
        Selection::Owner(owner) => (
            "SELECT position FROM keys INDEXED BY keys_listed_by_owner
             WHERE environment = ? AND state = ? AND owner = ? AND expires_at > ? ORDER BY position LIMIT ?",
            owner,
        ),
    };
    let most = Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX));
    let mut positions = Vec::new();
    for environment in Environment::ALL.into_iter().filter(|environment| member.sees(*environment)) {
        for state in UNFINISHED {
            let parameters =
                [environment.as_str().into(), state.as_str().into(), wanted.into(), now.into(), most.clone()];
            for row in store.query(sql, &parameters)? {
                positions.push(row.integer("position")?);
            }
        }
    }
    positions.sort_unstable();
    positions.truncate(limit);
    keys::at_positions(store, json_list(&positions)?)
}
