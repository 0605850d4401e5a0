//! Leases of limited keys in this isolate: spending units, and asking the objects for more.
//!
//! ```text
//! spend(limits, cost) ─► Granted      forward the request; its headers say what is left
//!                     ├► Renew        ask the group's shard: query → answer → apply, then spend again
//!                     ├► Refused      answer 429
//!                     └► Unreachable  answer 503: the object is unreachable and the grace has passed
//! ```
//!
//! Units are spent from leases, which end [`LEASE_MS`](keyward_protocol::lease::LEASE_MS) after the time at which the isolate asked. The object learns what is unspent with
//! the next query. While the object is unreachable, a group spends its part of the outage reserve.

mod group;
mod link;

pub(super) use group::seconds_of;
pub use group::{Exhausted, KeyLimits, Receipt};

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use group::GroupLeases;
use keyward_http::limits::VISITED_GROUPS;
use keyward_key::time::Millis;
use keyward_protocol::feed::CompactKeyId;
use keyward_protocol::lease::{LIMIT_SHARDS, LeaseAnswer, LeaseQuery, MAX_QUERY_GROUPS};
use link::Link;

/// Result of [`LeaseBook::spend`].
#[derive(Debug)]
pub enum Spend {
    /// The units are spent.
    Granted(Receipt),
    /// More units must be asked for.
    Renew,
    /// A limit is reached.
    Refused(Exhausted),
    /// The object is unreachable, and this isolate may not continue without it.
    Unreachable,
}

/// Circumstances of a request that spends units.
#[derive(Clone, Copy, Debug)]
pub struct Spending {
    /// Units that the request costs.
    pub cost: u64,
    /// Time by the isolate's clock.
    pub now: Millis,
    /// Time in milliseconds for which the isolate may continue while the object is unreachable.
    pub grace_ms: i64,
}

/// All leases of one isolate.
pub struct LeaseBook {
    groups: LruCache<CompactKeyId, GroupLeases>,
    shards: Vec<Shard>,
    is_renewal_due: bool,
}

/// What this isolate knows of one object.
#[derive(Default)]
struct Shard {
    link: Link,
    /// Groups to ask for.
    pending: Vec<CompactKeyId>,
}

impl LeaseBook {
    /// Creates an empty book of at most `capacity` groups.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let mut groups = LruCache::unbounded();
        groups.resize(NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN));
        Self { groups, shards: Vec::new(), is_renewal_due: false }
    }

    /// Spends the units of one request, if possible.
    pub fn spend(&mut self, limits: &Arc<KeyLimits>, spending: Spending) -> Spend {
        let group = self.groups.get_or_insert_mut(limits.group, || GroupLeases::new(limits));
        group.follow(limits);
        let link = self.shards.get(limits.shard as usize).map(|shard| shard.link).unwrap_or_default();
        let spent = group.spend(&link, spending);
        let asks_now = matches!(spent, Spend::Renew);
        let is_due = matches!(&spent, Spend::Granted(receipt) if receipt.renewal_due)
            || (link.may_retry(spending.now) && matches!(spent, Spend::Refused(_)) && link.is_down());
        if (asks_now || is_due) && !std::mem::replace(&mut group.is_pending, true) {
            if self.shards.is_empty() {
                self.shards.resize_with(LIMIT_SHARDS as usize, Shard::default);
            }
            if let Some(shard) = self.shards.get_mut(limits.shard as usize) {
                shard.pending.push(limits.group);
            }
        }
        self.is_renewal_due |= is_due;
        spent
    }

    /// Returns whether a request of this cost is refused by the answers received so far, without spending anything.
    #[must_use]
    pub fn refusal(&self, limits: &KeyLimits, spending: Spending) -> Option<Exhausted> {
        self.groups.peek(&limits.group)?.refusal(spending)
    }

    /// Puts back the units of a request that was not let through after all.
    pub fn refund(&mut self, receipt: &Receipt) {
        if let Some(taken) = receipt.taken
            && let Some(group) = self.groups.peek_mut(&taken.group)
        {
            group.refund(taken);
        }
    }

    /// Returns whether a renewal in the background became due, and forgets it.
    pub const fn take_renewal_due(&mut self) -> bool {
        std::mem::replace(&mut self.is_renewal_due, false)
    }

    /// Returns the shards that groups wait for.
    #[must_use]
    pub fn pending_shards(&self) -> Vec<u32> {
        (0_u32..).zip(&self.shards).filter(|(_, shard)| !shard.pending.is_empty()).map(|(number, _)| number).collect()
    }

    /// Returns the query for a shard, sent at `now`; `None` if no group needs it. Groups that would need units soon are added, so that the
    /// keys of a shard share one query instead of sending one each.
    pub fn query(&mut self, number: u32, isolate: u64, now: Millis, grace_ms: i64) -> Option<LeaseQuery> {
        let shard = self.shards.get_mut(number as usize)?;
        let count = shard.pending.len().min(MAX_QUERY_GROUPS);
        let mut asked: Vec<CompactKeyId> = shard.pending.drain(..count).collect();
        if !asked.is_empty() {
            let recent = self.groups.iter().take(VISITED_GROUPS);
            let early = recent.filter(|(_, group)| group.shard() == number && group.may_renew_early(now));
            asked.extend(early.map(|(id, _)| *id).take(MAX_QUERY_GROUPS.saturating_sub(count)));
        }
        let (epoch, object_at) = shard.link.evidence(now);
        let groups = &mut self.groups;
        let groups: Vec<_> =
            asked.iter().filter_map(|id| groups.peek_mut(id).map(|group| group.query(now, epoch))).collect();
        if groups.is_empty() {
            return None;
        }
        Some(LeaseQuery { isolate, asked_at: now, epoch, object_at, grace_ms, groups })
    }

    /// Applies the answer to a query that was sent at `asked_at` and received at `now`.
    pub fn apply(&mut self, shard: u32, answer: &LeaseAnswer, asked_at: Millis, now: Millis) {
        if let Some(shard) = self.shards.get_mut(shard as usize) {
            shard.link.answered(answer.epoch, answer.now, now);
        }
        for answered in &answer.groups {
            if let Some(group) = self.groups.peek_mut(&answered.group) {
                group.apply(answered, answer.epoch, asked_at, now);
            }
        }
    }

    /// Records at `now` that a shard did not answer a query. The same groups ask again with the next one.
    pub fn record_failure(&mut self, shard: u32, now: Millis) {
        if let Some(shard) = self.shards.get_mut(shard as usize) {
            shard.link.failed(now);
        }
    }

    /// Gives up everything whose time is measured from an earlier reading of the clock, which stepped back.
    pub fn clock_stepped_back(&mut self) {
        for (_, group) in &mut self.groups {
            group.clock_stepped_back();
        }
        for shard in &mut self.shards {
            shard.link = Link::default();
        }
    }
}
