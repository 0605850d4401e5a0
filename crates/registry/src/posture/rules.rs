//! The rules of posture: one pure function each. `docs/concepts/posture.md` has the same rows.

use std::collections::BTreeMap;

use keyward_key::id::{Environment, KeyId};
use keyward_key::time::Millis;
use keyward_protocol::Status;
use serde_json::{Value as Json, json};

use super::Fix;
use super::facts::{Facts, KeyFacts};
use crate::context::days_after;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Act now.
    Critical,
    /// Act today.
    High,
    /// Act this week.
    Medium,
    /// Act when convenient.
    Low,
}

impl Severity {
    /// Returns the name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }

    /// Returns the weight in the score.
    #[must_use]
    pub const fn weight(self) -> u64 {
        match self {
            Self::Critical => 40,
            Self::High => 30,
            Self::Medium => 20,
            Self::Low => 10,
        }
    }
}

/// One rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Name in answers.
    pub name: &'static str,
    /// Severity of each finding.
    pub severity: Severity,
    /// The practice that it enforces.
    pub practice: &'static str,
    /// Judges the facts.
    pub judge: fn(&Facts) -> Judged,
}

/// What a rule found, and how much it looked at.
#[derive(Debug, Default)]
pub struct Judged {
    /// Number of keys, members or claims that the rule applies to.
    pub checked: u64,
    /// The findings among them.
    pub found: Vec<Found>,
}

/// A finding of a rule.
#[derive(Debug)]
pub struct Found {
    /// The key, if it is about one.
    pub key_id: Option<KeyId>,
    /// The member, if it is about one.
    pub member_id: Option<KeyId>,
    /// Since when it holds.
    pub since: Millis,
    /// The facts in words.
    pub detail: String,
    /// The call that ends it.
    pub fix: Fix,
}

/// Life of a key in days above which it is long.
pub const LONG_LIFE_DAYS: u32 = 180;
/// Days without use after which a scope of a key is unused.
pub const UNUSED_SCOPE_DAYS: u32 = 30;
/// Days for which a use from many networks is a finding.
pub const WIDE_DAYS: u32 = 7;
/// Days before the end of an integration's only key at which it needs a successor.
pub const LAST_KEY_DAYS: u32 = 14;
/// Days before the end of a member's credential at which it needs a rotation.
pub const CREDENTIAL_DAYS: u32 = 30;
/// Hours before its end at which an unused claim is about to be lost.
const CLAIM_HOURS: i64 = 24;

/// Every rule, in the order of the document.
pub const RULES: &[Rule] = &[
    Rule {
        name: "exposed",
        severity: Severity::Critical,
        practice: "Replace a key that was seen where it does not belong.",
        judge: exposed,
    },
    Rule {
        name: "single_owner",
        severity: Severity::High,
        practice: "Have at least two people who can act when one is away.",
        judge: single_owner,
    },
    Rule {
        name: "last_key",
        severity: Severity::High,
        practice: "Rotate the only key of an integration before it ends.",
        judge: last_key,
    },
    Rule {
        name: "endpoint_disabled",
        severity: Severity::High,
        practice: "Make sure that somebody hears of an incident.",
        judge: endpoint_disabled,
    },
    Rule {
        name: "scope_wide",
        severity: Severity::Medium,
        practice: "Give a key the scopes that its integration needs, and no others.",
        judge: scope_wide,
    },
    Rule {
        name: "scope_unused",
        severity: Severity::Medium,
        practice: "Take back the scopes that an integration does not use.",
        judge: scope_unused,
    },
    Rule {
        name: "shared_widely",
        severity: Severity::Medium,
        practice: "Give each integration its own key, and let it work only from the networks that need it.",
        judge: shared_widely,
    },
    Rule {
        name: "expires_late",
        severity: Severity::Medium,
        practice: "Let keys end: a key that leaks unnoticed works until then.",
        judge: expires_late,
    },
    Rule {
        name: "rotation_overdue",
        severity: Severity::Medium,
        practice: "Rotate keys regularly.",
        judge: rotation_overdue,
    },
    Rule { name: "idle", severity: Severity::Medium, practice: "Revoke keys that nobody uses any more.", judge: idle },
    Rule {
        name: "credential_ending",
        severity: Severity::Medium,
        practice: "Rotate a member's credential before it ends.",
        judge: credential_ending,
    },
    Rule {
        name: "never_used",
        severity: Severity::Low,
        practice: "Revoke keys that were issued and never used.",
        judge: never_used,
    },
    Rule {
        name: "no_limit",
        severity: Severity::Low,
        practice: "Limit what one key can do in a minute, by accident or by a thief.",
        judge: no_limit,
    },
    Rule {
        name: "claim_unused",
        severity: Severity::Low,
        practice: "Hand over a key soon after it was asked for.",
        judge: claim_unused,
    },
];

