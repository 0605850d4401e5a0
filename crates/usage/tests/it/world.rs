//! A shard in memory, and reports to send to it.

use keyward_key::id::{Environment, KeyId};
use keyward_key::time::Millis;
use keyward_protocol::usage::{ALLOWED, KeyUsage, Step, UsageReport, UseCount, UsedFrom, minute_of};
use keyward_store::{Store, StoreError};
use keyward_testkit::registry_world::key_id;
use keyward_testkit::sqlite_store::SqliteStore;
use keyward_usage::report::{Kept, keep};
use keyward_usage::schema::migrate;
use keyward_usage::sums::add_up;

/// 2026-11-23T14:02:03.004Z
pub const NOW: Millis = Millis(1_795_442_523_004);

pub fn id(number: u32) -> KeyId {
    key_id(Environment::Live, number)
}

pub fn store() -> SqliteStore {
    let mut store = SqliteStore::new();
    migrate(&mut store).unwrap();
    store
}

pub fn from(network: &str) -> UsedFrom {
    UsedFrom { country: Some("DE".to_owned()), asn: Some(64_496), network: Some(network.to_owned()) }
}

pub fn used(at: Millis, count: u64) -> UseCount {
    UseCount {
        minute: minute_of(at),
        decision: ALLOWED.to_owned(),
        route: "GET /v1/contacts".to_owned(),
        client: "curl".to_owned(),
        from: from("192.0.2.0/24"),
        count,
    }
}

/// Uses of key `number`, all at one instant.
pub fn key(number: u32, at: Millis, uses: Vec<UseCount>) -> KeyUsage {
    KeyUsage {
        id: id(number),
        integration: Some(format!("integration-{number}")),
        first_at: at,
        last_at: at,
        last_from: uses.last().map(|used| used.from.clone()),
        uses,
    }
}

pub fn report(isolate: &str, sequence: u64, keys: Vec<KeyUsage>) -> UsageReport {
    UsageReport { shard: 3, isolate: isolate.to_owned(), sequence, keys, metrics: None }
}

/// Keeps a report and adds it up.
pub fn apply(store: &mut dyn Store, report: &UsageReport, now: Millis) -> Result<Kept, StoreError> {
    let kept = keep(store, report, now)?;
    assert_eq!(add_up(store, now)?, 0, "every report can be read");
    Ok(kept)
}

/// Sends the first report of a new isolate.
pub fn send(store: &mut SqliteStore, keys: Vec<KeyUsage>, now: Millis) {
    let isolates = store.connection.query_row("SELECT count(*) FROM isolates", [], |row| row.get::<_, i64>(0)).unwrap();
    let report = report(&format!("isolate-{isolates}-{}", now.0), 1, keys);
    assert_eq!(apply(store, &report, now), Ok(Kept::Counts));
}

pub fn sum(store: &SqliteStore, table: &str) -> u64 {
    let sql = format!("SELECT coalesce(sum(count), 0) FROM {table}");
    u64::try_from(store.connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()).unwrap()
}

pub fn rows(store: &SqliteStore, table: &str) -> i64 {
    store.connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

pub fn later(at: Millis, minutes: i64) -> Millis {
    at.plus_seconds(60 * minutes)
}

pub fn step_of(step: Step, at: Millis) -> i64 {
    step.of_minute(minute_of(at))
}
