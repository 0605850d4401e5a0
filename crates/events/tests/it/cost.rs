//! What events cost the object: rows written, and time. docs/operations/capacity.md has the figures.

use std::time::Instant;

use super::world::*;

/// Events of a busy day.
const EVENTS: i64 = 10_000;
const DAY_MS: i64 = 86_400_000;

fn changes(world: &World) -> i64 {
    let store = world.host.0.store.borrow();
    store.connection.query_row("SELECT total_changes()", [], |row| row.get(0)).unwrap()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a native test may read the clock")]
fn ten_thousand_events_a_day_cost_an_endpoint_a_few_rows_each_and_are_all_delivered() {
    let mut world = World::new(vec![endpoint("a")]);
    world.happen("key.revoked");
    world.pass(1_000);
    let (before, began) = (changes(&world), Instant::now());
    for _ in 0..EVENTS {
        world.happen("key.revoked");
        world.pass(DAY_MS / EVENTS);
    }
    let (rows, took) = (changes(&world) - before, began.elapsed());
    println!("{EVENTS} events to one endpoint: {rows} rows of tables, {took:?}");
    assert_eq!(i64::try_from(world.arrived().len()), Ok(EVENTS + 1));
    assert!(rows <= 10 * EVENTS, "{rows} rows for {EVENTS} events");
}
