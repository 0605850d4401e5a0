//! Lookups of keys for the gate.

use super::feed;
use super::keys;
use super::store::{Store, StoreError};
use keyward_key::id::KeyId;
use keyward_protocol::{LookedUp, MAX_LOOKUP_KEYS, Response};

/// Size of records in bytes after which an answer omits further keys. A record with 1,000 networks takes about 40,000.
const ANSWER_BYTES: usize = 1_000_000;

/// Looks up at most [`MAX_LOOKUP_KEYS`] keys. Each costs one read by primary key.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn answer(store: &mut dyn Store, ids: &[KeyId]) -> Result<Response, StoreError> {
    let mut records = Vec::new();
    let mut bytes = 0_usize;
    for id in ids.iter().take(MAX_LOOKUP_KEYS) {
        let record = keys::find(store, id)?.as_ref().map_or(Ok(None), keys::record);
        // An unreadable row must not prevent answers about the other keys.
        let looked_up = record.ok().and_then(|record| LookedUp::new(id.clone(), record.as_ref()));
        let looked_up = looked_up.unwrap_or_else(|| LookedUp::unreadable(id.clone()));
        bytes = bytes.saturating_add(looked_up.record_bytes());
        records.push(looked_up);
        if bytes >= ANSWER_BYTES {
            break;
        }
    }
    Ok(Response::Records { records, at: feed::position(store)? })
}
