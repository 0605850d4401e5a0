//! Leak reports: every genuine key of a report is revoked, and the report is recorded, in one transaction.

use keyward_key::hash::KeyHash;
use keyward_key::id::{Environment, KeyId};
use keyward_protocol::role::Role;
use keyward_protocol::{
    Caller, KeyView, LeakReport, LeakSource, LeakedKey, Rejection, Request, RequestMeta, Response as RawResponse,
    Status,
};
use keyward_registry::audit::{audit_after, head};
use keyward_registry::leaks::Leak;
use keyward_registry::members;
use keyward_testkit::registry_world::*;

fn id(number: u32) -> KeyId {
    key_id(Environment::Live, number)
}

fn leaked(id: KeyId, key_hash: KeyHash, place: &str) -> LeakedKey {
    LeakedKey { id, key_hash, place: Some(place.to_owned()) }
}

fn report(keys: Vec<LeakedKey>) -> LeakReport {
    LeakReport {
        id: "leak_0123456789abcdef".to_owned(),
        source: LeakSource::GitHub,
        found_at: None,
        note: None,
        keys,
        request: RequestMeta { request_id: "req-1".to_owned(), client_address: Some("192.0.2.7".to_owned()) },
    }
}

/// Sends a report, and returns the number of audit entries that it made.
fn send(world: &mut World, report: &LeakReport) -> u64 {
    let before = head(&mut world.store).unwrap().seq;
    let request = Request::Leak(Box::new(report.clone()));
    let answered = keyward_control::answer(&mut world.store, request, &world.policy, "random", world.now).unwrap();
    assert!(matches!(answered, RawResponse::Reported), "{answered:?}");
    head(&mut world.store).unwrap().seq - before
}

fn key(world: &mut World, number: u32) -> KeyView {
    match world.done(owner(), show(&id(number))) {
        Outcome::Key(key) => *key,
        other => panic!("{other:?}"),
    }
}

fn listed(world: &mut World, by: Caller, limit: u32, cursor: Option<String>) -> (Vec<Leak>, Option<String>) {
    match world.done(by, Command::ListLeaks { limit, cursor }) {
        Outcome::Leaks { items, next_cursor } => (items, next_cursor),
        other => panic!("{other:?}"),
    }
}

fn leaks(world: &mut World) -> Vec<Leak> {
    listed(world, owner(), 200, None).0
}

fn entries(world: &mut World, count: u64) -> Vec<String> {
    let size = head(&mut world.store).unwrap().seq;
    let entries = audit_after(&mut world.store, size - count, 10).unwrap();
    entries.into_iter().map(|entry| format!("{} {}", entry.actor, entry.action)).collect()
}

fn world() -> World {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    world.issue(2, live("shop"));
    world
}

#[test]
fn every_genuine_key_of_a_report_is_revoked_with_the_report_as_its_reason() {
    let mut world = world();
    let sent = report(vec![leaked(id(1), hash(9), "a"), leaked(id(2), hash(9), "b"), leaked(id(1), hash(9), "c")]);
    assert_eq!(send(&mut world, &sent), 3);
    assert_eq!(entries(&mut world, 3), ["holder key.revoke", "holder key.revoke", "holder leak.report"]);
    for number in [1, 2] {
        let key = key(&mut world, number);
        assert_eq!(key.status, Status::Revoked);
        assert_eq!(key.revoke_reason.as_deref(), Some("Found by GitHub's secret scanning"));
    }
    let found = leaks(&mut world);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].id.as_str(), found[0].source), (sent.id.as_str(), LeakSource::GitHub));
    let items: Vec<_> =
        found[0].items.iter().map(|item| (item.key_id.clone(), item.place.clone(), item.was_active)).collect();
    assert_eq!(items, [(id(1), Some("a".to_owned()), true), (id(2), Some("b".to_owned()), true)]);
    assert_eq!(found[0].items[0].revoked_at, Some(world.now));
}

#[test]
fn a_right_id_with_a_wrong_secret_does_nothing() {
    let mut world = world();
    let member = world.add_member(Role::Manager, None);
    let Caller::Credential { id: member, .. } = member else { panic!() };
    let before = world.store.dump();
    for keys in [
        vec![],
        vec![leaked(id(1), hash(8), "a")],
        vec![leaked(id(77), hash(9), "a")],
        vec![leaked(member, hash(8), "a")],
        vec![leaked(member_id("nobody"), hash(9), "a")],
    ] {
        assert_eq!(send(&mut world, &report(keys)), 0);
        assert_eq!(world.store.dump(), before);
    }
    // A wrong secret before the right one does not shield the key.
    assert_eq!(send(&mut world, &report(vec![leaked(id(1), hash(8), "a"), leaked(id(1), hash(9), "b")])), 2);
}

