//! The change feed: snapshots, changes after a position, and epochs.

use keyward_control::answer;
use keyward_key::epoch::Epoch;
use keyward_key::time::Millis;
use keyward_protocol::Request;
use keyward_protocol::feed::{Cursor, FeedPage, FeedQuery, Position};
use keyward_registry::feed::{follow_setting, position};
use keyward_registry::outbox;
use keyward_registry::schema::migrate;
use keyward_testkit::registry_world::*;

fn query(world: &mut World, feed_query: FeedQuery) -> (FeedPage, bool) {
    let now = world.now;
    match answer(&mut world.store, Request::Changes(feed_query), &world.policy, "abcdefghijklmnop", now).unwrap() {
        keyward_protocol::Response::Changes { changes, restored } => (changes, restored),
        other => panic!("{other:?}"),
    }
}

/// Returns a page's entries as text, and whether another page follows.
fn listed(changes: &FeedPage) -> (String, bool) {
    let (entries, more) = match changes {
        FeedPage::Snapshot { entries, next, .. } => (entries, next.is_some()),
        FeedPage::Since { entries, more, .. } => (entries, *more),
    };
    (serde_json::to_value(entries).unwrap().as_str().unwrap().to_owned(), more)
}

fn snapshot(world: &mut World) -> String {
    let (changes, restored) = query(world, FeedQuery::Snapshot { after: None });
    assert!(!restored);
    listed(&changes).0
}

fn since(world: &mut World, position: &Position) -> (String, Position) {
    let (changes, restored) = query(world, FeedQuery::Since(position.clone()));
    assert!(!restored);
    let FeedPage::Since { to, .. } = &changes else { panic!("{changes:?}") };
    (listed(&changes).0, to.clone())
}

fn current_position(world: &mut World) -> Position {
    position(&mut world.store).unwrap()
}

#[test]
fn a_position_names_the_last_change_and_the_beginning_of_its_hash() {
    let mut world = World::empty();
    let empty = current_position(&mut world);
    assert_eq!((empty.revision, empty.head.as_str()), (0, "0000000000000000"));
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    let at = current_position(&mut world);
    let hash = keyward_registry::audit::head(&mut world.store).unwrap().hash;
    assert_eq!((at.revision, at.head.as_str()), (2, &hash[..16]));
    assert_eq!(at.epoch, epoch(1));
}

#[test]
fn a_snapshot_lists_every_key_changed_after_its_issue() {
    let mut world = World::with_owner();
    for number in 1..=4 {
        world.issue(number, live(&format!("crm-{number}")));
    }
    assert_eq!(snapshot(&mut world), "", "a key never changed has no older copy");
    world.revoke(&key_id(keyward_key::id::Environment::Live, 1), "leaked");
    world.update(2, KeyChanges { scopes: Some(vec![scope("contacts:write")]), ..KeyChanges::default() });
    world.rotate(3, 13, 60);
    assert_eq!(snapshot(&mut world), "l0000000000016!,l0000000000027,l0000000000038,");
}

#[test]
fn a_snapshot_lists_a_key_until_every_copy_of_it_has_expired() {
    let mut world = World::with_owner();
    let end = world.issue(1, live("crm")).expires_at;
    let end = Millis(chrono::DateTime::parse_from_rfc3339(&end).unwrap().timestamp_millis());
    // The expiry is shortened and the key revoked: an older copy says that the key is valid until the first expiry.
    let sooner = world.now.plus_seconds(60);
    world.update(1, KeyChanges { expires_at: Some(sooner), ..KeyChanges::default() });
    world.revoke(&key_id(keyward_key::id::Environment::Live, 1), "leaked");
    world.now = end;
    assert_eq!(snapshot(&mut world), "l0000000000014!,");
    world.now = Millis(end.0 + 3_600_000);
    assert_eq!(snapshot(&mut world), "l0000000000014!,", "an isolate's clock may be behind");
    world.now = Millis(end.0 + 3_600_001);
    assert_eq!(snapshot(&mut world), "");
    // The expiry is prolonged: the later one counts.
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    let later = world.now.plus_seconds(300 * DAY);
    world.update(1, KeyChanges { expires_at: Some(later), ..KeyChanges::default() });
    world.now = later;
    assert_eq!(snapshot(&mut world), "l0000000000013,");
}

