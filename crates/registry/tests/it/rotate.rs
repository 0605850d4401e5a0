//! Rotating keys: the successor and the overlap.

use keyward_key::id::{Environment, KeyId};
use keyward_key::record::Record;
use keyward_key::time::Millis;
use keyward_protocol::{Rejection, Status};
use keyward_registry::keys::lookup;
use keyward_registry::list::mark_expired;
use keyward_registry::outbox::pending;
use keyward_testkit::registry_world::*;
use serde_json::{Value as Json, json};

fn with_a_key() -> World {
    let mut world = World::with_owner();
    let draft = KeyDraft {
        scopes: vec![scope("contacts:write"), scope("contacts:read")],
        allowed_cidrs: vec!["192.0.2.0/24".parse().unwrap()],
        lifetime: Lifetime::Days(30),
        ..live("crm")
    };
    world.issue(1, draft);
    world.later(10 * DAY);
    world
}

fn id(number: u32) -> KeyId {
    key_id(Environment::Live, number)
}

fn status(world: &mut World, number: u32) -> Status {
    let Outcome::Key(key) = world.done(owner(), show(&id(number))) else { panic!("no key") };
    key.status
}

#[test]
fn a_successor_has_the_same_rights_and_lifetime_and_the_old_key_retires() {
    let mut world = with_a_key();
    let Outcome::Key(before) = world.done(owner(), show(&id(1))) else { panic!("no key") };
    let (successor, retiring) = world.rotate(1, 2, 86_400);

    let (before, successor, retiring) = (
        serde_json::to_value(before).unwrap(),
        serde_json::to_value(successor).unwrap(),
        serde_json::to_value(retiring).unwrap(),
    );
    let mut expected = before.clone();
    for (field, value) in [
        ("id", json!("wafl_live_000000000002")),
        ("created_at", json!(world.now.rfc3339())),
        ("expires_at", json!(world.now.plus_seconds(30 * DAY).rfc3339())),
        ("rotated_from", json!("wafl_live_000000000001")),
        ("revision", json!(3)),
    ] {
        expected[field] = value;
    }
    assert_eq!(successor, expected);
    let mut expected = before;
    for (field, value) in [
        ("status", json!("retiring")),
        ("expires_at", json!(world.now.plus_seconds(DAY).rfc3339())),
        ("successor", json!("wafl_live_000000000002")),
        ("revision", json!(3)),
    ] {
        expected[field] = value;
    }
    assert_eq!(retiring, expected);

    let (_, action, subject, detail) = world.last_entry();
    assert_eq!((action.as_str(), subject.as_str()), ("key.rotate", "wafl_live_000000000001"));
    let mut once = retiring;
    let not_logged = ["first_used_at", "last_used_from"];
    once.as_object_mut().unwrap().retain(|name, value| !value.is_array() && !not_logged.contains(&name.as_str()));
    assert_eq!(detail, json!({"key": successor, "retiring": once}), "the lists of both, once");

    let sent: Vec<(String, bool, u64)> = pending(&mut world.store, 10)
        .unwrap()
        .into_iter()
        .map(|(record, revision)| (record.id.to_string(), record.retiring, revision))
        .collect();
    assert_eq!(sent.len(), 2);
    assert!(sent.contains(&("wafl_live_000000000001".to_owned(), true, 3)), "{sent:?}");
    assert!(sent.contains(&("wafl_live_000000000002".to_owned(), false, 3)), "{sent:?}");
}

#[test]
fn both_keys_work_until_the_overlap_ends_and_then_only_the_successor() {
    let mut world = with_a_key();
    world.rotate(1, 2, 60);
    let end = world.now.plus_seconds(60);
    let record = lookup(&mut world.store, &id(1)).unwrap().unwrap();
    assert_eq!((record.expires_at, record.retiring, record.revoked), (end, true, false));
    world.now = Millis(end.0 - 1);
    assert_eq!(status(&mut world, 1), Status::Retiring);
    world.now = end;
    assert_eq!(status(&mut world, 1), Status::Expired);
    assert_eq!(status(&mut world, 2), Status::Active);
    // A list marks the key as expired without a new revision. The record is unchanged except for an expiry that has passed by
    // every clock.
    mark_expired(&mut world.store, world.now).unwrap();
    let marked = lookup(&mut world.store, &id(1)).unwrap().unwrap();
    let over = Record { expires_at: Millis(0), ..record };
    assert_eq!(serde_json::to_value(marked).unwrap(), serde_json::to_value(over).unwrap());
}

#[test]
fn without_an_overlap_the_old_key_is_expired_by_any_clock() {
    let mut world = with_a_key();
    let (_, old) = world.rotate(1, 2, 0);
    assert_eq!((old.status, old.expires_at.as_str()), (Status::Expired, world.now.rfc3339().as_str()));
    assert_eq!(lookup(&mut world.store, &id(1)).unwrap().unwrap().expires_at, Millis(0));
}

