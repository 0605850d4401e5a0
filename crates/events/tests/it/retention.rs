//! Removal of old rows, and the cost of a day.

use keyward_store::{Store, Value};

use super::world::*;

const DAY_MS: i64 = 86_400_000;

fn rows(world: &World, table: &str) -> Value {
    let sql = format!("SELECT count(*) FROM {table}");
    let rows = world.host.0.store.borrow_mut().query(&sql, &[]).unwrap();
    rows[0].at(0).unwrap().clone()
}

#[test]
fn events_deliveries_and_attempts_are_removed_after_30_days() {
    let mut world = World::new(vec![endpoint("a")]);
    world.happen("key.issued");
    world.pass(20 * DAY_MS);
    world.happen("key.issued");
    world.pass(10 * DAY_MS - 3_600_000);
    assert_eq!(rows(&world, "events"), Value::Integer(2));
    world.pass(2 * 3_600_000);
    for table in ["events", "deliveries", "attempts"] {
        assert_eq!(rows(&world, table), Value::Integer(1), "{table}");
    }
    world.pass(21 * DAY_MS);
    for table in ["events", "deliveries", "attempts"] {
        assert_eq!(rows(&world, table), Value::Integer(0), "{table}");
    }
}

#[test]
fn a_backlog_of_old_events_is_removed_within_a_minute() {
    let mut world = World::new(Vec::new());
    world.happen("key.issued");
    world.pass(DAY_MS);
    for _ in 0..30 {
        let events: Vec<_> = (0..100).map(|_| world.event("key.issued", None)).collect();
        world.tell(world.news(events));
    }
    // The first event's removal, on the day before, was complete.
    world.pass(30 * DAY_MS + 3_600_000 + 60_000);
    assert_eq!(rows(&world, "events"), Value::Integer(0));
}

/// A receiver that answers once in a while is never stopped, and its backlog would only grow.
#[test]
fn a_pending_delivery_keeps_its_event_for_a_week_more_and_not_for_ever() {
    let mut world = World::new(vec![endpoint("a")]);
    world.receiver("a", Receiver::Breaks);
    world.happen("key.issued");
    world.pass(1_000);
    let far = NOW.0 + 100 * DAY_MS;
    world.host.0.store.borrow_mut().execute("UPDATE deliveries SET next_at = ?", &[Value::Integer(far)]).unwrap();
    world.pass(36 * DAY_MS);
    assert_eq!(rows(&world, "events"), Value::Integer(1));
    world.pass(2 * DAY_MS);
    for table in ["events", "deliveries", "attempts"] {
        assert_eq!(rows(&world, table), Value::Integer(0), "{table}");
    }
}

/// Ten thousand events a day for one endpoint: the statements of each event stay few, and no query scans or sorts a table.
#[test]
fn ten_thousand_events_cost_no_scan_and_no_sort() {
    let mut world = World::new(vec![endpoint("a")]);
    for _ in 0..100 {
        let events: Vec<_> = (0..100).map(|_| world.event("key.issued", None)).collect();
        world.tell(world.news(events));
    }
    {
        let mut store = world.host.0.store.borrow_mut();
        store.costs.clear();
        store.fail_at(None);
    }
    world.pass(60_000);
    assert_eq!(world.arrived().len(), 10_000);
    let store = world.host.0.store.borrow();
    let dear = store.costs.iter().find(|cost| cost.sorts > 0 || cost.scanned > 40);
    assert!(dear.is_none(), "{dear:?}");
    let (reads, writes) = (store.reads / 10_000, store.writes / 10_000);
    assert!(reads <= 12 && writes <= 7, "{reads} reads and {writes} writes for each event");
}
