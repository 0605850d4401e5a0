//! The limits of one group, what was granted, and who holds it.
//!
//! A grant is possible while the units that count, the outage reserve that isolates hold, and the granted units together do not exceed
//! any limit. What counts, and for how long, is in [`window`](super::window) and [`calendar`](super::calendar).

use keyward_key::limit::Span;
use keyward_key::time::Millis;
use keyward_protocol::lease::{GroupAnswer, GroupQuery, LEASE_MS, LimitState};

use super::Instant;
use super::counter::Counter;
use super::holder::Holder;
use super::window::Durations;

/// Time in milliseconds for which a row covers further grants. It names the units that may be granted until then without another write.
pub const HORIZON_MS: i64 = 5_000;

/// Maximum number of isolates of which a group keeps leases. Leases of further ones cannot be returned.
const MAX_HOLDERS: usize = 64;

/// Maximum number of counters: those of the current limits, and those of limits that were removed recently.
const MAX_COUNTERS: usize = 8;

/// An isolate that got more than another one waits for this part of the window's life longer.
const COURTESY_PARTS: i64 = 60;

/// Minimum time until a refused isolate asks again, in milliseconds.
pub(crate) const MIN_RETRY_MS: i64 = 100;

/// Permission to grant without another write: what the last row covers.
#[derive(Clone, Copy, Debug, Default)]
struct Covered {
    units: u64,
    written: Option<Instant>,
    granted_since: u64,
    is_exceeded: bool,
}

/// The isolate that asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// Its number.
    pub isolate: u64,
    /// Time in milliseconds for which it may continue without an answer.
    pub grace_ms: i64,
    /// Time of the query by its own clock.
    pub asked_at: Millis,
    /// Whether this instance of the object answered it before. What it reports is then about this instance.
    pub knows_instance: bool,
}

/// One limit group.
#[derive(Clone, Debug)]
pub struct Group {
    pub(crate) revision: u64,
    pub(crate) counters: Vec<Counter>,
    pub(crate) holders: Vec<Holder>,
    covered: Covered,
    last_lease: u64,
    /// Time of the last query.
    pub(crate) used_at: i64,
}

impl Group {
    /// Creates a group of which nothing was granted.
    #[must_use]
    pub fn new(revision: u64) -> Self {
        Self {
            revision,
            counters: Vec::new(),
            holders: Vec::new(),
            covered: Covered::default(),
            last_lease: 0,
            used_at: 0,
        }
    }

    /// Numbers its leases from the start of a block of 2^32. Each time that an instance loads a group it uses another block, because an
    /// isolate may return a lease that it got before the group was dropped from memory.
    #[must_use]
    pub fn with_lease_block(self, block: u64) -> Self {
        Self { last_lease: block.saturating_mul(1 << 32), ..self }
    }

    /// Answers an isolate's query. [`Self::needs_write`] then says whether a row must be written before the answer is sent.
    pub fn answer(&mut self, query: &GroupQuery, asker: Asker, at: Instant) -> GroupAnswer {
        self.used_at = at.now;
        self.follow(query);
        self.expire(at);
        let (position, contact) = self.contact(asker, at);
        self.take_back(position, query, (asker, contact), at);
        let available = self.available(at);
        let units = if query.need > available { 0 } else { available.min(self.share(position, query, available)) };
        let lease = self.grant(position, units, at);
        let reserve_given = self.top_up(position, at);
        let retry_in_ms = (query.need > units)
            .then(|| self.retry_in_ms(query.need, at).saturating_add(self.courtesy_ms(position, at)));
        if let Some(holder) = position.and_then(|position| self.holders.get_mut(position)) {
            holder.is_short = units < query.wanted.max(query.need);
            let wait_ms = retry_in_ms.unwrap_or_default().saturating_add(LEASE_MS.saturating_mul(2));
            holder.active_until = at.now.saturating_add(wait_ms);
        }
        let limits = self.states(query.need.max(1), retry_in_ms.is_some(), at);
        GroupAnswer { group: query.group, lease, units, reserve_given, limits, retry_in_ms }
    }

    /// Applies the limits of the query, unless those of a later revision apply.
    fn follow(&mut self, query: &GroupQuery) {
        if query.revision < self.revision && !keyward_fault::fault!("an older record's limits are applied") {
            return;
        }
        self.revision = query.revision.max(self.revision);
        for counter in &mut self.counters {
            counter.applies = false;
        }
        for limit in &query.limits {
            match self.counters.iter_mut().find(|counter| counter.limit.name() == limit.name()) {
                Some(counter) => counter.follow(limit),
                None => self.counters.push(Counter::new(limit.clone())),
            }
        }
        self.counters.retain(|counter| counter.applies || !counter.is_empty());
        while self.counters.len() > MAX_COUNTERS {
            let Some(removed) = self.counters.iter().position(|counter| !counter.applies) else { break };
            self.counters.remove(removed);
        }
    }

