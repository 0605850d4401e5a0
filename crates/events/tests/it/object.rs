//! Attempts: schedule, signatures, concurrency, restarts, and what members send again.

use std::pin::pin;
use std::task::Poll;

use keyward_events::object::{AT_ONCE, AT_ONCE_TO_ONE, LONGEST_PAUSE_MS};
use keyward_events::schedule::PAUSES_SECONDS;
use keyward_key::time::Millis;
use keyward_key::webhook::{WebhookSecret, signed_text};
use keyward_protocol::events::{DeliveryQuery, DeliveryStatus, EndpointSecret, EventsRequest, EventsResponse};
use keyward_testkit::signing;

use super::world::*;

const DAY_MS: i64 = 86_400_000;

#[test]
fn attempts_follow_the_schedule_with_jitter_and_then_the_delivery_has_failed() {
    for (jitter, factor) in [(0, 800), (32_768, 1_000), (u16::MAX, 1_200)] {
        let mut world = World::new(vec![endpoint("a")]);
        world.host.0.jitter.set(jitter);
        world.receiver("a", Receiver::Answers(503));
        world.happen("key.revoked");
        world.pass(10 * DAY_MS);
        let at: Vec<Millis> = world.arrived().iter().map(|arrived| arrived.at).collect();
        assert_eq!(at.len(), PAUSES_SECONDS.len());
        for (pair, pause) in at.windows(2).zip(&PAUSES_SECONDS[1..]) {
            let expected = pause * factor;
            let late = pair[1].since(pair[0]) - expected;
            assert!((0..=1_500).contains(&late), "{late} ms after {pause} s at jitter {jitter}");
        }
        let page = world.list(None, None, Some(DeliveryStatus::Failed));
        assert_eq!((page.items.len(), page.items[0].attempts.len()), (1, 10));
        assert_eq!(page.items[0].next_attempt_at, None);
    }
}

#[test]
fn a_retry_after_postpones_the_next_attempt() {
    let mut world = World::new(vec![endpoint("a")]);
    world.receiver("a", Receiver::RetryAfter(429, "3600"));
    world.happen("key.revoked");
    world.pass(3_599_000);
    assert_eq!(world.arrived().len(), 1);
    world.receiver("a", Receiver::Answers(204));
    world.pass(3_000);
    assert_eq!(world.arrived().len(), 2);
    assert_eq!(world.list(None, None, Some(DeliveryStatus::Delivered)).items.len(), 1);
}

#[test]
fn a_redirect_and_every_other_status_is_a_failure() {
    for status in [100, 199, 300, 301, 302, 304, 307, 308, 400, 404, 500, 599] {
        let mut world = World::new(vec![endpoint("a")]);
        world.receiver("a", Receiver::Answers(status));
        world.happen("key.revoked");
        world.pass(1_000);
        assert_eq!(world.list(None, None, None).items[0].status, DeliveryStatus::Pending, "{status}");
    }
}

#[test]
fn every_attempt_is_signed_for_its_own_time_over_the_same_bytes() {
    let mut world = World::new(vec![endpoint("a")]);
    world.receiver("a", Receiver::Breaks);
    let event = world.happen("key.revoked");
    world.pass(10_000);
    let arrived = world.arrived();
    assert_eq!(arrived.len(), 2);
    assert_eq!(arrived[0].body, arrived[1].body);
    let keyring = keyring();
    for one in &arrived {
        let seconds = one.at.0 / 1_000;
        assert_eq!(one.headers["webhook-timestamp"], seconds.to_string());
        let text = signed_text(&event.id, seconds, &one.body);
        let signature = signing::sign(keyring.current().events(), text.as_bytes());
        assert_eq!(one.headers["webhook-signature"], keyward_key::webhook::ed25519_signature(&signature));
    }
    assert_ne!(arrived[0].headers["webhook-signature"], arrived[1].headers["webhook-signature"]);
}

#[test]
fn old_and_new_secret_sign_until_the_overlap_ends() {
    let generation = keyring().current().generation().clone();
    let until = Some(Millis(NOW.0 + DAY_MS));
    let mut signed = endpoint("a");
    signed.secrets = vec![
        EndpointSecret { number: 2, minted_under: generation.clone(), until: None },
        EndpointSecret { number: 1, minted_under: generation, until },
    ];
    let mut world = World::new(vec![signed]);
    let first = world.happen("key.revoked");
    world.pass(DAY_MS);
    world.happen("key.revoked");
    world.pass(1_000);
    let arrived = world.arrived();
    let signatures: Vec<&str> = arrived[0].headers["webhook-signature"].split(' ').collect();
    let text = signed_text(&first.id, arrived[0].at.0 / 1_000, &arrived[0].body);
    let of = |number| WebhookSecret::derive(keyring().current(), "ep_a", number).sign(text.as_bytes());
    assert!(signatures[0].starts_with("v1a,"));
    assert_eq!(signatures[1..], [of(2), of(1)]);
    assert_eq!(arrived[1].headers["webhook-signature"].split(' ').count(), 2, "after the overlap");
}

