//! The stored form of a group.
//!
//! A row holds what was granted until it was written, with ages instead of times, and the units that may be granted after it until the
//! horizon. Whoever restores it assumes that all of these were granted, as late as possible.

use keyward_key::limit::{Limit, Span};
use keyward_key::time::Millis;
use keyward_key::version::{self, ReadError};
use keyward_protocol::lease::LEASE_MS;
use serde::{Deserialize, Serialize};

use super::calendar::Calendar;
use super::counter::{Counted, Counter};
use super::group::{Group, HORIZON_MS};
use super::holder::Holder;
use super::window::{Durations, Entry, Window};
use super::{CLOCK_SKEW_MS, Instant};

/// Time in milliseconds for which a row is kept after everything in it has expired.
const KEPT_MS: i64 = 86_400_000;

/// Longest calendar period in milliseconds.
const MONTH_MS: i64 = 31 * 86_400_000;

/// Stored form of a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    revision: u64,
    /// Time of the write by the host's clock.
    written_at: Millis,
    /// Units that may be granted after the write.
    advance: u64,
    /// Units of the outage reserve that isolates hold.
    reserve: u64,
    /// Time in milliseconds within which they may be spent.
    #[serde(default)]
    reserve_within_ms: i64,
    counters: Vec<StoredCounter>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredCounter {
    limit: Limit,
    applies: bool,
    /// Age of the first grant, age of the last grant, units, of each slot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    window: Vec<(i64, i64, u64)>,
    /// Number and units of each period.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    periods: Vec<(i64, u64)>,
}

impl Row {
    /// Returns the row of a group that covers `advance` more units.
    #[must_use]
    pub fn of(group: &Group, advance: u64, at: Instant) -> Self {
        let age = |time: i64| at.now.saturating_sub(time);
        let stored = |counter: &Counter| {
            let (window, periods) = match &counter.counted {
                Counted::Window(window) => {
                    let slots = window.entries().iter();
                    (slots.map(|entry| (age(entry.first), age(entry.last), entry.units)).collect(), Vec::new())
                }
                Counted::Calendar(calendar) => (Vec::new(), calendar.used().to_vec()),
            };
            StoredCounter { limit: counter.limit.clone(), applies: counter.applies, window, periods }
        };
        let ends = group.holders.iter().filter(|holder| holder.outstanding() > 0).map(Holder::reserve_ends_after_ms);
        Self {
            revision: group.revision,
            written_at: at.utc,
            advance,
            reserve: group.held(),
            reserve_within_ms: ends.max().unwrap_or_default(),
            counters: group.counters.iter().map(stored).collect(),
        }
    }

    /// Parses a row.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn from_stored(text: &str) -> Result<Self, ReadError> {
        version::read(text)
    }

    /// Returns the time by the host's clock after which the row can be removed.
    #[must_use]
    pub fn idle_after(&self) -> Millis {
        let life = |counter: &StoredCounter| match counter.limit.span() {
            Span::Seconds(seconds) => Durations::of(seconds).life_ms,
            Span::Period(_) => MONTH_MS,
        };
        let longest = self.counters.iter().map(life).max().unwrap_or_default();
        Millis(self.written_at.0.saturating_add(longest).saturating_add(self.reserve_within_ms).saturating_add(KEPT_MS))
    }

    /// Restores the group in another instance of the object. The clocks of the two instances may differ by [`CLOCK_SKEW_MS`].
    #[must_use]
    pub fn restore(self, at: Instant) -> Group {
        let elapsed = at.utc.since(self.written_at).saturating_sub(CLOCK_SKEW_MS).max(0);
        let written = Instant { now: at.now.saturating_sub(elapsed), utc: self.written_at };
        let mut group = Group::new(self.revision);
        for stored in self.counters {
            let time = |age: i64| written.now.saturating_sub(age);
            let entry = |(first, last, units): (i64, i64, u64)| Entry { first: time(first), last: time(last), units };
            let counted = match stored.limit.span() {
                Span::Seconds(_) => {
                    Counted::Window(Window::from_entries(stored.window.into_iter().map(entry).collect()))
                }
                Span::Period(_) => Counted::Calendar(Calendar::from_used(stored.periods)),
            };
            group.counters.push(Counter { limit: stored.limit, counted, applies: stored.applies, announced_at: None });
        }
        if !keyward_fault::fault!("the horizon is skipped after a restart") {
            // The last grants may have been made at the horizon, by an instance that has not noticed its end yet.
            group.charge(written, HORIZON_MS.saturating_add(LEASE_MS), self.advance);
        }
        if self.reserve > 0 && !keyward_fault::fault!("the reserve is forgotten in a restart") {
            let horizon = Instant { now: written.now.saturating_add(HORIZON_MS), utc: written.utc };
            let grace_ms = self.reserve_within_ms.saturating_sub(LEASE_MS).saturating_add(HORIZON_MS);
            group.holders.push(Holder::of_previous(self.reserve, horizon, grace_ms));
        }
        group
    }
}
