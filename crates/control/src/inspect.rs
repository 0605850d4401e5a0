//! The registry's data about a presented key, for introspection and verification.

use serde::{Deserialize, Serialize};

use super::operation::raw;
use keyward_key::id::KeyId;
use keyward_key::record::Record;
use keyward_key::time::Millis;
use keyward_protocol::Raw;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::keys;
use keyward_registry::store::Store;

/// State of a key at one time of the authority's clock.
#[derive(Debug, Serialize, Deserialize)]
pub struct Inspected {
    /// Time of the read.
    pub at: Millis,
    /// The key. `None`: it does not exist, or the caller may not see it.
    pub found: Option<Box<Found>>,
}

/// A key: the record for the gate's checks, and the view for responses.
#[derive(Debug, Serialize, Deserialize)]
pub struct Found {
    /// Record.
    pub record: Record,
    /// Time of issue.
    pub created_at: Millis,
    /// View.
    pub key: Raw,
}

/// Reads the record and the view of a key from one row. The isolate then applies the gate's own checks. Returns no key if there is no
/// id.
pub(super) fn inspect(
    store: &mut dyn Store,
    by: &Context<'_>,
    id: Option<&KeyId>,
) -> Result<Inspected, OperationError> {
    let nothing = Inspected { at: by.now, found: None };
    let Some(id) = id else { return Ok(nothing) };
    let Some(row) = keys::find(store, id)? else { return Ok(nothing) };
    let Some(record) = keys::record(&row)? else { return Ok(nothing) };
    let (view, created_at) = (keys::view(&row, by.now)?, row.millis("created_at")?);
    if !by.member()?.sees(view.attributes.environment) {
        return Ok(nothing);
    }
    Ok(Inspected { at: by.now, found: Some(Box::new(Found { record, created_at, key: raw(&view)? })) })
}