#[test]
fn changes_after_a_position_list_each_key_once_with_its_last_change() {
    let mut world = World::with_owner();
    let start = current_position(&mut world);
    world.issue(1, live("crm"));
    world.issue(2, live("erp"));
    world.update(2, KeyChanges { name: Some("New".to_owned()), ..KeyChanges::default() });
    let (entries, to) = since(&mut world, &start);
    assert_eq!((entries.as_str(), to.revision), ("l0000000000012,l0000000000024,", 4));
    assert_eq!(to, current_position(&mut world));
    // A change of a member moves the position and lists no key.
    world.member(create("two", member(keyward_protocol::role::Role::Auditor)));
    let (_, to) = since(&mut world, &to);
    assert_eq!(to.revision, 5);
}

#[test]
fn a_page_also_holds_recent_changes_so_that_isolates_can_share_it() {
    let mut world = World::with_owner();
    for number in 1..=100 {
        world.issue(number, live(&format!("crm-{number}")));
    }
    let here = current_position(&mut world);
    let (changes, _) = query(&mut world, FeedQuery::Since(here));
    let FeedPage::Since { after, entries, more, .. } = &changes else { panic!("{changes:?}") };
    assert_eq!((*after, *more), (101 - 64, false));
    assert_eq!(serde_json::to_value(entries).unwrap().as_str().unwrap().matches(',').count(), 64);
}

#[test]
fn a_page_never_ends_between_the_two_keys_of_a_rotation() {
    let mut world = World::with_owner();
    let start = current_position(&mut world);
    world.issue(1, live("crm"));
    // 999 rows fill the page up to the first key of a rotation.
    for number in 2..=999 {
        world.issue(number, live(&format!("crm-{number}")));
    }
    world.rotate(1, 5_001, 60);
    let (changes, _) = query(&mut world, FeedQuery::Since(start));
    let FeedPage::Since { to, more, .. } = &changes else { panic!("{changes:?}") };
    assert!(*more);
    let (first, _) = listed(&changes);
    let (second, to) = since(&mut world, to);
    let all = format!("{first}{second}");
    for number in 2..=999 {
        assert!(all.contains(&format!("l{number:012}")), "{number}");
    }
    assert!(second.contains("l000000000001") && second.contains("l000000005001"), "{second}");
    assert_eq!(to, current_position(&mut world));
}

#[test]
fn snapshot_pages_list_each_key_once() {
    let mut world = World::with_owner();
    let end = world.now.plus_seconds(DAY).0;
    // Writes to the table directly: 45,000 operations would take minutes.
    let insert = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 45000)
        INSERT INTO keys (position, id, key_hash, minted_under, name, integration, environment, purpose, owner, scopes,
            allowed_cidrs, state, created_at, created_by, expires_at, latest_end, revision)
        SELECT i + 10, printf('wafl_live_%012d', i), 'h', 'g', 'n', 'i', 'live', 'p', 'o', '[]', '[]', 'revoked', 0, 'm',
            ?1, ?1 + i % 7, i + 100000 FROM n";
    world.store.connection.execute(insert, [end]).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let mut pages = 0;
    let mut after: Option<Cursor> = None;
    loop {
        world.store.costs.clear();
        let (changes, _) = query(&mut world, FeedQuery::Snapshot { after: after.clone() });
        assert!(world.store.costs.iter().all(|cost| cost.scanned == 0 && cost.sorts == 0), "{:?}", world.store.costs);
        pages += 1;
        for entry in listed(&changes).0.split_terminator(',') {
            assert!(seen.insert(entry[..13].to_owned()), "duplicate {entry}");
        }
        let FeedPage::Snapshot { next, .. } = changes else { panic!("{changes:?}") };
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!((seen.len(), pages), (45_000, 3));
}

