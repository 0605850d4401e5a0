//! Claims: a pending key passes nowhere, is minted once, and is revoked if nobody claims it.

use keyward_key::id::Environment;
use keyward_key::time::Millis;
use keyward_protocol::{Caller, Rejection, Request, Response as RegistryResponse, Status};
use keyward_registry::due::{WORK, earliest};
use keyward_registry::store::Store;
use keyward_registry::{keys, outbox};
use keyward_testkit::registry_world::*;
use serde_json::{Value as Json, json};

use super::object::{Platform, issue_message, ready};

const HOUR: i64 = 3_600;

fn key(number: u32) -> keyward_key::id::KeyId {
    key_id(Environment::Live, number)
}

/// A world in which live key 1 waits for its claim.
fn pending() -> World {
    let mut world = World::with_owner();
    let Outcome::KeyPending { key, claim } = world.done(owner(), issue_by_claim(1, live("crm"))) else {
        panic!("no pending key")
    };
    assert_eq!((key.status, claim.expires_at), (Status::Pending, world.now.plus_seconds(24 * HOUR)));
    world
}

/// A world in which live key 1 is active, and its successor 2 waits for its claim.
fn rotating() -> World {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    world.later(DAY);
    let Outcome::KeyPending { key, .. } = world.done(owner(), rotate_by_claim(1, 2, 600)) else {
        panic!("no successor")
    };
    assert_eq!((key.status, key.rotated_from), (Status::Pending, Some(super::claims::key(1))));
    world
}

fn status(world: &mut World, number: u32) -> Status {
    match world.done(owner(), show(&key(number))) {
        Outcome::Key(view) => view.status,
        other => panic!("{other:?}"),
    }
}

fn claimed(world: &mut World, number: u32) -> (keyward_protocol::KeyView, Option<keyward_protocol::KeyView>) {
    match world.done(claimant(number), claim(number)) {
        Outcome::KeyClaimed { key, retiring, changed_at } => {
            assert_eq!(changed_at, world.now);
            (*key, retiring.map(|retiring| *retiring))
        }
        other => panic!("{other:?}"),
    }
}

fn gone(refused: &Rejection) -> bool {
    matches!(refused, Rejection::Unauthenticated { .. } | Rejection::NotFound)
}

/// Does the due work, as the alarm does.
fn run_due(world: &mut World) {
    for work in WORK {
        work.run_if_due(&mut world.store, world.now).unwrap();
    }
}

/// Returns whether the gate's lookup knows the key.
fn known_to_the_gate(world: &mut World, number: u32) -> bool {
    let request = Request::Lookup { ids: vec![key(number)] };
    let answer = keyward_control::answer(&mut world.store, request, &world.policy, "r", world.now).unwrap();
    let RegistryResponse::Records { records, .. } = answer else { panic!("{answer:?}") };
    records[0].record().unwrap().is_some()
}

fn queued(world: &mut World) -> Vec<String> {
    outbox::pending(&mut world.store, 100).unwrap().iter().map(|(record, _)| record.id.to_string()).collect()
}

#[test]
fn a_pending_key_has_no_secret_no_record_and_no_copy() {
    let mut world = pending();
    assert_eq!((known_to_the_gate(&mut world, 1), queued(&mut world)), (false, vec![]));
    let row = keys::find(&mut world.store, &key(1)).unwrap().unwrap();
    assert_eq!((row.text("key_hash"), row.text("minted_under")), (Ok(""), Ok("")));
    // Whatever hash somebody presents for it, nobody holds it.
    assert!(gone(&world.refused(holder(1), Command::RevokeByHolder)));
    // Nor does a change of the secret or an epoch queue a copy.
    let other = keyward_key::keyring::Generation::from_stored("00000000").unwrap();
    assert!(outbox::refill(&mut world.store, &other, world.now).unwrap());
    assert_eq!(queued(&mut world), Vec::<String>::new());
    world.update(1, KeyChanges { purpose: Some("other".to_owned()), ..KeyChanges::default() });
    assert_eq!(queued(&mut world), Vec::<String>::new());
}

