//! Members: creation, changes, rotation, revocation, lists, and the last owner.

use keyward_key::id::{Environment, KeyId};
use keyward_protocol::role::Role;
use keyward_protocol::{Caller, MemberView, Rejection, Status};
use keyward_testkit::registry_world::*;
use serde_json::json;

fn changes() -> MemberChanges {
    MemberChanges::default()
}

fn demoted() -> MemberChanges {
    MemberChanges { role: Some(Role::Auditor), ..changes() }
}

fn limited() -> MemberChanges {
    MemberChanges { environments: Some(Limit::Only(vec![Environment::Test])), ..changes() }
}

fn emailed(role: Role, email: &str) -> MemberDraft {
    MemberDraft { email: email.to_owned(), ..member(role) }
}

fn field(refused: Rejection) -> String {
    match refused {
        Rejection::Invalid { field, .. } => field,
        other => panic!("{other:?}"),
    }
}

fn unauthenticated(refused: &Rejection) -> bool {
    matches!(refused, Rejection::Unauthenticated { .. })
}

fn access(email: &str) -> Caller {
    Caller::Access { email: email.to_owned() }
}

fn page(world: &mut World, limit: u32, cursor: Option<String>) -> (Vec<MemberView>, Option<String>) {
    match world.done(owner(), Command::ListMembers { limit, cursor }) {
        Outcome::Members { items, next_cursor } => (items, next_cursor),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_member_has_the_drafted_fields_and_can_sign_in() {
    let mut world = World::with_owner();
    let draft = MemberDraft {
        name: "Grace".to_owned(),
        environments: Some(vec![Environment::Test, Environment::Live, Environment::Test]),
        expires_in_days: Some(30),
        ..member(Role::Manager)
    };
    let view = serde_json::to_value(world.member(create("grace", draft))).unwrap();
    assert_eq!(
        view,
        json!({
            "id": "wafl_admin_0000000grace", "name": "Grace", "email": "a@acme.example", "role": "manager",
            "environments": ["live", "test"], "status": "active", "created_at": "2026-11-23T14:02:03.004Z",
            "created_by": "wafl_admin_Owner0000001", "expires_at": "2026-12-23T14:02:03.004Z", "revoked_at": null,
            "revision": 2,
        })
    );
    let (_, action, subject, detail) = world.last_entry();
    assert_eq!((action.as_str(), subject.as_str()), ("member.create", "wafl_admin_0000000grace"));
    assert_eq!(detail, json!({"member": view}));
    let Outcome::Me(me) = world.done(caller("grace"), Command::Me) else { panic!("not signed in") };
    assert_eq!(serde_json::to_value(me).unwrap(), view);
    world.later(30 * DAY);
    assert!(unauthenticated(&world.refused(caller("grace"), Command::Me)));
}

#[test]
fn an_invalid_draft_is_refused_with_its_field() {
    let mut world = World::with_owner();
    for days in [0, 366, u32::MAX] {
        let draft = MemberDraft { expires_in_days: Some(days), ..member(Role::Owner) };
        assert_eq!(field(world.refused(owner(), create("new", draft))), "expires_in_days");
    }
    let nowhere = MemberDraft { environments: Some(Vec::new()), ..member(Role::Owner) };
    assert_eq!(field(world.refused(owner(), create("new", nowhere))), "environments");
    world.policy.max_member_days = 10;
    assert_eq!(world.member(create("new", member(Role::Owner))).expires_at, NOW.plus_seconds(10 * DAY).rfc3339());
    assert_eq!(world.refused(owner(), create("new", emailed(Role::Owner, "b@acme.example"))), Rejection::IdTaken);
}

#[test]
fn an_email_address_is_unique_in_any_case_until_its_member_is_revoked() {
    let mut world = World::with_owner();
    world.member(create("one", emailed(Role::Auditor, "One@acme.example")));
    let twin = || create("two", emailed(Role::Auditor, "oNE@ACME.example"));
    assert_eq!(world.refused(owner(), twin()), Rejection::EmailTaken);
    world.member(create("three", emailed(Role::Auditor, "öne@acme.example")));
    let change = |email: &str| MemberChanges { email: Some(email.to_owned()), ..changes() };
    assert_eq!(
        world.refused(owner(), update_member(member_id("three"), change("ONE@acme.example"))),
        Rejection::EmailTaken
    );
    // A member may change the case of their own address.
    world.member(update_member(member_id("one"), change("one@acme.example")));
    assert_eq!(
        world.last_entry().3,
        json!({"before": {"email": "One@acme.example"}, "after": {"email": "one@acme.example"}})
    );
    // A member with an expired credential still has their address.
    world.later(364 * DAY);
    world.member(rotate_member(owner_id(), 9));
    world.later(DAY);
    assert_eq!(world.refused(owner(), twin()), Rejection::EmailTaken);
    world.member(revoke_member(member_id("one")));
    world.member(twin());
}

#[test]
fn a_member_change_is_logged_and_applies_to_the_next_request() {
    let mut world = furnished();
    world.later(60);
    let view = world.member(update_member(
        member_id("other"),
        MemberChanges {
            name: Some("Grace".to_owned()),
            role: Some(Role::Manager),
            environments: Some(Limit::Only(vec![Environment::Test, Environment::Live])),
            expires_in_days: Some(1),
            ..changes()
        },
    ));
    assert_eq!(view.revision, 4);
    let (_, action, subject, detail) = world.last_entry();
    assert_eq!((action.as_str(), subject.as_str()), ("member.update", member_id("other").as_str()));
    assert_eq!(
        detail,
        json!({
            "before": {"name": "A name", "role": "auditor", "environments": null,
                       "expires_at": "2027-11-23T14:02:03.004Z"},
            "after": {"name": "Grace", "role": "manager", "environments": ["live", "test"],
                      "expires_at": "2026-11-24T14:03:03.004Z"},
        })
    );
    world.done(caller("other"), issue(2, live("shop")));
    let before = world.store.dump();
    let same = MemberChanges { name: Some("Grace".to_owned()), role: Some(Role::Manager), ..changes() };
    for unchanged in [changes(), same] {
        assert_eq!(world.member(update_member(member_id("other"), unchanged)).revision, 4);
    }
    assert_eq!(world.store.dump(), before);
    world.member(update_member(
        member_id("other"),
        MemberChanges { environments: Some(Limit::Everywhere), ..changes() },
    ));
    world.later(DAY);
    assert!(unauthenticated(&world.refused(caller("other"), Command::Me)));
}

#[test]
fn a_revoked_member_cannot_be_changed_and_an_expired_credential_not_prolonged() {
    let mut world = furnished();
    let named = || MemberChanges { name: Some("Grace".to_owned()), ..changes() };
    let longer = || MemberChanges { expires_in_days: Some(30), ..changes() };
    world.member(update_member(member_id("other"), MemberChanges { expires_in_days: Some(1), ..changes() }));
    world.later(DAY);
    assert_eq!(
        world.refused(owner(), update_member(member_id("other"), longer())),
        Rejection::NotActive { status: Status::Expired }
    );
    assert_eq!(world.member(update_member(member_id("other"), named())).status, Status::Expired);
    world.member(revoke_member(member_id("other")));
    for change in [named(), longer(), changes()] {
        assert_eq!(
            world.refused(owner(), update_member(member_id("other"), change)),
            Rejection::NotActive { status: Status::Revoked }
        );
    }
    assert_eq!(world.refused(owner(), update_member(member_id("nobody"), named())), Rejection::NotFound);
}

#[test]
fn a_revoked_members_credential_is_refused_at_once_and_the_first_revocation_is_final() {
    let mut world = furnished();
    world.done(caller("other"), Command::Me);
    world.later(60);
    let first = serde_json::to_value(world.member(revoke_member(member_id("other")))).unwrap();
    assert_eq!(first["revoked_at"], world.now.rfc3339());
    let (_, action, _, detail) = world.last_entry();
    assert_eq!((action.as_str(), &detail), ("member.revoke", &json!({"member": first})));
    assert!(unauthenticated(&world.refused(caller("other"), Command::Me)));
    assert!(unauthenticated(&world.refused(access("other@acme.example"), Command::Me)));

    let before = world.store.dump();
    world.later(60);
    assert_eq!(serde_json::to_value(world.member(revoke_member(member_id("other")))).unwrap(), first);
    assert_eq!(world.store.dump(), before);
    assert_eq!(
        world.refused(owner(), rotate_member(member_id("other"), 8)),
        Rejection::NotActive { status: Status::Revoked }
    );
    assert_eq!(world.refused(owner(), revoke_member(member_id("nobody"))), Rejection::NotFound);
}

#[test]
fn a_rotated_members_old_credential_is_refused_at_once_and_the_new_one_has_the_same_lifetime() {
    let mut world = World::with_owner();
    world.member(create("other", MemberDraft { expires_in_days: Some(30), ..member(Role::Auditor) }));
    world.later(20 * DAY);
    let view = world.member(rotate_member(member_id("other"), 8));
    assert_eq!((&view.id, view.status), (&member_id("other"), Status::Active));
    assert_eq!(view.created_at, NOW.rfc3339());
    assert_eq!(view.expires_at, world.now.plus_seconds(30 * DAY).rfc3339());
    let (_, action, _, detail) = world.last_entry();
    assert_eq!((action.as_str(), detail), ("member.rotate", json!({"member": view})));

    let renewed = Caller::Credential { id: member_id("other"), key_hash: hash(8) };
    assert!(unauthenticated(&world.refused(caller("other"), Command::Me)));
    world.done(renewed.clone(), Command::Me);
    // Rotation also renews an expired credential, for its last requested lifetime, within the limit.
    world.member(update_member(member_id("other"), MemberChanges { expires_in_days: Some(10), ..changes() }));
    world.later(10 * DAY);
    assert!(unauthenticated(&world.refused(renewed, Command::Me)));
    let view = world.member(rotate_member(member_id("other"), 9));
    assert_eq!(view.expires_at, world.now.plus_seconds(10 * DAY).rfc3339());
    world.policy.max_member_days = 5;
    let view = world.member(rotate_member(member_id("other"), 9));
    assert_eq!(view.expires_at, world.now.plus_seconds(5 * DAY).rfc3339());

    let before = world.store.dump();
    let anothers = Command::RotateMember { id: member_id("other"), credential: credential(owner_id()) };
    assert!(world.ask(owner(), anothers).is_err());
    assert_eq!(world.store.dump(), before);
    assert_eq!(world.refused(owner(), rotate_member(member_id("nobody"), 8)), Rejection::NotFound);
}

#[test]
fn the_last_active_owner_without_a_limit_cannot_be_removed() {
    let mut world = World::with_owner();
    let limited_owner = MemberDraft { environments: Some(vec![Environment::Live]), ..member(Role::Owner) };
    world.member(create("limited", limited_owner));
    let short = MemberDraft { expires_in_days: Some(1), ..emailed(Role::Owner, "short@acme.example") };
    world.member(create("short", short));
    world.member(create("gone", emailed(Role::Owner, "gone@acme.example")));
    world.member(revoke_member(member_id("gone")));
    world.later(DAY);
    // Of four owners, one is limited, one has expired and one is revoked.
    let everyway =
        || [update_member(owner_id(), demoted()), update_member(owner_id(), limited()), revoke_member(owner_id())];
    for command in everyway() {
        assert_eq!(world.refused(owner(), command), Rejection::LastOwner);
    }
    // Changes that keep them an unlimited owner are allowed.
    world.member(update_member(owner_id(), MemberChanges { expires_in_days: Some(5), ..changes() }));
    world.member(rotate_member(owner_id(), 9));
    // An owner who cannot sign in may be removed.
    world.member(update_member(member_id("short"), demoted()));
    world.member(revoke_member(member_id("short")));

    for (number, command) in everyway().into_iter().enumerate() {
        let mut world = World::with_owner();
        world.member(create("second", member(Role::Owner)));
        world.member(command);
        let refused = world.refused(caller("second"), revoke_member(member_id("second")));
        assert_eq!(refused, Rejection::LastOwner, "{number}");
    }
}

#[test]
fn access_signs_in_the_only_active_member_with_that_address() {
    let mut world = furnished();
    assert!(
        matches!(world.done(access("OTHER@acme.example"), Command::Me), Outcome::Me(me) if me.id == member_id("other"))
    );
    for email in ["nobody@acme.example", "", "%", "other@acme.example ", "öther@acme.example"] {
        assert!(unauthenticated(&world.refused(access(email), Command::Me)), "{email}");
    }
    assert_eq!(world.refused(access("other@acme.example"), issue(2, live("shop"))), Rejection::Forbidden);
    // No operation creates two members with one address. If two exist nevertheless, neither is signed in.
    world.store.connection.execute("UPDATE members SET email = 'x@acme.example'", []).unwrap();
    assert!(unauthenticated(&world.refused(access("x@acme.example"), Command::Me)));
    world.store.connection.execute("UPDATE members SET revoked_at = 1 WHERE name = 'Ada'", []).unwrap();
    world.done(access("x@acme.example"), Command::Me);
    world.later(365 * DAY);
    assert!(unauthenticated(&world.refused(access("x@acme.example"), Command::Me)));
}

#[test]
fn pages_of_members_join_to_the_whole_list_while_members_are_created() {
    let mut world = World::with_owner();
    let mut number = 0;
    let mut another = |world: &mut World| {
        number += 1;
        world.member(create(&format!("m{number}"), emailed(Role::Auditor, &format!("m{number}@acme.example")))).id
    };
    for _ in 0..7 {
        another(&mut world);
    }
    for limit in [1, 2, 3, 7, 8, 200] {
        let ids = |items: Vec<MemberView>| items.into_iter().map(|member| member.id).collect::<Vec<KeyId>>();
        let whole = ids(page(&mut world, 200, None).0);
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let (items, next) = page(&mut world, limit, cursor);
            seen.extend(ids(items));
            another(&mut world);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, whole, "{limit}");
        assert_eq!(seen.last(), Some(&owner_id()));
    }
    for limit in [0, 201] {
        assert_eq!(field(world.refused(owner(), Command::ListMembers { limit, cursor: None })), "limit");
    }
    let wrong = Command::ListMembers { limit: 1, cursor: Some("MA".to_owned()) };
    assert_eq!(field(world.refused(owner(), wrong)), "cursor");
}

fn with_secret(byte: u8) -> Caller {
    Caller::Credential { id: owner_id(), key_hash: hash(byte) }
}

#[test]
fn ones_own_old_credential_works_until_the_new_one_is_first_used() {
    let mut world = World::with_owner();
    world.done(owner(), rotate_member(owner_id(), 8));
    let detail = world.last_entry().3;
    assert_eq!(detail["old_credential_until"], world.now.plus_seconds(600).rfc3339());
    for _ in 0..2 {
        world.done(owner(), Command::Me);
    }
    assert!(unauthenticated(&world.refused(with_secret(7), Command::Me)));
    world.done(with_secret(8), Command::Me);
    assert!(unauthenticated(&world.refused(owner(), Command::Me)));
    world.done(with_secret(8), Command::Me);
}

#[test]
fn ones_own_old_credential_ends_after_ten_minutes_and_never_after_its_own_end() {
    for (age, works) in [(0, true), (599_999, true), (600_000, false)] {
        let mut world = World::with_owner();
        world.done(owner(), rotate_member(owner_id(), 8));
        world.now = keyward_key::time::Millis(NOW.0 + age);
        match world.ask(owner(), Command::Me).unwrap() {
            Response::Done(_) => assert!(works, "{age}"),
            Response::Refused(refused) => assert!(!works && unauthenticated(&refused), "{age}"),
        }
    }
    let mut world = World::with_owner();
    world.later(365 * DAY - 60);
    world.done(owner(), rotate_member(owner_id(), 8));
    world.later(60);
    assert!(unauthenticated(&world.refused(owner(), Command::Me)));
    world.done(with_secret(8), Command::Me);
}

#[test]
fn a_lost_answer_to_rotating_ones_own_credential_is_given_again() {
    let mut world = World::with_owner();
    let rotate =
        |world: &mut World, byte| world.attempt(owner(), rotate_member(owner_id(), byte), Some(attempt("a"))).unwrap();
    assert!(matches!(rotate(&mut world, 8), Response::Done(Outcome::MemberRotated(_))));
    assert!(matches!(rotate(&mut world, 7), Response::Done(Outcome::Replayed { .. })));
    world.done(with_secret(8), Command::Me);

    // Without the header the member rotates once more with what they have.
    let mut world = World::with_owner();
    world.done(owner(), rotate_member(owner_id(), 8));
    world.done(owner(), rotate_member(owner_id(), 7));
    assert!(unauthenticated(&world.refused(with_secret(8), Command::Me)));
    world.done(owner(), Command::Me);
    world.done(with_secret(7), Command::Me);
    assert!(unauthenticated(&world.refused(owner(), Command::Me)));
    // The new credential rotates: then it is the one that hands over.
    world.done(with_secret(7), rotate_member(owner_id(), 6));
    world.done(with_secret(7), Command::Me);
    world.done(with_secret(6), Command::Me);
    assert!(unauthenticated(&world.refused(with_secret(7), Command::Me)));
}

/// A rotation through Access presents no credential, so nothing has ended the handover before.
#[test]
fn a_credential_whose_time_is_over_does_not_come_back_at_the_next_rotation() {
    let mut world = World::with_owner();
    let by_access = || Caller::Access { email: "ada@acme.example".to_owned() };
    world.done(by_access(), rotate_member(owner_id(), 8));
    world.later(600);
    assert!(unauthenticated(&world.refused(owner(), Command::Me)));
    world.done(by_access(), rotate_member(owner_id(), 7));
    assert!(unauthenticated(&world.refused(owner(), Command::Me)));
    world.done(with_secret(8), Command::Me);
    world.done(with_secret(7), Command::Me);
    assert!(unauthenticated(&world.refused(with_secret(8), Command::Me)));
}

#[test]
fn a_credential_that_another_owner_replaces_is_refused_at_once() {
    let mut world = World::with_owner();
    world.member(create("second", member(Role::Owner)));
    world.done(owner(), rotate_member(owner_id(), 8));
    world.done(caller("second"), rotate_member(owner_id(), 7));
    for byte in [9, 8] {
        assert!(unauthenticated(&world.refused(with_secret(byte), Command::Me)));
    }
    world.done(with_secret(7), rotate_member(owner_id(), 6));
    world.done(caller("second"), revoke_member(owner_id()));
    for byte in [7, 6] {
        assert!(unauthenticated(&world.refused(with_secret(byte), Command::Me)));
    }
}

#[test]
fn an_owner_without_a_limit_takes_an_address_over_that_a_limited_owner_registered() {
    let mut world = World::with_owner();
    let limited = || Some(vec![Environment::Test]);
    world.member(create("limited", MemberDraft { environments: limited(), ..member(Role::Owner) }));
    let squatter = MemberDraft { environments: limited(), ..emailed(Role::Auditor, "ceo@acme.example") };
    world.done(caller("limited"), create("squatter", squatter.clone()));
    assert_eq!(world.refused(caller("limited"), create("twin", squatter)), Rejection::EmailTaken);
    let size = keyward_registry::audit::head(&mut world.store).unwrap().seq;
    world.member(create("ceo", emailed(Role::Owner, "CEO@acme.example")));
    let entries = keyward_registry::audit::audit_after(&mut world.store, size, 10).unwrap();
    let told: Vec<_> = entries.iter().map(|entry| (entry.action.as_str(), entry.subject.as_str())).collect();
    assert_eq!(told, [("member.revoke", member_id("squatter").as_str()), ("member.create", member_id("ceo").as_str())]);
    assert_eq!(entries[0].detail["reason"], "Their e-mail address was taken over");
    assert!(unauthenticated(&world.refused(caller("squatter"), Command::Me)));

    // By a change of a member too, and also when only the address was a limited owner's.
    let moved = |email: &str| MemberChanges { email: Some(email.to_owned()), ..changes() };
    let second = MemberDraft { environments: limited(), ..emailed(Role::Auditor, "old@acme.example") };
    world.member(create("second", second));
    world.done(caller("limited"), update_member(member_id("second"), moved("cfo@acme.example")));
    world.member(update_member(member_id("ceo"), moved("cfo@acme.example")));
    assert!(unauthenticated(&world.refused(caller("second"), Command::Me)));

    // Whom an owner without a limit has registered or changed since, keeps their address; and nobody revokes themselves.
    let third = MemberDraft { environments: limited(), ..emailed(Role::Auditor, "third@acme.example") };
    world.done(caller("limited"), create("third", third));
    world.member(update_member(member_id("third"), MemberChanges { name: Some("Mia".to_owned()), ..changes() }));
    for email in ["third@acme.example", "cfo@acme.example", "a@acme.example"] {
        assert_eq!(world.refused(owner(), create("new", emailed(Role::Auditor, email))), Rejection::EmailTaken);
    }
}
