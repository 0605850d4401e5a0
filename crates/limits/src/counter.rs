//! What was granted under one limit, and what of it counts.

use keyward_key::limit::{Limit, Span};
use keyward_protocol::ANNOUNCE_INTERVAL_MS;
use keyward_protocol::lease::LEASE_MS;

use super::Instant;
use super::calendar::{Calendar, lease_range, range};
use super::group::MIN_RETRY_MS;
use super::holder::Holder;
use super::window::{Durations, Window};

/// What was granted under one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counted {
    /// In a sliding window.
    Window(Window),
    /// In calendar periods.
    Calendar(Calendar),
}

/// Counter of a limit. It belongs to the name, so a change of the numbers keeps what was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// The limit, as it was last applied.
    pub limit: Limit,
    /// What was granted.
    pub counted: Counted,
    /// Whether the limit applies. A removed one is kept for a while: versions of the configuration may alternate.
    pub applies: bool,
    /// Time at which an isolate was asked to announce that the limit is reached. Not stored: the registry announces nothing twice.
    pub announced_at: Option<i64>,
}

/// Minimum interval in milliseconds after which an isolate is asked again to announce that a limit is reached. It is a minute longer than
/// that of the registry, so that a message which was slow to arrive the last time does not make it ignore this one.
const ASK_INTERVAL_MS: i64 = ANNOUNCE_INTERVAL_MS + 60_000;

impl Counter {
    pub(crate) fn new(limit: Limit) -> Self {
        let counted = match limit.span() {
            Span::Seconds(_) => Counted::Window(Window::default()),
            Span::Period(_) => Counted::Calendar(Calendar::default()),
        };
        Self { limit, counted, applies: true, announced_at: None }
    }

    /// Applies another limit of the same name. A change between window and period starts a new count.
    pub(crate) fn follow(&mut self, limit: &Limit) {
        let same_kind = matches!((self.limit.span(), limit.span()), (Span::Seconds(_), Span::Seconds(_)))
            || matches!((self.limit.span(), limit.span()), (Span::Period(old), Span::Period(new)) if old == new);
        if !same_kind {
            *self = Self::new(limit.clone());
        }
        self.limit = limit.clone();
        self.applies = true;
    }

    pub(crate) fn expire(&mut self, now: i64) {
        if let (Counted::Window(window), Span::Seconds(seconds)) = (&mut self.counted, self.limit.span()) {
            window.expire(now, Durations::of(seconds).life_ms);
        }
    }

    /// Returns the units that count for a lease granted now.
    fn used(&self, at: Instant) -> u64 {
        match (&self.counted, self.limit.span()) {
            (Counted::Window(window), _) => window.counted(),
            (Counted::Calendar(calendar), Span::Period(period)) => calendar.counted(lease_range(period, at.utc)),
            (Counted::Calendar(_), Span::Seconds(_)) => 0,
        }
    }

    /// Returns the units that are left for a lease granted now, while isolates hold `held` units of the reserve.
    pub(crate) fn left(&self, held: u64, at: Instant) -> u64 {
        self.limit.requests().saturating_sub(self.used(at)).saturating_sub(held)
    }

    /// Returns whether the limit, which is reached now, must be announced.
    pub(crate) fn announce(&mut self, now: i64) -> bool {
        let is_recent = |at: i64| (0..ASK_INTERVAL_MS).contains(&now.saturating_sub(at));
        if self.announced_at.is_some_and(is_recent) {
            return false;
        }
        self.announced_at = Some(now);
        true
    }

    /// Counts units that may be spent from `at` until `within_ms` later.
    pub(crate) fn add(&mut self, at: Instant, within_ms: i64, units: u64) {
        match (&mut self.counted, self.limit.span()) {
            (Counted::Window(window), Span::Seconds(seconds)) => {
                // `life_ms` includes the lifetime of a lease.
                let last = at.now.saturating_add(within_ms.saturating_sub(LEASE_MS));
                window.add(last, units, Durations::of(seconds).slot_ms);
            }
            (Counted::Calendar(calendar), Span::Period(period)) => {
                calendar.add(range(period, at.utc, within_ms), units)
            }
            _ => {}
        }
    }

    pub(crate) fn give_back(&mut self, granted: Instant, units: u64) {
        match (&mut self.counted, self.limit.span()) {
            (Counted::Window(window), _) => window.give_back(granted.now, units),
            (Counted::Calendar(calendar), Span::Period(period)) => {
                calendar.give_back(lease_range(period, granted.utc), units);
            }
            (Counted::Calendar(_), Span::Seconds(_)) => {}
        }
    }

    /// Returns the time in milliseconds until `units` more units are left.
    pub(crate) fn free_in_ms(&self, at: Instant, units: u64) -> i64 {
        match (&self.counted, self.limit.span()) {
            (Counted::Window(window), Span::Seconds(seconds)) => {
                window.free_in_ms(at.now, Durations::of(seconds).life_ms, units)
            }
            (_, Span::Period(period)) => Calendar::reset_in_ms(period, at.utc),
            (Counted::Calendar(_), Span::Seconds(_)) => MIN_RETRY_MS,
        }
    }

    /// Returns the units that may be in the outage reserve: 5 % of a window, 1 % of a period.
    pub(crate) fn reserve(&self) -> u64 {
        match self.limit.span() {
            Span::Seconds(_) => self.limit.requests() / 20,
            Span::Period(_) => self.limit.requests() / 100,
        }
    }

    /// Returns whether units of the reserve that a holder may have spent still count.
    pub(crate) fn may_count_reserve(&self, holder: &Holder, at: Instant) -> bool {
        let spent_within_ms = holder.reserve_ends_after_ms();
        match self.limit.span() {
            Span::Seconds(seconds) => {
                let counts_ms = spent_within_ms.saturating_add(Durations::of(seconds).life_ms);
                at.now.saturating_sub(holder.contact.now) <= counts_ms
            }
            Span::Period(period) => {
                range(period, holder.contact.utc, spent_within_ms).1 >= lease_range(period, at.utc).0
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match &self.counted {
            Counted::Window(window) => window.counted() == 0,
            Counted::Calendar(calendar) => calendar.used().iter().all(|(_, units)| *units == 0),
        }
    }
}