#[test]
fn a_query_that_knows_lost_changes_begins_a_new_epoch() {
    for longer in [false, true] {
        let mut world = World::with_owner();
        let first = world.issue(1, live("crm"));
        let backup = world.store.connection.serialize("main").unwrap().to_vec();
        world.revoke(&first.id, "leaked");
        let known = current_position(&mut world);
        let reader = std::io::Cursor::new(backup.clone());
        world.store.connection.deserialize_read_exact("main", reader, backup.len(), false).unwrap();
        if longer {
            // The restored history grows beyond the lost one, so the numbers alone would not reveal the restore.
            for number in 2..=5 {
                world.issue(number, live(&format!("crm-{number}")));
            }
        }
        for pending in outbox::pending(&mut world.store, 100).unwrap() {
            outbox::done(&mut world.store, &pending.0.id, pending.1, &epoch(1)).unwrap();
        }
        let (changes, restored) = query(&mut world, FeedQuery::Since(known.clone()));
        assert!(restored);
        let FeedPage::Snapshot { after: None, at, .. } = &changes else { panic!("{changes:?}") };
        assert_eq!(at.epoch, Epoch::new(world.now, "abcdefghijklmnop"));
        assert!(at.epoch.began() > known.epoch.began());
        // Every copy is queued again, for the new epoch.
        assert_eq!(outbox::pending(&mut world.store, 100).unwrap().len(), if longer { 5 } else { 1 });
        // A copy in flight under the old epoch does not count as written.
        let first_key = outbox::pending(&mut world.store, 1).unwrap().remove(0);
        outbox::done(&mut world.store, &first_key.0.id, first_key.1, &epoch(1)).unwrap();
        assert_eq!(outbox::pending(&mut world.store, 100).unwrap().len(), if longer { 5 } else { 1 });
        let here = current_position(&mut world);
        assert!(!query(&mut world, FeedQuery::Since(here.clone())).1, "once");
        // Another isolate with the same lost change queries later: one restore begins one epoch.
        world.later(1);
        let (changes, restored) = query(&mut world, FeedQuery::Since(known));
        assert!(!restored);
        assert_eq!(changes.position(), &here);
        assert!(matches!(changes, FeedPage::Snapshot { after: None, .. }));
    }
}

#[test]
fn a_new_epoch_begins_after_both_old_ones_even_if_the_clock_is_behind() {
    let mut world = World::with_owner();
    let mut known = current_position(&mut world);
    known.epoch = Epoch::new(Millis(world.now.0 + 5_000), "of-a-later-clock");
    let (changes, restored) = query(&mut world, FeedQuery::Since(known));
    assert!(restored);
    assert_eq!(changes.position().epoch.began(), Millis(NOW.0 + 5_001));
}

#[test]
fn a_changed_authority_epoch_setting_begins_one_epoch() {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    let (first, second) = (Millis(NOW.0 + 1), Millis(NOW.0 + 2));
    assert!(!follow_setting(&mut world.store, None, "r", first).unwrap());
    assert_eq!(current_position(&mut world).epoch, epoch(1));
    assert!(follow_setting(&mut world.store, Some("2"), "r", first).unwrap());
    assert_eq!(current_position(&mut world).epoch, Epoch::new(first, "r"));
    assert!(!follow_setting(&mut world.store, Some("2"), "s", second).unwrap());
    assert!(follow_setting(&mut world.store, None, "s", second).unwrap());
    assert_eq!(outbox::pending(&mut world.store, 10).unwrap().len(), 1);
}

