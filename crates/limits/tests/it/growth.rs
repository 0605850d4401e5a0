//! Growth: messages and rows of many limited keys, and of many isolates. `--nocapture` prints the figures that docs/internals/limits.md
//! states.

use std::sync::Arc;

use keyward_gate::leases::{KeyLimits, LeaseBook, Spend, Spending};
use keyward_key::id::KeyId;
use keyward_key::limit::{Limit, Span};
use keyward_key::time::Millis;
use keyward_protocol::feed::CompactKeyId;
use keyward_protocol::lease::{LeaseAnswer, MAX_QUERY_GROUPS};

use crate::object::World;

/// Time between a query and its answer, in milliseconds.
const ROUND_TRIP_MS: i64 = 30;
/// Step of the simulated time, in milliseconds.
const STEP_MS: i64 = 10;
/// Simulated time, in seconds. The first third is not counted.
const SECONDS: i64 = 30;

/// What was measured.
struct Figures {
    /// Calls of the object a second, by all isolates.
    calls: f64,
    groups_in_a_call: f64,
    /// Rows written a second.
    rows: f64,
    refused: u64,
}

struct Isolate {
    number: u64,
    book: LeaseBook,
    waiting: Vec<Arc<KeyLimits>>,
    in_flight: Option<(LeaseAnswer, Millis, Millis)>,
}

impl Isolate {
    fn new(number: u64, capacity: usize) -> Self {
        Self { number, book: LeaseBook::new(capacity), waiting: Vec::new(), in_flight: None }
    }

    fn position(&self) -> i64 {
        i64::try_from(self.number).unwrap()
    }

    /// Makes one request. Returns whether it was refused.
    fn request(&mut self, key: &Arc<KeyLimits>, now: Millis) -> bool {
        match self.book.spend(key, Spending { cost: 1, now, grace_ms: 60_000 }) {
            Spend::Granted(_) => false,
            Spend::Renew => {
                self.waiting.push(Arc::clone(key));
                false
            }
            Spend::Refused(_) | Spend::Unreachable => true,
        }
    }
}

/// Lets each key of each isolate make a request every `interval_ms`, spread over that time.
fn measure(keys: &[Arc<KeyLimits>], isolates: u64, interval_ms: i64) -> Figures {
    let world = World::new();
    let mut isolates: Vec<Isolate> = (1..=isolates).map(|number| Isolate::new(number, keys.len())).collect();
    let shard = keys[0].shard;
    let mut slots = vec![Vec::new(); usize::try_from(interval_ms / STEP_MS).unwrap()];
    for (position, key) in keys.iter().enumerate() {
        let slot = position * slots.len() / keys.len();
        slots[slot].push(Arc::clone(key));
    }
    let (mut calls, mut groups, mut refused) = (0_u64, 0_usize, 0_u64);
    let (first, last) = (SECONDS * 1_000 / 3, SECONDS * 1_000);
    let mut rows_before = 0;
    for elapsed in (0..last).step_by(usize::try_from(STEP_MS).unwrap()) {
        world.wait(STEP_MS);
        let now = world.now();
        let counts = elapsed >= first;
        if elapsed == first {
            rows_before = world.writes();
        }
        for isolate in &mut isolates {
            if let Some((answer, asked_at, _)) = isolate.in_flight.take_if(|(_, _, at)| *at <= now) {
                isolate.book.apply(shard, &answer, asked_at, now);
                for key in std::mem::take(&mut isolate.waiting) {
                    refused += u64::from(isolate.request(&key, now) && counts);
                }
            }
            for key in &slots[usize::try_from(elapsed / STEP_MS + 37 * isolate.position()).unwrap() % slots.len()] {
                refused += u64::from(isolate.request(key, now) && counts);
            }
            if isolate.in_flight.is_none()
                && let Some(query) = isolate.book.query(shard, isolate.number, now, 60_000)
            {
                calls += u64::from(counts);
                groups += if counts { query.groups.len() } else { 0 };
                let answer = world.answer(&query);
                isolate.in_flight = Some((answer, now, Millis(now.0 + ROUND_TRIP_MS)));
            }
        }
    }
    let per_second = |count: u64| count as f64 / ((last - first) as f64 / 1_000.0);
    let groups_in_a_call = groups as f64 / calls as f64;
    Figures {
        calls: per_second(calls),
        groups_in_a_call,
        rows: per_second((world.writes() - rows_before) as u64),
        refused,
    }
}

fn group(number: u64) -> CompactKeyId {
    CompactKeyId::of(&KeyId::parse(&format!("wafl_live_{number:012}")).unwrap()).unwrap()
}

/// Returns keys of one shard.
fn keys(count: usize, requests: u64) -> Vec<Arc<KeyLimits>> {
    let limits = [Limit::new("burst".to_owned(), requests, Span::Seconds(60)).unwrap()];
    let all = (0..).map(|number| KeyLimits::of(group(number), 0, &limits).unwrap());
    all.filter(|key| key.shard == 0).take(count).map(Arc::new).collect()
}

/// The arithmetic of docs/internals/limits.md: a query has 500 groups, and a lease is renewed after 0.8 to 2 s.
#[test]
fn keys_of_a_shard_share_their_calls_and_rows_follow_the_horizon() {
    for (count, isolates, interval_ms) in
        [(1, 2, 100), (1, 200, 1_000), (200, 2, 200), (200, 2, 1_000), (2_000, 2, 500), (10_000, 2, 1_000)]
    {
        let figures = measure(&keys(count, 1_000_000), isolates, interval_ms);
        let Figures { calls, groups_in_a_call, rows, refused } = figures;
        println!(
            "{count} keys, {isolates} isolates, a request every {interval_ms} ms in each: \
             {calls:.1} calls/s of {groups_in_a_call:.0} groups, {rows:.1} rows/s"
        );
        let messages = count.div_ceil(MAX_QUERY_GROUPS);
        let most = 2.0 * messages as f64 * isolates as f64;
        assert!(calls <= most, "{calls} calls a second, expected at most {most}");
        assert!(rows <= 0.2 * count as f64, "{rows} rows a second");
        assert_eq!(refused, 0);
    }
}
