//! Reports to the authority that are sent after the answer.

use super::exposures;
use super::isolate::Isolate;
use super::platform::{Level, Platform};
use super::registry::{self, Unreachable};
use keyward_config::Config;
use keyward_gate::Refusal;
use keyward_http::head::Head;
use keyward_key::id::KeyId;
use keyward_protocol::{ExposureReport, LeakReport, LimitedReport, PendingReport, Request, Response};

/// Pause before a report that did not arrive is sent again, in milliseconds.
const RETRY_MS: u32 = 1_000;

/// A report that the caller of the isolate sends in the background, with [`send`].
#[derive(Debug)]
pub enum BackgroundReport {
    /// Keys that a refused request exposed.
    Exposure(Box<ExposureReport>),
    /// Leaked keys that a stranger reported.
    Leak(Box<LeakReport>),
    /// Limits of a key that were reached.
    Limited(Box<LimitedReport>),
    /// A report of GitHub that cannot be verified yet.
    Pending(Box<PendingReport>),
}

/// Returns the report about a refused request, to be sent with [`send`] after the answer: it exposed a key, or reached a limit of its key.
pub fn about(
    isolate: &Isolate,
    config: &Config,
    head: &Head<'_>,
    refusal: &Refusal,
    request_id: &str,
) -> Option<BackgroundReport> {
    let exposure = exposures::take(isolate, config, head, refusal.reason, request_id);
    exposure.map(BackgroundReport::Exposure).or_else(|| limited(refusal, refusal.key_id.as_deref()?, request_id))
}

/// Returns the report about a refused request of a key, if the object of its limits wants one.
#[must_use]
pub fn limited(refusal: &Refusal, id: &KeyId, request_id: &str) -> Option<BackgroundReport> {
    let limits = refusal.reached().to_vec();
    if limits.is_empty() {
        return None;
    }
    Some(BackgroundReport::Limited(Box::new(LimitedReport {
        id: id.clone(),
        limits,
        request_id: request_id.to_owned(),
    })))
}

/// Sends a report to the authority, and once more if it does not arrive: nobody else will. A report that arrives twice has the effect of
/// one. A report of exposed keys is sent once, because the next exposure makes another.
pub async fn send(isolate: &Isolate, platform: &impl Platform, report: BackgroundReport) {
    let (request_id, event, request) = match report {
        BackgroundReport::Exposure(report) => return exposures::send(isolate, platform, report).await,
        BackgroundReport::Leak(report) => {
            (report.request.request_id.clone(), "leak_report_failed", Request::Leak(report))
        }
        BackgroundReport::Limited(report) => {
            (report.request_id.clone(), "limit_report_failed", Request::Limited(report))
        }
        BackgroundReport::Pending(report) => {
            (report.request.request_id.clone(), "leak_report_failed", Request::KeepReport(report))
        }
    };
    for is_last in [false, true] {
        let cause = match registry::ask(platform, &request).await {
            Ok(Response::Reported) => return,
            Ok(_) => "the registry answered another query".to_owned(),
            Err(Unreachable(cause)) => cause,
        };
        let level = if is_last { Level::Error } else { Level::Warn };
        platform.log(level, event, &[("cause", &cause), ("request_id", &request_id)]);
        if !is_last {
            platform.pause(RETRY_MS).await;
        }
    }
}
