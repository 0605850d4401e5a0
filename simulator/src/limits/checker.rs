//! Checks when requests were let through. Knows nothing of leases, objects or isolates' clocks, and shares no code with the product.

use std::collections::BTreeMap;

use crate::limits::plan::Kind;
use crate::scheduler::Time;

/// A limit of a key, in force for a part of the history.
#[derive(Clone, Debug)]
pub struct Rule {
    pub key: usize,
    pub requests: u64,
    /// Length of the window in milliseconds, or the calendar period.
    pub span: RuleSpan,
    /// The rule applies to windows within this part, in true time.
    pub from: Time,
    pub to: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleSpan {
    WindowMs(Time),
    Day,
    Month,
}

/// A request that was let through.
#[derive(Clone, Copy, Debug)]
pub struct Passed {
    /// True time in milliseconds since 1970.
    pub at: Time,
    pub key: usize,
    pub cost: u64,
    pub slot: usize,
}

/// Everything that the checker sees.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub kind: Kind,
    pub rules: Vec<Rule>,
    pub passed: Vec<Passed>,
    pub slots: usize,
    pub duration_ms: Time,
    /// Counts of what happened, for the summary.
    pub counts: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub rule: &'static str,
    pub text: String,
}

/// Returns the violations of a history.
#[must_use]
pub fn check(outcome: &Outcome) -> Vec<Violation> {
    let mut violations = Vec::new();
    for rule in &outcome.rules {
        let is_ruled = |passed: &Passed| passed.key == rule.key && (rule.from..rule.to).contains(&passed.at);
        let within: Vec<Passed> = outcome.passed.iter().copied().filter(is_ruled).collect();
        match rule.span {
            RuleSpan::WindowMs(window_ms) => check_windows(rule, window_ms, &within, &mut violations),
            RuleSpan::Day => check_periods(rule, &within, day_of, &mut violations),
            RuleSpan::Month => check_periods(rule, &within, month_of, &mut violations),
        }
    }
    if outcome.kind == Kind::Calm {
        check_throughput(outcome, &mut violations);
    }
    violations
}

/// Any window of `window_ms`, its end excluded.
fn check_windows(rule: &Rule, window_ms: Time, passed: &[Passed], violations: &mut Vec<Violation>) {
    let (mut first, mut sum) = (0, 0);
    for (position, last) in passed.iter().enumerate() {
        sum += last.cost;
        while passed[first].at <= last.at - window_ms {
            sum -= passed[first].cost;
            first += 1;
        }
        if sum > rule.requests {
            violations.push(Violation {
                rule: "a window holds more than its limit",
                text: format!(
                    "{sum} of {} in {window_ms} ms, requests {first} to {position} of key {}, from {} to {}",
                    rule.requests, rule.key, passed[first].at, last.at
                ),
            });
            return;
        }
    }
}

fn check_periods(rule: &Rule, passed: &[Passed], period_of: fn(Time) -> Time, violations: &mut Vec<Violation>) {
    let mut sums: BTreeMap<Time, u64> = BTreeMap::new();
    for passed in passed {
        *sums.entry(period_of(passed.at)).or_default() += passed.cost;
    }
    if let Some((period, sum)) = sums.iter().find(|(_, sum)| **sum > rule.requests) {
        violations.push(Violation {
            rule: "a calendar period holds more than its limit",
            text: format!("{sum} of {} in period {period}, key {}", rule.requests, rule.key),
        });
    }
}

fn day_of(at: Time) -> Time {
    at.div_euclid(86_400_000)
}

/// Number of the civil month (H. Hinnant, "chrono-compatible low-level date algorithms").
fn month_of(at: Time) -> Time {
    let shifted = day_of(at) + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    (year_of_era + era * 400) * 12 + month_from_march
}

/// Without faults and with more requests than the limit allows, the documented rate minus 5 % gets through, and isolates share it within
/// 20 % of each other.
fn check_throughput(outcome: &Outcome, violations: &mut Vec<Violation>) {
    let Some(Rule { requests, span: RuleSpan::WindowMs(window_ms), .. }) = outcome.rules.first() else { return };
    let total: u64 = outcome.passed.iter().map(|passed| passed.cost).sum();
    let documented = 0.9 * *requests as f64 * outcome.duration_ms as f64 / (*window_ms + 2_000) as f64;
    if (total as f64) < 0.95 * documented {
        violations.push(Violation {
            rule: "less than the documented rate gets through",
            text: format!("{total} of {documented:.1}, limit {requests} in {window_ms} ms, {} isolates", outcome.slots),
        });
    }
    let of_slot = |slot: usize| outcome.passed.iter().filter(|passed| passed.slot == slot).count() as f64;
    if outcome.slots == 2 && *requests >= 10 {
        let (first, second) = (of_slot(0), of_slot(1));
        if (first - second).abs() > 0.2 * (first + second) / 2.0 {
            violations.push(Violation {
                rule: "two isolates share unfairly",
                text: format!("{first} and {second}, limit {requests} in {window_ms} ms"),
            });
        }
    }
}
