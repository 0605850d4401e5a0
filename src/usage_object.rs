//! A shard of the usage object: passes the platform's events and calls to [`UsageObject`], which decides.

use wasm_bindgen::JsValue;
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

use super::sql::ObjectStore;
use super::{clock, glue, log};
use keyward_edge::platform::REGISTRY_CHANGE_TIMEOUT_MS;
use keyward_key::time::Millis;
use keyward_registry::store::{Store, StoreError};
use keyward_usage::object::{Level, LoggedEvents, UsageHost, UsageObject};

/// The Durable Object class that `wrangler.toml` binds.
#[durable_object(alarm)]
pub struct Usage {
    inner: UsageObject<DurableObjectHost>,
}

impl DurableObject for Usage {
    fn new(state: State, env: Env) -> Self {
        Self { inner: UsageObject::new(DurableObjectHost { state, env: JsValue::from(env) }) }
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
}

impl UsageHost for DurableObjectHost {
    fn now(&self) -> Millis {
        clock::now()
    }

    fn with_store<T>(
        &self,
        work: impl FnOnce(&mut dyn Store) -> std::result::Result<T, StoreError>,
    ) -> std::result::Result<T, StoreError> {
        work(&mut ObjectStore::new(&self.state.storage()))
    }

    async fn ask_registry(&self, message: &str) -> std::result::Result<String, String> {
        glue::ask_registry(&self.env, message, REGISTRY_CHANGE_TIMEOUT_MS).await.map_err(|thrown| glue::cause(&thrown))
    }

    async fn set_alarm(&self, after_ms: i64) -> std::result::Result<(), String> {
        self.state.storage().set_alarm(after_ms).await.map_err(|error| error.to_string())
    }

    fn take_logged(&self) -> Vec<LoggedEvents> {
        log::take()
    }

    fn log(&self, level: Level, event: &str, fields: &[(&str, &str)]) {
        log::event(level, event, fields);
    }
}
