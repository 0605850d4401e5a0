//! Audit entries, and so events, about the end of a key's life: 30, 7 and 1 days before, and at the end.
//!
//! Each kind of notice has a watermark: the end and position of the last key that it handled, in the order of ends. So each key gets each
//! notice once for each end, also after the object was unreachable for days. A key that had less time left when it was issued gets no such
//! notice, and neither does a retiring key, whose end its rotation has told.

use super::context::record_own;
use super::due::{BATCH, DueWork};
use super::keys::select_keys;
use super::meta;
use super::store::{Row, Store, StoreError, Value};
use keyward_key::id::KeyId;
use keyward_key::time::Millis;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// One kind of notice.
struct Notice {
    /// Name in `meta` of the watermark.
    name: &'static str,
    /// Days before the end; 0 at the end.
    days: i64,
}

const NOTICES: &[Notice] = &[
    Notice { name: "notice_30", days: 30 },
    Notice { name: "notice_7", days: 7 },
    Notice { name: "notice_1", days: 1 },
    Notice { name: "notice_0", days: 0 },
];

/// The due work that writes notices.
pub const END: DueWork = DueWork { name: "notify_of_ends", next: next_due, run };

/// End and position of the last key that a notice handled.
#[derive(Clone, Copy)]
struct Watermark {
    end: Millis,
    position: i64,
}

impl Notice {
    const fn before_ms(&self) -> i64 {
        self.days.saturating_mul(DAY_MS)
    }

    /// Returns the watermark; `None` before [`begin`].
    fn watermark(&self, store: &mut dyn Store) -> Result<Option<Watermark>, StoreError> {
        let Some(text) = meta::read(store, self.name)? else { return Ok(None) };
        let parse = |text: &str| {
            let (end, position) = text.split_once(':')?;
            Some(Watermark { end: Millis(end.parse().ok()?), position: position.parse().ok()? })
        };
        parse(&text).map(Some).ok_or_else(|| StoreError::corrupt("value", "a watermark"))
    }

    fn set_watermark(&self, store: &mut dyn Store, end: Millis, position: i64) -> Result<(), StoreError> {
        meta::write(store, self.name, format!("{}:{position}", end.0))
    }

    /// Returns the time of the next notice.
    fn next(&self, store: &mut dyn Store) -> Result<Option<Millis>, StoreError> {
        let Some(Watermark { end, position }) = self.watermark(store)? else { return Ok(None) };
        let rows = store.query(
            "SELECT expires_at FROM keys INDEXED BY keys_ending
             WHERE state NOT IN ('revoked', 'pending') AND (expires_at, position) > (?, ?)
             ORDER BY expires_at, position LIMIT 1",
            &[end.into(), Value::Integer(position)],
        )?;
        let end = rows.first().map(|row| row.millis("expires_at")).transpose()?;
        Ok(end.map(|end| Millis(end.0.saturating_sub(self.before_ms()))))
    }

    /// Writes at most [`BATCH`] notices that are due. Returns whether it handled any key.
    fn run(&self, store: &mut dyn Store, now: Millis) -> Result<bool, StoreError> {
        let Some(Watermark { end, position }) = self.watermark(store)? else { return Ok(false) };
        let until = Millis(now.0.saturating_add(self.before_ms()));
        let rows = store.query(
            select_keys!(
                "INDEXED BY keys_ending WHERE state NOT IN ('revoked', 'pending') \
                 AND (expires_at, position) > (?, ?) AND expires_at <= ? ORDER BY expires_at, position LIMIT ?"
            ),
            &[end.into(), Value::Integer(position), until.into(), Value::Integer(BATCH.into())],
        )?;
        for row in &rows {
            self.notify(store, row, now)?;
        }
        if let Some(last) = rows.last() {
            self.set_watermark(store, last.millis("expires_at")?, last.integer("position")?)?;
        }
        Ok(!rows.is_empty())
    }

    fn notify(&self, store: &mut dyn Store, row: &Row, now: Millis) -> Result<(), StoreError> {
        let id = row.parsed("id", KeyId::parse)?;
        let ends_at = row.millis("expires_at")?;
        if self.days == 0 {
            meta::next_revision(store)?;
            return record_own(store, now, "key.end", &id, vec![("expires_at", ends_at.rfc3339().into())]);
        }
        let is_retiring = row.optional_text("successor")?.is_some();
        let had_less = ends_at.since(row.millis("created_at")?) <= self.before_ms();
        if is_retiring || had_less {
            return Ok(());
        }
        meta::next_revision(store)?;
        let detail = vec![("days", self.days.into()), ("expires_at", ends_at.rfc3339().into())];
        record_own(store, now, "key.end_near", &id, detail)
    }
}

/// Sets the watermarks of a registry that has none, so that keys which ended before cause no notices. The object calls this at each start.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn begin(store: &mut dyn Store, now: Millis) -> Result<(), StoreError> {
    for notice in NOTICES {
        if notice.watermark(store)?.is_none() {
            notice.set_watermark(store, Millis(now.0.saturating_add(notice.before_ms())), 0)?;
        }
    }
    Ok(())
}

fn next_due(store: &mut dyn Store) -> Result<Option<Millis>, StoreError> {
    let mut earliest: Option<Millis> = None;
    for notice in NOTICES {
        if let Some(due_at) = notice.next(store)? {
            earliest = Some(earliest.map_or(due_at, |earliest| earliest.min(due_at)));
        }
    }
    Ok(earliest)
}

/// Does one batch of the first notice that has keys to handle.
fn run(store: &mut dyn Store, now: Millis) -> Result<(), StoreError> {
    for notice in NOTICES {
        if notice.run(store, now)? {
            return Ok(());
        }
    }
    Ok(())
}
