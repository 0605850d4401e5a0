//! Judges GitHub's reports that came while its list of keys was not available.

use super::RegistryObject;
use super::host::{Judged, Level, ObjectHost};
use crate::leaks;
use crate::pending_reports::{self, KEPT_MS, Waiting};
use keyward_protocol::PendingReport;

impl<H: ObjectHost> RegistryObject<H> {
    /// Judges every report that waits, the oldest first, until GitHub's list is not available. Only one call does so at a time.
    pub(super) async fn judge_reports(&self) {
        self.make(&self.reports, self.judge_all()).await;
    }

    async fn judge_all(&self) -> Result<(), String> {
        while let Some(Waiting { digest, received_at }) = self.stored(pending_reports::oldest)? {
            if self.host.now().since(received_at) >= KEPT_MS {
                self.drop_report(&digest, "GitHub's list was not available for a day", None)?;
                continue;
            }
            let Some(report) = self.stored(|store| pending_reports::find(store, &digest))? else {
                self.drop_report(&digest, "the stored report is malformed", None)?;
                continue;
            };
            match self.host.judge(&report).await {
                Judged::Later(cause) => return Err(cause),
                Judged::Invalid(cause) => self.drop_report(&digest, cause, Some(&report))?,
                Judged::Genuine(found) => {
                    let policy = &self.settings.as_ref().ok_or("misconfigured")?.policy;
                    let now = self.host.now();
                    // A report that arrives twice does what it does once, so it is deleted last.
                    for report in &found {
                        self.stored(|store| leaks::report(store, report, policy, now))?;
                    }
                    self.stored(|store| pending_reports::delete(store, &digest))?;
                }
            }
        }
        Ok(())
    }

    fn drop_report(&self, digest: &str, cause: &str, report: Option<&PendingReport>) -> Result<(), String> {
        self.stored(|store| pending_reports::delete(store, digest))?;
        let request_id = report.map_or("", |report| report.request.request_id.as_str());
        self.host.log(Level::Warn, "leak_report_dropped", &[("cause", cause), ("request_id", request_id)]);
        Ok(())
    }

    /// Returns whether a report waits. Also `true` if the store fails, because an unnecessary alarm is harmless.
    pub(super) fn has_reports(&self) -> bool {
        self.with_store(pending_reports::is_any).unwrap_or(true)
    }
}
