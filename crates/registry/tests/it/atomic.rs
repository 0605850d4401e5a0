//! Atomicity: a change is committed whole or not at all, whichever statement fails.

use keyward_key::id::Environment;
use keyward_protocol::audit::{Head, verify};
use keyward_protocol::{Caller, Status};
use keyward_registry::audit::audit_after;
use keyward_registry::schema::migrate;
use keyward_testkit::registry_world::*;
use keyward_testkit::sqlite_store::{Fault, SqliteStore};
use serde_json::Value as Json;

type CallerAndCommand = (Caller, Command);

/// Name of the change, the world before it, the request, and its number of writing statements.
type Case = (&'static str, fn() -> World, fn() -> CallerAndCommand, usize);

fn changes() -> [Case; 17] {
    [
        ("bootstrap", World::empty, || (Caller::Bootstrap, bootstrap()), 4),
        ("issue", World::with_owner, || (owner(), issue(1, live("crm"))), 5),
        ("revoke", with_a_key, || (owner(), revoke(&key_id(Environment::Live, 1), "leaked")), 6),
        ("revoke_by_holder", with_a_key, || (holder(1), Command::RevokeByHolder), 6),
        ("update", furnished, || (owner(), command_for(Operation::UpdateKey)), 4),
        ("rotate", furnished, || (owner(), command_for(Operation::RotateKey)), 7),
        ("create a member", furnished, || (owner(), command_for(Operation::CreateMember)), 4),
        ("change a member", furnished, || (owner(), command_for(Operation::UpdateMember)), 4),
        ("revoke a member", furnished, || (owner(), command_for(Operation::RevokeMember)), 4),
        ("rotate a member", furnished, || (owner(), command_for(Operation::RotateMember)), 4),
        // Includes storing this attempt and deleting an expired one.
        ("issue again", with_an_old_attempt, || (owner(), issue(2, live("shop"))), 7),
        ("issue by claim", World::with_owner, || (owner(), issue_by_claim(1, live("crm"))), 6),
        ("rotate by claim", with_a_key, || (owner(), rotate_by_claim(1, 2, 60)), 5),
        ("claim", with_an_open_claim, || (claimant(2), claim(2)), 8),
        ("revoke by a claimant", with_an_open_claim, || (claimant(2), Command::RevokeByClaimant), 6),
        ("withdraw a claim", with_an_open_claim, || (owner(), withdraw(2)), 7),
        (
            "change a pending key",
            with_an_open_claim,
            || (owner(), update(2, KeyChanges { name: Some("new".to_owned()), ..KeyChanges::default() })),
            5,
        ),
    ]
}

/// A world that still stores an expired attempt, before a request with an `Idempotency-Key`.
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

/// A world with live key 1, and its successor 2 that waits for its claim.
fn with_an_open_claim() -> World {
    let mut world = with_a_key();
    world.done(owner(), rotate_by_claim(1, 2, 60));
    world
}

#[test]
fn a_failed_write_rolls_the_whole_change_back() {
    for (name, world, request, writes) in changes() {
        let complete = complete(world, request);
        let faults =
            (1..=writes).flat_map(|at| [Fault::BeforeWrite(at), Fault::AfterWrite(at)]).chain([Fault::BeforeCommit]);
        for fault in faults {
            let mut world = world();
            let before = world.store.dump();
            let (caller, command) = request();
            world.store.fail_at(Some(fault));
            assert!(world.ask(caller, command).is_err(), "{name} {fault:?}: no error");
            assert_eq!(world.store.dump(), before, "{name} {fault:?}: not rolled back");

            // A retry without the fault has the full effect.
            world.store.fail_at(None);
            let (caller, command) = request();
            assert!(matches!(world.ask(caller, command).unwrap(), Response::Done(_)));
            assert_eq!(world.store.dump(), complete, "{name} {fault:?}");
        }
    }
}

fn complete(world: fn() -> World, request: fn() -> CallerAndCommand) -> Json {
    let mut world = world();
    let (caller, command) = request();
    assert!(matches!(world.ask(caller, command).unwrap(), Response::Done(_)));
    world.store.dump()
}

/// Keeps the numbers in [`changes`] exact, so that the test above covers writes that are added later.
#[test]
fn the_number_of_writes_of_each_change_is_exact() {
    for (name, world, request, writes) in changes() {
        let mut world = world();
        let (caller, command) = request();
        world.store.fail_at(None);
        world.ask(caller, command).unwrap();
        assert_eq!(world.store.writes, writes, "{name}");
    }
}

#[test]
fn a_failed_read_fails_the_operation_and_changes_nothing() {
    for (name, world, request, _) in changes() {
        let mut counting = world();
        let (caller, command) = request();
        counting.store.fail_at(None);
        counting.ask(caller, command).unwrap();
        for at in 1..=counting.store.reads {
            let mut world = world();
            let before = world.store.dump();
            let (caller, command) = request();
            world.store.fail_at(Some(Fault::Read(at)));
            assert!(world.ask(caller, command).is_err(), "{name}: read {at}");
            assert_eq!(world.store.dump(), before, "{name}: read {at}");
        }
    }
}

#[test]
fn a_change_whose_commit_was_not_confirmed_is_complete() {
    for (name, world, request, _) in changes() {
        let complete = complete(world, request);
        let mut world = world();
        let (caller, command) = request();
        world.store.fail_at(Some(Fault::AfterCommit));
        assert!(world.ask(caller, command).is_err(), "{name}");
        assert_eq!(world.store.dump(), complete, "{name}");
        let entries = audit_after(&mut world.store, 0, 100).unwrap();
        assert!(verify(&Head::empty(), &entries).is_ok(), "{name}");
    }
}

#[test]
fn a_failed_list_changes_nothing_visible() {
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
fn a_failed_start_is_completed_by_the_next() {
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