#[test]
fn a_claim_mints_the_key_once() {
    let mut world = pending();
    let ends_at = match world.done(owner(), show(&key(1))) {
        Outcome::Key(view) => view.expires_at,
        other => panic!("{other:?}"),
    };
    world.later(HOUR);
    let (view, retiring) = claimed(&mut world, 1);
    assert_eq!((view.status, retiring.is_none()), (Status::Active, true));
    assert_eq!(view.expires_at, ends_at, "its life counts from issue");
    let (actor, action, subject, detail) = world.last_entry();
    assert_eq!((actor.as_str(), action.as_str(), subject), ("claimant", "key.claim", key(1).to_string()));
    assert_eq!(detail["key"]["status"], "active");
    assert!(known_to_the_gate(&mut world, 1));
    assert_eq!(queued(&mut world), [key(1).to_string()]);
    assert_eq!(world.refused(claimant(1), claim(1)), Rejection::AlreadyClaimed);
    let feed = world.store.query("SELECT revision > position FROM keys", &[]).unwrap();
    assert_eq!(feed[0].at(0).unwrap(), &1.into_value(), "the feed tells isolates that knew no such key");
}

trait IntoValue {
    fn into_value(self) -> keyward_registry::store::Value;
}

impl IntoValue for i64 {
    fn into_value(self) -> keyward_registry::store::Value {
        keyward_registry::store::Value::Integer(self)
    }
}

#[test]
fn a_pending_key_counts_as_active_for_its_integration_and_name() {
    let mut world = pending();
    assert_eq!(world.refused(owner(), issue(2, live("crm"))), Rejection::IntegrationHasKey { id: key(1) });
    let same_name = KeyDraft { name: "crm sync".to_owned(), ..live("erp") };
    assert_eq!(world.refused(owner(), issue(2, same_name.clone())), Rejection::NameTaken { id: key(1) });
    assert_eq!(world.refused(owner(), issue_by_claim(2, same_name)), Rejection::NameTaken { id: key(1) });
    world.issue(3, live("shop"));
    let rename = KeyChanges { name: Some("crm sync".to_owned()), ..KeyChanges::default() };
    assert_eq!(world.refused(owner(), update(3, rename)), Rejection::NameTaken { id: key(1) });
    // The other environment has its own keys.
    world.issue(4, test("crm"));
    world.later(24 * HOUR);
    run_due(&mut world);
    world.issue(5, live("crm"));
}

#[test]
fn a_pending_key_is_changed_and_revoked_but_not_rotated() {
    let mut world = pending();
    let not_active = Rejection::NotActive { status: Status::Pending };
    assert_eq!(world.refused(owner(), rotate(1, 2, 0)), not_active);
    assert_eq!(world.refused(owner(), rotate_by_claim(1, 2, 0)), not_active);
    let narrowed = world.update(1, KeyChanges { scopes: Some(vec![scope("contacts:write")]), ..KeyChanges::default() });
    assert_eq!(narrowed.status, Status::Pending);
    let (view, _) = claimed(&mut world, 1);
    assert_eq!(view.attributes.scopes, [scope("contacts:write")], "the change holds for the minted key");

    let mut world = pending();
    assert_eq!(world.revoke(&key(1), "a mistake").status, Status::Revoked);
    assert_eq!(world.refused(claimant(1), claim(1)), Rejection::NotFound);
    assert_eq!(world.refused(claimant(1), Command::LookUpClaim), Rejection::NotFound);
    assert_eq!(earliest(&mut world.store, &[keyward_registry::claims::END]), Ok(None), "its claim has ended");
    assert_eq!((queued(&mut world), known_to_the_gate(&mut world, 1)), (vec![], false));
}

#[test]
fn a_claim_never_outlives_its_key() {
    let mut world = World::with_owner();
    let short = KeyDraft { lifetime: Lifetime::Days(1), ..live("crm") };
    let command = Command::IssueByClaim { draft: Box::new(short), credential: credential(key(1)), hours: 168 };
    let Outcome::KeyPending { claim: opened, .. } = world.done(owner(), command) else { panic!("no claim") };
    assert_eq!(opened.expires_at, world.now.plus_seconds(DAY));
    let end = Millis(world.now.0 + 60_000);
    world.update(1, KeyChanges { expires_at: Some(end), ..KeyChanges::default() });
    assert_eq!(earliest(&mut world.store, WORK), Ok(Some(end)));
    world.later(60);
    assert_eq!(status(&mut world, 1), Status::Expired);
    assert!(gone(&world.refused(claimant(1), claim(1))));
    run_due(&mut world);
    assert_eq!(status(&mut world, 1), Status::Revoked);
}

