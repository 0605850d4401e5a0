//! Submitted keys: revocation by the holder, and inspection by verifiers.

use keyward_key::id::Environment;
use keyward_protocol::role::Role;
use keyward_protocol::{Caller, KeyView, Rejection, Status};
use keyward_registry::outbox;
use keyward_testkit::registry_world::*;
use serde_json::json;

fn with_a_key() -> World {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    world
}

fn revoked_by_holder(world: &mut World) -> KeyView {
    match world.done(holder(1), Command::RevokeByHolder) {
        Outcome::KeyRevoked { key, .. } => *key,
        other => panic!("{other:?}"),
    }
}

fn unauthenticated(refused: &Rejection) -> bool {
    matches!(refused, Rejection::Unauthenticated { .. })
}

#[test]
fn a_holder_revokes_their_key_and_the_log_names_the_actor_holder() {
    let mut world = with_a_key();
    world.later(60);
    let key = revoked_by_holder(&mut world);
    assert_eq!((key.status, key.revision), (Status::Revoked, 3));
    assert_eq!(key.revoked_by.as_deref(), Some("holder"));
    assert_eq!(key.revoke_reason.as_deref(), Some("Revoked by whoever holds it"));
    assert_eq!(key.revoked_at.as_deref(), Some("2026-11-23T14:03:03.004Z"));
    let id = key_id(Environment::Live, 1).to_string();
    let detail = json!({"reason": "Revoked by whoever holds it"});
    assert_eq!(world.last_entry(), ("holder".to_owned(), "key.revoke".to_owned(), id, detail));
    let (record, revision) = outbox::pending(&mut world.store, 1).unwrap().remove(0);
    assert_eq!((record.revoked, revision), (true, 3));
}

#[test]
fn a_revoked_key_is_not_changed_by_its_holder() {
    let mut world = with_a_key();
    world.revoke(&key_id(Environment::Live, 1), "leaked");
    let before = world.store.dump();
    world.later(60);
    assert_eq!(revoked_by_holder(&mut world).revoke_reason.as_deref(), Some("leaked"));
    assert_eq!(world.store.dump(), before);

    let mut world = with_a_key();
    revoked_by_holder(&mut world);
    let before = world.store.dump();
    let key = world.revoke(&key_id(Environment::Live, 1), "leaked");
    assert_eq!(key.revoked_by.as_deref(), Some("holder"));
    assert_eq!(world.store.dump(), before);
}

#[test]
fn a_holder_can_revoke_an_expired_or_retiring_key() {
    let mut world = with_a_key();
    world.later(90 * DAY);
    assert_eq!(revoked_by_holder(&mut world).status, Status::Revoked);
    let mut world = with_a_key();
    world.rotate(1, 2, 3600);
    assert_eq!(revoked_by_holder(&mut world).status, Status::Revoked);
    assert!(
        matches!(world.done(owner(), show(&key_id(Environment::Live, 2))), Outcome::Key(key) if key.status == Status::Active)
    );
}

#[test]
fn a_holder_without_the_right_secret_cannot_revoke() {
    let mut world = with_a_key();
    world.issue(2, live("shop"));
    let other_secret = Caller::Holder { id: key_id(Environment::Live, 1), key_hash: hash(8) };
    let unknown = holder(99);
    let member = Caller::Holder { id: owner_id(), key_hash: hash(9) };
    for caller in [other_secret, unknown, member] {
        assert!(unauthenticated(&world.refused(caller, Command::RevokeByHolder)));
    }
    assert_eq!(world.refused(owner(), Command::RevokeByHolder), Rejection::Forbidden);
    assert!(unauthenticated(&world.refused(Caller::Bootstrap, Command::RevokeByHolder)));
}

#[test]
fn a_holder_may_do_nothing_but_revoke() {
    for operation in Operation::ALL.iter().copied() {
        let mut world = furnished();
        assert!(unauthenticated(&world.refused(holder(1), Command::Authorise { operation })), "{operation:?}");
        if operation != Operation::RevokeByHolder {
            assert!(unauthenticated(&world.refused(holder(1), command_for(operation))), "{operation:?}");
        }
    }
}

fn found(done: Outcome) -> Option<Box<Inspected>> {
    match done {
        Outcome::Inspected { found, .. } => found,
        other => panic!("{other:?}"),
    }
}

fn questions(number: u32) -> [Command; 2] {
    let id = || key_id(Environment::Live, number);
    [Command::Introspect(id()), Command::Verify(id())]
}

#[test]
fn a_verifier_gets_record_and_view_of_the_same_instant_and_writes_nothing() {
    let mut world = with_a_key();
    world.later(90 * DAY - 1);
    let verifier = world.add_member(Role::Verifier, None);
    for (later, status) in [(0, Status::Active), (1, Status::Expired)] {
        world.later(later);
        let before = world.store.dump();
        for question in questions(1) {
            let Outcome::Inspected { at, found: Some(inspected) } = world.done(verifier.clone(), question) else {
                panic!("not found")
            };
            assert_eq!(at, world.now);
            assert_eq!((inspected.record.id, inspected.record.revision), (inspected.key.id, inspected.key.revision));
            assert_eq!(inspected.key.status, status);
            assert_eq!(inspected.record.expires_at <= at, status == Status::Expired);
        }
        assert_eq!(world.store.dump(), before);
    }
}

#[test]
fn an_absent_key_and_one_in_another_environment_get_the_same_answer() {
    let mut world = with_a_key();
    world.issue(2, test("crm"));
    for role in [Role::Verifier, Role::Owner] {
        let limited = world.add_member(role, Some(r#"["test"]"#));
        for (there, nowhere) in questions(1).into_iter().zip(questions(99)) {
            assert!(found(world.done(limited.clone(), there)).is_none());
            assert!(found(world.done(limited.clone(), nowhere)).is_none());
        }
        let own = Command::Verify(key_id(Environment::Test, 2));
        assert_eq!(found(world.done(limited, own)).unwrap().key.attributes.environment, Environment::Test);
    }
}
