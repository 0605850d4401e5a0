//! Members limited to environments: objects elsewhere do not exist for them, and they cannot grant wider limits.

use keyward_key::id::{Environment, KeyId};
use keyward_protocol::role::Role;
use keyward_protocol::{Caller, Rejection, Status};
use keyward_testkit::registry_world::*;

const TEST: &str = r#"["test"]"#;

fn limit(environments: &[Environment]) -> Option<Vec<Environment>> {
    Some(environments.to_vec())
}

/// A draft with an e-mail address made from the name.
fn drafted(name: &str, role: Role, environments: Option<Vec<Environment>>) -> MemberDraft {
    MemberDraft { email: format!("{name}@acme.example"), environments, ..member(role) }
}

/// A world with key 1 in live and key 2 in test, and a member for each possible limit: `free`, `live`, `test`, `both`.
fn world_of_limits() -> World {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    world.issue(2, test("crm"));
    for (name, environments) in [
        ("free", None),
        ("live", limit(&[Environment::Live])),
        ("test", limit(&[Environment::Test])),
        ("both", limit(&[Environment::Live, Environment::Test])),
    ] {
        world.member(create(name, drafted(name, Role::Auditor, environments)));
    }
    world
}

/// Every command that names a key, with this id.
fn naming(id: &KeyId) -> [Command; 6] {
    let changes = |changes| Command::UpdateKey { id: id.clone(), changes: Box::new(changes) };
    let successor = KeyId::parse(&id.as_str().replace("_00", "_99")).unwrap();
    [
        show(id),
        revoke(id, "leaked"),
        changes(KeyChanges { name: Some("crm sync".to_owned()), ..KeyChanges::default() }),
        changes(KeyChanges { scopes: Some(vec![scope("nothing")]), ..KeyChanges::default() }),
        Command::RotateKey { id: id.clone(), overlap_seconds: 0, credential: credential(successor.clone()) },
        // Also invalid in itself.
        Command::RotateKey { id: id.clone(), overlap_seconds: u32::MAX, credential: credential(successor) },
    ]
}

/// Compares every response to a limited member in two worlds: the other environment has keys in every state, or no keys.
#[test]
fn a_limited_member_cannot_tell_a_key_elsewhere_from_none() {
    for role in Role::ALL {
        let mut with = World::with_owner();
        let mut without = World::with_owner();
        let callers = [with.add_member(role, Some(TEST)), without.add_member(role, Some(TEST))];
        let member = callers[0].clone();
        for number in 1..=4 {
            with.issue(number, live(&format!("i-{number}")));
        }
        with.revoke(&key_id(Environment::Live, 2), "leaked");
        with.rotate(3, 5, 3600);
        with.rotate(4, 6, 0);
        for number in 1..=7 {
            for (one, other) in
                naming(&key_id(Environment::Live, number)).into_iter().zip(naming(&key_id(Environment::Live, number)))
            {
                let case = format!("{role:?} {one:?}");
                let (seen, absent) = (with.refused(member.clone(), one), without.refused(member.clone(), other));
                assert_eq!(seen, absent, "{case}");
                assert!(matches!(seen, Rejection::NotFound | Rejection::Forbidden), "{case}: {seen:?}");
            }
        }
        for environment in [None, Some(Environment::Live), Some(Environment::Test)] {
            for status in [None, Some(Status::Active), Some(Status::Revoked), Some(Status::Retiring)] {
                let listed = |world: &mut World| {
                    let filter = KeyFilter { environment, status, ..KeyFilter::default() };
                    format!("{:?}", world.ask(member.clone(), list(filter, 1, None)).unwrap())
                };
                assert_eq!(listed(&mut with), listed(&mut without));
            }
        }
        // Names and integrations elsewhere do not conflict.
        for command in [|| issue(8, test("i-1")), || issue(9, live("i-1"))] {
            let response = |world: &mut World| {
                let answer = format!("{:?}", world.ask(member.clone(), command()).unwrap());
                // The revision counts changes in every environment.
                answer.split("revision").next().unwrap().to_owned()
            };
            assert_eq!(response(&mut with), response(&mut without), "{role:?}");
        }
        for world in [&mut with, &mut without] {
            for operation in [Operation::ReadAudit, Operation::AuditCheckpoint, Operation::AuditKey] {
                assert_eq!(world.refused(member.clone(), command_for(operation)), Rejection::Forbidden);
                assert_eq!(world.refused(member.clone(), Command::Authorise { operation }), Rejection::Forbidden);
            }
        }
    }
}

