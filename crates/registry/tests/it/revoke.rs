//! Revoking a key: final, and repeatable with the same answer.

use keyward_key::id::Environment;
use keyward_key::time::Millis;
use keyward_protocol::{KeyView, Rejection, Status};
use keyward_testkit::registry_world::*;

fn revoked(world: &mut World, number: u32, reason: &str) -> (KeyView, Millis) {
    match world.done(owner(), revoke(&key_id(Environment::Live, number), reason)) {
        Outcome::KeyRevoked { key, changed_at } => (*key, changed_at),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_second_revocation_repeats_the_first_answer_and_writes_nothing() {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    world.later(60);
    let (first, changed_at) = revoked(&mut world, 1, "leaked");
    assert_eq!(changed_at, NOW.plus_seconds(60));
    assert_eq!(first.status, Status::Revoked);
    assert_eq!(first.revoke_reason.as_deref(), Some("leaked"));
    assert_eq!(first.revoked_at.as_deref(), Some("2026-11-23T14:03:03.004Z"));
    assert_eq!(first.revoked_by.as_deref(), Some(owner_id().as_str()));
    assert_eq!(first.revision, 3);

    let before = world.store.dump();
    for later in [60, 200 * DAY] {
        world.later(later);
        let (second, second_changed_at) = revoked(&mut world, 1, "another reason");
        assert_eq!(second_changed_at, changed_at);
        assert_eq!(serde_json::to_value(&second).unwrap(), serde_json::to_value(&first).unwrap());
    }
    assert_eq!(world.store.dump(), before);
}

#[test]
fn an_expired_key_can_still_be_revoked() {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    world.later(90 * DAY);
    let Outcome::Key(key) = world.done(owner(), show(&key_id(Environment::Live, 1))) else { panic!("no key") };
    assert_eq!(key.status, Status::Expired);
    let (key, changed_at) = revoked(&mut world, 1, "leaked");
    assert_eq!(key.status, Status::Revoked);
    assert_eq!(changed_at, world.now);
}

#[test]
fn revoking_an_unknown_key_is_not_found() {
    let mut world = World::with_owner();
    assert_eq!(world.refused(owner(), revoke(&key_id(Environment::Live, 1), "leaked")), Rejection::NotFound);
    assert_eq!(world.refused(owner(), revoke(&owner_id(), "leaked")), Rejection::NotFound);
}
