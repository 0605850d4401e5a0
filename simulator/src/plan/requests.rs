//! Draws the changes of keys, and requests around the times at which those changes take effect.

use super::draw::IsolateLifetime;
use super::{Change, Plan, PlannedAction, PlannedRequest, Route};
use crate::history::Credential;
use crate::keys::KEY_COUNT;
use crate::random::Random;
use crate::scheduler::Time;

/// When the rights of a key change.
pub(super) struct ChangeTime {
    key: usize,
    at: Time,
}

pub(super) fn draw_changes(plan: &mut Plan, random: &mut Random) -> Vec<ChangeTime> {
    let mut change_times: Vec<ChangeTime> = Vec::new();
    let mut issued: Vec<usize> = Vec::new();
    let mut next = 0;
    let initial = random.pick(&[1, 1, 2, 3]);
    let count = initial + random.within(1, 7);
    for number in 0..count {
        let at = if number < initial { 100 * number } else { random.within(1_000, plan.ends_at) };
        let issue = number < initial || issued.is_empty() || random.often(120);
        let key = if issue { next } else { issued[random.below(issued.len())] };
        let scopes = random.pick(&[1_u8, 3, 3, 2]);
        let addresses = random.pick(&[3_u8, 3, 3, 1, 2]);
        let lifetime_ms = if random.often(500) { 86_000_000 } else { random.within(3_000, plan.ends_at) };
        let change = if issue {
            next += 1;
            issued.push(key);
            Change::Issue { key, scopes, addresses, lifetime_ms }
        } else {
            match random.below(7) {
                0 | 1 => Change::Revoke { key },
                2 => {
                    let overlap_seconds = random.pick(&[0, 0, 1, 5, 20]);
                    next += 1;
                    issued.push(next - 1);
                    Change::Rotate { key, next: next - 1, overlap_seconds }
                }
                3 | 4 => Change::Scopes { key, scopes },
                5 => Change::Addresses { key, addresses },
                _ => Change::Expiry { key, lifetime_ms: random.within(500, 40_000) },
            }
        };
        change_times.push(ChangeTime { key, at });
        if let Change::Rotate { next, .. } = change {
            change_times.push(ChangeTime { key: next, at });
        }
        plan.add(random, at, PlannedAction::Change { change });
    }
    change_times
}

/// Draws exposures that quarantine a key, releases, and requests around them.
pub(super) fn draw_quarantines(
    plan: &mut Plan,
    random: &mut Random,
    lifetimes: &[IsolateLifetime],
    change_times: &[ChangeTime],
) {
    if !random.often(400) {
        return;
    }
    let mut times = Vec::new();
    for _ in 0..random.within(1, 2) {
        let key = change_times[random.below(change_times.len())].key;
        let at = random.within(1_000, plan.ends_at);
        plan.add(random, at, PlannedAction::Change { change: Change::Quarantine { key } });
        times.push(ChangeTime { key, at });
        if random.often(500) {
            let at = random.within(at, plan.ends_at);
            plan.add(random, at, PlannedAction::Change { change: Change::Release { key } });
            times.push(ChangeTime { key, at });
        }
    }
    draw_requests(plan, random, lifetimes, &times);
}

pub(super) fn draw_requests(
    plan: &mut Plan,
    random: &mut Random,
    lifetimes: &[IsolateLifetime],
    change_times: &[ChangeTime],
) {
    for (at, key) in request_times(plan, random, change_times) {
        let running: Vec<&IsolateLifetime> =
            lifetimes.iter().filter(|lifetime| lifetime.from <= at && at < lifetime.to).collect();
        if at < 0 || at >= plan.ends_at || running.is_empty() {
            continue;
        }
        let isolate = running[random.below(running.len())].isolate;
        let kind = random.within(0, 999);
        let credential = match kind {
            0..30 => Credential::WrongSecret,
            30..60 => Credential::ForgedTag,
            _ => Credential::Issued,
        };
        // A few requests present a valid key that was never issued. Only a holder of the secret could mint one.
        let key = if kind >= 970 { KEY_COUNT - 1 - random.below(3) } else { key };
        let route = random.pick(&[Route::First, Route::First, Route::Second, Route::Second, Route::Closed]);
        let address = random.pick(&[1_u8, 2]);
        let request = PlannedRequest { isolate, key, credential, route, address };
        plan.add(random, at, PlannedAction::Request(request));
    }
}

fn request_times(plan: &Plan, random: &mut Random, change_times: &[ChangeTime]) -> Vec<(Time, usize)> {
    let (bound_ms, grace_ms) = (i64::from(plan.bound_seconds) * 1000, i64::from(plan.grace_seconds) * 1000);
    let mut times: Vec<(Time, usize)> = Vec::new();
    for _ in 0..random.within(10, 40) {
        let change = &change_times[random.below(change_times.len())];
        times.push((random.within(change.at, plan.ends_at), change.key));
    }
    // Faults show around changes, so most requests come there.
    for change in change_times {
        for _ in 0..random.within(1, 7) {
            let after = match random.below(6) {
                0 => random.within(-1_000, 0),
                1 | 2 => random.within(0, bound_ms),
                3 => bound_ms + random.within(-50, 900),
                4 => bound_ms + random.within(0, grace_ms),
                _ => bound_ms + grace_ms + random.within(-100, 1_500),
            };
            times.push((change.at + after, change.key));
        }
    }
    // A busy isolate refreshes in the background, between requests.
    if random.often(400) {
        let (key, gap) = (change_times[random.below(change_times.len())].key, random.within(200, 1_500));
        let mut at = random.within(0, plan.ends_at / 2);
        for _ in 0..25 {
            times.push((at, key));
            at += random.within(gap / 2, gap);
        }
    }
    times
}
