//! The keys of one isolate that wait for the authority's answer.

use std::collections::{HashMap, VecDeque};

use keyward_http::limits::{UNKNOWN_LOOKUP_INTERVAL_MS, WAITING_KEYS};
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::MAX_LOOKUP_KEYS;

/// A lookup that takes longer no longer delays the next one: its answer is late, or the runtime cancelled it with its request.
const SLOW_AFTER_MS: i64 = 500;

/// A lookup older than this was cancelled; its keys are looked up again. Longer than both attempts of a read with the pause between.
const ABANDONED_AFTER_MS: i64 = 3_500;

/// Maximum number of lookups in flight, all but one of them slow.
const MAX_IN_FLIGHT: usize = 3;

/// Sizes of one isolate's lookups. The default is what ships; the simulator draws small ones, so that a small world reaches them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupSizes {
    /// Keys in one lookup, at most.
    pub batch: usize,
    /// Keys that wait at the same time, at most.
    pub waiting: usize,
    /// Minimum interval between two lookups of unknown keys alone, in milliseconds.
    pub unknown_interval_ms: i64,
}

impl Default for LookupSizes {
    fn default() -> Self {
        Self { batch: MAX_LOOKUP_KEYS, waiting: WAITING_KEYS, unknown_interval_ms: UNKNOWN_LOOKUP_INTERVAL_MS }
    }
}

/// What KV has of a key that the authority must be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KvCopy {
    /// An authentic copy: the key was issued.
    Authentic,
    /// No copy that can be trusted. The key may be new, or nobody's.
    Absent,
}

/// Keys that wait for the authority, and the lookups in flight: one, and up to two more while it is slow.
///
/// Keys with an authentic copy and all others wait apart, and each kind gets half of a lookup if both wait. So nobody who mints
/// keys with an old secret keeps issued keys waiting. Nor do they take all places: a quarter is for keys with an authentic copy.
#[derive(Default)]
pub(super) struct LookupQueue {
    sizes: LookupSizes,
    known: VecDeque<KeyId>,
    unknown: VecDeque<KeyId>,
    /// Every key that is queued or in flight.
    waiting: HashMap<KeyId, KvCopy>,
    in_flight: Vec<Batch>,
    started: u64,
    unknown_asked_at: Option<Millis>,
}

/// The keys of one lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    number: u64,
    pub ids: Vec<KeyId>,
    started_at: Millis,
}

impl Batch {
    fn is_younger_than(&self, milliseconds: i64, now: Millis) -> bool {
        (0..milliseconds).contains(&now.since(self.started_at))
    }
}

impl LookupQueue {
    pub fn new(sizes: LookupSizes) -> Self {
        Self { sizes, ..Self::default() }
    }

    /// Adds a key unless it waits already. Returns `false` if too many keys wait.
    pub fn push(&mut self, id: &KeyId, copy: KvCopy) -> bool {
        if self.waiting.contains_key(id) {
            return true;
        }
        let reserved = if copy == KvCopy::Absent { self.sizes.waiting / 4 } else { 0 };
        if self.waiting.len() >= self.sizes.waiting.saturating_sub(reserved) {
            return false;
        }
        self.waiting.insert(id.clone(), copy);
        self.queue(copy).push_back(id.clone());
        true
    }

    /// Whether a lookup is in flight and not abandoned.
    pub fn is_in_flight(&self, now: Millis) -> bool {
        self.in_flight.iter().any(|batch| batch.is_younger_than(ABANDONED_AFTER_MS, now))
    }

    /// Whether a key is queued or in flight.
    pub fn is_waiting(&self, id: &KeyId) -> bool {
        self.waiting.contains_key(id)
    }

    /// Starts the next lookup. `None` while one is in flight that is not slow, if no key waits, or if only unknown keys wait and a
    /// lookup of such keys started a moment ago.
    pub fn start(&mut self, now: Millis) -> Option<Batch> {
        let is_abandoned = |batch: &mut Batch| !batch.is_younger_than(ABANDONED_AFTER_MS, now);
        for batch in self.in_flight.extract_if(.., is_abandoned).collect::<Vec<_>>() {
            self.queue_again(batch);
        }
        let is_awaited = self.in_flight.iter().any(|batch| batch.is_younger_than(SLOW_AFTER_MS, now));
        if is_awaited || self.in_flight.len() >= MAX_IN_FLIGHT {
            return None;
        }
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
        self.started = self.started.wrapping_add(1);
        let batch = Batch { number: self.started, ids, started_at: now };
        self.in_flight.push(batch.clone());
        Some(batch)
    }

