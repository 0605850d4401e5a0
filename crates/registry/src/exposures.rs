//! Exposures: requests that showed a key to others, in a URL, from a browser page or over plain HTTP. The gate refuses such a request and
//! reports it.
//!
//! A report has an effect only if the hash in it is that of the stored key or credential, so nobody can report what they do not hold. Each
//! subject, kind and hour has one row and one audit entry, however often it is reported.

use super::audit::{self, AuditDetail, Change};
use super::context::{OWN_ACTOR, OperationError};
use super::keys;
use super::members;
use super::meta;
use super::page::{LARGEST_PAGE, check_limit, start, write_cursor};
use super::quarantine;
use super::store::{Row, Store, StoreError, Value};
use keyward_key::exposure::{ExposureAction, ExposureKind, OnExposure};
use keyward_key::id::{Class, KeyId};
use keyward_key::time::Millis;
use keyward_protocol::{ExposureReport, MAX_EXPOSED_KEYS, RequestMeta, Response, Status, SubmittedHash};

/// Time within which the same exposure is recorded once, in milliseconds.
const HOUR_MS: i64 = 3_600_000;

/// Maximum number of exposures that are kept for one key or member. The oldest are deleted first; the audit log keeps them all.
pub const KEPT_EXPOSURES: u32 = 500;

/// Records the exposures in a report and takes the action that the setting names, in one transaction. A report about an unknown, revoked or expired key, or with the wrong secret, has
/// no effect; the answer is the same.
///
/// # Errors
/// [`StoreError`] when the store fails: nothing was recorded.
pub fn record(
    store: &mut dyn Store,
    report: &ExposureReport,
    on_exposure: OnExposure,
    now: Millis,
) -> Result<Response, StoreError> {
    let mut genuine = Vec::new();
    for key in report.keys.iter().take(MAX_EXPOSED_KEYS) {
        let subject = Subject::find(store, key, now)?;
        genuine.extend(subject.filter(|subject| genuine.iter().all(|known: &Subject| known.id != subject.id)));
    }
    if genuine.is_empty() {
        return Ok(Response::Reported);
    }
    let action = on_exposure.of(report.kind);
    store.transaction(&mut |store| {
        for subject in &genuine {
            subject.expose(store, report, now)?;
            subject.act(store, report, action, now)?;
        }
        Ok(())
    })?;
    Ok(Response::Reported)
}

/// A key or member's credential that is not final, presented with its right secret.
struct Subject {
    id: KeyId,
    /// State of a key; `None` for a member.
    key: Option<Status>,
    /// Time of the last dismissal of its exposures.
    dismissed_at: Option<Millis>,
}

impl Subject {
    /// Finds the subject of a submitted hash. `None` if there is nothing to protect: it is unknown, final, or the secret is wrong.
    fn find(store: &mut dyn Store, key: &SubmittedHash, now: Millis) -> Result<Option<Self>, StoreError> {
        if key.id.class() == Class::Member {
            let member = members::find(store, &key.id)?;
            let member =
                member.filter(|member| member.accepts(&key.key_hash, now) && member.status(now) == Status::Active);
            return Ok(member.map(|member| Self { id: member.id, key: None, dismissed_at: None }));
        }
        let Some(row) = keys::find(store, &key.id)? else { return Ok(None) };
        let Some(record) = keys::record(&row)? else { return Ok(None) };
        let status = keys::status(&row, now)?;
        if matches!(status, Status::Expired | Status::Revoked) || !record.key_hash.matches(&key.key_hash) {
            return Ok(None);
        }
        let dismissed_at = row.optional_millis("exposure_dismissed_at")?;
        Ok(Some(Self { id: key.id.clone(), key: Some(status), dismissed_at }))
    }

    fn expose(&self, store: &mut dyn Store, report: &ExposureReport, now: Millis) -> Result<(), StoreError> {
        if self.is_recorded(store, report.kind, now)? {
            return Ok(());
        }
        let revision = meta::next_revision(store)?;
        let route = report.route.as_deref();
        store.execute(
            "INSERT INTO exposures (position, subject, kind, at, route, network) VALUES (?, ?, ?, ?, ?, ?)",
            &[
                Value::count(revision)?,
                self.id.as_str().into(),
                report.kind.as_str().into(),
                now.into(),
                route.into(),
                report.network.as_deref().into(),
            ],
        )?;
        if self.key.is_some() {
            store.execute(
                "UPDATE keys SET exposed_at = ? WHERE id = ? AND exposed_at IS NULL",
                &[now.into(), self.id.as_str().into()],
            )?;
        }
        self.prune(store)?;
        let action = if self.key.is_some() { "key.expose" } else { "member.expose" };
        self.log(store, report, action, now)
    }

