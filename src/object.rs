//! The registry's Durable Object: passes the platform's events and calls to [`RegistryObject`], which decides.

use std::cell::{OnceCell, RefCell};
use std::future::Future;
use std::rc::Rc;

use wasm_bindgen::JsValue;
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

use super::entropy::System;
use super::isolate_state::load_config;
use super::reports::Reports;
use super::sql::ObjectStore;
use super::{clock, glue, log};
use keyward_config::Config;
use keyward_control::authority::apply;
use keyward_control::leaks::github_keys::GithubKeys;
use keyward_control::leaks::pending;
use keyward_key::entropy::base62;
use keyward_key::time::Millis;
use keyward_protocol::PendingReport;
use keyward_protocol::events::EVENTS_OBJECT;
use keyward_registry::context::Policy;
use keyward_registry::feed::FeedSizes;
use keyward_registry::idle::IdleRules;
use keyward_registry::object::{
    EVENTS_TIMEOUT_MS, Judged, KV_WRITE_TIMEOUT_MS, Level, LoggedEvents, ObjectHost, ObjectSettings, RegistryObject,
};
use keyward_registry::store::{Store, StoreError};

/// The Durable Object class that `wrangler.toml` binds.
#[durable_object(alarm)]
pub struct Registry {
    inner: Rc<RegistryObject<DurableObjectHost>>,
}

impl DurableObject for Registry {
    fn new(state: State, env: Env) -> Self {
        let env = JsValue::from(env);
        let settings = load_config(&env).map(|config| ObjectSettings {
            apply,
            effect: config.effect(),
            policy: Policy {
                max_key_days: config.max_key_days,
                max_member_days: config.max_member_days,
                known_scopes: config.routes.scopes(),
                on_exposure: config.on_exposure,
            },
            keyring: config.keyring,
            authority_epoch: config.authority_epoch,
            feed: FeedSizes::default(),
            default_limits: config.default_limits,
            idle: IdleRules { idle_days: config.idle_days, revoke_days: config.revoke_idle_days },
        });
        Self {
            inner: Rc::new(RegistryObject::new(
                DurableObjectHost { state, env, config: OnceCell::new(), github_keys: RefCell::default() },
                settings,
            )),
        }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let message = request.text().await?;
        glue::object_response(self.inner.fetch(&message).await)
    }

    async fn alarm(&self) -> Result<Response> {
        self.inner.alarm().await;
        Response::ok("")
    }
}

struct DurableObjectHost {
    state: State,
    env: JsValue,
    /// The configuration, read for the first report that is judged; `None` if it is invalid.
    config: OnceCell<Option<Config>>,
    /// GitHub's list of keys.
    github_keys: RefCell<GithubKeys>,
}

impl ObjectHost for DurableObjectHost {
    fn now(&self) -> Millis {
        clock::now()
    }

    fn random_name(&self) -> Option<String> {
        base62(&mut System, 16).ok()
    }

    fn with_store<T>(
        &self,
        work: impl FnOnce(&mut dyn Store) -> std::result::Result<T, StoreError>,
    ) -> std::result::Result<T, StoreError> {
        work(&mut ObjectStore::new(&self.state.storage()))
    }

    async fn kv_put(&self, name: &str, text: &str, expires_at_seconds: i64) -> std::result::Result<(), String> {
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
        let expiration = expires_at_seconds as f64;
        let written = glue::kv_put(&self.env, name, text, expiration, KV_WRITE_TIMEOUT_MS).await;
        written.map(|_| ()).map_err(|thrown| glue::cause(&thrown))
    }

    async fn ask_events(&self, message: &str) -> std::result::Result<String, String> {
        let answered = glue::ask_object_text(&self.env, "EVENTS", EVENTS_OBJECT, message, EVENTS_TIMEOUT_MS).await;
        answered.map_err(|thrown| glue::cause(&thrown))
    }

    async fn judge(&self, report: &PendingReport) -> Judged {
        let config = self.config.get_or_init(|| load_config(&self.env));
        let Some(config) = config else { return Judged::Later("misconfigured".to_owned()) };
        pending::judge(&Reports, config, &self.github_keys, report, self.now()).await
    }

    async fn set_alarm(&self, after_ms: i64) -> std::result::Result<(), String> {
        self.state.storage().set_alarm(after_ms).await.map_err(|error| error.to_string())
    }

    async fn delete_alarm(&self) -> std::result::Result<(), String> {
        self.state.storage().delete_alarm().await.map_err(|error| error.to_string())
    }

    fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        self.state.wait_until(work);
    }

    fn take_logged(&self) -> Vec<LoggedEvents> {
        log::take()
    }

    fn log(&self, level: Level, event: &str, fields: &[(&str, &str)]) {
        log::event(level, event, fields);
    }
}
