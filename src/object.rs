//! The registry's Durable Object: one for the whole deployment, found by its name.
//!
//! A call is one JSON message in and one out (docs/internals/storage.md). What it changes is decided and written in one synchronous
//! transaction, with no await between the reading and the writing: no other request can come between. Copies for KV go out
//! after that, and again by alarm until they are there.

use std::cell::Cell;
use std::rc::Rc;

use wasm_bindgen::JsValue;
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

use super::entropy::System;
use super::isolate_state::load_config;
use super::log::{Level, event};
use super::sql::ObjectStore;
use super::{clock, glue};
use keyward_config::Config;
use keyward_control::answer;
use keyward_key::entropy::base62;
use keyward_key::epoch::Epoch;
use keyward_key::sealed::{Sealed, storage_name};
use keyward_key::time::Millis;
use keyward_key::version;
use keyward_protocol::{Request as RegistryRequest, Response as RegistryResponse};
use keyward_registry::context::Policy;
use keyward_registry::store::StoreError;
use keyward_registry::{feed, meta, outbox, schema};

/// Copies that are written in one go.
const BATCH: u32 = 50;
/// How long one write to KV may take.
const KV_MILLIS: u32 = 10_000;
/// A copy outlives its key by a day, then KV drops it: the registry still knows.
const COPY_OUTLIVES_SECONDS: i64 = 86_400;
/// KV takes no expiry nearer than a minute.
const SHORTEST_COPY_SECONDS: i64 = 120;
/// A drain that has taken longer was cut off by the runtime with the event that began it, and is not waited for.
const DRAIN_MILLIS: i64 = 60_000;
/// The first pause before a copy is tried again, doubled up to the longest.
const FIRST_PAUSE_MILLIS: i64 = 1_000;
const LONGEST_PAUSE_MILLIS: i64 = 60_000;

/// The object.
#[durable_object(alarm)]
pub struct Registry {
    inner: Rc<Inner>,
}

struct Inner {
    state: State,
    env: JsValue,
    config: Option<Config>,
    migrated: Cell<bool>,
    refilled: Cell<bool>,
    draining_since: Cell<Option<Millis>>,
    pause: Cell<i64>,
}

impl DurableObject for Registry {
    fn new(state: State, env: Env) -> Self {
        let env = JsValue::from(env);
        let config = load_config(&env);
        let inner = Inner {
            state,
            env,
            config,
            migrated: Cell::new(false),
            refilled: Cell::new(false),
            draining_since: Cell::new(None),
            pause: Cell::new(FIRST_PAUSE_MILLIS),
        };
        Self { inner: Rc::new(inner) }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let text = request.text().await?;
        let Ok(call) = version::read::<RegistryRequest>(&text) else {
            event(Level::Error, "registry_message_unread", &[]);
            return Response::error("unread", 400);
        };
        let changes = matches!(call, RegistryRequest::Control(_));
        let answered = match self.inner.answer(call) {
            Ok(answered) => answered,
            Err(error) => {
                event(Level::Error, "registry_failed", &[("cause", &error.to_string())]);
                // It may have been committed all the same: then its copy waits.
                if self.inner.has_pending() {
                    self.inner.set_alarm().await?;
                }
                return Response::error("failed", 500);
            }
        };
        if (changes || self.inner.refilled.take()) && self.inner.has_pending() {
            // Set before the answer goes out: if this instance ends now, the alarm still fills KV.
            self.inner.set_alarm().await?;
            let inner = Rc::clone(&self.inner);
            self.inner.state.wait_until(async move { inner.drain().await });
        }
        Response::ok(answered)
    }

    async fn alarm(&self) -> Result<Response> {
        self.inner.drain().await;
        Response::ok("")
    }
}

/// 16 characters for the name of an epoch.
fn random() -> std::result::Result<String, StoreError> {
    base62(&mut System, 16).map_err(|_| StoreError::new("no entropy for an epoch"))
}

impl Inner {
    fn store(&self) -> std::result::Result<ObjectStore, StoreError> {
        let mut store = ObjectStore::new(&self.state.storage());
        if !self.migrated.get() {
            let (random, now) = (random()?, clock::now());
            schema::migrate(&mut store, &Epoch::new(now, &random))?;
            // After a change of the secret every copy in KV has to be sealed anew (docs/guides/rotate-the-secret.md).
            if let Some(config) = &self.config {
                let generation = config.keyring.current().generation();
                let resealed = outbox::refill(&mut store, generation, now)?;
                let began = feed::follow_setting(&mut store, config.authority_epoch.as_deref(), &random, now)?;
                if began {
                    event(Level::Error, "epoch_began", &[("cause", "AUTHORITY_EPOCH was changed")]);
                }
                // And what waited when the last instance ended, or a backup was made.
                // A row that can't be read holds up copies, not the registry.
                let waiting = outbox::pending(&mut store, 1).map_or(true, |pending| !pending.is_empty());
                self.refilled.set(resealed || began || waiting);
            }
            self.migrated.set(true);
        }
        Ok(store)
    }

