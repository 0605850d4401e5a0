//! One object over SQLite: what is granted, written and restored.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use keyward_key::limit::{Limit, Span};
use keyward_key::time::Millis;
use keyward_limits::{Level, LimitsHost, LimitsObject, LoggedEvents};
use keyward_protocol::FetchError;
use keyward_protocol::feed::CompactKeyId;
use keyward_protocol::lease::{GroupAnswer, GroupQuery, LeaseAnswer, LeaseQuery, Returned};
use keyward_protocol::metrics::{LOG_EVENTS, Sample};
use keyward_store::{Store, StoreError};
use keyward_testkit::sqlite_store::{Fault, SqliteStore};

struct Host {
    store: Rc<RefCell<SqliteStore>>,
    now: Rc<Cell<i64>>,
    number: u64,
    logged: RefCell<Vec<LoggedEvents>>,
}

impl Host {
    fn new(store: &Rc<RefCell<SqliteStore>>, now: &Rc<Cell<i64>>, number: u64) -> Self {
        Self { store: Rc::clone(store), now: Rc::clone(now), number, logged: RefCell::default() }
    }
}

impl LimitsHost for Host {
    fn now(&self) -> Millis {
        Millis(self.now.get())
    }

    fn random_number(&self) -> Option<u64> {
        Some(self.number)
    }

    fn with_store<T>(&self, work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        work(&mut *self.store.borrow_mut())
    }

    fn take_logged(&self) -> Vec<LoggedEvents> {
        self.logged.take()
    }

    fn log(&self, level: Level, event: &str, _: &[(&str, &str)]) {
        self.logged.borrow_mut().push(LoggedEvents { event: event.to_owned(), level, count: 1 });
    }
}

/// An object, its store and its clock.
pub struct World {
    store: Rc<RefCell<SqliteStore>>,
    now: Rc<Cell<i64>>,
    object: LimitsObject<Host>,
    instances: u64,
}

/// An instant in milliseconds, 2026-11-23.
const START_MS: i64 = 1_795_442_523_004;

impl World {
    pub fn new() -> Self {
        let store = Rc::new(RefCell::new(SqliteStore::new()));
        let now = Rc::new(Cell::new(START_MS));
        let object = LimitsObject::new(Host::new(&store, &now, 1));
        Self { store, now, object, instances: 1 }
    }

    fn restart(&mut self) {
        self.instances += 1;
        self.object = LimitsObject::new(Host::new(&self.store, &self.now, self.instances));
    }

    pub fn now(&self) -> Millis {
        Millis(self.now.get())
    }

    pub fn wait(&self, milliseconds: i64) {
        self.now.set(self.now.get() + milliseconds);
    }

