//! The arrival of a report: it is kept once, and added up later with others (`waiting`).

use keyward_fault::fault;
use keyward_key::time::Millis;
use keyward_protocol::usage::{KeyUsage, UsageReport, UseCount};
use keyward_store::{Store, StoreError, Value};

use super::waiting;

/// Time in milliseconds for which an object remembers the last report of an isolate. An isolate gives a report up much earlier.
pub const ISOLATE_MS: i64 = 86_400_000;

/// Result of [`keep`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The report will be counted.
    Counts,
    /// It was kept before.
    Repeated,
    /// It may have been counted before, so only its times will be used: the object no longer knows the isolate.
    TimesOnly,
}

/// Keeps a report that arrived at `now`, in one transaction of two rows.
///
/// # Errors
/// [`StoreError`] if the store failed: nothing changed, unless only the confirmation of the commit was lost. The isolate sends the
/// report again in both cases.
pub fn keep(store: &mut dyn Store, report: &UsageReport, now: Millis) -> Result<Kept, StoreError> {
    let mut kept = Kept::Repeated;
    store.transaction(&mut |store| {
        kept = admit(store, report, now)?;
        match kept {
            Kept::Repeated => Ok(()),
            Kept::TimesOnly => waiting::store(store, &without_counts(report), now),
            Kept::Counts => waiting::store(store, report, now),
        }
    })?;
    Ok(kept)
}

/// Decides whether a report counts, and records its number. An isolate sends its reports to a shard one after the other.
fn admit(store: &mut dyn Store, report: &UsageReport, now: Millis) -> Result<Kept, StoreError> {
    let name = Value::from(report.isolate.as_str());
    let rows = store.query("SELECT sequence FROM isolates WHERE name = ?", std::slice::from_ref(&name))?;
    let known = rows.first().map(|row| row.count("sequence")).transpose()?;
    let kept = match known {
        Some(known) if report.sequence <= known && !fault!("a repeated usage report counts again") => Kept::Repeated,
        // The row was removed, or the object was restored from a backup.
        None if report.sequence > 1 => Kept::TimesOnly,
        _ => Kept::Counts,
    };
    if kept != Kept::Repeated {
        store.execute(
            "INSERT INTO isolates (name, sequence, seen_at) VALUES (?, ?, ?)
             ON CONFLICT (name) DO UPDATE SET sequence = excluded.sequence, seen_at = excluded.seen_at",
            &[name, Value::count(report.sequence)?, now.into()],
        )?;
    }
    Ok(kept)
}

/// Returns a report that says when its keys were used and what for, and counts nothing.
fn without_counts(report: &UsageReport) -> UsageReport {
    let uses = |key: &KeyUsage| key.uses.iter().map(|used| UseCount { count: 0, ..used.clone() }).collect();
    let keys = report.keys.iter().map(|key| KeyUsage { uses: uses(key), ..key.clone() }).collect();
    UsageReport { keys, metrics: None, ..report.clone() }
}