#[test]
fn keys_changed_before_the_feed_existed_stay_in_the_snapshot() {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    world.issue(2, live("erp"));
    world.revoke(&key_id(keyward_key::id::Environment::Live, 1), "leaked");
    // Restores the schema of before the feed.
    world
        .store
        .connection
        .execute_batch(
            "DROP TABLE sessions; DROP INDEX audit_by_subject; DROP INDEX audit_by_actor; DROP INDEX audit_by_action;
             ALTER TABLE idempotency DROP COLUMN credential;
             ALTER TABLE members DROP COLUMN previous_hash; ALTER TABLE members DROP COLUMN previous_until;
             ALTER TABLE members DROP COLUMN email_by_limited;
             DROP INDEX keys_of_environment; DROP INDEX keys_of_environment_sorted_by_end;
             DROP INDEX keys_of_environment_sorted_by_name;
             DROP INDEX keys_sorted_by_end; DROP INDEX keys_sorted_by_name; ALTER TABLE keys DROP COLUMN own_end;
             DROP INDEX keys_current_by_integration; DROP INDEX keys_current_by_name; DROP TABLE claims;
             DROP TABLE incidents; DROP TABLE incident_keys;
             CREATE INDEX keys_active_by_integration ON keys (environment, integration, expires_at) WHERE state = 'active';
             CREATE INDEX keys_active_by_name ON keys (environment, name, expires_at) WHERE state = 'active';
             DROP INDEX keys_changed; DROP INDEX keys_by_revision; ALTER TABLE keys DROP COLUMN latest_end;
             DROP INDEX keys_by_quarantine_end; DROP INDEX keys_quarantined_by_end;
             ALTER TABLE keys DROP COLUMN quarantine_ends_at;
             DROP INDEX keys_sorted_by_use; DROP INDEX keys_of_environment_sorted_by_use;
             ALTER TABLE keys DROP COLUMN first_used_at; ALTER TABLE keys DROP COLUMN last_used_from;
             DROP TABLE usage_shards; DROP TABLE key_uses;
             ALTER TABLE keys DROP COLUMN limits; ALTER TABLE keys DROP COLUMN limit_group;
             ALTER TABLE keys DROP COLUMN limit_revision; ALTER TABLE keys DROP COLUMN limits_reached;
             DROP INDEX keys_by_idle_check; ALTER TABLE keys DROP COLUMN idle_check_at; DROP TABLE idle_keys; DROP TABLE counters;
             DROP TABLE events; DROP TABLE endpoints; DROP INDEX keys_ending;
             DROP TABLE pending_reports; DROP TABLE leak_items; DROP TABLE leaks; DROP TABLE exposures; ALTER TABLE keys DROP COLUMN exposed_at;
             ALTER TABLE keys DROP COLUMN exposure_dismissed_at;
             UPDATE meta SET value = '1' WHERE name = 'schema'",
        )
        .unwrap();
    migrate(&mut world.store, &epoch(9)).unwrap();
    world.later(4_000 * DAY);
    assert_eq!(snapshot(&mut world), "l0000000000014!,");
    assert_eq!(current_position(&mut world).epoch, epoch(1));
}

#[test]
fn a_failing_store_yields_no_page() {
    use keyward_testkit::sqlite_store::Fault;
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    let known = current_position(&mut world);
    for query in [
        FeedQuery::Snapshot { after: None },
        FeedQuery::Since(known.clone()),
        FeedQuery::Since(Position { revision: 9, ..known }),
    ] {
        for read in 1..=3 {
            world.store.fail_at(Some(Fault::Read(read)));
            let response = answer(&mut world.store, Request::Changes(query.clone()), &world.policy, "r", NOW);
            assert!(response.is_err(), "{query:?} {read}");
        }
    }
    for fault in [Fault::BeforeWrite(1), Fault::AfterWrite(1), Fault::AfterWrite(2), Fault::BeforeCommit] {
        world.store.fail_at(None);
        let before = world.store.dump();
        world.store.fail_at(Some(fault));
        let gone = Position { revision: 9, ..current_position(&mut world) };
        assert!(answer(&mut world.store, Request::Changes(FeedQuery::Since(gone)), &world.policy, "r", NOW).is_err());
        assert_eq!(world.store.dump(), before, "{fault:?}");
    }
}
