//! Isolates with wrong clocks, off by up to five seconds or stepping. The bound holds in true time nevertheless. A key expires by
//! the isolate's clock.

use keyward_key::time::Millis;
use keyward_testkit::gate_world::{ClientRequest, Key, NOW, World};
use serde_json::json;

const BOUND: i64 = 5_000;
const GRACE: i64 = 60_000;
/// Interval between requests.
const REQUEST_INTERVAL_MS: i64 = 50;

fn get(key: &Key) -> ClientRequest {
    ClientRequest::new("GET /v1/contacts").key(key)
}

/// Maps true time to the isolate's clock, in milliseconds.
type Clock = fn(i64) -> i64;

const CLOCKS: [(&str, Clock); 7] = [
    ("right", |at| at),
    ("five seconds ahead", |at| at + 5_000),
    ("five seconds behind", |at| at - 5_000),
    ("steps five seconds back", |at| if at < 7_000 { at } else { at - 5_000 }),
    ("steps five seconds ahead", |at| if at < 7_000 { at } else { at + 5_000 }),
    ("steps back repeatedly", |at| at - at / 3_000 * 5_000),
    ("goes ahead and comes back", |at| if (6_000..9_000).contains(&at) { at + 5_000 } else { at }),
];

/// Sends requests at a fixed interval and returns the verdict at each true time. `event` may change the world.
fn run(clock: Clock, until: i64, mut event: impl FnMut(&mut World, &Key, i64)) -> Vec<(i64, String)> {
    let mut world = World::new(&json!({}));
    let key = world.issue(1, |_| {});
    let mut answers = Vec::new();
    for at in (0..until).step_by(usize::try_from(REQUEST_INTERVAL_MS).unwrap()) {
        world.now = Millis(NOW.0 + clock(at));
        event(&mut world, &key, at);
        answers.push((at, world.verdict(&get(&key))));
    }
    answers
}

fn last(answers: &[(i64, String)], verdict: &str) -> Option<i64> {
    answers.iter().rev().find(|(_, answer)| answer == verdict).map(|(at, _)| *at)
}

#[test]
fn a_revoked_key_is_refused_within_the_bound_despite_a_wrong_clock() {
    for (name, clock) in CLOCKS {
        for revoked_at in (4_000..10_000).step_by(250) {
            let answers = run(clock, 20_000, |world, key, at| {
                if at == revoked_at {
                    world.change(&key.record.id, |record| record.revoked = true);
                }
            });
            let accepted = last(&answers, "200").unwrap();
            assert!(accepted < revoked_at + BOUND, "{name}: accepted {} ms after", accepted - revoked_at);
            assert!(answers.iter().all(|(_, answer)| answer == "200" || answer == "401 revoked_key"), "{name}");
            assert!(
                answers.iter().skip_while(|(_, answer)| answer == "200").all(|(_, answer)| answer != "200"),
                "{name}: revived"
            );
        }
    }
}

#[test]
fn nothing_is_accepted_after_bound_and_grace_despite_a_wrong_clock() {
    const BEGINS: i64 = 4_000;
    for (name, clock) in CLOCKS {
        let answers = run(clock, 90_000, |world, _, at| world.unreachable = at >= BEGINS);
        let accepted = last(&answers, "200").unwrap();
        assert!(accepted < BEGINS + BOUND + GRACE, "{name}: accepted {} ms into the outage", accepted - BEGINS);
        assert!(answers.iter().all(|(_, answer)| answer == "200" || answer == "503 authority_unavailable"), "{name}");
    }
}

#[test]
fn a_clock_step_back_counts_from_100_ms() {
    for (step, expected) in [(1, "200"), (100, "200"), (101, "need changes"), (5_000, "need changes")] {
        let mut world = World::new(&json!({}));
        let key = world.issue(1, |_| {});
        world.refresh(NOW);
        assert_eq!(world.at(1_000).verdict(&get(&key)), "200");
        assert_eq!(world.at(1_000 - step).ask(&get(&key)).verdict(), expected, "{step} ms");
    }
}

#[test]
fn a_key_expires_to_the_millisecond_by_the_given_clock() {
    for ahead in [-5_000, 0, 5_000] {
        let mut world = World::new(&json!({}));
        let key = world.issue(1, |record| record.expires_at = NOW);
        for (at, expected) in [(-ahead - 1, "200"), (-ahead, "401 expired_key")] {
            world.at(at + ahead);
            assert_eq!(world.verdict(&get(&key)), expected, "{ahead} ms ahead, {at} ms of true time");
        }
    }
}
