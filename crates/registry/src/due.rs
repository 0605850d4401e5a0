//! Work that falls due at a time that the tables hold, such as the end of a claim. The object's alarm does it.
//!
//! Each kind of work is one [`DueWork`] in the list [`WORK`]. The tables alone say what is due, so nothing is lost with an instance of
//! the object, and nothing has to be cancelled: a row that no longer needs the work is no longer found.

use super::claims;
use super::idle;
use super::notices;
use super::quarantine;
use super::store::{Store, StoreError};
use keyward_key::time::Millis;

/// One kind of due work.
#[derive(Clone, Copy)]
pub struct DueWork {
    /// Name in the log.
    pub name: &'static str,
    /// Returns the earliest time at which an item falls due, `None` if there is no item. Reads one entry of an index.
    pub next: fn(&mut dyn Store) -> Result<Option<Millis>, StoreError>,
    /// Does at least one and at most [`BATCH`] of the items that are due at this time, within the caller's transaction. Items that
    /// are done must no longer be found by `next`.
    pub run: fn(&mut dyn Store, Millis) -> Result<(), StoreError>,
}

/// Maximum number of items that one transaction does. The alarm returns for the rest.
pub const BATCH: u32 = 100;

/// Every kind of due work.
pub const WORK: &[DueWork] = &[quarantine::END, claims::END, idle::CHECK, notices::END];

impl DueWork {
    /// Does a batch of what is due at `now`, in one transaction. Only reads if nothing is due.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails. Nothing was done, unless only the confirmation of the commit was lost.
    pub fn run_if_due(&self, store: &mut dyn Store, now: Millis) -> Result<(), StoreError> {
        match (self.next)(store)? {
            Some(due_at) if due_at <= now => store.transaction(&mut |store| (self.run)(store, now)),
            _ => Ok(()),
        }
    }
}

/// Returns the earliest time at which any work falls due.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn earliest(store: &mut dyn Store, work: &[DueWork]) -> Result<Option<Millis>, StoreError> {
    let mut earliest: Option<Millis> = None;
    for work in work {
        if let Some(due_at) = (work.next)(store)? {
            earliest = Some(earliest.map_or(due_at, |earliest| earliest.min(due_at)));
        }
    }
    Ok(earliest)
}
