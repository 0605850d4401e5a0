//! Rules of usage, checked on plain data.

use super::world::{History, Time};

/// Time in milliseconds after which the use of an isolate that ends is safe: its report arrived, or the registry learned that one is
/// missing. An isolate that reaches neither refuses all keys after the bound and the grace.
const SAFE_AFTER_MS: Time = 75_000;

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub rule: &'static str,
    pub text: String,
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
        let used_within = |used: &&super::world::Use| {
            used.key == seen.key
                && used.at <= seen.at
                && used.at > seen.at - history.idle_ms
                && used.lost_at.is_none_or(|lost_at| lost_at - used.at > SAFE_AFTER_MS)
                // A report is on its way for a minute or two.
                && seen.at - used.at > 2 * SAFE_AFTER_MS
        };
        if seen.is_idle && history.uses.iter().any(|used| used_within(&used)) {
            violate("a key in use is never idle", format!("{seen:?}"));
        }
    }
    if history.is_calm
        && history.is_first_awake
        && !history.uses.iter().any(|used| used.key == 0)
        && !history.seen.iter().any(|seen| seen.is_idle)
    {
        violate("a key that nobody uses becomes idle", String::new());
    }
    violations
}
