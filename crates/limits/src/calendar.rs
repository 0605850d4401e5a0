//! Units granted in calendar periods.

use keyward_key::limit::Period;
use keyward_key::time::Millis;
use keyward_protocol::lease::LEASE_MS;

use super::CLOCK_ERROR_MS;

/// Number of periods that are kept: the current one, its neighbours, and one for a clock that steps.
const KEPT: usize = 4;

/// Consecutive periods, first and last. A grant near a boundary counts in both periods, because clocks differ and a lease outlives its
/// grant.
pub type Range = (i64, i64);

/// Units granted in the latest periods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    used: Vec<(i64, u64)>,
}

/// Returns the periods in which units may be spent that are granted at `utc` and end after `spent_within_ms`.
#[must_use]
pub fn range(period: Period, utc: Millis, spent_within_ms: i64) -> Range {
    if keyward_fault::fault!("a grant before midnight counts in one day only") {
        return (period.number(utc), period.number(utc));
    }
    let from = Millis(utc.0.saturating_sub(CLOCK_ERROR_MS));
    let to = Millis(utc.0.saturating_add(spent_within_ms).saturating_add(CLOCK_ERROR_MS));
    (period.number(from), period.number(to))
}

/// Returns the periods of a lease granted at `utc`.
#[must_use]
pub fn lease_range(period: Period, utc: Millis) -> Range {
    range(period, utc, LEASE_MS)
}

impl Calendar {
    /// Restores the counts of periods.
    #[must_use]
    pub const fn from_used(used: Vec<(i64, u64)>) -> Self {
        Self { used }
    }

    /// Returns each period with its units.
    #[must_use]
    pub fn used(&self) -> &[(i64, u64)] {
        &self.used
    }

    /// Returns the most units used in a period of the range.
    #[must_use]
    pub fn counted(&self, (first, last): Range) -> u64 {
        let within = self.used.iter().filter(|(number, _)| (first..=last).contains(number));
        within.map(|(_, units)| *units).max().unwrap_or_default()
    }

    /// Counts units in each period of the range.
    pub fn add(&mut self, (first, last): Range, units: u64) {
        let last = last.min(first.saturating_add(2));
        for number in first..=last {
            match self.used.iter_mut().find(|(known, _)| *known == number) {
                Some((_, used)) => *used = used.saturating_add(units),
                None => self.used.push((number, units)),
            }
        }
        self.used.sort_unstable();
        if let Some(excess) = self.used.len().checked_sub(KEPT) {
            self.used.drain(..excess);
        }
    }

    /// Returns units that were counted in each period of the range and not spent.
    pub fn give_back(&mut self, (first, last): Range, units: u64) {
        for (_, used) in self.used.iter_mut().filter(|(number, _)| (first..=last).contains(number)) {
            *used = used.saturating_sub(units);
        }
    }

    /// Returns the time in milliseconds until the period at `utc` has ended by every clock.
    #[must_use]
    pub fn reset_in_ms(period: Period, utc: Millis) -> i64 {
        // Just before the end a lease would still count in the old period.
        let end = period.next_start(Millis(utc.0.saturating_sub(CLOCK_ERROR_MS)));
        end.since(utc).saturating_add(CLOCK_ERROR_MS).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_near_midnight_counts_in_both_days() {
        let midnight = Millis::parse("2027-05-01T00:00:00Z").unwrap();
        let near = |offset_ms: i64| lease_range(Period::Day, Millis(midnight.0 + offset_ms));
        let day = Period::Day.number(midnight);
        assert_eq!(near(-7_001), (day - 1, day - 1));
        assert_eq!(near(-7_000), (day - 1, day));
        assert_eq!(near(4_999), (day - 1, day));
        assert_eq!(near(5_000), (day, day));
        let mut calendar = Calendar::default();
        calendar.add(near(-7_001), 5);
        calendar.add(near(0), 3);
        assert_eq!((calendar.counted((day - 1, day - 1)), calendar.counted((day, day))), (8, 3));
        assert_eq!(calendar.counted((day - 1, day)), 8);
        calendar.give_back(near(0), 1);
        assert_eq!((calendar.counted((day - 1, day - 1)), calendar.counted((day, day))), (7, 2));
    }

    #[test]
    fn a_period_is_over_when_every_clock_says_so() {
        let midnight = Millis::parse("2027-05-01T00:00:00Z").unwrap();
        assert_eq!(Calendar::reset_in_ms(Period::Day, Millis(midnight.0 - 10_000)), 15_000);
        assert_eq!(Calendar::reset_in_ms(Period::Day, Millis(midnight.0 + 1_000)), 4_000);
        assert_eq!(Calendar::reset_in_ms(Period::Month, Millis(midnight.0 + 5_000)), 31 * 86_400_000);
    }
}
