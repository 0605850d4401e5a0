//! The object's time. It never advances more than what has really elapsed, although the host's clock may step.
//!
//! A step of the host's clock must not age grants, or more than the limit would be let through. Time continues through a step back. A step
//! forward is recognised by the queries: an isolate that heard from this instance before states a lower bound of the object's time
//! (`object_at`: the time in an answer plus what has elapsed since it arrived). If the host's clock is ahead of it by more than
//! [`STEP_TOLERANCE_MS`], the object's time follows the isolate. A query that took longer than that costs the object the same time, which
//! is safe. Isolates that ask for the first time say nothing about steps.

use keyward_key::time::Millis;

/// Difference that counts as the travel time of a query, in milliseconds.
pub const STEP_TOLERANCE_MS: i64 = 500;

/// The object's time in one instance.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObjectClock {
    /// Last reading of the host's clock.
    host: Option<Millis>,
    /// Time for grants. After a step it may lag, and it never catches up, because grants made meanwhile would then age too fast.
    now: i64,
    /// Time for comparison with the isolates. It keeps pace with theirs.
    witnessed: i64,
}

/// One reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Time for grants.
    pub now: i64,
    /// Time for the answer, from which the isolate derives its next `object_at`.
    pub witnessed: i64,
}

impl ObjectClock {
    /// Reads the host's clock at a query.
    pub fn read(&mut self, host: Millis, object_at: Option<i64>) -> Reading {
        let elapsed_ms = match self.host.replace(host) {
            Some(last) => host.since(last).max(0),
            None => {
                self.now = host.0;
                self.witnessed = host.0;
                0
            }
        };
        let by_host = self.witnessed.saturating_add(elapsed_ms);
        let least = object_at.unwrap_or(i64::MIN);
        let ahead_ms = object_at.map_or(0, |least| by_host.saturating_sub(least));
        let excess_ms =
            if ahead_ms > STEP_TOLERANCE_MS && !keyward_fault::fault!("a step of the object's clock is followed") {
                ahead_ms
            } else {
                0
            };
        self.now = self.now.saturating_add(elapsed_ms.saturating_sub(excess_ms).max(0));
        self.witnessed = by_host.saturating_sub(excess_ms).max(least);
        Reading { now: self.now, witnessed: self.witnessed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_host_moves_no_time() {
        let mut clock = ObjectClock::default();
        let mut read = |host, object_at| clock.read(Millis(host), object_at).now;
        assert_eq!(read(1_000, None), 1_000);
        assert_eq!(read(3_000, Some(2_990)), 3_000);
        // Forward by an hour: time follows the isolate, then the host again.
        assert_eq!(read(3_604_000, Some(3_990)), 3_990);
        assert_eq!(read(3_605_000, Some(4_980)), 4_990);
        // Back by two hours: the time since the last reading is lost. Then on from there.
        assert_eq!(read(-3_595_000, Some(5_980)), 4_990);
        assert_eq!(read(-3_594_000, Some(6_980)), 5_990);
        // Forward again by two hours: the lost time does not come back.
        assert_eq!(read(3_607_000, Some(7_980)), 6_990);
    }

    #[test]
    fn a_query_that_took_long_never_moves_time_back() {
        let mut clock = ObjectClock::default();
        let mut read = |host, object_at| clock.read(Millis(host), object_at).now;
        read(0, None);
        assert_eq!(read(10_000, None), 10_000);
        assert_eq!(read(10_100, Some(4_000)), 10_000);
        assert_eq!(read(10_200, None), 10_100);
    }
}
