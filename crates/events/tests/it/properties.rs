//! Random receivers, restarts, failing stores and repeated messages: what holds for all of them.

use keyward_events::schedule::PAUSES_SECONDS;
use keyward_protocol::events::DeliveryStatus;
use keyward_testkit::sqlite_store::Fault;
use proptest::prelude::*;

use super::world::*;

#[derive(Clone, Debug)]
enum Step {
    Happen,
    TellAgain,
    Pass(i64),
    Receiver(u8),
    Restart,
    StoreFails(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Happen),
        1 => Just(Step::TellAgain),
        3 => (1_i64..20_000_000).prop_map(Step::Pass),
        2 => (0_u8..5).prop_map(Step::Receiver),
        1 => Just(Step::Restart),
        1 => (1_usize..12).prop_map(Step::StoreFails),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// While the receiver works at the end, every event has arrived; none has more attempts than the schedule, and no attempt comes before
    /// its time.
    #[test]
    fn every_event_arrives_and_no_attempt_comes_before_its_time(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::new(vec![endpoint("a")]);
        world.host.0.jitter.set(0);
        let mut told = Vec::new();
        for step in steps {
            match step {
                Step::Happen => {
                    let event = world.event("key.issued", None);
                    told.push(world.news(vec![event]));
                    world.tell(told[told.len() - 1].clone());
                }
                Step::TellAgain => told.last().cloned().into_iter().for_each(|news| world.tell(news)),
                Step::Pass(ms) => world.pass(ms),
                Step::Receiver(0) => world.receiver("a", Receiver::Answers(503)),
                Step::Receiver(1) => world.receiver("a", Receiver::Hangs),
                Step::Receiver(2) => world.receiver("a", Receiver::RetryAfter(429, "7200")),
                Step::Receiver(_) => world.receiver("a", Receiver::Answers(204)),
                Step::Restart => world.restart(),
                Step::StoreFails(at) => {
                    world.host.0.store.borrow_mut().fail_at(Some(Fault::AfterWrite(at)));
                    world.pass(10_000);
                    world.host.0.store.borrow_mut().fail_at(None);
                }
            }
        }
        world.host.0.store.borrow_mut().fail_at(None);
        world.receiver("a", Receiver::Answers(200));
        world.host.0.alarm.set(Some(0));
        world.pass(200_000_000);
        let stopped = world.host.0.log.borrow().iter().any(|event| event == "endpoint_stopped");
        let page = world.list(None, None, None);
        for delivery in &page.items {
            let arrived: Vec<_> = world.arrived().into_iter().filter(|one| one.id() == delivery.event_id).collect();
            let failed = delivery.attempts.len() == PAUSES_SECONDS.len();
            prop_assert!(stopped || failed || delivery.status == DeliveryStatus::Delivered, "{delivery:?}");
            prop_assert!(arrived.len() <= PAUSES_SECONDS.len());
            for (pair, pause) in arrived.windows(2).zip(&PAUSES_SECONDS[1..]) {
                prop_assert!(pair[1].at.since(pair[0].at) >= pause * 800, "{delivery:?}");
            }
        }
        prop_assert_eq!(page.items.len(), told.len());
    }
}
