//! Endpoints that the object stops, and what the registry learns.

use keyward_protocol::Request;
use keyward_protocol::events::{DeliveryStatus, StopReason};
use keyward_protocol::metrics::{LOG_EVENTS, Sample};

use super::world::*;

const DAY_MS: i64 = 86_400_000;

fn stops(world: &World) -> Vec<StopReason> {
    let told = world.host.0.told.borrow();
    let reports = told.iter().filter_map(|request| match request {
        Request::EndpointReport(report) => Some(report.endpoints.iter().filter_map(|news| news.stopped)),
        _ => None,
    });
    reports.flatten().collect()
}

#[test]
fn a_410_stops_the_endpoint_and_its_pending_deliveries() {
    let mut world = World::new(vec![endpoint("a")]);
    world.receiver("a", Receiver::Answers(500));
    world.happen("key.issued");
    world.pass(1_000);
    world.receiver("a", Receiver::Answers(410));
    world.happen("key.issued");
    world.pass(60_000);
    assert_eq!(stops(&world), [StopReason::Gone]);
    let requests = world.arrived().len();
    world.happen("key.issued");
    world.pass(10 * DAY_MS);
    assert_eq!(world.arrived().len(), requests, "it receives nothing more");
    assert!(world.list(None, None, Some(DeliveryStatus::Pending)).items.is_empty());
    assert_eq!(stops(&world).len(), 1, "the registry is told once");
}

#[test]
fn five_days_without_a_success_stop_the_endpoint_and_one_success_begins_them_anew() {
    let mut world = World::new(vec![endpoint("a")]);
    world.receiver("a", Receiver::Breaks);
    for _ in 0..4 {
        world.happen("key.issued");
        world.pass(DAY_MS);
    }
    assert!(stops(&world).is_empty());
    world.receiver("a", Receiver::Answers(200));
    world.happen("key.issued");
    world.pass(3_600_000);
    world.receiver("a", Receiver::Breaks);
    for _ in 0..4 {
        world.happen("key.issued");
        world.pass(DAY_MS);
    }
    assert!(stops(&world).is_empty(), "there was a success four days ago");
    for _ in 0..2 {
        world.happen("key.issued");
        world.pass(DAY_MS);
    }
    assert_eq!(stops(&world), [StopReason::Failing]);
}

#[test]
fn a_stopped_endpoint_stays_so_until_the_registry_changes_it() {
    let mut world = World::new(vec![endpoint("a")]);
    world.receiver("a", Receiver::Answers(410));
    world.happen("key.issued");
    world.pass(1_000);
    world.receiver("a", Receiver::Answers(200));
    // The registry has not handled the report yet: its list is the old one.
    world.happen("key.issued");
    world.pass(60_000);
    assert_eq!(world.arrived().len(), 1);
    world.seq += 1;
    world.endpoints[0].revision = world.seq;
    world.endpoints[0].enabled_since = Some(world.seq);
    world.happen("key.issued");
    world.pass(1_000);
    assert_eq!(world.arrived().len(), 2);
}

#[test]
fn a_report_is_repeated_until_the_registry_confirms_it() {
    let mut world = World::new(vec![endpoint("a")]);
    world.host.0.registry_fails.set(true);
    world.happen("key.issued");
    world.pass(3_600_000);
    assert!(world.host.0.told.borrow().is_empty());
    world.host.0.registry_fails.set(false);
    world.pass(120_000);
    let told = world.host.0.told.borrow();
    let [Request::EndpointReport(report)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(report.endpoints[0].last_delivery_at, Some(NOW));
}

#[test]
fn events_in_the_log_are_reported_although_the_store_fails() {
    let mut world = World::new(vec![endpoint("a")]);
    world.happen("key.issued");
    world.meddle("ALTER TABLE endpoints RENAME TO gone");
    world.pass(1_000);
    let told = world.host.0.told.borrow();
    let [Request::EndpointReport(report), ..] = told.as_slice() else { panic!("{told:?}") };
    let labels = [("event", "events_failed"), ("level", "error")];
    assert!(report.counters.contains(&Sample::new(LOG_EVENTS, &labels, 1)), "{report:?}");
}
