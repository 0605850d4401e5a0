//! Removal of rows that are past their retention: minutes after 3 hours, hours after 35 days, days after 400 days.

use keyward_key::time::Millis;
use keyward_protocol::usage::{Step, minute_of};
use keyward_store::{Store, StoreError, Value};

use super::names::recount;
use super::report::ISOLATE_MS;

/// Maximum number of steps that one run removes from each table, so that an object that slept for weeks is not busy for seconds.
const STEPS_A_RUN: u32 = 30;

/// Days for which the caps remember what a key was seen with. Two, because an isolate's clock may be behind.
const SEEN_DAYS: i64 = 2;

/// Removes old rows at `now`, in one transaction.
///
/// # Errors
/// [`StoreError`] if the store fails. Nothing was removed.
pub fn remove_old(store: &mut dyn Store, now: Millis) -> Result<(), StoreError> {
    let minute = minute_of(now);
    let first_kept =
        |step: Step| Value::Integer(step.of_minute(minute.saturating_sub(step.kept_minutes())).saturating_add(1));
    let today = Step::Day.of_minute(minute);
    store.transaction(&mut |store| {
        remove_steps(store, &OLD_MINUTES, &first_kept(Step::Minute))?;
        remove_steps(store, &OLD_HOURS, &first_kept(Step::Hour))?;
        remove_steps(store, &OLD_DAYS, &first_kept(Step::Day))?;
        let before = |days: i64| Value::Integer(today.saturating_sub(days));
        store.execute("DELETE FROM seen WHERE day < ?", &[before(SEEN_DAYS)])?;
        // A source is newer than the newest hour that names it, or of the same day.
        let old_sources = before(Step::Hour.kept_minutes().div_euclid(Step::Day.minutes()).saturating_add(1));
        if !store.query("SELECT number FROM sources WHERE day < ? LIMIT 1", &[old_sources.clone()])?.is_empty() {
            store.execute("DELETE FROM sources WHERE day < ?", &[old_sources])?;
            recount(store)?;
        }
        let old_keys = Millis(Step::Day.start(today.saturating_sub(Step::Day.kept_minutes() / Step::Day.minutes())).0);
        store.execute("DELETE FROM keys WHERE last_at < ? AND last_at <= told_at", &[old_keys.into()])?;
        let old_isolates = Millis(now.0.saturating_sub(ISOLATE_MS));
        store.execute("DELETE FROM isolates WHERE seen_at < ?", &[old_isolates.into()])
    })
}

/// Statements that find the oldest step of a table, and remove it.
struct Removal {
    find: &'static str,
    remove: &'static str,
}

macro_rules! removal {
    ($table:literal) => {
        Removal {
            find: concat!("SELECT min(at) AS at FROM ", $table),
            remove: concat!("DELETE FROM ", $table, " WHERE at = ?"),
        }
    };
}

const OLD_MINUTES: Removal = removal!("minutes");
const OLD_HOURS: Removal = removal!("hours");
const OLD_DAYS: Removal = removal!("days");

fn remove_steps(store: &mut dyn Store, removal: &Removal, first_kept: &Value) -> Result<(), StoreError> {
    for _ in 0..STEPS_A_RUN {
        let rows = store.query(removal.find, &[])?;
        let oldest = rows.first().map_or(Ok(None), |row| row.optional_integer("at"))?;
        match (oldest, first_kept) {
            (Some(oldest), Value::Integer(first_kept)) if oldest < *first_kept => {
                store.execute(removal.remove, &[Value::Integer(oldest)])?;
            }
            _ => break,
        }
    }
    Ok(())
}
