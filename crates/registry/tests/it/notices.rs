//! Notices of the end of keys: once for each key, threshold and end, also after an outage of days.

use keyward_key::id::Environment;
use keyward_key::time::Millis;
use keyward_registry::due::WORK;
use keyward_registry::notices;
use keyward_registry::store::Store;
use keyward_testkit::registry_world::*;

use super::events::pending;

fn world() -> World {
    let mut world = World::with_owner();
    notices::begin(&mut world.store, world.now).unwrap();
    world
}

/// Does the due work until none is due, as the alarms do, and returns `type days key` of the new events.
fn run(world: &mut World) -> Vec<String> {
    let before = pending_all(world).len();
    while due(world) {
        for work in WORK {
            work.run_if_due(&mut world.store, world.now).unwrap();
        }
    }
    pending_all(world).split_off(before)
}

fn due(world: &mut World) -> bool {
    keyward_registry::due::earliest(&mut world.store, WORK).unwrap().is_some_and(|due_at| due_at <= world.now)
}

fn pending_all(world: &mut World) -> Vec<String> {
    let rows = world.store.query("SELECT event FROM events ORDER BY seq", &[]).unwrap();
    rows.iter()
        .map(|row| {
            let event: serde_json::Value = serde_json::from_str(row.text("event").unwrap()).unwrap();
            let days = &event["data"]["days"];
            let days = if days.is_null() { String::new() } else { format!(" {days}") };
            let key = event["data"]["key_id"].as_str().unwrap_or("-").trim_start_matches("wafl_live_00000000000");
            format!("{}{days} {key}", event["type"].as_str().unwrap())
        })
        .collect()
}

#[test]
fn a_key_has_notices_30_7_and_1_days_before_its_end_and_at_its_end() {
    let mut world = world();
    world.issue(1, live("crm"));
    for (days, expected) in [
        (59, vec![]),
        (1, vec!["key.expiring 30 1"]),
        (22, vec![]),
        (1, vec!["key.expiring 7 1"]),
        (5, vec![]),
        (1, vec!["key.expiring 1 1"]),
        (1, vec!["key.expired 1"]),
        (400, vec![]),
    ] {
        world.later(days * DAY);
        assert_eq!(run(&mut world), expected, "after {days} more days");
    }
}

#[test]
fn after_an_outage_of_days_each_notice_comes_once() {
    let mut world = world();
    world.issue(1, live("crm"));
    world.issue(2, KeyDraft { lifetime: Lifetime::Days(40), ..live("erp") });
    world.later(88 * DAY);
    let mut found = run(&mut world);
    found.sort();
    let expected = [
        "key.expired 2",
        "key.expiring 1 2",
        "key.expiring 30 1",
        "key.expiring 30 2",
        "key.expiring 7 1",
        "key.expiring 7 2",
    ];
    assert_eq!(found, expected);
    assert!(run(&mut world).is_empty());
}

#[test]
fn a_key_that_had_less_time_left_when_it_was_issued_gets_no_such_notice() {
    let mut world = world();
    world.later(200 * DAY);
    world.issue(1, KeyDraft { lifetime: Lifetime::Days(7), ..live("crm") });
    assert!(run(&mut world).is_empty());
    world.later(6 * DAY);
    assert_eq!(run(&mut world), ["key.expiring 1 1"]);
}

#[test]
fn a_changed_end_has_notices_of_its_own() {
    let mut world = world();
    world.issue(1, live("crm"));
    world.later(60 * DAY);
    assert_eq!(run(&mut world), ["key.expiring 30 1"]);
    let end = Millis(world.now.0).plus_seconds(60 * DAY);
    world.done(owner(), update(1, KeyChanges { expires_at: Some(end), ..KeyChanges::default() }));
    assert!(run(&mut world).is_empty());
    world.later(30 * DAY);
    assert_eq!(run(&mut world), ["key.expiring 30 1"]);
}

#[test]
fn revoked_pending_and_retiring_keys_have_no_notice_before_their_end() {
    let mut world = world();
    world.issue(1, live("crm"));
    world.done(owner(), rotate(1, 2, 2_592_000));
    world.issue(3, live("erp"));
    world.revoke(&key_id(Environment::Live, 3), "leaked");
    world.done(owner(), issue_by_claim(4, live("mail")));
    run(&mut world);
    world.later(29 * DAY + DAY / 2);
    let found = run(&mut world);
    assert_eq!(found, ["key.revoked 4"], "its claim ended");
    world.later(DAY);
    assert_eq!(run(&mut world), ["key.expired 1"], "the overlap has ended");
}

#[test]
fn keys_that_end_together_are_done_in_batches_and_each_once() {
    let mut world = world();
    for number in 1..=250 {
        world.issue(number, live(&format!("crm-{number}")));
    }
    world.later(60 * DAY);
    assert_eq!(run(&mut world).len(), 250);
    assert!(run(&mut world).is_empty());
    let rows = world.store.query("SELECT count(*) AS n FROM audit WHERE action = 'key.end_near'", &[]).unwrap();
    assert_eq!(rows[0].integer("n"), Ok(250));
}

#[test]
fn a_registry_that_gets_notices_late_tells_nothing_of_the_past() {
    let mut world = World::with_owner();
    world.issue(1, KeyDraft { lifetime: Lifetime::Days(10), ..live("crm") });
    world.issue(2, KeyDraft { lifetime: Lifetime::Days(40), ..live("erp") });
    world.later(20 * DAY);
    assert!(run(&mut world).is_empty(), "no watermark yet");
    notices::begin(&mut world.store, world.now).unwrap();
    assert!(run(&mut world).is_empty());
    world.later(13 * DAY);
    assert_eq!(run(&mut world), ["key.expiring 7 2"]);
}

#[test]
fn a_failing_store_loses_and_doubles_no_notice() {
    use keyward_testkit::sqlite_store::Fault;
    let mut world = world();
    world.issue(1, live("crm"));
    world.later(60 * DAY);
    for at in 1..=8 {
        world.store.fail_at(Some(Fault::BeforeWrite(at)));
        let failed = WORK.iter().any(|work| work.run_if_due(&mut world.store, world.now).is_err());
        world.store.fail_at(None);
        if !failed {
            break;
        }
        assert!(pending(&mut world).iter().all(|event| event.kind != "key.expiring"), "write {at}");
    }
    run(&mut world);
    let told = pending(&mut world).iter().filter(|event| event.kind == "key.expiring").count();
    assert_eq!(told, 1);
}

#[test]
fn the_next_notice_is_found_without_reading_keys() {
    let mut world = world();
    for number in 1..=300 {
        world.issue(number, live(&format!("crm-{number}")));
    }
    world.store.costs.clear();
    keyward_registry::due::earliest(&mut world.store, WORK).unwrap();
    let dear = world.store.costs.iter().find(|cost| cost.scanned > 0 || cost.sorts > 0 || cost.steps > 100);
    assert!(dear.is_none(), "{dear:?}");
}