    /// Ends a lookup. Keys that the answer leaves out are first in the next one.
    pub fn finish<'a>(&mut self, batch: &Batch, answered: impl Iterator<Item = &'a KeyId>) {
        for id in answered {
            self.waiting.remove(id);
        }
        // An abandoned one has been queued again already.
        if let Some(at) = self.in_flight.iter().position(|known| known.number == batch.number) {
            let batch = self.in_flight.swap_remove(at);
            self.queue_again(batch);
        }
    }

    /// Puts the keys of a lookup that still wait in front of their queues.
    fn queue_again(&mut self, batch: Batch) {
        for id in batch.ids.into_iter().rev() {
            if let Some(copy) = self.waiting.get(&id).copied() {
                self.queue(copy).push_front(id);
            }
        }
    }

    /// Removes every key, in flight or queued: the authority is unreachable.
    pub fn fail(&mut self) {
        let Self { sizes, started, unknown_asked_at, .. } = *self;
        *self = Self { started, unknown_asked_at, ..Self::new(sizes) };
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

    /// Starts a lookup, which must ask about these keys.
    fn start(queue: &mut LookupQueue, at_ms: i64, numbers: &[usize]) -> Batch {
        let batch = queue.start(Millis(at_ms)).expect("a lookup starts");
        assert_eq!(batch.ids, numbers.iter().copied().map(id).collect::<Vec<_>>());
        batch
    }

    fn finish(queue: &mut LookupQueue, batch: &Batch) {
        queue.finish(batch, batch.ids.iter());
    }

    #[test]
    fn keys_wait_while_a_lookup_is_in_flight_and_share_the_next_one() {
        let mut queue = queue(0..1, 0..0);
        let first = start(&mut queue, 0, &[0]);
        assert!(queue.push(&id(1), KvCopy::Authentic));
        assert!(queue.push(&id(2), KvCopy::Absent));
        assert_eq!(queue.start(Millis(499)), None, "one is in flight");
        finish(&mut queue, &first);
        assert!(!queue.is_waiting(&id(0)));
        start(&mut queue, 2, &[1, 2]);
    }

    #[test]
    fn keys_that_were_issued_get_half_of_a_lookup_however_many_others_wait() {
        let mut queue = queue(0..3, 3..12);
        let first = start(&mut queue, 0, &[0, 1, 3, 4]);
        finish(&mut queue, &first);
        start(&mut queue, 1, &[2, 5, 6, 7]);
    }

    #[test]
    fn unknown_keys_alone_start_a_lookup_at_most_once_in_their_interval() {
        let mut queue = queue(0..0, 0..6);
        let first = start(&mut queue, 0, &[0, 1, 2, 3]);
        finish(&mut queue, &first);
        assert_eq!(queue.start(Millis(99)), None);
        let second = start(&mut queue, 100, &[4, 5]);
        finish(&mut queue, &second);
        assert!(queue.push(&id(6), KvCopy::Absent));
        assert!(queue.push(&id(7), KvCopy::Authentic));
        start(&mut queue, 101, &[7, 6]);
    }

    #[test]
    fn keys_that_an_answer_leaves_out_are_first_in_the_next_lookup() {
        let mut queue = queue(0..6, 0..0);
        let first = start(&mut queue, 0, &[0, 1, 2, 3]);
        queue.finish(&first, [id(0)].iter());
        start(&mut queue, 1, &[1, 2, 3, 4]);
    }

    #[test]
    fn a_slow_lookup_delays_other_keys_for_half_a_second_and_three_are_in_flight_at_most() {
        let mut queue = queue(0..1, 0..0);
        let slow = start(&mut queue, 0, &[0]);
        for (number, at_ms) in [(1, 500), (2, 1_000)] {
            assert!(queue.push(&id(number), KvCopy::Authentic));
            assert_eq!(queue.start(Millis(at_ms - 1)), None);
            start(&mut queue, at_ms, &[number]);
        }
        assert!(queue.push(&id(3), KvCopy::Authentic));
        assert_eq!(queue.start(Millis(2_000)), None, "three are in flight");
        finish(&mut queue, &slow);
        start(&mut queue, 2_000, &[3]);
    }

    #[test]
    fn an_abandoned_lookup_is_repeated_and_its_late_answer_counts() {
        let mut queue = queue(0..2, 0..0);
        let first = start(&mut queue, 0, &[0, 1]);
        assert_eq!(queue.start(Millis(3_499)), None);
        let second = start(&mut queue, 3_500, &[0, 1]);
        queue.finish(&first, [id(0)].iter());
        assert!(!queue.is_waiting(&id(0)));
        assert!(queue.is_waiting(&id(1)));
        finish(&mut queue, &second);
        assert!(!queue.is_waiting(&id(1)));
    }

    #[test]
    fn a_failed_lookup_leaves_no_key_waiting() {
        let mut queue = queue(0..1, 0..0);
        let failed = start(&mut queue, 0, &[0]);
        assert!(queue.push(&id(1), KvCopy::Absent));
        queue.fail();
        assert!(!queue.is_waiting(&id(0)) && !queue.is_waiting(&id(1)));
        assert_eq!(queue.start(Millis(1)), None);
        // The late answer to the failed one does not end the next one.
        assert!(queue.push(&id(2), KvCopy::Authentic));
        start(&mut queue, 2, &[2]);
        finish(&mut queue, &failed);
        assert!(queue.is_in_flight(Millis(3)));
    }

    #[test]
    fn the_number_of_waiting_keys_is_limited_and_a_key_waits_once() {
        let mut queue = queue(0..3, 3..12);
        assert!(!queue.push(&id(12), KvCopy::Absent));
        assert!(!queue.push(&id(12), KvCopy::Authentic));
        assert!(queue.push(&id(3), KvCopy::Absent), "it waits already");
    }

    #[test]
    fn keys_that_were_not_issued_leave_room_for_those_that_were() {
        let mut queue = queue(0..0, 0..9);
        assert!(!queue.push(&id(9), KvCopy::Absent));
        assert!((9..12).map(id).all(|id| queue.push(&id, KvCopy::Authentic)));
        assert!(!queue.push(&id(12), KvCopy::Authentic));
    }
}
