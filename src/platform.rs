//! Implementation of `keyward_edge`'s port: KV, cache, registry, WebCrypto, clock and log.

use std::collections::BTreeMap;

use wasm_bindgen::{JsCast, JsValue};

use super::entropy::System;
use super::log::{self, Level, LoggedEvents, event};
use super::{clock, glue};
use keyward_edge::platform::{CACHE_TIMEOUT_MS, KV_TIMEOUT_MS, REGISTRY_CHANGE_TIMEOUT_MS, REGISTRY_READ_TIMEOUT_MS};
use keyward_edge::usage::DataPoint;
use keyward_edge::{RegistryFailure, ShardedObject};
use keyward_key::entropy::Entropy;
use keyward_key::signing::{PublicKey, Signature, SigningKey};
use keyward_key::time::Millis;

/// The platform, reached through one request's `env`.
pub struct Platform<'a> {
    env: &'a JsValue,
    /// `None` if no started work may outlive the event.
    context: Option<&'a JsValue>,
}

impl<'a> Platform<'a> {
    /// Creates the platform of an event. Background work may outlive the event.
    pub const fn new(env: &'a JsValue, context: &'a JsValue) -> Self {
        Self { env, context: Some(context) }
    }

    /// Creates a platform whose work never outlives the event. It does not write to the cache.
    pub const fn of(env: &'a JsValue) -> Self {
        Self { env, context: None }
    }
}

impl keyward_edge::Platform for Platform<'_> {
    fn now(&self) -> Millis {
        clock::now()
    }

    fn jitter(&self) -> u8 {
        let mut byte = [0_u8];
        let _ = System.fill(&mut byte);
        let [byte] = byte;
        byte
    }

    fn log(&self, level: Level, name: &str, fields: &[(&str, &str)]) {
        event(level, name, fields);
    }

    fn take_logged(&self) -> Vec<LoggedEvents> {
        log::take()
    }

    fn write_points(&self, points: impl FnOnce() -> BTreeMap<DataPoint, u64>) {
        if !glue::has_analytics(self.env) {
            return;
        }
        for (point, count) in points() {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            if let Err(thrown) = glue::write_point(self.env, &point.integration, &point.texts.join("\n"), count) {
                return event(Level::Warn, "analytics_failed", &[("cause", &glue::cause(&thrown))]);
            }
        }
    }

    async fn kv_get(&self, name: &str) -> Result<Option<String>, String> {
        let found = glue::kv_get(self.env, name, KV_TIMEOUT_MS).await;
        found.map(|value| value.as_string()).map_err(|thrown| glue::cause(&thrown))
    }

    async fn cache_get(&self, name: &str) -> Option<String> {
        glue::cache_get(name, CACHE_TIMEOUT_MS).await.ok()?.as_string()
    }

    fn cache_put(&self, name: &str, text: &str, seconds: u32) {
        if let Some(context) = self.context {
            let _ = glue::cache_put(context, name, text, seconds);
        }
    }

    async fn ask_registry(&self, message: &str, may_change: bool) -> Result<String, RegistryFailure> {
        let limit = if may_change { REGISTRY_CHANGE_TIMEOUT_MS } else { REGISTRY_READ_TIMEOUT_MS };
        let answered = glue::ask_object(self.env, "REGISTRY", "registry", message, limit).await.map_err(|thrown| {
            RegistryFailure { cause: glue::cause(&thrown), is_overload: glue::is_overload(&thrown) }
        })?;
        answered.as_string().ok_or_else(|| "the registry's answer is not a text".to_owned().into())
    }

    async fn ask_shard(&self, object: ShardedObject, shard: u32, message: &str) -> Result<String, String> {
        let name = object.name(shard);
        let answered = glue::ask_object(self.env, object.binding(), &name, message, object.timeout_ms()).await;
        let answer = answered.map_err(|thrown| glue::cause(&thrown))?;
        answer.as_string().ok_or_else(|| "the object's answer is not a text".to_owned())
    }

    async fn hold_key(&self, key: &SigningKey) -> Result<PublicKey, String> {
        let held = glue::hold_key(key.name(), &key.pkcs8()).await.map_err(|thrown| glue::cause(&thrown))?;
        bytes(&held)
    }

    async fn sign(&self, key: &SigningKey, text: &[u8]) -> Result<Signature, String> {
        let signed = glue::sign(key.name(), text).await.map_err(|thrown| glue::cause(&thrown))?;
        bytes(&signed)
    }

    async fn pause(&self, milliseconds: u32) {
        let _ = glue::pause(milliseconds).await;
    }
}

/// Reads a `Uint8Array` of a fixed length.
pub(super) fn bytes<const LENGTH: usize>(value: &JsValue) -> Result<[u8; LENGTH], String> {
    let bytes = value.dyn_ref::<js_sys::Uint8Array>().map(js_sys::Uint8Array::to_vec).unwrap_or_default();
    bytes.try_into().map_err(|_| "WebCrypto returned an unexpected value".to_owned())
}
