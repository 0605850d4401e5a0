//! Adds up waiting reports: counts add up, times merge by maximum and minimum.
//!
//! All reports that wait are one sum, because a row is paid for each time that it is written: with 50 isolates that use a key, a minute
//! would otherwise write its rows 150 times.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use keyward_key::id::{Class, Environment, KeyId};
use keyward_key::time::Millis;
use keyward_protocol::usage::{KeyUsage, OTHER, Step, UseCount, UsedFrom, minute_of};
use keyward_store::{Store, StoreError, Value};

use super::caps::{Combinations, Kind, Seen};
use super::names::{Source, numbers_of, numbers_of_sources};
use super::{metrics, waiting};

/// Maximum length of a client family, in characters.
const CLIENT_CHARS: usize = 40;

/// Adds up all waiting reports at `now`, in one transaction for each batch of them. Returns the number of reports that could not be read.
///
/// # Errors
/// [`StoreError`] if the store failed. What was not added up still waits.
pub fn add_up(store: &mut dyn Store, now: Millis) -> Result<u64, StoreError> {
    let mut unreadable = 0_u64;
    loop {
        let mut is_last = true;
        store.transaction(&mut |store| {
            let Some(batch) = waiting::read(store)? else { return Ok(()) };
            merge_times(store, &batch.sum.keys)?;
            count(store, &batch.sum.keys, now)?;
            metrics::count(store, &batch.sum, now)?;
            waiting::remove(store, batch.last)?;
            is_last = batch.is_last;
            unreadable = unreadable.saturating_add(batch.unreadable);
            Ok(())
        })?;
        if is_last {
            return Ok(unreadable);
        }
    }
}

fn environment_of(id: &KeyId) -> Option<Environment> {
    match id.class() {
        Class::Data(environment) => Some(environment),
        Class::Member => None,
    }
}

/// Merges the times of keys.
fn merge_times(store: &mut dyn Store, keys: &[KeyUsage]) -> Result<(), StoreError> {
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        let Some(environment) = environment_of(&key.id) else { continue };
        let from = key.last_from.as_ref().map(|from| serde_json::to_string(from).unwrap_or_default());
        let integration = key.integration.as_deref().unwrap_or_default();
        rows.push((key.id.as_str(), integration, environment.as_str(), key.first_at, key.last_at, from));
    }
    store.execute(
        "INSERT INTO keys (id, integration, environment, first_at, last_at, last_from, told_at)
         SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
                json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'), 0
         FROM json_each(?) WHERE true
         ON CONFLICT (id) DO UPDATE SET
             integration = CASE WHEN excluded.integration = '' THEN integration ELSE excluded.integration END,
             last_from = CASE WHEN last_from IS NULL OR (excluded.last_from IS NOT NULL AND
                 (excluded.last_at > last_at OR (excluded.last_at = last_at AND excluded.last_from > last_from)))
                 THEN excluded.last_from ELSE last_from END,
             told_at = CASE WHEN excluded.first_at < first_at THEN 0 ELSE told_at END,
             first_at = min(first_at, excluded.first_at),
             last_at = max(last_at, excluded.last_at)",
        &[Value::json(&rows)?],
    )
}

/// One use of a report, with its key's number.
struct Accepted<'a> {
    key: i64,
    minute: i64,
    count: i64,
    of: &'a UseCount,
}

impl Accepted<'_> {
    const fn hour(&self) -> i64 {
        Step::Hour.of_minute(self.minute)
    }

    const fn day(&self) -> i64 {
        Step::Day.of_minute(self.minute)
    }
}

/// Adds the counts of keys.
fn count(store: &mut dyn Store, keys: &[KeyUsage], now: Millis) -> Result<(), StoreError> {
    let ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
    let rows = store.query(
        "SELECT keys.number, keys.id FROM json_each(?) AS wanted CROSS JOIN keys ON keys.id = wanted.value",
        &[Value::json(&ids)?],
    )?;
    let mut numbers = HashMap::new();
    for row in &rows {
        numbers.insert(row.text("id")?.to_owned(), row.integer("number")?);
    }
    let oldest = minute_of(now).saturating_sub(Step::Day.kept_minutes());
    let uses: Vec<Accepted<'_>> = keys
        .iter()
        .filter_map(|key| Some((key, *numbers.get(key.id.as_str())?)))
        .flat_map(|(key, number)| key.uses.iter().map(move |of| (number, of)))
        .filter(|(_, of)| of.minute >= oldest)
        .map(|(key, of)| Accepted {
            key,
            minute: of.minute,
            count: i64::try_from(of.count).unwrap_or(i64::MAX >> 12).min(i64::MAX >> 12),
            of,
        })
        .collect();
    if uses.is_empty() {
        return Ok(());
    }
    let resolved = resolve(store, &uses, minute_of(now))?;
    add(store, &uses, &resolved, now)
}

/// Numbers of one use's decision, route and source.
struct Resolved {
    decision: i64,
    route: i64,
    source: i64,
}

