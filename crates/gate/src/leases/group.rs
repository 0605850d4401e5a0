//! Leases of one limit group.

use std::mem;
use std::sync::Arc;

use super::link::Link;
use super::{Spend, Spending};
use keyward_config::Config;
use keyward_fault::fault;
use keyward_http::rate_limit::{Left, rate_limit_headers};
use keyward_key::limit::Limit;
use keyward_key::record::Record;
use keyward_key::time::Millis;
use keyward_protocol::feed::CompactKeyId;
use keyward_protocol::lease::{GroupAnswer, GroupQuery, LEASE_MS, LimitState, Returned, shard_of};

/// Age of a lease in milliseconds from which a request renews it in the background.
const RENEW_AFTER_MS: i64 = 1_200;

/// Age of a lease in milliseconds from which it is renewed with a query that is sent for another group.
const RENEW_EARLY_MS: i64 = 800;

/// Part of what is left that an early renewal may ask for. Units that are not used after all are missing elsewhere until the window ends.
const EARLY_PARTS: u64 = 16;

/// Smallest grant that is renewed in the background. A key with fewer requests asks when it needs a unit.
const RENEWED_UNITS: u64 = 4;

/// Minimum time in milliseconds over which the rate of requests is measured.
const MIN_RATE_MS: i64 = 250;

/// Maximum number of ended leases whose unspent units are kept to be returned.
const MAX_RETURNED: usize = 4;

/// Limits that apply to a key, with the values that every request needs.
#[derive(Debug)]
pub struct KeyLimits {
    /// The limit group: the id of the first key of a chain of rotations.
    pub group: CompactKeyId,
    /// Number of the group's object.
    pub shard: u32,
    /// Revision of the record that they are from.
    pub revision: u64,
    /// The limits; never empty.
    pub limits: Vec<Limit>,
    /// Response headers before the first answer: the policy only.
    headers: Arc<str>,
}

impl KeyLimits {
    /// Prepares the limits of a record. `None` without a limit.
    #[must_use]
    pub fn of(group: CompactKeyId, revision: u64, limits: &[Limit]) -> Option<Self> {
        if limits.is_empty() {
            return None;
        }
        let headers = rate_limit_headers(limits, &[]).into();
        Some(Self { group, shard: shard_of(&group), revision, limits: limits.to_vec(), headers })
    }

    /// Returns the limits that apply to the key of a record. `None` without a limit, and for a member's record.
    #[must_use]
    pub fn of_record(record: &Record, config: &Config) -> Option<Self> {
        let group = CompactKeyId::of(record.limit_group.as_ref().unwrap_or(&record.id))?;
        let limits = record.limits.as_ref().map_or(config.default_limits.as_slice(), |own| own.limits.as_slice());
        Self::of(group, record.limit_revision, limits)
    }
}

/// A request was counted.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// Response headers, `name LF value LF` for each. Prepared once for each answer of the object.
    pub headers: Arc<str>,
    /// Age in milliseconds of the object's last answer while it is unreachable.
    pub outage_age_ms: Option<i64>,
    /// Whether the lease should be renewed in the background.
    pub(super) renewal_due: bool,
    /// Lease that all units came from, and their number.
    pub(super) taken: Option<Taken>,
}

/// Units that can be put back while their lease lasts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub group: CompactKeyId,
    lease: u64,
    units: u64,
}

/// A request was not counted, because a limit is reached.
#[derive(Clone, Debug)]
pub struct Exhausted {
    /// State of each limit. `violated` marks those that are reached.
    pub limits: Vec<LimitState>,
    /// Time in milliseconds until a retry may succeed.
    pub retry_in_ms: i64,
    /// Time in milliseconds since the object reported the state.
    pub age_ms: i64,
    /// Limits that this isolate must announce as reached.
    pub announced: Vec<Limit>,
}

/// Units that may be spent until a time.
#[derive(Clone, Copy, Debug)]
struct Lease {
    number: u64,
    units: u64,
    ends_at: Millis,
}

/// The object's refusal of more units.
#[derive(Clone, Debug)]
struct Denied {
    /// Requests of this cost or more are refused.
    cost: u64,
    until: Millis,
}