    /// Stops counting what no longer counts, and forgets isolates that neither compete nor hold a reserve.
    fn expire(&mut self, at: Instant) {
        for counter in &mut self.counters {
            counter.expire(at.now);
        }
        let counters = &self.counters;
        self.holders.retain(|holder| {
            let may_count = |counter: &Counter| counter.may_count_reserve(holder, at);
            holder.active_until >= at.now || (holder.outstanding() > 0 && counters.iter().any(may_count))
        });
    }

    /// Records the contact. Returns the position of the isolate's holder, `None` if there are too many, and the contact before.
    fn contact(&mut self, asker: Asker, at: Instant) -> (Option<usize>, Instant) {
        let Asker { isolate, grace_ms, .. } = asker;
        let life_ms = self.life_ms();
        let known = self.holders.iter().position(|holder| holder.isolate == Some(isolate));
        if known.is_none() && self.holders.len() >= MAX_HOLDERS {
            return (None, at);
        }
        if known.is_none() {
            self.holders.push(Holder::new(Some(isolate), at, grace_ms));
        }
        let position = known.or_else(|| self.holders.len().checked_sub(1));
        let Some(holder) = position.and_then(|position| self.holders.get_mut(position)) else { return (None, at) };
        holder.grace_ms = grace_ms;
        let before = holder.contact;
        holder.contacted(at, life_ms);
        (position, before)
    }

    /// Takes back what the isolate will not spend, and counts what it has spent of the reserve since its contact before.
    fn take_back(
        &mut self,
        position: Option<usize>,
        query: &GroupQuery,
        (asker, contact): (Asker, Instant),
        at: Instant,
    ) {
        let Some(holder) = position.and_then(|position| self.holders.get_mut(position)) else { return };
        let is_latest = holder.asked(asker.asked_at);
        let spent = match query.reserve_known {
            Some(known) if is_latest => holder.report(known, query.reserve_spent),
            // It had no room for this group's leases meanwhile, or the answer that gave them was lost.
            None if is_latest
                && asker.knows_instance
                && !keyward_fault::fault!("a forgotten reserve is given again") =>
            {
                holder.forget()
            }
            _ => 0,
        };
        let returned: Vec<_> = query.returned.iter().filter_map(|returned| holder.take_back(*returned)).collect();
        for counter in &mut self.counters {
            for (granted, units) in &returned {
                counter.give_back(*granted, *units);
            }
        }
        if !keyward_fault::fault!("a spent reserve is not counted") {
            // Spent since the contact before, so perhaps in another period.
            self.charge(contact, at.now.saturating_sub(contact.now).saturating_add(LEASE_MS), spent);
        }
        self.cover(spent);
    }

    /// Counts units that may be spent within a time.
    pub(crate) fn charge(&mut self, at: Instant, within_ms: i64, units: u64) {
        if units == 0 {
            return;
        }
        for counter in &mut self.counters {
            counter.add(at, within_ms, units);
        }
    }

    /// Returns the units that may be granted.
    fn available(&self, at: Instant) -> u64 {
        let held = self.held();
        self.applied().map(|counter| counter.left(held, at)).min().unwrap_or_default()
    }

    fn applied(&self) -> impl Iterator<Item = &Counter> {
        self.counters.iter().filter(|counter| counter.applies)
    }

    /// Returns the units of the outage reserve that isolates may still spend.
    pub(crate) fn held(&self) -> u64 {
        self.holders.iter().fold(0, |sum, holder| sum.saturating_add(holder.outstanding()))
    }

    /// Returns the largest grant that is fair to the other isolates: each grant is a part of what is left, and a smaller one while another
    /// isolate waits.
    fn share(&self, position: Option<usize>, query: &GroupQuery, available: u64) -> u64 {
        let others = self.holders.iter().enumerate().filter(|(other, holder)| {
            Some(*other) != position && holder.isolate.is_some() && holder.active_until >= self.used_at
        });
        let (mut active, mut is_awaited) = (1_u64, false);
        for (_, holder) in others {
            active = active.saturating_add(1);
            is_awaited |= holder.is_short;
        }
        let parts = if is_awaited { active.saturating_mul(4) } else { active.saturating_add(1) };
        let part = available.checked_div(parts).unwrap_or_default();
        query.need.max(query.wanted.min(part.max(1)))
    }

    /// Returns the longest time for which a grant counts in a window; a minute without a window.
    fn life_ms(&self) -> i64 {
        let life = |counter: &Counter| match counter.limit.span() {
            Span::Seconds(seconds) => Some(Durations::of(seconds).life_ms),
            Span::Period(_) => None,
        };
        self.applied().filter_map(life).max().unwrap_or(60_000)
    }

