//! Reports to the authority that are sent after the answer.

use super::exposures;
use super::isolate::Isolate;
use super::platform::{Level, Platform};
use super::registry::{self, Unreachable};
use keyward_protocol::{ExposureReport, LeakReport, PendingReport, Request, Response};

/// Pause before a leak report that did not arrive is sent again, in milliseconds.
const RETRY_MS: u32 = 1_000;

/// A report that the caller of the isolate sends in the background, with [`send`].
#[derive(Debug)]
pub enum BackgroundReport {
    /// Keys that a refused request exposed.
    Exposure(Box<ExposureReport>),
    /// Leaked keys that a stranger reported.
    Leak(Box<LeakReport>),
    /// A report of GitHub that cannot be verified yet.
    Pending(Box<PendingReport>),
}

/// Sends a report to the authority.
pub async fn send(isolate: &Isolate, platform: &impl Platform, report: BackgroundReport) {
    match report {
        BackgroundReport::Exposure(report) => exposures::send(isolate, platform, report).await,
        BackgroundReport::Leak(report) => {
            let request_id = report.request.request_id.clone();
            send_leak(platform, Request::Leak(report), &request_id).await;
        }
        BackgroundReport::Pending(report) => {
            let request_id = report.request.request_id.clone();
            send_leak(platform, Request::KeepReport(report), &request_id).await;
        }
    }
}

/// Sends a leak report, and once more if it does not arrive: its sender already has the answer. A report that arrives twice does what it does
/// once.
async fn send_leak(platform: &impl Platform, request: Request, request_id: &str) {
    for is_last in [false, true] {
        let cause = match registry::ask(platform, &request).await {
            Ok(Response::Reported) => return,
            Ok(_) => "the registry answered another query".to_owned(),
            Err(Unreachable(cause)) => cause,
        };
        let level = if is_last { Level::Error } else { Level::Warn };
        platform.log(level, "leak_report_failed", &[("cause", &cause), ("request_id", request_id)]);
        if !is_last {
            platform.pause(RETRY_MS).await;
        }
    }
}
