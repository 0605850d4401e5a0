//! Reports of GitHub that wait for its list of keys: they are kept once and in a bounded number, and the alarm judges them.

use keyward_key::id::Environment;
use keyward_key::keyring::Generation;
use keyward_key::time::Millis;
use keyward_protocol::{LeakReport, LeakSource, LeakedKey, PendingReport, Request, RequestMeta};
use keyward_registry::object::{Judged, RegistryObject};
use keyward_registry::pending_reports::{KEPT_MS, is_any};
use keyward_testkit::registry_world::*;

use crate::object::{Platform, SECRET, poll, ready};

fn meta() -> RequestMeta {
    RequestMeta { request_id: "req-1".to_owned(), client_address: Some("192.0.2.7".to_owned()) }
}

pub fn pending(number: u32) -> PendingReport {
    PendingReport {
        digest: format!("{number:064x}"),
        identifier: "one".to_owned(),
        signature: "07".repeat(64),
        sealed_under: Generation::from_stored("1f2e3d4c").unwrap(),
        sealed: "c2VhbGVk".to_owned(),
        request: meta(),
    }
}

fn message(report: PendingReport) -> String {
    serde_json::to_string(&Request::KeepReport(Box::new(report))).unwrap()
}

fn kept(platform: &Platform) -> usize {
    platform.0.world.borrow_mut().store.dump()["pending_reports"].as_array().unwrap().len()
}

fn later(platform: &Platform, milliseconds: i64) {
    platform.0.now.set(Millis(platform.0.now.get().0 + milliseconds));
}

/// Runs the alarm to its end.
fn run(object: &RegistryObject<Platform>) {
    let mut work = std::pin::pin!(object.alarm());
    for _ in 0..100 {
        if poll(work.as_mut()).is_ready() {
            return;
        }
    }
    panic!("the alarm does not end");
}

fn leak_of(number: u32) -> LeakReport {
    let id = key_id(Environment::Live, number);
    let key = LeakedKey { id, key_hash: hash(9), place: None };
    LeakReport {
        id: "leak_0123456789abcdef".to_owned(),
        source: LeakSource::GitHub,
        found_at: None,
        note: None,
        keys: vec![key],
        request: meta(),
    }
}

#[test]
fn a_report_is_kept_once_and_at_most_a_hundred_wait() {
    let platform = Platform::new(World::with_owner());
    let object = platform.start(SECRET, None);
    for number in (0..150).chain(0..150) {
        let answer = ready(object.fetch(&message(pending(number)))).unwrap();
        assert_eq!(answer, r#""reported""#);
    }
    assert_eq!(kept(&platform), 100);
    let long = PendingReport { sealed: "x".repeat(1_400_001), ..pending(1_000) };
    let platform = Platform::new(World::with_owner());
    ready(platform.start(SECRET, None).fetch(&message(long))).unwrap();
    assert_eq!(kept(&platform), 0);
}

#[test]
fn a_report_waits_for_the_list_and_is_then_judged_as_if_it_arrived() {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    let platform = Platform::new(world);
    let object = platform.start(SECRET, None);
    ready(object.fetch(&message(pending(1)))).unwrap();
    assert_eq!(platform.0.alarm.get(), Some(1_000), "judged soon");
    platform.drop_spawned();
    run(&object);
    assert_eq!((kept(&platform), platform.0.alarm.get()), (1, Some(2_000)));
    // Another instance of the object finds the report.
    let object = platform.start(SECRET, None);
    platform.0.alarm.set(None);
    ready(object.fetch(crate::object::SNAPSHOT)).unwrap();
    assert_eq!(platform.0.alarm.get(), Some(1_000));
    platform.drop_spawned();
    later(&platform, 60_000);
    platform.0.judgements.borrow_mut().push_back(Judged::Genuine(vec![leak_of(1)]));
    run(&object);
    assert_eq!(kept(&platform), 0);
    let dump = platform.0.world.borrow_mut().store.dump();
    assert_eq!((&dump["keys"][0]["state"], dump["leaks"].as_array().unwrap().len()), (&"revoked".into(), 1));
    assert_eq!(dump["leaks"][0]["received_at"], platform.0.now.get().0);
    assert_eq!(platform.pending(), 0, "the copy of the revoked key is written");
    let news = serde_json::to_string(&*platform.0.news.borrow()).unwrap();
    assert!(news.contains("leak.reported"), "{news}");
}

#[test]
fn an_invalid_report_is_deleted_and_does_not_delay_the_next() {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    let platform = Platform::new(world);
    let object = platform.start(SECRET, None);
    for number in 1..=3 {
        ready(object.fetch(&message(pending(number)))).unwrap();
    }
    platform.drop_spawned();
    let damage = "UPDATE pending_reports SET report = 'x' WHERE digest = ?";
    platform.0.world.borrow_mut().store.connection.execute(damage, [&pending(1).digest]).unwrap();
    platform.0.judgements.borrow_mut().extend([Judged::Invalid("wrong"), Judged::Genuine(vec![leak_of(1)])]);
    run(&object);
    assert_eq!(kept(&platform), 0);
    assert_eq!(platform.0.log.borrow().iter().filter(|event| *event == "leak_report_dropped").count(), 2);
    assert_eq!(platform.0.world.borrow_mut().store.dump()["keys"][0]["state"], "revoked");
}

#[test]
fn a_report_waits_for_a_day_at_most() {
    let platform = Platform::new(World::with_owner());
    let object = platform.start(SECRET, None);
    ready(object.fetch(&message(pending(1)))).unwrap();
    platform.drop_spawned();
    later(&platform, KEPT_MS - 1);
    run(&object);
    assert_eq!(kept(&platform), 1);
    later(&platform, 1);
    platform.0.judgements.borrow_mut().push_back(Judged::Genuine(vec![leak_of(1)]));
    run(&object);
    assert_eq!(kept(&platform), 0);
    assert!(!is_any(&mut platform.0.world.borrow_mut().store).unwrap());
    assert!(platform.0.log.borrow().contains(&"leak_report_dropped".to_owned()));
    assert_eq!(platform.0.judgements.borrow().len(), 1, "it is not judged any more");
}