#[test]
fn a_rotation_by_claim_begins_when_the_successor_is_claimed() {
    let mut world = rotating();
    let before = keys::find(&mut world.store, &key(1)).unwrap().unwrap();
    assert_eq!((status(&mut world, 1), before.optional_text("successor")), (Status::Active, Ok(None)));
    assert_eq!(world.last_entry().1, "key.rotate");
    let again = Rejection::SuccessorPending { id: key(2) };
    assert_eq!(world.refused(owner(), rotate(1, 3, 0)), again);
    assert_eq!(world.refused(owner(), rotate_by_claim(1, 3, 0)), again);
    // The two keys share their name.
    world.update(1, KeyChanges { name: Some("crm sync".to_owned()), ..KeyChanges::default() });
    world.later(HOUR);
    let (successor, retiring) = claimed(&mut world, 2);
    let retiring = retiring.unwrap();
    assert_eq!((successor.status, retiring.status), (Status::Active, Status::Retiring));
    assert_eq!(retiring.successor, Some(key(2)));
    assert_eq!(retiring.expires_at, world.now.plus_seconds(600).rfc3339(), "the overlap begins now");
    assert_eq!(successor.revision, retiring.revision);
    assert_eq!(world.last_entry().3["retiring"]["status"], "retiring");
    let mut both = queued(&mut world);
    both.sort();
    assert_eq!(both, [key(1).to_string(), key(2).to_string()]);
    let extended = Command::Authorise { operation: Operation::ExtendRotation };
    assert!(matches!(world.done(owner(), extended), Outcome::Authorised));
}

#[test]
fn a_predecessor_that_is_no_longer_active_stays_as_it_is() {
    let mut revoked = rotating();
    revoked.revoke(&key(1), "leaked");
    let mut expired = rotating();
    expired.update(1, KeyChanges { expires_at: Some(Millis(expired.now.0 + 1_000)), ..KeyChanges::default() });
    expired.later(2);
    for (mut world, expected) in [(revoked, Status::Revoked), (expired, Status::Expired)] {
        let before = keys::find(&mut world.store, &key(1)).unwrap();
        let (successor, retiring) = claimed(&mut world, 2);
        assert_eq!((successor.status, retiring.is_none()), (Status::Active, true));
        assert_eq!(status(&mut world, 1), expected);
        assert_eq!(keys::find(&mut world.store, &key(1)).unwrap(), before);
    }
}

#[test]
fn an_unused_claim_ends_and_revokes_its_key_but_not_the_key_that_it_would_have_replaced() {
    let mut world = rotating();
    world.later(24 * HOUR - 1);
    run_due(&mut world);
    assert_eq!(status(&mut world, 2), Status::Pending);
    world.later(1);
    // The time alone ends it, before the alarm.
    assert!(gone(&world.refused(claimant(2), claim(2))));
    assert!(gone(&world.refused(claimant(2), Command::LookUpClaim)));
    run_due(&mut world);
    assert_eq!((status(&mut world, 1), status(&mut world, 2)), (Status::Active, Status::Revoked));
    let Outcome::Key(view) = world.done(owner(), show(&key(2))) else { panic!("no key") };
    assert_eq!((view.revoked_by.as_deref(), view.revoked_at), (Some("keyward"), Some(world.now.rfc3339())));
    let dump = world.store.dump();
    let entry = dump["audit"].as_array().unwrap().last().unwrap();
    assert_eq!((&entry["actor"], &entry["action"]), (&json!("keyward"), &json!("claim.expire")));
    assert_eq!(dump["meta"][1]["value"], entry["seq"].to_string(), "one revision and one entry");
    assert!(gone(&world.refused(claimant(2), claim(2))));
    let before = world.store.dump();
    run_due(&mut world);
    assert_eq!(world.store.dump(), before, "an alarm that comes twice does nothing");
    world.rotate(1, 3, 0);
}

#[test]
fn whoever_has_the_secret_looks_and_revokes_and_does_nothing_else() {
    let mut world = pending();
    for operation in Operation::ALL.iter().copied() {
        let may = [Operation::LookUpClaim, Operation::ClaimKey, Operation::RevokeByClaimant].contains(&operation);
        let command = if may { continue } else { Command::Authorise { operation } };
        assert!(gone(&world.refused(claimant(1), command)), "{operation:?}");
    }
    let Outcome::ClaimShown(shown) = world.done(claimant(1), Command::LookUpClaim) else { panic!("not shown") };
    assert_eq!(shown["claim"]["status"], "open");
    assert_eq!(shown["claim"]["issued_by"], "Ada");
    assert_eq!((&shown["key"]["integration"], &shown["key"]["status"]), (&json!("crm"), &json!("pending")));
    claimed(&mut world, 1);
    let Outcome::ClaimShown(shown) = world.done(claimant(1), Command::LookUpClaim) else { panic!("not shown") };
    assert_eq!(
        (&shown["claim"]["status"], &shown["claim"]["claimed_at"]),
        (&json!("claimed"), &json!(world.now.rfc3339()))
    );
    let Outcome::KeyRevoked { key: revoked, .. } = world.done(claimant(1), Command::RevokeByClaimant) else {
        panic!("not revoked")
    };
    assert_eq!((revoked.status, revoked.revoked_by.as_deref()), (Status::Revoked, Some("claimant")));
    let before = world.store.dump();
    world.done(claimant(1), Command::RevokeByClaimant);
    assert_eq!(world.store.dump(), before, "a repeated revocation writes nothing");
}

