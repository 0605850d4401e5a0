//! Leak reports: keys and credentials that somebody found where they do not belong. Each is revoked in the transaction that records the
//! report, by the code of a holder's revocation: whoever reports a whole key holds it.
//!
//! A report that tells nothing new is not stored, so a replayed report costs no memory.

use std::collections::{BTreeMap, BTreeSet};

use super::context::{Actor, Context, OperationError, Policy};
use super::keys;
use super::members::{self, Member, Presented};
use super::meta;
use super::page::{LARGEST_PAGE, check_limit, start, write_cursor};
use super::store::counters::{self, Increase};
use super::store::{Row, Store, StoreError, Value};
use keyward_key::hash::KeyHash;
use keyward_key::id::{Class, Environment, KeyId};
use keyward_key::time::Millis;
use keyward_protocol::metrics::{LEAK_REPORTS, Sample};
use keyward_protocol::{LeakReport, LeakSource, LeakedKey, MAX_LEAKED_KEYS, Response, Status};
use serde::{Deserialize, Serialize};

/// Maximum number of reports that one key or member is in. A key that is revoked can be found in any number of places.
const REPORTS_OF_ONE_KEY: usize = 20;

/// Values of the label `result` of the counter of reports: the report revoked the key, or the key was not active any more.
const RESULTS: [&str; 2] = ["revoked", "not_active"];

/// Reason of the revocation, by source.
const fn reason(source: LeakSource) -> &'static str {
    match source {
        LeakSource::GitHub => "Found by GitHub's secret scanning",
        LeakSource::GitLab => "Found by GitLab's secret detection",
        LeakSource::Public => "Reported as leaked",
    }
}

/// Revokes the keys and credentials of a report that are genuine, and records the report, in one transaction. Without a genuine one nothing
/// is written. The answer is the same.
///
/// # Errors
/// [`StoreError`] when the store fails: nothing was done.
pub fn report(
    store: &mut dyn Store,
    report: &LeakReport,
    policy: &Policy,
    now: Millis,
) -> Result<Response, StoreError> {
    let genuine = genuine_of(store, report, now)?;
    let mut is_new = false;
    for found in &genuine {
        is_new = is_new || found.was_active || found.is_new_place(store)?;
    }
    if is_new {
        store.transaction(&mut |store| record(store, report, &genuine, policy, now))?;
    }
    Ok(Response::Reported)
}

/// Finds the genuine keys and credentials of a report, each key and member once. Looks up each text once, however often it was sent.
fn genuine_of(store: &mut dyn Store, report: &LeakReport, now: Millis) -> Result<Vec<Genuine>, StoreError> {
    let (mut genuine, mut places, mut seen) = (Vec::<Genuine>::new(), BTreeMap::new(), BTreeSet::new());
    for key in report.keys.iter().take(MAX_LEAKED_KEYS) {
        if !seen.insert((key.id.clone(), key.key_hash.to_hex())) {
            continue;
        }
        let Some(found) = Genuine::find(store, key, now)? else { continue };
        match places.get(&found.id).and_then(|at: &usize| genuine.get_mut(*at)) {
            None => {
                places.insert(found.id.clone(), genuine.len());
                genuine.push(found);
            }
            // A member's old credential came first, which ends only the handover.
            Some(known) if !found.is_previous() => known.what = found.what,
            Some(_) => {}
        }
    }
    Ok(genuine)
}

