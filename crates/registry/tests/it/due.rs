//! Due work of the registry object: when the alarm is set, what it does, and what a failure delays.

use std::rc::Rc;

use keyward_key::time::Millis;
use keyward_registry::due::DueWork;
use keyward_registry::object::RegistryObject;
use keyward_registry::store::{Store, StoreError, Value};
use keyward_testkit::registry_world::*;

use super::object::{Platform, SNAPSHOT, issue_message, poll, ready};

/// Work on the rows of a test's own table. The second kind fails while a row says so.
const WORK: &[DueWork] = &[
    DueWork { name: "broken", next: |store| next(store, "broken"), run: |store, now| run(store, now, "broken") },
    DueWork { name: "sound", next: |store| next(store, "sound"), run: |store, now| run(store, now, "sound") },
];

fn next(store: &mut dyn Store, kind: &str) -> Result<Option<Millis>, StoreError> {
    let rows =
        store.query("SELECT due_at FROM chores WHERE kind = ? AND done = 0 ORDER BY due_at LIMIT 1", &[kind.into()])?;
    rows.first().map(|row| row.millis("due_at")).transpose()
}

fn run(store: &mut dyn Store, now: Millis, kind: &str) -> Result<(), StoreError> {
    store.execute("UPDATE chores SET done = 1 WHERE kind = ? AND due_at <= ?", &[kind.into(), now.into()])?;
    if kind == "broken" { Err(StoreError::new("this row is corrupt")) } else { Ok(()) }
}

struct Chores {
    platform: Platform,
    object: Rc<RegistryObject<Platform>>,
}

impl Chores {
    fn new() -> Self {
        let platform = Platform::new(World::with_owner());
        let sql = "CREATE TABLE chores (kind TEXT, due_at INTEGER, done INTEGER NOT NULL DEFAULT 0) STRICT";
        platform.0.world.borrow_mut().store.execute(sql, &[]).unwrap();
        let object = platform.start_with(WORK);
        ready(object.fetch(SNAPSHOT)).unwrap();
        Self { platform, object }
    }

    fn add(&self, kind: &str, after_ms: i64) {
        let due_at = Millis(self.platform.0.now.get().0 + after_ms);
        let parameters = [kind.into(), due_at.into()];
        let sql = "INSERT INTO chores (kind, due_at) VALUES (?, ?)";
        self.platform.0.world.borrow_mut().store.execute(sql, &parameters).unwrap();
    }

    fn undone(&self) -> Value {
        let rows = self.platform.0.world.borrow_mut().store.query("SELECT count(*) FROM chores WHERE done = 0", &[]);
        rows.unwrap()[0].at(0).unwrap().clone()
    }

    fn pass(&self, ms: i64) {
        self.platform.0.now.set(Millis(self.platform.0.now.get().0 + ms));
    }

    /// Issues a key, which writes, and writes its copy.
    fn write(&self, number: u32) {
        ready(self.object.fetch(&issue_message(number))).unwrap();
        self.platform.run_spawned();
        self.platform.run_spawned();
    }

    fn alarm_ms(&self) -> Option<i64> {
        self.platform.0.alarm.get()
    }
}

#[test]
fn after_a_write_the_alarm_waits_for_the_earliest_due_work() {
    let chores = Chores::new();
    chores.write(1);
    assert_eq!(chores.alarm_ms(), None);
    chores.add("sound", 3_600_000);
    chores.add("sound", 60_000);
    chores.write(2);
    assert_eq!((chores.platform.pending(), chores.alarm_ms()), (0, Some(60_000)));
}

#[test]
fn a_pending_copy_is_retried_before_later_due_work_and_due_work_before_a_later_retry() {
    let chores = Chores::new();
    chores.platform.0.kv_fails.set(true);
    chores.add("sound", 3_000);
    chores.write(1);
    assert_eq!(chores.alarm_ms(), Some(2_000), "the copy is retried after 2 s");
    let mut alarm = std::pin::pin!(chores.object.alarm());
    assert!(poll(alarm.as_mut()).is_pending() && poll(alarm.as_mut()).is_ready());
    assert_eq!(chores.alarm_ms(), Some(3_000), "the next retry is after 4 s");
}

#[test]
fn the_alarm_does_what_is_due_and_waits_for_the_rest() {
    let chores = Chores::new();
    chores.add("sound", 5_000);
    chores.add("sound", 9_000);
    chores.write(1);
    chores.pass(4_999);
    ready(chores.object.alarm());
    assert_eq!((chores.undone(), chores.alarm_ms()), (Value::Integer(2), Some(1_000)), "an early alarm does nothing");
    chores.pass(1);
    ready(chores.object.alarm());
    assert_eq!((chores.undone(), chores.alarm_ms()), (Value::Integer(1), Some(4_000)));
    chores.pass(4_000);
    ready(chores.object.alarm());
    assert_eq!((chores.undone(), chores.alarm_ms()), (Value::Integer(0), None));
}

#[test]
fn failing_work_is_rolled_back_logged_and_retried_and_delays_no_other_kind() {
    let chores = Chores::new();
    chores.add("broken", 0);
    chores.add("sound", 0);
    chores.write(1);
    assert_eq!(chores.alarm_ms(), Some(1_000));
    for expected in [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
        ready(chores.object.alarm());
        assert_eq!((chores.undone(), chores.alarm_ms()), (Value::Integer(1), Some(expected)));
    }
    let log = chores.platform.0.log.borrow().clone();
    assert_eq!(log.iter().filter(|event| *event == "due_work_failed").count(), 7);
    chores.platform.0.world.borrow_mut().store.execute("DELETE FROM chores", &[]).unwrap();
    ready(chores.object.alarm());
    chores.add("sound", 0);
    chores.write(2);
    assert_eq!(chores.alarm_ms(), Some(1_000), "a success resets the backoff");
}

#[test]
fn an_instance_that_starts_sets_a_lost_alarm_again_at_its_first_call() {
    let chores = Chores::new();
    chores.add("sound", 60_000);
    chores.platform.0.alarm.set(None);
    ready(chores.object.fetch(SNAPSHOT)).unwrap();
    assert_eq!(chores.alarm_ms(), None, "a running instance does not ask at each call");
    ready(chores.platform.start_with(WORK).fetch(SNAPSHOT)).unwrap();
    chores.platform.run_spawned();
    assert_eq!(chores.alarm_ms(), Some(60_000));
}