#[test]
fn an_address_that_the_deployment_allows_no_more_gets_no_request() {
    let mut elsewhere = endpoint("a");
    elsewhere.url = "https://hooks.example.org/".to_owned();
    let mut world = World::new(vec![elsewhere]);
    world.happen("key.revoked");
    world.pass(1_000);
    assert!(world.arrived().is_empty());
    let attempt = &world.list(None, None, None).items[0].attempts[0];
    assert_eq!(attempt.error.as_deref(), Some("address_not_allowed"));
}

#[test]
fn an_instance_that_ends_during_an_attempt_loses_no_delivery_and_repeats_none_before_its_time() {
    let mut world = World::new(vec![endpoint("a")]);
    world.receiver("a", Receiver::NeverEnds);
    world.happen("key.revoked");
    {
        let mut alarm = pin!(world.object.alarm());
        assert_eq!(poll_once(alarm.as_mut()), Poll::Pending);
    }
    assert_eq!(world.arrived().len(), 1);
    world.receiver("a", Receiver::Answers(200));
    world.restart();
    world.host.0.alarm.set(Some(0));
    world.pass(59_000);
    assert_eq!(world.arrived().len(), 1, "not before the attempt counts as interrupted");
    world.pass(3_000);
    assert_eq!(world.arrived().len(), 2);
    let delivery = &world.list(None, None, None).items[0];
    assert_eq!(delivery.status, DeliveryStatus::Delivered);
    assert_eq!(delivery.attempts[0].error.as_deref(), Some("interrupted"));
    assert_eq!(delivery.attempts[0].duration_ms, None);
}

/// Returns the number of alarms within an hour.
fn alarms_in_an_hour(world: &World) -> u32 {
    let before = world.host.0.alarms.get();
    world.pass(3_600_000);
    world.host.0.alarms.get() - before
}

#[test]
fn an_object_without_a_valid_configuration_wakes_once_a_minute_and_sends_when_it_has_one() {
    let mut world = World::new(vec![endpoint("a")]);
    world.happen("key.issued");
    world.restart_misconfigured();
    assert!(alarms_in_an_hour(&world) <= 70);
    assert!(world.arrived().is_empty());
    world.restart();
    world.pass(LONGEST_PAUSE_MS);
    assert_eq!(world.arrived().len(), 1);
}

#[test]
fn an_alarm_that_cannot_write_is_repeated_ever_more_rarely_and_soon_after_the_store_recovers() {
    let mut world = World::new(vec![endpoint("a")]);
    world.happen("key.issued");
    world.meddle("CREATE TRIGGER full BEFORE INSERT ON attempts BEGIN SELECT raise(ABORT, 'full'); END");
    assert!(alarms_in_an_hour(&world) <= 70);
    assert!(world.arrived().is_empty());
    world.meddle("DROP TRIGGER full");
    world.pass(LONGEST_PAUSE_MS);
    assert_eq!(world.arrived().len(), 1);
    // The next failure waits for a second again.
    world.receiver("a", Receiver::Answers(500));
    world.happen("key.issued");
    world.pass(3_000);
    assert_eq!(world.arrived().len(), 2);
}

#[test]
fn a_query_that_fails_does_not_lengthen_the_pause_of_the_alarm() {
    let mut world = World::new(vec![endpoint("a")]);
    world.receiver("a", Receiver::Answers(500));
    for _ in 0..8 {
        world.happen("key.issued");
        let mut alarm = pin!(world.object.alarm());
        assert_eq!(poll_once(alarm.as_mut()), Poll::Pending);
        world.meddle("ALTER TABLE attempts RENAME TO missing");
        let query = DeliveryQuery { endpoint: None, kind: None, status: None, limit: 1, before: None };
        let message = serde_json::to_string(&EventsRequest::Deliveries(query)).unwrap();
        assert!(finish(world.object.fetch(&message)).is_err());
        world.meddle("ALTER TABLE missing RENAME TO attempts");
        finish(alarm);
    }
    let after_ms = world.host.0.alarm.get().unwrap();
    assert!(after_ms < LONGEST_PAUSE_MS / 2, "{after_ms}");
}

