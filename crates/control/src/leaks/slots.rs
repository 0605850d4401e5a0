//! Reports that one isolate handles at the same time. Each has its body in memory, of up to 1 MiB and in several copies, and anyone may send one.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use keyward_http::limits::LEAK_REPORTS_AT_ONCE;
use keyward_key::time::Millis;

/// Age in milliseconds at which a report counts as over. Its event may have been cancelled, which runs no code. It is longer than a body, GitHub's
/// list and the answers of the authority take together.
const CANCELLED_AFTER_MS: i64 = 60_000;

/// The reports of one receiver in one isolate, each with its start.
#[derive(Default)]
pub(super) struct Slots(RefCell<Vec<Weak<Millis>>>);

/// Permission to handle one report, until it is dropped.
pub(super) struct Slot {
    _began: Rc<Millis>,
}

impl Slots {
    /// Returns a slot; `None` if there are [`LEAK_REPORTS_AT_ONCE`] reports.
    pub fn take(&self, now: Millis) -> Option<Slot> {
        let mut taken = self.0.try_borrow_mut().ok()?;
        taken.retain(|slot| slot.upgrade().is_some_and(|began| (0..CANCELLED_AFTER_MS).contains(&now.since(*began))));
        if taken.len() >= LEAK_REPORTS_AT_ONCE {
            return None;
        }
        let began = Rc::new(now);
        taken.push(Rc::downgrade(&began));
        Some(Slot { _began: began })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_795_442_523_004);

    #[test]
    fn a_slot_is_free_again_when_it_is_dropped_or_its_event_was_cancelled() {
        let slots = Slots::default();
        let mut held: Vec<Slot> = (0..LEAK_REPORTS_AT_ONCE).filter_map(|_| slots.take(NOW)).collect();
        assert_eq!(held.len(), LEAK_REPORTS_AT_ONCE);
        assert!(slots.take(NOW).is_none());
        held.pop();
        held.extend(slots.take(NOW));
        assert_eq!(held.len(), LEAK_REPORTS_AT_ONCE);
        held.into_iter().for_each(std::mem::forget);
        assert!(slots.take(Millis(NOW.0 + CANCELLED_AFTER_MS - 1)).is_none());
        assert!(slots.take(Millis(NOW.0 + CANCELLED_AFTER_MS)).is_some());
    }
}