/// Records a report within the caller's transaction, and revokes what is active.
fn record(
    store: &mut dyn Store,
    report: &LeakReport,
    genuine: &[Genuine],
    policy: &Policy,
    now: Millis,
) -> Result<(), StoreError> {
    for found in genuine.iter().filter(|found| found.was_active) {
        found.revoke(store, report, policy, now)?;
    }
    let position = Value::count(meta::next_revision(store)?)?;
    store.execute(
        "INSERT INTO leaks (position, id, source, received_at, found_at, note) VALUES (?, ?, ?, ?, ?, ?)",
        &[
            position.clone(),
            report.id.as_str().into(),
            report.source.as_str().into(),
            now.into(),
            report.found_at.into(),
            report.note.as_deref().into(),
        ],
    )?;
    for (number, found) in (0_i64..).zip(genuine) {
        found.insert(store, &position, number, now)?;
    }
    counters::add_fixed(store, increases(report.source, genuine), now)?;
    let actor = Actor::Holder(genuine.first().map(|found| found.id.clone()).ok_or_else(|| StoreError::new("no key"))?);
    let by = context(&actor, report, policy, now);
    let keys = genuine.iter().map(|found| found.id.as_str().into()).collect();
    let detail = vec![("source", report.source.as_str().into()), ("keys", serde_json::Value::Array(keys))];
    by.record_about(store, "leak.report", &report.id, detail)
}

/// Returns the increases of the counter of reports.
fn increases(source: LeakSource, genuine: &[Genuine]) -> Vec<Increase> {
    let revoked = genuine.iter().filter(|found| found.was_active).count();
    let counts = RESULTS.into_iter().zip([revoked, genuine.len().saturating_sub(revoked)]);
    let counted = counts.filter(|(_, keys)| *keys > 0);
    counted.map(|(result, keys)| sample_of(source, result, u64::try_from(keys).unwrap_or(0)).increase()).collect()
}

/// Returns every series of the counter of reports, at 0.
pub(super) fn no_reports() -> Vec<Sample> {
    let series = LeakSource::ALL.into_iter().flat_map(|source| RESULTS.map(|result| (source, result)));
    series.map(|(source, result)| sample_of(source, result, 0)).collect()
}

fn sample_of(source: LeakSource, result: &str, keys: u64) -> Sample {
    Sample::new(LEAK_REPORTS, &[("source", source.as_str()), ("result", result)], keys)
}

/// Context of a change that a report causes: whoever holds the key makes it.
const fn context<'a>(actor: &'a Actor, report: &'a LeakReport, policy: &'a Policy, now: Millis) -> Context<'a> {
    Context {
        actor,
        request: &report.request,
        policy,
        credential: None,
        presented: None,
        session: None,
        is_confirmed: false,
        now,
    }
}

/// A key or member's credential that was reported with its right secret.
struct Genuine {
    id: KeyId,
    place: Option<String>,
    was_active: bool,
    what: What,
}

enum What {
    Key(Box<Row>),
    Member(Box<Member>, Presented),
}

impl Genuine {
    fn find(store: &mut dyn Store, key: &LeakedKey, now: Millis) -> Result<Option<Self>, StoreError> {
        let LeakedKey { id, key_hash, place } = key.clone();
        if id.class() == Class::Member {
            let Some(member) = members::find(store, &id)? else { return Ok(None) };
            let Some(presented) = member.presented(&key_hash, now) else { return Ok(None) };
            let was_active = member.status(now) == Status::Active;
            return Ok(Some(Self { id, place, was_active, what: What::Member(Box::new(member), presented) }));
        }
        let Some(row) = keys::find(store, &id)? else { return Ok(None) };
        // A key that waits for its claim has no secret that could be presented.
        if row.text("key_hash")?.is_empty() || !row.parsed("key_hash", KeyHash::from_stored)?.matches(&key_hash) {
            return Ok(None);
        }
        let was_active = !matches!(keys::status(&row, now)?, Status::Expired | Status::Revoked);
        Ok(Some(Self { id, place, was_active, what: What::Key(Box::new(row)) }))
    }

    /// Returns whether it is a credential that the member has replaced.
    const fn is_previous(&self) -> bool {
        matches!(self.what, What::Member(_, Presented::Previous))
    }