#[test]
fn six_attempts_run_at_once_and_two_to_one_endpoint() {
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let mut world = World::new(names.iter().map(|name| endpoint(name)).collect());
    for _ in 0..5 {
        world.happen("key.issued");
    }
    world.pass(1_000);
    assert_eq!(world.arrived().len(), 35);
    assert_eq!(world.host.0.running.get().1, AT_ONCE);
    let mut alone = World::new(vec![endpoint("a")]);
    for _ in 0..5 {
        alone.happen("key.issued");
    }
    alone.pass(1_000);
    assert_eq!(alone.host.0.running.get().1, AT_ONCE_TO_ONE);
}

#[test]
fn receivers_that_hang_do_not_starve_the_others() {
    starve_nobody(&Receiver::Hangs);
}

/// A success in time holds a place as long as a timeout does, if the body of the answer never ends.
#[test]
fn receivers_whose_answers_do_not_end_do_not_starve_the_others() {
    starve_nobody(&Receiver::Drips);
}

fn starve_nobody(slow: &Receiver) {
    let names = ["s", "t", "u", "v", "w", "x", "y"];
    let mut world = World::new(names.iter().map(|name| endpoint(name)).collect());
    names.iter().for_each(|name| world.receiver(name, slow.clone()));
    world.happen("key.issued");
    world.pass(600_000);
    assert_eq!(world.arrived().iter().map(|one| &one.url).collect::<std::collections::BTreeSet<_>>().len(), 7);
    // Now all of them are known to be slow, and hang for good.
    names.iter().for_each(|name| world.receiver(name, Receiver::NeverEnds));
    world.endpoints.push(endpoint("z"));
    world.host.0.now.set(Millis(NOW.0 + 660_000));
    world.seq += 1;
    world.tell(world.news(Vec::new()));
    for _ in 0..20 {
        world.happen("key.issued");
    }
    let mut alarm = pin!(world.object.alarm());
    for _ in 0..100 {
        assert_eq!(poll_once(alarm.as_mut()), Poll::Pending);
    }
    assert_eq!(world.arrived_at("z").len(), 20);
}

#[test]
fn an_event_that_comes_while_an_attempt_hangs_is_sent_at_once() {
    let mut world = World::new(vec![endpoint("a"), endpoint("b")]);
    world.receiver("a", Receiver::NeverEnds);
    let event = world.event("key.issued", None);
    let only_a = keyward_protocol::events::News { endpoints: vec![endpoint("a")], ..world.news(vec![event]) };
    world.tell(only_a);
    let object = &world.object;
    let mut alarm = pin!(object.alarm());
    assert_eq!(poll_once(alarm.as_mut()), Poll::Pending);
    world.seq += 1;
    let later = keyward_protocol::events::Event { id: "evt_later".to_owned(), seq: 9, ..only_event() };
    world.tell(world.news(vec![later]));
    // The message wakes the alarm: this waker does nothing, so the test polls.
    assert_eq!(poll_once(alarm.as_mut()), Poll::Pending);
    assert_eq!(world.arrived_at("b").len(), 1);
}

fn only_event() -> keyward_protocol::events::Event {
    World::new(Vec::new()).event("key.issued", None)
}

#[test]
fn a_delivery_is_sent_again_with_a_new_schedule_and_the_same_id() {
    let mut world = World::new(vec![endpoint("a")]);
    world.receiver("a", Receiver::Answers(500));
    let event = world.happen("key.revoked");
    world.pass(5 * DAY_MS);
    world.receiver("a", Receiver::Answers(200));
    let EventsResponse::Resent(delivery) = world.ask(&EventsRequest::Resend { delivery: 1 }) else { panic!() };
    assert_eq!((delivery.status, delivery.attempts.len()), (DeliveryStatus::Pending, 10));
    world.pass(1_000);
    let last = world.arrived().pop().unwrap();
    assert_eq!(last.id(), event.id);
    assert_eq!(world.list(None, None, None).items[0].attempts.len(), 11);
    assert_eq!(world.ask(&EventsRequest::Resend { delivery: 99 }), EventsResponse::NotFound);
    world.endpoints.clear();
    world.seq += 1;
    world.tell(world.news(Vec::new()));
    assert_eq!(world.ask(&EventsRequest::Resend { delivery: 1 }), EventsResponse::NotEnabled);
}