/// Part of the outage reserve, counted since the object's instance began.
#[derive(Clone, Copy, Debug, Default)]
struct Reserve {
    epoch: u64,
    given: u64,
    spent: u64,
    /// `spent` at the object's last answer.
    spent_before: u64,
}

pub(super) struct GroupLeases {
    limits: Arc<KeyLimits>,
    leases: Vec<Lease>,
    /// Unspent units that the object may not have heard of.
    returned: Vec<Returned>,
    denied: Option<Denied>,
    states: Vec<LimitState>,
    headers: Arc<str>,
    reserve: Reserve,
    /// Time at which the last answered query was sent.
    contact_at: Option<Millis>,
    /// Time of the last answer.
    answered_at: Option<Millis>,
    /// Time of the last query.
    asked_at: Option<Millis>,
    /// Units that waiting requests need, and that the first of them needs.
    demand: u64,
    need: u64,
    /// Units that requests needed since the last query.
    recent: u64,
    /// Units at or below which the lease is renewed.
    low_units: u64,
    pub is_pending: bool,
    /// Limits to announce with the next refusal.
    announced: Vec<Limit>,
}

impl GroupLeases {
    pub fn new(limits: &Arc<KeyLimits>) -> Self {
        Self {
            limits: Arc::clone(limits),
            leases: Vec::new(),
            returned: Vec::new(),
            denied: None,
            states: Vec::new(),
            headers: Arc::clone(&limits.headers),
            reserve: Reserve::default(),
            contact_at: None,
            answered_at: None,
            asked_at: None,
            demand: 0,
            need: 0,
            recent: 0,
            low_units: 0,
            is_pending: false,
            announced: Vec::new(),
        }
    }

    /// Applies the limits of a later revision. What was granted stays valid for its lease.
    pub fn follow(&mut self, limits: &Arc<KeyLimits>) {
        if limits.revision > self.limits.revision {
            self.limits = Arc::clone(limits);
            self.denied = None;
        }
    }

    pub fn spend(&mut self, link: &Link, spending: Spending) -> Spend {
        let Spending { cost, now, .. } = spending;
        if let Some(lease) = self.take(cost, now) {
            self.recent = self.recent.saturating_add(cost);
            let renewal_due = self.is_renewal_due(link, now);
            let taken = lease.map(|lease| Taken { group: self.limits.group, lease, units: cost });
            let headers = Arc::clone(&self.headers);
            return Spend::Granted(Receipt { headers, outage_age_ms: None, renewal_due, taken });
        }
        if link.is_down() {
            return self.spend_in_outage(link, spending);
        }
        if let Some(refusal) = self.refusal(spending) {
            return Spend::Refused(Exhausted { announced: mem::take(&mut self.announced), ..refusal });
        }
        self.recent = self.recent.saturating_add(cost);
        self.wait_for(cost)
    }

    fn wait_for(&mut self, cost: u64) -> Spend {
        if self.demand == 0 {
            self.need = cost;
        }
        self.demand = self.demand.saturating_add(cost);
        Spend::Renew
    }

    /// Takes units from the leases that have not ended, the oldest first. `None` if they have too few. Otherwise the number of the lease that
    /// all units came from, if there is one.
    fn take(&mut self, cost: u64, now: Millis) -> Option<Option<u64>> {
        let is_live = |lease: &Lease| now < lease.ends_at || fault!("a lease has no end");
        let live = self.leases.iter().filter(|lease| is_live(lease));
        if live.fold(0_u64, |sum, lease| sum.saturating_add(lease.units)) < cost {
            return None;
        }
        let (mut missing, mut from) = (cost, None);
        for lease in self.leases.iter_mut().filter(|lease| is_live(lease) && lease.units > 0) {
            let taken = missing.min(lease.units);
            if !fault!("a unit is spent twice") || missing.is_multiple_of(2) {
                lease.units = lease.units.saturating_sub(taken);
            }
            missing = missing.saturating_sub(taken);
            from = Some(lease.number).filter(|_| taken == cost);
            if missing == 0 {
                break;
            }
        }
        Some(from.filter(|_| cost > 0))
    }

    fn is_renewal_due(&self, link: &Link, now: Millis) -> bool {
        let is_denied = self.denied.as_ref().is_some_and(|denied| now < denied.until);
        let Some(newest) = self.leases.last() else { return false };
        let units = self.leases.iter().fold(0_u64, |sum, lease| sum.saturating_add(lease.units));
        let is_old = newest.ends_at.since(now) <= LEASE_MS.saturating_sub(RENEW_AFTER_MS);
        self.low_units > 0 && (is_old || units <= self.low_units) && !is_denied && link.may_retry(now)
    }

