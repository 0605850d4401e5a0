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
fn the_bootstrap_token_makes_an_owner_while_none_is_active_and_only_then() {
    let mut world = World::empty();
    let authorise = || Command::Authorise { operation: Operation::Bootstrap };
    let another = |name: &str, email: &str| Command::Bootstrap {
        name: "Grace".to_owned(),
        email: email.to_owned(),
        credential: credential(member_id(name)),
    };
    assert!(matches!(world.done(Caller::Bootstrap, authorise()), Outcome::Authorised));
    let Outcome::MemberCreated(view) = world.done(Caller::Bootstrap, bootstrap()) else { panic!("no member") };
    assert_eq!((view.role.as_str(), view.environments), ("owner", None));
    assert_eq!(view.expires_at, "2027-11-23T14:02:03.004Z");
    for command in [bootstrap(), authorise(), another("second", "b@acme.example")] {
        assert_eq!(world.refused(Caller::Bootstrap, command), Rejection::AlreadyBootstrapped);
    }
    let limited = MemberDraft { environments: Some(vec![Environment::Test]), ..member(Role::Owner) };
    world.member(create("limited", limited));
    world.later(365 * DAY - 1);
    assert_eq!(world.refused(Caller::Bootstrap, authorise()), Rejection::AlreadyBootstrapped);

    // The credential has expired: the next owner may have the same address, and the old one is revoked.
    world.later(1);
    let Outcome::MemberCreated(_) = world.done(Caller::Bootstrap, another("second", "ADA@acme.example")) else {
        panic!("no member")
    };
    assert_eq!(world.last_entry().1, "bootstrap");
    let Outcome::Member(first) = world.done(caller("second"), Command::ShowMember { id: owner_id() }) else {
        panic!("no member")
    };
    assert_eq!(first.status, keyward_protocol::Status::Revoked);
    assert_eq!(world.refused(Caller::Bootstrap, another("third", "c@acme.example")), Rejection::AlreadyBootstrapped);
    // A member who can sign in keeps their address.
    world.done(
        caller("second"),
        create("active", MemberDraft { email: "d@acme.example".to_owned(), ..member(Role::Auditor) }),
    );
    world.store.connection.execute("UPDATE members SET revoked_at = 1 WHERE role = 'owner'", []).unwrap();
    assert_eq!(world.refused(Caller::Bootstrap, another("third", "d@acme.example")), Rejection::EmailTaken);
    world.done(Caller::Bootstrap, another("third", "c@acme.example"));
}

#[test]
fn a_retried_bootstrap_gets_the_first_owner_again() {
    let mut world = World::empty();
    let ask = |world: &mut World, attempt| world.attempt(Caller::Bootstrap, bootstrap(), Some(attempt)).unwrap();
    assert!(matches!(ask(&mut world, attempt("a")), Response::Done(Outcome::MemberCreated(_))));
    world.later(599);
    let again = ask(&mut world, attempt("a"));
    assert!(matches!(&again, Response::Done(Outcome::Replayed { nonce, .. }) if nonce == "nonce of a"), "{again:?}");
    let (actor, action, subject, _) = world.last_entry();
    assert_eq!((actor.as_str(), action.as_str(), subject), ("bootstrap", "key.shown_again", owner_id().to_string()));
    for other in [attempt("b"), keyward_protocol::Idempotency { body: "another".to_owned(), ..attempt("a") }] {
        assert!(matches!(ask(&mut world, other), Response::Refused(_)));
    }
    world.later(1);
    assert!(matches!(ask(&mut world, attempt("a")), Response::Refused(Rejection::AlreadyBootstrapped)));
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
