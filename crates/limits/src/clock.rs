//! The object's time. It advances with the host's clock but never faster than the clocks of the isolates that ask.
//!
//! A step of the host's clock must not age grants, or more than the limit would be let through. A step back is simply not followed. A
//! step forward is recognised by the queries: each isolate that heard from this instance before states a lower bound of its time
//! (`object_at`: the time in the object's answer plus what has elapsed since it arrived). The object's time does not exceed it. A new
//! isolate's clock is compared with the others', which costs the skew of clocks once.

use keyward_key::time::Millis;

use super::CLOCK_SKEW_MS;

/// Maximum age of a query when it arrives, in milliseconds: the timeout of a query, rounded up.
const QUERY_AGE_MS: i64 = 2_000;

/// The object's time in one instance.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObjectClock {
    /// Last reading of the host's clock.
    host: Option<Millis>,
    /// Sum of the steps back, which `now` did not follow.
    ahead_ms: i64,
    now: i64,
    /// Maximum of the object's time minus the asking isolate's time.
    reference: i64,
}

impl ObjectClock {
    /// Returns the object's time at a query.
    pub fn read(&mut self, host: Millis, asked_at: Millis, object_at: Option<i64>) -> i64 {
        let Some(last) = self.host.replace(host) else {
            self.now = host.0;
            self.reference = self.now.saturating_sub(asked_at.0);
            return self.now;
        };
        self.ahead_ms = self.ahead_ms.saturating_add(last.since(host).max(0));
        let by_host = host.0.saturating_add(self.ahead_ms);
        let by_reference = || {
            let slack_ms = CLOCK_SKEW_MS.saturating_add(QUERY_AGE_MS);
            asked_at.0.saturating_add(self.reference).saturating_sub(slack_ms)
        };
        let most = object_at.unwrap_or_else(by_reference);
        let by_host =
            if keyward_fault::fault!("a step of the object's clock is followed") { by_host } else { by_host.min(most) };
        self.now = self.now.max(by_host);
        self.reference = self.reference.max(self.now.saturating_sub(asked_at.0));
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_host_moves_no_time() {
        let mut clock = ObjectClock::default();
        assert_eq!(clock.read(Millis(1_000), Millis(900), None), 1_000);
        assert_eq!(clock.read(Millis(3_000), Millis(2_900), Some(2_990)), 2_990);
        // Forward by an hour: time follows the isolate.
        assert_eq!(clock.read(Millis(3_604_000), Millis(3_900), Some(3_990)), 3_990);
        // Back by two hours, and on from there.
        assert_eq!(clock.read(Millis(-3_595_000), Millis(4_900), Some(4_990)), 4_990);
        assert_eq!(clock.read(Millis(-3_594_000), Millis(5_900), Some(5_990)), 5_990);
    }

    #[test]
    fn queries_of_new_isolates_only_cost_the_skew_once() {
        let mut clock = ObjectClock::default();
        let mut now = clock.read(Millis(0), Millis(0), None);
        for second in 1..100 {
            now = clock.read(Millis(second * 1_000), Millis(second * 1_000), None);
        }
        assert_eq!(now, 99_000 - 12_000);
    }
}
