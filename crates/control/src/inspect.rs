//! What the registry knows of a key that somebody presented elsewhere, for introspection and verification.

use serde::{Deserialize, Serialize};

use super::operation::raw;
use keyward_key::id::KeyId;
use keyward_key::record::Record;
use keyward_key::time::Millis;
use keyward_protocol::Raw;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::keys;
use keyward_registry::store::Store;

/// A key at one instant of the authority's clock.
#[derive(Debug, Serialize, Deserialize)]
pub struct Inspected {
    /// The instant.
    pub at: Millis,
    /// The key. `None` says that there certainly is none, or none that the caller may see.
    pub found: Option<Box<Found>>,
}

/// A key, as the gate decides by it and as answers show it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Found {
    /// Record.
    pub record: Record,
    /// Instant of its issue.
    pub created_at: Millis,
    /// View.
    pub key: Raw,
}

/// Returns the record and the view of a key, from one row at one instant. The edge decides by the gate's own checks what the
/// key is good for. Without an id there is nothing to find.
pub(super) fn inspect(
    store: &mut dyn Store,
    by: &Context<'_>,
    id: Option<&KeyId>,
) -> Result<Inspected, OperationError> {
    let nothing = Inspected { at: by.now, found: None };
    let Some(id) = id else { return Ok(nothing) };
    let Some(row) = keys::find(store, id)? else { return Ok(nothing) };
    let (record, view, created_at) = (keys::record(&row)?, keys::view(&row, by.now)?, row.millis("created_at")?);
    if !by.member()?.sees(view.attributes.environment) {
        return Ok(nothing);
    }
    Ok(Inspected { at: by.now, found: Some(Box::new(Found { record, created_at, key: raw(&view)? })) })
}
