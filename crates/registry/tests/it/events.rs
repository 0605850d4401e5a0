//! Events: one for each change of a type that has them, in the transaction of the change, told in order until they are confirmed.

use keyward_key::id::Environment;
use keyward_key::time::Millis;
use keyward_protocol::events::Event;
use keyward_registry::audit::audit_after;
use keyward_registry::events::{EffectTimes, is_any_pending, news, told};
use keyward_registry::notices;
use keyward_testkit::registry_world::*;
use keyward_testkit::sqlite_store::Fault;

use super::object::{Platform, SNAPSHOT, issue_message, ready};

const EFFECT: EffectTimes = EffectTimes { bound_seconds: 5, grace_seconds: 60 };

/// Returns the events that wait to be told.
pub fn pending(world: &mut World) -> Vec<Event> {
    let pending = news(&mut world.store, EFFECT).unwrap();
    pending.map(|(news, _)| news.events).unwrap_or_default()
}

fn last(world: &mut World) -> Event {
    pending(world).pop().unwrap()
}

fn key() -> keyward_key::id::KeyId {
    key_id(Environment::Live, 1)
}

#[test]
fn each_change_has_the_event_of_its_type_and_others_have_none() {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    world.done(owner(), update(1, KeyChanges { name: Some("new".to_owned()), ..KeyChanges::default() }));
    world.done(owner(), rotate(1, 2, 60));
    world.done(owner(), issue_by_claim(4, live("mail")));
    world.done(claimant(4), claim(4));
    world.done(owner(), issue_by_claim(5, live("shop")));
    world.done(owner(), withdraw(5));
    world.revoke(&key(), "leaked");
    world.member(create("two", MemberDraft { email: "two@acme.example".to_owned(), ..member(Role::Auditor) }));
    world.done(owner(), rotate_member(member_id("two"), 8));
    world.done(owner(), revoke_member(member_id("two")));
    let kinds: Vec<String> = pending(&mut world).into_iter().map(|event| event.kind).collect();
    let expected = [
        "member.created",
        "key.issued",
        "key.rotated",
        "key.issued",
        "key.claimed",
        "key.issued",
        "key.revoked",
        "key.revoked",
        "member.created",
        "member.rotated",
        "member.revoked",
    ];
    assert_eq!(kinds, expected);
}

use keyward_protocol::role::Role;

#[test]
fn an_event_names_its_audit_entry_and_the_key_as_it_is_after_the_change() {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    world.later(1);
    world.revoke(&key(), "leaked in a log");
    let event = last(&mut world);
    let entry = audit_after(&mut world.store, 0, 100).unwrap().pop().unwrap();
    assert_eq!(event.id, format!("evt_{}", &entry.hash[..24]));
    assert_eq!((event.seq, event.environment), (entry.seq, Some(Environment::Live)));
    assert_eq!(event.at, world.now);
    let expected = serde_json::json!({
        "seq": 3, "audit_seq": 3, "actor": owner_id().as_str(), "key_id": key().as_str(), "name": "crm sync",
        "integration": "crm", "environment": "live", "owner": "ops@acme.example", "status": "revoked",
        "expires_at": Millis(NOW.0).plus_seconds(90 * DAY).rfc3339(), "reason": "leaked in a log",
        "effective_by": world.now.plus_seconds(5).rfc3339(), "guaranteed_by": world.now.plus_seconds(65).rfc3339(),
    });
    assert_eq!(serde_json::Value::Object(event.data), expected);
}

