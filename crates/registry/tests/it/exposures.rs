//! Exposures: recorded for the right secret only, once per key, kind and hour.

use keyward_key::id::Environment;
use keyward_protocol::role::Role;
use keyward_protocol::{Caller, ExposureReport, KeyView, Rejection, SubmittedHash};
use keyward_registry::audit::audit_after;
use keyward_registry::exposures::KEPT_EXPOSURES;
use keyward_testkit::registry_world::*;
use keyward_testkit::sqlite_store::Fault;
use serde_json::{Value as Json, json};

fn world() -> World {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    world
}

fn key(world: &mut World, number: u32) -> KeyView {
    match world.done(owner(), show(&key_id(Environment::Live, number))) {
        Outcome::Key(key) => *key,
        other => panic!("{other:?}"),
    }
}

fn listed(world: &mut World, limit: u32, cursor: Option<String>) -> (Vec<Json>, Option<String>) {
    let id = key_id(Environment::Live, 1);
    match world.done(owner(), Command::ListExposures { id, limit, cursor }) {
        Outcome::Exposures { items, next_cursor } => (items, next_cursor),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_exposure_is_recorded_with_its_kind_time_route_and_network() {
    let mut world = world();
    let revision = key(&mut world, 1).revision;
    world.later(60);
    assert_eq!(world.expose(&exposure(1, ExposureKind::Url)), 1);
    let shown = key(&mut world, 1);
    assert_eq!(shown.exposed_at.as_deref(), Some("2026-11-23T14:03:03.004Z"));
    assert_eq!(shown.revision, revision, "nothing that the gate decides by has changed");
    let expected = json!({
        "kind": "url", "at": "2026-11-23T14:03:03.004Z", "route": "GET /v1/contacts/*", "network": "192.0.2.0/24",
    });
    assert_eq!(listed(&mut world, 50, None), (vec![expected], None));
    let entry = audit_after(&mut world.store, 2, 1).unwrap().remove(0);
    assert_eq!((entry.actor.as_str(), entry.action.as_str()), ("keyward", "key.expose"));
    assert_eq!(entry.subject, "wafl_live_000000000001");
    let detail = json!({
        "kind": "url", "route": "GET /v1/contacts/*", "network": "192.0.2.0/24", "request_id": "req-7", "client_address": null,
    });
    assert_eq!(Json::Object(entry.detail), detail);
}

#[test]
fn a_report_without_the_right_secret_of_an_existing_key_changes_nothing() {
    let mut world = world();
    let wrong = SubmittedHash { id: key_id(Environment::Live, 1), key_hash: hash(8) };
    let absent = SubmittedHash { id: key_id(Environment::Live, 2), key_hash: hash(9) };
    let other_environment = SubmittedHash { id: key_id(Environment::Test, 1), key_hash: hash(9) };
    let member = SubmittedHash { id: owner_id(), key_hash: hash(8) };
    let before = world.store.dump();
    for key in [wrong, absent, other_environment, member] {
        assert_eq!(world.expose(&ExposureReport { keys: vec![key], ..exposure(1, ExposureKind::Url) }), 0);
    }
    assert_eq!(world.expose(&ExposureReport { keys: Vec::new(), ..exposure(1, ExposureKind::Url) }), 0);
    assert_eq!(world.store.dump(), before);
}

#[test]
fn an_exposure_of_a_revoked_or_expired_key_changes_nothing() {
    let mut world = world();
    world.issue(2, live("shop"));
    world.revoke(&key_id(Environment::Live, 1), "leaked");
    world.later(90 * DAY);
    for number in [1, 2] {
        assert_eq!(world.expose(&exposure(number, ExposureKind::Url)), 0);
    }
}

#[test]
fn each_kind_is_recorded_once_per_key_and_hour() {
    let mut world = world();
    world.issue(2, live("shop"));
    for kind in ExposureKind::ALL {
        assert_eq!(world.expose(&exposure(1, kind)), 1);
    }
    assert_eq!(world.expose(&exposure(2, ExposureKind::Url)), 1, "another key");
    let first = key(&mut world, 1).exposed_at;
    // 14:59:59.004, in the same hour.
    world.later(57 * 60 + 56);
    for kind in ExposureKind::ALL {
        assert_eq!(world.expose(&exposure(1, kind)), 0);
    }
    world.later(1);
    assert_eq!(world.expose(&exposure(1, ExposureKind::Url)), 1, "the next hour");
    assert_eq!(key(&mut world, 1).exposed_at, first, "the first one since the issue");
    world.later(-2 * 3_600);
    assert_eq!(world.expose(&exposure(1, ExposureKind::Url)), 0, "the clock stepped back");
}

#[test]
fn one_report_names_at_most_four_keys() {
    let mut world = World::with_owner();
    let keys = (1..=5).map(|number| {
        world.issue(number, live(&format!("crm-{number}")));
        SubmittedHash { id: key_id(Environment::Live, number), key_hash: hash(9) }
    });
    let report = ExposureReport { keys: keys.collect(), ..exposure(1, ExposureKind::Url) };
    assert_eq!(world.expose(&report), 4);
}

#[test]
fn a_members_credential_has_an_audit_entry_once_per_hour() {
    let mut world = World::with_owner();
    let Caller::Credential { id, key_hash } = world.add_member(Role::Manager, None) else { panic!("no credential") };
    let report = ExposureReport {
        keys: vec![SubmittedHash { id: id.clone(), key_hash }],
        route: None,
        ..exposure(1, ExposureKind::Browser)
    };
    assert_eq!((world.expose(&report), world.expose(&report)), (1, 0));
    let size = keyward_registry::audit::head(&mut world.store).unwrap().seq;
    let entry = audit_after(&mut world.store, size - 1, 1).unwrap().remove(0);
    assert_eq!((entry.action.as_str(), entry.subject.as_str()), ("member.expose", id.as_str()));
    world.member(revoke_member(id));
    world.later(3_600);
    assert_eq!(world.expose(&report), 0, "a revoked credential is nothing to protect");
}

#[test]
fn a_dismissal_ends_the_exposure_until_the_next_request_even_in_the_same_hour() {
    let mut world = world();
    assert_eq!(world.expose(&exposure(1, ExposureKind::Url)), 1);
    world.later(1);
    let Outcome::ExposureDismissed(dismissed) = world.done(owner(), dismiss_exposure(1)) else { panic!("no key") };
    assert_eq!(dismissed.exposed_at, None);
    let entry = world.last_entry();
    assert_eq!((entry.1.as_str(), entry.3), ("key.dismiss_exposure", json!({"reason": "a test page"})));
    let before = world.store.dump();
    world.done(owner(), dismiss_exposure(1));
    assert_eq!(world.store.dump(), before, "a second dismissal writes nothing");
    world.later(1);
    assert_eq!(world.expose(&exposure(1, ExposureKind::Url)), 1);
    assert_eq!(world.expose(&exposure(1, ExposureKind::Url)), 0);
    assert_eq!(key(&mut world, 1).exposed_at, Some(world.now.rfc3339()));
    assert_eq!(listed(&mut world, 50, None).0.len(), 2, "the list keeps both");
}

#[test]
fn owners_and_responders_dismiss_exposures_of_keys_that_they_see() {
    let mut world = world();
    world.expose(&exposure(1, ExposureKind::Url));
    for (role, environments, refused) in [
        (Role::Manager, None, Rejection::Forbidden),
        (Role::Auditor, None, Rejection::Forbidden),
        (Role::Verifier, None, Rejection::Forbidden),
        (Role::Responder, Some(r#"["test"]"#), Rejection::NotFound),
    ] {
        let caller = world.add_member(role, environments);
        assert_eq!(world.refused(caller, dismiss_exposure(1)), refused, "{role:?}");
    }
    let responder = world.add_member(Role::Responder, None);
    world.done(responder, dismiss_exposure(1));
}

#[test]
fn the_list_is_paged_newest_first_and_the_oldest_rows_are_deleted() {
    let mut world = world();
    for _ in 0..KEPT_EXPOSURES + 3 {
        world.expose(&exposure(1, ExposureKind::Http));
        world.later(3_600);
    }
    let (mut found, mut cursor) = listed(&mut world, 200, None);
    while let Some(next) = cursor {
        let (items, after) = listed(&mut world, 200, Some(next));
        found.extend(items);
        cursor = after;
    }
    assert_eq!(found.len(), KEPT_EXPOSURES as usize);
    let times: Vec<&str> = found.iter().map(|exposure| exposure["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|one, next| one > next));
    assert_eq!(key(&mut world, 1).exposed_at.as_deref(), Some("2026-11-23T14:02:03.004Z"));
}

#[test]
fn a_list_can_be_limited_to_exposed_keys() {
    let mut world = world();
    world.issue(2, live("shop"));
    world.expose(&exposure(1, ExposureKind::Url));
    let mut names = |exposed: Option<bool>| {
        let filter = KeyFilter { exposed, ..KeyFilter::default() };
        match world.done(owner(), list(filter, 50, None)) {
            Outcome::Keys { items, .. } => items.into_iter().map(|key| key.attributes.integration).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(names(Some(true)), ["crm"]);
    assert_eq!(names(Some(false)), ["shop"]);
    assert_eq!(names(None), ["shop", "crm"]);
}

#[test]
fn a_report_costs_a_bounded_number_of_rows_however_many_exposures_there_are() {
    let mut world = world();
    let cost = |world: &mut World| {
        world.store.costs.clear();
        world.expose(&exposure(1, ExposureKind::Http));
        world.later(3_600);
        let costs = std::mem::take(&mut world.store.costs);
        assert!(costs.iter().all(|cost| cost.scanned == 0 && cost.sorts == 0), "{costs:?}");
        costs.iter().map(|cost| cost.steps).sum::<i32>()
    };
    cost(&mut world);
    let few = cost(&mut world);
    for _ in 0..400 {
        cost(&mut world);
    }
    let many = cost(&mut world);
    assert!(many <= few + 20, "{few} {many}");
}

#[test]
fn a_failing_store_records_nothing_of_a_report() {
    let mut world = world();
    world.issue(2, live("shop"));
    let second = SubmittedHash { id: key_id(Environment::Live, 2), key_hash: hash(9) };
    let mut report = exposure(1, ExposureKind::Url);
    report.keys.push(second);
    let before = world.store.dump();
    for write in 1..=10 {
        for fault in [Fault::BeforeWrite(write), Fault::AfterWrite(write), Fault::BeforeCommit] {
            world.store.fail_at(Some(fault));
            let request = keyward_protocol::Request::Expose(Box::new(report.clone()));
            let answered = keyward_control::answer(&mut world.store, request, &world.policy, "random", world.now);
            assert!(answered.is_err(), "{fault:?}");
            assert_eq!(world.store.dump(), before, "{fault:?}");
        }
    }
    world.store.fail_at(None);
    assert_eq!(world.expose(&report), 2);
}
