//! Life cycle of the events object. A deployment has one, found by its name.
//!
//! A call is one JSON message in and one out (docs/internals/storage.md). Attempts are made by the alarm, which is set at once when the
//! registry tells an event, and again to the time at which the next attempt is due.

mod host;
mod run;
mod test;

pub use host::{ANSWER_BYTES, ATTEMPT_TIMEOUT_MS, EventsHost, Level, LoggedEvents, Outgoing, REGISTRY_TIMEOUT_MS};
pub use run::{AT_ONCE, AT_ONCE_OF_SLOW, AT_ONCE_TO_ONE, LONGEST_PAUSE_MS, RUN_MS};

use std::cell::Cell;
use std::task::Waker;

use keyward_http::event_url::EventHosts;
use keyward_key::keyring::Keyring;
use keyward_key::time::Millis;
use keyward_key::version;
use keyward_protocol::events::{EventsRequest, EventsResponse};
use keyward_protocol::{FetchError, Request, Response};
use keyward_store::{Store, StoreError};

use crate::{again, list, metrics, news, schema};

/// The part of the configuration that the object needs.
pub struct EventsSettings {
    /// Keyring that signs.
    pub keyring: Keyring,
    /// `EVENT_HOSTS`.
    pub hosts: EventHosts,
    /// `source` of the events.
    pub source: String,
}

/// One instance of the object. Its memory is lost when it ends; storage and alarm are kept.
pub struct EventsObject<H> {
    host: H,
    /// `None` while the configuration is invalid. The object then sends nothing.
    settings: Option<EventsSettings>,
    migrated: Cell<bool>,
    running_since: Cell<Option<Millis>>,
    reported_at: Cell<Option<Millis>>,
    report_backoff_ms: Cell<i64>,
    removed_at: Cell<Option<Millis>>,
    /// Whether the alarm could not do what was due.
    has_failed: Cell<bool>,
    /// Shortest pause before the next alarm, in milliseconds. Doubles with each alarm that failed.
    least_pause_ms: Cell<i64>,
    /// Waker of the attempts that are running.
    waker: Cell<Option<Waker>>,
}

impl<H: EventsHost> EventsObject<H> {
    /// Creates an instance. It first reads its store at the first call.
    #[must_use]
    pub const fn new(host: H, settings: Option<EventsSettings>) -> Self {
        Self {
            host,
            settings,
            migrated: Cell::new(false),
            running_since: Cell::new(None),
            reported_at: Cell::new(None),
            report_backoff_ms: Cell::new(run::REPORT_INTERVAL_MS),
            removed_at: Cell::new(None),
            has_failed: Cell::new(false),
            least_pause_ms: Cell::new(run::SHORTEST_PAUSE_MS),
            waker: Cell::new(None),
        }
    }

    /// Returns the platform of this instance.
    pub const fn host(&self) -> &H {
        &self.host
    }

    /// Answers one message.
    ///
    /// # Errors
    /// [`FetchError`]; the cause is logged.
    pub async fn fetch(&self, message: &str) -> Result<String, FetchError> {
        let Ok(request) = version::read::<EventsRequest>(message) else {
            self.host.log(Level::Error, "events_message_malformed", &[]);
            return Err(FetchError::Malformed);
        };
        let adds_work =
            matches!(request, EventsRequest::News(_) | EventsRequest::Resend { .. } | EventsRequest::Replay { .. });
        let answered = match request {
            EventsRequest::Test(order) => self.test(&order).await,
            request => self.answer(request),
        };
        let answered = answered.map_err(|error| {
            self.log_failure(&error);
            FetchError::Failed
        })?;
        if adds_work && !keyward_fault::fault!("the alarm is not set before the answer") {
            // Before the answer: if this instance ends now, the alarm still sends.
            self.set_alarm(0).await?;
            self.wake();
        }
        serde_json::to_string(&answered).map_err(|_| FetchError::Failed)
    }

    fn answer(&self, request: EventsRequest) -> Result<EventsResponse, StoreError> {
        let settings = self.settings()?;
        let now = self.host.now();
        self.with_store(|store| match request {
            EventsRequest::News(told) => {
                news::apply(store, &told, &settings.source, now)?;
                Ok(EventsResponse::Noted)
            }
            EventsRequest::Deliveries(query) => list::page(store, &query).map(EventsResponse::Deliveries),
            EventsRequest::Resend { delivery } => again::resend(store, delivery, now),
            EventsRequest::Replay { endpoint, from, to } => again::replay(store, &endpoint, (from, to), now),
            EventsRequest::Metrics => metrics::read(store, now).map(EventsResponse::Metrics),
            EventsRequest::Test(_) => Err(StoreError::new("a test is not answered by the store alone")),
        })
    }

    fn settings(&self) -> Result<&EventsSettings, StoreError> {
        self.settings.as_ref().ok_or_else(|| StoreError::new("misconfigured"))
    }

    /// Runs `work` on the store, after migrating it at the first call.
    fn with_store<T>(&self, work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.host.with_store(|store| {
            if !self.migrated.get() {
                schema::migrate(store)?;
                self.migrated.set(true);
            }
            work(store)
        })
    }

    /// Logs a failure of the store.
    fn log_failure(&self, error: &StoreError) {
        self.host.log(Level::Error, "events_failed", &[("cause", &error.to_string())]);
    }

    /// Tells the registry something, which must confirm it.
    async fn tell(&self, told: &Request) -> Result<(), String> {
        let message = serde_json::to_string(told).map_err(|error| error.to_string())?;
        match version::read::<Response>(&self.host.ask_registry(&message).await?) {
            Ok(Response::EndpointsNoted) => Ok(()),
            _ => Err("the registry did not confirm".to_owned()),
        }
    }

    async fn set_alarm(&self, after_ms: i64) -> Result<(), FetchError> {
        self.host.set_alarm(after_ms).await.map_err(|cause| {
            self.host.log(Level::Error, "alarm_failed", &[("cause", &cause)]);
            FetchError::Failed
        })
    }
}