#[test]
fn a_replayed_report_stores_nothing_and_a_new_place_does_up_to_a_limit() {
    let mut world = world();
    assert_eq!(send(&mut world, &report(vec![leaked(id(1), hash(9), "a")])), 2);
    let before = world.store.dump();
    let revoked_at = key(&mut world, 1).revoked_at;
    world.later(60);
    assert_eq!(send(&mut world, &report(vec![leaked(id(1), hash(9), "a")])), 0);
    assert_eq!(world.store.dump(), before);
    for number in 0..100 {
        let again = LeakReport {
            id: format!("leak_{number:016}"),
            ..report(vec![leaked(id(1), hash(9), &format!("place {number}"))])
        };
        assert_eq!(send(&mut world, &again), u64::from(number < 19), "{number}");
    }
    assert_eq!(leaks(&mut world).len(), 20);
    assert_eq!(key(&mut world, 1).revoked_at, revoked_at, "the first revocation stays");
    let items: Vec<bool> = leaks(&mut world).iter().map(|leak| leak.items[0].was_active).collect();
    assert_eq!(items.iter().filter(|was_active| **was_active).count(), 1);
}

#[test]
fn a_leaked_credential_of_a_member_is_revoked() {
    let mut world = world();
    let Caller::Credential { id, key_hash } = world.add_member(Role::Manager, None) else { panic!() };
    assert_eq!(send(&mut world, &report(vec![leaked(id.clone(), key_hash.clone(), "a")])), 2);
    assert_eq!(entries(&mut world, 2), ["holder member.revoke", "holder leak.report"]);
    let refused = world.ask(Caller::Credential { id, key_hash }, Command::Me).unwrap();
    assert!(matches!(refused, Response::Refused(_)), "{refused:?}");
}

#[test]
fn a_leaked_credential_that_its_owner_has_replaced_ends_only_the_handover() {
    let mut world = world();
    let caller = world.add_member(Role::Owner, None);
    let Caller::Credential { id, key_hash } = caller.clone() else { panic!() };
    world.done(caller, rotate_member(id.clone(), 8));
    assert_eq!(send(&mut world, &report(vec![leaked(id.clone(), key_hash.clone(), "a")])), 2);
    assert_eq!(entries(&mut world, 2), ["holder member.end_handover", "holder leak.report"]);
    let member = members::find(&mut world.store, &id).unwrap().unwrap();
    assert_eq!(member.status(world.now), Status::Active);
    assert!(matches!(
        world.ask(Caller::Credential { id: id.clone(), key_hash }, Command::Me).unwrap(),
        Response::Refused(_)
    ));
    world.done(Caller::Credential { id, key_hash: hash(8) }, Command::Me);
}

/// A file's history shows both. The old one first must not shield the new one.
#[test]
fn a_report_with_both_credentials_of_a_member_revokes_the_member_whichever_comes_first() {
    for old_first in [true, false] {
        let mut world = world();
        let caller = world.add_member(Role::Owner, None);
        let Caller::Credential { id, key_hash } = caller.clone() else { panic!() };
        world.done(caller, rotate_member(id.clone(), 8));
        let mut keys = vec![leaked(id.clone(), key_hash, "a"), leaked(id.clone(), hash(8), "b")];
        if !old_first {
            keys.reverse();
        }
        assert_eq!(send(&mut world, &report(keys)), 2);
        assert_eq!(entries(&mut world, 2), ["holder member.revoke", "holder leak.report"]);
        let member = members::find(&mut world.store, &id).unwrap().unwrap();
        assert_eq!(member.status(world.now), Status::Revoked);
        assert_eq!(leaks(&mut world)[0].items.len(), 1);
    }
}

#[test]
fn a_text_is_looked_up_once_however_often_it_was_sent() {
    let mut world = world();
    let reads = world.store.reads;
    assert_eq!(send(&mut world, &report(vec![leaked(id(77), hash(9), "a"); 1_000])), 0);
    assert!(world.store.reads - reads < 10, "{}", world.store.reads - reads);
}

