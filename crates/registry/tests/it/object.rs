//! The registry object over real SQLite, and over a platform whose KV fails, hangs, or takes writes while keys change.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use keyward_control::authority::apply;
use keyward_key::keyring::{Keyring, Secret};
use keyward_key::time::Millis;
use keyward_protocol::events::{EventsRequest, News};
use keyward_protocol::{PendingReport, Request, RequestMeta};
use keyward_registry::due::DueWork;
use keyward_registry::events::EffectTimes;
use keyward_registry::feed::FeedSizes;
use keyward_registry::idle::IdleRules;
use keyward_registry::meta;
use keyward_registry::object::{Judged, Level, ObjectHost, ObjectSettings, PASS_TIMEOUT_MS, RegistryObject};
use keyward_registry::outbox::pending;
use keyward_registry::store::{Store, StoreError};
use keyward_testkit::registry_world::*;
use keyward_testkit::sqlite_store::Fault;

pub const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER_SECRET: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

type Work = Pin<Box<dyn Future<Output = ()>>>;

/// State that outlives an instance of the object, and the scripted behaviour of the platform.
#[derive(Clone)]
pub struct Platform(pub Rc<Shared>);

pub struct Shared {
    pub world: RefCell<World>,
    pub now: Cell<Millis>,
    pub alarm: Cell<Option<i64>>,
    spawned: RefCell<VecDeque<Work>>,
    pub written: RefCell<Vec<(String, i64)>>,
    pub log: RefCell<Vec<String>>,
    pub kv_fails: Cell<bool>,
    pub kv_hangs: Cell<bool>,
    /// News that the events object was told, and whether it answers.
    pub news: RefCell<Vec<News>>,
    pub events_answer: Cell<bool>,
    /// Judgements of reports that wait, in order; without one, GitHub's list is not available.
    pub judgements: RefCell<VecDeque<Judged>>,
}

impl Platform {
    pub fn new(world: World) -> Self {
        Self(Rc::new(Shared {
            now: Cell::new(world.now),
            world: RefCell::new(world),
            alarm: Cell::new(None),
            spawned: RefCell::default(),
            written: RefCell::default(),
            log: RefCell::default(),
            kv_fails: Cell::new(false),
            kv_hangs: Cell::new(false),
            news: RefCell::default(),
            events_answer: Cell::new(true),
            judgements: RefCell::default(),
        }))
    }

    pub fn start(&self, secret: &str, authority_epoch: Option<&str>) -> Rc<RegistryObject<Self>> {
        Rc::new(RegistryObject::new(self.clone(), Some(settings(secret, authority_epoch))))
    }

    /// Starts an instance that does this due work and no other.
    pub fn start_with(&self, work: &'static [DueWork]) -> Rc<RegistryObject<Self>> {
        Rc::new(RegistryObject::with_work(self.clone(), Some(settings(SECRET, None)), work))
    }

    pub fn pending(&self) -> usize {
        pending(&mut self.0.world.borrow_mut().store, 100).unwrap().len()
    }

    fn epoch(&self) -> String {
        meta::epoch(&mut self.0.world.borrow_mut().store).unwrap().as_str().to_owned()
    }

    /// Ends the background tasks, as the end of their instance does.
    pub fn drop_spawned(&self) {
        self.0.spawned.borrow_mut().clear();
    }

    /// Polls each background task once and keeps those that are pending.
    pub fn run_spawned(&self) {
        let work: Vec<Work> = self.0.spawned.borrow_mut().drain(..).collect();
        for mut work in work {
            if poll(work.as_mut()).is_pending() {
                self.0.spawned.borrow_mut().push_back(work);
            }
        }
    }
}

pub fn settings(secret: &str, authority_epoch: Option<&str>) -> ObjectSettings {
    ObjectSettings {
        apply,
        keyring: Keyring::new(&Secret::parse(secret).unwrap(), None).unwrap(),
        authority_epoch: authority_epoch.map(str::to_owned),
        feed: FeedSizes::default(),
        policy: World::empty().policy,
        idle: IdleRules::default(),
        default_limits: Vec::new(),
        effect: EffectTimes { bound_seconds: 5, grace_seconds: 60 },
    }
}

pub fn poll<T>(work: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Poll<T> {
    work.poll(&mut Context::from_waker(Waker::noop()))
}

pub fn ready<T>(work: impl Future<Output = T>) -> T {
    match poll(std::pin::pin!(work)) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("pending"),
    }
}

impl ObjectHost for Platform {
    fn now(&self) -> Millis {
        self.0.now.get()
    }

    fn random_name(&self) -> Option<String> {
        Some("abcdefghijklmnop".to_owned())
    }

