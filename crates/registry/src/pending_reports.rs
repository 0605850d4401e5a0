//! GitHub's leak reports whose signature could not be verified yet, because its list of keys was not available. Each is kept sealed, and
//! judged by the object's alarm once the list is back.
//!
//! Only a report with a text of a right tag gets here, so a stranger without a key cannot fill the table.

use super::store::{Row, Store, StoreError};
use keyward_key::time::Millis;
use keyward_key::version;
use keyward_protocol::{PendingReport, Response};

/// Maximum number of reports that wait. More are not stored: their sender was answered 503 and sends them again.
const MOST_REPORTS: u64 = 100;
/// Time for which a report waits, in milliseconds: one day.
pub const KEPT_MS: i64 = 86_400_000;
/// Maximum length of a sealed body: base64 of the largest body of a report, with the nonce and the tag. A row of the store has 2 MB at most.
const MOST_SEALED_BYTES: usize = 1_400_000;

/// Stores a report. One that is stored already, that is too long, or that is one too many is not. The answer is the same.
///
/// # Errors
/// [`StoreError`] when the store fails: nothing was done.
pub fn keep(store: &mut dyn Store, report: &PendingReport, now: Millis) -> Result<Response, StoreError> {
    let rows = store.query(
        "SELECT count(*) AS reports, ifnull(max(digest = ?), 0) AS is_known FROM pending_reports",
        &[report.digest.as_str().into()],
    )?;
    let row = rows.first().ok_or_else(|| StoreError::new("a count has no row"))?;
    if row.count("is_known")? != 0 || row.count("reports")? >= MOST_REPORTS || report.sealed.len() > MOST_SEALED_BYTES {
        return Ok(Response::Reported);
    }
    let text = serde_json::to_string(report).map_err(|error| StoreError::new(error.to_string()))?;
    store.execute(
        "INSERT INTO pending_reports (digest, received_at, report) VALUES (?, ?, ?)",
        &[report.digest.as_str().into(), now.into(), text.into()],
    )?;
    Ok(Response::Reported)
}

/// Name and time of arrival of a report that waits.
pub struct Waiting {
    /// Its digest.
    pub digest: String,
    /// Time of its arrival.
    pub received_at: Millis,
}

/// Returns the oldest report that waits.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn oldest(store: &mut dyn Store) -> Result<Option<Waiting>, StoreError> {
    let rows =
        store.query("SELECT digest, received_at FROM pending_reports ORDER BY received_at, digest LIMIT 1", &[])?;
    let waiting =
        |row: &Row| Ok(Waiting { digest: row.text("digest")?.to_owned(), received_at: row.millis("received_at")? });
    rows.first().map(waiting).transpose()
}

/// Returns the report with this digest. `None` if its row cannot be read, so that it does not delay the others.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn find(store: &mut dyn Store, digest: &str) -> Result<Option<PendingReport>, StoreError> {
    let rows = store.query("SELECT report FROM pending_reports WHERE digest = ?", &[digest.into()])?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(version::read(row.text("report")?).ok())
}

/// Deletes a report that was judged or has waited too long.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn delete(store: &mut dyn Store, digest: &str) -> Result<(), StoreError> {
    store.execute("DELETE FROM pending_reports WHERE digest = ?", &[digest.into()])
}

/// Returns whether any report waits.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn is_any(store: &mut dyn Store) -> Result<bool, StoreError> {
    Ok(!store.query("SELECT 1 AS one FROM pending_reports LIMIT 1", &[])?.is_empty())
}