#[test]
fn a_limited_member_sees_the_keys_of_their_environment_and_no_members() {
    let mut world = world();
    let Caller::Credential { id: manager, key_hash } = world.add_member(Role::Manager, None) else { panic!() };
    send(&mut world, &report(vec![leaked(id(1), hash(9), "a"), leaked(manager, key_hash, "b")]));
    let live = world.add_member(Role::Responder, Some(r#"["live"]"#));
    let test = world.add_member(Role::Auditor, Some(r#"["test"]"#));
    let (found, _) = listed(&mut world, live.clone(), 50, None);
    assert_eq!(found[0].items.iter().map(|item| &item.key_id).collect::<Vec<_>>(), [&id(1)]);
    assert!(listed(&mut world, test.clone(), 50, None).0.is_empty());
    let show = Command::ShowLeak { id: found[0].id.clone() };
    assert!(matches!(world.done(live, show.clone()), Outcome::Leak(leak) if leak.items.len() == 1));
    assert_eq!(world.refused(test, show), Rejection::NotFound);
    assert_eq!(world.refused(owner(), Command::ShowLeak { id: "leak_x".to_owned() }), Rejection::NotFound);
}

#[test]
fn a_page_ends_at_its_size_and_at_a_thousand_keys() {
    let mut world = World::with_owner();
    for number in 1..=3 {
        world.issue(number, live(&format!("i{number}")));
        send(
            &mut world,
            &LeakReport { id: format!("leak_{number:016}"), ..report(vec![leaked(id(number), hash(9), "a")]) },
        );
    }
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let (items, next) = listed(&mut world, owner(), 1, cursor);
        seen.extend(items.into_iter().map(|leak| leak.id));
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["leak_0000000000000003", "leak_0000000000000002", "leak_0000000000000001"]);
}

#[test]
fn a_failed_write_undoes_the_whole_report() {
    use keyward_testkit::sqlite_store::Fault;
    let sent = report(vec![leaked(id(1), hash(9), "a"), leaked(id(2), hash(9), "b")]);
    let faults = (1..=12).flat_map(|at| [Fault::BeforeWrite(at), Fault::AfterWrite(at), Fault::Read(at)]);
    let mut failures = 0;
    for fault in faults.chain([Fault::BeforeCommit]) {
        let mut world = world();
        let before = world.store.dump();
        world.store.fail_at(Some(fault));
        let request = Request::Leak(Box::new(sent.clone()));
        let answered = keyward_control::answer(&mut world.store, request, &world.policy, "random", world.now);
        world.store.fail_at(None);
        if answered.is_err() {
            failures += 1;
            assert_eq!(world.store.dump(), before, "{fault:?}");
        }
    }
    assert!(failures > 10, "{failures}");
}

#[test]
fn a_report_costs_the_same_however_many_keys_and_reports_there_are() {
    let mut world = World::with_owner();
    let cost = |world: &mut World, number: u32| {
        world.issue(number, live(&format!("i{number}")));
        world.store.costs.clear();
        let sent = LeakReport { id: format!("leak_{number:016}"), ..report(vec![leaked(id(number), hash(9), "a")]) };
        assert_eq!(send(world, &sent), 2);
        let costs = &world.store.costs;
        assert!(costs.iter().all(|cost| cost.scanned == 0 && cost.sorts == 0), "{costs:?}");
        costs.iter().map(|cost| cost.steps).sum::<i32>()
    };
    let first = cost(&mut world, 1);
    for number in 2..=150 {
        cost(&mut world, number);
    }
    let last = cost(&mut world, 151);
    assert!(last <= first + 60, "{first} steps, then {last}");
}

#[test]
fn keys_in_reports_are_counted_by_what_became_of_them() {
    let mut world = world();
    send(&mut world, &report(vec![leaked(id(1), hash(9), "a"), leaked(id(2), hash(9), "b")]));
    let again = report(vec![leaked(id(1), hash(9), "c")]);
    send(
        &mut world,
        &LeakReport { id: "leak_0123456789abcdeg".to_owned(), source: LeakSource::Public, ..again.clone() },
    );
    send(&mut world, &again);
    let counted: Vec<(String, u64)> = keyward_registry::metrics::read(&mut world.store, world.now)
        .unwrap()
        .into_iter()
        .filter(|sample| sample.family == "leak_reports" && sample.value > 0)
        .map(|sample| (sample.labels, sample.value))
        .collect();
    let expected = [(r#"source="github",result="revoked""#, 2), (r#"source="public",result="not_active""#, 1)];
    assert_eq!(counted, expected.map(|(labels, count)| (labels.to_owned(), count)));
}

/// An alert with `increase()` misses the first report of a series that appears with it.
#[test]
fn every_series_of_reports_begins_at_0() {
    let mut world = world();
    let counted = |world: &mut World| -> Vec<(String, u64)> {
        let samples = keyward_registry::metrics::read(&mut world.store, world.now).unwrap().into_iter();
        samples.filter(|sample| sample.family == "leak_reports").map(|sample| (sample.labels, sample.value)).collect()
    };
    let mut expected: Vec<(String, u64)> = Vec::new();
    for source in ["github", "gitlab", "public"] {
        for result in ["revoked", "not_active"] {
            expected.push((format!(r#"source="{source}",result="{result}""#), 0));
        }
    }
    assert_eq!(counted(&mut world), expected);
    send(&mut world, &report(vec![leaked(id(1), hash(9), "a")]));
    expected[0].1 = 1;
    let (mut after, mut expected) = (counted(&mut world), expected);
    after.sort();
    expected.sort();
    assert_eq!(after, expected, "each series is told once");
}
