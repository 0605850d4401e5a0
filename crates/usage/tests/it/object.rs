//! Life of the object: reports, alarm, messages to the registry.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use keyward_key::time::Millis;
use keyward_protocol::usage::{
    KeyDay, Step, TotalsBy, TotalsQuery, UsageReport, UsageRequest, UsageResponse, UsageTimes, UseCount, UsedFrom,
    minute_of,
};
use keyward_protocol::{FetchError, Request, Response};
use keyward_store::{Store, StoreError};
use keyward_testkit::sqlite_store::{Fault, SqliteStore};
use keyward_usage::object::{Level, QUIET_INTERVAL_MS, TELL_INTERVAL_MS, UsageHost, UsageObject};

use crate::world::{NOW, id, key, later, report, sum, used};

struct Host {
    now: Cell<Millis>,
    store: RefCell<SqliteStore>,
    alarm_ms: Cell<Option<i64>>,
    alarms: Cell<u32>,
    told: RefCell<Vec<UsageTimes>>,
    registry_answers: Cell<bool>,
    logs: RefCell<Vec<String>>,
}

impl UsageHost for &Host {
    fn now(&self) -> Millis {
        self.now.get()
    }

    fn with_store<T>(&self, work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        work(&mut *self.store.borrow_mut())
    }

    async fn ask_registry(&self, message: &str) -> Result<String, String> {
        let Ok(Request::UsageTimes(times)) = serde_json::from_str(message) else { panic!("{message}") };
        self.told.borrow_mut().push(times);
        if self.registry_answers.get() {
            Ok(serde_json::to_string(&Response::UsageNoted).unwrap())
        } else {
            Err("no answer".to_owned())
        }
    }

    async fn set_alarm(&self, after_ms: i64) -> Result<(), String> {
        self.alarm_ms.set(Some(after_ms));
        self.alarms.set(self.alarms.get() + 1);
        Ok(())
    }

    fn log(&self, _: Level, event: &str, _: &[(&str, &str)]) {
        self.logs.borrow_mut().push(event.to_owned());
    }
}

fn host() -> Host {
    Host {
        now: Cell::new(NOW),
        store: RefCell::new(SqliteStore::new()),
        alarm_ms: Cell::new(None),
        alarms: Cell::new(0),
        told: RefCell::default(),
        registry_answers: Cell::new(true),
        logs: RefCell::default(),
    }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the host of this test never waits"),
    }
}

fn send(object: &UsageObject<&Host>, report: UsageReport) -> Result<String, FetchError> {
    now(object.fetch(&serde_json::to_string(&UsageRequest::Report(report)).unwrap()))
}

fn told(host: &Host) -> Vec<(u32, Vec<String>)> {
    let told = host.told.take();
    told.into_iter().map(|times| (times.shard, times.keys.iter().map(|key| key.id.to_string()).collect())).collect()
}

#[test]
fn the_registry_learns_of_a_use_within_a_minute_of_its_report_in_one_message() {
    let host = host();
    let object = UsageObject::new(&host);
    for sequence in 1..=5 {
        let number = u32::try_from(sequence).unwrap();
        send(&object, report("a", sequence, vec![key(number, NOW, vec![used(NOW, 1)])])).unwrap();
    }
    assert_eq!((host.alarm_ms.get(), host.alarms.get()), (Some(TELL_INTERVAL_MS), 1), "one alarm for all reports");
    now(object.alarm());
    let keys = (1..=5).map(|number| id(number).to_string()).collect();
    assert_eq!(told(&host), [(3, keys)]);
    assert_eq!(host.alarm_ms.get(), Some(QUIET_INTERVAL_MS));
    // A use after that brings the alarm forward.
    host.now.set(later(NOW, 2));
    send(&object, report("a", 6, vec![key(1, host.now.get(), vec![used(host.now.get(), 1)])])).unwrap();
    assert_eq!(host.alarm_ms.get(), Some(TELL_INTERVAL_MS));
    now(object.alarm());
    assert_eq!(told(&host), [(3, vec![id(1).to_string()])]);
}

