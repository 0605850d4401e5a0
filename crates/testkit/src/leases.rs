//! A limits object that grants the same to everyone.

use keyward_key::time::Millis;
use keyward_protocol::lease::{GroupAnswer, LeaseAnswer, LeaseQuery, LimitState};

/// Returns the answer to a query in which each group gets a lease of this many units and no part of the outage reserve. With 0 units every
/// limit is reached, and must be announced.
///
/// # Panics
/// If the message is not a query.
#[must_use]
pub fn granting(message: &str, units: u64, now: Millis) -> LeaseAnswer {
    let query: LeaseQuery = serde_json::from_str(message).expect("a query");
    let groups = query.groups.into_iter().map(|asked| {
        let is_reached = units == 0;
        let state =
            |limit| LimitState { limit, remaining: 0, reset_in_ms: 60_000, violated: is_reached, announce: is_reached };
        let limits = asked.limits.into_iter().map(state).collect();
        let retry_in_ms = is_reached.then_some(60_000);
        GroupAnswer { group: asked.group, lease: 1, units, reserve_given: 0, limits, retry_in_ms }
    });
    LeaseAnswer { epoch: 1, now: now.0, groups: groups.collect(), counters: Vec::new() }
}
