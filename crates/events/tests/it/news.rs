//! Which endpoints receive which events.

use keyward_key::id::Environment;
use keyward_protocol::events::{DeliveryStatus, News};

use super::world::*;

#[test]
fn an_event_reaches_every_subscriber_once_with_the_body_of_both_standards() {
    let mut world = World::new(vec![endpoint("a"), endpoint("b")]);
    let event = world.happen("key.revoked");
    world.pass(1_000);
    assert_eq!((world.arrived_at("a").len(), world.arrived_at("b").len()), (1, 1));
    let arrived = &world.arrived_at("a")[0];
    assert_eq!(arrived.id(), event.id);
    let body: serde_json::Value = serde_json::from_str(&arrived.body).unwrap();
    let expected = serde_json::json!({
        "specversion": "1.0", "id": event.id, "source": "https://gate.example/_keyward", "type": "key.revoked",
        "time": "2026-11-23T14:02:03.000Z", "timestamp": "2026-11-23T14:02:03.000Z",
        "datacontenttype": "application/json", "data": {"seq": 1, "audit_seq": 1},
    });
    assert_eq!(body, expected);
    world.pass(100 * 86_400_000);
    assert_eq!(world.arrived().len(), 2, "a delivered event is not sent again");
}

#[test]
fn a_message_that_arrives_twice_or_late_sends_nothing_again_and_changes_no_endpoint_back() {
    let mut world = World::new(vec![endpoint("a")]);
    let event = world.event("key.issued", None);
    let first = world.news(vec![event]);
    world.tell(first.clone());
    world.tell(first.clone());
    world.pass(1_000);
    assert_eq!(world.arrived().len(), 1);
    // The endpoint is deleted; the older message arrives once more, with an event that is new.
    world.endpoints.clear();
    world.seq = 5;
    world.tell(world.news(Vec::new()));
    let mut late = first;
    late.events = vec![world.event("key.issued", None)];
    world.tell(late);
    world.pass(1_000);
    assert_eq!(world.arrived().len(), 1, "no delivery to a deleted endpoint");
}

#[test]
fn a_list_of_a_later_epoch_wins_though_its_numbers_are_smaller() {
    let mut world = World::new(vec![endpoint("a")]);
    world.seq = 100;
    world.tell(world.news(Vec::new()));
    let restored = News { epoch: "2-b".to_owned(), at: 3, events: Vec::new(), endpoints: Vec::new() };
    world.tell(restored);
    // A message of the old epoch that arrives late.
    let event = world.event("key.issued", None);
    world.tell(world.news(vec![event]));
    world.pass(1_000);
    assert!(world.arrived().is_empty());
}

#[test]
fn types_and_environments_choose_events() {
    let narrow = keyward_protocol::events::Endpoint {
        types: Some(vec!["key.*".to_owned(), "member.created".to_owned()]),
        environments: Some(vec![Environment::Live]),
        ..endpoint("a")
    };
    let mut world = World::new(vec![narrow]);
    for (kind, environment) in [
        ("key.issued", Some(Environment::Live)),
        ("key.issued", Some(Environment::Test)),
        ("member.created", None),
        ("member.revoked", None),
    ] {
        let event = world.event(kind, environment);
        world.tell(world.news(vec![event]));
    }
    world.pass(1_000);
    let ids: Vec<String> = world.arrived().iter().map(|arrived| arrived.id().to_owned()).collect();
    assert_eq!(ids, ["evt_000000000000000000000001", "evt_000000000000000000000003"]);
}

#[test]
fn an_endpoint_receives_only_what_was_committed_after_it_was_enabled() {
    let pending = keyward_protocol::events::Endpoint { enabled_since: None, ..endpoint("a") };
    let mut world = World::new(vec![pending]);
    world.happen("key.issued");
    world.pass(1_000);
    assert!(world.arrived().is_empty(), "a pending endpoint receives nothing");
    let before = world.event("key.issued", None);
    world.seq += 1;
    world.endpoints[0].enabled_since = Some(world.seq);
    world.endpoints[0].revision = world.seq;
    let after = world.event("key.issued", None);
    world.tell(world.news(vec![before, after.clone()]));
    world.pass(1_000);
    let arrived = world.arrived();
    assert_eq!(arrived.iter().map(Arrived::id).collect::<Vec<_>>(), [after.id.as_str()]);
}

#[test]
fn nothing_is_sent_after_an_endpoint_was_deleted_or_disabled() {
    for deleted in [true, false] {
        let mut world = World::new(vec![endpoint("a")]);
        world.receiver("a", Receiver::Answers(500));
        world.happen("key.issued");
        world.pass(1_000);
        assert_eq!(world.arrived().len(), 1);
        world.seq += 1;
        if deleted {
            world.endpoints.clear();
        } else {
            world.endpoints[0].enabled_since = None;
            world.endpoints[0].revision = world.seq;
        }
        world.tell(world.news(Vec::new()));
        world.pass(100 * 86_400_000);
        assert_eq!(world.arrived().len(), 1, "deleted: {deleted}");
    }
}

#[test]
fn the_deliveries_of_a_deleted_endpoint_have_failed_and_are_still_listed() {
    let mut world = World::new(vec![endpoint("a")]);
    world.receiver("a", Receiver::Answers(500));
    world.happen("key.issued");
    world.pass(1_000);
    world.seq += 1;
    world.endpoints.clear();
    world.tell(world.news(Vec::new()));
    let page = world.list(Some("ep_a"), None, None);
    assert_eq!(page.items[0].status, DeliveryStatus::Failed);
    assert_eq!(page.items[0].attempts[0].status, Some(500));
}