#[test]
fn the_registry_learns_what_a_key_was_used_for_today_and_yesterday() {
    let host = host();
    let object = UsageObject::new(&host);
    let uses = |at: Millis, route: &str, networks: u32| -> Vec<UseCount> {
        (0..networks)
            .map(|network| {
                let from = UsedFrom { network: Some(format!("192.0.{network}.0/24")), ..UsedFrom::default() };
                UseCount { route: route.to_owned(), from, ..used(at, 1) }
            })
            .collect()
    };
    let day = |at: Millis| Step::Day.of_minute(minute_of(at));
    send(&object, report("a", 1, vec![key(1, NOW, uses(NOW, "GET /a", 2))])).unwrap();
    let tomorrow = later(NOW, 24 * 60);
    host.now.set(tomorrow);
    let many = (0..64).flat_map(|number| uses(tomorrow, &format!("GET /{number}"), 1)).collect();
    let keys = vec![key(1, tomorrow, uses(tomorrow, "GET /b", 33)), key(2, tomorrow, many)];
    send(&object, report("a", 2, keys)).unwrap();
    // The shard does not know this isolate, so it does not count the report.
    send(&object, report("b", 7, vec![key(3, tomorrow, uses(tomorrow, "GET /c", 1))])).unwrap();
    now(object.alarm());
    let told = host.told.take();
    assert!(told[0].has_days);
    let days = |number: usize| told[0].keys.iter().find(|key| key.id == id(number as u32)).unwrap().days.clone();
    let of_day = |at, route: &str, networks| KeyDay { day: day(at), routes: vec![route.to_owned()], networks };
    assert_eq!(days(1), [of_day(NOW, "GET /a", 2), of_day(tomorrow, "GET /b", 33)]);
    assert_eq!(days(2)[0].routes.last().unwrap(), "other", "a day with the maximum of routes may have more");
    assert_eq!(days(3), [of_day(tomorrow, "GET /c", 1)]);
}

#[test]
fn a_shard_whose_keys_are_not_used_tells_that_it_lives() {
    let host = host();
    let object = UsageObject::new(&host);
    send(&object, report("a", 1, Vec::new())).unwrap();
    for _ in 0..3 {
        now(object.alarm());
        assert_eq!((told(&host), host.alarm_ms.take()), (vec![(3, Vec::new())], Some(QUIET_INTERVAL_MS)));
    }
}

#[test]
fn times_that_the_registry_did_not_confirm_are_told_again() {
    let host = host();
    let object = UsageObject::new(&host);
    send(&object, report("a", 1, vec![key(1, NOW, vec![used(NOW, 1)])])).unwrap();
    host.registry_answers.set(false);
    now(object.alarm());
    assert_eq!((told(&host).len(), host.alarm_ms.take()), (1, Some(TELL_INTERVAL_MS)));
    host.registry_answers.set(true);
    now(object.alarm());
    assert_eq!(told(&host), [(3, vec![id(1).to_string()])]);
    assert!(host.logs.borrow().contains(&"usage_times_failed".to_owned()));
}

#[test]
fn an_instance_that_ends_loses_neither_counts_nor_alarm() {
    let host = host();
    let first = report("a", 1, vec![key(1, NOW, vec![used(NOW, 2)])]);
    send(&UsageObject::new(&host), first.clone()).unwrap();
    // The answer was lost: the isolate sends the report again, to another instance.
    let next = UsageObject::new(&host);
    send(&next, first).unwrap();
    assert_eq!(sum(&host.store.borrow(), "days"), 2);
    assert_eq!(host.alarms.get(), 2, "an instance does not know whether an alarm is set");
    now(UsageObject::new(&host).alarm());
    assert_eq!(told(&host).len(), 1);
}

