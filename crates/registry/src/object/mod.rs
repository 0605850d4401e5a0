//! Life cycle of the registry object. The whole deployment has one, found by its name.
//!
//! A call is one JSON message in and one out (docs/internals/storage.md). A change is decided and written in one synchronous transaction
//! without an await, so no other request can interleave. Copies are written to KV afterwards, and retried by alarm until all are
//! written. The same alarm does work that falls due at a time ([`crate::due`]).
//!
//! [`RegistryObject`] decides; [`ObjectHost`] is its port to the platform. The worker, the simulator and the native tests each
//! implement the port and run this same code.

mod alarm;
mod drain;
mod host;
mod judge;
mod pass;
mod tell;

pub use host::{Judged, Level, LoggedEvents, ObjectHost};

use std::cell::Cell;
use std::rc::Rc;

use crate::context::Policy;
use crate::due::{self, DueWork};
use crate::events::EffectTimes;
use crate::feed::{self, FeedSizes};
use crate::idle::{self, IdleRules};
use crate::store::{Store, StoreError};
use crate::{AnswerContext, events, key_limits, metrics, notices, outbox, pending_reports, schema};
use keyward_key::epoch::Epoch;
use keyward_key::keyring::Keyring;
use keyward_key::limit::Limit;
use keyward_key::time::Millis;
use keyward_key::version;
use keyward_protocol::{ControlRequest, FetchError, Request, Response};
use pass::Pass;

/// Timeout of one write to KV, in milliseconds.
pub const KV_WRITE_TIMEOUT_MS: u32 = 10_000;
/// Age in milliseconds after which a pass counts as cancelled with the event that started it, so that another one may start.
pub const PASS_TIMEOUT_MS: i64 = 60_000;
/// Timeout of one message to the events object, in milliseconds.
pub const EVENTS_TIMEOUT_MS: u32 = 10_000;
/// Operations that are answered after the events object has stored their change, while it answers: nothing is sent to an endpoint after
/// the answer that it is deleted or disabled.
const TOLD_FIRST: &[&str] = &["delete_endpoint", "update_endpoint"];
/// First pause before a failed copy is retried, in milliseconds. It doubles up to [`LONGEST_BACKOFF_MS`].
pub const FIRST_BACKOFF_MS: i64 = 1_000;
/// Longest pause before a failed copy is retried, in milliseconds.
pub const LONGEST_BACKOFF_MS: i64 = 60_000;
/// Number of copies that are read from the outbox at a time.
const WRITE_BATCH: u32 = 50;
/// Time in seconds after a key's expiry for which KV keeps its copy. The registry keeps the key.
const KV_TTL_AFTER_END_SECONDS: i64 = 86_400;
/// Minimum TTL of a copy, in seconds. KV refuses a TTL below one minute.
const KV_MIN_TTL_SECONDS: i64 = 120;

/// Applies a control-plane request at a time under a policy, as one transaction. After a [`StoreError`] the change may have been committed.
pub type Apply = fn(&mut dyn Store, &ControlRequest, &Policy, Millis) -> Result<Response, StoreError>;

/// The part of the configuration that the object needs, and the operations of the control plane.
pub struct ObjectSettings {
    /// Operations of the control plane, which this crate does not depend on.
    pub apply: Apply,
    /// Keyring that seals the KV copies.
    pub keyring: Keyring,
    /// `AUTHORITY_EPOCH`.
    pub authority_epoch: Option<String>,
    /// Page sizes of the feed.
    pub feed: FeedSizes,
    /// Settings that limit keys and members.
    pub policy: Policy,
    /// `IDLE_DAYS` and `REVOKE_IDLE_DAYS`.
    pub idle: IdleRules,
    /// `DEFAULT_LIMITS`.
    pub default_limits: Vec<Limit>,
    /// Bound and grace, which events name.
    pub effect: EffectTimes,
}

/// One instance of the object. Its memory is lost when it ends; storage and alarm are kept.
pub struct RegistryObject<H> {
    host: H,
    /// `None` while the configuration is invalid. The object then answers nothing and writes nothing to KV.
    settings: Option<ObjectSettings>,
    work: &'static [DueWork],
    migrated: Cell<bool>,
    /// Set if copies were queued for a reason other than a change since the last drain started, or if an instance starts and work
    /// will fall due.
    refilled: Cell<bool>,
    /// Writes copies to KV.
    copies: Pass,
    /// Tells the events object.
    news: Pass,
    /// Judges the reports that wait for GitHub's keys.
    reports: Pass,
    /// Pause before due work is retried.
    work_backoff_ms: Cell<i64>,
}

impl<H: ObjectHost> RegistryObject<H> {
    /// Creates an instance. It first reads its store at the first call.
    #[must_use]
    pub const fn new(host: H, settings: Option<ObjectSettings>) -> Self {
        Self::with_work(host, settings, due::WORK)
    }

