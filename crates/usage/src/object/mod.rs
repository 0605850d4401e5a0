//! Life cycle of one shard of the usage object.
//!
//! A call is one JSON message in and one out (docs/internals/storage.md). The alarm tells the registry when keys were used, and removes
//! old rows. It is set at the first report and again by each alarm, so a shard that was used once lives for ever: the registry
//! needs its messages to know that no report is missing.

mod host;

pub use host::{Level, LoggedEvents, UsageHost};

use std::cell::Cell;

use keyward_key::time::Millis;
use keyward_key::version;
use keyward_protocol::usage::{KeyTimes, UsageRequest, UsageResponse, UsageTimes};
use keyward_protocol::{FetchError, Request, Response};
use keyward_store::{Store, StoreError, meta};

use crate::report::{Kept, keep};
use crate::{metrics, query, retention, schema, sums, times};

/// Pause between a use and the message to the registry, in milliseconds: all uses of a minute share one message.
pub const TELL_INTERVAL_MS: i64 = 60_000;
/// Interval of messages to the registry while no key is used, in milliseconds.
pub const QUIET_INTERVAL_MS: i64 = 1_800_000;
/// Maximum number of messages of one alarm: 10,000 keys. Each keeps the registry busy for some milliseconds.
const MESSAGES_AN_ALARM: u32 = 5;
/// Minimum interval between removals of old rows, in milliseconds.
const REMOVAL_INTERVAL_MS: i64 = 600_000;
/// Length of waiting reports, in bytes, from which the next report has them added up first. An instance that starts does not know it.
const MOST_WAITING_BYTES: usize = 1_000_000;
/// Name in `meta` of this shard's number.
const SHARD: &str = "shard";

/// One instance of a shard. Its memory is lost when it ends; storage and alarm are kept.
pub struct UsageObject<H> {
    host: H,
    migrated: Cell<bool>,
    /// When the alarm is due; `None` if this instance has not set it.
    alarm_at: Cell<Option<Millis>>,
    removed_at: Cell<Option<Millis>>,
    /// Length of the reports that wait to be added up, in bytes.
    waiting_bytes: Cell<usize>,
}