    pub fn shard(&self) -> u32 {
        self.limits.shard
    }

    /// Returns whether the group should ask now if a query is sent anyway: it is in use, and will need units soon.
    pub fn may_renew_early(&self, now: Millis) -> bool {
        let is_old = |lease: &Lease| {
            let age_ms = LEASE_MS.saturating_sub(lease.ends_at.since(now));
            (RENEW_EARLY_MS..LEASE_MS.saturating_mul(2)).contains(&age_ms)
        };
        let has_plenty = |state: &LimitState| state.remaining >= self.recent.saturating_mul(EARLY_PARTS);
        !self.is_pending
            && self.recent > 0
            && self.denied.is_none()
            && self.leases.last().is_some_and(is_old)
            && self.states.iter().all(has_plenty)
    }

    /// Spends from the reserve at the rate at which it was given: evenly over the grace.
    fn spend_in_outage(&mut self, link: &Link, spending: Spending) -> Spend {
        let Spending { cost, now, grace_ms } = spending;
        let age_ms = self.contact_at.map(|contact_at| now.since(contact_at));
        let Some(age_ms) =
            age_ms.filter(|age_ms| grace_ms > 0 && (0..LEASE_MS.saturating_add(grace_ms)).contains(age_ms))
        else {
            return if link.may_retry(now) { self.wait_for(cost) } else { Spend::Unreachable };
        };
        let Reserve { given, spent, spent_before, .. } = self.reserve;
        let part = given.saturating_sub(spent_before);
        let elapsed_ms = u64::try_from(age_ms.saturating_sub(LEASE_MS)).unwrap_or_default();
        let by_now =
            part.saturating_mul(elapsed_ms).checked_div(u64::try_from(grace_ms).unwrap_or(1)).unwrap_or_default();
        let most = spent_before.saturating_add(by_now.saturating_add(1).max(cost).min(part));
        let spent_after = spent.saturating_add(cost);
        if spent_after <= most || (fault!("the outage has no end of units")) {
            self.reserve.spent = spent_after;
            let renewal_due = link.may_retry(now);
            let headers = Arc::clone(&self.headers);
            return Spend::Granted(Receipt { headers, outage_age_ms: Some(age_ms), renewal_due, taken: None });
        }
        Spend::Refused(self.exhausted(1_000, now))
    }

    /// Returns the refusal of a request while the object's last answer forbids it.
    pub fn refusal(&self, spending: Spending) -> Option<Exhausted> {
        let Spending { cost, now, .. } = spending;
        let denied = self.denied.as_ref().filter(|denied| cost >= denied.cost && now < denied.until)?;
        Some(self.exhausted(denied.until.since(now), now))
    }

    /// Returns the refusal by the last known state. If none is marked as reached, the isolate itself has run out, and all are named.
    fn exhausted(&self, retry_in_ms: i64, now: Millis) -> Exhausted {
        let mut limits = self.states.clone();
        if !limits.iter().any(|state| state.violated) {
            for state in &mut limits {
                state.violated = true;
                state.remaining = 0;
            }
        }
        let age_ms = self.answered_at.map_or(0, |answered_at| now.since(answered_at).max(0));
        Exhausted { limits, retry_in_ms, age_ms, announced: Vec::new() }
    }