#[test]
fn whoever_has_the_secret_does_not_see_where_the_key_is_used_from() {
    let mut world = pending();
    claimed(&mut world, 1);
    let from = json!({"country": "DE", "asn": 64_496, "network": "192.0.2.0/24"});
    world.store.connection.execute("UPDATE keys SET last_used_from = ?", [from.to_string()]).unwrap();
    let Outcome::Key(seen) = world.done(owner(), show(&key(1))) else { panic!("no key") };
    assert_eq!(serde_json::to_value(&seen.last_used_from).unwrap(), from, "members see it");
    let Outcome::ClaimShown(shown) = world.done(claimant(1), Command::LookUpClaim) else { panic!("not shown") };
    assert_eq!((&shown["key"]["status"], &shown["key"]["last_used_from"]), (&json!("active"), &Json::Null));
    let Outcome::KeyRevoked { key: revoked, .. } = world.done(claimant(1), Command::RevokeByClaimant) else {
        panic!("not revoked")
    };
    assert_eq!((revoked.status, revoked.last_used_from), (Status::Revoked, None));
}

#[test]
fn a_used_secret_works_until_the_claim_would_have_ended_and_ten_minutes_at_least() {
    for (used_after, works_for) in [(HOUR, 23 * HOUR), (24 * HOUR - 1, 600)] {
        let mut world = pending();
        world.later(used_after);
        claimed(&mut world, 1);
        world.later(works_for - 1);
        world.done(claimant(1), Command::LookUpClaim);
        world.later(1);
        for command in [Command::LookUpClaim, claim(1), Command::RevokeByClaimant] {
            assert!(gone(&world.refused(claimant(1), command)));
        }
    }
}

#[test]
fn another_secret_and_an_unknown_claim_are_refused_alike() {
    let mut world = pending();
    let wrong = Caller::Claimant { id: key(1), secret_hash: hash(8) };
    for caller in [wrong, claimant(2)] {
        for command in [Command::LookUpClaim, claim(1), Command::RevokeByClaimant] {
            assert!(matches!(world.refused(caller.clone(), command), Rejection::Unauthenticated { .. }));
        }
    }
    assert_eq!(status(&mut world, 1), Status::Pending);
}

#[test]
fn a_claim_is_withdrawn_while_it_is_unused() {
    let mut world = rotating();
    let Outcome::ClaimWithdrawn(withdrawn) = world.done(owner(), withdraw(2)) else { panic!("not withdrawn") };
    assert_eq!((&withdrawn["status"], &withdrawn["id"]), (&json!("withdrawn"), &json!(key(2))));
    assert_eq!(world.last_entry().1, "claim.withdraw");
    assert_eq!((status(&mut world, 1), status(&mut world, 2)), (Status::Active, Status::Revoked));
    let before = world.store.dump();
    world.done(owner(), withdraw(2));
    assert_eq!(world.store.dump(), before, "repeated, it writes nothing");
    for command in [Command::LookUpClaim, claim(2), Command::RevokeByClaimant] {
        assert!(gone(&world.refused(claimant(2), command)), "after a withdrawal");
    }
    assert_eq!(world.refused(owner(), withdraw(1)), Rejection::NotFound, "key 1 has no claim");
    assert_eq!(world.refused(owner(), withdraw(9)), Rejection::NotFound);

    let mut world = pending();
    claimed(&mut world, 1);
    assert_eq!(world.refused(owner(), withdraw(1)), Rejection::AlreadyClaimed);
}

fn page(world: &mut World, caller: Caller, limit: u32, cursor: Option<String>) -> (Vec<Json>, Option<String>) {
    match world.done(caller, Command::ListClaims { limit, cursor }) {
        Outcome::Claims { items, next_cursor } => (items, next_cursor),
        other => panic!("{other:?}"),
    }
}

