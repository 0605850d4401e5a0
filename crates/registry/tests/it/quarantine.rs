//! Quarantine: an exposed key is refused until it is released, and revoked after 72 hours.

use std::rc::Rc;

use keyward_key::id::{Environment, KeyId};
use keyward_key::version::{ReadError, read};
use keyward_protocol::feed::{FeedPage, FeedQuery};
use keyward_protocol::role::Role;
use keyward_protocol::{KeyView, Rejection, Request, Response as RawResponse, Status};
use keyward_registry::audit::{audit_after, head};
use keyward_registry::context::Policy;
use keyward_registry::object::RegistryObject;
use keyward_registry::quarantine::{END, RELEASE_SECONDS};
use keyward_registry::{due, keys, outbox};
use keyward_testkit::registry_world::*;

use super::object::{Platform, SECRET, ready, settings};

fn id(number: u32) -> KeyId {
    key_id(Environment::Live, number)
}

/// A world whose exposed keys are quarantined, with live key 1 of `crm`.
fn world() -> World {
    let mut world = World::with_owner();
    world.policy.on_exposure = quarantine_all();
    world.issue(1, live("crm"));
    world
}

fn quarantine_all() -> OnExposure {
    let quarantine = ExposureAction::Quarantine;
    OnExposure { url: quarantine, browser: quarantine, http: quarantine }
}

fn key(world: &mut World, number: u32) -> KeyView {
    match world.done(owner(), show(&id(number))) {
        Outcome::Key(key) => *key,
        other => panic!("{other:?}"),
    }
}

fn is_quarantined(world: &mut World, number: u32) -> bool {
    keys::lookup(&mut world.store, &id(number)).unwrap().unwrap().quarantined.is_some()
}

fn actions(world: &mut World, count: u64) -> Vec<String> {
    let size = head(&mut world.store).unwrap().seq;
    let entries = audit_after(&mut world.store, size - count, 10).unwrap();
    entries.into_iter().map(|entry| format!("{} {}", entry.actor, entry.action)).collect()
}

