//! Writes that may be retried: one effect, one answer, and for ten minutes exactly.

use keyward_key::time::Millis;
use keyward_protocol::role::Role;
use keyward_protocol::{Idempotency, NewCredential, Rejection};
use keyward_testkit::registry_world::*;
use keyward_testkit::sqlite_store::Fault;
use serde_json::json;

const MINTING: [Operation; 4] =
    [Operation::IssueKey, Operation::RotateKey, Operation::CreateMember, Operation::RotateMember];

/// The answer under the header, and whether it is that of an earlier attempt.
fn ask(world: &mut World, command: Command, attempt: Idempotency) -> (serde_json::Value, Option<String>) {
    match world.attempt(owner(), command, Some(attempt)).unwrap() {
        Response::Done(Outcome::Replayed { outcome, nonce, minted_under }) => {
            assert_eq!(minted_under, "1f2e3d4c");
            (serde_json::to_value(outcome).unwrap(), Some(nonce))
        }
        Response::Done(done) => (serde_json::to_value(done).unwrap(), None),
        other => panic!("{other:?}"),
    }
}

/// As the edge retries: the same operation with the same body, but another credential.
fn retried(operation: Operation) -> Command {
    let mut command = command_for(operation);
    match &mut command {
        Command::IssueKey { credential, .. } | Command::RotateKey { credential, .. } => {
            *credential = NewCredential {
                key_hash: hash(3),
                ..keyward_testkit::registry_world::credential(key_id(keyward_key::id::Environment::Live, 77))
            };
        }
        Command::CreateMember { credential, .. } => {
            *credential = NewCredential {
                key_hash: hash(3),
                ..keyward_testkit::registry_world::credential(member_id("another"))
            };
        }
        Command::RotateMember { credential, .. } => credential.key_hash = hash(3),
        other => panic!("{other:?}"),
    }
    command
}

fn second_try() -> Idempotency {
    Idempotency { nonce: "another nonce".to_owned(), ..attempt("a") }
}

#[test]
fn a_retry_gets_the_first_answer_and_nonce_and_changes_nothing() {
    for operation in MINTING {
        let mut world = furnished();
        let (first, replayed) = ask(&mut world, command_for(operation), attempt("a"));
        assert_eq!(replayed, None, "{operation:?}");
        let before = things(&world);
        for later in [0, 1, 598] {
            world.later(later);
            let (again, nonce) = ask(&mut world, retried(operation), second_try());
            assert_eq!((again, nonce.as_deref()), (first.clone(), Some("nonce of a")), "{operation:?}");
        }
        assert_eq!(things(&world), before, "{operation:?}");
    }
}

/// Keys, members, and what is remembered and due.
fn things(world: &World) -> serde_json::Value {
    let mut dump = world.store.dump();
    let tables = dump.as_object_mut().unwrap();
    tables.remove("audit");
    tables.remove("meta");
    dump
}

#[test]
fn an_answer_that_shows_a_credential_again_has_an_audit_entry() {
    for operation in MINTING {
        let mut world = furnished();
        ask(&mut world, command_for(operation), attempt("a"));
        let subject = match operation {
            Operation::RotateMember => member_id("other"),
            Operation::CreateMember => member_id("new"),
            _ => key_id(keyward_key::id::Environment::Live, 2),
        };
        for seconds in [1, 2] {
            world.later(1);
            ask(&mut world, retried(operation), second_try());
            let detail = json!({"operation": operation.as_str(), "first_shown_at": NOW.rfc3339()});
            let expected = (owner_id().to_string(), "key.shown_again".to_owned(), subject.to_string(), detail);
            assert_eq!(world.last_entry(), expected, "{seconds}");
        }
        let head = keyward_registry::audit::head(&mut world.store).unwrap();
        assert_eq!(keyward_registry::feed::position(&mut world.store).unwrap().revision, head.seq);
    }
}

/// The store holds what a retry needs, and no secret: an answer's view and what the edge derives from with its own secret.
#[test]
fn what_is_remembered_is_the_answer_without_a_hash_or_credential() {
    for operation in MINTING {
        let mut world = furnished();
        let (first, _) = ask(&mut world, command_for(operation), attempt("a"));
        let mut rows = world.store.dump()["idempotency"].take();
        let answer: serde_json::Value = serde_json::from_str(rows[0]["answer"].as_str().unwrap()).unwrap();
        rows[0]["answer"] = answer;
        assert_eq!(
            rows,
            json!([{
                "member": owner_id(), "fingerprint": "fingerprint of a", "body": "body", "nonce": "nonce of a",
                "minted_under": "1f2e3d4c", "answer": first, "at": NOW.0, "credential": rows[0]["credential"],
            }])
        );
        let text = rows.to_string();
        assert!(!text.contains(&"08".repeat(32)) && !text.contains(&"09".repeat(32)) && !text.contains("key_hash"));
    }
}

