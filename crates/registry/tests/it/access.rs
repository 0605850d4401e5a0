//! Authentication of callers, and members limited to environments.

use keyward_key::id::{Environment, KeyId};
use keyward_protocol::role::Role;
use keyward_protocol::{Caller, Rejection};
use keyward_testkit::registry_world::*;

fn unauthenticated(refused: &Rejection) -> bool {
    matches!(refused, Rejection::Unauthenticated { .. })
}

#[test]
fn the_bootstrap_token_opens_nothing_but_bootstrap() {
    for operation in Operation::ALL.iter().copied().filter(|operation| *operation != Operation::Bootstrap) {
        let mut world = furnished();
        assert!(unauthenticated(&world.refused(Caller::Bootstrap, command_for(operation))));
        assert!(unauthenticated(&world.refused(Caller::Bootstrap, Command::Authorise { operation })));
    }
}

#[test]
fn bootstrap_creates_one_owner_only() {
    let mut world = World::empty();
    let authorise = || Command::Authorise { operation: Operation::Bootstrap };
    assert!(matches!(world.done(Caller::Bootstrap, authorise()), Outcome::Authorised));
    let Outcome::MemberCreated(view) = world.done(Caller::Bootstrap, bootstrap()) else { panic!("no member") };
    assert_eq!(view.role, "owner");
    assert_eq!(view.environments, None);
    assert_eq!(view.expires_at, "2027-11-23T14:02:03.004Z");
    assert_eq!(world.refused(Caller::Bootstrap, bootstrap()), Rejection::AlreadyBootstrapped);
    assert_eq!(world.refused(Caller::Bootstrap, authorise()), Rejection::AlreadyBootstrapped);

    world.later(366 * DAY);
    assert_eq!(world.refused(Caller::Bootstrap, bootstrap()), Rejection::AlreadyBootstrapped);
    world.store.connection.execute("UPDATE members SET revoked_at = 1, role = 'auditor'", []).unwrap();
    assert_eq!(world.refused(Caller::Bootstrap, bootstrap()), Rejection::AlreadyBootstrapped);
}

#[test]
fn only_an_active_members_right_secret_authenticates() {
    let mut world = World::with_owner();
    assert!(matches!(world.done(owner(), Command::Me), Outcome::Me(view) if view.id == owner_id()));

    let stranger = Caller::Credential { id: KeyId::parse("wafl_admin_Nobody000001").unwrap(), key_hash: hash(9) };
    assert!(unauthenticated(&world.refused(stranger, Command::Me)));
    let thief = Caller::Credential { id: owner_id(), key_hash: hash(8) };
    assert!(unauthenticated(&world.refused(thief, issue(1, live("crm")))));

    world.later(365 * DAY - 1);
    assert!(matches!(world.done(owner(), Command::Me), Outcome::Me(_)));
    world.later(1);
    assert!(unauthenticated(&world.refused(owner(), Command::Me)));

    world.now = NOW;
    world.store.connection.execute("UPDATE members SET revoked_at = 1", []).unwrap();
    assert!(unauthenticated(&world.refused(owner(), Command::Me)));
}

#[test]
fn a_data_key_does_not_authenticate_a_member() {
    let mut world = World::with_owner();
    let key = world.issue(1, live("crm"));
    let caller = Caller::Credential { id: key.id, key_hash: hash(9) };
    assert!(unauthenticated(&world.refused(caller, Command::Me)));
}

#[test]
fn a_member_limited_to_an_environment_neither_acts_nor_reads_elsewhere() {
    let mut world = World::with_owner();
    let elsewhere = world.issue(1, live("crm")).id;
    let here = world.issue(2, test("crm")).id;
    let absent = key_id(Environment::Live, 99);
    world.add_member(Role::Manager, Some(r#"["test"]"#));
    let member = || Caller::Credential { id: KeyId::parse("wafl_admin_0000manager8").unwrap(), key_hash: hash(7) };

    assert_eq!(world.refused(member(), issue(3, live("shop"))), Rejection::Forbidden);
    for id in [&elsewhere, &absent] {
        assert_eq!(world.refused(member(), show(id)), Rejection::NotFound);
        assert_eq!(world.refused(member(), revoke(id, "leaked")), Rejection::NotFound);
    }
    for (environment, expected) in [
        (None, vec![here.clone()]),
        (Some(Environment::Test), vec![here.clone()]),
        (Some(Environment::Live), Vec::new()),
    ] {
        let filter = KeyFilter { environment, ..KeyFilter::default() };
        let Outcome::Keys { items, next_cursor } = world.done(member(), list(filter, 50, None)) else {
            panic!("no list")
        };
        assert_eq!(items.into_iter().map(|key| key.id).collect::<Vec<_>>(), expected);
        assert_eq!(next_cursor, None);
    }
    assert!(matches!(world.done(member(), show(&here)), Outcome::Key(_)));
    assert!(matches!(world.done(member(), revoke(&here, "leaked")), Outcome::KeyRevoked { .. }));
    assert!(matches!(world.done(member(), issue(4, test("shop"))), Outcome::KeyIssued(_)));
}