/// Applies the caps, and finds the numbers of all texts.
fn resolve(store: &mut dyn Store, uses: &[Accepted<'_>], minute: i64) -> Result<Vec<Resolved>, StoreError> {
    let mut seen = Seen::load(store, &uses.iter().map(|used| (used.day(), used.key)).collect())?;
    let mut capped = Vec::with_capacity(uses.len());
    for used in uses {
        let (day, key) = (used.day(), used.key);
        let client: String = used.of.client.chars().take(CLIENT_CHARS).collect();
        let network = used.of.from.network.as_deref();
        let network = network.map(|network| seen.capped(day, key, Kind::Network, network));
        // Beside a network that is not told apart, country and system would be a way around the cap.
        let is_other = network.as_deref() == Some(OTHER);
        let from = UsedFrom {
            country: used.of.from.country.clone().filter(|_| !is_other),
            asn: used.of.from.asn.filter(|_| !is_other),
            network,
        };
        let client = seen.capped(day, key, Kind::Client, &client);
        let route = seen.capped(day, key, Kind::Route, &used.of.route);
        capped.push((route, client, from));
    }
    seen.store(store)?;

    let mut texts: BTreeSet<&str> = [OTHER].into();
    texts.extend(uses.iter().map(|used| used.of.decision.as_str()));
    texts.extend(capped.iter().map(|(route, ..)| route.as_str()));
    let names = numbers_of(store, &texts)?;
    let number = |text: &str| names.get(text).copied().ok_or_else(|| StoreError::new("a name was not stored"));

    let mut combinations = Combinations::load(store, &uses.iter().map(|used| (used.hour(), used.key)).collect())?;
    let mut sources = Vec::with_capacity(uses.len());
    for (used, (route, client, from)) in uses.iter().zip(capped) {
        let route = number(&route)?;
        let source = combinations.capped(used.hour(), used.key, Source { route, client, from });
        sources.push((route, source));
    }
    let wanted = sources.iter().map(|(_, source)| source.clone()).collect();
    let found = numbers_of_sources(store, &wanted, Step::Day.of_minute(minute))?;
    uses.iter()
        .zip(sources)
        .map(|(used, (route, source))| {
            let missing = || StoreError::new("a source was not stored");
            Ok(Resolved {
                decision: number(&used.of.decision)?,
                route,
                source: found.get(&source).copied().ok_or_else(missing)?,
            })
        })
        .collect()
}

/// Adds counts to the rows of minutes, hours and days. A minute or hour that is not kept any more is left out.
fn add(store: &mut dyn Store, uses: &[Accepted<'_>], resolved: &[Resolved], now: Millis) -> Result<(), StoreError> {
    let (mut minutes, mut hours, mut days) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let plus = |place: &mut i64, count: i64| *place = place.saturating_add(count);
    let kept = |minute: i64, step: Step| minute > minute_of(now).saturating_sub(step.kept_minutes());
    // A use without a count is one of a report that may have been counted before.
    let counted = uses.iter().zip(resolved).filter(|(used, _)| used.count > 0);
    for (used, Resolved { decision, route, source }) in counted {
        if kept(used.minute, Step::Minute) {
            plus(minutes.entry((used.minute, used.key, *decision)).or_default(), used.count);
        }
        if kept(used.minute, Step::Hour) {
            plus(hours.entry((used.hour(), used.key, *source, *decision)).or_default(), used.count);
        }
        plus(days.entry((used.day(), used.key, *route, *decision)).or_default(), used.count);
    }
    let minutes: Vec<_> = minutes.into_iter().map(|((at, key, decision), count)| (at, key, decision, count)).collect();
    let rows = |counts: BTreeMap<(i64, i64, i64, i64), i64>| -> Vec<_> {
        counts.into_iter().map(|((at, key, other, decision), count)| (at, key, other, decision, count)).collect()
    };
    store.execute(
        "INSERT INTO minutes (at, key, decision, count)
         SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
                json_extract(value, '$[3]')
         FROM json_each(?) WHERE true ON CONFLICT DO UPDATE SET count = min(count + excluded.count, 9007199254740991)",
        &[Value::json(&minutes)?],
    )?;
    for (sql, counts) in [(ADD_HOURS, rows(hours)), (ADD_DAYS, rows(days))] {
        store.execute(sql, &[Value::json(&counts)?])?;
    }
    Ok(())
}

macro_rules! add_rows {
    ($table:literal, $column:literal) => {
        concat!(
            "INSERT INTO ",
            $table,
            " (at, key, ",
            $column,
            ", decision, count)
             SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
                    json_extract(value, '$[3]'), json_extract(value, '$[4]')
             FROM json_each(?) WHERE true
             ON CONFLICT DO UPDATE SET count = min(count + excluded.count, 9007199254740991)"
        )
    };
}

const ADD_HOURS: &str = add_rows!("hours", "source");
const ADD_DAYS: &str = add_rows!("days", "route");
