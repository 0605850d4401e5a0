//! Series, totals and activity.
//!
//! A series reads at most 1,000 steps of one key. Activity reads the hours of one key, at most 840, and as many rows as it shows. Totals
//! read every row of their range, so their range is limited by the caller.

use keyward_key::id::Environment;
use keyward_key::time::Millis;
use keyward_protocol::usage::{
    ALLOWED, Activity, ActivityPage, ActivityQuery, MINUTE_MS, Series, SeriesQuery, SinceQuery, Step, StepCount, Total,
    TotalsBy, TotalsQuery, minute_of,
};
use keyward_store::{Row, Store, StoreError, Value};

use super::names::from_row;

/// Maximum number of steps of one series.
pub const MAX_STEPS: i64 = 1_000;
/// Maximum number of hours of one activity query: all that are kept.
pub const MAX_HOURS: i64 = 841;
/// Maximum number of keys of one [`uses_since`]. A page of leak reports has fewer.
pub const MAX_SINCE: usize = 2_000;
/// Maximum number of groups of totals. An integration beyond them is left out; the largest come first.
const MAX_TOTALS: i64 = 10_000;

/// Returns the series of a key.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn series(store: &mut dyn Store, query: &SeriesQuery, now: Millis) -> Result<Series, StoreError> {
    let Some(key) = number_of(store, query.id.as_str())? else { return Ok(Series { now, counts: Vec::new() }) };
    macro_rules! of_table {
        ($table:literal) => {
            concat!(
                "SELECT steps.value AS at, names.text AS decision, sum(counts.count) AS count
                 FROM json_each(?) AS steps CROSS JOIN ",
                $table,
                " AS counts ON counts.at = steps.value AND counts.key = ?
                 CROSS JOIN names ON names.number = counts.decision
                 GROUP BY steps.value, names.text ORDER BY steps.value, names.text"
            )
        };
    }
    let sql = match query.step {
        Step::Minute => of_table!("minutes"),
        Step::Hour => of_table!("hours"),
        Step::Day => of_table!("days"),
    };
    let rows = store.query(sql, &[steps(query.from, query.to, MAX_STEPS)?, Value::Integer(key)])?;
    let count = |row: &Row| {
        Ok(StepCount { at: row.integer("at")?, decision: row.text("decision")?.to_owned(), count: row.count("count")? })
    };
    Ok(Series { now, counts: rows.iter().map(count).collect::<Result<_, _>>()? })
}

/// Returns the numbers of steps as JSON: a join with them makes one search in the index for each.
fn steps(from: i64, to: i64, most: i64) -> Result<Value, StoreError> {
    Value::json(&(from..to.min(from.saturating_add(most))).collect::<Vec<_>>())
}

fn number_of(store: &mut dyn Store, id: &str) -> Result<Option<i64>, StoreError> {
    let rows = store.query("SELECT number FROM keys WHERE id = ?", &[id.into()])?;
    rows.first().map(|row| row.integer("number")).transpose()
}

macro_rules! totals {
    ($table:literal, $name:literal, $joins:literal) => {
        concat!(
            "SELECT ",
            $name,
            " AS name, coalesce(sum(counts.count) FILTER (WHERE decisions.text = ?), 0) AS allowed,
                 coalesce(sum(counts.count) FILTER (WHERE decisions.text <> ?), 0) AS refused
             FROM ",
            $table,
            " AS counts JOIN keys ON keys.number = counts.key JOIN names AS decisions ON decisions.number = counts.decision ",
            $joins,
            " WHERE counts.at >= ? AND counts.at < ? AND keys.environment IN (SELECT value FROM json_each(?))
             GROUP BY 1 ORDER BY sum(counts.count) DESC, 1 LIMIT ?"
        )
    };
}

