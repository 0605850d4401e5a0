//! Lists of keys: filters, order, pages and cost.

use keyward_key::id::Environment;
use keyward_protocol::{KeyView, Rejection, Status};
use keyward_testkit::registry_world::*;

fn page(world: &mut World, filter: KeyFilter, limit: u32, cursor: Option<String>) -> (Vec<KeyView>, Option<String>) {
    match world.done(owner(), list(filter, limit, cursor)) {
        Outcome::Keys { items, next_cursor } => (items, next_cursor),
        other => panic!("{other:?}"),
    }
}

/// Returns the numbers in the ids on one large page.
fn numbers(world: &mut World, filter: KeyFilter) -> Vec<u32> {
    let (items, next_cursor) = page(world, filter, 200, None);
    assert_eq!(next_cursor, None);
    items.iter().map(number).collect()
}

fn number(key: &KeyView) -> u32 {
    key.id.as_str().rsplit('_').next().unwrap().parse().unwrap()
}

fn of_status(status: Status) -> KeyFilter {
    KeyFilter { status: Some(status), ..KeyFilter::default() }
}

/// A world with keys 1 to 6 in live and test, of two owners. Key 1 has expired, 2 is revoked, 3 is retiring.
fn mixed() -> World {
    let mut world = World::with_owner();
    let short = KeyDraft { lifetime: Lifetime::Days(1), ..live("one") };
    world.issue(1, short);
    let second = world.issue(2, live("two")).id;
    world.revoke(&second, "leaked");
    world.issue(3, test("three"));
    // The state after a rotation, without a successor.
    world.store.connection.execute("UPDATE keys SET state = 'retiring' WHERE integration = 'three'", []).unwrap();
    world.issue(4, test("one"));
    world.issue(5, KeyDraft { owner: "dev@acme.example".to_owned(), ..live("five") });
    world.later(2 * DAY);
    world.issue(6, live("one"));
    world
}

#[test]
fn a_list_is_newest_first_and_applies_every_filter() {
    let mut world = mixed();
    let environment = |environment| KeyFilter { environment: Some(environment), ..KeyFilter::default() };
    let integration =
        |integration: &str| KeyFilter { integration: Some(integration.to_owned()), ..KeyFilter::default() };
    let owner = |owner: &str| KeyFilter { owner: Some(owner.to_owned()), ..KeyFilter::default() };
    for (filter, expected) in [
        (KeyFilter::default(), vec![6, 5, 4, 3, 2, 1]),
        (environment(Environment::Live), vec![6, 5, 2, 1]),
        (environment(Environment::Test), vec![4, 3]),
        (integration("one"), vec![6, 4, 1]),
        (integration("none"), vec![]),
        (owner("dev@acme.example"), vec![5]),
        (of_status(Status::Active), vec![6, 5, 4]),
        (of_status(Status::Retiring), vec![3]),
        (of_status(Status::Expired), vec![1]),
        (of_status(Status::Revoked), vec![2]),
        (of_status(Status::Pending), vec![]),
        (
            KeyFilter {
                environment: Some(Environment::Live),
                integration: Some("one".to_owned()),
                owner: Some("ops@acme.example".to_owned()),
                status: Some(Status::Active),
                ..KeyFilter::default()
            },
            vec![6],
        ),
    ] {
        let case = format!("{filter:?}");
        assert_eq!(numbers(&mut world, filter), expected, "{case}");
    }
}

#[test]
fn a_list_by_status_agrees_with_each_keys_view_at_every_instant() {
    let mut world = mixed();
    world.issue(7, KeyDraft { lifetime: Lifetime::Days(5), ..live("seven") });
    // The clock also steps back, as it may when an object moves.
    for seconds in [0, 1, 5 * DAY - 2, 1, 1, 83 * DAY, -90 * DAY, 200 * DAY] {
        world.later(seconds);
        let (all, _) = page(&mut world, KeyFilter::default(), 200, None);
        let mut sum = 0;
        for status in [Status::Active, Status::Retiring, Status::Expired, Status::Revoked] {
            let (items, _) = page(&mut world, of_status(status), 200, None);
            for item in &items {
                assert_eq!(item.status, status, "{item:?}");
            }
            sum += items.len();
        }
        assert_eq!(sum, all.len(), "{seconds}");
        for item in all {
            let Outcome::Key(shown) = world.done(owner(), show(&item.id)) else { panic!("no key") };
            let listed = numbers(&mut world, of_status(shown.status));
            assert!(listed.contains(&number(&item)), "{seconds} {item:?}");
        }
    }
}

#[test]
fn pages_join_to_the_whole_list_while_keys_are_issued() {
    let mut world = World::with_owner();
    for number in 1..=23 {
        let name = format!("i-{number}");
        world.issue(number, if number % 3 == 0 { test(&name) } else { live(&name) });
    }
    for limit in [1, 2, 5, 22, 23, 24] {
        for status in [None, Some(Status::Active)] {
            let whole = numbers(&mut world, KeyFilter { status, ..KeyFilter::default() });
            let mut seen = Vec::new();
            let mut cursor = None;
            loop {
                let (items, next) = page(&mut world, KeyFilter { status, ..KeyFilter::default() }, limit, cursor);
                assert!(items.len() <= usize::try_from(limit).unwrap());
                seen.extend(items.iter().map(number));
                assert!(seen.len() <= whole.len(), "duplicate row: {seen:?}");
                let next_number = 1 + u32::try_from(world.store.dump()["keys"].as_array().unwrap().len()).unwrap();
                world.issue(next_number, live(&format!("i-{next_number}")));
                let Some(next) = next else { break };
                assert_eq!(items.len(), usize::try_from(limit).unwrap(), "a short page in the middle");
                cursor = Some(next);
            }
            assert_eq!(seen, whole, "{limit} {status:?}");
            let extra = whole.len();
            world.store.connection.execute("DELETE FROM keys WHERE position > 24", []).unwrap();
            assert_eq!(extra, 23);
        }
    }
}

