//! Limit on lookups of single keys at the authority.

use keyward_key::time::Millis;

/// A token bucket: `per_second` tokens at once, refilled by as many each second.
pub(super) struct LookupLimiter {
    per_second: i64,
    /// In thousandths of a token.
    available: i64,
    refilled_at: Option<Millis>,
}

impl LookupLimiter {
    /// Creates a full bucket.
    pub fn new(per_second: u32) -> Self {
        let per_second = i64::from(per_second);
        Self { per_second, available: per_second.saturating_mul(1_000), refilled_at: None }
    }

    /// Takes one token; `false` if there is none. A clock that steps back neither adds nor removes tokens.
    pub fn take(&mut self, now: Millis) -> bool {
        let passed_ms = self.refilled_at.map_or(0, |refilled_at| now.since(refilled_at).max(0));
        self.refilled_at = Some(now);
        let full = self.per_second.saturating_mul(1_000);
        self.available = self.available.saturating_add(passed_ms.saturating_mul(self.per_second)).min(full);
        let enough = self.available >= 1_000;
        if enough {
            self.available = self.available.saturating_sub(1_000);
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limiter_admits_a_full_bucket_at_once_and_the_same_rate_every_second_after() {
        let mut limiter = LookupLimiter::new(50);
        let admitted = |limiter: &mut LookupLimiter, at: i64| (0..1_000).filter(|_| limiter.take(Millis(at))).count();
        assert_eq!(admitted(&mut limiter, 0), 50);
        assert_eq!(admitted(&mut limiter, 19), 0);
        assert_eq!(admitted(&mut limiter, 20), 1);
        assert_eq!(admitted(&mut limiter, 1_020), 50);
        assert_eq!(admitted(&mut limiter, 0), 0, "the clock stepped back");
        assert_eq!(admitted(&mut limiter, 1_000_000), 50);
    }
}