fn totals(object: &UsageObject<&Host>) -> Result<u64, FetchError> {
    let day = NOW.0 / 86_400_000;
    let asked = TotalsQuery { by: TotalsBy::Code, step: Step::Day, from: day, to: day + 1, environments: None };
    let answer = now(object.fetch(&serde_json::to_string(&UsageRequest::Totals(asked)).unwrap()))?;
    let Ok(UsageResponse::Totals(totals)) = serde_json::from_str(&answer) else { panic!("{answer}") };
    Ok(totals.iter().map(|total| total.allowed).sum())
}

#[test]
fn an_answer_contains_every_report_that_arrived_before_it() {
    let host = host();
    let object = UsageObject::new(&host);
    for sequence in 1..=3 {
        send(&object, report("a", sequence, vec![key(1, NOW, vec![used(NOW, 2)])])).unwrap();
        assert_eq!(totals(&object), Ok(2 * sequence));
    }
    // What cannot be added up is not left out of an answer.
    send(&object, report("a", 4, vec![key(1, NOW, vec![used(NOW, 2)])])).unwrap();
    host.store.borrow_mut().fail_at(Some(Fault::BeforeWrite(1)));
    assert_eq!(totals(&object), Err(FetchError::Failed));
    host.store.borrow_mut().fail_at(None);
    assert_eq!(totals(&object), Ok(8));
}

#[test]
fn nothing_is_told_while_reports_cannot_be_added_up() {
    let host = host();
    let object = UsageObject::new(&host);
    send(&object, report("a", 1, vec![key(1, NOW, vec![used(NOW, 1)])])).unwrap();
    host.store.borrow_mut().fail_at(Some(Fault::BeforeWrite(1)));
    now(object.alarm());
    host.store.borrow_mut().fail_at(None);
    assert_eq!((told(&host), host.alarm_ms.take()), (Vec::new(), Some(TELL_INTERVAL_MS)), "no key may be called idle");
    now(object.alarm());
    assert_eq!(told(&host).len(), 1);
}

#[test]
fn waiting_reports_are_added_up_before_they_are_more_than_a_megabyte() {
    let host = host();
    let object = UsageObject::new(&host);
    let bytes = || -> i64 {
        let store = host.store.borrow();
        store
            .connection
            .query_row("SELECT coalesce(sum(length(report)), 0) FROM waiting", [], |row| row.get(0))
            .unwrap()
    };
    for sequence in 1..=60 {
        let keys = (0..200).map(|number| key(number, NOW, vec![used(NOW, 1)])).collect();
        send(&object, report("a", sequence, keys)).unwrap();
        assert!(bytes() < 1_200_000, "{}", bytes());
    }
    assert_eq!(totals(&object), Ok(60 * 200));
}

#[test]
fn ten_thousand_keys_are_told_by_one_alarm() {
    let host = host();
    let object = UsageObject::new(&host);
    for sequence in 0..50_u32 {
        let keys = (0..200).map(|number| key(sequence * 200 + number, NOW, vec![used(NOW, 1)])).collect();
        send(&object, report("a", u64::from(sequence) + 1, keys)).unwrap();
    }
    now(object.alarm());
    assert_eq!(told(&host).iter().map(|(_, keys)| keys.len()).collect::<Vec<_>>(), [2_000; 5]);
    assert_eq!(host.alarm_ms.get(), Some(QUIET_INTERVAL_MS));
}

#[test]
fn a_malformed_message_is_refused_and_a_failing_store_is_no_answer() {
    let host = host();
    let object = UsageObject::new(&host);
    assert_eq!(now(object.fetch("{")), Err(FetchError::Malformed));
    send(&object, report("a", 1, Vec::new())).unwrap();
    host.store.borrow_mut().fail_at(Some(Fault::BeforeWrite(1)));
    assert_eq!(send(&object, report("a", 2, vec![key(1, NOW, vec![used(NOW, 1)])])), Err(FetchError::Failed));
}
