//! The keys of one isolate that wait for the authority's answer.

use std::collections::{HashMap, VecDeque};

use super::isolate::is_recent;
use keyward_http::limits::{UNKNOWN_LOOKUP_INTERVAL_MS, WAITING_KEYS};
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::MAX_LOOKUP_KEYS;

/// Sizes of one isolate's lookups. Production uses the default; the simulator uses small random sizes to reach the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupSizes {
    /// Maximum number of keys in one lookup.
    pub batch: usize,
    /// Maximum number of keys that wait at the same time.
    pub waiting: usize,
    /// Minimum interval between two lookups that contain only unknown keys, in milliseconds.
    pub unknown_interval_ms: i64,
}

impl Default for LookupSizes {
    fn default() -> Self {
        Self { batch: MAX_LOOKUP_KEYS, waiting: WAITING_KEYS, unknown_interval_ms: UNKNOWN_LOOKUP_INTERVAL_MS }
    }
}

/// State of the KV copy of a key that needs a query to the authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KvCopy {
    /// An authentic copy: the key was issued.
    Authentic,
    /// No copy that can be trusted. The key may be new, or may never have been issued.
    Absent,
}

/// Keys that wait for the authority, and the one lookup in flight.
///
/// Keys with an authentic copy wait in one queue and all others in a second. If both queues have keys, each fills half of a lookup, so
/// that an attacker who mints keys with an old secret cannot delay issued keys.
#[derive(Default)]
pub(super) struct LookupQueue {
    sizes: LookupSizes,
    known: VecDeque<KeyId>,
    unknown: VecDeque<KeyId>,
    /// All keys that are queued or in flight.
    waiting: HashMap<KeyId, KvCopy>,
    in_flight: Option<Batch>,
    unknown_asked_at: Option<Millis>,
}

struct Batch {
    ids: Vec<KeyId>,
    started_at: Millis,
}

impl LookupQueue {
    pub fn new(sizes: LookupSizes) -> Self {
        Self { sizes, ..Self::default() }
    }

    /// Adds a key unless it is already waiting. Returns `false` if too many keys wait.
    pub fn push(&mut self, id: &KeyId, copy: KvCopy) -> bool {
        if self.waiting.contains_key(id) {
            return true;
        }
        if self.waiting.len() >= self.sizes.waiting {
            return false;
        }
        self.waiting.insert(id.clone(), copy);
        self.queue(copy).push_back(id.clone());
        true
    }

    /// Returns whether a lookup is in flight and not abandoned.
    pub fn is_in_flight(&self, now: Millis) -> bool {
        self.in_flight.as_ref().is_some_and(|batch| is_recent(batch.started_at, now))
    }

    /// Returns whether a key is queued or in flight.
    pub fn is_waiting(&self, id: &KeyId) -> bool {
        self.waiting.contains_key(id)
    }

    /// Starts the next lookup. `None` while a lookup is in flight, if no key waits, or if only unknown keys wait and their last lookup
    /// started less than the minimum interval ago.
    pub fn start(&mut self, now: Millis) -> Option<Vec<KeyId>> {
        if self.is_in_flight(now) {
            return None;
        }
        // The runtime cancelled the older lookup with its request. Requests that still wait for its keys add them again.
        self.finish(std::iter::empty());
        let is_early = |at: Millis| (0..self.sizes.unknown_interval_ms).contains(&now.since(at));
        if self.known.is_empty() && self.unknown_asked_at.is_some_and(is_early) {
            return None;
        }
        let half = self.sizes.batch / 2;
        let known = self.known.len().min(self.sizes.batch.saturating_sub(self.unknown.len().min(half)));
        let unknown = self.unknown.len().min(self.sizes.batch.saturating_sub(known));
        let ids: Vec<KeyId> = self.known.drain(..known).chain(self.unknown.drain(..unknown)).collect();
        if ids.is_empty() {
            return None;
        }
        if unknown > 0 {
            self.unknown_asked_at = Some(now);
        }
        self.in_flight = Some(Batch { ids: ids.clone(), started_at: now });
        Some(ids)
    }