/// Returns totals, largest first.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn totals(store: &mut dyn Store, query: &TotalsQuery) -> Result<Vec<Total>, StoreError> {
    let is_hours = query.step == Step::Hour;
    let sql = match (query.by, is_hours) {
        (TotalsBy::Integration, true) => totals!("hours", "keys.integration", ""),
        (TotalsBy::Integration, false) => totals!("days", "keys.integration", ""),
        (TotalsBy::Key, true) => totals!("hours", "keys.id", ""),
        (TotalsBy::Key, false) => totals!("days", "keys.id", ""),
        (TotalsBy::Code, true) => totals!("hours", "decisions.text", ""),
        (TotalsBy::Code, false) => totals!("days", "decisions.text", ""),
        (TotalsBy::Route, true) => totals!(
            "hours",
            "routes.text",
            "JOIN sources ON sources.number = counts.source JOIN names AS routes ON routes.number = sources.route"
        ),
        (TotalsBy::Route, false) => {
            totals!("days", "routes.text", "JOIN names AS routes ON routes.number = counts.route")
        }
        (TotalsBy::Time, true) => totals!("hours", "CAST(counts.at AS TEXT)", ""),
        (TotalsBy::Time, false) => totals!("days", "CAST(counts.at AS TEXT)", ""),
    };
    let environments: Vec<&str> = match &query.environments {
        Some(environments) => environments.iter().map(|environment| environment.as_str()).collect(),
        None => Environment::ALL.map(Environment::as_str).to_vec(),
    };
    let parameters = [
        ALLOWED.into(),
        ALLOWED.into(),
        Value::Integer(query.from),
        Value::Integer(query.to),
        Value::json(&environments)?,
        Value::Integer(MAX_TOTALS),
    ];
    store.query(sql, &parameters)?.iter().map(total).collect()
}

fn total(row: &Row) -> Result<Total, StoreError> {
    Ok(Total { name: row.text("name")?.to_owned(), allowed: row.count("allowed")?, refused: row.count("refused")? })
}

/// Returns the totals of a key by route, largest first. The step is an hour or a day: minutes have no route.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn routes_of_key(store: &mut dyn Store, query: &SeriesQuery) -> Result<Vec<Total>, StoreError> {
    let Some(key) = number_of(store, query.id.as_str())? else { return Ok(Vec::new()) };
    macro_rules! of_table {
        ($table:literal, $joins:literal) => {
            concat!(
                "SELECT routes.text AS name, coalesce(sum(counts.count) FILTER (WHERE decisions.text = ?), 0) AS allowed,
                     coalesce(sum(counts.count) FILTER (WHERE decisions.text <> ?), 0) AS refused
                 FROM json_each(?) AS steps CROSS JOIN ",
                $table,
                " AS counts ON counts.at = steps.value AND counts.key = ?
                 CROSS JOIN names AS decisions ON decisions.number = counts.decision ",
                $joins,
                " GROUP BY 1 ORDER BY sum(counts.count) DESC, 1 LIMIT ?"
            )
        };
    }
    let sql = if query.step == Step::Day {
        of_table!("days", "CROSS JOIN names AS routes ON routes.number = counts.route")
    } else {
        of_table!(
            "hours",
            "CROSS JOIN sources ON sources.number = counts.source
             CROSS JOIN names AS routes ON routes.number = sources.route"
        )
    };
    let parameters = [
        ALLOWED.into(),
        ALLOWED.into(),
        steps(query.from, query.to, MAX_STEPS)?,
        Value::Integer(key),
        Value::Integer(MAX_TOTALS),
    ];
    store.query(sql, &parameters)?.iter().map(total).collect()
}

