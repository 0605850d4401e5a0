//! What shall happen in one history. Everything is drawn beforehand, and each event has a seed of its own for what is drawn while it
//! is carried out: so a plan without some of its events is a plan again, and the rest goes on as it did.

use keyward_gate::GateSizes;
use keyward_registry::feed::FeedSizes;

use crate::keys::KEYS;
use crate::random::Random;
use crate::scheduler::Time;

#[derive(Clone)]
pub struct Plan {
    pub seed: u64,
    pub bound_seconds: u32,
    pub grace_seconds: u32,
    pub locations: usize,
    /// How long a location's KV cache may keep what it has read, at most.
    pub kv_stale: Time,
    pub fault_rates: FaultRates,
    pub sizes: Sizes,
    pub ends_at: Time,
    pub events: Vec<Event>,
}

/// Sizes that only a large world would reach, drawn small.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sizes {
    pub feed: FeedSizes,
    pub gate: GateSizes,
}

fn sizes(random: &mut Random) -> Sizes {
    let shipped = GateSizes::default();
    let changes_page = random.pick(&[3, 3, 4, 1_000]);
    Sizes {
        feed: FeedSizes {
            snapshot_page: random.pick(&[1, 2, 2, 20_000]),
            changes_page,
            window: random.pick(&[0, 1, 1, 2, 64]).min(changes_page - 1),
        },
        gate: GateSizes {
            cached_keys: random.pick(&[1, 2, 3, shipped.cached_keys]),
            cached_networks: random.pick(&[1, shipped.cached_networks]),
            changes: random.pick(&[1, 2, 4, shipped.changes, shipped.changes]),
            shared_changes: random.pick(&[1, 2, shipped.shared_changes]),
            ..shipped
        },
    }
}

/// How often something goes wrong by itself, in thousandths of all calls.
#[derive(Clone, Copy, Default)]
pub struct FaultRates {
    pub registry_fails: i64,
    pub answer_lost: i64,
    pub registry_slow: i64,
    pub store_fails: i64,
    pub kv_read_fails: i64,
    pub kv_read_slow: i64,
    pub kv_write_fails: i64,
    pub kv_write_odd: i64,
    pub kv_write_slow: i64,
    pub cache_fails: i64,
}

#[derive(Clone, Debug)]
pub struct Event {
    pub at: Time,
    pub seed: u64,
    pub what: Planned,
}

#[derive(Clone, Debug)]
pub enum Planned {
    Born {
        isolate: usize,
        location: usize,
        offset: Time,
        jitter: u8,
    },
    Dies {
        isolate: usize,
    },
    /// One thing that an isolate is at is cut off.
    Cut {
        isolate: usize,
    },
    Step {
        isolate: usize,
        to: Time,
    },
    RegistryStep {
        to: Time,
    },
    Request {
        isolate: usize,
        key: usize,
        presents: crate::history::Presents,
        route: Route,
        address: u8,
    },
    Change {
        isolate: usize,
        change: Change,
    },
    Fault {
        fault: Fault,
        location: Option<usize>,
        until: Time,
    },
    Restart,
    Backup,
    Restore {
        announced: bool,
    },
    Attack(Attack),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Needs the first scope.
    First,
    /// Needs the second scope.
    Second,
    /// Needs the first scope, and is closed in an outage.
    Closed,
}

