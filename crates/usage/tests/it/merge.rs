//! Reports merge to the same state in any order and with any repetition.

use keyward_key::time::Millis;
use keyward_protocol::usage::{KeyUsage, UsageReport};
use keyward_testkit::sqlite_store::{Fault, SqliteStore};
use keyward_usage::report::{Kept, keep};
use keyward_usage::sums::add_up;
use proptest::prelude::*;

use crate::world::{NOW, apply, from, key, later, report, rows, send, store, sum, used};

/// Everything but the numbers of rows: counts by their texts, and times.
fn state(store: &SqliteStore) -> Vec<String> {
    let mut state = Vec::new();
    for sql in [
        "SELECT id || ' ' || integration || ' ' || first_at || ' ' || last_at || ' ' || ifnull(last_from, '') FROM keys",
        "SELECT at || ' ' || id || ' ' || text || ' ' || count FROM minutes JOIN keys ON keys.number = key
             JOIN names ON names.number = decision",
        "SELECT at || ' ' || id || ' ' || route || ' ' || network || client || country || asn || ' ' || names.text || ' ' || count
             FROM hours JOIN keys ON keys.number = key JOIN names ON names.number = decision
             JOIN sources ON sources.number = source",
        "SELECT at || ' ' || id || ' ' || routes.text || ' ' || names.text || ' ' || count FROM days
             JOIN keys ON keys.number = key JOIN names ON names.number = decision JOIN names AS routes ON routes.number = route",
    ] {
        let mut statement = store.connection.prepare(sql).unwrap();
        let found: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        state.extend(found);
    }
    state.sort();
    state
}

fn usage() -> impl Strategy<Value = KeyUsage> {
    let one = (0..4_i64, prop_oneof![Just("allowed"), Just("revoked_key")], 0..3_u8, 1..9_u64);
    (0..4_u32, proptest::collection::vec(one, 1..5)).prop_map(|(number, uses)| {
        let uses: Vec<_> = uses
            .into_iter()
            .map(|(minutes, decision, network, count)| {
                let mut used = used(later(NOW, -minutes), count);
                used.decision = decision.to_owned();
                used.from = from(&format!("192.0.{network}.0/24"));
                used
            })
            .collect();
        let at = |minute: i64| Millis(minute * 60_000 + i64::from(number));
        let first = uses.iter().map(|used| used.minute).min().unwrap();
        let last = uses.iter().max_by_key(|used| (used.minute, used.from.clone())).unwrap().clone();
        let mut usage = key(number, at(last.minute), uses);
        (usage.first_at, usage.last_from) = (at(first), Some(last.from));
        usage
    })
}