    /// Takes the action that `ON_EXPOSURE` names. Not only for the first exposure of an hour: a key may have been released since.
    fn act(
        &self,
        store: &mut dyn Store,
        report: &ExposureReport,
        action: ExposureAction,
        now: Millis,
    ) -> Result<(), StoreError> {
        match (action, self.key) {
            (ExposureAction::Quarantine, Some(Status::Active | Status::Retiring)) => {
                quarantine::impose(store, &self.id, now)?;
                self.log(store, report, "key.quarantine", now)
            }
            (ExposureAction::Revoke, Some(_)) => {
                let reason = match report.kind {
                    ExposureKind::Url => "Exposed in a URL",
                    ExposureKind::Browser => "Exposed by a browser page",
                    ExposureKind::Http => "Exposed over plain HTTP",
                };
                keys::mark_revoked(store, &self.id, OWN_ACTOR, reason, now)?;
                append(store, report, ("key.revoke", &self.id), vec![("reason", reason.into())], now)
            }
            _ => Ok(()),
        }
    }

    /// Appends an audit entry about the exposure.
    fn log(
        &self,
        store: &mut dyn Store,
        report: &ExposureReport,
        action: &'static str,
        now: Millis,
    ) -> Result<(), StoreError> {
        let detail = vec![
            ("kind", report.kind.as_str().into()),
            ("route", report.route.as_deref().into()),
            ("network", report.network.as_deref().into()),
        ];
        append(store, report, (action, &self.id), detail, now)
    }

    /// Returns whether this hour has a row for the exposure, made after the last dismissal.
    fn is_recorded(&self, store: &mut dyn Store, kind: ExposureKind, now: Millis) -> Result<bool, StoreError> {
        let hour = Millis(now.0.saturating_sub(now.0.rem_euclid(HOUR_MS)));
        let since = self.dismissed_at.map_or(hour, |dismissed_at| hour.max(dismissed_at));
        let rows = store.query(
            "SELECT position FROM exposures INDEXED BY exposures_by_kind
             WHERE subject = ? AND kind = ? AND at >= ? LIMIT 1",
            &[self.id.as_str().into(), kind.as_str().into(), since.into()],
        )?;
        Ok(!rows.is_empty())
    }

    /// Deletes the oldest rows beyond [`KEPT_EXPOSURES`].
    fn prune(&self, store: &mut dyn Store) -> Result<(), StoreError> {
        store.execute(
            "DELETE FROM exposures WHERE subject = ? AND position <= (SELECT position FROM exposures
                 INDEXED BY exposures_by_subject WHERE subject = ? ORDER BY position DESC LIMIT 1 OFFSET ?)",
            &[self.id.as_str().into(), self.id.as_str().into(), Value::Integer(KEPT_EXPOSURES.into())],
        )
    }
}

/// Appends an audit entry. The client's address is not in it: the client may be any visitor of a page.
fn append(
    store: &mut dyn Store,
    report: &ExposureReport,
    (action, subject): (&'static str, &KeyId),
    detail: AuditDetail,
    now: Millis,
) -> Result<(), StoreError> {
    let meta = RequestMeta { request_id: report.request_id.clone(), client_address: None };
    let request = Some(&meta);
    let change = Change { at: now, actor: OWN_ACTOR, action, subject: subject.as_str(), request, detail };
    audit::append(store, change)
}

/// An exposure as responses show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// How the key was exposed.
    pub kind: ExposureKind,
    /// Time of the report.
    pub at: Millis,
    /// `match` of the route.
    pub route: Option<String>,
    /// Network of the client.
    pub network: Option<String>,
}

impl Exposure {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            kind: row.parsed("kind", ExposureKind::parse)?,
            at: row.millis("at")?,
            route: row.optional_text("route")?.map(str::to_owned),
            network: row.optional_text("network")?.map(str::to_owned),
        })
    }
}

/// Returns one page of the exposures of a key or member, newest first, and the cursor of the next page. Reads about as many rows as it shows.
///
/// # Errors
/// A refusal of `limit` or `cursor`, or a failure of the store.
pub fn list(
    store: &mut dyn Store,
    subject: &KeyId,
    limit: u32,
    cursor: Option<&str>,
) -> Result<(Vec<Exposure>, Option<String>), OperationError> {
    check_limit(limit, LARGEST_PAGE)?;
    let rows = store.query(
        "SELECT position, kind, at, route, network FROM exposures INDEXED BY exposures_by_subject
         WHERE subject = ? AND position < ? ORDER BY position DESC LIMIT ?",
        &[subject.as_str().into(), Value::Integer(start(cursor)?), Value::Integer(i64::from(limit).saturating_add(1))],
    )?;
    let page = usize::try_from(limit).unwrap_or(usize::MAX);
    let shown = rows.iter().take(page);
    let last = shown.clone().next_back().filter(|_| rows.len() > page);
    let next_cursor = last.map(|row| row.integer("position").map(write_cursor)).transpose()?;
    Ok((shown.map(Exposure::from_row).collect::<Result<_, _>>()?, next_cursor))
}

/// Dismisses the exposures of a key: they stay in the list, and the key counts as exposed only by later ones.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn dismiss(store: &mut dyn Store, id: &KeyId, now: Millis) -> Result<(), StoreError> {
    store.execute(
        "UPDATE keys SET exposed_at = NULL, exposure_dismissed_at = ? WHERE id = ?",
        &[now.into(), id.as_str().into()],
    )
}
