//! Sessions of the console in the registry: their ends, their bounds, and what a session alone does not suffice for.

use keyward_control::authority::apply;
use keyward_key::hash::KeyHash;
use keyward_key::id::KeyId;
use keyward_protocol::role::Role;
use keyward_protocol::{Caller, Confirmation, Rejection, RequestMeta, Response as RawResponse};
use keyward_registry::sessions::{IDLE_SECONDS, LONGEST_SECONDS, SESSIONS_PER_MEMBER};
use keyward_testkit::registry_world::*;
use serde_json::{Value as Json, json};

fn session(byte: u8) -> Caller {
    Caller::Session { token_hash: hash(byte), background: false }
}

/// Sends an operation with a command in JSON.
fn ask(world: &mut World, caller: Caller, operation: Operation, command: &Json) -> RawResponse {
    confirmed(world, caller, operation, command, None)
}

fn confirmed(
    world: &mut World,
    caller: Caller,
    operation: Operation,
    command: &Json,
    confirmation: Option<Confirmation>,
) -> RawResponse {
    let request = RequestMeta { request_id: "req-1".to_owned(), client_address: Some("192.0.2.7".to_owned()) };
    let command = serde_json::value::to_raw_value(command).unwrap();
    let control = keyward_protocol::ControlRequest {
        confirmation,
        ..keyward_control::serve::control_request(operation, caller, request, Some(command))
    };
    apply(&mut world.store, &control, &world.policy, world.now).unwrap()
}

pub fn sign_in(world: &mut World, caller: Caller, byte: u8) -> Json {
    match ask(world, caller, Operation::StartSession, &json!({"token_hash": hash(byte)})) {
        RawResponse::Done(outcome) => serde_json::from_str::<Json>(outcome.get()).unwrap()["session"].take(),
        other => panic!("{other:?}"),
    }
}

/// Whether a session reads who it belongs to.
fn works(world: &mut World, byte: u8) -> bool {
    match world.ask(session(byte), Command::Me).unwrap() {
        Response::Done(Outcome::Me(_)) => true,
        Response::Refused(Rejection::Unauthenticated { is_final: true, .. }) => false,
        other => panic!("{other:?}"),
    }
}

