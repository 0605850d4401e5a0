//! Writes copies to KV: one drain at a time, with retries by alarm.

use super::host::ObjectHost;
use super::{KV_MIN_TTL_SECONDS, KV_TTL_AFTER_END_SECONDS, RegistryObject, WRITE_BATCH};
use crate::{meta, outbox};
use keyward_key::sealed::{Sealed, storage_name};

impl<H: ObjectHost> RegistryObject<H> {
    /// Writes copies until none is pending. Only one drain runs at a time, because two could put an older copy over a newer one.
    pub(super) async fn drain(&self) {
        self.make(&self.copies, self.write_copies()).await;
    }

    async fn write_copies(&self) -> Result<(), String> {
        loop {
            let pending = self.stored(|store| outbox::pending(store, WRITE_BATCH))?;
            if pending.is_empty() {
                return Ok(());
            }
            let epoch = self.stored(meta::epoch)?;
            // A failed copy does not delay the others.
            let mut failure = None;
            for (record, revision) in pending {
                let id = record.id.clone();
                let written = self.write_copy(&Sealed { epoch: epoch.clone(), record }).await;
                self.stored(|store| match &written {
                    // Only if the row still has this revision: a change made in the meantime is written next.
                    Ok(()) => outbox::done(store, &id, revision, &epoch),
                    Err(_) => outbox::failed(store, &id, revision),
                })?;
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