    /// Returns whether no report has the key at this place, and not too many have it at others.
    fn is_new_place(&self, store: &mut dyn Store) -> Result<bool, StoreError> {
        let rows = store.query(
            "SELECT place FROM leak_items INDEXED BY leak_items_by_key WHERE key_id = ? LIMIT ?",
            &[self.id.as_str().into(), Value::count(u64::try_from(REPORTS_OF_ONE_KEY).unwrap_or(0))?],
        )?;
        let is_known = |row: &Row| row.optional_text("place").map(|place| place == self.place.as_deref());
        let known = rows.iter().map(is_known).collect::<Result<Vec<_>, _>>()?;
        Ok(known.len() < REPORTS_OF_ONE_KEY && !known.contains(&true))
    }

    /// Revokes the key, or the credential.
    fn revoke(
        &self,
        store: &mut dyn Store,
        report: &LeakReport,
        policy: &Policy,
        now: Millis,
    ) -> Result<(), StoreError> {
        let actor = Actor::Holder(self.id.clone());
        let by = context(&actor, report, policy, now);
        let reason = reason(report.source);
        match &self.what {
            What::Key(_) => {
                keys::mark_revoked(store, &self.id, by.actor_name(), reason, now)?;
                let detail = vec![("reason", reason.into()), ("leak", report.id.as_str().into())];
                by.record(store, "key.revoke", &self.id, detail)
            }
            What::Member(_, Presented::Current) => members::revoke(store, &by, &self.id, Some(reason)).map(drop),
            // The member has a new credential, which did not leak.
            What::Member(_, Presented::Previous) => {
                meta::next_revision(store)?;
                members::end_handover(store, &self.id)?;
                by.record(store, "member.end_handover", &self.id, vec![("reason", reason.into())])
            }
        }
    }

    fn insert(&self, store: &mut dyn Store, position: &Value, number: i64, now: Millis) -> Result<(), StoreError> {
        let mut values =
            vec![position.clone(), Value::Integer(number), self.id.as_str().into(), self.place.as_deref().into()];
        values.push(Value::Integer(self.was_active.into()));
        match &self.what {
            What::Key(row) => {
                let revoked_at = row.optional_millis("revoked_at")?;
                values.extend([
                    row.text("integration")?.into(),
                    row.text("owner")?.into(),
                    row.text("environment")?.into(),
                    row.text("scopes")?.into(),
                    // A key that had expired stays as it is: it is refused already.
                    if self.was_active { now.into() } else { revoked_at.into() },
                    row.value("last_used_at")?.clone(),
                ]);
            }
            What::Member(member, _) => values.extend([
                Value::Null,
                member.email.as_str().into(),
                Value::Null,
                "[]".into(),
                if self.was_active { now.into() } else { Value::Null },
                Value::Null,
            ]),
        }
        store.execute(
            "INSERT INTO leak_items (leak, number, key_id, place, was_active, integration, owner, environment, scopes,
                 revoked_at, last_used_before) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            &values,
        )
    }
}

/// A report as the registry tells it. The isolate adds what depends on its configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Leak {
    /// Id.
    pub id: String,
    /// Who reported it.
    pub source: LeakSource,
    /// Time of the report.
    pub received_at: Millis,
    /// Time at which the keys were found, as the reporter says.
    pub found_at: Option<Millis>,
    /// Remark of the reporter.
    pub note: Option<String>,
    /// The keys that the caller may see.
    pub items: Vec<LeakItem>,
}

/// One key of a report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeakItem {
    /// Id of the key or member.
    pub key_id: KeyId,
    /// Integration; `None` for a member.
    pub integration: Option<String>,
    /// Owner of the key, or the member's e-mail address.
    pub owner: String,
    /// Environment; `None` for a member.
    pub environment: Option<Environment>,
    /// Scopes.
    pub scopes: Vec<String>,
    /// Where it was found.
    pub place: Option<String>,
    /// Whether it worked at the time of the report.
    pub was_active: bool,
    /// Time of its revocation; `None` if it had expired before.
    pub revoked_at: Option<Millis>,
    /// Last use before the report, if known.
    pub last_used_before: Option<Millis>,
}

