//! A leak report as responses show it.

use serde::Serialize;

use keyward_config::Config;
use keyward_key::id::{Environment, KeyId};
use keyward_registry::leaks::{Leak, LeakItem};

/// A report.
#[derive(Serialize)]
pub(crate) struct LeakView {
    id: String,
    source: &'static str,
    received_at: String,
    found_at: Option<String>,
    /// Place of the first key.
    place: Option<String>,
    note: Option<String>,
    items: Vec<ItemView>,
}

/// One key of a report.
#[derive(Serialize)]
struct ItemView {
    key_id: KeyId,
    integration: Option<String>,
    owner: String,
    environment: Option<Environment>,
    scopes: Vec<String>,
    /// `match` of each route that the key opened.
    routes: Vec<String>,
    place: Option<String>,
    was_active: bool,
    /// Times by which the revocation takes effect; `None` for a key that had expired.
    effective_by: Option<String>,
    guaranteed_by: Option<String>,
    last_used_before: Option<String>,
    /// Number of requests since the report; `None` if it is not known.
    uses_since: Option<u64>,
}

impl LeakView {
    /// Creates the view of a report under this configuration, whose routes and times it shows.
    pub fn new(config: &Config, leak: Leak) -> Self {
        let Leak { id, source, received_at, found_at, note, items } = leak;
        Self {
            id,
            source: source.as_str(),
            received_at: received_at.rfc3339(),
            found_at: found_at.map(|at| at.rfc3339()),
            place: items.iter().find_map(|item| item.place.clone()),
            note,
            items: items.into_iter().map(|item| ItemView::new(config, item)).collect(),
        }
    }
}

impl ItemView {
    fn new(config: &Config, item: LeakItem) -> Self {
        let (effective, guaranteed) = item.revoked_at.map(|at| config.effect_times(at)).unzip();
        Self {
            routes: config.routes.opened_by(&item.scopes),
            key_id: item.key_id,
            integration: item.integration,
            owner: item.owner,
            environment: item.environment,
            scopes: item.scopes,
            place: item.place,
            was_active: item.was_active,
            effective_by: effective.map(|at| at.rfc3339()),
            guaranteed_by: guaranteed.map(|at| at.rfc3339()),
            last_used_before: item.last_used_before.map(|at| at.rfc3339()),
            uses_since: None,
        }
    }
}
