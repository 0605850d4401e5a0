//! The alarm: attempts that are due, reports to the registry, removal of old rows.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use keyward_key::time::Millis;
use keyward_key::webhook::{ed25519_signature, signed_text};
use keyward_protocol::Request;
use keyward_protocol::events::EndpointReport;
use keyward_store::StoreError;

use super::{EventsHost, EventsObject, EventsSettings, Level, LoggedEvents, Outgoing};
use crate::deliveries::{self, Attempt, Failure, Outcome};
use crate::endpoints::{self, EnabledEndpoint};
use crate::retention;
use crate::signature::{headers, hmac_signatures};

/// Maximum number of attempts at the same time: the platform's limit of connections.
pub const AT_ONCE: usize = 6;
/// Maximum number of attempts to one endpoint at the same time.
pub const AT_ONCE_TO_ONE: usize = 2;
/// Maximum number of attempts to slow endpoints at the same time, so that receivers that hang do not starve the others.
pub const AT_ONCE_OF_SLOW: usize = 3;
/// Time in milliseconds after which an alarm begins no further attempt. The next alarm follows at once.
pub const RUN_MS: i64 = 30_000;
/// Age in milliseconds after which an alarm counts as cancelled with its instance's event, so that another one may begin.
const CANCELLED_AFTER_MS: i64 = 300_000;
/// Minimum interval between reports to the registry, in milliseconds.
pub(super) const REPORT_INTERVAL_MS: i64 = 5_000;
/// Longest pause before a failed report is repeated, in milliseconds.
const LONGEST_REPORT_PAUSE_MS: i64 = 60_000;
/// Minimum interval between removals of old rows, in milliseconds.
const REMOVAL_INTERVAL_MS: i64 = 3_600_000;
/// Pause before the next alarm if its time could not be read from the store, in milliseconds. Also the pause before the next removal, if the
/// last one failed or left old rows.
const AFTER_FAILURE_MS: i64 = 5_000;
/// Shortest pause between two alarms, in milliseconds.
pub(super) const SHORTEST_PAUSE_MS: i64 = 1_000;
/// Longest pause before an alarm is repeated that failed, in milliseconds.
pub const LONGEST_PAUSE_MS: i64 = 60_000;

/// An attempt that is being made.
struct Flight<'a> {
    endpoint: EnabledEndpoint,
    work: Pin<Box<dyn Future<Output = ()> + 'a>>,
}

impl<H: EventsHost> EventsObject<H> {
    /// Handles the alarm: makes the attempts that are due, reports to the registry, removes old rows, and sets the next alarm.
    pub async fn alarm(&self) {
        let now = self.host.now();
        let is_running =
            self.running_since.get().is_some_and(|since| (0..CANCELLED_AFTER_MS).contains(&now.since(since)));
        if !is_running {
            self.running_since.set(Some(now));
            // Without settings nothing is sent, however often the alarm comes.
            self.has_failed.set(self.settings.is_none());
            let ended = self.with_store(|store| deliveries::fail_interrupted_tests(store, now));
            if let Err(error) = ended {
                self.fail(&error);
            }
            self.make_attempts().await;
            self.running_since.set(None);
            self.report().await;
            self.remove_old();
            self.back_off();
        }
        // A failure was logged. The next message sets the alarm.
        if let Some(after_ms) = self.next_alarm_ms() {
            let _ = self.set_alarm(after_ms).await;
        }
    }

    /// Makes attempts until none is due, or for [`RUN_MS`].
    async fn make_attempts(&self) {
        let Some(settings) = &self.settings else { return };
        let until = Millis(self.host.now().0.saturating_add(RUN_MS));
        let mut flights: Vec<Flight<'_>> = Vec::new();
        poll_fn(|context| {
            self.waker.set(Some(context.waker().clone()));
            loop {
                while self.host.now() < until && flights.len() < AT_ONCE {
                    let Some((attempt, endpoint)) = self.begin_next(&flights) else { break };
                    let work = async move {
                        self.make(settings, &attempt).await;
                    };
                    flights.push(Flight { endpoint, work: Box::pin(work) });
                }
                if flights.is_empty() {
                    return Poll::Ready(());
                }
                let before = flights.len();
                flights.retain_mut(|flight| flight.work.as_mut().poll(context).is_pending());
                if flights.len() == before {
                    return Poll::Pending;
                }
            }
        })
        .await;
        self.waker.set(None);
    }

