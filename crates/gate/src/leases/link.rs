//! Connection to one object: whether it answers, and its time.

use keyward_key::time::Millis;

/// Backoff after a failed query, in milliseconds, so that in an outage not every request waits for a timeout.
const BACKOFF_MS: i64 = 1_000;

/// What this isolate knows of one object.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Link {
    /// Instance of the object that answered last, and its time minus this isolate's, at least.
    instance: Option<(u64, i64)>,
    failed_at: Option<Millis>,
}

impl Link {
    /// Returns whether the last query failed.
    pub const fn is_down(&self) -> bool {
        self.failed_at.is_some()
    }

    /// Returns whether the object may be asked, which is not the case during the backoff.
    pub fn may_retry(&self, now: Millis) -> bool {
        self.failed_at.is_none_or(|failed_at| !(0..BACKOFF_MS).contains(&now.since(failed_at)))
    }

    pub const fn failed(&mut self, now: Millis) {
        self.failed_at = Some(now);
    }

    /// Records an answer that arrived at `now`. Its time of the object had passed by then.
    pub fn answered(&mut self, epoch: u64, object_now: i64, now: Millis) {
        let offset = object_now.saturating_sub(now.0);
        let offset = match self.instance {
            Some((known, best)) if known == epoch => best.max(offset),
            _ => offset,
        };
        self.instance = Some((epoch, offset));
        self.failed_at = None;
    }

    /// Returns the instance that answered last, and a lower bound of its time at `now`.
    pub fn evidence(&self, now: Millis) -> (Option<u64>, Option<i64>) {
        match self.instance {
            Some((epoch, offset)) => (Some(epoch), Some(now.0.saturating_add(offset))),
            None => (None, None),
        }
    }
}
