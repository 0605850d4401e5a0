//! Rules for the state after the faults stopped.

use super::Violation;
use super::states::StateHistory;
use crate::history::{Event, History, State, Time};

pub fn check(history: &History, states: &StateHistory, violations: &mut Vec<Violation>) {
    let at = history.records.last().map_or(0, |record| record.at);
    let mut violate = |rule, at: Time, text: String| violations.push(Violation { rule, at, text });

    for record in &history.records {
        let Event::ChangeConfirmed { key, revision, change } = &record.event else { continue };
        let text = format!("{change} of key {key}, revision {revision}");
        let Some(made) = states.made_at(*key, *revision, record.at) else {
            violate("a confirmed change was made", record.at, text);
            continue;
        };
        if states.may_be_undone(made) {
            continue;
        }
        let settled = history.quiescence.keys.iter().find(|settled| settled.key == *key);
        if settled.is_none_or(|settled| settled.revision < *revision) {
            violate("a confirmed change survives", record.at, text.clone());
        }
        if !history.quiescence.audit.iter().any(|entry| entry.sequence == *revision) {
            violate("a confirmed change is in the audit log", record.at, text);
        }
    }

    for (key, spans) in states.spans() {
        for pair in spans.windows(2) {
            let revoked = |state: &State| matches!(state, State::Present(rights) if rights.revoked);
            let reactivated = revoked(&pair[0].state) && !revoked(&pair[1].state);
            if reactivated && !states.restores.iter().any(|(_, restored)| *restored == pair[1].from) {
                violate("a revocation is final", pair[1].from, format!("key {key}"));
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
        let text = format!("{} copies are not written", history.quiescence.pending);
        violate("every copy is written to KV once the faults stop", at, text);
    }
    // After an unannounced restore that no isolate noticed, KV keeps copies of the lost history: docs/operations.md.
    let unnoticed = states.restores.len() > states.epochs;
    for settled in history.quiescence.keys.iter().filter(|_| !unnoticed) {
        if !settled.expired && !settled.corrupted && settled.copy != Some(settled.revision) {
            violate("KV converges once the faults stop", at, format!("{settled:?}"));
        }
    }
    if states.epochs > states.restores.len() {
        let text = format!("{} epochs after {} restores", states.epochs, states.restores.len());
        violate("a restore starts one epoch", at, text);
    }
}
