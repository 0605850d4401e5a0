//! Reports of keys that refused requests exposed: in a URL, from a browser page, or over plain HTTP.
//!
//! ```text
//! take(…) ─► report   the answer is sent; then send(report) in the background
//!         └► None     no key of ours, or reported a moment ago, or too many reports
//! ```
//!
//! A report names keys by id and hash. The authority compares the hash, so nobody can report a key that they do not hold.

use std::collections::HashMap;

use super::isolate::Isolate;
use super::platform::{Level, Platform};
use super::registry::{self, Unreachable};
use super::usage::source::network_of;
use keyward_config::Config;
use keyward_gate::{Reason, exposed_keys, exposure_kind, route_asked};
use keyward_http::head::Head;
use keyward_http::limits::{EXPOSURE_INTERVAL_MS, EXPOSURE_REPORTS_A_MINUTE, EXPOSURES_REMEMBERED};
use keyward_key::exposure::ExposureKind;
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::{ExposureReport, Request, Response, SubmittedHash};

/// Length of a window of the rate limit, in milliseconds.
const WINDOW_MS: i64 = 60_000;

/// An exposure that was reported. It includes part of the hash: the replaced credential of a member has the same id as the new one.
type Reported = (KeyId, u64, ExposureKind);

/// Reports of one isolate: those made a moment ago, and the rate limit.
#[derive(Default)]
pub(super) struct ExposureLog {
    /// With the time of the report, and the last change of the key that was known then.
    reported: HashMap<Reported, (Millis, u64)>,
    /// Start of the current window and the number of reports in it.
    window: Option<(Millis, u32)>,
}

impl ExposureLog {
    /// Removes the keys that were reported a moment ago and have not changed since, and records the others as reported. Returns `false` if
    /// none is left or the rate is exhausted. A key that was released from quarantine has changed: its next exposure is reported.
    fn admit(
        &mut self,
        kind: ExposureKind,
        keys: &mut Vec<SubmittedHash>,
        last_change_of: &dyn Fn(&KeyId) -> u64,
        now: Millis,
    ) -> bool {
        keys.retain(|key| {
            let is_recent = |(at, change): &(Millis, u64)| {
                (0..EXPOSURE_INTERVAL_MS).contains(&now.since(*at)) && *change == last_change_of(&key.id)
            };
            !self.reported.get(&reported(key, kind)).is_some_and(is_recent)
        });
        if keys.is_empty() || !self.take(now) {
            return false;
        }
        // Forgetting costs only repeated reports, within the rate.
        if self.reported.len().saturating_add(keys.len()) > EXPOSURES_REMEMBERED {
            self.reported.clear();
        }
        self.reported.extend(keys.iter().map(|key| (reported(key, kind), (now, last_change_of(&key.id)))));
        true
    }

    fn take(&mut self, now: Millis) -> bool {
        let (start, count) =
            self.window.filter(|(start, _)| (0..WINDOW_MS).contains(&now.since(*start))).unwrap_or((now, 0));
        let is_admitted = count < EXPOSURE_REPORTS_A_MINUTE;
        self.window = Some((start, count.saturating_add(u32::from(is_admitted))));
        is_admitted
    }

    /// Forgets the keys of a report that did not arrive, so that the next exposure is reported again.
    fn forget(&mut self, report: &ExposureReport) {
        for key in &report.keys {
            self.reported.remove(&reported(key, report.kind));
        }
    }
}

fn reported(key: &SubmittedHash, kind: ExposureKind) -> Reported {
    let part = key.key_hash.as_bytes().first_chunk::<8>().copied().unwrap_or_default();
    (key.id.clone(), u64::from_be_bytes(part), kind)
}

/// Returns the report about a request that was refused for `reason`, to be sent with [`send`] after the answer. `None` if it exposed no key
/// with a right tag, and for keys that this isolate reported a moment ago.
pub fn take(
    isolate: &Isolate,
    config: &Config,
    head: &Head<'_>,
    reason: Reason,
    request_id: &str,
) -> Option<Box<ExposureReport>> {
    let kind = exposure_kind(reason)?;
    report_of(isolate, config, head, (kind, exposed_keys(config, head, kind)), request_id)
}

/// Returns the report about these keys, which a refused request exposed. `None` for keys that this isolate reported a moment ago.
pub fn report_of(
    isolate: &Isolate,
    config: &Config,
    head: &Head<'_>,
    (kind, mut keys): (ExposureKind, Vec<SubmittedHash>),
    request_id: &str,
) -> Option<Box<ExposureReport>> {
    if keys.is_empty() {
        return None;
    }
    let gate = isolate.gate();
    let last_change_of = |id: &KeyId| gate.as_ref().map_or(0, |gate| gate.last_change_of(id));
    if !isolate.exposures()?.admit(kind, &mut keys, &last_change_of, head.now()) {
        return None;
    }
    Some(Box::new(ExposureReport {
        kind,
        keys,
        route: route_asked(config, head).map(str::to_owned),
        network: network_of(head.client_address()).text(),
        request_id: request_id.to_owned(),
    }))
}

/// Sends a report to the authority. It is sent once; if it does not arrive, the next exposure of the key is reported.
pub async fn send(isolate: &Isolate, platform: &impl Platform, report: Box<ExposureReport>) {
    let request = Request::Expose(report.clone());
    let cause = match registry::ask(platform, &request).await {
        Ok(Response::Reported) => return,
        Ok(_) => "the registry answered another query".to_owned(),
        Err(Unreachable(cause)) => cause,
    };
    if let Some(mut exposures) = isolate.exposures() {
        exposures.forget(&report);
    }
    let fields = [("cause", cause.as_str()), ("request_id", &report.request_id)];
    platform.log(Level::Warn, "exposure_report_failed", &fields);
}