/// Reports of three isolates, each numbered from 1.
fn reports() -> impl Strategy<Value = Vec<UsageReport>> {
    proptest::collection::vec((0..3_usize, proptest::collection::vec(usage(), 1..4)), 1..12).prop_map(|drawn| {
        let mut next = [0_u64; 3];
        drawn
            .into_iter()
            .map(|(isolate, keys)| {
                next[isolate] += 1;
                report(&format!("isolate-{isolate}"), next[isolate], keys)
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reports_of_isolates_in_any_interleaving_and_repeated_leave_the_same_state(
        reports in reports(),
        order in proptest::collection::vec(0..3_usize, 64),
        repeats in proptest::collection::vec(0..3_usize, 64),
    ) {
        let mut plain = store();
        let mut sent = 0;
        for report in &reports {
            prop_assert_eq!(apply(&mut plain, report, NOW), Ok(Kept::Counts));
            sent += report.keys.iter().flat_map(|key| &key.uses).map(|used| used.count).sum::<u64>();
        }
        prop_assert_eq!([sum(&plain, "minutes"), sum(&plain, "hours"), sum(&plain, "days")], [sent; 3]);

        let mut shuffled = store();
        let mut queues: Vec<Vec<&UsageReport>> = (0..3)
            .map(|isolate| reports.iter().filter(|report| report.isolate == format!("isolate-{isolate}")).rev().collect())
            .collect();
        let mut turns = order.into_iter().cycle().zip(repeats.into_iter().cycle());
        let mut former: Vec<&UsageReport> = Vec::new();
        while queues.iter().any(|queue| !queue.is_empty()) {
            let (isolate, repeat) = turns.next().unwrap();
            let queue = &mut queues[isolate];
            let queue = if queue.is_empty() { queues.iter_mut().find(|queue| !queue.is_empty()).unwrap() } else { queue };
            let report = queue.pop().unwrap();
            prop_assert_eq!(apply(&mut shuffled, report, NOW), Ok(Kept::Counts));
            former.push(report);
            for late in former.iter().rev().take(repeat) {
                prop_assert_eq!(apply(&mut shuffled, late, NOW), Ok(Kept::Repeated));
            }
        }
        prop_assert_eq!(state(&plain), state(&shuffled));

        let mut together = store();
        for report in &reports {
            prop_assert_eq!(keep(&mut together, report, NOW), Ok(Kept::Counts));
        }
        prop_assert_eq!(add_up(&mut together, later(NOW, 1)), Ok(0));
        prop_assert_eq!(state(&plain), state(&together));
        prop_assert_eq!(rows(&together, "waiting"), 0);
    }
}

#[test]
fn a_report_is_counted_once_whatever_the_store_says() {
    for fault in [
        Fault::Read(1),
        Fault::BeforeWrite(1),
        Fault::AfterWrite(2),
        Fault::BeforeWrite(5),
        Fault::BeforeCommit,
        Fault::AfterCommit,
    ] {
        let mut store = store();
        let report = report("isolate", 1, vec![key(1, NOW, vec![used(NOW, 7)])]);
        store.fail_at(Some(fault));
        assert!(apply(&mut store, &report, NOW).is_err(), "{fault:?}");
        store.fail_at(None);
        apply(&mut store, &report, NOW).unwrap();
        assert_eq!([sum(&store, "minutes"), sum(&store, "hours"), sum(&store, "days")], [7; 3], "{fault:?}");
    }
}

#[test]
fn a_report_of_a_forgotten_isolate_tells_times_and_counts_nothing() {
    let mut store = store();
    let late = report("forgotten", 2, vec![key(1, NOW, vec![used(NOW, 7)])]);
    assert_eq!(apply(&mut store, &late, NOW), Ok(Kept::TimesOnly));
    assert_eq!((sum(&store, "days"), rows(&store, "keys")), (0, 1));
    let next = report("forgotten", 3, vec![key(1, NOW, vec![used(NOW, 5)])]);
    assert_eq!(apply(&mut store, &next, NOW), Ok(Kept::Counts));
    assert_eq!(sum(&store, "days"), 5);
}

#[test]
fn the_times_of_a_report_are_limited_by_its_arrival_however_long_it_waits() {
    let mut store = store();
    let ahead = later(NOW, 30);
    let report = report("isolate", 1, vec![key(1, ahead, vec![used(ahead, 3)])]);
    keep(&mut store, &report, NOW).unwrap();
    add_up(&mut store, later(NOW, 60)).unwrap();
    let last: i64 = store.connection.query_row("SELECT last_at FROM keys", [], |row| row.get(0)).unwrap();
    let minute: i64 = store.connection.query_row("SELECT max(at) FROM minutes", [], |row| row.get(0)).unwrap();
    assert_eq!((last, minute), (NOW.0, NOW.0 / 60_000));
}

#[test]
fn reports_of_many_isolates_about_the_same_keys_write_the_rows_of_each_key_once() {
    let mut store = store();
    // Names and sources are there already.
    send(&mut store, (0..10).map(|number| key(number, NOW, vec![used(NOW, 1)])).collect(), NOW);
    let changes =
        |store: &SqliteStore| store.connection.query_row("SELECT total_changes()", [], |row| row.get(0)).unwrap();
    let before: i64 = changes(&store);
    for isolate in 0..50 {
        let keys = (0..10).map(|number| key(number, NOW, vec![used(NOW, 1)])).collect();
        keep(&mut store, &report(&format!("other-{isolate}"), 1, keys), NOW).unwrap();
    }
    assert_eq!(changes(&store) - before, 2 * 50, "two rows for each report");
    add_up(&mut store, NOW).unwrap();
    // Each waiting row goes. A key has one row of times, minutes, hours and days, and one counter.
    assert_eq!(changes(&store) - before, 3 * 50 + 10 * 5);
    assert_eq!(sum(&store, "days"), 510);
}

#[test]
fn a_report_that_cannot_be_read_does_not_stop_the_others() {
    let mut store = store();
    for sequence in 1..=3 {
        keep(&mut store, &report("isolate", sequence, vec![key(1, NOW, vec![used(NOW, 1)])]), NOW).unwrap();
    }
    store.connection.execute_batch("UPDATE waiting SET report = '{' WHERE number = 2").unwrap();
    assert_eq!(add_up(&mut store, NOW), Ok(1));
    assert_eq!((sum(&store, "days"), rows(&store, "waiting")), (2, 0));
}

#[test]
fn a_use_is_never_in_the_future_of_the_object() {
    let mut store = store();
    let ahead = later(NOW, 60 * 24 * 30);
    send(&mut store, vec![key(1, ahead, vec![used(ahead, 3)])], NOW);
    let last: i64 = store.connection.query_row("SELECT last_at FROM keys", [], |row| row.get(0)).unwrap();
    let minute: i64 = store.connection.query_row("SELECT max(at) FROM minutes", [], |row| row.get(0)).unwrap();
    assert_eq!((last, minute), (NOW.0, NOW.0 / 60_000));
}
