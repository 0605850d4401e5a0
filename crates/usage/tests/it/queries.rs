//! Series, totals and activity, and their cost.

use keyward_key::id::Environment;
use keyward_protocol::usage::{ActivityQuery, SeriesQuery, Step, StepCount, Total, TotalsBy, TotalsQuery, UseCount};
use keyward_testkit::sqlite_store::SqliteStore;
use keyward_usage::query::{activity, routes_of_key, series, totals};

use crate::world::{NOW, from, id, key, later, send, step_of, store, used};

fn refused(mut used: UseCount, code: &str) -> UseCount {
    used.decision = code.to_owned();
    used
}

fn furnished() -> SqliteStore {
    let mut store = store();
    for hour in 0..3 {
        let at = later(NOW, -60 * hour);
        let mut elsewhere = used(at, 5);
        (elsewhere.route, elsewhere.from) = ("POST /v1/contacts".to_owned(), from("198.51.100.0/24"));
        let uses = vec![used(at, 10), refused(used(at, 2), "rate_limited"), elsewhere];
        send(&mut store, vec![key(1, at, uses), key(2, at, vec![used(at, 1)])], NOW);
    }
    store
}

#[test]
fn a_series_has_one_count_for_each_step_and_decision() {
    let mut store = furnished();
    for step in [Step::Minute, Step::Hour] {
        let now = step_of(step, NOW);
        let query = SeriesQuery { id: id(1), step, from: now - 900, to: now + 1 };
        let found = series(&mut store, &query, NOW).unwrap();
        let hour = 60 / step.minutes();
        let expected: Vec<_> = [2, 1, 0]
            .into_iter()
            .flat_map(|back| {
                let at = now - back * hour;
                [("allowed", 15), ("rate_limited", 2)].map(|(decision, count)| StepCount {
                    at,
                    decision: decision.to_owned(),
                    count,
                })
            })
            .collect();
        assert_eq!(found.counts, expected, "{step:?}");
    }
    let today = step_of(Step::Day, NOW);
    let query = SeriesQuery { id: id(1), step: Step::Day, from: today, to: today + 1 };
    let counts: Vec<u64> = series(&mut store, &query, NOW).unwrap().counts.iter().map(|count| count.count).collect();
    assert_eq!(counts, [45, 6]);
    assert_eq!(series(&mut store, &SeriesQuery { id: id(9), ..query }, NOW).unwrap().counts, []);
}

#[test]
fn totals_are_grouped_and_the_largest_comes_first() {
    let mut store = furnished();
    for (step, from) in [(Step::Hour, step_of(Step::Hour, NOW) - 2), (Step::Day, step_of(Step::Day, NOW))] {
        let mut ask = |by| {
            let to = step_of(step, NOW) + 1;
            let found = totals(&mut store, &TotalsQuery { by, step, from, to, environments: None }).unwrap();
            found.into_iter().map(|Total { name, allowed, refused }| (name, allowed, refused)).collect::<Vec<_>>()
        };
        let named = |name: &str, allowed, refused| (name.to_owned(), allowed, refused);
        assert_eq!(ask(TotalsBy::Key), [named(id(1).as_str(), 45, 6), named(id(2).as_str(), 3, 0)]);
        assert_eq!(ask(TotalsBy::Integration), [named("integration-1", 45, 6), named("integration-2", 3, 0)]);
        assert_eq!(ask(TotalsBy::Code), [named("allowed", 48, 0), named("rate_limited", 0, 6)]);
        assert_eq!(ask(TotalsBy::Route), [named("GET /v1/contacts", 33, 6), named("POST /v1/contacts", 15, 0)]);
        if step == Step::Hour {
            let hour = |back: i64| named(&(step_of(step, NOW) - back).to_string(), 16, 2);
            assert_eq!(ask(TotalsBy::Time), [hour(2), hour(1), hour(0)]);
        } else {
            assert_eq!(ask(TotalsBy::Time), [named(&from.to_string(), 48, 6)]);
        }
    }
    let query = TotalsQuery {
        by: TotalsBy::Code,
        step: Step::Day,
        from: step_of(Step::Day, NOW),
        to: step_of(Step::Day, NOW) + 1,
        environments: Some(vec![Environment::Test]),
    };
    assert_eq!(totals(&mut store, &query), Ok(Vec::new()), "keys of another environment are not counted");
}