fn rows(world: &World) -> u32 {
    world.store.connection.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_session_signs_its_member_in_and_has_two_audit_entries() {
    let mut world = World::with_owner();
    let shown = sign_in(&mut world, owner(), 1);
    assert_eq!(shown["member"]["id"], owner_id().as_str());
    assert_eq!(
        (&shown["latest_expires_at"], &shown["expires_at"]),
        (&json!("2026-11-23T22:02:03.004Z"), &json!("2026-11-23T14:17:03.004Z"))
    );
    let name = json!({"session": "0101010101010101"});
    let entry = |action: &str| (owner_id().to_string(), action.to_owned(), owner_id().to_string(), name.clone());
    assert_eq!(world.last_entry(), entry("session.start"));
    assert!(matches!(world.ask(session(1), issue(1, live("crm"))).unwrap(), Response::Done(_)));
    assert_eq!(world.last_entry().0, owner_id().to_string());
    assert!(matches!(ask(&mut world, session(1), Operation::EndSession, &json!({})), RawResponse::Done(_)));
    assert_eq!(world.last_entry(), entry("session.end"));
    assert!(!works(&mut world, 1), "a token that is sent again after sign-out");
    assert_eq!(rows(&world), 0);
}

#[test]
fn a_session_ends_after_fifteen_idle_minutes_and_after_eight_hours() {
    let mut world = World::with_owner();
    sign_in(&mut world, owner(), 1);
    world.later(IDLE_SECONDS - 1);
    assert!(works(&mut world, 1));
    world.later(IDLE_SECONDS);
    assert!(!works(&mut world, 1));

    sign_in(&mut world, owner(), 2);
    let begun = world.now;
    for _ in 0..(LONGEST_SECONDS / 600 - 1) {
        world.later(600);
        assert!(works(&mut world, 2));
    }
    world.now = begun.plus_seconds(LONGEST_SECONDS - 1);
    assert!(works(&mut world, 2));
    world.later(1);
    assert!(!works(&mut world, 2), "whatever it was used for meanwhile");
}

#[test]
fn a_request_writes_at_most_once_a_minute_and_one_in_the_background_never() {
    let mut world = World::with_owner();
    sign_in(&mut world, owner(), 1);
    let unchanged = |world: &mut World, caller: Caller| {
        let before = world.store.dump();
        world.done(caller, Command::Me);
        before == world.store.dump()
    };
    world.later(59);
    assert!(unchanged(&mut world, session(1)));
    world.later(1);
    let background = || Caller::Session { token_hash: hash(1), background: true };
    assert!(unchanged(&mut world, background()));
    assert!(!unchanged(&mut world, session(1)));
    assert!(unchanged(&mut world, session(1)));
    world.later(IDLE_SECONDS - 1);
    assert!(unchanged(&mut world, background()));
    world.later(1);
    assert!(!works(&mut world, 1), "a page that refreshes itself keeps nobody signed in");
}

#[test]
fn a_session_ends_with_its_member() {
    let start = || {
        let mut world = furnished();
        let member = world.add_member(Role::Manager, None);
        sign_in(&mut world, member, 1);
        assert!(works(&mut world, 1));
        world
    };
    let id = || member_id("manager0");
    let mut world = start();
    world.member(revoke_member(id()));
    assert!(!works(&mut world, 1), "revoked");
    let mut world = start();
    world.member(rotate_member(id(), 8));
    assert!(!works(&mut world, 1), "another owner replaced the credential");
    let mut world = start();
    world
        .store
        .connection
        .execute("UPDATE members SET expires_at = ? WHERE id = ?", (world.now.0, id().as_str()))
        .unwrap();
    assert!(!works(&mut world, 1), "the credential has expired");
    let mut world = start();
    world.member(update_member(id(), MemberChanges { role: Some(Role::Auditor), ..MemberChanges::default() }));
    assert_eq!(world.refused(session(1), issue(2, live("shop"))), Rejection::Forbidden, "a changed role holds at once");
}

#[test]
fn a_session_never_outlives_the_credential() {
    let mut world = furnished();
    let member = world.add_member(Role::Manager, None);
    world.later(DAY - 600);
    let shown = sign_in(&mut world, member, 1);
    assert_eq!(shown["latest_expires_at"], world.now.plus_seconds(600).rfc3339());
}

#[test]
fn ones_own_rotation_ends_the_session_with_the_first_use_of_the_new_credential() {
    let own = |world: &mut World| {
        let confirmation = Confirmation { id: owner_id(), key_hash: hash(9) };
        let command = serde_json::value::to_raw_value(&json!({"id": owner_id()})).unwrap();
        let request = RequestMeta { request_id: "req-1".to_owned(), client_address: None };
        let control = keyward_protocol::ControlRequest {
            confirmation: Some(confirmation),
            credential: Some(keyward_protocol::NewCredential { key_hash: hash(8), ..credential(owner_id()) }),
            ..keyward_control::serve::control_request(Operation::RotateMember, session(1), request, Some(command))
        };
        apply(&mut world.store, &control, &world.policy, world.now).unwrap()
    };
    let renewed = || Caller::Credential { id: owner_id(), key_hash: hash(8) };
    let mut world = World::with_owner();
    sign_in(&mut world, owner(), 1);
    assert!(matches!(own(&mut world), RawResponse::Done(_)));
    assert!(works(&mut world, 1), "as long as the old credential works");
    sign_in(&mut world, renewed(), 2);
    assert!(!works(&mut world, 1));
    assert!(works(&mut world, 2));
    let mut world = World::with_owner();
    sign_in(&mut world, owner(), 1);
    own(&mut world);
    world.later(600);
    assert!(!works(&mut world, 1), "ten minutes at most");
}

#[test]
fn a_session_alone_makes_and_rotates_no_credential_of_a_member() {
    let mut world = furnished();
    world.add_member(Role::Owner, None);
    sign_in(&mut world, owner(), 1);
    let draft = json!({"name": "M", "email": "m@acme.example", "role": "manager", "environments": null, "expires_in_days": null});
    let create = |world: &mut World, caller: Caller, confirmation: Option<Confirmation>| {
        let command = serde_json::value::to_raw_value(&draft).unwrap();
        let request = RequestMeta { request_id: "req-1".to_owned(), client_address: None };
        let control = keyward_protocol::ControlRequest {
            confirmation,
            credential: Some(credential(member_id("m"))),
            ..keyward_control::serve::control_request(Operation::CreateMember, caller, request, Some(command))
        };
        apply(&mut world.store, &control, &world.policy, world.now).unwrap()
    };
    let shown = |id: KeyId, key_hash: KeyHash| Some(Confirmation { id, key_hash });
    for wrong in
        [None, shown(owner_id(), hash(8)), shown(member_id("owner0"), hash(7)), shown(member_id("owner0"), hash(9))]
    {
        let before = world.store.dump();
        let answer = create(&mut world, session(1), wrong);
        assert!(matches!(answer, RawResponse::Refused(Rejection::ConfirmationRequired)), "{answer:?}");
        assert_eq!(world.store.dump(), before);
    }
    assert_eq!(world.refused(session(1), rotate_member(member_id("other"), 8)), Rejection::ConfirmationRequired);
    assert!(matches!(create(&mut world, session(1), shown(owner_id(), hash(9))), RawResponse::Done(_)));
    assert!(
        matches!(world.ask(session(1), revoke_member(member_id("other"))).unwrap(), Response::Done(_)),
        "not for this"
    );
}

#[test]
fn only_a_credential_begins_a_session() {
    let mut world = World::with_owner();
    sign_in(&mut world, owner(), 1);
    let begin = json!({"token_hash": hash(2)});
    let by_session = ask(&mut world, session(1), Operation::StartSession, &begin);
    assert!(matches!(by_session, RawResponse::Refused(Rejection::Forbidden)), "{by_session:?}");
    let before = world.store.dump();
    let access = Caller::Access { email: "ada@acme.example".to_owned() };
    let RawResponse::Done(outcome) = ask(&mut world, access, Operation::StartSession, &begin) else {
        panic!("refused")
    };
    let outcome: Json = serde_json::from_str(outcome.get()).unwrap();
    assert_eq!((&outcome["started"], &outcome["session"]["expires_at"]), (&json!(false), &Json::Null));
    assert_eq!(world.store.dump(), before, "Access signs in each request, and needs no session");
}

#[test]
fn a_member_has_ten_sessions_and_the_next_one_ends_the_one_idle_for_longest() {
    let mut world = furnished();
    let other = world.add_member(Role::Auditor, None);
    sign_in(&mut world, other, 200);
    for byte in 0..20 {
        world.later(61);
        sign_in(&mut world, owner(), byte);
        assert!(works(&mut world, 0), "in use all the time");
    }
    assert_eq!(rows(&world), SESSIONS_PER_MEMBER + 1);
    let working: Vec<u8> = (0..20).filter(|byte| works(&mut world, *byte)).collect();
    assert_eq!(working, [0, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
    world.later(LONGEST_SECONDS);
    sign_in(&mut world, owner(), 1);
    assert_eq!(rows(&world), 1, "what has ended is deleted at the next sign-in, of any member");
}

#[test]
fn a_new_sign_in_of_a_browser_ends_its_previous_session() {
    let mut world = World::with_owner();
    sign_in(&mut world, owner(), 1);
    ask(&mut world, owner(), Operation::StartSession, &json!({"token_hash": hash(2), "replaced": hash(1)}));
    assert!(!works(&mut world, 1) && works(&mut world, 2));
    assert_eq!(rows(&world), 1);
}

#[test]
fn only_a_session_is_ended() {
    let mut world = World::with_owner();
    assert!(matches!(
        ask(&mut world, owner(), Operation::EndSession, &json!({})),
        RawResponse::Refused(Rejection::NotFound)
    ));
}