    fn with_store<T>(&self, work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        work(&mut self.0.world.borrow_mut().store)
    }

    async fn kv_put(&self, name: &str, _: &str, expires_at_seconds: i64) -> Result<(), String> {
        let mut polls = 0;
        std::future::poll_fn(|_| {
            polls += 1;
            if polls == 1 || self.0.kv_hangs.get() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        if self.0.kv_fails.get() {
            return Err("KV refused".to_owned());
        }
        self.0.written.borrow_mut().push((name.to_owned(), expires_at_seconds));
        Ok(())
    }

    async fn ask_events(&self, message: &str) -> Result<String, String> {
        if !self.0.events_answer.get() {
            return Err("the events object is unreachable".to_owned());
        }
        match serde_json::from_str(message).unwrap() {
            EventsRequest::News(news) => self.0.news.borrow_mut().push(news),
            other => panic!("{other:?}"),
        }
        Ok(r#""noted""#.to_owned())
    }

    async fn judge(&self, _: &PendingReport) -> Judged {
        self.0.judgements.borrow_mut().pop_front().unwrap_or_else(|| Judged::Later("no list".to_owned()))
    }

    async fn set_alarm(&self, after_ms: i64) -> Result<(), String> {
        self.0.alarm.set(Some(after_ms));
        Ok(())
    }

    async fn delete_alarm(&self) -> Result<(), String> {
        self.0.alarm.set(None);
        Ok(())
    }

    fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        self.0.spawned.borrow_mut().push_back(Box::pin(work));
    }

    fn log(&self, _: Level, event: &str, _: &[(&str, &str)]) {
        self.0.log.borrow_mut().push(event.to_owned());
    }
}

/// Due time of the only due work of a new key: its first check for disuse, a day after the issue.
const FIRST_IDLE_CHECK_MS: i64 = 86_400_000;

pub const SNAPSHOT: &str = "{\"changes\":{\"snapshot\":{\"after\":null}}}";

pub fn issue_message(number: u32) -> String {
    let meta = RequestMeta { request_id: "req-1".to_owned(), client_address: None };
    let control = issue(number, live(&format!("i-{number}"))).into_request(owner(), meta, None);
    serde_json::to_string(&Request::Control(Box::new(control))).unwrap()
}

/// An object that has issued one key and has not written its copy yet.
fn with_one_pending() -> (Platform, Rc<RegistryObject<Platform>>) {
    let platform = Platform::new(World::with_owner());
    let object = platform.start(SECRET, None);
    ready(object.fetch(&issue_message(1))).unwrap();
    (platform, object)
}

#[test]
fn a_change_sets_the_alarm_and_kv_keeps_the_copy_a_day_past_expiry() {
    let (platform, _object) = with_one_pending();
    assert_eq!(platform.0.alarm.get(), Some(1_000));
    platform.run_spawned();
    platform.run_spawned();
    let written = platform.0.written.borrow().clone();
    assert_eq!(written.len(), 1);
    assert!(written[0].1 > platform.0.now.get().0 / 1000 + 86_400, "{written:?}");
    assert_eq!((platform.pending(), platform.0.alarm.get()), (0, Some(FIRST_IDLE_CHECK_MS)));
}

#[test]
fn an_empty_store_is_migrated_once_and_a_later_instance_keeps_its_epoch() {
    let mut world = World::empty();
    world.store = keyward_testkit::sqlite_store::SqliteStore::default();
    let platform = Platform::new(world);
    let object = platform.start(SECRET, None);
    assert!(ready(object.fetch("{")).is_err(), "a malformed message is refused");
    ready(object.fetch(SNAPSHOT)).unwrap();
    let epoch = platform.epoch();
    platform.0.now.set(platform.0.now.get().plus_seconds(60));
    ready(platform.start(SECRET, None).fetch(SNAPSHOT)).unwrap();
    assert_eq!(platform.epoch(), epoch);
}

#[test]
fn a_changed_secret_queues_every_copy_again() {
    let (platform, _object) = with_one_pending();
    platform.run_spawned();
    platform.run_spawned();
    ready(platform.start(SECRET, None).fetch(SNAPSHOT)).unwrap();
    assert_eq!((platform.pending(), platform.0.alarm.get()), (0, Some(FIRST_IDLE_CHECK_MS)));
    ready(platform.start(OTHER_SECRET, None).fetch(SNAPSHOT)).unwrap();
    assert_eq!((platform.pending(), platform.0.alarm.get()), (1, Some(1_000)));
    platform.run_spawned();
    platform.run_spawned();
    assert_eq!((platform.pending(), platform.0.written.borrow().len()), (0, 2));
}

#[test]
fn another_authority_epoch_begins_an_epoch_once_and_is_logged() {
    let (platform, _object) = with_one_pending();
    let before = platform.epoch();
    ready(platform.start(SECRET, Some("restored")).fetch(SNAPSHOT)).unwrap();
    let began = platform.epoch();
    assert_ne!(began, before);
    ready(platform.start(SECRET, Some("restored")).fetch(SNAPSHOT)).unwrap();
    assert_eq!(platform.epoch(), began);
    assert_eq!(platform.0.log.borrow().iter().filter(|event| *event == "epoch_began").count(), 1);
}

#[test]
fn a_failing_kv_doubles_the_backoff_up_to_a_minute_and_a_success_resets_it() {
    let (platform, object) = with_one_pending();
    platform.0.kv_fails.set(true);
    platform.run_spawned();
    platform.run_spawned();
    for expected in [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
        assert_eq!(platform.0.alarm.get(), Some(expected));
        let mut alarm = std::pin::pin!(object.alarm());
        assert!(poll(alarm.as_mut()).is_pending());
        assert!(poll(alarm.as_mut()).is_ready());
    }
    platform.0.kv_fails.set(false);
    let mut alarm = std::pin::pin!(object.alarm());
    assert!(poll(alarm.as_mut()).is_pending());
    assert!(poll(alarm.as_mut()).is_ready());
    assert_eq!(platform.pending(), 0);
    ready(object.fetch(&issue_message(2))).unwrap();
    assert_eq!(platform.0.alarm.get(), Some(1_000));
}

#[test]
fn an_alarm_during_a_drain_is_set_again_and_writes_nothing() {
    let (platform, object) = with_one_pending();
    platform.0.kv_hangs.set(true);
    platform.run_spawned();
    platform.0.alarm.set(None);
    ready(object.alarm());
    assert_eq!(platform.0.alarm.get(), Some(1_000));
    assert_eq!(platform.0.written.borrow().len(), 0);
}

#[test]
fn a_drain_that_hung_for_a_minute_is_replaced() {
    let (platform, object) = with_one_pending();
    platform.0.kv_hangs.set(true);
    platform.run_spawned();
    platform.0.kv_hangs.set(false);
    platform.0.spawned.borrow_mut().clear();
    platform.0.now.set(Millis(platform.0.now.get().0 + PASS_TIMEOUT_MS - 1));
    ready(object.alarm());
    assert_eq!(platform.pending(), 1);
    platform.0.now.set(Millis(platform.0.now.get().0 + 1));
    let mut alarm = std::pin::pin!(object.alarm());
    assert!(poll(alarm.as_mut()).is_pending());
    assert!(poll(alarm.as_mut()).is_ready());
    assert_eq!(platform.pending(), 0);
}

/// Seed 171,502 of the simulator: the second drain wrote a newer copy, and the first one's late write put the older copy over it.
#[test]
fn a_clock_that_steps_back_starts_no_second_drain() {
    let (platform, object) = with_one_pending();
    platform.0.kv_hangs.set(true);
    platform.run_spawned();
    platform.0.kv_hangs.set(false);
    let began_at = platform.0.now.get().0;
    platform.0.now.set(Millis(began_at - 3_000));
    ready(object.alarm());
    assert_eq!((platform.pending(), platform.0.written.borrow().len()), (1, 0));
    platform.0.now.set(Millis(began_at - 3_000 + PASS_TIMEOUT_MS));
    let mut alarm = std::pin::pin!(object.alarm());
    assert!(poll(alarm.as_mut()).is_pending());
    assert!(poll(alarm.as_mut()).is_ready());
    assert_eq!(platform.pending(), 0);
}

#[test]
fn a_change_whose_commit_was_not_confirmed_sets_the_alarm() {
    let platform = Platform::new(World::with_owner());
    let object = platform.start(SECRET, None);
    ready(object.fetch(SNAPSHOT)).unwrap();
    platform.0.world.borrow_mut().store.fail_at(Some(Fault::AfterCommit));
    assert!(ready(object.fetch(&issue_message(1))).is_err());
    assert_eq!((platform.pending(), platform.0.alarm.get()), (1, Some(1_000)));
}

#[test]
fn a_key_that_changes_while_its_copy_is_written_is_written_again() {
    let (platform, _object) = with_one_pending();
    platform.run_spawned();
    let id = key_id(keyward_key::id::Environment::Live, 1);
    platform.0.world.borrow_mut().revoke(&id, "leaked");
    for _ in 0..3 {
        platform.run_spawned();
    }
    assert_eq!((platform.pending(), platform.0.written.borrow().len()), (0, 2));
}
