//! One history of the limits' simulation, drawn from a seed.

use keyward_key::limit::{Limit, Period, Span};
use keyward_key::time::Millis;
use keyward_limits::clock::STEP_TOLERANCE_MS;

use crate::random::Random;
use crate::scheduler::Time;
use crate::sqlite::START_MS;

/// Rates of faults, in 1,000 messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A query or an answer is lost.
    pub lost: i64,
    /// A query or an answer takes seconds.
    pub late: i64,
    /// A query or an answer takes most of the time limit.
    pub slow: i64,
    /// The object ends right after it handled a query.
    pub crash_after: i64,
    /// A statement of the object's store fails, with or without effect.
    pub store_fails: i64,
    /// The runtime delivers a query twice.
    pub twice: i64,
}

/// A disturbance at a time.
#[derive(Clone, Copy, Debug)]
pub enum Disturbance {
    /// The object ends, and the next query starts an instance whose clock has another offset.
    CrashObject { offset: Time, leaves_zombie: bool },
    /// The object's clock steps.
    StepObject {
        by: Time,
        /// Whether it stays right to 5 s.
        bounded: bool,
    },
    /// An isolate's clock steps.
    StepIsolate { slot: usize, by: Time },
    /// An isolate ends with its leases, and another one takes its place.
    ReplaceIsolate { slot: usize, offset: Time },
    /// An isolate's queries are lost for a time.
    CutOff { slot: usize, for_ms: Time },
    /// Every isolate's queries are lost for a time.
    Outage { for_ms: Time },
    /// The first key's limits change.
    ChangeLimit { requests: u64 },
}

/// One isolate's place.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    pub offset: Time,
    /// Mean time between two requests, in milliseconds; 0 for no pause.
    pub interval_ms: Time,
    /// Requests that arrive together.
    pub burst: i64,
    /// Chance in 1,000 of a pause of seconds after a request, so that leases end unspent.
    pub pauses: i64,
    pub starts_at: Time,
}

/// A limited key. All keys of a history belong to one object.
#[derive(Clone, Debug)]
pub struct Key {
    pub limits: Vec<Limit>,
    /// Chance in 1,000 that a request is one of this key. The rest is the first key's.
    pub requests: i64,
}

/// A history without faults, which checks throughput too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything may fail.
    Stormy,
    /// Nothing fails, and the isolates ask for more than the limit allows.
    Calm,
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub kind: Kind,
    /// At least one.
    pub keys: Vec<Key>,
    /// Number of keys of which an isolate keeps leases.
    pub room: usize,
    pub starts_at: Millis,
    pub ends_at: Time,
    pub grace_ms: Time,
    pub slots: Vec<Slot>,
    pub object_offset: Time,
    /// Largest cost of a request.
    pub max_cost: i64,
    pub latency_ms: (Time, Time),
    pub faults: Faults,
    pub disturbances: Vec<(Time, Disturbance)>,
}

/// Room for all keys of a history.
const ROOM: usize = 10;

/// Largest error of a clock, in milliseconds.
pub const MAX_OFFSET_MS: Time = 5_000;

/// Draws the plan of a seed.
#[must_use]
pub fn draw(seed: u64) -> Plan {
    let mut random = Random::new(seed ^ 0x5eed_1e45_e000_0000);
    if random.often(80) { calm(seed, &mut random) } else { stormy(seed, &mut random) }
}

fn window(name: &str, requests: u64, seconds: u32) -> Limit {
    Limit::new(name.to_owned(), requests, Span::Seconds(seconds)).expect("a drawn limit is valid")
}

fn calm(seed: u64, random: &mut Random) -> Plan {
    let seconds = random.pick(&[2_u32, 5, 10, 20]);
    let requests = random.pick(&[1_u64, 3, 10, 25, 60, 100]);
    let isolates = 1 + random.below(2);
    let per_isolate = f64::from(seconds) * 1_000.0 / requests as f64 * isolates as f64;
    let interval_ms = ((per_isolate / random.pick(&[2.0, 4.0])) as Time).min(i64::from(seconds) * 20).max(4);
    let slot = |random: &mut Random| Slot {
        offset: random.within(-MAX_OFFSET_MS, MAX_OFFSET_MS),
        interval_ms,
        burst: 1,
        pauses: 0,
        starts_at: 0,
    };
    Plan {
        seed,
        kind: Kind::Calm,
        keys: vec![Key { limits: vec![window("burst", requests, seconds)], requests: 1_000 }],
        room: ROOM,
        starts_at: Millis(START_MS),
        ends_at: 50 * (i64::from(seconds) + 2) * 1_000,
        grace_ms: 60_000,
        slots: (0..isolates).map(|_| slot(random)).collect(),
        object_offset: random.within(-MAX_OFFSET_MS, MAX_OFFSET_MS),
        max_cost: 1,
        latency_ms: (3, 15),
        faults: Faults::default(),
        disturbances: Vec::new(),
    }
}

