//! The events object: passes the platform's events and calls to [`EventsObject`], which decides.

use wasm_bindgen::JsValue;
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

use super::entropy::System;
use super::isolate_state::load_config;
use super::sql::ObjectStore;
use super::{clock, glue, log, platform};
use keyward_events::deliveries::{Failure, Outcome};
use keyward_events::object::{
    ANSWER_BYTES, ATTEMPT_TIMEOUT_MS, EventsHost, EventsObject, EventsSettings, Level, LoggedEvents, Outgoing,
    REGISTRY_TIMEOUT_MS,
};
use keyward_http::headers::write_line;
use keyward_key::entropy::{Entropy, base62};
use keyward_key::signing::{Signature, SigningKey};
use keyward_key::time::Millis;
use keyward_registry::store::{Store, StoreError};

/// The Durable Object class that `wrangler.toml` binds.
#[durable_object(alarm)]
pub struct Events {
    inner: EventsObject<DurableObjectHost>,
}

impl DurableObject for Events {
    fn new(state: State, env: Env) -> Self {
        let env = JsValue::from(env);
        let settings = load_config(&env).map(|config| {
            let source = config.event_source().to_owned();
            EventsSettings { keyring: config.keyring, hosts: config.event_hosts, source }
        });
        Self { inner: EventsObject::new(DurableObjectHost { state, env }, settings) }
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

impl EventsHost for DurableObjectHost {
    fn now(&self) -> Millis {
        clock::now()
    }

    fn jitter(&self) -> u16 {
        let mut bytes = [0_u8; 2];
        let _ = System.fill(&mut bytes);
        u16::from_le_bytes(bytes)
    }

    fn random_name(&self) -> Option<String> {
        base62(&mut System, 24).ok()
    }

    fn with_store<T>(
        &self,
        work: impl FnOnce(&mut dyn Store) -> std::result::Result<T, StoreError>,
    ) -> std::result::Result<T, StoreError> {
        work(&mut ObjectStore::new(&self.state.storage()))
    }

    async fn send(&self, request: &Outgoing) -> std::result::Result<Outcome, Failure> {
        let mut headers = String::with_capacity(512);
        for (name, value) in &request.headers {
            write_line(&mut headers, name, value);
        }
        let sent = glue::send_event(&request.url, &headers, &request.body, ANSWER_BYTES, ATTEMPT_TIMEOUT_MS).await;
        let answer = match sent {
            Ok(answer) => answer.as_string().unwrap_or_default(),
            Err(thrown) if glue::cause(&thrown) == "timeout" => return Err(Failure::Timeout),
            Err(_) => return Err(Failure::Connection),
        };
        let (status, retry_after) = answer.split_once('\n').unwrap_or_default();
        let status = status.parse().map_err(|_| Failure::Connection)?;
        let retry_after = (!retry_after.is_empty()).then(|| retry_after.to_owned());
        Ok(Outcome::Answered { status, retry_after })
    }

    async fn sign(&self, key: &SigningKey, text: &[u8]) -> std::result::Result<Signature, String> {
        if key.public().is_none() {
            key.set_public(platform::hold_key(key).await?);
        }
        platform::sign(key, text).await
    }

    async fn ask_registry(&self, message: &str) -> std::result::Result<String, String> {
        glue::ask_registry(&self.env, message, REGISTRY_TIMEOUT_MS).await.map_err(|thrown| glue::cause(&thrown))
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
