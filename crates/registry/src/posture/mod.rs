//! Posture: what could be better about keys and members, as findings and one score.
//!
//! [`facts`] reads what the rules need in a few queries; [`rules`] judge the facts without any store; [`assess`] adds them up. The same
//! facts always give the same answer.

pub mod facts;
pub mod rules;

pub use facts::Facts;
pub use rules::{Rule, Severity};

use std::collections::BTreeMap;

use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Maximum number of findings in one answer, the heaviest first. The counts of each rule are complete.
pub const MOST_FINDINGS: usize = 500;

/// One finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Name of the rule.
    pub rule: String,
    /// `critical`, `high`, `medium` or `low`.
    pub severity: String,
    /// The key, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
    /// The member, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member_id: Option<KeyId>,
    /// Since when it holds, RFC 3339.
    pub since: String,
    /// The facts in words.
    pub detail: String,
    /// The call that ends it.
    pub fix: Fix,
}

/// The call that ends a finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fix {
    /// HTTP method.
    pub method: String,
    /// Path on the control host.
    pub path: String,
    /// Body; `null` where a person decides the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Json>,
}

/// What one rule found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCount {
    /// `critical`, `high`, `medium` or `low`.
    pub severity: String,
    /// The practice that the rule enforces.
    pub practice: String,
    /// Number of keys, members or claims that it was applied to.
    pub checked: u64,
    /// Number of findings.
    pub found: u64,
}

/// Findings, their counts by rule, and the score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Posture {
    /// 0 to 100: the share of the weight of all checks that found nothing, rounded down. 100 exactly when nothing was found.
    pub score: u64,
    /// The heaviest findings first, at most [`MOST_FINDINGS`].
    pub findings: Vec<Finding>,
    /// Each rule with its counts.
    pub by_rule: BTreeMap<String, RuleCount>,
}

/// Applies every rule to the facts.
#[must_use]
pub fn assess(facts: &Facts) -> Posture {
    let (mut all, mut failed) = (0_u64, 0_u64);
    let (mut found, mut by_rule) = (Vec::new(), BTreeMap::new());
    for (order, rule) in rules::RULES.iter().enumerate() {
        let judged = (rule.judge)(facts);
        let findings = u64::try_from(judged.found.len()).unwrap_or(u64::MAX);
        let weight = rule.severity.weight();
        all = all.saturating_add(weight.saturating_mul(judged.checked));
        failed = failed.saturating_add(weight.saturating_mul(findings));
        by_rule.insert(
            rule.name.to_owned(),
            RuleCount {
                severity: rule.severity.as_str().to_owned(),
                practice: rule.practice.to_owned(),
                checked: judged.checked,
                found: findings,
            },
        );
        found.extend(judged.found.into_iter().map(|one| (rule, order, one)));
    }
    let key = |(rule, order, one): &(&Rule, usize, rules::Found)| {
        // The path has the id of the key, member, claim or endpoint.
        (std::cmp::Reverse(rule.severity.weight()), one.since, *order, one.fix.path.clone())
    };
    found.sort_by_cached_key(key);
    found.truncate(MOST_FINDINGS);
    let findings = found.into_iter().map(|(rule, _, one)| finding(rule, one)).collect();
    Posture { score: score(all, failed), findings, by_rule }
}

/// Returns the share of passed weight, rounded down. Any finding so makes it less than 100.
fn score(all: u64, failed: u64) -> u64 {
    let passed = all.saturating_sub(failed);
    passed.saturating_mul(100).checked_div(all).unwrap_or(100)
}

fn finding(rule: &Rule, one: rules::Found) -> Finding {
    Finding {
        rule: rule.name.to_owned(),
        severity: rule.severity.as_str().to_owned(),
        key_id: one.key_id,
        member_id: one.member_id,
        since: Millis::rfc3339(one.since),
        detail: one.detail,
        fix: one.fix,
    }
}
