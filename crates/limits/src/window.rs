//! Units granted in a sliding window.

use keyward_protocol::lease::LEASE_MS;

/// Number of slots per window. Grants within a slot expire together, which bounds the memory of a window.
const SLOTS: i64 = 40;

/// Maximum margin for rounding and small steps of clocks, in milliseconds.
const MAX_MARGIN_MS: i64 = 1_000;

/// Units granted within one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Time of the first grant, in the object's time.
    pub first: i64,
    /// Time of the last grant.
    pub last: i64,
    /// Units that were granted and not returned.
    pub units: u64,
}

/// Durations of a window, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durations {
    /// Time for which a grant counts: the window, plus the lifetime of a lease, plus a margin.
    pub life_ms: i64,
    /// Length of a slot.
    pub slot_ms: i64,
}

impl Durations {
    /// Returns the durations of a window of this number of seconds.
    ///
    /// Under continuous load units return after `life + slot`, at most `1.055 × (w + 2 s)`. With 5 % of the units in the outage reserve
    /// that sustains at least the documented `0.9 × q × w / (w + 2)` per window.
    #[must_use]
    pub fn of(seconds: u32) -> Self {
        let base_ms = i64::from(seconds).saturating_mul(1_000).saturating_add(LEASE_MS);
        let margin_ms = (base_ms.saturating_mul(3) / 100).min(MAX_MARGIN_MS);
        let margin_ms = if keyward_fault::fault!("a lease's lifetime is left out of the window") {
            LEASE_MS.saturating_neg()
        } else {
            margin_ms
        };
        Self { life_ms: base_ms.saturating_add(margin_ms), slot_ms: (base_ms / SLOTS).max(1) }
    }
}

/// Grants of one limit that still count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    entries: Vec<Entry>,
}

impl Window {
    /// Restores a window from entries in the object's time.
    #[must_use]
    pub const fn from_entries(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    /// Returns the entries.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Removes the grants that no longer count at `now`.
    pub fn expire(&mut self, now: i64, life_ms: i64) {
        self.entries.retain(|entry| entry.units > 0 && entry.last.saturating_add(life_ms) > now);
    }

    /// Returns the units that count.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.units))
    }

    /// Counts units granted at `at`.
    pub fn add(&mut self, at: i64, units: u64, slot_ms: i64) {
        if units == 0 {
            return;
        }
        match self.entries.last_mut() {
            Some(entry) if (0..slot_ms).contains(&at.saturating_sub(entry.first)) => {
                if !keyward_fault::fault!("a slot expires with its first grant") {
                    entry.last = entry.last.max(at);
                }
                entry.units = entry.units.saturating_add(units);
            }
            _ => self.entries.push(Entry { first: at, last: at, units }),
        }
    }

    /// Returns units that were granted at `granted_at` and not spent.
    pub fn give_back(&mut self, granted_at: i64, units: u64) {
        let covers = |entry: &&mut Entry| entry.first <= granted_at && granted_at <= entry.last;
        if let Some(entry) = self.entries.iter_mut().find(covers) {
            entry.units = entry.units.saturating_sub(units);
        }
    }

    /// Returns the time in milliseconds until `units` more units stop counting, and the whole life if they never add up to that.
    #[must_use]
    pub fn free_in_ms(&self, now: i64, life_ms: i64, units: u64) -> i64 {
        let mut ends: Vec<(i64, u64)> =
            self.entries.iter().map(|entry| (entry.last.saturating_add(life_ms), entry.units)).collect();
        ends.sort_unstable();
        let mut freed = 0_u64;
        for (end, entry_units) in ends {
            freed = freed.saturating_add(entry_units);
            if freed >= units {
                return end.saturating_sub(now).max(0);
            }
        }
        life_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_counts_for_the_window_the_lease_and_a_margin() {
        let Durations { life_ms, slot_ms } = Durations::of(60);
        assert_eq!((life_ms, slot_ms), (63_000, 1_550));
        let mut window = Window::default();
        window.add(0, 3, slot_ms);
        window.add(1_549, 2, slot_ms);
        window.add(1_550, 4, slot_ms);
        assert_eq!(window.entries().len(), 2);
        window.expire(63_000 + 1_548, life_ms);
        assert_eq!(window.counted(), 9, "a slot counts until its last grant expires");
        window.expire(63_000 + 1_549, life_ms);
        assert_eq!(window.counted(), 4);
        assert_eq!(window.free_in_ms(2_000, life_ms, 4), 62_550);
        assert_eq!(window.free_in_ms(2_000, life_ms, 5), life_ms);
    }

    #[test]
    fn returned_units_reduce_the_slot_of_their_grant() {
        let mut window = Window::default();
        window.add(0, 3, 100);
        window.add(500, 3, 100);
        window.give_back(0, 2);
        assert_eq!(window.counted(), 4);
        window.give_back(0, 9);
        window.give_back(300, 9);
        assert_eq!(window.counted(), 3);
    }

    #[test]
    fn every_window_sustains_the_documented_rate() {
        for seconds in 1..=86_400_u32 {
            let Durations { life_ms, slot_ms } = Durations::of(seconds);
            // 0.95 q per period, against 0.9 q per w + 2 s.
            let period_ms = life_ms + slot_ms;
            assert!(95 * (i64::from(seconds) + 2) * 1_000 >= 90 * period_ms, "{seconds} s");
        }
    }
}