#[test]
fn a_limited_owner_sees_exactly_the_members_within_their_limit() {
    for (limited, seen) in [
        (vec![Environment::Test], vec!["test"]),
        (vec![Environment::Live], vec!["live"]),
        (vec![Environment::Live, Environment::Test], vec!["both", "test", "live"]),
    ] {
        let mut world = world_of_limits();
        world.member(create("me", drafted("me", Role::Owner, Some(limited))));
        let Outcome::Members { items, next_cursor } =
            world.done(caller("me"), Command::ListMembers { limit: 50, cursor: None })
        else {
            panic!("no list")
        };
        let mut expected = vec![member_id("me")];
        expected.extend(seen.iter().map(|name| member_id(name)));
        assert_eq!(items.into_iter().map(|member| member.id).collect::<Vec<_>>(), expected);
        assert_eq!(next_cursor, None);
        for name in ["free", "live", "test", "both", "nobody"] {
            let commands = || {
                [
                    Command::ShowMember { id: member_id(name) },
                    update_member(member_id(name), MemberChanges { name: Some("x".to_owned()), ..changes() }),
                    rotate_member(member_id(name), 8),
                    revoke_member(member_id(name)),
                ]
            };
            for command in commands() {
                if seen.contains(&name) {
                    world.done(caller("me"), command);
                } else {
                    assert_eq!(world.refused(caller("me"), command), Rejection::NotFound, "{name}");
                }
            }
        }
        assert_eq!(
            world.refused(caller("me"), Command::ShowMember { id: owner_id() }),
            Rejection::NotFound,
            "an owner without a limit"
        );
    }
}

fn changes() -> MemberChanges {
    MemberChanges::default()
}

#[test]
fn nobody_grants_a_wider_limit_than_their_own() {
    let mut world = world_of_limits();
    world.member(create("me", drafted("me", Role::Owner, limit(&[Environment::Test]))));
    let both = || vec![Environment::Live, Environment::Test];
    for wider in [None, limit(&[Environment::Live]), Some(both())] {
        let draft = drafted("new", Role::Verifier, wider);
        assert_eq!(world.refused(caller("me"), create("new", draft)), Rejection::Forbidden);
    }
    for wider in [Limit::Everywhere, Limit::Only(vec![Environment::Live]), Limit::Only(both())] {
        for name in ["me", "test"] {
            let change = MemberChanges { environments: Some(wider.clone()), ..changes() };
            assert_eq!(world.refused(caller("me"), update_member(member_id(name), change)), Rejection::Forbidden);
        }
    }
    world.done(caller("me"), create("new", drafted("new", Role::Owner, limit(&[Environment::Test]))));
    let change = MemberChanges { role: Some(Role::Owner), ..changes() };
    world.done(caller("me"), update_member(member_id("test"), change));
}

#[test]
fn a_narrowed_limit_also_applies_to_a_retry() {
    let mut world = World::with_owner();
    let member = world.add_member(Role::Manager, None);
    world.attempt(member.clone(), issue(1, live("crm")), Some(attempt("a"))).unwrap();
    world.attempt(member.clone(), rotate(1, 2, 60), Some(attempt("b"))).unwrap();
    let change = MemberChanges { environments: Some(Limit::Only(vec![Environment::Test])), ..changes() };
    world.member(update_member(member_id("manager0"), change));
    world.idempotency = Some(attempt("a"));
    assert_eq!(world.refused(member.clone(), issue(1, live("crm"))), Rejection::Forbidden);
    world.idempotency = Some(attempt("b"));
    assert_eq!(world.refused(member, rotate(1, 2, 60)), Rejection::NotFound);
}

#[test]
fn a_member_signed_in_by_access_has_the_same_limit() {
    let mut world = World::with_owner();
    let id = world.issue(1, live("crm")).id;
    world.member(create("me", drafted("me", Role::Manager, limit(&[Environment::Test]))));
    let access = || Caller::Access { email: "me@acme.example".to_owned() };
    for command in naming(&id) {
        assert_eq!(world.refused(access(), command), Rejection::NotFound);
    }
}