    pub fn answer(&self, query: &LeaseQuery) -> LeaseAnswer {
        let answer = self.object.fetch(&serde_json::to_string(query).unwrap()).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    fn query(&self, isolate: u64, group: GroupQuery) -> LeaseQuery {
        LeaseQuery {
            isolate,
            asked_at: Millis(self.now.get()),
            epoch: Some(self.instances),
            object_at: None,
            grace_ms: 0,
            groups: vec![group],
        }
    }

    fn ask(&self, isolate: u64, group: GroupQuery) -> Result<GroupAnswer, FetchError> {
        let query = self.query(isolate, group);
        let answer = self.object.fetch(&serde_json::to_string(&query).unwrap())?;
        Ok(serde_json::from_str::<LeaseAnswer>(&answer).unwrap().groups.remove(0))
    }

    fn units(&self, isolate: u64, need: u64) -> u64 {
        self.units_of(isolate, query(10, need))
    }

    fn units_of(&self, isolate: u64, group: GroupQuery) -> u64 {
        self.ask(isolate, group).unwrap().units
    }

    /// Runs SQL that is not the object's.
    fn meddle(&self, sql: &str) {
        self.store.borrow().connection.execute_batch(sql).unwrap();
    }

    pub fn writes(&self) -> usize {
        self.store.borrow().writes
    }
}

/// A query of a group that may have this number of requests in any minute.
fn query(requests: u64, need: u64) -> GroupQuery {
    GroupQuery {
        group: CompactKeyId::try_from("l000000000001".to_owned()).unwrap(),
        revision: 0,
        limits: vec![Limit::new("burst".to_owned(), requests, Span::Seconds(60)).unwrap()],
        need,
        wanted: need,
        returned: Vec::new(),
        reserve_spent: 0,
        reserve_known: None,
    }
}

#[test]
fn a_limit_is_granted_once_and_again_after_its_window() {
    let world = World::new();
    assert_eq!(world.units(1, 6), 6);
    let refused = world.ask(1, query(10, 5)).unwrap();
    assert_eq!((refused.units, refused.limits[0].remaining), (0, 4));
    let retry_in_ms = refused.retry_in_ms.unwrap();
    assert_eq!(retry_in_ms, 63_000);
    assert_eq!(world.units(1, 4), 4);
    world.wait(retry_in_ms - 1);
    assert_eq!(world.units(1, 5), 0);
    world.wait(1);
    assert_eq!(world.units(1, 5), 5);
}

#[test]
fn unspent_units_come_back_once_and_only_from_their_holder() {
    let world = World::new();
    let lease = world.ask(1, query(10, 10)).unwrap().lease;
    let returned = |isolate, units| {
        world.ask(isolate, GroupQuery { returned: vec![Returned { lease, units }], ..query(10, 4) }).unwrap().units
    };
    assert_eq!(returned(2, 4), 0);
    assert_eq!(returned(1, 4), 4);
    assert_eq!(returned(1, 4), 0);
}

#[test]
fn a_restart_loses_no_more_than_the_reserve_and_the_units_named_in_advance() {
    let mut world = World::new();
    for _ in 0..5 {
        assert_eq!(world.units(1, 1), 1);
        world.wait(100);
    }
    world.restart();
    // Five were granted, three are in the reserve, and the last row names up to six more.
    let left = world.ask(1, query(100, 1)).unwrap().limits[0].remaining;
    assert!((84..=94).contains(&left), "{left}");
}

/// A query after the limit was lowered to one request, by an isolate that knows of this part of the reserve.
fn lowered(known: u64) -> GroupQuery {
    GroupQuery { revision: 1, reserve_known: Some(known), ..query(1, 1) }
}

#[test]
fn the_reserve_of_a_lowered_limit_counts_until_each_isolate_knows_that_it_is_gone() {
    let world = World::new();
    let given = |isolate, group| world.ask(isolate, group).unwrap().reserve_given;
    assert_eq!((given(1, query(100, 1)), given(2, query(100, 1))), (3, 1));
    for _ in 0..4 {
        world.wait(20_000);
        // Isolate 1 gets no answer, so it may spend three units on its own at any time.
        assert_eq!(given(1, lowered(3)), 0);
        assert_eq!(given(2, lowered(0)), 0);
    }
    let refused = world.ask(2, lowered(0)).unwrap();
    assert_eq!((refused.units, refused.limits[0].remaining), (0, 0));
    world.wait(1);
    assert_eq!(world.units_of(1, lowered(0)), 1, "nothing of the reserve is left, and the first units have expired");
}

#[test]
fn a_reserve_that_its_isolate_has_forgotten_counts_as_spent_once() {
    let world = World::new();
    let asked = |known| {
        world.wait(1);
        world.ask(1, GroupQuery { reserve_known: known, ..query(100, 1) }).unwrap()
    };
    let left = |answer: &GroupAnswer| (answer.reserve_given, answer.limits[0].remaining);
    // 100 - 1 granted - 3 in the reserve.
    assert_eq!(left(&asked(None)), (3, 96));
    assert_eq!(left(&asked(Some(3))), (3, 95));
    // The three count as spent, and the isolate gets another three.
    assert_eq!(left(&asked(None)), (3, 91));
    assert_eq!(left(&asked(Some(3))), (3, 90));
}

#[test]
fn a_query_that_arrives_late_confirms_nothing() {
    let world = World::new();
    let early = world.query(1, lowered(0));
    world.wait(1);
    assert_eq!(world.ask(1, query(100, 1)).unwrap().reserve_given, 3);
    world.wait(70_000);
    assert_eq!(world.ask(1, lowered(3)).unwrap().reserve_given, 0);
    assert_eq!(world.answer(&early).groups[0].units, 0);
    assert_eq!(world.units_of(2, lowered(0)), 0, "the isolate may still spend three units");
}

#[test]
fn a_key_that_is_used_rarely_loses_nothing_in_a_restart() {
    let mut world = World::new();
    assert_eq!(world.units(1, 1), 1);
    world.restart();
    assert_eq!(world.ask(1, query(10, 1)).unwrap().limits[0].remaining, 8);
}

#[test]
fn a_grant_whose_row_is_not_written_is_not_answered() {
    let world = World::new();
    world.units(1, 1);
    for fault in [Fault::BeforeWrite(1), Fault::BeforeCommit, Fault::AfterCommit] {
        world.wait(6_000);
        world.store.borrow_mut().fail_at(Some(fault));
        assert_eq!(world.ask(1, query(10, 1)).unwrap_err(), FetchError::Failed, "{fault:?}");
        world.store.borrow_mut().fail_at(None);
    }
    assert!(world.ask(1, query(10, 1)).unwrap().limits[0].remaining >= 5);
    assert_eq!(world.object.fetch("{}").unwrap_err(), FetchError::Malformed);
}

#[test]
fn a_removal_of_old_rows_that_fails_costs_no_granted_unit() {
    let world = World::new();
    assert_eq!(world.units(1, 1), 1);
    world.wait(3_600_000);
    world.meddle("INSERT INTO limit_groups (group_id, state, idle_after) VALUES ('l000000000009', '{}', 0)");
    world.meddle("CREATE TRIGGER broken BEFORE DELETE ON limit_groups BEGIN SELECT raise(ABORT, 'broken'); END");
    let answer = world.answer(&world.query(1, query(10, 4)));
    assert_eq!((answer.groups[0].units, answer.counters.len()), (4, 1), "it is granted, and the failure is logged");
}

#[test]
fn a_limit_that_is_reached_is_announced_to_one_isolate_an_hour() {
    let world = World::new();
    let announced = |isolate| {
        let answer = world.ask(isolate, query(10, 11)).unwrap();
        assert!(answer.limits[0].violated);
        answer.limits[0].announce
    };
    assert!(!world.ask(1, query(10, 1)).unwrap().limits[0].announce, "it is not reached");
    assert_eq!([announced(1), announced(1), announced(2)], [true, false, false]);
    world.wait(3_659_000);
    assert!(!announced(1));
    world.wait(2_000);
    assert_eq!([announced(2), announced(1)], [true, false]);
}

#[test]
fn events_in_the_log_are_told_with_the_next_answer() {
    let world = World::new();
    assert_eq!(world.object.fetch("{}").unwrap_err(), FetchError::Malformed);
    let query = world.query(1, query(10, 1));
    let labels = [("event", "limits_message_malformed"), ("level", "error")];
    assert_eq!(world.answer(&query).counters, [Sample::new(LOG_EVENTS, &labels, 1)]);
    assert!(world.answer(&query).counters.is_empty());
}

/// The arithmetic of docs/internals/limits.md: 0.2 rows a second for a group in continuous use.
#[test]
fn ten_thousand_groups_in_continuous_use_write_a_fifth_of_a_row_a_second_each() {
    const GROUPS: usize = 10_000;
    const SECONDS: i64 = 20;
    let world = World::new();
    let group = |number: usize| CompactKeyId::try_from(format!("l{number:012}")).unwrap();
    let ask = || {
        for from in (0..GROUPS).step_by(500) {
            // The isolate knows the part of the reserve that it was given.
            let known = GroupQuery { reserve_known: Some(25), ..query(1_000, 2) };
            let groups = (from..from + 500).map(|number| GroupQuery { group: group(number), ..known.clone() });
            let query = LeaseQuery {
                isolate: 1,
                asked_at: Millis(world.now.get()),
                epoch: Some(1),
                object_at: None,
                grace_ms: 0,
                groups: groups.collect(),
            };
            world.object.fetch(&serde_json::to_string(&query).unwrap()).unwrap();
        }
    };
    // The first queries of each group write once more.
    for _ in 0..4 {
        ask();
        world.wait(2_000);
    }
    world.store.borrow_mut().fail_at(None);
    for _ in 0..SECONDS / 2 {
        ask();
        world.wait(2_000);
    }
    let per_second = world.writes() as f64 / SECONDS as f64 / GROUPS as f64;
    println!("{per_second} rows a second for each group");
    assert!(per_second <= 0.2, "{per_second}");
}