/// Returns one page of the reports that contain a key that `member` may see, newest first, and the cursor of the next page. A page ends
/// with the report that brings it to 1,000 keys. A member with a limit sees the keys of their environments, and no members.
///
/// # Errors
/// A refusal of `limit` or `cursor`, or a failure of the store.
pub fn list(
    store: &mut dyn Store,
    member: &Member,
    limit: u32,
    cursor: Option<&str>,
) -> Result<(Vec<Leak>, Option<String>), OperationError> {
    check_limit(limit, LARGEST_PAGE)?;
    let rows = store.query(
        "SELECT position, id, source, received_at, found_at, note FROM leaks WHERE position < ?
             AND (? OR EXISTS (SELECT 1 FROM leak_items WHERE leak = position AND (? AND environment = 'live'
                 OR ? AND environment = 'test')))
         ORDER BY position DESC LIMIT ?",
        &[
            Value::Integer(start(cursor)?),
            Value::Integer(member.environments.is_none().into()),
            Value::Integer(member.sees(Environment::Live).into()),
            Value::Integer(member.sees(Environment::Test).into()),
            Value::Integer(i64::from(limit).saturating_add(1)),
        ],
    )?;
    let page = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut leaks, mut items, mut next_cursor) = (Vec::new(), 0_usize, None);
    for (number, row) in (1_usize..).zip(rows.iter().take(page)) {
        let leak = leak(store, member, row)?;
        items = items.saturating_add(leak.items.len());
        leaks.push(leak);
        if rows.len() > number && (number == page || items >= MAX_LEAKED_KEYS) {
            next_cursor = Some(write_cursor(row.integer("position")?));
            break;
        }
    }
    Ok((leaks, next_cursor))
}

/// Returns a report, if it contains a key that `member` may see.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn find(store: &mut dyn Store, member: &Member, id: &str) -> Result<Option<Leak>, StoreError> {
    let rows = store
        .query("SELECT position, id, source, received_at, found_at, note FROM leaks WHERE id = ?", &[id.into()])?;
    let found = rows.first().map(|row| leak(store, member, row)).transpose()?;
    Ok(found.filter(|leak| !leak.items.is_empty()))
}

fn leak(store: &mut dyn Store, member: &Member, row: &Row) -> Result<Leak, StoreError> {
    let rows = store.query(
        "SELECT key_id, integration, owner, environment, scopes, place, was_active, revoked_at, last_used_before
         FROM leak_items WHERE leak = ? ORDER BY number",
        &[row.value("position")?.clone()],
    )?;
    let mut items = rows.iter().map(item).collect::<Result<Vec<_>, _>>()?;
    items.retain(|item| match item.environment {
        Some(environment) => member.sees(environment),
        None => member.environments.is_none(),
    });
    Ok(Leak {
        id: row.text("id")?.to_owned(),
        source: row.parsed("source", LeakSource::parse)?,
        received_at: row.millis("received_at")?,
        found_at: row.optional_millis("found_at")?,
        note: row.optional_text("note")?.map(str::to_owned),
        items,
    })
}

fn item(row: &Row) -> Result<LeakItem, StoreError> {
    Ok(LeakItem {
        key_id: row.parsed("key_id", KeyId::parse)?,
        integration: row.optional_text("integration")?.map(str::to_owned),
        owner: row.text("owner")?.to_owned(),
        environment: row.optional_parsed("environment", Environment::parse)?,
        scopes: row.parsed("scopes", |text| serde_json::from_str(text).ok())?,
        place: row.optional_text("place")?.map(str::to_owned),
        was_active: row.count("was_active")? != 0,
        revoked_at: row.optional_millis("revoked_at")?,
        last_used_before: row.optional_millis("last_used_before")?,
    })
}
