//! Minutes are kept for 3 hours, hours for 35 days, days for 400 days.

use keyward_protocol::usage::Step;
use keyward_usage::retention::remove_old;

use crate::world::{NOW, key, later, rows, send, step_of, store, sum, used};

const DAY: i64 = 1_440;

#[test]
fn each_step_is_kept_for_its_time_and_no_longer() {
    let mut store = store();
    send(&mut store, vec![key(1, NOW, vec![used(NOW, 1)])], NOW);
    for (minutes, expected) in [
        (0, [1, 1, 1]),
        (178, [1, 1, 1]),
        (180, [0, 1, 1]),
        (34 * DAY, [0, 1, 1]),
        (35 * DAY, [0, 0, 1]),
        (399 * DAY, [0, 0, 1]),
        (400 * DAY, [0, 0, 0]),
    ] {
        remove_old(&mut store, later(NOW, minutes)).unwrap();
        assert_eq!(["minutes", "hours", "days"].map(|table| rows(&store, table)), expected, "after {minutes} minutes");
    }
    assert_eq!(["sources", "seen", "isolates"].map(|table| rows(&store, table)), [0; 3]);
}

#[test]
fn a_key_is_removed_after_its_last_count_and_only_if_the_registry_knows_its_last_use() {
    let mut store = store();
    send(&mut store, vec![key(1, NOW, vec![used(NOW, 1)]), key(2, NOW, vec![used(NOW, 1)])], NOW);
    store.connection.execute("UPDATE keys SET told_at = last_at WHERE number = 1", []).unwrap();
    remove_old(&mut store, later(NOW, 400 * DAY)).unwrap();
    assert_eq!(rows(&store, "keys"), 2);
    remove_old(&mut store, later(NOW, 401 * DAY)).unwrap();
    assert_eq!(rows(&store, "keys"), 1);
}

#[test]
fn an_object_that_slept_removes_a_bounded_number_of_steps_at_a_time() {
    let mut store = store();
    for hour in 0..40 {
        let at = later(NOW, 60 * hour);
        send(&mut store, vec![key(1, at, vec![used(at, 1)])], at);
    }
    let awake = later(NOW, 100 * DAY);
    remove_old(&mut store, awake).unwrap();
    assert_eq!(sum(&store, "hours"), 10);
    remove_old(&mut store, awake).unwrap();
    assert_eq!(sum(&store, "hours"), 0);
}

#[test]
fn a_late_report_adds_no_minute_or_hour_that_is_not_kept() {
    let mut store = store();
    let counts = |minutes: i64| vec![used(later(NOW, -minutes), 1)];
    for minutes in [0, 179, 180, 35 * DAY, 400 * DAY, 401 * DAY] {
        send(&mut store, vec![key(1, later(NOW, -minutes), counts(minutes))], NOW);
    }
    assert_eq!(["minutes", "hours", "days"].map(|table| sum(&store, table)), [2, 3, 5]);
    remove_old(&mut store, NOW).unwrap();
    assert_eq!(["minutes", "hours"].map(|table| sum(&store, table)), [2, 3], "nothing was due at once");
    assert!(step_of(Step::Day, NOW) > 20_000);
}
