//! Rate limiter for revocations by holders, per client address, so that the endpoint cannot be used to guess keys. It tracks a bounded
//! number of addresses and evicts the least recently used.

use std::net::IpAddr;
use std::num::NonZeroUsize;

use lru::LruCache;

use super::rate_limiter::{Debt, Rate};
use keyward_http::address::parse_address;
use keyward_http::limits::{REVOCATION_MILLIS, REVOCATIONS_AT_ONCE, REVOKERS_REMEMBERED};
use keyward_key::time::Millis;

const CAPACITY: NonZeroUsize = match NonZeroUsize::new(REVOKERS_REMEMBERED) {
    Some(capacity) => capacity,
    None => NonZeroUsize::MIN,
};

const RATE: Rate = Rate { burst: REVOCATIONS_AT_ONCE, interval_ms: REVOCATION_MILLIS };

/// State of one isolate: the debt of each address.
pub struct RevocationLimiter {
    debts: LruCache<IpAddr, Debt>,
}

impl Default for RevocationLimiter {
    fn default() -> Self {
        let mut debts = LruCache::unbounded();
        debts.resize(CAPACITY);
        Self { debts }
    }
}

impl RevocationLimiter {
    /// Admits one request from this address at `now`. All requests without a known address share one limit.
    ///
    /// # Errors
    /// The time in whole seconds until the next request is admitted.
    pub fn take(&mut self, address: Option<&str>, now: Millis) -> Result<(), i64> {
        let address = address.and_then(parse_address).map_or(IpAddr::from([0; 4]), customer);
        self.debts.get_or_insert_mut(address, Debt::default).take(RATE, now)
    }
}

/// Returns the address block of one customer: a whole /64 for IPv6.
fn customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_795_442_523_004);

    fn use_up(revocation_limiter: &mut RevocationLimiter, address: Option<&str>) {
        for _ in 0..REVOCATIONS_AT_ONCE {
            assert_eq!(revocation_limiter.take(address, NOW), Ok(()));
        }
    }

    #[test]
    fn an_address_has_a_burst_and_then_a_steady_rate() {
        let mut revocation_limiter = RevocationLimiter::default();
        use_up(&mut revocation_limiter, Some("192.0.2.1"));
        assert_eq!(revocation_limiter.take(Some("192.0.2.1"), NOW), Err(3));
        assert_eq!(revocation_limiter.take(Some("192.0.2.1"), Millis(NOW.0 + 2_001)), Err(1));
        assert_eq!(revocation_limiter.take(Some("192.0.2.1"), Millis(NOW.0 + 3_000)), Ok(()));
        assert_eq!(revocation_limiter.take(Some("192.0.2.1"), Millis(NOW.0 + 3_000)), Err(3));
        assert_eq!(revocation_limiter.take(Some("192.0.2.2"), NOW), Ok(()), "another address has its own limit");
    }

    #[test]
    fn the_addresses_of_one_customer_count_as_one() {
        for (one, other, shared) in [
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("nonsense", "more nonsense", true),
        ] {
            let mut revocation_limiter = RevocationLimiter::default();
            use_up(&mut revocation_limiter, Some(one));
            assert_eq!(revocation_limiter.take(Some(other), NOW).is_err(), shared, "{one} {other}");
        }
    }

    #[test]
    fn a_clock_that_steps_back_locks_nobody_out() {
        let mut revocation_limiter = RevocationLimiter::default();
        use_up(&mut revocation_limiter, None);
        let before = Millis(NOW.0 - 86_400_000);
        assert_eq!(revocation_limiter.take(None, before), Err(3));
        assert_eq!(revocation_limiter.take(None, Millis(before.0 + 3_000)), Ok(()));
    }

    #[test]
    fn the_number_of_addresses_is_bounded() {
        let mut revocation_limiter = RevocationLimiter::default();
        for number in 0..20_000_u32 {
            let _ = revocation_limiter.take(Some(&std::net::Ipv4Addr::from(number).to_string()), NOW);
        }
        assert_eq!(revocation_limiter.debts.len(), REVOKERS_REMEMBERED);
    }
}