/// Returns the number of requests with each key since its hour. At most as many keys as one page of leak reports has, and 24 hours and 35 days
/// of each are read.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn uses_since(store: &mut dyn Store, queries: &[SinceQuery], now: Millis) -> Result<Vec<Option<u64>>, StoreError> {
    let minute = minute_of(now);
    let oldest = Step::Hour.of_minute(minute.saturating_sub(Step::Hour.kept_minutes())).saturating_add(1);
    let (mut hours, mut days) = (Vec::new(), Vec::new());
    for (place, SinceQuery { id, hour }) in queries.iter().take(MAX_SINCE).enumerate() {
        if *hour < oldest {
            continue;
        }
        // The rest of the first day by the hour, then whole days.
        let day = Step::Day.of_minute(hour.saturating_mul(Step::Hour.minutes()));
        let next = Step::Day.start(day.saturating_add(1)).0.div_euclid(Step::Hour.minutes().saturating_mul(MINUTE_MS));
        hours.extend((*hour..next).map(|hour| (place, id.as_str(), hour)));
        days.extend((day.saturating_add(1)..=Step::Day.of_minute(minute)).map(|day| (place, id.as_str(), day)));
    }
    macro_rules! of_table {
        ($table:literal) => {
            concat!(
                "SELECT json_extract(steps.value, '$[0]') AS place, sum(counts.count) AS count
                 FROM json_each(?) AS steps CROSS JOIN keys ON keys.id = json_extract(steps.value, '$[1]')
                 CROSS JOIN ",
                $table,
                " AS counts ON counts.at = json_extract(steps.value, '$[2]') AND counts.key = keys.number GROUP BY 1"
            )
        };
    }
    let mut found: Vec<Option<u64>> = queries.iter().map(|query| (query.hour >= oldest).then_some(0)).collect();
    for (sql, steps) in [(of_table!("hours"), hours), (of_table!("days"), days)] {
        for row in store.query(sql, &[Value::json(&steps)?])? {
            let place = usize::try_from(row.integer("place")?).ok().and_then(|place| found.get_mut(place));
            if let Some(Some(count)) = place {
                *count = count.saturating_add(row.count("count")?);
            }
        }
    }
    Ok(found)
}

/// Returns a page of the activity of a key.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn activity(store: &mut dyn Store, query: &ActivityQuery) -> Result<ActivityPage, StoreError> {
    let Some(key) = number_of(store, query.id.as_str())? else {
        return Ok(ActivityPage { items: Vec::new(), next: None });
    };
    let (after_hour, after_source) = query.after.unwrap_or((query.from, -1));
    let most = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let rows = store.query(
        "SELECT steps.value AS at, hours.source AS source, routes.text AS route, client, network, country, asn,
             json_group_array(json_array(decisions.text, hours.count)) AS counts
         FROM json_each(?) AS steps CROSS JOIN hours ON hours.at = steps.value AND hours.key = ?
         CROSS JOIN sources ON sources.number = hours.source
         CROSS JOIN names AS routes ON routes.number = sources.route
         CROSS JOIN names AS decisions ON decisions.number = hours.decision
         WHERE steps.value > ? OR hours.source > ?
         GROUP BY steps.value, hours.source ORDER BY steps.value, hours.source LIMIT ?",
        &[
            steps(after_hour.max(query.from), query.to, MAX_HOURS)?,
            Value::Integer(key),
            Value::Integer(after_hour),
            Value::Integer(after_source),
            Value::Integer(i64::from(query.limit).saturating_add(1)),
        ],
    )?;
    let place = |row: &Row| Ok::<_, StoreError>((row.integer("at")?, row.integer("source")?));
    let next = if rows.len() > most { rows.get(most.saturating_sub(1)).map(place).transpose()? } else { None };
    let items = rows.iter().take(most).map(item).collect::<Result<_, _>>()?;
    Ok(ActivityPage { items, next })
}

fn item(row: &Row) -> Result<Activity, StoreError> {
    let mut counts: Vec<(String, u64)> = row.parsed("counts", |text| serde_json::from_str(text).ok())?;
    counts.sort();
    Ok(Activity {
        hour: row.integer("at")?,
        source: row.integer("source")?,
        route: row.text("route")?.to_owned(),
        client: row.text("client")?.to_owned(),
        from: from_row(row)?,
        counts,
    })
}