fn released(world: &mut World, number: u32) -> KeyView {
    match world.done(owner(), release(number)) {
        Outcome::KeyReleased { key, changed_at } => {
            assert_eq!(changed_at, world.now);
            *key
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_exposed_key_is_quarantined_like_any_change_of_it() {
    let mut world = world();
    let before = key(&mut world, 1).revision;
    outbox::done(&mut world.store, &id(1), before, &epoch(1)).unwrap();
    assert_eq!(world.expose(&exposure(1, ExposureKind::Browser)), 2);
    let shown = key(&mut world, 1);
    assert_eq!((shown.status, shown.revision), (Status::Quarantined, before + 2));
    assert_eq!(actions(&mut world, 2), ["keyward key.expose", "keyward key.quarantine"]);
    assert!(is_quarantined(&mut world, 1));
    let pending = outbox::pending(&mut world.store, 9).unwrap();
    assert!(pending.iter().any(|(record, revision)| record.quarantined.is_some() && *revision == shown.revision));
    let request = Request::Changes(FeedQuery::Snapshot { after: None });
    let answered = keyward_control::answer(&mut world.store, request, &world.policy, "random", world.now).unwrap();
    let RawResponse::Changes { changes: FeedPage::Snapshot { entries, .. }, .. } = answered else { panic!("no page") };
    let changes: Vec<_> = entries.iter().flatten().map(|(_, change)| change).collect();
    assert_eq!((changes.len(), changes[0].revision, changes[0].revoked), (1, shown.revision, false));
}

#[test]
fn each_kind_has_its_own_action() {
    for (kind, action, status, actor) in [
        (ExposureKind::Url, ExposureAction::Record, Status::Active, None),
        (ExposureKind::Browser, ExposureAction::Quarantine, Status::Quarantined, None),
        (ExposureKind::Http, ExposureAction::Revoke, Status::Revoked, Some("keyward")),
    ] {
        let mut world = World::with_owner();
        world.policy.on_exposure = OnExposure::default().with(kind, action);
        world.issue(1, live("crm"));
        world.expose(&exposure(1, kind));
        let shown = key(&mut world, 1);
        assert_eq!((shown.status, shown.revoked_by.as_deref()), (status, actor));
        assert_eq!(world.expose(&exposure(1, kind)), 0, "{kind:?}");
    }
}

#[test]
fn a_wrong_secret_quarantines_nobody() {
    let mut world = world();
    let mut report = exposure(1, ExposureKind::Url);
    report.keys[0].key_hash = hash(8);
    let before = world.store.dump();
    assert_eq!(world.expose(&report), 0);
    assert_eq!(world.store.dump(), before);
}

#[test]
fn a_quarantined_record_is_for_readers_that_know_quarantine_and_leaves_other_records_readable() {
    let mut world = world();
    world.issue(2, live("shop"));
    world.expose(&exposure(1, ExposureKind::Url));
    let request = Request::Lookup { ids: vec![id(1), id(2)] };
    let answered = keyward_control::answer(&mut world.store, request, &world.policy, "random", world.now).unwrap();
    let text = serde_json::to_string(&answered).unwrap();
    // The reader before had number 2.
    assert!(text.contains(r#"\"min_reader\":3"#) && !text.contains(r#""min_reader":"#), "{text}");
    let older = text.replace(r#"\"min_reader\":3"#, r#"\"min_reader\":4"#);
    let RawResponse::Records { records, .. } = read::<RawResponse>(&older).unwrap() else { panic!("no records") };
    assert!(matches!(records[0].record(), Err(ReadError::Newer(4))));
    assert!(records[1].record().unwrap().is_some());
}

#[test]
fn a_quarantined_key_keeps_its_integration_and_its_name() {
    let mut world = world();
    world.expose(&exposure(1, ExposureKind::Url));
    assert_eq!(world.refused(owner(), issue(2, live("crm"))), Rejection::IntegrationHasKey { id: id(1) });
    let same_name = KeyDraft { name: "crm sync".to_owned(), ..live("shop") };
    assert_eq!(world.refused(owner(), issue(2, same_name)), Rejection::NameTaken { id: id(1) });
}

#[test]
fn a_quarantined_key_cannot_be_changed_and_can_be_revoked() {
    let mut world = world();
    world.expose(&exposure(1, ExposureKind::Url));
    let changes = KeyChanges { name: Some("new".to_owned()), ..KeyChanges::default() };
    let refused = Rejection::NotActive { status: Status::Quarantined };
    assert_eq!(world.refused(owner(), update(1, changes)), refused);
    assert_eq!(world.revoke(&id(1), "leaked").status, Status::Revoked);
    assert_eq!(world.refused(owner(), release(1)), Rejection::NotQuarantined);
    world.later(RELEASE_SECONDS);
    let before = world.store.dump();
    END.run_if_due(&mut world.store, world.now).unwrap();
    assert_eq!(world.store.dump(), before, "nothing is due for a revoked key");
}

#[test]
fn a_quarantined_key_is_rotated_and_stays_refused_until_it_is_released() {
    let mut world = world();
    world.expose(&exposure(1, ExposureKind::Url));
    let (successor, old) = world.rotate(1, 2, 3_600);
    assert_eq!((successor.status, old.status), (Status::Active, Status::Quarantined));
    assert!(is_quarantined(&mut world, 1) && !is_quarantined(&mut world, 2));
    assert_eq!(world.refused(owner(), rotate(1, 3, 0)), Rejection::NotActive { status: Status::Retiring });
    let taken = Rejection::IntegrationHasKey { id: id(2) };
    assert_eq!(world.refused(owner(), issue(3, live("crm"))), taken, "the successor is the active key");
    assert_eq!(released(&mut world, 1).status, Status::Retiring);
    world.later(3_600);
    assert_eq!(key(&mut world, 1).status, Status::Expired);
}

#[test]
fn a_rotation_without_overlap_ends_a_quarantined_key() {
    let mut world = world();
    world.expose(&exposure(1, ExposureKind::Url));
    let (_, old) = world.rotate(1, 2, 0);
    assert_eq!(old.status, Status::Expired);
    assert_eq!(world.refused(owner(), release(1)), Rejection::NotQuarantined);
}

#[test]
fn a_retiring_key_is_quarantined_and_released_to_retiring() {
    let mut world = world();
    world.rotate(1, 2, 3_600);
    world.expose(&exposure(1, ExposureKind::Url));
    assert_eq!(key(&mut world, 1).status, Status::Quarantined);
    assert_eq!(released(&mut world, 1).status, Status::Retiring);
}

#[test]
fn owners_and_responders_release_a_key_within_72_hours() {
    let mut world = world();
    assert_eq!(world.refused(owner(), release(1)), Rejection::NotQuarantined, "it is active");
    world.expose(&exposure(1, ExposureKind::Url));
    for (role, environments, refused) in [
        (Role::Manager, None, Rejection::Forbidden),
        (Role::Auditor, None, Rejection::Forbidden),
        (Role::Responder, Some(r#"["test"]"#), Rejection::NotFound),
    ] {
        let caller = world.add_member(role, environments);
        assert_eq!(world.refused(caller, release(1)), refused, "{role:?}");
    }
    let now = world.now;
    world.now = now.plus_seconds(RELEASE_SECONDS);
    assert_eq!(world.refused(owner(), release(1)), Rejection::NotQuarantined, "the time is over");
    world.now = keyward_key::time::Millis(world.now.0 - 1);
    let key = released(&mut world, 1);
    assert_eq!(key.status, Status::Active);
    assert_eq!(actions(&mut world, 1), [format!("{} key.release", owner_id())]);
    assert!(!is_quarantined(&mut world, 1));
    assert_eq!(END.run_if_due(&mut world.store, now.plus_seconds(2 * RELEASE_SECONDS)), Ok(()));
    assert!(!is_quarantined(&mut world, 1), "nothing is due for a released key");
    world.add_member(Role::Responder, None);
}

#[test]
fn an_exposure_after_a_release_quarantines_again_even_in_the_same_hour() {
    let mut world = world();
    assert_eq!(world.expose(&exposure(1, ExposureKind::Url)), 2);
    assert_eq!(world.expose(&exposure(1, ExposureKind::Url)), 0);
    released(&mut world, 1);
    world.later(60);
    assert_eq!(world.expose(&exposure(1, ExposureKind::Url)), 1, "the exposure of this hour is recorded already");
    assert_eq!(actions(&mut world, 1), ["keyward key.quarantine"]);
    assert_eq!(key(&mut world, 1).status, Status::Quarantined);
    world.later(RELEASE_SECONDS - 1);
    assert_eq!(released(&mut world, 1).status, Status::Active, "the 72 hours began again");
}

#[test]
fn a_quarantined_key_that_expires_is_expired_and_cannot_be_released() {
    let mut world = world();
    let soon = KeyChanges { expires_at: Some(world.now.plus_seconds(60)), ..KeyChanges::default() };
    world.update(1, soon);
    world.expose(&exposure(1, ExposureKind::Url));
    world.later(60);
    assert_eq!(key(&mut world, 1).status, Status::Expired);
    assert_eq!(world.refused(owner(), release(1)), Rejection::NotQuarantined);
    let mut listed = |status: Status| {
        let filter = KeyFilter { status: Some(status), ..KeyFilter::default() };
        match world.done(owner(), list(filter, 50, None)) {
            Outcome::Keys { items, .. } => items.len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((listed(Status::Quarantined), listed(Status::Expired)), (0, 1));
    world.later(RELEASE_SECONDS);
    END.run_if_due(&mut world.store, world.now).unwrap();
    assert_eq!(key(&mut world, 1).status, Status::Revoked);
}

#[test]
fn a_list_of_one_status_has_quarantined_keys_under_their_own() {
    let mut world = world();
    world.issue(2, live("shop"));
    world.expose(&exposure(1, ExposureKind::Url));
    for (order, status, expected) in [
        (None, Status::Quarantined, vec!["crm"]),
        (None, Status::Active, vec!["shop"]),
        (KeyOrder::parse("name"), Status::Quarantined, vec!["crm"]),
        (KeyOrder::parse("name"), Status::Active, vec!["shop"]),
    ] {
        let filter = KeyFilter { status: Some(status), ..KeyFilter::default() };
        let command = match order {
            None => list(filter, 50, None),
            Some(order) => Command::SortKeys { filter, order, limit: 50, cursor: None },
        };
        let Outcome::Keys { items, .. } = world.done(owner(), command) else { panic!("no list") };
        let names: Vec<String> = items.into_iter().map(|key| key.attributes.integration).collect();
        assert_eq!(names, expected, "{order:?} {status:?}");
    }
}

#[test]
fn after_72_hours_the_alarm_revokes_what_nobody_released() {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    let platform = Platform::new(world);
    let settings = keyward_registry::object::ObjectSettings {
        policy: Policy { on_exposure: quarantine_all(), ..World::empty().policy },
        ..settings(SECRET, None)
    };
    let object = Rc::new(RegistryObject::new(platform.clone(), Some(settings)));
    let report = Request::Expose(Box::new(exposure(1, ExposureKind::Url)));
    ready(object.fetch(&serde_json::to_string(&report).unwrap())).unwrap();
    platform.run_spawned();
    platform.run_spawned();
    assert_eq!((platform.pending(), platform.0.alarm.get()), (0, Some(RELEASE_SECONDS * 1_000)));
    let written = platform.0.written.borrow().len();
    platform.0.now.set(platform.0.now.get().plus_seconds(RELEASE_SECONDS));
    // A platform may deliver an alarm twice.
    for _ in 0..2 {
        let mut alarm = std::pin::pin!(object.alarm());
        while super::object::poll(alarm.as_mut()).is_pending() {}
    }
    assert_eq!(platform.0.written.borrow().len(), written + 1, "the copy in KV says so");
    let mut world = platform.0.world.borrow_mut();
    let shown = key(&mut world, 1);
    assert_eq!((shown.status, shown.revoked_by.as_deref()), (Status::Revoked, Some("keyward")));
    assert_eq!(shown.revoke_reason.as_deref(), Some("Not released within 72 hours of its quarantine"));
    assert_eq!(actions(&mut world, 1), ["keyward key.revoke"]);
}

#[test]
fn the_end_of_many_quarantines_costs_a_bounded_number_of_rows_for_each_batch() {
    let mut world = world();
    for number in 2..=250 {
        world.issue(number, live(&format!("crm-{number}")));
        world.expose(&exposure(number, ExposureKind::Url));
    }
    world.later(RELEASE_SECONDS);
    for left in [149, 49, 0] {
        world.store.costs.clear();
        END.run_if_due(&mut world.store, world.now).unwrap();
        let scans: Vec<_> = world.store.costs.iter().filter(|cost| cost.scanned > 0 || cost.sorts > 0).collect();
        assert!(scans.is_empty(), "{scans:?}");
        let rows =
            world
                .store
                .connection
                .query_row("SELECT count(*) FROM keys WHERE state = 'quarantined'", [], |row| row.get(0));
        assert_eq!(rows, Ok(left));
    }
    assert_eq!(due::earliest(&mut world.store, &[END]), Ok(None));
}