#[test]
fn open_claims_are_listed_newest_first_and_a_limited_member_sees_their_environments() {
    let mut world = World::with_owner();
    for number in 1..=3 {
        world.done(owner(), issue_by_claim(number, live(&format!("i-{number}"))));
        world.done(owner(), issue_by_claim(number, test(&format!("i-{number}"))));
    }
    claimed(&mut world, 2);
    let ids = |items: &[Json]| items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let (all, end) = page(&mut world, owner(), 50, None);
    let expected =
        ["test_000000000003", "live_000000000003", "test_000000000002", "test_000000000001", "live_000000000001"];
    assert_eq!((ids(&all), end), (expected.map(|id| format!("wafl_{id}")).to_vec(), None));
    assert_eq!((&all[0]["status"], &all[0]["integration"]), (&json!("open"), &json!("i-3")));
    let (first, cursor) = page(&mut world, owner(), 2, None);
    let (second, cursor) = page(&mut world, owner(), 2, cursor);
    let (third, end) = page(&mut world, owner(), 2, cursor);
    assert_eq!(([ids(&first), ids(&second), ids(&third)].concat(), end), (ids(&all), None));

    let limited = world.add_member(keyward_protocol::Role::Manager, Some(r#"["test"]"#));
    let (seen, _) = page(&mut world, limited.clone(), 50, None);
    assert!(seen.iter().all(|item| item["environment"] == "test"), "{seen:?}");
    assert_eq!(seen.len(), 3);
    assert_eq!(world.refused(limited, withdraw(1)), Rejection::NotFound);
}

/// The plans of the statements for claims: each reads an index, whatever the number of keys and claims.
#[test]
fn no_statement_about_claims_scans_a_table() {
    let world = World::with_owner();
    for sql in [
        "SELECT id FROM claims WHERE id = 'x'",
        "UPDATE claims SET state = 'x' WHERE id = 'x' AND state = 'open'",
        "SELECT position, id FROM claims INDEXED BY claims_open
         WHERE state = 'open' AND environment = 'live' AND position < 9 ORDER BY position DESC LIMIT 9",
        "SELECT expires_at FROM claims INDEXED BY claims_open_by_end WHERE state = 'open' ORDER BY expires_at LIMIT 1",
        "SELECT id FROM claims INDEXED BY claims_open_by_end WHERE state = 'open' AND expires_at <= 9 ORDER BY expires_at",
        "SELECT id FROM keys INDEXED BY keys_current_by_integration WHERE environment = 'live' AND integration = 'x'
         AND expires_at > 9 AND rotated_from = 'x' AND state = 'pending'
         AND state IN ('active', 'pending', 'quarantined') AND successor IS NULL",
    ] {
        let mut statement = world.store.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps: Vec<String> = statement.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        let bad = |step: &String| {
            step.contains("TEMP B-TREE") || step.starts_with("SCAN") && !step.contains("claims_open_by_end")
        };
        assert!(!steps.iter().any(bad), "{sql}: {steps:?}");
    }
}

#[test]
fn claims_that_end_together_are_done_in_batches() {
    let mut world = World::with_owner();
    for number in 1..=250 {
        world.done(owner(), issue_by_claim(number, live(&format!("i-{number}"))));
    }
    world.later(24 * HOUR);
    let mut batches = 0;
    while earliest(&mut world.store, WORK).unwrap().is_some_and(|due_at| due_at <= world.now) {
        run_due(&mut world);
        batches += 1;
    }
    assert_eq!(batches, 3);
    let left = world.store.query("SELECT count(*) FROM keys WHERE state = 'pending'", &[]).unwrap();
    assert_eq!(left[0].at(0).unwrap(), &0.into_value());
}

#[test]
fn the_object_sets_its_alarm_to_the_end_of_a_claim() {
    let platform = Platform::new(pending());
    let object = platform.start_with(&[keyward_registry::claims::END]);
    ready(object.fetch(&issue_message(7))).unwrap();
    platform.run_spawned();
    platform.run_spawned();
    assert_eq!((platform.pending(), platform.0.alarm.get()), (0, Some(24 * HOUR * 1_000)));
    platform.0.now.set(platform.0.now.get().plus_seconds(24 * HOUR));
    ready(object.alarm());
    assert_eq!(platform.0.alarm.get(), None);
    let mut world = platform.0.world.borrow_mut();
    assert_eq!(status(&mut world, 1), Status::Revoked);
}