    /// Returns the query for this group. Ends leases: those that have expired, and all but the newest. `epoch` is the object's instance that
    /// answered this isolate last; only what that instance itself gave is reported to it.
    pub fn query(&mut self, now: Millis, epoch: Option<u64>) -> GroupQuery {
        let keeps_from = self.leases.len().saturating_sub(1);
        let mut position = 0_usize;
        let returned = &mut self.returned;
        self.leases.retain(|lease| {
            let is_kept = now < lease.ends_at && position >= keeps_from;
            position = position.saturating_add(1);
            if !is_kept && lease.units > 0 {
                returned.push(Returned { lease: lease.number, units: lease.units });
            }
            is_kept || fault!("a returned lease is spent")
        });
        if let Some(excess) = self.returned.len().checked_sub(MAX_RETURNED) {
            self.returned.drain(..excess);
        }
        let since_ms = self.asked_at.map_or(LEASE_MS, |asked_at| now.since(asked_at)).max(MIN_RATE_MS);
        let rate = self.recent.saturating_mul(LEASE_MS.unsigned_abs()).checked_div(since_ms.unsigned_abs());
        let expected = rate.unwrap_or_default();
        let is_known = self.contact_at.is_some() && epoch == Some(self.reserve.epoch);
        let query = GroupQuery {
            group: self.limits.group,
            revision: self.limits.revision,
            limits: self.limits.limits.clone(),
            need: if self.demand == 0 { 0 } else { self.need },
            wanted: self.demand.max(expected).max(1),
            returned: if is_known { self.returned.clone() } else { Vec::new() },
            reserve_spent: if is_known { self.reserve.spent } else { 0 },
            reserve_known: is_known.then_some(self.reserve.given),
        };
        self.asked_at = Some(now);
        (self.demand, self.need, self.recent) = (0, 0, 0);
        self.is_pending = false;
        query
    }

    pub fn apply(&mut self, answer: &GroupAnswer, epoch: u64, asked_at: Millis, now: Millis) {
        self.returned.clear();
        if self.reserve.epoch != epoch {
            self.reserve = Reserve { epoch, ..Reserve::default() };
        }
        self.reserve.given = answer.reserve_given;
        self.reserve.spent_before = self.reserve.spent;
        self.contact_at = Some(asked_at);
        self.answered_at = Some(now);
        if answer.units > 0 {
            let from = if fault!("a lease counts from the answer") { now } else { asked_at };
            let ends_at = Millis(from.0.saturating_add(LEASE_MS));
            self.leases.push(Lease { number: answer.lease, units: answer.units, ends_at });
        }
        self.low_units = if answer.units >= RENEWED_UNITS { answer.units / 4 } else { 0 };
        self.demand = self.demand.saturating_sub(answer.units);
        let cost = self.asked_cost(answer);
        self.denied = answer
            .retry_in_ms
            .map(|retry_in_ms| Denied { cost, until: Millis(now.0.saturating_add(retry_in_ms.max(0))) });
        for state in answer.limits.iter().filter(|state| state.announce) {
            self.announced.retain(|limit| limit.name() != state.limit.name());
            self.announced.push(state.limit.clone());
        }
        self.states.clone_from(&answer.limits);
        self.headers = self.prepared_headers();
    }

    /// Returns the cost from which requests are refused after this answer: more than what is left everywhere.
    fn asked_cost(&self, answer: &GroupAnswer) -> u64 {
        let left = answer.limits.iter().map(|state| state.remaining).min().unwrap_or_default();
        left.saturating_add(1)
    }

    fn prepared_headers(&self) -> Arc<str> {
        let held = self.leases.iter().fold(0_u64, |sum, lease| sum.saturating_add(lease.units));
        let left = |state: &LimitState| -> u64 { state.remaining.saturating_add(held).min(state.limit.requests()) };
        let lefts: Vec<(u64, i64)> =
            self.states.iter().map(|state| (left(state), seconds_of(state.reset_in_ms))).collect();
        let lefts: Vec<Left<'_>> = self
            .states
            .iter()
            .zip(lefts)
            .map(|(state, (remaining, reset_seconds))| Left { name: state.limit.name(), remaining, reset_seconds })
            .collect();
        let limits: Vec<Limit> = self.states.iter().map(|state| state.limit.clone()).collect();
        rate_limit_headers(&limits, &lefts).into()
    }

    /// Puts units back that were taken for a request which was not let through.
    pub fn refund(&mut self, taken: Taken) {
        if let Some(lease) = self.leases.iter_mut().find(|lease| lease.number == taken.lease) {
            lease.units = lease.units.saturating_add(taken.units);
        }
    }

    pub fn clock_stepped_back(&mut self) {
        for lease in &mut self.leases {
            lease.ends_at = Millis(i64::MIN);
        }
        self.denied = None;
        self.contact_at = None;
        self.answered_at = None;
        self.asked_at = None;
    }
}

/// Returns whole seconds, rounded up.
pub(crate) const fn seconds_of(milliseconds: i64) -> i64 {
    milliseconds.saturating_add(999) / 1_000
}
