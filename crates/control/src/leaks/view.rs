//! A leak report as responses show it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::usage_query::Asking;
use keyward_config::Config;
use keyward_edge::Platform;
use keyward_key::id::{Environment, KeyId};
use keyward_key::time::Millis;
use keyward_protocol::usage::{SinceQuery, Step, UsageRequest, UsageResponse, minute_of, usage_shard};
use keyward_registry::leaks::{Leak, LeakItem};

/// A report.
#[derive(Serialize)]
pub struct LeakView {
    #[serde(skip)]
    received: Millis,
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
    /// Number of requests since the start of the hour of the report; `None` if it is not known.
    uses_since: Option<u64>,
}

impl LeakView {
    /// Creates the view of a report under this configuration, whose routes and times it shows.
    pub fn new(config: &Config, leak: Leak) -> Self {
        let Leak { id, source, received_at, found_at, note, items } = leak;
        Self {
            received: received_at,
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

/// Sets the number of requests of each key since its report, as far as the shards answer. A member's credential has none.
pub(crate) async fn add_uses<P: Platform>(leaks: &mut [LeakView], platform: &P, request_id: &str) {
    let mut by_shard: BTreeMap<u32, (Vec<SinceQuery>, Vec<&mut Option<u64>>)> = BTreeMap::new();
    for leak in leaks {
        let hour = Step::Hour.of_minute(minute_of(leak.received));
        for item in leak.items.iter_mut().filter(|item| item.environment.is_some()) {
            let (queries, places) = by_shard.entry(usage_shard(item.key_id.as_str())).or_default();
            queries.push(SinceQuery { id: item.key_id.clone(), hour });
            places.push(&mut item.uses_since);
        }
    }
    let ask = Asking { platform, request_id };
    for (shard, (queries, places)) in by_shard {
        // A failure is logged. What is not known is no "no uses".
        if let Ok(UsageResponse::UsesSince(uses)) = ask.shard(shard, &UsageRequest::UsesSince(queries)).await {
            for (place, uses) in places.into_iter().zip(uses) {
                *place = uses;
            }
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
