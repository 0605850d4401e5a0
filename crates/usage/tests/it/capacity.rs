//! An object with 10,000 keys and 400 days stays within the platform's limits.

use std::time::Instant;

use keyward_protocol::usage::{Step, TotalsBy, TotalsQuery};
use keyward_testkit::sqlite_store::SqliteStore;
use keyward_usage::query::totals;
use keyward_usage::report::keep;
use keyward_usage::sums::add_up;

use crate::world::{NOW, from, key, report, step_of, store, used};

const KEYS: i64 = 10_000;
const DAYS: i64 = 400;
const HOURS: i64 = 35 * 24;
/// Limit of a Durable Object's storage.
const OBJECT_BYTES: i64 = 10_000_000_000;

fn bytes(store: &SqliteStore) -> i64 {
    let pragma = |name: &str| store.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    pragma("page_count") * pragma("page_size")
}

/// Fills tables as full reports would, with plain SQL: each key is used in each minute, hour and day, from `sources` sources in an hour.
fn fill(store: &mut SqliteStore, keys: i64, hours: i64, sources: i64, days: i64) {
    let (minute, hour, day) = (step_of(Step::Minute, NOW), step_of(Step::Hour, NOW), step_of(Step::Day, NOW));
    store
        .connection
        .execute_batch(&format!(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {keys})
             INSERT INTO keys SELECT x, 'wafl_live_' || printf('%012d', x), 'integration-' || x, 'live', 0, 1, NULL, 1 FROM n;
             INSERT INTO names VALUES (1, 'allowed'), (2, 'GET /v1/contacts'), (3, 'rate_limited');
             WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {sources})
             INSERT INTO sources SELECT x, 2, '10.' || x || '.0.0/24', 'client', 'DE', 1, {day} FROM n;
             WITH RECURSIVE t(x) AS (SELECT {minute} - 179 UNION ALL SELECT x + 1 FROM t WHERE x < {minute})
             INSERT INTO minutes SELECT t.x, number, 1, 1000 FROM t, keys;
             WITH RECURSIVE t(x) AS (SELECT {hour} - {hours} + 1 UNION ALL SELECT x + 1 FROM t WHERE x < {hour})
             INSERT INTO hours SELECT t.x, keys.number, sources.number, 1, 1000 FROM t, keys, sources;
             WITH RECURSIVE t(x) AS (SELECT {day} - {days} + 1 UNION ALL SELECT x + 1 FROM t WHERE x < {day})
             INSERT INTO days SELECT t.x, keys.number, 2, 1, 1000 FROM t, keys;"
        ))
        .unwrap();
}

#[test]
fn ten_thousand_keys_and_400_days_fit_into_one_object() {
    // A hundredth of the keys, and the bytes of a row times their number: each table is a B-tree, which grows linearly.
    let mut small = store();
    fill(&mut small, KEYS / 100, HOURS, 4, DAYS);
    let whole = bytes(&small) * 100;
    println!("{} MB for 10,000 keys with 4 sources in each hour", whole / 1_000_000);
    assert!(whole < OBJECT_BYTES / 4, "{whole} bytes");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a native test may read the clock")]
fn a_report_and_a_question_about_a_quarter_take_milliseconds_in_a_full_object() {
    let mut store = store();
    fill(&mut store, KEYS, 2, 1, 92);
    let keys: Vec<_> = (0..200_u32)
        .map(|number| {
            let mut two = [used(NOW, 1), used(NOW, 1)];
            two[1].from = from(&format!("172.16.{number}.0/24"));
            key(number * 50, NOW, two.to_vec())
        })
        .collect();
    store.costs.clear();
    store.fail_at(None);
    keep(&mut store, &report("isolate", 1, keys), NOW).unwrap();
    assert_eq!((store.costs.len(), store.writes), (1, 2), "a report that arrives costs two rows");
    store.costs.clear();
    store.fail_at(None);
    let began = Instant::now();
    add_up(&mut store, NOW).unwrap();
    let took = began.elapsed();
    let steps: i32 = store.costs.iter().map(|cost| cost.steps).sum();
    println!("a report of 200 keys: {took:?}, {} reads with {steps} steps", store.costs.len());
    assert!(store.costs.len() <= 12 && store.writes <= 12, "{} reads, {} writes", store.costs.len(), store.writes);
    assert!(steps < 100_000, "{steps}");
    assert!(store.costs.iter().all(|cost| cost.sql.contains("json_each") || cost.scanned == 0), "no table is scanned");

    let day = step_of(Step::Day, NOW);
    let began = Instant::now();
    let query =
        TotalsQuery { by: TotalsBy::Integration, step: Step::Day, from: day - 91, to: day + 1, environments: None };
    assert_eq!(totals(&mut store, &query).unwrap().len(), 10_000);
    println!("totals of 92 days and 10,000 keys: {:?}", began.elapsed());
}