#[test]
fn routes_of_a_key_are_counted_without_other_keys_and_times() {
    let mut store = furnished();
    for (step, back, times) in [(Step::Hour, 2, 3), (Step::Hour, 0, 1), (Step::Day, 0, 3)] {
        let to = step_of(step, NOW) + 1;
        let mut ask = |key| {
            let query = SeriesQuery { id: id(key), step, from: to - 1 - back, to };
            let found = routes_of_key(&mut store, &query).unwrap();
            found.into_iter().map(|Total { name, allowed, refused }| (name, allowed, refused)).collect::<Vec<_>>()
        };
        let (get, post) = ("GET /v1/contacts".to_owned(), "POST /v1/contacts".to_owned());
        assert_eq!(ask(1), [(get.clone(), 10 * times, 2 * times), (post, 5 * times, 0)], "{step:?}");
        assert_eq!(ask(2), [(get, times, 0)], "{step:?}");
        assert!(ask(9).is_empty());
    }
}

#[test]
fn activity_is_paged_in_order_of_time() {
    let mut store = furnished();
    let hour = step_of(Step::Hour, NOW);
    let mut query = ActivityQuery { id: id(1), from: hour - 800, to: hour + 1, after: None, limit: 200 };
    let whole = activity(&mut store, &query).unwrap();
    assert_eq!((whole.items.len(), whole.next), (6, None));
    assert_eq!(whole.items[0].hour, hour - 2);
    assert_eq!(whole.items[0].counts, [("allowed".to_owned(), 10), ("rate_limited".to_owned(), 2)]);
    assert_eq!(whole.items[1].from, from("198.51.100.0/24"));
    for limit in [1, 2, 4, 5, 6] {
        (query.limit, query.after) = (limit, None);
        let mut items = Vec::new();
        loop {
            let page = activity(&mut store, &query).unwrap();
            assert!(page.items.len() <= usize::try_from(limit).unwrap());
            items.extend(page.items);
            query.after = page.next;
            if page.next.is_none() {
                break;
            }
        }
        assert_eq!(items, whole.items, "{limit}");
    }
}

#[test]
fn a_question_about_one_key_costs_the_same_among_many_keys() {
    let mut steps = Vec::new();
    for others in [10_u32, 2_000] {
        let mut store = store();
        for hour in 0..5 {
            let at = later(NOW, -60 * hour);
            let keys = (1..=others).map(|number| key(number, at, vec![used(at, 1)])).collect();
            send(&mut store, keys, NOW);
        }
        store.costs.clear();
        let hour = step_of(Step::Hour, NOW);
        series(&mut store, &SeriesQuery { id: id(1), step: Step::Hour, from: hour - 839, to: hour + 1 }, NOW).unwrap();
        activity(&mut store, &ActivityQuery { id: id(1), from: hour - 839, to: hour + 1, after: None, limit: 50 })
            .unwrap();
        routes_of_key(&mut store, &SeriesQuery { id: id(1), step: Step::Hour, from: hour - 47, to: hour + 1 }).unwrap();
        let day = step_of(Step::Day, NOW);
        routes_of_key(&mut store, &SeriesQuery { id: id(1), step: Step::Day, from: day - 91, to: day + 1 }).unwrap();
        steps.push(store.costs.iter().map(|cost| cost.steps).sum::<i32>());
    }
    assert_eq!(steps[0], steps[1], "steps of SQLite's machine with few and with many other keys");
    assert!(steps[0] < 60_000, "{steps:?}");
}
