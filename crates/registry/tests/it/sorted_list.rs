//! Lists of keys in any order, and searches.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_key::id::Environment;
use keyward_key::time::Millis;
use keyward_protocol::role::Role;
use keyward_protocol::{Caller, KeyView, Rejection, Status};
use keyward_registry::order::SortKey;
use keyward_testkit::registry_world::*;

fn page(
    world: &mut World,
    caller: Caller,
    (filter, order): (&KeyFilter, KeyOrder),
    limit: u32,
    cursor: Option<String>,
) -> (Vec<KeyView>, Option<String>) {
    match world.done(caller, Command::SortKeys { filter: filter.clone(), order, limit, cursor }) {
        Outcome::Keys { items, next_cursor } => (items, next_cursor),
        other => panic!("{other:?}"),
    }
}

fn number(key: &KeyView) -> u32 {
    key.id.as_str().rsplit('_').next().unwrap().parse().unwrap()
}

/// All keys of a list, page by page.
fn whole(world: &mut World, filter: &KeyFilter, order: KeyOrder, limit: u32) -> Vec<u32> {
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let (items, next) = page(world, owner(), (filter, order), limit, cursor);
        assert!(items.len() <= usize::try_from(limit).unwrap());
        seen.extend(items.iter().map(number));
        cursor = next;
        if cursor.is_none() {
            return seen;
        }
    }
}

/// Keys 1 to 6. By end: 4, 1, 6, and 2, 3, 5 at once. By name: 3 `Alpha`, 1 `beta`, 2 `Beta 2`, 5 `gamma_%`, 4 `Zoë`, 6 `zzz`.
fn mixed() -> World {
    let mut world = World::with_owner();
    let named =
        |name: &str, days, draft: KeyDraft| KeyDraft { name: name.to_owned(), lifetime: Lifetime::Days(days), ..draft };
    world.issue(1, named("beta", 20, live("one")));
    world.issue(2, named("Beta 2", 90, test("two")));
    world.issue(3, named("Alpha", 90, live("three")));
    world.issue(4, named("Zoë", 1, live("four")));
    world.issue(5, KeyDraft { owner: "dev@acme.example".to_owned(), ..named("gamma_%", 90, test("five")) });
    world.issue(6, named("zzz", 30, live("six")));
    world
}

fn order(text: &str) -> KeyOrder {
    KeyOrder::parse(text).unwrap()
}

#[test]
fn every_order_is_whole_whatever_the_size_of_the_pages() {
    let mut world = mixed();
    for (sort, expected) in
        [("created_at", [1, 2, 3, 4, 5, 6]), ("expires_at", [4, 1, 6, 2, 3, 5]), ("name", [3, 1, 2, 5, 4, 6])]
    {
        for limit in [1, 2, 5, 6, 200] {
            assert_eq!(whole(&mut world, &KeyFilter::default(), order(sort), limit), expected, "{sort} {limit}");
            let mut reversed = expected;
            reversed.reverse();
            let descending = order(&format!("-{sort}"));
            assert_eq!(whole(&mut world, &KeyFilter::default(), descending, limit), reversed, "-{sort} {limit}");
        }
    }
}

