//! Shrinks a plan that violates a rule: removes events, half of them at first, while the plan still violates the rule.

use crate::plan::Plan;

/// Returns the smallest plan found that still violates `rule`.
#[must_use]
pub fn shrink(plan: &Plan, rule: &str) -> Plan {
    let fails = |plan: &Plan| crate::run(plan).1.iter().any(|violation| violation.rule == rule);
    let mut smallest = plan.clone();
    let mut without = smallest.clone();
    without.fault_rates = crate::plan::FaultRates::default();
    if fails(&without) {
        smallest = without;
    }
    let mut size = smallest.events.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        let before = smallest.events.len();
        while at < smallest.events.len() {
            let mut fewer = smallest.clone();
            let end = (at + size).min(fewer.events.len());
            fewer.events.drain(at..end);
            if fails(&fewer) {
                smallest = fewer;
            } else {
                at += size;
            }
        }
        size = if size == 1 && smallest.events.len() < before { 1 } else { size / 2 };
    }
    smallest
}
