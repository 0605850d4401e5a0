//! How often the authority may be asked about single keys.

use keyward_http::limits::LOOKUPS_A_SECOND;
use keyward_key::time::Millis;

/// A bucket that fills by [`LOOKUPS_A_SECOND`] each second, up to that many.
pub(super) struct LookupLimiter {
    /// In thousandths of a look-up.
    left: i64,
    filled_at: Option<Millis>,
}

const FULL: i64 = LOOKUPS_A_SECOND as i64 * 1_000;

impl Default for LookupLimiter {
    fn default() -> Self {
        Self { left: FULL, filled_at: None }
    }
}

impl LookupLimiter {
    /// Takes one; `false` if there is none. A clock that steps back fills nothing and takes nothing away.
    pub fn take(&mut self, now: Millis) -> bool {
        let passed = self.filled_at.map_or(0, |filled_at| now.since(filled_at).max(0));
        self.filled_at = Some(now);
        self.left = self.left.saturating_add(passed.saturating_mul(LOOKUPS_A_SECOND.into())).min(FULL);
        let enough = self.left >= 1_000;
        if enough {
            self.left = self.left.saturating_sub(1_000);
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_and_as_many_every_second_after() {
        let mut budget = LookupLimiter::default();
        let taken = |budget: &mut LookupLimiter, at: i64| (0..1_000).filter(|_| budget.take(Millis(at))).count();
        assert_eq!(taken(&mut budget, 0), 50);
        assert_eq!(taken(&mut budget, 19), 0);
        assert_eq!(taken(&mut budget, 20), 1);
        assert_eq!(taken(&mut budget, 1_020), 50);
        assert_eq!(taken(&mut budget, 0), 0, "the clock stepped back");
        assert_eq!(taken(&mut budget, 1_000_000), 50);
    }
}