    /// Returns the time in milliseconds by which an isolate asks later than another that waits too and got less.
    fn courtesy_ms(&self, position: Option<usize>, at: Instant) -> i64 {
        let life_ms = self.life_ms();
        let Some(own) = position.and_then(|position| self.holders.get(position)) else { return 0 };
        let own_taken = own.taken(at.now, life_ms);
        let got_less = |holder: &Holder| {
            holder.is_short && holder.active_until >= at.now && holder.taken(at.now, life_ms) < own_taken
        };
        if self.holders.iter().any(got_less) { MIN_RETRY_MS.max(life_ms / COURTESY_PARTS) } else { 0 }
    }

    fn grant(&mut self, position: Option<usize>, units: u64, at: Instant) -> u64 {
        if units == 0 {
            return 0;
        }
        self.last_lease = self.last_lease.saturating_add(1);
        self.charge(at, LEASE_MS, units);
        self.cover(units);
        if let Some(holder) = position.and_then(|position| self.holders.get_mut(position)) {
            holder.hold(self.last_lease, units, at);
        }
        self.last_lease
    }

    /// Gives the isolate a part of the outage reserve if it has none, and takes back what lowered limits no longer allow. Returns the units
    /// given to it so far.
    fn top_up(&mut self, position: Option<usize>, at: Instant) -> u64 {
        let reserve = self.applied().map(Counter::reserve).min().unwrap_or_default();
        let held = self.held();
        let part = reserve.saturating_sub(held).div_ceil(2).min(self.available(at));
        let part = if keyward_fault::fault!("the reserve is given without room for it") { reserve } else { part };
        let Some(holder) = position.and_then(|position| self.holders.get_mut(position)) else { return 0 };
        if held > reserve {
            let by_others = held.saturating_sub(holder.outstanding());
            holder.lower(reserve.saturating_sub(by_others));
        }
        if holder.outstanding() > 0 || part == 0 {
            return holder.given();
        }
        let given = holder.give(part);
        // The next row must name it, because it outlives the horizon.
        self.covered.is_exceeded = true;
        given
    }

    /// Returns the time in milliseconds until `need` units may be available.
    fn retry_in_ms(&self, need: u64, at: Instant) -> i64 {
        let held = self.held();
        let wait = |counter: &Counter| {
            need.checked_sub(counter.left(held, at))
                .filter(|missing| *missing > 0)
                .map(|missing| counter.free_in_ms(at, missing))
        };
        self.applied().filter_map(wait).max().unwrap_or_default().max(MIN_RETRY_MS)
    }

    fn states(&mut self, need: u64, is_refused: bool, at: Instant) -> Vec<LimitState> {
        let held = self.held();
        let state = |counter: &mut Counter| {
            let remaining = counter.left(held, at);
            let violated = is_refused && remaining < need;
            LimitState {
                limit: counter.limit.clone(),
                remaining,
                reset_in_ms: if counter.is_empty() { 0 } else { counter.free_in_ms(at, 1) },
                violated,
                announce: violated && counter.announce(at.now),
            }
        };
        self.counters.iter_mut().filter(|counter| counter.applies).map(state).collect()
    }

    fn cover(&mut self, units: u64) {
        self.covered.granted_since = self.covered.granted_since.saturating_add(units);
        match self.covered.units.checked_sub(units) {
            Some(left) => self.covered.units = left,
            None => {
                self.covered.units = 0;
                self.covered.is_exceeded = true;
            }
        }
    }

    /// Returns whether a row must be written before the last answer is sent.
    #[must_use]
    pub fn needs_write(&self, at: Instant) -> bool {
        self.covered.is_exceeded || (self.covered.granted_since > 0 && !self.is_within(HORIZON_MS, at))
    }

    /// Returns the units that the next row covers in advance: twice what was granted since the last one if that was recent.
    #[must_use]
    pub fn advance(&self, at: Instant) -> u64 {
        let is_recent = self.is_within(HORIZON_MS.saturating_mul(2), at);
        if is_recent { self.covered.granted_since.saturating_mul(2) } else { 0 }
    }

    /// Returns whether the last row was written within this time by the object's time and by the host's clock. The former may run slow.
    fn is_within(&self, duration_ms: i64, at: Instant) -> bool {
        self.covered.written.is_some_and(|written| {
            at.now.saturating_sub(written.now) < duration_ms && (0..duration_ms).contains(&at.utc.since(written.utc))
        })
    }

    /// Records that a row was written that covers `units` more until the horizon.
    pub const fn written(&mut self, units: u64, at: Instant) {
        self.covered = Covered { units, written: Some(at), granted_since: 0, is_exceeded: false };
    }
}
