//! What is known of a key that somebody presented elsewhere: for introspection and for other workers.

use super::apply::{Context, OperationError};
use super::keys;
use super::store::Store;
use keyward_key::id::KeyId;
use keyward_protocol::{Inspected, Outcome};

/// The key's record and view, both of one row and one instant. One in an environment that the caller may not see is as if it
/// were absent. What the record is good for is the edge's to decide, by the gate's own checks.
pub(super) fn inspect(store: &mut dyn Store, by: &Context<'_>, id: &KeyId) -> Result<Outcome, OperationError> {
    let nothing = Outcome::Inspected { at: by.now, found: None };
    let Some(row) = keys::find(store, id)? else { return Ok(nothing) };
    let (record, key, created_at) = (keys::record(&row)?, keys::view(&row, by.now)?, row.millis("created_at")?);
    if !by.member.sees(key.environment) {
        return Ok(nothing);
    }
    Ok(Outcome::Inspected { at: by.now, found: Some(Box::new(Inspected { record, created_at, key })) })
}