impl<H: UsageHost> UsageObject<H> {
    /// Creates an instance. It first reads its store at the first call.
    #[must_use]
    pub const fn new(host: H) -> Self {
        Self {
            host,
            migrated: Cell::new(false),
            alarm_at: Cell::new(None),
            removed_at: Cell::new(None),
            waiting_bytes: Cell::new(MOST_WAITING_BYTES),
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
        let Ok(request) = version::read::<UsageRequest>(message) else {
            self.host.log(Level::Error, "usage_message_malformed", &[]);
            return Err(FetchError::Malformed);
        };
        let is_report = matches!(request, UsageRequest::Report(_));
        self.count_logged();
        let answered = self.answer(request, message.len()).map_err(|error| {
            self.host.log(Level::Error, "usage_failed", &[("cause", &error.to_string())]);
            FetchError::Failed
        })?;
        if is_report {
            // Before the answer: if this instance ends now, the alarm still tells the registry.
            self.set_alarm_within(TELL_INTERVAL_MS).await?;
        }
        serde_json::to_string(&answered).map_err(|_| FetchError::Failed)
    }

    fn answer(&self, request: UsageRequest, bytes: usize) -> Result<UsageResponse, StoreError> {
        let now = self.host.now();
        if !matches!(request, UsageRequest::Report(_)) || self.waiting_bytes.get() >= MOST_WAITING_BYTES {
            self.add_up()?;
        }
        self.with_store(|store| match request {
            UsageRequest::Report(report) => {
                if meta::read(store, SHARD)?.is_none() {
                    meta::write(store, SHARD, report.shard.to_string())?;
                }
                if keep(store, &report, now)? == Kept::TimesOnly {
                    self.host.log(Level::Warn, "usage_report_not_counted", &[("isolate", &report.isolate)]);
                }
                self.waiting_bytes.set(self.waiting_bytes.get().saturating_add(bytes));
                Ok(UsageResponse::Reported)
            }
            UsageRequest::Series(asked) => query::series(store, &asked, now).map(UsageResponse::Series),
            UsageRequest::Totals(asked) => query::totals(store, &asked).map(UsageResponse::Totals),
            UsageRequest::RoutesOfKey(asked) => query::routes_of_key(store, &asked).map(UsageResponse::Totals),
            UsageRequest::Activity(asked) => query::activity(store, &asked).map(UsageResponse::Activity),
            UsageRequest::UsesSince(asked) => query::uses_since(store, &asked, now).map(UsageResponse::UsesSince),
            UsageRequest::Metrics => metrics::read(store, now).map(UsageResponse::Metrics),
        })
    }

    /// Adds up the reports that wait.
    fn add_up(&self) -> Result<(), StoreError> {
        let now = self.host.now();
        let unreadable = self.with_store(|store| sums::add_up(store, now))?;
        self.waiting_bytes.set(0);
        if unreadable > 0 {
            let reports = unreadable.to_string();
            self.host.log(Level::Error, "usage_report_unreadable", &[("reports", &reports)]);
        }
        Ok(())
    }

    /// Counts what was written to the log since the last call.
    fn count_logged(&self) {
        let logged = self.host.take_logged();
        if !logged.is_empty() {
            // If the store fails, so does the call, which is logged and counted later.
            let _ = self.with_store(|store| metrics::count_logged(store, &logged, self.host.now()));
        }
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

    /// Sets the alarm, unless one is due by then.
    async fn set_alarm_within(&self, after_ms: i64) -> Result<(), FetchError> {
        let now = self.host.now();
        let is_soon = |at: Millis| (0..=after_ms).contains(&at.since(now));
        if self.alarm_at.get().is_some_and(is_soon) {
            return Ok(());
        }
        self.host.set_alarm(after_ms).await.map_err(|cause| {
            self.host.log(Level::Error, "alarm_failed", &[("cause", &cause)]);
            FetchError::Failed
        })?;
        self.alarm_at.set(Some(Millis(now.0.saturating_add(after_ms))));
        Ok(())
    }

    /// Handles the alarm: tells the registry, removes old rows, and sets the next alarm.
    pub async fn alarm(&self) {
        self.alarm_at.set(None);
        let more = match self.tell().await {
            Ok(more) => more,
            Err(cause) => {
                self.host.log(Level::Warn, "usage_times_failed", &[("cause", &cause)]);
                true
            }
        };
        let now = self.host.now();
        let is_recent = |at: Millis| (0..REMOVAL_INTERVAL_MS).contains(&now.since(at));
        if !self.removed_at.get().is_some_and(is_recent) {
            match self.with_store(|store| retention::remove_old(store, now)) {
                Ok(()) => self.removed_at.set(Some(now)),
                Err(error) => self.host.log(Level::Error, "usage_failed", &[("cause", &error.to_string())]),
            }
        }
        let after_ms = if more { TELL_INTERVAL_MS } else { QUIET_INTERVAL_MS };
        // A failure was logged. The next report sets the alarm.
        let _ = self.set_alarm_within(after_ms).await;
    }

    /// Tells the registry which keys were used, in messages of at most [`MAX_KEY_TIMES`](keyward_protocol::usage::MAX_KEY_TIMES) keys.
    /// Returns whether there is more to tell. A message without keys tells that the shard lives. It also tells that no use is missing, so
    /// nothing is told if the waiting reports cannot be added up.
    async fn tell(&self) -> Result<bool, String> {
        self.add_up().map_err(|error| error.to_string())?;
        for _ in 0..MESSAGES_AN_ALARM {
            let found = self.with_store(|store| {
                let shard = meta::read(store, SHARD)?.and_then(|text| text.parse().ok());
                Ok((shard, times::to_tell(store, self.host.now())?))
            });
            let (shard, keys) = found.map_err(|error| error.to_string())?;
            // No report has reached this shard: the control plane only asked it.
            let Some(shard) = shard else { return Ok(false) };
            self.tell_keys(shard, &keys).await?;
            let left = self.with_store(times::is_any_to_tell).map_err(|error| error.to_string())?;
            if !left {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn tell_keys(&self, shard: u32, keys: &[KeyTimes]) -> Result<(), String> {
        let told = Request::UsageTimes(UsageTimes { shard, at: self.host.now(), keys: keys.to_vec(), has_days: true });
        let message = serde_json::to_string(&told).map_err(|error| error.to_string())?;
        let answer = self.host.ask_registry(&message).await?;
        match version::read::<Response>(&answer) {
            Ok(Response::UsageNoted) => {}
            _ => return Err("the registry did not confirm the times".to_owned()),
        }
        self.with_store(|store| times::told(store, keys)).map_err(|error| error.to_string())
    }
}