#[test]
fn filters_hold_in_every_order() {
    let mut world = mixed();
    world.revoke(&key_id(Environment::Live, 3), "leaked");
    world.later(2 * DAY);
    let q = |text: &str| KeyFilter { q: Some(text.to_owned()), ..KeyFilter::default() };
    let before = |days: i64| KeyFilter { expires_before: Some(NOW.plus_seconds(days * DAY)), ..KeyFilter::default() };
    let status = |status| KeyFilter { status: Some(status), ..q("a") };
    for (filter, expected) in [
        (q("BETA"), vec![1, 2]),
        (q("_live_000000000003"), vec![3]),
        (q("_LIVE_"), vec![1, 3, 4, 6]),
        (q("%"), vec![5]),
        (q("gamma_%"), vec![5]),
        (q("Zoë"), vec![4]),
        (q("nothing"), vec![]),
        (before(90), vec![1, 4, 6]),
        (before(20), vec![4]),
        (before(0), vec![]),
        (status(Status::Active), vec![1, 2, 5, 6]),
        (status(Status::Revoked), vec![3]),
        (KeyFilter { status: Some(Status::Expired), ..before(90) }, vec![4]),
        (KeyFilter { environment: Some(Environment::Test), ..q("a") }, vec![2, 5]),
        (KeyFilter { integration: Some("two".to_owned()), ..q("a") }, vec![2]),
        (KeyFilter { owner: Some("dev@acme.example".to_owned()), ..q("a") }, vec![5]),
    ] {
        for order in KeyOrder::ALL {
            let mut found = whole(&mut world, &filter, order, 2);
            found.sort_unstable();
            assert_eq!(found, expected, "{filter:?} {order:?}");
        }
    }
    let limited = world.add_member(Role::Auditor, Some(r#"["test"]"#));
    let (items, _) = page(&mut world, limited.clone(), (&q("a"), order("name")), 50, None);
    assert_eq!(items.iter().map(number).collect::<Vec<_>>(), [2, 5]);
    let elsewhere = KeyFilter { environment: Some(Environment::Live), ..q("a") };
    assert!(page(&mut world, limited, (&elsewhere, order("name")), 50, None).0.is_empty());
}

#[test]
fn a_cursor_is_good_for_its_own_order_only() {
    let mut world = mixed();
    for order in KeyOrder::ALL {
        let (_, next) = page(&mut world, owner(), (&KeyFilter::default(), order), 2, None);
        for other in KeyOrder::ALL.into_iter().filter(|other| *other != order) {
            let command =
                Command::SortKeys { filter: KeyFilter::default(), order: other, limit: 2, cursor: next.clone() };
            let refused = world.refused(owner(), command);
            assert!(matches!(&refused, Rejection::Invalid { field, .. } if field == "cursor"), "{order:?} {other:?}");
        }
    }
    for cursor in ["", "!", "W10", "WyJuYW1lIiwiIiwwXQ", "WyJuYW1lIiwxLDFd", "WyAibmFtZSIsIiIsMV0"] {
        let command = Command::SortKeys {
            filter: KeyFilter::default(),
            order: order("name"),
            limit: 2,
            cursor: Some(cursor.to_owned()),
        };
        assert!(matches!(world.refused(owner(), command), Rejection::Invalid { .. }), "{cursor}");
    }
}

/// A store refuses larger integers, and its failure is no answer to a wrong cursor.
#[test]
fn a_cursor_with_an_end_that_no_store_keeps_is_refused() {
    let mut world = mixed();
    for (end, valid) in [
        (9_007_199_254_740_991, true),
        (9_007_199_254_740_992, false),
        (-9_007_199_254_740_992, false),
        (i64::MIN, false),
    ] {
        let cursor = URL_SAFE_NO_PAD.encode(format!(r#"["expires_at",{end},1]"#));
        let command = Command::SortKeys {
            filter: KeyFilter::default(),
            order: order("expires_at"),
            limit: 2,
            cursor: Some(cursor),
        };
        let answered = world.ask(owner(), command).unwrap();
        let refused = matches!(&answered, Response::Refused(Rejection::Invalid { field, .. }) if field == "cursor");
        assert_eq!(!refused, valid, "{end}");
    }
}

/// Keys that a member sees and others stand in turns, so that the key before each next page is one of the others.
#[test]
fn a_cursor_tells_nothing_of_the_keys_out_of_sight() {
    let shown = |seen: Environment| {
        let mut world = World::with_owner();
        let limited = world.add_member(Role::Auditor, Some(&format!(r#"["{}"]"#, seen.as_str())));
        for number in 1..=8 {
            let draft = if number % 2 == 0 { test(&format!("i{number}")) } else { live(&format!("i{number}")) };
            world.issue(number, KeyDraft { name: format!("name {number}"), lifetime: Lifetime::Days(number), ..draft });
        }
        (world, limited)
    };
    for seen in [Environment::Live, Environment::Test] {
        let (mut world, limited) = shown(seen);
        for order in KeyOrder::ALL.into_iter().filter(|order| *order != KeyOrder::default()) {
            let (mut found, mut cursor) = (0, None);
            loop {
                let (items, next) = page(&mut world, limited.clone(), (&KeyFilter::default(), order), 1, cursor);
                found += items.len();
                let Some(next) = next else { break };
                let text = String::from_utf8(URL_SAFE_NO_PAD.decode(&next).unwrap()).unwrap();
                let (_, value, position): (String, serde_json::Value, u64) = serde_json::from_str(&text).unwrap();
                let last = items.last().unwrap();
                assert_eq!(position, last.revision, "{text}");
                assert!(value.as_str().is_none_or(|name| name == last.attributes.name), "{text}");
                let is_end = |end: i64| Millis(end).rfc3339() == last.expires_at;
                // No key of this test was used.
                let is_use = |at: i64| order.by == SortKey::LastUsedAt && at == 0;
                assert!(value.as_i64().is_none_or(|number| is_end(number) || is_use(number)), "{text}");
                cursor = Some(next);
            }
            assert_eq!(found, 4, "{order:?}");
        }
    }
}

/// 100,000 keys, as unfavourable as can be: nothing fits.
#[test]
fn a_search_costs_a_bounded_number_of_keys_and_leads_on() {
    let mut world = World::with_owner();
    world
        .store
        .connection
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 100009)
             INSERT INTO keys (position, id, key_hash, minted_under, name, integration, environment, purpose, owner,
                 scopes, allowed_cidrs, state, created_at, created_by, expires_at, revision)
             SELECT i, 'wafl_live_' || printf('%012d', i), printf('%064d', 0), '1f2e3d4c', 'name ' || (i % 977), 'crm',
                 'live', 'p', 'ops@acme.example', '[]', '[]', 'active', 0, 'm', 9000000000000 + i % 991, i FROM n",
        )
        .unwrap();
    for order in KeyOrder::ALL {
        for filter in [
            KeyFilter { q: Some("nothing".to_owned()), ..KeyFilter::default() },
            KeyFilter { expires_before: Some(NOW), status: Some(Status::Active), ..KeyFilter::default() },
            KeyFilter { environment: Some(Environment::Test), ..KeyFilter::default() },
        ] {
            world.store.costs.clear();
            let (items, next) = page(&mut world, owner(), (&filter, order), 50, None);
            assert!(items.is_empty());
            if let Some(next) = next {
                assert_ne!(page(&mut world, owner(), (&filter, order), 50, Some(next.clone())).1, Some(next));
            }
            for cost in &world.store.costs {
                assert_eq!(cost.sorts, 0, "{}", cost.sql);
            }
            let steps: i32 = world.store.costs.iter().map(|cost| cost.steps).sum();
            assert!(steps < 200_000, "{order:?} {filter:?}: {steps} steps");
        }
        world.store.costs.clear();
        let (items, next) = page(&mut world, owner(), (&KeyFilter::default(), order), 50, None);
        assert!(items.len() == 50 && next.is_some());
        let steps: i32 = world.store.costs.iter().map(|cost| cost.steps).sum();
        assert!(steps < 40_000, "{order:?}: {steps} steps");
    }
    assert_eq!(order("-name"), KeyOrder { by: SortKey::Name, descending: true });
}
