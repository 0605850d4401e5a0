//! A change happens whole or not at all, whatever fails and whenever.

use keyward_key::id::Environment;
use keyward_protocol::audit::{Head, verify};
use keyward_protocol::{Caller, Command, KeyFilter, Operation, Response, Status};
use keyward_registry::audit::audit_after;
use keyward_registry::schema::migrate;
use keyward_testkit::registry_world::*;
use keyward_testkit::sqlite_store::{Fault, SqliteStore};
use serde_json::Value as Json;

type Asked = (Caller, Command);

/// A name, the world before, the change, and how many statements write for it.
type Case = (&'static str, fn() -> World, fn() -> Asked, usize);

fn changes() -> [Case; 11] {
    [
        ("bootstrap", World::empty, || (Caller::Bootstrap, bootstrap()), 3),
        ("issue", World::with_owner, || (owner(), issue(1, live("crm"))), 4),
        ("revoke", with_a_key, || (owner(), revoke(&key_id(Environment::Live, 1), "leaked")), 4),
        ("revoke_by_holder", with_a_key, || (holder(1), Command::RevokeByHolder), 4),
        ("update", furnished, || (owner(), command_for(Operation::UpdateKey)), 4),
        ("rotate", furnished, || (owner(), command_for(Operation::RotateKey)), 6),
        ("make a member", furnished, || (owner(), command_for(Operation::CreateMember)), 3),
        ("change a member", furnished, || (owner(), command_for(Operation::UpdateMember)), 3),
        ("revoke a member", furnished, || (owner(), command_for(Operation::RevokeMember)), 3),
        ("rotate a member", furnished, || (owner(), command_for(Operation::RotateMember)), 3),
        // With what it takes to remember it, and to forget another.
        ("issue again", with_an_old_attempt, || (owner(), issue(2, live("shop"))), 6),
    ]
}

/// A write of long ago is still remembered, and the next is to be, too.
fn with_an_old_attempt() -> World {
    let mut world = World::with_owner();
    world.attempt(owner(), issue(1, live("crm")), Some(attempt("old"))).unwrap();
    world.later(600);
    world.idempotency = Some(attempt("new"));
    world
}

fn with_a_key() -> World {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    world
}

#[test]
fn a_failure_before_or_after_any_single_write_leaves_nothing_behind() {
    for (name, world, asked, writes) in changes() {
        let complete = complete(world, asked);
        let faults =
            (1..=writes).flat_map(|at| [Fault::BeforeWrite(at), Fault::AfterWrite(at)]).chain([Fault::BeforeCommit]);
        for fault in faults {
            let mut world = world();
            let before = world.store.dump();
            let (caller, command) = asked();
            world.store.fail_at(Some(fault));
            assert!(world.ask(caller, command).is_err(), "{name} {fault:?}: the failure was hidden");
            assert_eq!(world.store.dump(), before, "{name} {fault:?}: something was left behind");

            // The same asked again succeeds, as if nothing had been.
            world.store.fail_at(None);
            let (caller, command) = asked();
            assert!(matches!(world.ask(caller, command).unwrap(), Response::Done(_)));
            assert_eq!(world.store.dump(), complete, "{name} {fault:?}");
        }
    }
}

fn complete(world: fn() -> World, asked: fn() -> Asked) -> Json {
    let mut world = world();
    let (caller, command) = asked();
    assert!(matches!(world.ask(caller, command).unwrap(), Response::Done(_)));
    world.store.dump()
}

/// So that the test above can't miss a write that is added later.
#[test]
fn every_write_of_a_change_is_among_those_that_are_made_to_fail() {
    for (name, world, asked, writes) in changes() {
        let mut world = world();
        let (caller, command) = asked();
        world.store.fail_at(None);
        world.ask(caller, command).unwrap();
        assert_eq!(world.store.writes, writes, "{name}");
    }
}

#[test]
fn a_failing_read_changes_nothing_and_is_never_an_answer() {
    for (name, world, asked, _) in changes() {
        let mut counting = world();
        let (caller, command) = asked();
        counting.store.fail_at(None);
        counting.ask(caller, command).unwrap();
        for at in 1..=counting.store.reads {
            let mut world = world();
            let before = world.store.dump();
            let (caller, command) = asked();
            world.store.fail_at(Some(Fault::Read(at)));
            assert!(world.ask(caller, command).is_err(), "{name}: read {at}");
            assert_eq!(world.store.dump(), before, "{name}: read {at}");
        }
    }
}

#[test]
fn a_change_whose_confirmation_was_lost_is_there_whole() {
    for (name, world, asked, _) in changes() {
        let complete = complete(world, asked);
        let mut world = world();
        let (caller, command) = asked();
        world.store.fail_at(Some(Fault::AfterCommit));
        assert!(world.ask(caller, command).is_err(), "{name}");
        assert_eq!(world.store.dump(), complete, "{name}");
        let entries = audit_after(&mut world.store, 0, 100).unwrap();
        assert!(verify(&Head::empty(), &entries).is_ok(), "{name}");
    }
}

#[test]
fn a_list_that_fails_changes_nothing_that_anyone_can_see() {
    let fresh = || {
        let mut world = World::with_owner();
        world.issue(1, live("crm"));
        world.later(100 * DAY);
        world
    };
    let expired = || {
        let filter = KeyFilter { status: Some(Status::Expired), ..KeyFilter::default() };
        list(filter, 50, None)
    };
    let mut world = fresh();
    let right = serde_json::to_value(world.done(owner(), expired())).unwrap();
    for fault in [Fault::BeforeWrite(1), Fault::AfterWrite(1)] {
        let mut world = fresh();
        world.store.fail_at(Some(fault));
        assert!(world.ask(owner(), expired()).is_err());
        world.store.fail_at(None);
        assert_eq!(serde_json::to_value(world.done(owner(), expired())).unwrap(), right);
    }
}

#[test]
fn a_start_that_fails_midway_is_made_good_by_the_next() {
    let mut counting = SqliteStore::new();
    migrate(&mut counting, &epoch(1)).unwrap();
    let complete = counting.dump();
    for at in 1..=counting.writes {
        for fault in [Fault::BeforeWrite(at), Fault::AfterWrite(at), Fault::BeforeCommit] {
            let mut store = SqliteStore::new();
            store.fail_at(Some(fault));
            assert!(migrate(&mut store, &epoch(1)).is_err());
            assert_eq!(store.dump(), serde_json::json!({}), "{fault:?}");
            store.fail_at(None);
            migrate(&mut store, &epoch(1)).unwrap();
            assert_eq!(store.dump(), complete, "{fault:?}");
        }
    }
}
