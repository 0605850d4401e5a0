//! What one isolate keeps of the gate's matters.

use std::cell::{RefCell, RefMut};

use keyward_gate::{Gate, GateSizes};
use keyward_key::id::KeyId;
use keyward_key::time::Millis;

/// An asking that has taken longer was cut off by the runtime with the request that began it, and is not waited for. Longer than all
/// time limits together.
const ABANDONED_AFTER_MILLIS: i64 = 6_000;

/// What is being asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// What the authority has changed.
    Changes,
    /// A key.
    Key(KeyId),
}

/// The gate, and which askings are under way.
pub struct Isolate {
    /// Borrowed for one step at a time, never across an await.
    gate: RefCell<Gate>,
    /// A list: few are under way at once, and the code of a map is 2 KB of the wasm, gzipped.
    asking: RefCell<Vec<(Subject, Millis)>>,
}

impl Isolate {
    /// Creates an isolate with an empty gate; `jitter` is a random byte.
    #[must_use]
    pub fn new(sizes: GateSizes, jitter: u8) -> Self {
        Self { gate: RefCell::new(Gate::new(sizes, jitter)), asking: RefCell::default() }
    }

    /// The gate, for one step. `None` only if a step is under way, which never lasts.
    pub fn gate(&self) -> Option<RefMut<'_, Gate>> {
        self.gate.try_borrow_mut().ok()
    }

    /// Whether this request shall ask: not while another one is asking.
    pub(super) fn begin(&self, subject: &Subject, now: Millis) -> bool {
        if self.is_asking(subject, now) {
            return false;
        }
        if let Ok(mut asking) = self.asking.try_borrow_mut() {
            asking.retain(|(asked, since)| asked != subject && is_under_way(*since, now));
            asking.push((subject.clone(), now));
        }
        true
    }

    /// Notes that the asking under way gets on: it may have more to ask than one time limit allows.
    pub(super) fn go_on(&self, subject: &Subject, now: Millis) {
        if let Ok(mut asking) = self.asking.try_borrow_mut()
            && let Some((_, since)) = asking.iter_mut().find(|(asked, _)| asked == subject)
        {
            *since = now;
        }
    }

    /// Notes that the asking has ended.
    pub(super) fn end(&self, subject: &Subject) {
        if let Ok(mut asking) = self.asking.try_borrow_mut() {
            asking.retain(|(asked, _)| asked != subject);
        }
    }

    /// Whether somebody is asking, and not for longer than any asking takes: that one was cancelled with its client.
    pub(super) fn is_asking(&self, subject: &Subject, now: Millis) -> bool {
        let Ok(asking) = self.asking.try_borrow() else { return false };
        asking.iter().any(|(asked, since)| asked == subject && is_under_way(*since, now))
    }
}

fn is_under_way(since: Millis, now: Millis) -> bool {
    (0..ABANDONED_AFTER_MILLIS).contains(&now.since(since))
}