#[test]
fn the_last_page_has_no_cursor_even_when_it_is_full() {
    let mut world = mixed();
    let (items, next) = page(&mut world, KeyFilter::default(), 6, None);
    assert_eq!((items.len(), next), (6, None));
    let mut empty = World::with_owner();
    assert!(matches!(page(&mut empty, KeyFilter::default(), 1, None), (items, None) if items.is_empty()));
}

#[test]
fn an_unknown_cursor_or_invalid_limit_is_refused() {
    let mut world = mixed();
    // "0", "-1", "01", "+1", "9007199254740992", "1 ", then invalid base64url, padding, invalid UTF-8 and non-zero trailing bits.
    for text in ["", "MA", "LTE", "MDE", "KzE", "OTAwNzE5OTI1NDc0MDk5Mg", "MSA", "!", "MQ==", "_w", "MR", "1", "é"] {
        let refused = world.refused(owner(), list(KeyFilter::default(), 50, Some(text.to_owned())));
        assert!(matches!(&refused, Rejection::Invalid { field, .. } if field == "cursor"), "{text}: {refused:?}");
    }
    for limit in [0, 201, u32::MAX] {
        let refused = world.refused(owner(), list(KeyFilter::default(), limit, None));
        assert!(matches!(&refused, Rejection::Invalid { field, .. } if field == "limit"), "{limit}");
    }
}

fn same(filter: &KeyFilter) -> KeyFilter {
    serde_json::from_value(serde_json::to_value(filter).unwrap()).unwrap()
}

/// Worst case of 100,000 keys: those that match a filter are few and the oldest.
#[test]
fn a_page_of_a_hundred_thousand_keys_reads_a_few_hundred_rows() {
    let mut world = World::with_owner();
    world
        .store
        .connection
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 100009)
             INSERT INTO keys (position, id, key_hash, minted_under, name, integration, environment, purpose, owner,
                 scopes, allowed_cidrs, state, created_at, created_by, expires_at, revision)
             SELECT i,
                 'wafl_' || CASE WHEN i < 5000 THEN 'test' ELSE 'live' END || '_' || printf('%012d', i),
                 printf('%064d', 0), '1f2e3d4c', 'name ' || i, CASE WHEN i % 1000 = 0 THEN 'rare' ELSE 'crm' END,
                 CASE WHEN i < 5000 THEN 'test' ELSE 'live' END, 'p',
                 CASE WHEN i % 999 = 0 THEN 'rare@acme.example' ELSE 'ops@acme.example' END, '[]', '[]',
                 CASE WHEN i < 100 THEN 'active' WHEN i < 200 THEN 'retiring' WHEN i < 300 THEN 'revoked'
                     ELSE 'expired' END,
                 0, 'm', CASE WHEN i < 200 THEN 9000000000000 ELSE 1 END, i
             FROM n",
        )
        .unwrap();
    for environment in [None, Some(Environment::Live), Some(Environment::Test)] {
        for integration in [None, Some("rare"), Some("crm"), Some("none")] {
            for filter_owner in [None, Some("rare@acme.example"), Some("ops@acme.example"), Some("none")] {
                for status in
                    [None, Some(Status::Active), Some(Status::Retiring), Some(Status::Expired), Some(Status::Revoked)]
                {
                    let filter = KeyFilter {
                        environment,
                        integration: integration.map(str::to_owned),
                        owner: filter_owner.map(str::to_owned),
                        status,
                        ..KeyFilter::default()
                    };
                    let case = format!("{filter:?}");
                    world.store.costs.clear();
                    page(&mut world, same(&filter), 50, None);
                    assert_cheap(&mut world, &case);
                    page(&mut world, filter, 50, Some("NTAwMDA".to_owned()));
                    assert_cheap(&mut world, &case);
                }
            }
        }
    }
    world.issue(1, live("new"));
    assert_cheap(&mut world, "issue");
    world.later(91 * DAY);
    page(&mut world, of_status(Status::Expired), 50, None);
    assert_cheap(&mut world, "list that marks one key as expired");
}

/// Checks the SQLite virtual machine steps since the last call. A row costs 5 to 30 steps; a scan of 100,000 keys costs 300,000
/// or more.
fn assert_cheap(world: &mut World, case: &str) {
    for cost in &world.store.costs {
        assert_eq!((cost.scanned, cost.sorts), (0, 0), "{case}: {}", cost.sql);
    }
    let steps: i32 = world.store.costs.iter().map(|cost| cost.steps).sum();
    assert!(steps < 5_000, "{case}: {steps} steps");
    world.store.costs.clear();
}

#[test]
fn a_page_of_keys_is_limited_in_bytes() {
    let mut world = World::with_owner();
    for number in 1..=40 {
        let network = |at: u32| format!("2001:db8:{number:x}:{at:x}::/64").parse().unwrap();
        let allowed_cidrs = (1..=1_000).map(network).collect();
        world.issue(number, KeyDraft { allowed_cidrs, ..live(&format!("i-{number}")) });
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let (items, next) = page(&mut world, KeyFilter::default(), 200, cursor);
        assert!(!items.is_empty() && serde_json::to_string(&items).unwrap().len() < 1_000_000, "{}", items.len());
        seen.extend(items.iter().map(number));
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, (1..=40).rev().collect::<Vec<_>>());
}