    /// Ends the lookup in flight. Keys that the answer omits come first in the next lookup.
    pub fn finish<'a>(&mut self, answered: impl Iterator<Item = &'a KeyId>) {
        for id in answered {
            self.waiting.remove(id);
        }
        for id in self.in_flight.take().map(|batch| batch.ids).unwrap_or_default().into_iter().rev() {
            if let Some(copy) = self.waiting.get(&id).copied() {
                self.queue(copy).push_front(id);
            }
        }
    }

    /// Removes all keys, queued and in flight, because the authority is unreachable.
    pub fn fail(&mut self) {
        *self = Self { unknown_asked_at: self.unknown_asked_at, ..Self::new(self.sizes) };
    }

    const fn queue(&mut self, copy: KvCopy) -> &mut VecDeque<KeyId> {
        match copy {
            KvCopy::Authentic => &mut self.known,
            KvCopy::Absent => &mut self.unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: LookupSizes = LookupSizes { batch: 4, waiting: 12, unknown_interval_ms: 100 };

    fn id(number: usize) -> KeyId {
        KeyId::parse(&format!("wafl_live_{number:012}")).unwrap()
    }

    fn queue(known: std::ops::Range<usize>, unknown: std::ops::Range<usize>) -> LookupQueue {
        let mut queue = LookupQueue::new(SIZES);
        assert!(unknown.map(id).all(|id| queue.push(&id, KvCopy::Absent)));
        assert!(known.map(id).all(|id| queue.push(&id, KvCopy::Authentic)));
        queue
    }

    fn ids(numbers: &[usize]) -> Option<Vec<KeyId>> {
        Some(numbers.iter().copied().map(id).collect())
    }

    #[test]
    fn keys_wait_while_a_lookup_is_in_flight_and_share_the_next_one() {
        let mut queue = queue(0..1, 0..0);
        assert_eq!(queue.start(Millis(0)), ids(&[0]));
        assert!(queue.push(&id(1), KvCopy::Authentic));
        assert!(queue.push(&id(2), KvCopy::Absent));
        assert_eq!(queue.start(Millis(1)), None, "one is in flight");
        queue.finish([id(0)].iter());
        assert!(!queue.is_waiting(&id(0)));
        assert_eq!(queue.start(Millis(2)), ids(&[1, 2]));
    }

    #[test]
    fn keys_that_were_issued_get_half_of_a_lookup_however_many_others_wait() {
        let mut queue = queue(0..3, 3..12);
        assert_eq!(queue.start(Millis(0)), ids(&[0, 1, 3, 4]));
        queue.finish([id(0), id(1), id(3), id(4)].iter());
        assert_eq!(queue.start(Millis(1)), ids(&[2, 5, 6, 7]));
    }

    #[test]
    fn unknown_keys_alone_start_a_lookup_at_most_once_in_their_interval() {
        let mut queue = queue(0..0, 0..6);
        assert_eq!(queue.start(Millis(0)), ids(&[0, 1, 2, 3]));
        queue.finish([id(0), id(1), id(2), id(3)].iter());
        assert_eq!(queue.start(Millis(99)), None);
        assert_eq!(queue.start(Millis(100)), ids(&[4, 5]));
        queue.finish([id(4), id(5)].iter());
        assert!(queue.push(&id(6), KvCopy::Absent));
        assert!(queue.push(&id(7), KvCopy::Authentic));
        assert_eq!(queue.start(Millis(101)), ids(&[7, 6]), "an issued key does not wait for the interval");
    }

    #[test]
    fn keys_that_an_answer_leaves_out_are_first_in_the_next_lookup() {
        let mut queue = queue(0..6, 0..0);
        assert_eq!(queue.start(Millis(0)), ids(&[0, 1, 2, 3]));
        queue.finish([id(0)].iter());
        assert_eq!(queue.start(Millis(1)), ids(&[1, 2, 3, 4]));
    }

    #[test]
    fn an_abandoned_lookup_is_repeated_and_a_failed_one_leaves_nobody_waiting() {
        let mut queue = queue(0..1, 0..0);
        assert_eq!(queue.start(Millis(0)), ids(&[0]));
        assert_eq!(queue.start(Millis(5_999)), None);
        assert_eq!(queue.start(Millis(6_000)), ids(&[0]));
        assert!(queue.push(&id(1), KvCopy::Absent));
        queue.fail();
        assert!(!queue.is_waiting(&id(0)) && !queue.is_waiting(&id(1)));
        assert_eq!(queue.start(Millis(6_001)), None);
    }

    #[test]
    fn the_number_of_waiting_keys_is_limited_and_a_key_waits_once() {
        let mut queue = queue(0..6, 6..12);
        assert!(!queue.push(&id(12), KvCopy::Absent));
        assert!(!queue.push(&id(12), KvCopy::Authentic));
        assert!(queue.push(&id(3), KvCopy::Absent), "it waits already");
    }
}
