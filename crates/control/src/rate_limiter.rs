//! Rate limiter (generic cell rate algorithm): each request adds to a debt of time, which decreases as time passes.

use keyward_key::time::Millis;

/// A rate: a burst, then one request in each interval.
#[derive(Clone, Copy)]
pub(super) struct Rate {
    /// Maximum burst.
    pub burst: i64,
    /// Interval between requests after the burst, in milliseconds.
    pub interval_ms: i64,
}

impl Rate {
    /// Creates a rate of `count` requests a second, with a burst of the same number.
    pub const fn a_second(count: u32) -> Self {
        let count = if count == 0 { 1 } else { count };
        #[expect(clippy::arithmetic_side_effects, reason = "the divisor is at least 1")]
        let interval_ms = 1_000 / count as i64;
        Self { burst: count as i64, interval_ms }
    }

    /// Returns the maximum debt at which another request is admitted, in milliseconds.
    const fn most_debt(self) -> i64 {
        self.burst.saturating_sub(1).saturating_mul(self.interval_ms)
    }

    /// Returns the maximum debt, in milliseconds.
    const fn full_debt(self) -> i64 {
        self.burst.saturating_mul(self.interval_ms)
    }
}

/// Debt of one address, credential or isolate.
#[derive(Clone, Copy, Default)]
pub(super) struct Debt {
    /// Time at which the debt is zero again. `None` before the first request.
    paid_at: Option<Millis>,
}

impl Debt {
    /// Checks whether a request is admitted at `now`, without counting it.
    ///
    /// # Errors
    /// The time in whole seconds until a request is admitted.
    pub fn check(&mut self, rate: Rate, now: Millis) -> Result<(), i64> {
        let most = rate.most_debt();
        let debt = self.at(rate, now);
        if debt > most { Err(debt.saturating_sub(most).saturating_add(999) / 1_000) } else { Ok(()) }
    }

    /// Counts a request at `now` if it is admitted.
    ///
    /// # Errors
    /// The time in whole seconds until a request is admitted. The refused request is not counted.
    pub fn take(&mut self, rate: Rate, now: Millis) -> Result<(), i64> {
        self.check(rate, now)?;
        self.add(rate, now);
        Ok(())
    }

    /// Counts a request that was already admitted. The debt is capped so that the next request waits for one interval at most.
    pub fn add(&mut self, rate: Rate, now: Millis) {
        let debt = self.at(rate, now).saturating_add(rate.interval_ms).min(rate.full_debt());
        self.paid_at = Some(Millis(now.0.saturating_add(debt)));
    }

    /// Returns the debt in milliseconds. Capped at the maximum debt, in case the clock stepped back.
    fn at(&mut self, rate: Rate, now: Millis) -> i64 {
        let debt = self.paid_at.map_or(0, |paid_at| paid_at.since(now)).clamp(0, rate.full_debt());
        self.paid_at = Some(Millis(now.0.saturating_add(debt)));
        debt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_795_442_523_004);

    #[test]
    fn a_rate_is_a_burst_and_then_one_in_each_interval() {
        let (rate, mut debt) = (Rate::a_second(20), Debt::default());
        let admitted =
            |debt: &mut Debt, at: i64| (0..1_000).filter(|_| debt.take(rate, Millis(NOW.0 + at)).is_ok()).count();
        assert_eq!(admitted(&mut debt, 0), 20);
        assert_eq!(admitted(&mut debt, 49), 0);
        assert_eq!(admitted(&mut debt, 50), 1);
        assert_eq!(admitted(&mut debt, 1_050), 20);
        assert_eq!(debt.check(rate, Millis(NOW.0 + 1_050)), Err(1));
        assert_eq!(admitted(&mut debt, -86_400_000), 0, "the clock stepped back");
        assert_eq!(admitted(&mut debt, -86_400_000 + 1_000), 20, "which locks nobody out");
    }

    #[test]
    fn what_passed_without_a_check_never_makes_anybody_wait_longer_than_one_interval() {
        let (rate, mut debt) = (Rate { burst: 2, interval_ms: 3_000 }, Debt::default());
        for _ in 0..100 {
            debt.add(rate, NOW);
        }
        assert_eq!(debt.check(rate, NOW), Err(3));
        assert_eq!(debt.check(rate, Millis(NOW.0 + 3_000)), Ok(()));
    }
}
