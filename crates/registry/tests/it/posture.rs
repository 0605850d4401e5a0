//! The rules of posture over random facts: the score, the order, and the bounds.

use keyward_key::id::{Environment, KeyId};
use keyward_key::scope::Scope;
use keyward_key::time::Millis;
use keyward_protocol::Status;
use keyward_registry::idle::IdleRules;
use keyward_registry::posture::facts::{ClaimFacts, EndpointFacts, KeyFacts, MemberFacts};
use keyward_registry::posture::rules::RULES;
use keyward_registry::posture::{Facts, MOST_FINDINGS, assess};
use proptest::prelude::*;

const DAY_MS: i64 = 86_400_000;
const NOW: Millis = Millis(1_795_442_523_004);

fn id(class: &str, number: usize) -> KeyId {
    KeyId::parse(&format!("wafl_{class}_{number:012}")).unwrap()
}

/// A key that no rule finds anything about.
fn good_key(number: usize) -> KeyFacts {
    KeyFacts {
        id: id("live", number),
        integration: format!("i-{number}"),
        environment: Environment::Live,
        status: Status::Active,
        created_at: NOW.plus_seconds(-86_400),
        expires_at: NOW.plus_seconds(89 * 86_400),
        has_every_scope: false,
        is_unlimited: false,
        exposed_at: None,
        last_used_at: Some(NOW),
        unused_since: Some(NOW),
        scopes: ["a:read", "a:write"].map(|text| (Scope::parse(text).unwrap(), Some(NOW))).to_vec(),
        is_open: true,
        wide: None,
    }
}

fn good_member(number: usize) -> MemberFacts {
    MemberFacts {
        id: id("admin", number),
        is_full_owner: true,
        created_at: NOW.plus_seconds(-86_400),
        expires_at: NOW.plus_seconds(300 * 86_400),
        life_days: 365,
    }
}

fn good() -> Facts {
    Facts {
        now: NOW,
        rotate_days: 90,
        idle: IdleRules::default(),
        keys: vec![good_key(1), good_key(2)],
        members: Some(vec![good_member(1), good_member(2)]),
        claims: vec![ClaimFacts { id: id("live", 3), created_at: NOW, expires_at: NOW.plus_seconds(48 * 3_600) }],
        endpoints: vec![EndpointFacts { id: "ep_1".to_owned(), stopped_at: None }],
    }
}

fn some_key() -> impl Strategy<Value = KeyFacts> {
    let times = (-400_i64..=0, 1_i64..400, proptest::option::of(-100_i64..=0), proptest::option::of(-100_i64..=0));
    let flags = (any::<bool>(), any::<bool>(), 0_usize..4, proptest::option::of(-100_i64..=0));
    let uses = (proptest::option::of(-60_i64..=0), any::<bool>(), proptest::option::of(-20_i64..=0));
    (0_usize..40, times, flags, uses).prop_map(
        |(number, (created, end, exposed, used), flags, (scope, is_open, wide))| {
            let (scopes, limit, status, unused) = flags;
            let day = |days: i64| Millis(NOW.0 + days * DAY_MS);
            KeyFacts {
                integration: format!("i-{}", number % 7),
                status: [Status::Active, Status::Pending, Status::Quarantined, Status::Retiring][status],
                created_at: day(created),
                expires_at: day(end),
                has_every_scope: scopes,
                is_unlimited: limit,
                exposed_at: exposed.map(day),
                last_used_at: used.map(day),
                unused_since: unused.map(day),
                scopes: vec![
                    (Scope::parse("a:read").unwrap(), None),
                    (Scope::parse("a:write").unwrap(), scope.map(day)),
                ],
                is_open,
                wide: wide.map(|at| (day(at), 40)),
                ..good_key(number)
            }
        },
    )
}

fn some_facts() -> impl Strategy<Value = Facts> {
    let member =
        (0_usize..9, any::<bool>(), 1_i64..400, 1_u32..400).prop_map(|(number, owner, end, life)| MemberFacts {
            is_full_owner: owner,
            expires_at: NOW.plus_seconds(end * 86_400),
            life_days: life,
            ..good_member(number)
        });
    let claim = (0_usize..9, 1_i64..72).prop_map(|(number, hours)| ClaimFacts {
        id: id("test", number),
        created_at: NOW.plus_seconds(-3_600),
        expires_at: NOW.plus_seconds(hours * 3_600),
    });
    let members = proptest::option::of(proptest::collection::vec(member, 0..5));
    let endpoint = (0_usize..9, proptest::option::of(-5_i64..=0)).prop_map(|(number, stopped)| EndpointFacts {
        id: format!("ep_{number}"),
        stopped_at: stopped.map(|hours| NOW.plus_seconds(hours * 3_600)),
    });
    let (claims, endpoints) = (proptest::collection::vec(claim, 0..5), proptest::collection::vec(endpoint, 0..5));
    let lists = (proptest::collection::vec(some_key(), 0..30), members, claims, endpoints);
    lists.prop_map(|(keys, members, claims, endpoints)| Facts { keys, members, claims, endpoints, ..good() })
}

#[test]
fn good_facts_have_100_and_no_finding() {
    let posture = assess(&good());
    assert_eq!((posture.score, posture.findings.len()), (100, 0));
    assert_eq!(posture.by_rule.len(), RULES.len());
    let nothing = Facts { keys: vec![], members: None, claims: vec![], ..good() };
    assert_eq!(assess(&nothing).score, 100);
}

#[test]
fn one_finding_among_ten_thousand_keys_is_less_than_100() {
    let mut facts = good();
    facts.keys = (0..10_000).map(good_key).collect();
    assert_eq!(assess(&facts).score, 100);
    facts.keys[77].is_unlimited = true;
    assert_eq!(assess(&facts).score, 99);
}

#[test]
fn findings_are_bounded_and_counts_are_complete() {
    let mut facts = good();
    facts.keys = (0..2_000).map(|number| KeyFacts { is_unlimited: true, ..good_key(number) }).collect();
    facts.keys[1_999].exposed_at = Some(NOW);
    let posture = assess(&facts);
    assert_eq!(posture.findings.len(), MOST_FINDINGS);
    assert_eq!((posture.findings[0].rule.as_str(), posture.by_rule["no_limit"].found), ("exposed", 2_000));
}

proptest! {
    #[test]
    fn the_score_is_100_exactly_when_nothing_is_found(facts in some_facts()) {
        let posture = assess(&facts);
        prop_assert!(posture.score <= 100);
        prop_assert_eq!(posture.score == 100, posture.findings.is_empty());
        let found: u64 = posture.by_rule.values().map(|rule| rule.found).sum();
        prop_assert_eq!(found, posture.findings.len() as u64);
        for rule in posture.by_rule.values() {
            prop_assert!(rule.found <= rule.checked);
        }
    }

    #[test]
    fn the_same_facts_in_any_order_have_the_same_posture(facts in some_facts()) {
        let mut other = facts.clone();
        other.keys.sort_by(|one, other| other.id.cmp(&one.id));
        other.keys.dedup_by(|one, other| one.id == other.id);
        let mut sorted = other.clone();
        sorted.keys.reverse();
        prop_assert_eq!(assess(&other), assess(&sorted));
    }

    #[test]
    fn ending_a_finding_never_lowers_the_score(facts in some_facts(), number in 0_usize..30) {
        let before = assess(&facts).score;
        let mut better = facts;
        if let Some(key) = better.keys.get_mut(number) {
            key.exposed_at = None;
            key.is_unlimited = false;
            key.has_every_scope = false;
        }
        prop_assert!(assess(&better).score >= before);
    }
}
