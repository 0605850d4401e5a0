//! Limits that were reached: announced once an hour for each key and limit.

use keyward_control::authority::answer;
use keyward_key::id::{Environment, KeyId};
use keyward_key::limit::{Limit, Period, Span};
use keyward_protocol::{LimitedReport, Request, Response};
use keyward_registry::audit::audit_after;
use keyward_testkit::registry_world::*;
use serde_json::{Value as Json, json};

use super::events::pending;

fn burst() -> Limit {
    Limit::new("burst".to_owned(), 100, Span::Seconds(60)).unwrap()
}

fn monthly() -> Limit {
    Limit::new("monthly".to_owned(), 5_000, Span::Period(Period::Month)).unwrap()
}

/// Reports that these limits were reached. Returns the entries that this adds to the audit log.
fn reach(world: &mut World, id: &KeyId, limits: &[Limit]) -> Vec<Json> {
    let before = audit_after(&mut world.store, 0, 200).unwrap().len();
    let report = LimitedReport { id: id.clone(), limits: limits.to_vec(), request_id: "req-7".to_owned() };
    let request = Request::Limited(Box::new(report));
    let answered = answer(&mut world.store, request, &world.policy, "abcdefghijklmnop", world.now).unwrap();
    assert!(matches!(answered, Response::Reported), "{answered:?}");
    let entries = audit_after(&mut world.store, 0, 200).unwrap();
    entries
        .into_iter()
        .skip(before)
        .map(|entry| {
            assert_eq!((entry.actor.as_str(), entry.action.as_str()), ("keyward", "key.reach_limit"));
            assert_eq!(entry.subject, id.as_str());
            Json::Object(entry.detail)
        })
        .collect()
}

fn world() -> (World, KeyId) {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    (world, key_id(Environment::Live, 1))
}

#[test]
fn each_limit_is_announced_with_its_numbers_once_an_hour() {
    let (mut world, id) = world();
    let minute =
        json!({"limit": "burst", "requests": 100, "seconds": 60, "request_id": "req-7", "client_address": null});
    let month = json!({"limit": "monthly", "requests": 5_000, "period": "month", "request_id": "req-7", "client_address": null});
    assert_eq!(reach(&mut world, &id, &[burst()]), vec![minute.clone()]);
    assert_eq!(reach(&mut world, &id, &[burst(), monthly(), monthly()]), vec![month.clone()]);
    world.later(3_599);
    assert!(reach(&mut world, &id, &[burst(), monthly()]).is_empty());
    world.later(1);
    assert_eq!(reach(&mut world, &id, &[burst(), monthly()]), vec![minute, month]);
}

#[test]
fn the_event_names_the_key_and_the_limit() {
    let (mut world, id) = world();
    reach(&mut world, &id, &[burst()]);
    let event = pending(&mut world).pop().unwrap();
    assert_eq!((event.kind.as_str(), event.environment), ("key.limited", Some(Environment::Live)));
    let shown = ["key_id", "integration", "limit", "requests", "seconds"].map(|name| event.data[name].clone());
    assert_eq!(shown, [json!(id.as_str()), json!("crm"), json!("burst"), json!(100), json!(60)]);
}

#[test]
fn a_key_that_is_unknown_or_final_is_not_announced() {
    let (mut world, id) = world();
    world.done(owner(), issue_by_claim(4, live("mail")));
    world.revoke(&id, "leaked");
    let before = world.store.dump();
    for id in [id, key_id(Environment::Live, 4), key_id(Environment::Live, 9)] {
        assert!(reach(&mut world, &id, &[burst()]).is_empty());
    }
    assert_eq!(world.store.dump(), before);
}