#[test]
fn the_window_is_ten_minutes_to_the_millisecond() {
    for operation in [Operation::IssueKey, Operation::CreateMember] {
        for (age, replays) in [(0, true), (599_999, true), (600_000, false), (600_001, false)] {
            let mut world = furnished();
            ask(&mut world, command_for(operation), attempt("a"));
            world.now = Millis(NOW.0 + age);
            world.idempotency = Some(second_try());
            match world.ask(owner(), retried(operation)).unwrap() {
                Response::Done(Outcome::Replayed { .. }) => assert!(replays, "{age}"),
                // A new write, which meets what the first one made.
                Response::Refused(Rejection::IntegrationHasKey { .. } | Rejection::EmailTaken) => {
                    assert!(!replays, "{age}")
                }
                other => panic!("{age}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_new_write_under_an_old_header_starts_a_new_window() {
    let mut world = furnished();
    ask(&mut world, command_for(Operation::RotateMember), attempt("a"));
    world.later(600);
    let (second, replayed) = ask(&mut world, retried(Operation::RotateMember), second_try());
    assert_eq!(replayed, None);
    world.later(599);
    let (again, nonce) = ask(&mut world, command_for(Operation::RotateMember), attempt("a"));
    assert_eq!((again, nonce.as_deref()), (second, Some("another nonce")));
}

#[test]
fn another_body_under_the_same_header_is_a_mismatch_until_the_window_ends() {
    for operation in MINTING {
        let mut world = furnished();
        ask(&mut world, command_for(operation), attempt("a"));
        world.idempotency = Some(Idempotency { body: "another".to_owned(), ..attempt("a") });
        world.later(599);
        assert_eq!(world.refused(owner(), retried(operation)), Rejection::IdempotencyMismatch);
        world.later(1);
        let answer = world.ask(owner(), retried(operation)).unwrap();
        assert!(!matches!(answer, Response::Refused(Rejection::IdempotencyMismatch)), "{answer:?}");
    }
}

#[test]
fn a_refusal_is_not_remembered() {
    let mut world = World::with_owner();
    let first = world.issue(1, live("crm")).id;
    world.idempotency = Some(attempt("a"));
    assert!(matches!(world.refused(owner(), issue(2, live("crm"))), Rejection::IntegrationHasKey { .. }));
    world.idempotency = None;
    world.revoke(&first, "leaked");
    assert_eq!(ask(&mut world, issue(2, live("crm")), attempt("a")).1, None);
}

#[test]
fn another_members_header_is_another_write() {
    let mut world = furnished();
    let manager = world.add_member(Role::Manager, None);
    ask(&mut world, issue(2, live("shop")), attempt("a"));
    let answer = world.attempt(manager.clone(), issue(3, live("post")), Some(attempt("a"))).unwrap();
    assert!(matches!(answer, Response::Done(Outcome::KeyIssued(_))), "{answer:?}");
    let answer = world.attempt(manager, issue(3, live("post")), Some(attempt("a"))).unwrap();
    assert!(matches!(answer, Response::Done(Outcome::Replayed { .. })), "{answer:?}");
}

#[test]
fn only_who_may_still_do_it_gets_the_answer_again() {
    let mut world = furnished();
    let manager = world.add_member(Role::Manager, None);
    world.attempt(manager.clone(), issue(2, live("shop")), Some(attempt("a"))).unwrap();
    world.idempotency = Some(attempt("a"));
    let thief = keyward_protocol::Caller::Credential { id: member_id("manager0"), key_hash: hash(1) };
    assert!(matches!(world.refused(thief, issue(2, live("shop"))), Rejection::Unauthenticated { .. }));
    let demoted = MemberChanges { role: Some(Role::Auditor), ..Default::default() };
    world.member(update_member(member_id("manager0"), demoted));
    assert_eq!(world.refused(manager.clone(), issue(2, live("shop"))), Rejection::Forbidden);
    world.member(revoke_member(member_id("manager0")));
    assert!(matches!(world.refused(manager, issue(2, live("shop"))), Rejection::Unauthenticated { .. }));
}

#[test]
fn a_write_whose_confirmation_was_lost_is_answered_by_the_retry() {
    for operation in MINTING {
        let mut world = furnished();
        world.store.fail_at(Some(Fault::AfterCommit));
        assert!(world.attempt(owner(), command_for(operation), Some(attempt("a"))).is_err());
        world.store.fail_at(None);
        let before = things(&world);
        let (_, nonce) = ask(&mut world, retried(operation), second_try());
        assert_eq!(nonce.as_deref(), Some("nonce of a"));
        assert_eq!(things(&world), before, "{operation:?}");
    }
}

#[test]
fn commands_that_make_no_credential_remember_nothing() {
    for operation in Operation::ALL.iter().copied().filter(|operation| !MINTING.contains(operation)) {
        if !matches!(operation, Operation::Bootstrap | Operation::RevokeByHolder) {
            let mut world = furnished();
            world.idempotency = Some(attempt("a"));
            world.done(owner(), command_for(operation));
            assert_eq!(world.store.dump()["idempotency"], json!([]), "{operation:?}");
        }
    }
}

#[test]
fn every_change_forgets_some_of_what_is_past_the_window_and_a_read_none() {
    let mut world = World::with_owner();
    let draft = |name: &str| MemberDraft { email: format!("{name}@acme.example"), ..member(Role::Auditor) };
    for number in 0..250 {
        let name = format!("m{number}");
        ask(&mut world, create(&name, draft(&name)), attempt(&name));
    }
    let left = |world: &World| world.store.dump()["idempotency"].as_array().unwrap().len();
    world.later(599);
    world.issue(1, live("crm"));
    assert_eq!(left(&world), 250);
    world.later(1);
    world.done(owner(), list(KeyFilter::default(), 50, None));
    assert_eq!(left(&world), 250);
    for (number, expected) in [(2, 150), (3, 50), (4, 0), (5, 0)] {
        world.issue(number, live(&format!("i-{number}")));
        assert_eq!(left(&world), expected);
    }
}
