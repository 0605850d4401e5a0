//! Writes copies to KV: one drain at a time, with retries by alarm.

use super::host::{Level, ObjectHost};
use super::{
    DRAIN_TIMEOUT_MS, FIRST_BACKOFF_MS, KV_MIN_TTL_SECONDS, KV_TTL_AFTER_END_SECONDS, LONGEST_BACKOFF_MS,
    RegistryObject, WRITE_BATCH,
};
use crate::{meta, outbox};
use keyward_key::sealed::{Sealed, storage_name};

impl<H: ObjectHost> RegistryObject<H> {
    /// Writes copies until none is pending. Only one drain runs at a time, because two could put an older copy over a newer one.
    /// After a failure the alarm retries, with a backoff that doubles. Sets the next alarm in every case.
    pub(super) async fn drain(&self) {
        let now = self.host.now();
        // After a step back of the clock, the running drain counts from the new time.
        let running_since = self.drain_started_at.get().map(|started_at| started_at.min(now));
        if running_since.is_some_and(|started_at| now.since(started_at) < DRAIN_TIMEOUT_MS) {
            self.drain_started_at.set(running_since);
            // The alarm that triggered this call is used up. If the running drain ends with this instance, another alarm must follow.
            self.reset_alarm().await;
            return;
        }
        self.drain_started_at.set(Some(now));
        let drained = self.write_copies().await;
        self.drain_started_at.set(None);
        match drained {
            Ok(()) => self.backoff_ms.set(FIRST_BACKOFF_MS),
            Err(cause) => {
                let backoff_ms = self.backoff_ms.get().saturating_mul(2).min(LONGEST_BACKOFF_MS);
                self.backoff_ms.set(backoff_ms);
                let fields = [("cause", cause.as_str()), ("retry_in_ms", &backoff_ms.to_string())];
                self.host.log(Level::Warn, "kv_copy_failed", &fields);
            }
        }
        self.reset_alarm().await;
    }

    async fn write_copies(&self) -> Result<(), String> {
        loop {
            let pending = self.with_store(|store| outbox::pending(store, WRITE_BATCH));
            let pending = pending.map_err(|error| error.to_string())?;
            if pending.is_empty() {
                return Ok(());
            }
            let epoch = self.with_store(meta::epoch).map_err(|error| error.to_string())?;
            // A failed copy does not delay the others.
            let mut failure = None;
            for (record, revision) in pending {
                let id = record.id.clone();
                let written = self.write_copy(&Sealed { epoch: epoch.clone(), record }).await;
                let noted = self.with_store(|store| match &written {
                    // Only if the row still has this revision: a change made in the meantime is written next.
                    Ok(()) => outbox::done(store, &id, revision, &epoch),
                    Err(_) => outbox::failed(store, &id, revision),
                });
                noted.map_err(|error| error.to_string())?;
                failure = failure.or(written.err());
            }
            if let Some(cause) = failure {
                return Err(cause);
            }
        }
    }

    async fn write_copy(&self, copy: &Sealed) -> Result<(), String> {
        let settings = self.settings.as_ref().ok_or("misconfigured")?;
        let text = copy.seal(settings.keyring.current()).ok_or("a record could not be sealed")?;
        let record = &copy.record;
        let earliest = self.host.now().plus_seconds(KV_MIN_TTL_SECONDS);
        let expires_at = record.expires_at.plus_seconds(KV_TTL_AFTER_END_SECONDS).max(earliest);
        self.host.kv_put(&storage_name(&record.id), &text, expires_at.0 / 1000).await
    }
}