#[test]
fn no_event_shows_a_hash_a_secret_or_an_address() {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    world.done(owner(), rotate(1, 2, 60));
    world.done(owner(), issue_by_claim(4, live("mail")));
    world.done(claimant(4), claim(4));
    world.revoke(&key(), "leaked");
    let shown = serde_json::to_string(&pending(&mut world)).unwrap();
    for secret in ["0909", "key_hash", "hash", "192.0.2.7", "ada@acme.example", "client_address", "request_id"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
}

#[test]
fn a_change_that_rolls_back_has_no_event() {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    for at in 1..=6 {
        for fault in [Fault::BeforeWrite(at), Fault::BeforeCommit] {
            let before = pending(&mut world).len();
            world.store.fail_at(Some(fault));
            assert!(world.ask(owner(), revoke(&key(), "leaked")).is_err());
            world.store.fail_at(None);
            assert_eq!(pending(&mut world).len(), before, "{fault:?}");
        }
    }
    world.refused(owner(), issue(2, live("crm")));
    assert_eq!(pending(&mut world).len(), 2, "a refusal has no event");
}

#[test]
fn what_was_confirmed_is_not_told_again_and_what_came_since_is() {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    let (_, upto) = news(&mut world.store, EFFECT).unwrap().unwrap();
    world.revoke(&key(), "leaked");
    told(&mut world.store, upto).unwrap();
    assert_eq!(pending(&mut world).len(), 1);
    assert_eq!(last(&mut world).kind, "key.revoked");
    told(&mut world.store, upto + 1).unwrap();
    assert!(!is_any_pending(&mut world.store).unwrap());
    assert!(news(&mut world.store, EFFECT).unwrap().is_none());
}

#[test]
fn a_message_has_at_most_a_hundred_events_in_order() {
    let mut world = World::with_owner();
    for number in 1..=130 {
        world.issue(number, live(&format!("crm-{number}")));
    }
    let (first, upto) = news(&mut world.store, EFFECT).unwrap().unwrap();
    assert_eq!((first.events.len(), upto, first.at), (100, 100, 131));
    told(&mut world.store, upto).unwrap();
    let seqs: Vec<u64> = pending(&mut world).iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (101..=131).collect::<Vec<u64>>());
}

#[test]
fn the_object_tells_after_the_answer_and_again_until_it_is_confirmed() {
    let platform = Platform::new(World::with_owner());
    let object = platform.start_with(&[notices::END]);
    platform.0.events_answer.set(false);
    ready(object.fetch(&issue_message(1))).unwrap();
    assert!(platform.0.news.borrow().is_empty(), "the answer does not wait for the events object");
    assert_eq!(platform.0.alarm.get(), Some(1_000), "the alarm is set before the answer");
    for expected in [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
        platform.run_spawned();
        platform.run_spawned();
        platform.0.alarm.set(None);
        ready(object.alarm());
        let after = platform.0.alarm.get();
        assert!(after == Some(expected) || after == Some(expected * 2) || after == Some(60_000), "{after:?}");
    }
    platform.0.events_answer.set(true);
    ready(object.alarm());
    let told: Vec<String> =
        platform.0.news.borrow().iter().flat_map(|news| news.events.iter().map(|event| event.kind.clone())).collect();
    assert_eq!(told, ["member.created", "key.issued"]);
    assert_eq!(platform.0.log.borrow().iter().filter(|event| *event == "events_not_told").count(), 8);
}

#[test]
fn an_instance_that_starts_tells_what_the_one_before_did_not() {
    let platform = Platform::new(World::with_owner());
    platform.0.events_answer.set(false);
    ready(platform.start_with(&[notices::END]).fetch(&issue_message(1))).unwrap();
    // That instance ended with its background work, and its alarm was lost.
    platform.0.alarm.set(None);
    platform.drop_spawned();
    platform.0.events_answer.set(true);
    ready(platform.start_with(&[notices::END]).fetch(SNAPSHOT)).unwrap();
    platform.run_spawned();
    assert_eq!(platform.0.news.borrow().len(), 1);
}

#[test]
fn the_metrics_show_how_many_events_wait_and_for_how_long() {
    let mut world = World::with_owner();
    let waiting = |world: &mut World| {
        let samples = keyward_registry::metrics::read(&mut world.store, world.now).unwrap();
        let of = |family: &str| samples.iter().find(|sample| sample.family == family).unwrap().value;
        (of("events_pending"), of("event_oldest_seconds"))
    };
    let (_, upto) = news(&mut world.store, EFFECT).unwrap().unwrap_or_else(|| panic!("the owner was created"));
    told(&mut world.store, upto).unwrap();
    assert_eq!(waiting(&mut world), (0, 0));
    world.issue(1, live("crm"));
    world.now = Millis(world.now.0 + 5_000);
    world.issue(2, live("shop"));
    assert_eq!(waiting(&mut world), (2, 5_000));
}
