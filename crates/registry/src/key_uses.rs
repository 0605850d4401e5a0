//! What keys are used for, as the shards of the usage object tell: the last day of each route, and a day with many networks. The rules of posture
//! read it. Not a change of a key: it has no revision and no audit entry.

use std::collections::BTreeMap;

use super::store::{Row, Store, StoreError, Value};
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::usage::{KeyDay, KeyTimes, OTHER, Step, minute_of};

/// Number of networks on a day above which a key is shared widely.
pub const WIDE_NETWORKS: u32 = 32;
/// Days for which the last use of a route is kept. An older one proves as much as none.
const KEPT_DAYS: i64 = 60;

/// What one key was used for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyUses {
    /// Number of the last day of each route, by its `match`. [`OTHER`] stands for any route.
    routes: BTreeMap<String, i64>,
    /// Number of the last day with more than [`WIDE_NETWORKS`] networks, and their number.
    wide: Option<(i64, u32)>,
    /// When the key got a scope last; `None` for its issue.
    pub scopes_since: Option<Millis>,
}

impl KeyUses {
    /// Reads the columns `routes`, `wide_day`, `wide_networks` and `scopes_since`, which are NULL for a key without a row.
    ///
    /// # Errors
    /// [`StoreError`] if the row is malformed.
    pub fn from_row(row: &Row) -> Result<Self, StoreError> {
        let networks = row.optional_integer("wide_networks")?.and_then(|networks| u32::try_from(networks).ok());
        Ok(Self {
            routes: row.optional_parsed("routes", |text| serde_json::from_str(text).ok())?.unwrap_or_default(),
            wide: row.optional_integer("wide_day")?.zip(networks),
            scopes_since: row.optional_millis("scopes_since")?,
        })
    }

    /// Returns the end of the last day on which one of these routes may have been used.
    #[must_use]
    pub fn last_use_of(&self, routes: &[String]) -> Option<Millis> {
        let days = routes.iter().filter_map(|route| self.routes.get(route)).chain(self.routes.get(OTHER));
        days.max().map(|day| Step::Day.start(day.saturating_add(1)))
    }

    /// Returns the start of the last day with more than [`WIDE_NETWORKS`] networks, and their number.
    #[must_use]
    pub fn wide(&self) -> Option<(Millis, u32)> {
        self.wide.map(|(day, networks)| (Step::Day.start(day), networks))
    }

    /// Adds days. A day after `today` counts as today.
    fn add(&mut self, days: &[KeyDay], today: i64) {
        for KeyDay { day, routes, networks } in days {
            let day = today.min(*day);
            for route in routes {
                let last = self.routes.entry(route.clone()).or_insert(day);
                *last = day.max(*last);
            }
            if *networks > WIDE_NETWORKS {
                self.wide = self.wide.max(Some((day, *networks)));
            }
        }
        self.routes.retain(|_, day| *day > today.saturating_sub(KEPT_DAYS));
    }
}

/// Stores what keys were used for, within the caller's transaction. What arrives twice or late changes nothing. Writes a key only if there is
/// something new of it, which is about once a day.
pub(super) fn note(store: &mut dyn Store, keys: &[KeyTimes], now: Millis) -> Result<(), StoreError> {
    let ids: Vec<&str> = keys.iter().filter(|key| !key.days.is_empty()).map(|key| key.id.as_str()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let mut known = BTreeMap::new();
    let rows = store.query(
        "SELECT keys.id, routes, wide_day, wide_networks, scopes_since FROM json_each(?) AS told
         CROSS JOIN keys ON keys.id = told.value LEFT JOIN key_uses ON key_uses.id = keys.id",
        &[Value::json(&ids)?],
    )?;
    for row in &rows {
        known.insert(row.text("id")?.to_owned(), KeyUses::from_row(row)?);
    }
    let today = Step::Day.of_minute(minute_of(now));
    let mut changed = Vec::new();
    for key in keys {
        // The registry has no such key if it was restored from a backup.
        let Some(before) = known.get(key.id.as_str()) else { continue };
        let mut uses = before.clone();
        uses.add(&key.days, today);
        if uses != *before {
            let (day, networks) = uses.wide.unzip();
            changed.push((key.id.as_str(), json(&uses.routes)?, day, networks));
        }
    }
    store.execute(
        "INSERT INTO key_uses (id, routes, wide_day, wide_networks)
         SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
                json_extract(value, '$[3]')
         FROM json_each(?) WHERE true
         ON CONFLICT (id) DO UPDATE SET routes = excluded.routes, wide_day = excluded.wide_day,
             wide_networks = excluded.wide_networks",
        &[Value::json(&changed)?],
    )
}

fn json(routes: &BTreeMap<String, i64>) -> Result<String, StoreError> {
    serde_json::to_string(routes).map_err(|_| StoreError::new("routes have no JSON form"))
}

/// Records that a key has got a scope, within the caller's transaction: it cannot have been used before.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn got_scope(store: &mut dyn Store, id: &KeyId, now: Millis) -> Result<(), StoreError> {
    store.execute(
        "INSERT INTO key_uses (id, routes, scopes_since) VALUES (?, '{}', ?)
         ON CONFLICT (id) DO UPDATE SET scopes_since = excluded.scopes_since",
        &[id.as_str().into(), now.into()],
    )
}