fn stormy(seed: u64, random: &mut Random) -> Plan {
    let seconds = random.pick(&[1_u32, 1, 2, 3, 5, 10, 20, 60]);
    let requests = random.pick(&[1_u64, 2, 3, 5, 10, 20, 40, 100]);
    let mut limits = vec![window("burst", requests, seconds)];
    if random.often(250) {
        let seconds = random.pick(&[2_u32, 7, 30, 300]);
        limits.push(window("longer", requests * random.within(1, 4) as u64, seconds));
    }
    let has_calendar = random.often(250);
    if has_calendar {
        let period = random.pick(&[Period::Day, Period::Month]);
        let quota = requests * random.within(1, 20) as u64;
        limits.push(Limit::new("quota".to_owned(), quota, Span::Period(period)).expect("valid"));
    }
    let ends_at = (4 * (i64::from(seconds) + 2) * 1_000).clamp(15_000, 160_000);
    let starts_at = if has_calendar {
        // The first of a month, minus less than the length of the history.
        Millis(1_796_083_200_000 - random.within(0, ends_at))
    } else {
        Millis(START_MS)
    };
    let isolates = 1 + random.below(5);
    let total_ms = f64::from(seconds) * 1_000.0 / requests as f64 / random.pick(&[0.5, 1.5, 4.0, 8.0]);
    let interval_ms = ((total_ms * isolates as f64) as Time).max(30 * isolates as Time);
    let slot = |random: &mut Random| Slot {
        offset: random.within(-MAX_OFFSET_MS, MAX_OFFSET_MS),
        interval_ms,
        burst: if random.often(300) { random.within(2, 12) } else { 1 },
        pauses: random.pick(&[0, 0, 30, 150]),
        starts_at: if random.often(300) { random.within(0, ends_at / 2) } else { random.within(0, 500) },
    };
    let mut slots: Vec<Slot> = (0..isolates).map(|_| slot(random)).collect();

    let rate = |random: &mut Random| if random.often(400) { random.within(5, 150) } else { 0 };
    let steps_object = random.often(250);
    // A query that takes longer than the tolerance looks like a step, so these histories have none.
    let max_latency = if steps_object { random.pick(&[20, 80, 300]) } else { random.pick(&[20, 80, 300, 1_200]) };
    let faults = Faults {
        lost: rate(random),
        late: if steps_object { 0 } else { rate(random) },
        slow: 0,
        crash_after: if steps_object { 0 } else { rate(random) / 4 },
        store_fails: if steps_object { 0 } else { rate(random) / 4 },
        twice: rate(random) / 2,
    };
    for slot in slots.iter_mut().filter(|_| steps_object) {
        slot.starts_at = slot.starts_at.min(500);
    }
    let disturbances = disturbances(random, ends_at, &slots, (steps_object, has_calendar), requests);
    let mut plan = Plan {
        seed,
        kind: Kind::Stormy,
        keys: vec![Key { limits, requests: 1_000 }],
        room: ROOM,
        starts_at,
        ends_at,
        grace_ms: random.pick(&[0, 2_000, 10_000, 60_000]),
        slots,
        object_offset: random.within(-MAX_OFFSET_MS, MAX_OFFSET_MS),
        max_cost: random.pick(&[1, 1, 1, 3, 7]),
        latency_ms: (1, max_latency),
        faults,
        disturbances,
    };
    // Most histories have one key. The others of an object make its queries more frequent, which hides faults that need rare ones.
    if random.often(200) {
        let others = 1 + random.below(3);
        plan.keys.extend((0..others).map(|_| other_key(random)));
        if random.often(400) {
            no_room(&mut plan, random);
        }
    } else if random.often(300) {
        slow_answers(&mut plan, random);
    }
    plan
}

