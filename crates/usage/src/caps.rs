//! Caps on what a client can vary: networks, client families and routes of a key on a day, and their combinations in an hour. Whatever
//! exceeds a cap is counted as `other`, so a client that varies its address or `User-Agent` adds no rows.

use std::collections::{BTreeMap, BTreeSet};

use keyward_protocol::usage::OTHER;
use keyward_store::{Store, StoreError, Value};

use super::names::{Source, from_row};

/// Maximum number of networks of one key on a day.
pub const NETWORKS_A_DAY: usize = 64;
/// Maximum number of client families of one key on a day.
pub const CLIENTS_A_DAY: usize = 32;
/// Maximum number of routes of one key on a day.
pub const ROUTES_A_DAY: usize = 64;
/// Maximum number of combinations of route, client and origin of one key in an hour. More are told apart by their route alone.
pub const SOURCES_AN_HOUR: usize = 128;

/// Property with a cap for each day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Network,
    Client,
    Route,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Client => "client",
            Self::Route => "route",
        }
    }

    const fn most(self) -> usize {
        match self {
            Self::Network => NETWORKS_A_DAY,
            Self::Client => CLIENTS_A_DAY,
            Self::Route => ROUTES_A_DAY,
        }
    }
}

/// What the keys of a report were seen with, on its days.
pub(super) struct Seen {
    stored: BTreeMap<(i64, i64, &'static str), BTreeSet<String>>,
    new: Vec<(i64, i64, &'static str, String)>,
}

impl Seen {
    /// Reads what is stored for pairs of day and key.
    pub fn load(store: &mut dyn Store, days: &BTreeSet<(i64, i64)>) -> Result<Self, StoreError> {
        let rows = store.query(
            "SELECT seen.day, seen.key, seen.kind, seen.text FROM json_each(?) AS wanted CROSS JOIN seen
             ON seen.day = json_extract(wanted.value, '$[0]') AND seen.key = json_extract(wanted.value, '$[1]')",
            &[Value::json(days)?],
        )?;
        let mut stored: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for row in &rows {
            let kind = row.text("kind")?;
            let kinds = [Kind::Network, Kind::Client, Kind::Route].map(Kind::as_str);
            let Some(kind) = kinds.into_iter().find(|known| *known == kind) else { continue };
            let place = stored.entry((row.integer("day")?, row.integer("key")?, kind)).or_default();
            place.insert(row.text("text")?.to_owned());
        }
        Ok(Self { stored, new: Vec::new() })
    }

    /// Returns the text, or `other` if the key has been seen with as many others on that day as the cap allows.
    pub fn capped(&mut self, day: i64, key: i64, kind: Kind, text: &str) -> String {
        let place = self.stored.entry((day, key, kind.as_str())).or_default();
        if !place.contains(text) {
            if place.len() >= kind.most() {
                return OTHER.to_owned();
            }
            place.insert(text.to_owned());
            self.new.push((day, key, kind.as_str(), text.to_owned()));
        }
        text.to_owned()
    }

    /// Stores what was seen first in this report.
    pub fn store(self, store: &mut dyn Store) -> Result<(), StoreError> {
        if self.new.is_empty() {
            return Ok(());
        }
        store.execute(
            "INSERT INTO seen (day, key, kind, text)
             SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
                    json_extract(value, '$[3]')
             FROM json_each(?) WHERE true ON CONFLICT DO NOTHING",
            &[Value::json(&self.new)?],
        )
    }
}

/// Sources of the keys of a report, in its hours.
pub(super) struct Combinations(BTreeMap<(i64, i64), BTreeSet<Source>>);

impl Combinations {
    /// Reads what is stored for pairs of hour and key.
    pub fn load(store: &mut dyn Store, hours: &BTreeSet<(i64, i64)>) -> Result<Self, StoreError> {
        let rows = store.query(
            "SELECT DISTINCT hours.at, hours.key, sources.route, network, client, country, asn
             FROM json_each(?) AS wanted CROSS JOIN hours
             ON hours.at = json_extract(wanted.value, '$[0]') AND hours.key = json_extract(wanted.value, '$[1]')
             CROSS JOIN sources ON sources.number = hours.source",
            &[Value::json(hours)?],
        )?;
        let mut stored: BTreeMap<(i64, i64), BTreeSet<Source>> = BTreeMap::new();
        for row in &rows {
            let source =
                Source { route: row.integer("route")?, client: row.text("client")?.to_owned(), from: from_row(row)? };
            stored.entry((row.integer("at")?, row.integer("key")?)).or_default().insert(source);
        }
        Ok(Self(stored))
    }

    /// Returns the source, or the one of its route that stands for all that exceed the cap: a client that varies its address or
    /// `User-Agent` must not hide which routes it uses. A key has few routes on a day ([`ROUTES_A_DAY`]).
    pub fn capped(&mut self, hour: i64, key: i64, source: Source) -> Source {
        let place = self.0.entry((hour, key)).or_default();
        if !place.contains(&source) {
            if place.len() >= SOURCES_AN_HOUR {
                return Source::other(source.route);
            }
            place.insert(source.clone());
        }
        source
    }
}
