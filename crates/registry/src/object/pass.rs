//! Passes over pending work that wait for another system: one call at a time makes a pass, and the alarm retries it after a failure.

use std::cell::Cell;
use std::future::Future;

use super::host::{Level, ObjectHost};
use super::{FIRST_BACKOFF_MS, LONGEST_BACKOFF_MS, PASS_TIMEOUT_MS, RegistryObject};
use crate::store::{Store, StoreError};
use keyward_key::time::Millis;

/// One kind of pass.
pub(super) struct Pass {
    /// Event in the log after a failure.
    event: &'static str,
    started_at: Cell<Option<Millis>>,
    /// Pause before a retry.
    backoff_ms: Cell<i64>,
}

impl Pass {
    /// Creates the bookkeeping of a pass that logs this event when it fails.
    pub const fn with_event(event: &'static str) -> Self {
        Self { event, started_at: Cell::new(None), backoff_ms: Cell::new(FIRST_BACKOFF_MS) }
    }

    /// Returns the pause before the next retry, in milliseconds.
    pub const fn backoff_ms(&self) -> i64 {
        self.backoff_ms.get()
    }

    /// Begins a pass at `now`. Returns `false` while another call makes one.
    fn begin(&self, now: Millis) -> bool {
        // After a step back of the clock, the running pass counts from the new time.
        let running_since = self.started_at.get().map(|started_at| started_at.min(now));
        let is_running = running_since.is_some_and(|started_at| now.since(started_at) < PASS_TIMEOUT_MS);
        self.started_at.set(if is_running { running_since } else { Some(now) });
        !is_running
    }

    /// Ends the pass, and doubles the pause after a failure.
    fn end(&self, succeeded: bool) {
        self.started_at.set(None);
        let doubled = self.backoff_ms.get().saturating_mul(2).min(LONGEST_BACKOFF_MS);
        self.backoff_ms.set(if succeeded { FIRST_BACKOFF_MS } else { doubled });
    }
}

impl<H: ObjectHost> RegistryObject<H> {
    /// Makes a pass, unless another call makes one of its kind. After a failure the alarm retries, with a backoff that doubles. Sets the
    /// next alarm in every case: the alarm that triggered this call is used up, and a running pass may end with this instance, or have
    /// read its last row already.
    pub(super) async fn make(&self, pass: &Pass, work: impl Future<Output = Result<(), String>>) {
        if pass.begin(self.host.now()) {
            let done = work.await;
            pass.end(done.is_ok());
            if let Err(cause) = done {
                let fields = [("cause", cause.as_str()), ("retry_in_ms", &pass.backoff_ms().to_string())];
                self.host.log(Level::Warn, pass.event, &fields);
            }
        }
        self.reset_alarm().await;
    }

    /// Runs a step of a pass on the store. A failure is the cause that the pass logs.
    pub(super) fn stored<T>(&self, work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError>) -> Result<T, String> {
        self.with_store(work).map_err(|error| error.to_string())
    }
}
