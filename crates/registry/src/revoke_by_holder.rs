//! Shutting off the key that one holds (RFC 7009).

use super::apply::OperationError;
use super::keys;
use super::members::unauthenticated;
use super::revoke::{Revoker, revoke_row};
use super::store::Store;
use keyward_key::hash::KeyHash;
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::{Command, ControlRequest, Outcome};

/// `actor` in the log and `revoked_by` of the key.
pub const HOLDER: &str = "holder";

/// The reason that is kept.
const REASON: &str = "Revoked by whoever holds it";

/// Whoever holds a key may revoke that key, and do nothing else. That they hold it is decided here, in the transaction, by
/// the hash of the row. To the holder every outcome looks the same; the refusals' reasons are for the log.
pub(super) fn run(
    store: &mut dyn Store,
    control: &ControlRequest,
    id: &KeyId,
    presented: &KeyHash,
    now: Millis,
) -> Result<Outcome, OperationError> {
    if !matches!(control.command, Command::RevokeByHolder) {
        return Err(unauthenticated("a data key is no member's credential"));
    }
    let row = keys::find(store, id)?.ok_or_else(|| unauthenticated("no such key"))?;
    let stored: KeyHash = row.parsed("key_hash", KeyHash::from_stored)?;
    if !stored.matches(presented) {
        return Err(unauthenticated("wrong secret"));
    }
    revoke_row(store, &row, &Revoker { actor: HOLDER, origin: &control.origin, now }, id, REASON)
}
