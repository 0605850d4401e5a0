//! Draws a plan from a seed: sizes, isolates, changes, faults, attacks.

use keyward_edge::LookupSizes;
use keyward_gate::GateSizes;
use keyward_registry::feed::FeedSizes;

use super::requests::{draw_changes, draw_quarantines, draw_requests};
use super::{Attack, Fault, FaultRates, Plan, PlannedAction, Sizes};
use crate::random::Random;
use crate::scheduler::Time;

/// Draws the plan of a seed.
#[must_use]
pub fn draw(seed: u64) -> Plan {
    let mut random = Random::new(seed ^ 0x05ee_d0fa_0b5e_55ed);
    let bound_seconds = random.pick(&[1, 2, 3, 5, 5, 5, 6, 8, 10]);
    let grace_seconds = random.pick(&[0, 1, 2, 3, 5, 8, 15, 30, 60]);
    // From 0 (no faults) to 3 (many).
    let severity = random.pick(&[0, 1, 1, 2, 2, 3]);
    let ends_at = 1000 * (random.within(12, 30) + i64::from(bound_seconds) * random.within(2, 5))
        + 1000 * i64::from(grace_seconds.min(25)) * random.within(1, 2);
    let mut plan = Plan {
        seed,
        bound_seconds,
        grace_seconds,
        locations: random.pick(&[1, 1, 2, 2, 3]),
        kv_stale_ms: random.pick(&[0, 0, 5_000, 60_000, 600_000]),
        fault_rates: if severity >= 2 { draw_fault_rates(&mut random) } else { FaultRates::default() },
        sizes: draw_sizes(&mut random),
        ends_at,
        events: Vec::new(),
    };
    let isolates = draw_isolates(&mut plan, &mut random, severity);
    let changes = draw_changes(&mut plan, &mut random);
    draw_requests(&mut plan, &mut random, &isolates, &changes);
    if severity >= 1 {
        draw_faults(&mut plan, &mut random, &isolates, severity);
    }
    if severity >= 2 {
        draw_clock_steps(&mut plan, &mut random, &isolates);
        draw_attacks(&mut plan, &mut random);
    }
    if random.often(if severity == 0 { 0 } else { 150 }) {
        draw_restore(&mut plan, &mut random);
    }
    // Drawn last, so that they change nothing else of a seed's plan.
    plan.sizes.lookups.batch = random.pick(&[1, 1, 2, 500]);
    draw_quarantines(&mut plan, &mut random, &isolates, &changes);
    plan.events.sort_by_key(|event| event.at);
    plan
}

fn draw_sizes(random: &mut Random) -> Sizes {
    let shipped = GateSizes::default();
    let changes_page = random.pick(&[3, 3, 4, 1_000]);
    Sizes {
        feed: FeedSizes {
            snapshot_page: random.pick(&[1, 2, 2, 20_000]),
            changes_page,
            // A page of nothing but repeated changes makes no progress. A rotation changes two keys in one revision, hence 2.
            window: random.pick(&[0, 1, 1, 2, 64]).min(changes_page - 2),
        },
        gate: GateSizes {
            cached_keys: random.pick(&[1, 2, 3, shipped.cached_keys, shipped.cached_keys, shipped.cached_keys]),
            cached_networks: random.pick(&[
                1,
                shipped.cached_networks,
                shipped.cached_networks,
                shipped.cached_networks,
            ]),
            changes: random.pick(&[1, 2, 4, shipped.changes, shipped.changes]),
            shared_changes: random.pick(&[1, 2, shipped.shared_changes]),
            ..shipped
        },
        lookups: LookupSizes::default(),
    }
}

fn draw_fault_rates(random: &mut Random) -> FaultRates {
    let mut rate = |max| if random.often(400) { random.within(0, max) } else { 0 };
    FaultRates {
        registry_fails: rate(150),
        answer_lost: rate(100),
        registry_slow: rate(300),
        store_fails: rate(30),
        kv_read_fails: rate(200),
        kv_read_slow: rate(200),
        kv_write_fails: rate(200),
        kv_write_misbehaves: rate(200),
        kv_write_slow: rate(300),
        cache_fails: rate(200),
    }
}

/// The time during which an isolate runs.
pub(super) struct IsolateLifetime {
    pub isolate: usize,
    pub from: Time,
    pub to: Time,
}

fn draw_isolates(plan: &mut Plan, random: &mut Random, severity: i64) -> Vec<IsolateLifetime> {
    let mut lifetimes = Vec::new();
    let skewed = random.often(600);
    for isolate in 0..random.pick(&[1, 2, 2, 3, 4, 5]) {
        let from = if isolate == 0 || random.often(600) { 0 } else { random.within(0, plan.ends_at * 3 / 4) };
        let to = if severity >= 1 && isolate > 0 && random.often(300) {
            random.within(from, plan.ends_at)
        } else {
            plan.ends_at
        };
        let offset = if skewed { random.pick(&[-5_000, 5_000, random.clone().within(-5_000, 5_000)]) } else { 0 };
        let (location, jitter) = (random.below(plan.locations), random.next() as u8);
        plan.add(random, from, PlannedAction::StartIsolate { isolate, location, offset, jitter });
        if to < plan.ends_at {
            plan.add(random, to, PlannedAction::StopIsolate { isolate });
        }
        lifetimes.push(IsolateLifetime { isolate, from, to });
    }
    lifetimes
}

fn draw_faults(plan: &mut Plan, random: &mut Random, lifetimes: &[IsolateLifetime], severity: i64) {
    let max_duration = 1000 * i64::from(plan.bound_seconds + plan.grace_seconds) + 10_000;
    for _ in 0..random.within(1, 1 + severity * 2) {
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
            Fault::CacheUnavailable,
        ]);
        let from = random.within(0, plan.ends_at);
        let until = from + random.within(200, max_duration);
        let location = random.often(600).then(|| random.below(plan.locations));
        plan.add(random, from, PlannedAction::Fault { fault, location, until });
    }
    for _ in 0..random.within(0, severity) {
        let at = random.within(0, plan.ends_at);
        plan.add(random, at, PlannedAction::RestartObject);
    }
    for _ in 0..random.within(0, severity) {
        let lifetime = &lifetimes[random.below(lifetimes.len())];
        let at = random.within(lifetime.from, lifetime.to);
        plan.add(random, at, PlannedAction::CancelTask { isolate: lifetime.isolate });
    }
}

fn draw_clock_steps(plan: &mut Plan, random: &mut Random, lifetimes: &[IsolateLifetime]) {
    if !random.often(500) {
        return;
    }
    for _ in 0..random.within(1, 4) {
        let at = random.within(0, plan.ends_at);
        let to = random.within(-5_000, 5_000);
        let action = if random.often(250) {
            PlannedAction::StepRegistryClock { to }
        } else {
            PlannedAction::StepClock { isolate: lifetimes[random.below(lifetimes.len())].isolate, to }
        };
        plan.add(random, at, action);
    }
}

fn draw_attacks(plan: &mut Plan, random: &mut Random) {
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
            5 => Attack::Truncate { key },
            _ => Attack::ReplayCache { location: random.below(plan.locations) },
        };
        let at = random.within(500, plan.ends_at);
        plan.add(random, at, PlannedAction::Attack(attack));
    }
}

fn draw_restore(plan: &mut Plan, random: &mut Random) {
    let backup = random.within(400, plan.ends_at / 2);
    plan.add(random, backup, PlannedAction::Backup);
    let at = random.within(backup, plan.ends_at);
    let announced = random.often(500);
    plan.add(random, at, PlannedAction::Restore { announced });
}