#[derive(Clone, Debug)]
pub enum Change {
    Issue {
        key: usize,
        scopes: u8,
        addresses: u8,
        life: Time,
    },
    Rotate {
        key: usize,
        next: usize,
        overlap_seconds: u32,
    },
    Revoke {
        key: usize,
    },
    Scopes {
        key: usize,
        scopes: u8,
    },
    Addresses {
        key: usize,
        addresses: u8,
    },
    /// So long from now.
    End {
        key: usize,
        life: Time,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Unreachable,
    Hangs,
    Slow,
    AnswersLost,
    StoreFails,
    KvReadsFail,
    KvReadsSlow,
    KvWritesFail,
    KvWritesLate,
    CacheGone,
}

#[derive(Clone, Debug)]
pub enum Attack {
    /// An older copy of a key is put back.
    Replay {
        key: usize,
    },
    /// One key's copy is put under another's name.
    Move {
        from: usize,
        to: usize,
    },
    /// All rights are written into a copy.
    Widen {
        key: usize,
    },
    Delete {
        key: usize,
    },
    Tear {
        key: usize,
    },
    /// An older text is put back into a location's cache.
    ReplayCache {
        location: usize,
    },
}

#[must_use]
pub fn draw(seed: u64) -> Plan {
    let mut random = Random::new(seed ^ 0x05ee_d0fa_0b5e_55ed);
    let bound_seconds = random.pick(&[1, 2, 3, 5, 5, 5, 6, 8, 10]);
    let grace_seconds = random.pick(&[0, 1, 2, 3, 5, 8, 15, 30, 60]);
    // How wild it is.
    let wild = random.pick(&[0, 1, 1, 2, 2, 3]);
    let ends_at = 1000 * (random.within(12, 30) + i64::from(bound_seconds) * random.within(2, 5))
        + 1000 * i64::from(grace_seconds.min(25)) * random.within(1, 2);
    let mut plan = Plan {
        seed,
        bound_seconds,
        grace_seconds,
        locations: random.pick(&[1, 1, 2, 2, 3]),
        kv_stale: random.pick(&[0, 0, 5_000, 60_000, 600_000]),
        fault_rates: if wild >= 2 { fault_rates(&mut random) } else { FaultRates::default() },
        sizes: sizes(&mut random),
        ends_at,
        events: Vec::new(),
    };
    let isolates = isolates(&mut plan, &mut random, wild);
    let changes = changes(&mut plan, &mut random);
    requests(&mut plan, &mut random, &isolates, &changes);
    if wild >= 1 {
        troubles(&mut plan, &mut random, &isolates, wild);
    }
    if wild >= 2 {
        clocks(&mut plan, &mut random, &isolates);
        attacks(&mut plan, &mut random);
    }
    if random.often(if wild == 0 { 0 } else { 150 }) {
        restore(&mut plan, &mut random);
    }
    plan.events.sort_by_key(|event| event.at);
    plan
}

fn fault_rates(random: &mut Random) -> FaultRates {
    let mut some = |most| if random.often(400) { random.within(0, most) } else { 0 };
    FaultRates {
        registry_fails: some(150),
        answer_lost: some(100),
        registry_slow: some(300),
        store_fails: some(30),
        kv_read_fails: some(200),
        kv_read_slow: some(200),
        kv_write_fails: some(200),
        kv_write_odd: some(200),
        kv_write_slow: some(300),
        cache_fails: some(200),
    }
}

impl Plan {
    fn add(&mut self, random: &mut Random, at: Time, what: Planned) {
        let seed = random.next();
        self.events.push(Event { at, seed, what });
    }
}

/// An isolate and when it lives.
struct Life {
    isolate: usize,
    from: Time,
    to: Time,
}

fn isolates(plan: &mut Plan, random: &mut Random, wild: i64) -> Vec<Life> {
    let mut lives = Vec::new();
    let skewed = random.often(600);
    for isolate in 0..random.pick(&[1, 2, 2, 3, 4, 5]) {
        let from = if isolate == 0 || random.often(600) { 0 } else { random.within(0, plan.ends_at * 3 / 4) };
        let to = if wild >= 1 && isolate > 0 && random.often(300) {
            random.within(from, plan.ends_at)
        } else {
            plan.ends_at
        };
        let offset = if skewed { random.pick(&[-5_000, 5_000, random.clone().within(-5_000, 5_000)]) } else { 0 };
        let (location, jitter) = (random.below(plan.locations), random.next() as u8);
        plan.add(random, from, Planned::Born { isolate, location, offset, jitter });
        if to < plan.ends_at {
            plan.add(random, to, Planned::Dies { isolate });
        }
        lives.push(Life { isolate, from, to });
    }
    lives
}

/// When a key's rights change: what requests are aimed at.
struct Moment {
    key: usize,
    at: Time,
}

fn changes(plan: &mut Plan, random: &mut Random) -> Vec<Moment> {
    let mut moments: Vec<Moment> = Vec::new();
    let mut alive: Vec<usize> = Vec::new();
    let mut next = 0;
    let first = random.pick(&[1, 1, 2, 3]);
    let count = first + random.within(1, 7);
    for number in 0..count {
        let at = if number < first { 100 * number } else { random.within(1_000, plan.ends_at) };
        let issue = number < first || alive.is_empty() || random.often(120);
        let key = if issue { next } else { alive[random.below(alive.len())] };
        let scopes = random.pick(&[1_u8, 3, 3, 2]);
        let addresses = random.pick(&[3_u8, 3, 3, 1, 2]);
        let life = if random.often(500) { 86_000_000 } else { random.within(3_000, plan.ends_at) };
        let change = if issue {
            next += 1;
            alive.push(key);
            Change::Issue { key, scopes, addresses, life }
        } else {
            match random.below(7) {
                0 | 1 => Change::Revoke { key },
                2 => {
                    let overlap_seconds = random.pick(&[0, 0, 1, 5, 20]);
                    next += 1;
                    alive.push(next - 1);
                    Change::Rotate { key, next: next - 1, overlap_seconds }
                }
                3 | 4 => Change::Scopes { key, scopes },
                5 => Change::Addresses { key, addresses },
                _ => Change::End { key, life: random.within(500, 40_000) },
            }
        };
        moments.push(Moment { key, at });
        if let Change::Rotate { next, .. } = change {
            moments.push(Moment { key: next, at });
        }
        let isolate = 0;
        plan.add(random, at, Planned::Change { isolate, change });
    }
    moments
}

fn requests(plan: &mut Plan, random: &mut Random, lives: &[Life], moments: &[Moment]) {
    let (bound, grace) = (i64::from(plan.bound_seconds) * 1000, i64::from(plan.grace_seconds) * 1000);
    let mut times: Vec<(Time, usize)> = Vec::new();
    for _ in 0..random.within(10, 40) {
        let moment = &moments[random.below(moments.len())];
        times.push((random.within(moment.at, plan.ends_at), moment.key));
    }
    // Where something changes there is something to be seen.
    for moment in moments {
        for _ in 0..random.within(1, 7) {
            let after = match random.below(6) {
                0 => random.within(-1_000, 0),
                1 | 2 => random.within(0, bound),
                3 => bound + random.within(-50, 900),
                4 => bound + random.within(0, grace),
                _ => bound + grace + random.within(-100, 1_500),
            };
            times.push((moment.at + after, moment.key));
        }
    }
    // A busy isolate: its knowledge is renewed beside the requests.
    if random.often(400) {
        let (key, gap) = (moments[random.below(moments.len())].key, random.within(200, 1_500));
        let mut at = random.within(0, plan.ends_at / 2);
        for _ in 0..25 {
            times.push((at, key));
            at += random.within(gap / 2, gap);
        }
    }
    for (at, key) in times {
        let alive: Vec<&Life> = lives.iter().filter(|life| life.from <= at && at < life.to).collect();
        if at < 0 || at >= plan.ends_at || alive.is_empty() {
            continue;
        }
        let isolate = alive[random.below(alive.len())].isolate;
        let kind = random.within(0, 999);
        let presents = match kind {
            0..30 => crate::history::Presents::WrongSecret,
            30..60 => crate::history::Presents::Garbage,
            _ => crate::history::Presents::Right,
        };
        // Now and then one that was never issued, which only a holder of the secret could make.
        let key = if kind >= 970 { KEYS - 1 - random.below(3) } else { key };
        let route = random.pick(&[Route::First, Route::First, Route::Second, Route::Second, Route::Closed]);
        let address = random.pick(&[1_u8, 2]);
        plan.add(random, at, Planned::Request { isolate, key, presents, route, address });
    }
}

fn troubles(plan: &mut Plan, random: &mut Random, lives: &[Life], wild: i64) {
    let longest = 1000 * i64::from(plan.bound_seconds + plan.grace_seconds) + 10_000;
    for _ in 0..random.within(1, 1 + wild * 2) {
        let fault = random.pick(&[
            Fault::Unreachable,
            Fault::Unreachable,
            Fault::Hangs,
            Fault::Hangs,
            Fault::Slow,
            Fault::Slow,
            Fault::AnswersLost,
            Fault::StoreFails,
            Fault::KvReadsFail,
            Fault::KvReadsSlow,
            Fault::KvWritesFail,
            Fault::KvWritesLate,
            Fault::CacheGone,
        ]);
        let from = random.within(0, plan.ends_at);
        let until = from + random.within(200, longest);
        let location = random.often(600).then(|| random.below(plan.locations));
        plan.add(random, from, Planned::Fault { fault, location, until });
    }
    for _ in 0..random.within(0, wild) {
        let at = random.within(0, plan.ends_at);
        plan.add(random, at, Planned::Restart);
    }
    for _ in 0..random.within(0, wild) {
        let life = &lives[random.below(lives.len())];
        let at = random.within(life.from, life.to);
        plan.add(random, at, Planned::Cut { isolate: life.isolate });
    }
}

fn clocks(plan: &mut Plan, random: &mut Random, lives: &[Life]) {
    if !random.often(500) {
        return;
    }
    for _ in 0..random.within(1, 4) {
        let at = random.within(0, plan.ends_at);
        let to = random.within(-5_000, 5_000);
        let what = if random.often(250) {
            Planned::RegistryStep { to }
        } else {
            Planned::Step { isolate: lives[random.below(lives.len())].isolate, to }
        };
        plan.add(random, at, what);
    }
}

fn attacks(plan: &mut Plan, random: &mut Random) {
    if !random.often(500) {
        return;
    }
    for _ in 0..random.within(1, 8) {
        let (key, other) = (random.below(4), random.below(4));
        let attack = match random.below(8) {
            0 | 1 => Attack::Replay { key },
            2 => Attack::Move { from: key, to: other },
            3 => Attack::Widen { key },
            4 => Attack::Delete { key },
            5 => Attack::Tear { key },
            _ => Attack::ReplayCache { location: random.below(plan.locations) },
        };
        let at = random.within(500, plan.ends_at);
        plan.add(random, at, Planned::Attack(attack));
    }
}

fn restore(plan: &mut Plan, random: &mut Random) {
    let backup = random.within(400, plan.ends_at / 2);
    plan.add(random, backup, Planned::Backup);
    let at = random.within(backup, plan.ends_at);
    let announced = random.often(500);
    plan.add(random, at, Planned::Restore { announced });
}