    /// Like [`Self::new`], with other kinds of due work than [`due::WORK`]. For tests.
    #[must_use]
    pub const fn with_work(host: H, settings: Option<ObjectSettings>, work: &'static [DueWork]) -> Self {
        Self {
            host,
            settings,
            work,
            migrated: Cell::new(false),
            refilled: Cell::new(false),
            copies: Pass::with_event("kv_copy_failed"),
            news: Pass::with_event("events_not_told"),
            reports: Pass::with_event("leak_reports_wait"),
            work_backoff_ms: Cell::new(FIRST_BACKOFF_MS),
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
    pub async fn fetch(self: &Rc<Self>, message: &str) -> Result<String, FetchError> {
        let Ok(request) = version::read::<Request>(message) else {
            self.host.log(Level::Error, "registry_message_malformed", &[]);
            return Err(FetchError::Malformed);
        };
        let (may_change, is_write) = match &request {
            Request::Control(control) => (true, control.writes),
            Request::Expose(_)
            | Request::Leak(_)
            | Request::Limited(_)
            | Request::KeepReport(_)
            | Request::EndpointReport(_)
            | Request::EndpointTested(_) => (true, true),
            Request::Lookup { .. } | Request::Changes(_) | Request::UsageTimes(_) | Request::UsageMissing { .. } => {
                (false, false)
            }
        };
        self.count_logged();
        let tells_first =
            matches!(&request, Request::Control(control) if TOLD_FIRST.contains(&control.operation.as_str()));
        let answered = match self.answer(request) {
            Ok(answered) => answered,
            Err(error) => {
                self.host.log(Level::Error, "registry_failed", &[("cause", &error.to_string())]);
                // The change may have been committed even so. Then its copy is pending, or its work will fall due.
                self.set_alarm().await?;
                return Err(FetchError::Failed);
            }
        };
        let refilled = self.refilled.take();
        let pending = (may_change || refilled) && self.has_pending();
        let has_news = (is_write || refilled) && self.has_news();
        if pending || is_write || refilled {
            // Set before the answer is sent: if this instance ends now, the alarm still does the work.
            self.set_alarm().await.inspect_err(|_| self.refilled.set(refilled))?;
        }
        if pending {
            let object = Rc::clone(self);
            self.host.spawn(async move { object.drain().await });
        }
        if has_news && tells_first {
            // Another call may be telling older news: this one does not rely on it. The alarm retries after a failure.
            self.tell_endpoints().await;
        } else if has_news {
            let object = Rc::clone(self);
            self.host.spawn(async move { object.tell_events().await });
        }
        Ok(answered)
    }

    /// Counts what was written to the log since the last call.
    fn count_logged(&self) {
        let logged = self.host.take_logged();
        if !logged.is_empty() {
            // If the store fails, so does the call, which is logged and counted later.
            let _ = self.with_store(|store| metrics::count_logged(store, &logged, self.host.now()));
        }
    }

    fn random_name(&self) -> Result<String, StoreError> {
        self.host.random_name().ok_or_else(|| StoreError::new("no entropy for an epoch"))
    }

    /// Runs `work` on the store, after migrating it at the first call.
    fn with_store<T>(&self, work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.host.with_store(|store| {
            if !self.migrated.get() {
                self.start(store)?;
                self.migrated.set(true);
            }
            work(store)
        })
    }

    fn start(&self, store: &mut dyn Store) -> Result<(), StoreError> {
        let (random, now) = (self.random_name()?, self.host.now());
        schema::migrate(store, &Epoch::new(now, &random))?;
        notices::begin(store, now)?;
        let Some(settings) = &self.settings else { return Ok(()) };
        // After a change of the secret, every KV copy must be sealed again (docs/guides/rotate-the-secret.md).
        let resealed = outbox::refill(store, settings.keyring.current().generation(), now)?;
        let began = feed::follow_setting(store, settings.authority_epoch.as_deref(), &random, now)?;
        idle::follow_settings(store, settings.idle)?;
        key_limits::follow_default_limits(store, &settings.default_limits)?;
        if began {
            self.host.log(Level::Error, "epoch_began", &[("cause", "AUTHORITY_EPOCH was changed")]);
        }
        // Copies may also be pending since the previous instance ended, or since a backup was made, and an alarm may be lost. An
        // unreadable row delays the copies, but not the registry.
        let waiting = outbox::pending(store, 1).map_or(true, |pending| !pending.is_empty())
            || events::is_any_pending(store).unwrap_or(true)
            || pending_reports::is_any(store).unwrap_or(true)
            || due::earliest(store, self.work).map_or(true, |due_at| due_at.is_some());
        self.refilled.set(resealed || began || waiting);
        Ok(())
    }

    fn answer(&self, request: Request) -> Result<String, StoreError> {
        let settings = self.settings.as_ref().ok_or_else(|| StoreError::new("misconfigured"))?;
        let (random, now) = (self.random_name()?, self.host.now());
        let context = AnswerContext { policy: &settings.policy, feed: settings.feed, random: &random, now };
        let control =
            |store: &mut dyn Store, control: ControlRequest| (settings.apply)(store, &control, &settings.policy, now);
        let answered = self.with_store(|store| crate::answer(store, request, &context, control))?;
        if let Response::Changes { restored: true, .. } = answered {
            self.host.log(Level::Error, "epoch_began", &[("cause", "an isolate knew changes that are gone")]);
            self.refilled.set(true);
        }
        serde_json::to_string(&answered).map_err(|error| StoreError::new(error.to_string()))
    }

    /// Returns whether copies are pending. Also `true` if the store fails, because an unnecessary alarm is harmless.
    fn has_pending(&self) -> bool {
        self.with_store(|store| outbox::pending(store, 1)).map_or(true, |pending| !pending.is_empty())
    }
}