    /// Lets the attempts that are running be joined by new ones.
    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Begins the attempt that has waited longest, if there is a free place for it. A failure of the store is logged, and nothing begins.
    fn begin_next(&self, flights: &[Flight<'_>]) -> Option<(Attempt, EnabledEndpoint)> {
        let now = self.host.now();
        let slow = flights.iter().filter(|flight| flight.endpoint.is_slow).count();
        let is_free = |endpoint: &EnabledEndpoint| {
            let own = flights.iter().filter(|flight| flight.endpoint.id == endpoint.id).count();
            if endpoint.is_slow { own == 0 && slow < AT_ONCE_OF_SLOW } else { own < AT_ONCE_TO_ONE }
        };
        let begun = self.with_store(|store| {
            let mut free = endpoints::enabled(store)?;
            free.retain(is_free);
            while let Some((delivery, endpoint)) = deliveries::next_due(store, &free, now)? {
                if let Some(attempt) = deliveries::start(store, delivery, self.host.jitter(), now)? {
                    return Ok(Some((attempt, endpoint)));
                }
            }
            Ok(None)
        });
        begun.unwrap_or_else(|error| {
            self.fail(&error);
            None
        })
    }

    /// Sends an attempt that was written down, and writes its outcome.
    pub(super) async fn make(&self, settings: &EventsSettings, attempt: &Attempt) -> Outcome {
        let outcome = self.send(settings, attempt).await.unwrap_or_else(Outcome::Failed);
        let now = self.host.now();
        let finished = self.with_store(|store| deliveries::finish(store, attempt, &outcome, self.host.jitter(), now));
        match finished {
            Ok(Some(reason)) => {
                let fields = [("endpoint", attempt.endpoint.id.as_str()), ("reason", reason.as_str())];
                self.host.log(Level::Warn, "endpoint_stopped", &fields);
            }
            Ok(None) => {}
            Err(error) => self.fail(&error),
        }
        outcome
    }

    async fn send(&self, settings: &EventsSettings, attempt: &Attempt) -> Result<Outcome, Failure> {
        settings.hosts.check(&attempt.endpoint.url, None).map_err(|_| Failure::AddressNotAllowed)?;
        let now = self.host.now();
        let at_seconds = now.0.div_euclid(1_000);
        let text = signed_text(&attempt.event_id, at_seconds, &attempt.body);
        let mut signatures = Vec::new();
        for derived in settings.keyring.generations() {
            let signature = self.host.sign(derived.events(), text.as_bytes()).await.map_err(|cause| {
                self.host.log(Level::Error, "signing_failed", &[("cause", &cause)]);
                Failure::Unsigned
            })?;
            signatures.push(ed25519_signature(&signature));
        }
        signatures.extend(hmac_signatures(&settings.keyring, &attempt.endpoint, &text, now));
        let outgoing = Outgoing {
            url: attempt.endpoint.url.clone(),
            headers: headers(&attempt.event_id, at_seconds, &signatures),
            body: attempt.body.clone(),
        };
        self.host.send(&outgoing).await
    }

    /// Tells the registry of deliveries, of endpoints that were stopped, and of events in the log. The last are lost with a report that the
    /// registry does not confirm.
    async fn report(&self) {
        let now = self.host.now();
        let is_recent = |at: Millis| (0..self.report_backoff_ms.get()).contains(&now.since(at));
        if self.reported_at.get().is_some_and(is_recent) {
            return;
        }
        let found = self.with_store(endpoints::to_report).unwrap_or_else(|error| {
            self.fail(&error);
            None
        });
        let counters: Vec<_> = self.host.take_logged().iter().map(LoggedEvents::sample).collect();
        if found.is_none() && counters.is_empty() {
            return;
        }
        let report = EndpointReport { counters, ..found.unwrap_or_default() };
        self.reported_at.set(Some(now));
        let told = self.tell(&Request::EndpointReport(report.clone())).await;
        let stored =
            |()| self.with_store(|store| endpoints::reported(store, &report)).map_err(|error| error.to_string());
        match told.and_then(stored) {
            Ok(()) => self.report_backoff_ms.set(REPORT_INTERVAL_MS),
            Err(cause) => {
                self.report_backoff_ms.set(self.report_backoff_ms.get().saturating_mul(2).min(LONGEST_REPORT_PAUSE_MS));
                self.host.log(Level::Warn, "endpoints_not_reported", &[("cause", &cause)]);
            }
        }
    }

    fn remove_old(&self) {
        let now = self.host.now();
        let is_recent = |at: Millis| (0..REMOVAL_INTERVAL_MS).contains(&now.since(at));
        if self.removed_at.get().is_some_and(is_recent) {
            return;
        }
        match self.with_store(|store| retention::remove_old(store, now)) {
            // More is left: the next alarm comes soon.
            Ok(true) => self.removed_at.set(None),
            Ok(false) => self.removed_at.set(Some(now)),
            Err(error) => self.fail(&error),
        }
    }

    /// Logs a failure of the store in the alarm, which is followed by a longer pause.
    fn fail(&self, error: &StoreError) {
        self.has_failed.set(true);
        self.log_failure(error);
    }

    /// Doubles the pause before the next alarm if this one failed.
    fn back_off(&self) {
        let doubled = self.least_pause_ms.get().saturating_mul(2).min(LONGEST_PAUSE_MS);
        self.least_pause_ms.set(if self.has_failed.get() { doubled } else { SHORTEST_PAUSE_MS });
    }

    /// Returns the time until the next alarm, in milliseconds: that of the earliest attempt, report or removal, but at least the pause that
    /// failures have lengthened. `None` if nothing will fall due.
    fn next_alarm_ms(&self) -> Option<i64> {
        let now = self.host.now();
        let found = self.with_store(|store| {
            let attempts = deliveries::next_at(store)?.map(|at| at.since(now));
            let report = endpoints::to_report(store)?.map(|_| self.report_backoff_ms.get());
            let removal = retention::next_at(store)?.map(|at| {
                let least = if self.removed_at.get().is_some() { REMOVAL_INTERVAL_MS } else { AFTER_FAILURE_MS };
                at.since(now).max(least)
            });
            Ok(attempts.into_iter().chain(report).chain(removal).min())
        });
        found.unwrap_or(Some(AFTER_FAILURE_MS)).map(|after_ms| after_ms.max(self.least_pause_ms.get()))
    }
}
