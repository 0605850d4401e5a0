//! `endpoint.test`.

use keyward_protocol::Request;
use keyward_protocol::events::{DeliveryStatus, Endpoint, EventsResponse};

use super::world::*;

fn pending() -> Endpoint {
    Endpoint { enabled_since: None, ..endpoint("a") }
}

#[test]
fn a_test_that_succeeds_is_told_to_the_registry_before_the_answer() {
    let world = World::new(Vec::new());
    let EventsResponse::Tested(delivery) = world.test(pending()) else { panic!() };
    assert_eq!(delivery.status, DeliveryStatus::Delivered);
    assert_eq!(delivery.attempts[0].status, Some(200));
    let told = world.host.0.told.borrow();
    let [Request::EndpointTested(tested)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((tested.id.as_str(), tested.revision), ("ep_a", 1));
    let body: serde_json::Value = serde_json::from_str(&world.arrived()[0].body).unwrap();
    assert_eq!(body["type"], "endpoint.test");
    assert!(body["data"]["audit_seq"].is_null());
}

#[test]
fn a_test_that_fails_is_attempted_once_and_tells_nothing() {
    let world = World::new(Vec::new());
    for receiver in [Receiver::Answers(500), Receiver::Answers(302), Receiver::Answers(410), Receiver::Hangs] {
        world.receiver("a", receiver);
        let EventsResponse::Tested(delivery) = world.test(pending()) else { panic!() };
        assert_eq!((delivery.status, delivery.attempts.len()), (DeliveryStatus::Failed, 1));
    }
    world.host.0.alarm.set(Some(0));
    world.pass(10 * 86_400_000);
    assert_eq!(world.arrived().len(), 4);
    assert!(world.host.0.told.borrow().is_empty());
}

#[test]
fn a_test_is_for_its_endpoint_alone_and_is_not_sent_again() {
    let mut world = World::new(vec![endpoint("a"), endpoint("b")]);
    world.seq += 1;
    world.tell(world.news(Vec::new()));
    assert!(matches!(world.test(endpoint("a")), EventsResponse::Tested(_)));
    world.pass(1_000);
    assert_eq!(world.arrived_at("b").len(), 0);
    let replay = keyward_protocol::events::EventsRequest::Replay {
        endpoint: "ep_b".to_owned(),
        from: keyward_key::time::Millis(0),
        to: keyward_key::time::Millis(NOW.0 * 2),
    };
    assert_eq!(world.ask(&replay), EventsResponse::Replayed { count: 0 });
    let resend = keyward_protocol::events::EventsRequest::Resend { delivery: 1 };
    assert_eq!(world.ask(&resend), EventsResponse::NotEnabled);
}

#[test]
fn a_test_whose_instance_ended_has_failed() {
    let mut world = World::new(Vec::new());
    world.receiver("a", Receiver::NeverEnds);
    let request = keyward_protocol::RequestMeta { request_id: "r".to_owned(), client_address: None };
    let order = keyward_protocol::events::TestOrder { endpoint: pending(), by: "m".to_owned(), request };
    let message = serde_json::to_string(&keyward_protocol::events::EventsRequest::Test(Box::new(order))).unwrap();
    {
        let mut call = std::pin::pin!(world.object.fetch(&message));
        assert!(poll_once(call.as_mut()).is_pending());
    }
    world.restart();
    world.host.0.alarm.set(Some(61_000));
    world.pass(62_000);
    assert_eq!(world.list(None, None, None).items[0].status, DeliveryStatus::Failed);
    assert_eq!(world.arrived().len(), 1);
}