#[test]
fn the_old_key_expires_at_the_end_of_the_overlap_or_its_own() {
    for (overlap, expected) in [
        (0, NOW.plus_seconds(10 * DAY)),
        (1, NOW.plus_seconds(10 * DAY + 1)),
        (1_728_000, NOW.plus_seconds(30 * DAY)),
        (2_592_000, NOW.plus_seconds(30 * DAY)),
    ] {
        let mut world = with_a_key();
        let (_, retiring) = world.rotate(1, 2, overlap);
        assert_eq!(retiring.expires_at, expected.rfc3339());
        let at_once = if overlap == 0 { Status::Expired } else { Status::Retiring };
        assert_eq!(retiring.status, at_once);
    }
    let mut world = with_a_key();
    let refused = world.refused(owner(), rotate(1, 2, 2_592_001));
    assert!(matches!(&refused, Rejection::Invalid { field, .. } if field == "overlap_seconds"), "{refused:?}");
}

#[test]
fn a_successors_lifetime_is_limited_by_the_current_maximum() {
    let mut world = with_a_key();
    world.policy.max_key_days = 7;
    assert_eq!(world.rotate(1, 2, 0).0.expires_at, world.now.plus_seconds(7 * DAY).rfc3339());
    // The lifetime is that of the last change, not the first.
    let mut world = with_a_key();
    let end = world.now.plus_seconds(DAY);
    world.update(1, KeyChanges { expires_at: Some(end), ..KeyChanges::default() });
    assert_eq!(world.rotate(1, 2, 0).0.expires_at, world.now.plus_seconds(11 * DAY).rfc3339());
}

#[test]
fn a_rotation_keeps_scopes_that_no_route_uses_any_more() {
    let mut world = with_a_key();
    world.policy.known_scopes.clear();
    assert_eq!(world.rotate(1, 2, 60).0.attributes.scopes, [scope("contacts:write"), scope("contacts:read")]);
}

#[test]
fn only_an_active_key_can_be_rotated_and_only_once() {
    let mut world = with_a_key();
    assert_eq!(world.refused(owner(), rotate(9, 2, 60)), Rejection::NotFound);
    world.rotate(1, 2, 60);
    assert_eq!(world.refused(owner(), rotate(1, 3, 60)), Rejection::NotActive { status: Status::Retiring });
    world.later(60);
    assert_eq!(world.refused(owner(), rotate(1, 3, 60)), Rejection::NotActive { status: Status::Expired });
    world.rotate(2, 3, 60);
    world.revoke(&id(3), "leaked");
    assert_eq!(world.refused(owner(), rotate(3, 4, 60)), Rejection::NotActive { status: Status::Revoked });
    assert_eq!(world.refused(owner(), rotate(2, 1, 60)), Rejection::NotActive { status: Status::Retiring });
}

#[test]
fn a_retiring_key_is_revoked_at_once_and_its_successor_stays_active() {
    let mut world = with_a_key();
    world.rotate(1, 2, 3600);
    let key = world.revoke(&id(1), "leaked");
    assert_eq!((key.status, key.successor), (Status::Revoked, Some(id(2))));
    assert_eq!(status(&mut world, 2), Status::Active);
    assert!(lookup(&mut world.store, &id(1)).unwrap().unwrap().revoked);
}

#[test]
fn a_taken_id_or_one_of_another_environment_cannot_be_a_successor() {
    let mut world = with_a_key();
    assert_eq!(world.refused(owner(), rotate(1, 1, 60)), Rejection::IdTaken);
    let before = world.store.dump();
    for other in [key_id(Environment::Test, 2), member_id("new")] {
        let command = Command::RotateKey { id: id(1), overlap_seconds: 0, credential: credential(other) };
        assert!(world.ask(owner(), command).is_err());
    }
    assert_eq!(world.store.dump(), before);
}

#[test]
fn lists_show_a_retiring_key_as_such_until_it_has_expired() {
    let mut world = with_a_key();
    world.rotate(1, 2, 60);
    let mut listed = |status, later| {
        world.later(later);
        let filter = KeyFilter { status: Some(status), ..KeyFilter::default() };
        let Outcome::Keys { items, .. } = world.done(owner(), list(filter, 50, None)) else { panic!("no list") };
        let ids: Json = items.iter().map(|key| json!(key.id)).collect();
        ids
    };
    assert_eq!(listed(Status::Retiring, 59), json!([id(1)]));
    assert_eq!(listed(Status::Active, 0), json!([id(2)]));
    assert_eq!(listed(Status::Retiring, 1), json!([]));
    assert_eq!(listed(Status::Expired, 0), json!([id(1)]));
}
