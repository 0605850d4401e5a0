//! The outbox, and migration of the store.

use keyward_key::keyring::Generation;
use keyward_registry::meta::{self, revision};
use keyward_registry::outbox::{done, failed, pending, refill};
use keyward_registry::schema::migrate;
use keyward_testkit::registry_world::*;
use serde_json::json;

/// Returns id, revision and whether the key is revoked, for each queued copy.
fn due(world: &mut World, limit: u32) -> Vec<(String, u64, bool)> {
    pending(&mut world.store, limit)
        .unwrap()
        .into_iter()
        .map(|(record, revision)| {
            assert_eq!(record.revision, revision);
            (record.id.to_string(), revision, record.revoked)
        })
        .collect()
}

#[test]
fn every_change_of_a_key_is_queued_oldest_first_and_a_member_never() {
    let mut world = World::with_owner();
    assert_eq!(due(&mut world, 10), []);
    world.issue(2, live("crm"));
    world.issue(1, live("shop"));
    assert_eq!(
        due(&mut world, 10),
        [("wafl_live_000000000002".to_owned(), 2, false), ("wafl_live_000000000001".to_owned(), 3, false)]
    );
    assert_eq!(due(&mut world, 1), [("wafl_live_000000000002".to_owned(), 2, false)]);
}

#[test]
fn a_later_change_replaces_the_queued_row() {
    let mut world = World::with_owner();
    let first = world.issue(1, live("crm")).id;
    world.issue(2, live("shop"));
    failed(&mut world.store, &first, 2).unwrap();
    failed(&mut world.store, &first, 2).unwrap();
    assert_eq!(world.store.dump()["outbox"][0]["attempts"], 2);

    world.revoke(&first, "leaked");
    assert_eq!(
        due(&mut world, 10),
        [("wafl_live_000000000002".to_owned(), 3, false), ("wafl_live_000000000001".to_owned(), 4, true)]
    );
    assert_eq!(
        world.store.dump()["outbox"],
        json!([
            {"id": "wafl_live_000000000001", "revision": 4, "attempts": 0},
            {"id": "wafl_live_000000000002", "revision": 3, "attempts": 0},
        ])
    );
}

/// The revocation happens while the older record is being written to KV.
#[test]
fn a_write_of_an_older_state_does_not_dequeue_a_newer_one() {
    let mut world = World::with_owner();
    let id = world.issue(1, live("crm")).id;
    world.revoke(&id, "leaked");
    done(&mut world.store, &id, 2, &epoch(1)).unwrap();
    failed(&mut world.store, &id, 2).unwrap();
    assert_eq!(due(&mut world, 10), [(id.to_string(), 3, true)]);
    assert_eq!(world.store.dump()["outbox"][0]["attempts"], 0);
    done(&mut world.store, &id, 3, &epoch(1)).unwrap();
    assert_eq!(due(&mut world, 10), []);
}

#[test]
fn queued_copies_are_found_without_a_table_scan() {
    let mut world = World::with_owner();
    for number in 1..=50 {
        let id = world.issue(number, live(&format!("i-{number}"))).id;
        if number > 1 {
            done(&mut world.store, &id, u64::from(number) + 1, &epoch(1)).unwrap();
        }
    }
    world.store.costs.clear();
    assert_eq!(due(&mut world, 10).len(), 1);
    assert!(world.store.costs[0].steps < 150, "{:?}", world.store.costs);
}

#[test]
fn a_second_start_keeps_everything_and_the_first_epoch() {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    let before = world.store.dump();
    migrate(&mut world.store, &epoch(2)).unwrap();
    assert_eq!(world.store.dump(), before);
    assert_eq!(meta::epoch(&mut world.store).unwrap(), epoch(1));
    assert_eq!(revision(&mut world.store).unwrap(), 2);
}

#[test]
fn a_store_of_a_newer_schema_is_refused() {
    for version in ["99", "many", "-1", ""] {
        let mut world = World::with_owner();
        world.store.connection.execute("UPDATE meta SET value = ?1 WHERE name = 'schema'", [version]).unwrap();
        world.store.connection.execute_batch("DELETE FROM meta WHERE name = 'schema_oldest'").unwrap();
        let before = world.store.dump();
        assert!(migrate(&mut world.store, &epoch(2)).is_err(), "{version}");
        assert_eq!(world.store.dump(), before);
    }
}

#[test]
fn a_store_of_a_newer_schema_is_used_unchanged_if_it_says_that_this_version_can() {
    let mut world = World::with_owner();
    let schema = "SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'schema'";
    let supported: i64 = world.store.connection.query_row(schema, [], |row| row.get(0)).unwrap();
    world.store.connection.execute_batch("UPDATE meta SET value = '99' WHERE name = 'schema'").unwrap();
    for (oldest, is_used) in [(supported, true), (supported + 1, false)] {
        let text = oldest.to_string();
        world.store.connection.execute("UPDATE meta SET value = ?1 WHERE name = 'schema_oldest'", [text]).unwrap();
        let before = world.store.dump();
        assert_eq!(migrate(&mut world.store, &epoch(2)).is_ok(), is_used, "{oldest}");
        assert_eq!(world.store.dump(), before);
    }
    assert_eq!(world.issue(1, live("after")).id, key_id(keyward_key::id::Environment::Live, 1));
}

#[test]
fn another_secret_queues_every_unexpired_key_and_the_same_one_none() {
    let generation = |text| Generation::from_stored(text).unwrap();
    let mut world = World::with_owner();
    for number in [1, 2, 3] {
        let id = world.issue(number, live(&format!("i-{number}"))).id;
        done(&mut world.store, &id, u64::from(number) + 1, &epoch(1)).unwrap();
        world.later(DAY);
    }
    world.now = NOW.plus_seconds(90 * DAY);
    assert!(refill(&mut world.store, &generation("1f2e3d4c"), world.now).unwrap());
    let ids: Vec<String> = due(&mut world, 10).into_iter().map(|(id, ..)| id).collect();
    assert_eq!(ids, ["wafl_live_000000000002", "wafl_live_000000000003"]);
    for (id, revision) in [(2, 3), (3, 4)] {
        done(&mut world.store, &key_id(keyward_key::id::Environment::Live, id), revision, &epoch(1)).unwrap();
    }
    assert!(!refill(&mut world.store, &generation("1f2e3d4c"), world.now).unwrap());
    assert_eq!(due(&mut world, 10), []);
    assert!(refill(&mut world.store, &generation("4c3d2e1f"), world.now).unwrap());
    assert_eq!(due(&mut world, 10).len(), 2);
}