/// What a rule says about one key.
type Verdict = Option<(Millis, String, Fix)>;

/// Applies a rule to keys: those in use or about to be, so not to retiring ones.
fn of_current_keys(facts: &Facts, judge: impl Fn(&KeyFacts) -> Verdict) -> Judged {
    of_keys(facts.keys.iter().filter(|key| key.status != Status::Retiring), judge)
}

fn of_keys<'a>(keys: impl Iterator<Item = &'a KeyFacts>, judge: impl Fn(&KeyFacts) -> Verdict) -> Judged {
    let mut judged = Judged::default();
    for key in keys {
        judged.checked = judged.checked.saturating_add(1);
        judged.found.extend(judge(key).map(|(since, detail, fix)| Found {
            key_id: Some(key.id.clone()),
            member_id: None,
            since,
            detail,
            fix,
        }));
    }
    judged
}

fn fix(method: &str, path: String, body: Option<Json>) -> Fix {
    Fix { method: method.to_owned(), path, body }
}

fn change(key: &KeyFacts, body: Json) -> Fix {
    fix("PATCH", format!("/_keyward/v1/keys/{}", key.id), Some(body))
}

fn act(key: &KeyFacts, action: &str, body: Json) -> Fix {
    fix("POST", format!("/_keyward/v1/keys/{}/{action}", key.id), Some(body))
}

/// Returns the whole days between two instants.
fn days_between(from: Millis, to: Millis) -> i64 {
    to.since(from).div_euclid(86_400_000)
}

/// Returns when something with this end is about to end: `days` before, but not in the first half of its life, so that a rotation of
/// something that lives for a short time ends the finding.
fn ending_from(end: Millis, days: u32, life_days: i64) -> Millis {
    let days = i64::from(days).min(life_days.div_euclid(2));
    end.plus_seconds(days.saturating_mul(-86_400))
}

fn exposed(facts: &Facts) -> Judged {
    of_keys(facts.keys.iter(), |key| {
        let fix = || act(key, "compromise", json!({"kind": "exposed", "note": null, "replace": "claim"}));
        key.exposed_at.map(|at| (at, "This key was seen where it does not belong.".to_owned(), fix()))
    })
}

fn scope_wide(facts: &Facts) -> Judged {
    of_current_keys(facts, |key| {
        let detail = || "This key has every scope that a route needs.".to_owned();
        key.has_every_scope.then(|| (key.created_at, detail(), change(key, json!({"scopes": null}))))
    })
}

/// Finds scopes that can be taken back. A key of which no scope is used is idle instead.
fn scope_unused(facts: &Facts) -> Judged {
    of_keys(facts.keys.iter().filter(|key| key.status == Status::Active), |key| {
        let (mut unused, mut kept, mut since) = (Vec::new(), Vec::new(), None::<Millis>);
        for (scope, unused_since) in &key.scopes {
            match unused_since.filter(|at| days_after(*at, UNUSED_SCOPE_DAYS) <= facts.now) {
                Some(at) => {
                    unused.push(scope.as_str());
                    since = Some(since.map_or(at, |since| since.min(at)));
                }
                None => kept.push(scope.as_str()),
            }
        }
        let since = since.filter(|_| !kept.is_empty())?;
        let detail = format!("No request in {UNUSED_SCOPE_DAYS} days needed these scopes: {}.", unused.join(", "));
        Some((since, detail, change(key, json!({"scopes": kept}))))
    })
}

fn shared_widely(facts: &Facts) -> Judged {
    of_current_keys(facts, |key| {
        let (day, networks) = key.wide.filter(|(day, _)| key.is_open && days_after(*day, WIDE_DAYS) > facts.now)?;
        let detail =
            format!("This key was used from {networks} networks or more on one day, and works from every network.");
        Some((day.max(key.created_at), detail, change(key, json!({"allowed_cidrs": null}))))
    })
}

fn endpoint_disabled(facts: &Facts) -> Judged {
    let mut judged = Judged::default();
    for endpoint in &facts.endpoints {
        judged.checked = judged.checked.saturating_add(1);
        judged.found.extend(endpoint.stopped_at.map(|stopped_at| Found {
            key_id: None,
            member_id: None,
            since: stopped_at,
            detail: format!("Keyward has stopped sending events to the endpoint {}.", endpoint.id),
            fix: fix("PATCH", format!("/_keyward/v1/endpoints/{}", endpoint.id), Some(json!({"status": "enabled"}))),
        }));
    }
    judged
}

fn expires_late(facts: &Facts) -> Judged {
    of_current_keys(facts, |key| {
        let days = days_between(key.created_at, key.expires_at);
        let is_long = key.expires_at > days_after(key.created_at, LONG_LIFE_DAYS);
        let detail = || format!("This key lives for {days} days, which is more than {LONG_LIFE_DAYS}.");
        is_long.then(|| (key.created_at, detail(), change(key, json!({"expires_at": null}))))
    })
}

