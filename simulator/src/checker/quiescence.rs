//! What is there when the faults have stopped.

use super::Violation;
use super::states::States;
use crate::history::{History, State, Time, What};

pub fn judge(history: &History, states: &States, violations: &mut Vec<Violation>) {
    let at = history.records.last().map_or(0, |record| record.at);
    let mut violate = |rule, at: Time, text: String| violations.push(Violation { rule, at, text });

    for record in &history.records {
        let What::Confirmed { key, revision, change } = &record.what else { continue };
        let what = format!("{change} of key {key}, revision {revision}");
        let Some(made) = states.has_revision(*key, *revision, record.at) else {
            violate("a change that was confirmed was made", record.at, what);
            continue;
        };
        if states.undone(made) {
            continue;
        }
        let settled = history.quiescence.keys.iter().find(|settled| settled.key == *key);
        if settled.is_none_or(|settled| settled.revision < *revision) {
            violate("a change that was confirmed is there at the end", record.at, what.clone());
        }
        if !history.quiescence.audit.iter().any(|entry| entry.sequence == *revision) {
            violate("a change that was confirmed is in the audit log", record.at, what);
        }
    }

    for (key, spans) in states.spans() {
        for pair in spans.windows(2) {
            let revoked = |state: &State| matches!(state, State::Present(rights) if rights.revoked);
            let revived = revoked(&pair[0].state) && !revoked(&pair[1].state);
            if revived && !states.restores.iter().any(|(_, restored)| *restored == pair[1].from) {
                violate("revoked is final", pair[1].from, format!("key {key}"));
            }
        }
    }

    let mut previous = "0".repeat(64);
    for (entry, sequence) in history.quiescence.audit.iter().zip(1..) {
        if entry.sequence != sequence || entry.previous != previous {
            violate("the audit log is a chain without gaps", at, format!("at entry {sequence}: {entry:?}"));
            break;
        }
        previous.clone_from(&entry.hash);
    }

    if history.quiescence.pending > 0 {
        violate(
            "KV gets what it lacks once the faults stop",
            at,
            format!("{} copies wait", history.quiescence.pending),
        );
    }
    // A restore that nobody announced, and that no isolate was left to notice, leaves copies of the history that is gone: docs/OPERATIONS.md.
    let unnoticed = states.restores.len() > states.epochs;
    for settled in history.quiescence.keys.iter().filter(|_| !unnoticed) {
        if !settled.past_end && !settled.spoilt && settled.copy != Some(settled.revision) {
            violate("KV converges once the faults stop", at, format!("{settled:?}"));
        }
    }
    if states.epochs > states.restores.len() {
        let text = format!("{} epochs after {} restores", states.epochs, states.restores.len());
        violate("a restore begins one epoch", at, text);
    }
}