#[test]
fn a_failed_attempt_does_not_end_the_schedule_that_a_member_began_meanwhile() {
    let mut world = World::new(vec![endpoint("a")]);
    world.receiver("a", Receiver::Answers(500));
    world.happen("key.revoked");
    let mut alarm = pin!(world.object.alarm());
    assert_eq!(poll_once(alarm.as_mut()), Poll::Pending);
    assert!(matches!(world.ask(&EventsRequest::Resend { delivery: 1 }), EventsResponse::Resent(_)));
    world.receiver("a", Receiver::Answers(200));
    finish(alarm);
    assert_eq!(world.list(None, None, None).items[0].status, DeliveryStatus::Delivered);
}

#[test]
fn a_replay_sends_the_subscribed_events_of_the_range_with_the_same_ids() {
    let mut world = World::new(vec![endpoint("a")]);
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(world.happen("key.issued").id);
        world.pass(60_000);
    }
    assert_eq!(world.arrived().len(), 4);
    let (from, to) = (Millis(NOW.0 + 60_000), Millis(NOW.0 + 180_000));
    let replay = EventsRequest::Replay { endpoint: "ep_a".to_owned(), from, to };
    assert_eq!(world.ask(&replay), EventsResponse::Replayed { count: 2 });
    world.pass(1_000);
    let again: Vec<String> = world.arrived()[4..].iter().map(|arrived| arrived.id().to_owned()).collect();
    assert_eq!(again, ids[1..3], "`from` is included and `to` is not");
    let unknown = EventsRequest::Replay { endpoint: "ep_x".to_owned(), from, to };
    assert_eq!(world.ask(&unknown), EventsResponse::NotEnabled);
}

#[test]
fn a_new_endpoint_can_be_sent_the_events_from_before_it_existed() {
    let mut world = World::new(Vec::new());
    world.happen("key.issued");
    world.pass(60_000);
    let mut late = endpoint("late");
    late.enabled_since = Some(1);
    late.revision = 2;
    world.endpoints.push(late);
    world.seq += 1;
    world.tell(world.news(Vec::new()));
    let replay = EventsRequest::Replay { endpoint: "ep_late".to_owned(), from: NOW, to: Millis(NOW.0 + 1) };
    assert_eq!(world.ask(&replay), EventsResponse::Replayed { count: 1 });
    world.pass(1_000);
    assert_eq!(world.arrived_at("late").len(), 1);
}

#[test]
fn lists_are_filtered_and_paged_newest_first() {
    let mut world = World::new(vec![endpoint("a"), endpoint("b")]);
    world.receiver("b", Receiver::Answers(500));
    for kind in ["key.issued", "key.revoked", "key.issued"] {
        world.happen(kind);
    }
    world.pass(1_000);
    assert_eq!(world.list(None, None, None).items.len(), 6);
    assert_eq!(world.list(Some("ep_a"), None, None).items.len(), 3);
    assert_eq!(world.list(Some("ep_b"), Some("key.issued"), Some(DeliveryStatus::Pending)).items.len(), 2);
    assert_eq!(world.list(None, Some("key.revoked"), None).items.len(), 2);
    assert_eq!(world.list(None, None, Some(DeliveryStatus::Delivered)).items.len(), 3);
    let mut before = None;
    let mut seen = Vec::new();
    loop {
        let query = DeliveryQuery { endpoint: None, kind: None, status: None, limit: 4, before };
        let EventsResponse::Deliveries(page) = world.ask(&EventsRequest::Deliveries(query)) else { panic!() };
        seen.extend(page.items.iter().map(|item| item.id.clone()));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["dlv_6", "dlv_5", "dlv_4", "dlv_3", "dlv_2", "dlv_1"]);
}

#[test]
fn the_metrics_show_how_many_deliveries_wait_and_for_how_long() {
    let mut world = World::new(vec![endpoint("a"), endpoint("b")]);
    let metrics = |world: &World| match world.ask(&EventsRequest::Metrics) {
        EventsResponse::Metrics(samples) => samples.iter().map(|sample| sample.value).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(metrics(&world), [0, 0]);
    world.host.0.receivers.borrow_mut().insert("https://b.example.com/hook".to_owned(), Receiver::Answers(500));
    world.happen("key.revoked");
    world.pass(3_600_000);
    world.happen("key.issued");
    world.pass(60_000);
    assert_eq!(metrics(&world), [2, 3_660_000], "those of the receiver that fails");
}