/// Makes a history in which the end of a lease matters: some answers take most of the time limit, and isolates often pause for about the life
/// of a lease, so that units are left at its end. A few requests need all units.
fn slow_answers(plan: &mut Plan, random: &mut Random) {
    plan.keys[0].limits = vec![window("burst", random.pick(&[4, 7, 10]), random.pick(&[1, 1, 2]))];
    plan.latency_ms = (1, 20);
    plan.faults = Faults { slow: random.pick(&[150, 300]), ..Faults::default() };
    plan.disturbances.clear();
    plan.ends_at = 60_000;
    plan.max_cost = 7;
    plan.slots.truncate(2);
    for slot in &mut plan.slots {
        slot.interval_ms = random.pick(&[20, 50, 120]);
        slot.burst = random.within(1, 3);
        slot.pauses = random.pick(&[200, 500]);
    }
}

/// Makes a history in which isolates forget what they spent of a key's reserve: they have room for one key, use several, and are cut off again
/// and again within one window.
fn no_room(plan: &mut Plan, random: &mut Random) {
    let requests = random.pick(&[40_u64, 100]);
    plan.room = 1;
    plan.keys[0].limits = vec![window("burst", requests, 60)];
    plan.grace_ms = random.pick(&[2_000, 10_000]);
    plan.max_cost = 1;
    plan.latency_ms = (1, 80);
    plan.faults = Faults::default();
    plan.ends_at = 100_000;
    plan.slots.truncate(2);
    for slot in &mut plan.slots {
        (slot.interval_ms, slot.pauses) = (random.pick(&[100, 250]), 0);
    }
    let slots = plan.slots.len();
    let cut_off = |random: &mut Random| {
        let for_ms = random.within(3_000, 8_000);
        (random.within(2_000, 60_000), Disturbance::CutOff { slot: random.below(slots), for_ms })
    };
    plan.disturbances = (0..random.within(2, 6)).map(|_| cut_off(random)).collect();
    plan.disturbances.sort_by_key(|(at, _)| *at);
}

/// Draws a key beside the first one.
fn other_key(random: &mut Random) -> Key {
    let seconds = random.pick(&[1_u32, 2, 5, 10]);
    let requests = random.pick(&[1_u64, 2, 5, 10, 40]);
    let mut limits = vec![window("burst", requests, seconds)];
    if random.often(300) {
        limits.push(window("longer", requests * random.within(1, 4) as u64, 30));
    }
    Key { limits, requests: random.pick(&[30, 150, 300]) }
}

/// Draws the disturbances. In a history with steps of the object's clock, object and isolates live on, because only isolates that heard from
/// an instance can tell it of a step.
fn disturbances(
    random: &mut Random,
    ends_at: Time,
    slots: &[Slot],
    (steps_object, has_calendar): (bool, bool),
    requests: u64,
) -> Vec<(Time, Disturbance)> {
    let is_wild = steps_object && !has_calendar;
    let mut drawn = Vec::new();
    let mut is_changed = false;
    for _ in 0..random.within(0, 6) {
        let at = random.within(200, ends_at);
        let slot = random.below(slots.len());
        let offset = random.within(-MAX_OFFSET_MS, MAX_OFFSET_MS);
        let disturbance = match random.below(8) {
            0 | 1 if !steps_object => Disturbance::CrashObject { offset, leaves_zombie: random.often(300) },
            0..=3 if steps_object && at > 9_000 => {
                let most = random.pick(&[3_000, 60_000, 3_600_000]);
                let by = random.within(STEP_TOLERANCE_MS, most) * random.pick(&[-1, 1]);
                Disturbance::StepObject { by, bounded: !is_wild }
            }
            2 | 3 if !steps_object => Disturbance::StepIsolate { slot, by: random.within(-4_000, 4_000) },
            4 | 5 if !steps_object => Disturbance::ReplaceIsolate { slot, offset },
            6 if random.often(500) => Disturbance::Outage { for_ms: random.within(500, 20_000) },
            6 => Disturbance::CutOff { slot, for_ms: random.within(500, 30_000) },
            7 if random.often(300) && !std::mem::replace(&mut is_changed, true) => {
                Disturbance::ChangeLimit { requests: random.within(1, 2 * requests as i64) as u64 }
            }
            _ => continue,
        };
        drawn.push((at, disturbance));
    }
    drawn.sort_by_key(|(at, _)| *at);
    drawn
}
