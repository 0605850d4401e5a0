//! The use of a key by one request, as usage counts it.

use std::sync::Arc;

use keyward_key::id::KeyId;
use keyward_protocol::feed::CompactKeyId;

/// One use of a genuine key.
#[derive(Clone, Copy, Debug)]
pub struct KeyUse<'a> {
    /// Id of the key in its short form.
    pub id: CompactKeyId,
    /// Id of the key.
    pub key_id: &'a KeyId,
    /// Slug of its integration, if the key's record is known.
    pub integration: Option<&'a str>,
    /// The route's `match`.
    pub route: &'a Arc<str>,
}

/// The use of a key that was refused.
#[derive(Debug)]
pub(super) struct RefusedUse {
    id: CompactKeyId,
    route: Arc<str>,
    integration: Option<String>,
}

impl RefusedUse {
    /// Creates the use of a key on a route.
    pub fn new(id: CompactKeyId, route: &Arc<str>, integration: Option<&str>) -> Self {
        Self { id, route: Arc::clone(route), integration: integration.map(str::to_owned) }
    }

    /// Returns the use of the key with this id.
    pub fn about<'a>(&'a self, key_id: &'a KeyId) -> Option<KeyUse<'a>> {
        Some(KeyUse { id: self.id, key_id, integration: self.integration.as_deref(), route: &self.route })
    }
}