fn rotation_overdue(facts: &Facts) -> Judged {
    of_current_keys(facts, |key| {
        let due_at = days_after(key.created_at, facts.rotate_days);
        let detail = || format!("This key was not rotated for {} days.", days_between(key.created_at, facts.now));
        (due_at < facts.now).then(|| (due_at, detail(), act(key, "rotate", json!({}))))
    })
}

/// Applies a rule to keys that can be used, and says when each is idle.
fn of_unused(facts: &Facts, is_used: bool, detail: &str) -> Judged {
    let days = facts.idle.idle_days_of(is_used);
    of_keys(facts.keys.iter().filter(|key| key.status == Status::Active), |key| {
        let unused_since = key.unused_since.filter(|_| key.last_used_at.is_some() == is_used)?;
        let is_idle = days_after(unused_since, days) <= facts.now;
        let detail = format!("{detail} for {} days.", days_between(unused_since, facts.now));
        is_idle.then(|| (unused_since, detail, act(key, "revoke", json!({"reason": null}))))
    })
}

fn idle(facts: &Facts) -> Judged {
    of_unused(facts, true, "This key was not used")
}

fn never_used(facts: &Facts) -> Judged {
    of_unused(facts, false, "This key was never used, and is known to be unused")
}

fn no_limit(facts: &Facts) -> Judged {
    of_current_keys(facts, |key| {
        let detail = || "No limit applies to this key.".to_owned();
        key.is_unlimited.then(|| (key.created_at, detail(), change(key, json!({"limits": null}))))
    })
}

fn last_key(facts: &Facts) -> Judged {
    let mut by_integration: BTreeMap<(Environment, &str), Vec<&KeyFacts>> = BTreeMap::new();
    for key in &facts.keys {
        by_integration.entry((key.environment, &key.integration)).or_default().push(key);
    }
    let only = by_integration.into_values().filter_map(|keys| match keys.as_slice() {
        [only] => Some(*only),
        _ => None,
    });
    let only: Vec<&KeyFacts> = only.filter(|key| key.status == Status::Active).collect();
    of_keys(only.into_iter(), |key| {
        let due_at = ending_from(key.expires_at, LAST_KEY_DAYS, days_between(key.created_at, key.expires_at));
        let detail = || format!("The only key of {} ends at {}.", key.integration, key.expires_at.rfc3339());
        (due_at <= facts.now).then(|| (due_at.max(key.created_at), detail(), act(key, "rotate", json!({}))))
    })
}

fn single_owner(facts: &Facts) -> Judged {
    let Some(members) = &facts.members else { return Judged::default() };
    let owners: Vec<_> = members.iter().filter(|member| member.is_full_owner).collect();
    let found = (owners.len() < 2).then(|| Found {
        key_id: None,
        member_id: None,
        since: owners.first().map_or(facts.now, |owner| owner.created_at),
        detail: format!("{} member is an owner without a limit.", if owners.is_empty() { "No" } else { "Only one" }),
        fix: fix(
            "POST",
            "/_keyward/v1/members".to_owned(),
            Some(json!({"name": null, "email": null, "role": "owner", "environments": null})),
        ),
    });
    Judged { checked: 1, found: found.into_iter().collect() }
}

fn credential_ending(facts: &Facts) -> Judged {
    let members = facts.members.iter().flatten();
    let mut judged = Judged::default();
    for member in members {
        judged.checked = judged.checked.saturating_add(1);
        let due_at = ending_from(member.expires_at, CREDENTIAL_DAYS, i64::from(member.life_days));
        if due_at <= facts.now {
            judged.found.push(Found {
                key_id: None,
                member_id: Some(member.id.clone()),
                since: due_at.max(member.created_at),
                detail: format!("The credential of the member {} ends at {}.", member.id, member.expires_at.rfc3339()),
                fix: fix("POST", format!("/_keyward/v1/members/{}/rotate", member.id), None),
            });
        }
    }
    judged
}

fn claim_unused(facts: &Facts) -> Judged {
    let mut judged = Judged::default();
    for claim in &facts.claims {
        judged.checked = judged.checked.saturating_add(1);
        let due_at = claim.expires_at.plus_seconds(CLAIM_HOURS.saturating_mul(-3_600));
        if due_at < facts.now {
            judged.found.push(Found {
                key_id: Some(claim.id.clone()),
                member_id: None,
                since: due_at.max(claim.created_at),
                detail: format!("The claim of this key is unused and ends at {}.", claim.expires_at.rfc3339()),
                fix: fix("POST", format!("/_keyward/v1/claims/{}/withdraw", claim.id), None),
            });
        }
    }
    judged
}
