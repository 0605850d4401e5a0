//! State of one isolate.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::HashMap;

use super::exposures::ExposureLog;
use super::lookup_queue::{LookupQueue, LookupSizes};
use super::platform::Platform;
use super::usage::UsageCounter;
use keyward_gate::{Gate, GateSizes};
use keyward_key::id::KeyId;
use keyward_key::time::Millis;

/// Age, in milliseconds, after which a lookup counts as cancelled with its request, so that waiters stop waiting for it. Exceeds the
/// sum of all time limits of one lookup.
const ABANDONED_AFTER_MS: i64 = 6_000;

/// Number of lookups in flight up to which abandoned ones are kept.
const SWEEP_ABOVE: usize = 64;

/// Subject of a lookup.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LookupKey {
    /// The authority's latest changes.
    Changes,
    /// The record of a key.
    Record(KeyId),
    /// The authority's answer about a caller of the control plane or about a gateway. The control plane chooses the name.
    Caller(String),
    /// Units of limited keys, from the object of this number.
    Lease(u32),
}

/// State of one isolate: the gate and the lookups in flight.
pub struct Isolate {
    /// Borrowed for one step at a time, never across an await.
    gate: RefCell<Gate>,
    /// Lookups in flight, each with the time of its last progress.
    in_flight: RefCell<HashMap<LookupKey, Millis>>,
    /// Number of these lookups above which the abandoned ones are removed.
    sweep_above: Cell<usize>,
    /// Keys that wait for the authority. Borrowed like the gate.
    lookups: RefCell<LookupQueue>,
    /// Counts of requests. Borrowed like the gate.
    usage: RefCell<UsageCounter>,
    /// Exposed keys that were reported. Borrowed like the gate.
    exposures: RefCell<ExposureLog>,
    /// Random number below 2^48 that names this isolate to the objects; `None` before its first use.
    number: Cell<Option<u64>>,
}

impl Isolate {
    /// Creates an isolate with an empty gate; `jitter` is a random byte.
    #[must_use]
    pub fn new(gate: GateSizes, lookups: LookupSizes, jitter: u8) -> Self {
        Self {
            gate: RefCell::new(Gate::new(gate, jitter)),
            in_flight: RefCell::default(),
            sweep_above: Cell::new(SWEEP_ABOVE),
            lookups: RefCell::new(LookupQueue::new(lookups)),
            usage: RefCell::new(UsageCounter::new(jitter)),
            exposures: RefCell::default(),
            number: Cell::new(None),
        }
    }

    /// Borrows the gate for one step. `None` while another step runs, which no caller can observe.
    pub fn gate(&self) -> Option<RefMut<'_, Gate>> {
        self.gate.try_borrow_mut().ok()
    }

    /// Returns the random number that names this isolate to the objects.
    pub(super) fn number(&self, platform: &impl Platform) -> u64 {
        let number = self
            .number
            .get()
            .unwrap_or_else(|| (0..6).fold(0_u64, |number, _| number.wrapping_shl(8) | u64::from(platform.jitter())));
        self.number.set(Some(number));
        number
    }

    /// Borrows the keys that wait for the authority.
    pub(super) fn lookups(&self) -> Option<RefMut<'_, LookupQueue>> {
        self.lookups.try_borrow_mut().ok()
    }

    /// Borrows the counts of requests.
    pub fn usage(&self) -> Option<RefMut<'_, UsageCounter>> {
        self.usage.try_borrow_mut().ok()
    }

    /// Records that the authority did not answer.
    pub(super) fn authority_failed(&self, now: Millis) {
        if let Some(mut gate) = self.gate() {
            gate.record_failure(now);
        }
        if let Some(mut usage) = self.usage() {
            usage.metrics.authority_failed(now);
        }
    }

    /// Borrows the exposed keys that were reported.
    pub(super) fn exposures(&self) -> Option<RefMut<'_, ExposureLog>> {
        self.exposures.try_borrow_mut().ok()
    }

    /// Starts a lookup; `false` if one with this key is in flight.
    pub(super) fn try_start(&self, key: &LookupKey, now: Millis) -> bool {
        if self.is_in_flight(key, now) {
            return false;
        }
        if let Ok(mut in_flight) = self.in_flight.try_borrow_mut() {
            in_flight.insert(key.clone(), now);
            // The threshold doubles with the lookups in flight, so a start costs a constant on average.
            if in_flight.len() > self.sweep_above.get() {
                in_flight.retain(|_, touched_at| is_recent(*touched_at, now));
                self.sweep_above.set(in_flight.len().saturating_mul(2).max(SWEEP_ABOVE));
            }
        }
        true
    }

    /// Records progress of a lookup that needs several queries, so that it is not taken for abandoned.
    pub(super) fn touch(&self, key: &LookupKey, now: Millis) {
        if let Ok(mut in_flight) = self.in_flight.try_borrow_mut()
            && let Some(touched_at) = in_flight.get_mut(key)
        {
            *touched_at = now;
        }
    }

    /// Ends a lookup.
    pub fn finish(&self, key: &LookupKey) {
        if let Ok(mut in_flight) = self.in_flight.try_borrow_mut() {
            in_flight.remove(key);
        }
    }

    /// Returns whether a lookup with this key is in flight and not abandoned.
    pub(super) fn is_in_flight(&self, key: &LookupKey, now: Millis) -> bool {
        let Ok(in_flight) = self.in_flight.try_borrow() else { return false };
        in_flight.get(key).is_some_and(|touched_at| is_recent(*touched_at, now))
    }
}

fn is_recent(touched_at: Millis, now: Millis) -> bool {
    (0..ABANDONED_AFTER_MS).contains(&now.since(touched_at))
}
