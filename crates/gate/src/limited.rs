//! Counting of requests against the limits of their key.

use std::sync::Arc;

use super::leases::{KeyLimits, LeaseBook, Receipt, Spend, Spending};
use super::{Gate, Reason, Refusal, find_route, refuse_key_in_url};
use keyward_config::Config;
use keyward_http::head::Head;
use keyward_http::problem::Code;
use keyward_http::route::Route;
use keyward_key::time::Millis;
use keyward_protocol::lease::{LeaseAnswer, LeaseQuery};

impl Spending {
    /// Returns the circumstances of a request on a route.
    #[must_use]
    pub fn on(route: &Route, config: &Config, now: Millis) -> Self {
        let grace_ms = if route.closed_on_outage { 0 } else { grace_ms(config) };
        Self { cost: route.cost.into(), now, grace_ms }
    }

    /// Returns the circumstances of a request of this cost, on a route with the grace.
    #[must_use]
    pub fn of(cost: u32, config: &Config, now: Millis) -> Self {
        Self { cost: cost.into(), now, grace_ms: grace_ms(config) }
    }
}

fn grace_ms(config: &Config) -> i64 {
    i64::from(config.grace_seconds).saturating_mul(1_000)
}

/// Result of [`count`].
pub(super) enum Counted {
    /// The request may pass. `None` if it will be refused for another reason and is not counted.
    Granted(Option<Receipt>),
    /// More units must be asked for.
    Renew,
    /// A limit is reached, or the object is unreachable.
    Refused(Box<Refusal>),
}

/// Counts a request, if it `has_origin`. One without is refused for that, unless a limit is reached already.
pub(super) fn count(leases: &mut LeaseBook, limits: &Arc<KeyLimits>, spending: Spending, has_origin: bool) -> Counted {
    let over_limit = |exhausted| Counted::Refused(Box::new(Refusal::over_limit(&exhausted)));
    if !has_origin {
        return leases.refusal(limits, spending).map_or(Counted::Granted(None), over_limit);
    }
    match leases.spend(limits, spending) {
        Spend::Granted(receipt) => Counted::Granted(Some(receipt)),
        Spend::Renew => Counted::Renew,
        Spend::Refused(exhausted) => over_limit(exhausted),
        Spend::Unreachable => {
            Counted::Refused(Box::new(Refusal::new(Code::AuthorityUnavailable, Reason::LimitsUnreachable)))
        }
    }
}

/// Returns the units that a request costs by the route table; 1 on a public route or without a route.
#[must_use]
pub fn cost_asked(config: &Config, head: &Head<'_>) -> u32 {
    let route = refuse_key_in_url(config, head).and_then(|()| find_route(config, head));
    route.map_or(1, |route| route.cost)
}

impl Gate {
    /// Counts a request that the gate does not forward itself. `Ok(None)`: the shard of the limits must be asked first.
    ///
    /// # Errors
    /// `rate_limited` or `authority_unavailable`.
    pub fn count(&mut self, limits: &Arc<KeyLimits>, spending: Spending) -> Result<Option<Receipt>, Box<Refusal>> {
        self.note_clock(spending.now);
        match count(&mut self.leases, limits, spending, true) {
            Counted::Granted(receipt) => Ok(receipt),
            Counted::Renew => Ok(None),
            Counted::Refused(refusal) => Err(refusal),
        }
    }

    /// Returns whether a renewal of leases in the background became due, and forgets it.
    pub const fn take_renewal_due(&mut self) -> bool {
        self.leases.take_renewal_due()
    }

    /// Returns the shards that limited keys wait for.
    #[must_use]
    pub fn pending_shards(&self) -> Vec<u32> {
        self.leases.pending_shards()
    }

    /// Returns the query for a shard, sent at `now` by the isolate of this number; `None` if no key needs it.
    pub fn lease_query(&mut self, config: &Config, shard: u32, isolate: u64, now: Millis) -> Option<LeaseQuery> {
        self.note_clock(now);
        self.leases.query(shard, isolate, now, grace_ms(config))
    }

    /// Applies the answer to a query that was sent at `asked_at`.
    pub fn apply_leases(&mut self, shard: u32, answer: &LeaseAnswer, asked_at: Millis, now: Millis) {
        self.note_clock(now);
        self.leases.apply(shard, answer, asked_at, now);
    }

    /// Records at `now` that a shard did not answer.
    pub fn record_lease_failure(&mut self, shard: u32, now: Millis) {
        self.note_clock(now);
        self.leases.record_failure(shard, now);
    }

    /// Puts back the units of a grant that is not used.
    pub fn refund(&mut self, grant: &super::Grant) {
        if let Some(receipt) = grant.receipt() {
            self.leases.refund(receipt);
        }
    }
}
