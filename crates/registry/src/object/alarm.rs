//! The object's only alarm: set to the earliest of the next retry of copies, the next retry of events, and the next due work.

use super::host::{Level, ObjectHost};
use super::{FIRST_BACKOFF_MS, FetchError, LONGEST_BACKOFF_MS, RegistryObject};
use crate::due;

impl<H: ObjectHost> RegistryObject<H> {
    /// Handles the alarm: does what is due, then tells events and writes copies, which the due work may have queued. Sets the next alarm.
    /// Reports that wait for GitHub's keys are judged last, because their fetch may take seconds.
    pub async fn alarm(&self) {
        self.run_due_work();
        self.pass_on().await;
        if self.has_reports() {
            self.judge_reports().await;
            self.pass_on().await;
        }
    }

    /// Tells events and writes copies.
    async fn pass_on(&self) {
        if self.has_news() {
            self.tell_events().await;
        }
        self.drain().await;
    }

    /// Does a batch of each kind of due work. A kind that fails is logged and does not delay the others. It is retried with a backoff
    /// that doubles.
    fn run_due_work(&self) {
        let now = self.host.now();
        let mut failed = false;
        for work in self.work {
            if let Err(error) = self.with_store(|store| work.run_if_due(store, now)) {
                failed = true;
                let fields = [("work", work.name), ("cause", &error.to_string())];
                self.host.log(Level::Error, "due_work_failed", &fields);
            }
        }
        let backoff_ms = if failed { self.work_backoff_ms.get().saturating_mul(2) } else { FIRST_BACKOFF_MS };
        self.work_backoff_ms.set(backoff_ms.min(LONGEST_BACKOFF_MS));
    }

    /// Returns the time until the object needs its next alarm, in milliseconds; `None` if no copy, no event and no report is pending and no
    /// work will fall due. An alarm that finds nothing to do is harmless, so a store that fails counts as pending work.
    ///
    /// Work that is already due waits for its backoff, at least [`FIRST_BACKOFF_MS`], so work that fails does not keep the object busy.
    pub(super) fn next_alarm_ms(&self) -> Option<i64> {
        let copies = self.has_pending().then(|| self.copies.backoff_ms());
        let news = self.has_news().then(|| self.news.backoff_ms());
        let reports = self.has_reports().then(|| self.reports.backoff_ms());
        let soonest = self.work_backoff_ms.get();
        let work = match self.with_store(|store| due::earliest(store, self.work)) {
            Ok(due_at) => due_at.map(|due_at| due_at.since(self.host.now()).max(soonest)),
            Err(_) => Some(soonest),
        };
        copies.into_iter().chain(news).chain(reports).chain(work).min()
    }

    /// Sets the next alarm, if one is needed.
    pub(super) async fn set_alarm(&self) -> Result<(), FetchError> {
        let Some(after_ms) = self.next_alarm_ms() else { return Ok(()) };
        self.host.set_alarm(after_ms).await.map_err(|cause| {
            self.host.log(Level::Error, "alarm_failed", &[("cause", &cause)]);
            FetchError::Failed
        })
    }

    /// Sets the next alarm or, if none is needed, removes the one that is set.
    pub(super) async fn reset_alarm(&self) {
        match self.next_alarm_ms() {
            Some(after_ms) => {
                if let Err(cause) = self.host.set_alarm(after_ms).await {
                    self.host.log(Level::Error, "alarm_failed", &[("cause", &cause)]);
                }
            }
            // An alarm that is not deleted finds no work.
            None => drop(self.host.delete_alarm().await),
        }
    }
}
