//! A restore that the authority does not notice, and a data centre's cache that still holds a page of the lost history's snapshot.

use keyward_gate::{Applied, CopyVerdict};
use keyward_key::epoch::Epoch;
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::feed::{CachedFeedPage, Change, ChangeList, Cursor, FeedPage, Position};
use keyward_testkit::gate_world::{ClientRequest, Key, NOW, World};
use serde_json::json;

fn position(world: &World, revision: u64) -> Position {
    Position { revision, head: format!("{revision:016x}"), ..world.position() }
}

fn entry(id: &KeyId, revision: u64) -> ChangeList {
    let mut entries = ChangeList::default();
    entries.push(id, Change { revision, revoked: false });
    entries
}

/// A world whose restored authority is at revision 10, with a gate that has read one snapshot page from the lost history, which
/// had changed the key at `lost_revision`, and one page from the restored authority.
fn mixed(lost_revision: u64) -> (World, Key) {
    let mut world = World::new(&json!({}));
    let key = world.issue(1, |record| record.revision = 9);
    let next = Some(Cursor("second".to_owned()));
    let lost = FeedPage::Snapshot {
        after: None,
        at: position(&world, lost_revision.max(10)),
        entries: entry(&key.record.id, lost_revision),
        next: next.clone(),
    };
    let restored =
        FeedPage::Snapshot { after: next, at: position(&world, 10), entries: ChangeList::default(), next: None };
    for page in [lost, restored] {
        let query = world.gate.start_query(NOW);
        assert_eq!(world.gate.apply_authority(&page, query, NOW), Applied::More);
    }
    (world, key)
}

fn get(key: &Key) -> ClientRequest {
    ClientRequest::new("GET /v1/contacts").key(key)
}

/// Found by the simulator: such a key got 503 until the isolate ended.
#[test]
fn a_key_that_only_the_lost_history_changed_is_served_as_the_authority_has_it() {
    for lost_revision in [10, 15] {
        let (mut world, key) = mixed(lost_revision);
        assert_eq!(world.verdict(&get(&key)), "200", "changed at {lost_revision}");
    }
}

#[test]
fn no_copy_is_trusted_after_the_authority_contradicted_a_page_of_the_snapshot() {
    for lost_revision in [10, 15] {
        let (mut world, key) = mixed(lost_revision);
        assert_eq!(world.verdict(&get(&key)), "200");
        let other = world.issue(2, |record| record.revision = 9);
        let copy = world.copy(&other.record);
        let verdict = world.gate.apply_copy(&world.config, &other.record.id, &copy, NOW);
        assert_eq!(verdict, CopyVerdict::Confirm, "changed at {lost_revision}");
    }
}

#[test]
fn a_shared_answer_older_than_a_page_of_the_snapshot_is_left_for_the_authority_to_judge() {
    let (mut world, _) = mixed(15);
    let to = position(&world, 10);
    let changes = FeedPage::Since { after: 10, to, entries: ChangeList::default(), more: false };
    let shared = CachedFeedPage { asked_at: NOW, took: 1, changes }.seal(&world.config.keyring).unwrap();
    let query = world.gate.start_query(NOW);
    assert_eq!(world.gate.apply_shared(&world.config, &shared, query, NOW), Applied::Nothing);
    world.refresh(NOW);
}

/// Found by the simulator (seed 61750): the two cached pages alternated until the request got 503, and the authority was not queried.
#[test]
fn after_a_new_epoch_no_page_of_an_earlier_one_is_used() {
    let mut world = World::new(&json!({}));
    let key = world.issue(1, |_| {});
    let next = Some(Cursor("second".to_owned()));
    let page = |world: &World, after: Option<Cursor>, next: Option<Cursor>| FeedPage::Snapshot {
        after,
        at: position(world, 10),
        entries: ChangeList::default(),
        next,
    };
    let first_of_the_lost = page(&world, None, next.clone());
    world.epoch = Epoch::new(Millis(NOW.0 + 1), "second");
    let second_of_the_new = page(&world, next, None);
    let apply = |world: &mut World, page: &FeedPage| {
        let query = world.gate.start_query(NOW);
        world.gate.apply_authority(page, query, NOW)
    };
    assert_eq!(apply(&mut world, &first_of_the_lost), Applied::More);
    assert!(matches!(apply(&mut world, &second_of_the_new), Applied::NewEpoch { .. }));
    assert_eq!(apply(&mut world, &first_of_the_lost), Applied::Nothing);
    assert_eq!(world.verdict(&get(&key)), "200");
}
