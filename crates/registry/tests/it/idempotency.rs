//! Retries with an `Idempotency-Key`: one effect and one outcome, for exactly ten minutes.

use keyward_control::operation::Access;
use keyward_key::time::Millis;
use keyward_protocol::role::Role;
use keyward_protocol::{Idempotency, NewCredential, Rejection};
use keyward_testkit::registry_world::*;
use keyward_testkit::sqlite_store::Fault;
use serde_json::json;

const MINTING: [Operation; 4] =
    [Operation::IssueKey, Operation::RotateKey, Operation::CreateMember, Operation::RotateMember];

/// Returns the outcome, and the nonce of the first attempt if the outcome is a replay.
fn run(world: &mut World, command: Command, attempt: Idempotency) -> (serde_json::Value, Option<String>) {
    match world.attempt(owner(), command, Some(attempt)).unwrap() {
        Response::Done(Outcome::Replayed { outcome, nonce, minted_under }) => {
            assert_eq!(minted_under, "1f2e3d4c");
            (serde_json::to_value(outcome).unwrap(), Some(nonce))
        }
        Response::Done(done) => (serde_json::to_value(done).unwrap(), None),
        other => panic!("{other:?}"),
    }
}

/// The command of a retry: the same operation and body, with a newly minted credential.
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
fn a_retry_gets_the_first_outcome_and_nonce_and_changes_nothing() {
    for operation in MINTING {
        let mut world = furnished();
        let (first, replayed) = run(&mut world, command_for(operation), attempt("a"));
        assert_eq!(replayed, None, "{operation:?}");
        let before = things(&world);
        for later in [0, 1, 598] {
            world.later(later);
            let (again, nonce) = run(&mut world, retried(operation), second_try());
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
        run(&mut world, command_for(operation), attempt("a"));
        let subject = match operation {
            Operation::RotateMember => member_id("other"),
            Operation::CreateMember => member_id("new"),
            _ => key_id(keyward_key::id::Environment::Live, 2),
        };
        for seconds in [1, 2] {
            world.later(1);
            run(&mut world, retried(operation), second_try());
            let detail = json!({"operation": operation.as_str(), "first_shown_at": NOW.rfc3339()});
            let expected = (owner_id().to_string(), "key.shown_again".to_owned(), subject.to_string(), detail);
            assert_eq!(world.last_entry(), expected, "{seconds}");
        }
        let head = keyward_registry::audit::head(&mut world.store).unwrap();
        assert_eq!(keyward_registry::feed::position(&mut world.store).unwrap().revision, head.seq);
    }
}

/// The store holds the view and the inputs of the derivation. The isolate derives the credential with the server's secret.
#[test]
fn the_stored_outcome_contains_no_hash_and_no_credential() {
    for operation in MINTING {
        let mut world = furnished();
        let (first, _) = run(&mut world, command_for(operation), attempt("a"));
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
fn a_write_can_be_retried_for_exactly_ten_minutes() {
    for operation in [Operation::IssueKey, Operation::CreateMember] {
        for (age, replays) in [(0, true), (599_999, true), (600_000, false), (600_001, false)] {
            let mut world = furnished();
            run(&mut world, command_for(operation), attempt("a"));
            world.now = Millis(NOW.0 + age);
            world.idempotency = Some(second_try());
            match world.ask(owner(), retried(operation)).unwrap() {
                Response::Done(Outcome::Replayed { .. }) => assert!(replays, "{age}"),
                // Outside the window it is a new write, which conflicts with the first key.
                Response::Refused(Rejection::IntegrationHasKey { .. } | Rejection::EmailTaken) => {
                    assert!(!replays, "{age}")
                }
                other => panic!("{age}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_new_write_with_an_old_idempotency_key_starts_a_new_window() {
    let mut world = furnished();
    run(&mut world, command_for(Operation::RotateMember), attempt("a"));
    world.later(600);
    let (second, replayed) = run(&mut world, retried(Operation::RotateMember), second_try());
    assert_eq!(replayed, None);
    world.later(599);
    let (again, nonce) = run(&mut world, command_for(Operation::RotateMember), attempt("a"));
    assert_eq!((again, nonce.as_deref()), (second, Some("another nonce")));
}

#[test]
fn another_body_with_the_same_idempotency_key_is_a_mismatch_within_the_window() {
    for operation in MINTING {
        let mut world = furnished();
        run(&mut world, command_for(operation), attempt("a"));
        world.idempotency = Some(Idempotency { body: "another".to_owned(), ..attempt("a") });
        world.later(599);
        assert_eq!(world.refused(owner(), retried(operation)), Rejection::IdempotencyMismatch);
        world.later(1);
        let answer = world.ask(owner(), retried(operation)).unwrap();
        assert!(!matches!(answer, Response::Refused(Rejection::IdempotencyMismatch)), "{answer:?}");
    }
}

#[test]
fn a_refusal_is_not_stored_for_retries() {
    let mut world = World::with_owner();
    let first = world.issue(1, live("crm")).id;
    world.idempotency = Some(attempt("a"));
    assert!(matches!(world.refused(owner(), issue(2, live("crm"))), Rejection::IntegrationHasKey { .. }));
    world.idempotency = None;
    world.revoke(&first, "leaked");
    assert_eq!(run(&mut world, issue(2, live("crm")), attempt("a")).1, None);
}

#[test]
fn the_same_idempotency_key_of_another_member_is_another_write() {
    let mut world = furnished();
    let manager = world.add_member(Role::Manager, None);
    run(&mut world, issue(2, live("shop")), attempt("a"));
    let answer = world.attempt(manager.clone(), issue(3, live("post")), Some(attempt("a"))).unwrap();
    assert!(matches!(answer, Response::Done(Outcome::KeyIssued(_))), "{answer:?}");
    let answer = world.attempt(manager, issue(3, live("post")), Some(attempt("a"))).unwrap();
    assert!(matches!(answer, Response::Done(Outcome::Replayed { .. })), "{answer:?}");
}

#[test]
fn a_retry_is_refused_if_the_caller_lost_the_permission() {
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
fn a_retry_after_an_unconfirmed_commit_gets_the_outcome() {
    for operation in MINTING {
        let mut world = furnished();
        world.store.fail_at(Some(Fault::AfterCommit));
        assert!(world.attempt(owner(), command_for(operation), Some(attempt("a"))).is_err());
        world.store.fail_at(None);
        let before = things(&world);
        let (_, nonce) = run(&mut world, retried(operation), second_try());
        assert_eq!(nonce.as_deref(), Some("nonce of a"));
        assert_eq!(things(&world), before, "{operation:?}");
    }
}

#[test]
fn commands_that_create_no_credential_store_no_outcome() {
    for operation in Operation::ALL.iter().copied().filter(|operation| !MINTING.contains(operation)) {
        if matches!(operation.spec().access, Access::Roles(_)) {
            let mut world = furnished();
            world.idempotency = Some(attempt("a"));
            world.done(owner(), command_for(operation));
            assert_eq!(world.store.dump()["idempotency"], json!([]), "{operation:?}");
        }
    }
}

#[test]
fn every_change_deletes_some_expired_attempts_and_a_read_none() {
    let mut world = World::with_owner();
    let draft = |name: &str| MemberDraft { email: format!("{name}@acme.example"), ..member(Role::Auditor) };
    for number in 0..250 {
        let name = format!("m{number}");
        run(&mut world, create(&name, draft(&name)), attempt(&name));
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
