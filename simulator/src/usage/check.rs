//! Rules of usage, checked on plain data.

use super::world::{History, Seen, Time, Use, Warning};

const DAY_MS: Time = 86_400_000;

/// Time in milliseconds after which the use of an isolate that ends is safe: its report arrived, or the registry learned that one is
/// missing. An isolate that reaches neither refuses all keys after the bound and the grace.
const SAFE_AFTER_MS: Time = 75_000;

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub rule: &'static str,
    pub text: String,
}

/// Tolerance in milliseconds of a time that the registry keeps: clocks may step by less than a gap, and the alarm is due every ten minutes.
const CLOCK_TOLERANCE_MS: Time = 1_500_000;

/// Returns whether the registry learns of a use, or that a report is missing: its isolate lived on long enough.
fn is_known(used: &Use) -> bool {
    used.lost_at.is_none_or(|lost_at| lost_at - used.at > SAFE_AFTER_MS)
}

/// Checks the keys that were revoked because nobody used them.
fn check_revocations(history: &History, violate: &mut impl FnMut(&'static str, String)) {
    for revoked in &history.revocations {
        let is_in_use = |used: &&Use| {
            used.key == revoked.key
                && used.at > revoked.at - history.revoke_ms + CLOCK_TOLERANCE_MS
                && is_known(used)
                && revoked.at - used.at > 2 * SAFE_AFTER_MS
        };
        if let Some(used) = history.uses.iter().find(is_in_use) {
            violate("a key in use is never revoked", format!("{revoked:?}, {used:?}"));
        }
        let is_fair = |warned: &&Warning| {
            warned.key == revoked.key
                && (DAY_MS - CLOCK_TOLERANCE_MS..=history.revoke_ms).contains(&(revoked.at - warned.at))
        };
        if !history.warnings.iter().any(|warned| is_fair(&warned)) {
            violate("a key is revoked only after a warning", format!("{revoked:?}, {:?}", history.warnings));
        }
    }
    let end = history.seen.last().map_or(0, |seen| seen.at);
    let is_long_idle = |seen: &Seen| seen.key == 0 && seen.is_idle && end - seen.at > 2 * DAY_MS;
    let is_used = history.uses.iter().any(|used| used.key == 0);
    let is_revoked = history.revocations.iter().any(|revoked| revoked.key == 0);
    if history.is_calm && !is_used && !is_revoked && history.seen.iter().any(is_long_idle) {
        violate("a key that nobody uses is revoked", String::new());
    }
}

/// Returns the violations of a history.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut violate = |rule, text| violations.push(Violation { rule, text });
    for (key, count) in history.counted.iter().enumerate() {
        let sent = history.uses.iter().filter(|used| used.key == key).count() as u64;
        if *count > sent {
            violate("counted at most as often as sent", format!("key {key}: {count} of {sent}"));
        }
        if history.is_calm && *count != sent {
            violate("everything is counted if nothing fails", format!("key {key}: {count} of {sent}"));
        }
    }
    // A registry whose clock steps back has times of its own future.
    let mut latest_clock = i64::MIN;
    for seen in &history.seen {
        latest_clock = latest_clock.max(seen.registry_clock);
        if seen.last_used.is_some_and(|last| last > latest_clock) {
            violate("a use is never in the future", format!("{seen:?}"));
        }
        let used_within = |used: &&Use| {
            used.key == seen.key
                && used.at <= seen.at
                && used.at > seen.at - history.idle_ms
                && is_known(used)
                // A report is on its way for a minute or two.
                && seen.at - used.at > 2 * SAFE_AFTER_MS
        };
        if seen.is_idle && history.uses.iter().any(|used| used_within(&used)) {
            violate("a key in use is never idle", format!("{seen:?}"));
        }
    }
    check_revocations(history, &mut violate);
    if history.is_calm
        && history.is_first_awake
        && !history.uses.iter().any(|used| used.key == 0)
        && !history.seen.iter().any(|seen| seen.is_idle)
    {
        violate("a key that nobody uses becomes idle", String::new());
    }
    violations
}