    fn answer(&self, call: RegistryRequest) -> std::result::Result<String, StoreError> {
        let config = self.config.as_ref().ok_or_else(|| StoreError::new("misconfigured"))?;
        let policy = Policy {
            max_key_days: config.max_key_days,
            max_member_days: config.max_member_days,
            known_scopes: config.routes.scopes(),
        };
        let answered = answer(&mut self.store()?, call, &policy, &random()?, clock::now())?;
        if let RegistryResponse::Changes { restored: true, .. } = answered {
            event(Level::Error, "epoch_began", &[("cause", "an edge knew changes that are gone")]);
            self.refilled.set(true);
        }
        serde_json::to_string(&answered).map_err(|error| StoreError::new(error.to_string()))
    }

    /// Whether copies are behind. A store that can't say has just answered: to be on the safe side, some are.
    fn has_pending(&self) -> bool {
        let pending = self.store().and_then(|mut store| outbox::pending(&mut store, 1));
        pending.map_or(true, |pending| !pending.is_empty())
    }

    async fn set_alarm(&self) -> Result<()> {
        self.state.storage().set_alarm(self.pause.get()).await
    }

    /// Writes copies until none is pending, one drain at a time: two could put an older copy over a newer one. What fails is
    /// tried again by alarm, after pauses that double.
    async fn drain(&self) {
        let now = clock::now();
        let under_way = self.draining_since.get().is_some_and(|since| (0..DRAIN_MILLIS).contains(&now.since(since)));
        if under_way {
            // The alarm that may have brought us here is spent: should the drain end with this instance, another has to follow.
            let _ = self.set_alarm().await;
            return;
        }
        self.draining_since.set(Some(now));
        let emptied = self.write_copies().await;
        self.draining_since.set(None);
        match emptied {
            Ok(()) => {
                self.pause.set(FIRST_PAUSE_MILLIS);
                if !self.has_pending() {
                    let _ = self.state.storage().delete_alarm().await;
                }
            }
            Err(cause) => {
                let pause = self.pause.get().saturating_mul(2).min(LONGEST_PAUSE_MILLIS);
                self.pause.set(pause);
                event(Level::Warn, "kv_copy_failed", &[("cause", &cause), ("again_in_ms", &pause.to_string())]);
                if let Err(error) = self.set_alarm().await {
                    event(Level::Error, "alarm_failed", &[("cause", &error.to_string())]);
                }
            }
        }
    }

    async fn write_copies(&self) -> std::result::Result<(), String> {
        let config = self.config.as_ref().ok_or("misconfigured")?;
        loop {
            let pending = self.store().and_then(|mut store| outbox::pending(&mut store, BATCH));
            let pending = pending.map_err(|error| error.to_string())?;
            if pending.is_empty() {
                return Ok(());
            }
            // One that fails holds up none of the others.
            let mut failure = None;
            let epoch =
                self.store().and_then(|mut store| meta::epoch(&mut store)).map_err(|error| error.to_string())?;
            for (record, revision) in pending {
                let id = record.id.clone();
                let written = self.write_copy(config, Sealed { epoch: epoch.clone(), record }).await;
                let noted = self.store().and_then(|mut store| match &written {
                    // Only if the row is still of this revision: a change since then goes out next.
                    Ok(()) => outbox::done(&mut store, &id, revision, &epoch),
                    Err(_) => outbox::failed(&mut store, &id, revision),
                });
                noted.map_err(|error| error.to_string())?;
                failure = failure.or(written.err());
            }
            if let Some(cause) = failure {
                return Err(cause);
            }
        }
    }

    async fn write_copy(&self, config: &Config, copy: Sealed) -> std::result::Result<(), String> {
        let sealed = copy.seal(config.keyring.current()).ok_or("a record could not be sealed")?;
        let record = &copy.record;
        let earliest = clock::now().plus_seconds(SHORTEST_COPY_SECONDS);
        let expiry = record.expires_at.plus_seconds(COPY_OUTLIVES_SECONDS).max(earliest).0 / 1000;
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
        let written = glue::kv_put(&self.env, &storage_name(&record.id), &sealed, expiry as f64, KV_MILLIS).await;
        written.map(|_| ()).map_err(|thrown| glue::cause(&thrown))
    }
}
