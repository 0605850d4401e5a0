//! An isolate that holds leases of a group.

use keyward_key::time::Millis;
use keyward_protocol::lease::{LEASE_MS, Returned};

use super::Instant;

/// Maximum number of leases of a holder that can still be returned. Older ones count as spent.
const OPEN_LEASES: usize = 4;

/// Units that were granted at one time.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    number: u64,
    /// Granted units.
    pub units: u64,
    /// Time of the grant.
    pub granted: Instant,
}

/// An isolate that asked for units of a group.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Number of the isolate; `None` for isolates that a previous instance of the object knew.
    pub isolate: Option<u64>,
    leases: Vec<Lease>,
    /// Time of the last query.
    pub contact: Instant,
    /// Time in milliseconds for which it may continue without an answer.
    pub grace_ms: i64,
    /// Units of the outage reserve that the last answer gave it in all, and how many of them it reported as spent.
    given: u64,
    spent: u64,
    /// Most units that any answer gave it which it may still go by.
    known: u64,
    /// Time of its latest query by its own clock.
    asked_at: Option<Millis>,
    /// Time until which it counts as competing for units.
    pub active_until: i64,
    /// Whether its last query was not granted in full.
    pub is_short: bool,
    /// Units granted to it, in thousandths, decayed over the life of a window.
    taken: u64,
}

impl Holder {
    /// Creates a holder without leases.
    #[must_use]
    pub const fn new(isolate: Option<u64>, contact: Instant, grace_ms: i64) -> Self {
        let active_until = contact.now;
        Self {
            isolate,
            leases: Vec::new(),
            contact,
            grace_ms,
            given: 0,
            spent: 0,
            known: 0,
            asked_at: None,
            active_until,
            is_short: false,
            taken: 0,
        }
    }

    /// Returns what it got lately, to compare with other isolates.
    #[must_use]
    pub fn taken(&self, now: i64, life_ms: i64) -> u64 {
        let left_ms = life_ms.saturating_sub(now.saturating_sub(self.contact.now)).clamp(0, life_ms);
        let part = self.taken.saturating_mul(left_ms.unsigned_abs()).checked_div(life_ms.unsigned_abs());
        part.unwrap_or_default()
    }

    /// Records a contact.
    pub fn contacted(&mut self, at: Instant, life_ms: i64) {
        self.taken = self.taken(at.now, life_ms);
        self.contact = at;
    }

    /// Records a lease.
    pub fn hold(&mut self, number: u64, units: u64, granted: Instant) {
        self.taken = self.taken.saturating_add(units.saturating_mul(1_000));
        if self.leases.len() >= OPEN_LEASES {
            self.leases.remove(0);
        }
        self.leases.push(Lease { number, units, granted });
    }

    /// Takes a lease back. Returns the time of its grant and the unspent units; `None` if it is unknown or was returned before.
    pub fn take_back(&mut self, returned: Returned) -> Option<(Instant, u64)> {
        let position = self.leases.iter().position(|lease| lease.number == returned.lease)?;
        let lease = if keyward_fault::fault!("a lease is returned twice") {
            *self.leases.get(position)?
        } else {
            self.leases.remove(position)
        };
        Some((lease.granted, returned.units.min(lease.units)))
    }

    /// Creates the holder of a reserve that isolates got from a previous instance of the object.
    #[must_use]
    pub const fn of_previous(reserve: u64, contact: Instant, grace_ms: i64) -> Self {
        let mut holder = Self::new(None, contact, grace_ms);
        (holder.given, holder.known) = (reserve, reserve);
        holder
    }

    /// Gives it more of the reserve. Returns the units given to it in all.
    pub fn give(&mut self, units: u64) -> u64 {
        self.given = self.given.saturating_add(units);
        self.known = self.known.max(self.given);
        self.given
    }

    /// Takes back what exceeds `most` unspent units. They count until the isolate confirms that it knows.
    pub fn lower(&mut self, most: u64) {
        self.given = self.given.min(self.spent.saturating_add(most));
    }

    /// Records a query, by the isolate's own clock. Returns whether it is the latest: an earlier one that arrives late says nothing of the
    /// reserve that is still true.
    pub fn asked(&mut self, at: Millis) -> bool {
        let is_latest = self.asked_at.is_none_or(|latest| at > latest);
        if is_latest {
            self.asked_at = Some(at);
        }
        is_latest
    }

    /// Records which reserve it knew of when it asked for the last time, and how much of it was spent. Returns the units that were spent and
    /// not known to be.
    pub fn report(&mut self, known: u64, spent: u64) -> u64 {
        let new = self.report_spent(spent);
        // The answer to this query names what is given now.
        self.known = self.known.min(known.max(self.given));
        new
    }

    /// Records that the isolate no longer knows of its reserve. Whatever it had counts as spent. Returns these units.
    pub fn forget(&mut self) -> u64 {
        let spent = self.outstanding();
        (self.given, self.spent, self.known) = (0, 0, 0);
        spent
    }

    /// Returns the units given to it in all.
    #[must_use]
    pub const fn given(&self) -> u64 {
        self.given
    }

    /// Records the units of the reserve that it has spent. Returns those that were not known before.
    fn report_spent(&mut self, spent: u64) -> u64 {
        let spent = spent.clamp(self.spent, self.known.max(self.spent));
        let new = spent.saturating_sub(self.spent);
        self.spent = spent;
        new
    }

    /// Returns the units of the reserve that it may still spend.
    #[must_use]
    pub const fn outstanding(&self) -> u64 {
        self.known.saturating_sub(self.spent)
    }

    /// Returns the time after which it spends no more of the reserve, measured from its last query.
    #[must_use]
    pub const fn reserve_ends_after_ms(&self) -> i64 {
        LEASE_MS.saturating_add(self.grace_ms)
    }
}
