//! The Durable Object that counts limited requests: passes the platform's events and calls to [`LimitsObject`], which decides.

use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

use super::entropy::System;
use super::sql::ObjectStore;
use super::{clock, glue, log};
use keyward_key::entropy::Entropy;
use keyward_key::time::Millis;
use keyward_limits::{Level, LimitsHost, LimitsObject, LoggedEvents};
use keyward_registry::store::{Store, StoreError};

/// The Durable Object class that `wrangler.toml` binds.
#[durable_object]
pub struct Limits {
    inner: LimitsObject<Host>,
}

impl DurableObject for Limits {
    fn new(state: State, _: Env) -> Self {
        Self { inner: LimitsObject::new(Host { state }) }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let message = request.text().await?;
        glue::object_response(self.inner.fetch(&message))
    }
}

struct Host {
    state: State,
}

impl LimitsHost for Host {
    fn now(&self) -> Millis {
        clock::now()
    }

    fn random_number(&self) -> Option<u64> {
        let mut bytes = [0_u8; 8];
        System.fill(&mut bytes).ok()?;
        Some(u64::from_be_bytes(bytes) >> 16)
    }

    fn with_store<T>(
        &self,
        work: impl FnOnce(&mut dyn Store) -> std::result::Result<T, StoreError>,
    ) -> std::result::Result<T, StoreError> {
        work(&mut ObjectStore::new(&self.state.storage()))
    }

    fn take_logged(&self) -> Vec<LoggedEvents> {
        log::take()
    }

    fn log(&self, level: Level, event: &str, fields: &[(&str, &str)]) {
        log::event(level, event, fields);
    }
}
