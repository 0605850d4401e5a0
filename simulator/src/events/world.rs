//! The simulated world of events.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use keyward_events::deliveries::{Failure, Outcome};
use keyward_events::object::{ATTEMPT_TIMEOUT_MS, EventsHost, EventsObject, EventsSettings, Level, Outgoing};
use keyward_http::event_url::EventHosts;
use keyward_key::keyring::{Keyring, Secret};
use keyward_key::signing::{Signature, SigningKey};
use keyward_key::time::Millis;
use keyward_protocol::FetchError;
use keyward_protocol::events::{Endpoint, Event, EventsRequest, EventsResponse, News};
use keyward_store::{Store, StoreError};
use keyward_testkit::signing;
use keyward_testkit::sqlite_store::{Fault, SqliteStore};
use serde_json::Map;

use crate::random::Random;
use crate::scheduler::{Owner, Scheduler};
use crate::sqlite::START_MS;

pub use crate::scheduler::Time;

const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const KINDS: [&str; 2] = ["key.revoked", "key.issued"];
/// Time after the faults in which everything must arrive: longer than the fourth pause, which no event has passed before.
const QUIET_MS: Time = 4 * 3_600_000;
/// Time after which the registry repeats a message that was not answered, in milliseconds.
const TOLD_TIMEOUT_MS: Time = 10_000;

/// What happened, as plain data in true time.
#[derive(Debug, Default)]
pub struct History {
    /// Nothing failed.
    pub is_calm: bool,
    pub committed: Vec<Committed>,
    pub endpoints: Vec<EndpointLife>,
    /// In the order of their times.
    pub arrived: Vec<Arrived>,
    /// Counts of what happened, for the summary.
    pub counts: BTreeMap<&'static str, u64>,
}

/// A change that was committed.
#[derive(Clone, Debug)]
pub struct Committed {
    pub seq: u64,
    pub id: String,
    pub kind: &'static str,
    pub at: Time,
}

/// An endpoint from its enabling to its deletion.
#[derive(Clone, Debug)]
pub struct EndpointLife {
    pub enabled_since: u64,
    /// The only type that it subscribes to; `None` for all.
    pub only_type: Option<&'static str>,
    pub deletion_seq: Option<u64>,
    pub deleted_at: Option<Time>,
    /// When the object confirmed the deletion.
    pub deletion_noted_at: Option<Time>,
}

/// A request that reached a receiver.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub endpoint: usize,
    pub id: String,
    pub at: Time,
}

/// How a receiver behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Receiver {
    Works,
    Fails,
    /// Asks for a pause of ten minutes.
    IsBusy,
    Hangs,
    AnswersLate,
    /// Nothing reaches it.
    IsUnreachable,
    /// It takes the event, and the connection breaks off.
    LosesAnswers,
}

struct World {
    scheduler: Rc<Scheduler>,
    random: RefCell<Random>,
    store: RefCell<SqliteStore>,
    history: RefCell<History>,
    /// The object's instance. It holds the world, so the end of the history takes it out.
    object: RefCell<Option<Rc<EventsObject<Host>>>>,
    instance: Cell<u64>,
    alarm: Cell<Alarm>,
    receivers: RefCell<Vec<Receiver>>,
    seq: Cell<u64>,
    /// Number of the last change that the object has confirmed.
    told: Cell<u64>,
    /// Chance in 1,000 that a message of the registry or its answer is lost, or arrives again later.
    lost: Cell<i64>,
    store_fails: Cell<i64>,
}

/// The platform's alarm: one time, one run at a time, and a run that was interrupted is repeated.
#[derive(Clone, Copy, Default)]
struct Alarm {
    at: Option<Time>,
    is_running: bool,
    is_due_again: bool,
}

#[derive(Clone)]
struct Host(Rc<World>);

impl EventsHost for Host {
    fn now(&self) -> Millis {
        Millis(START_MS + self.0.scheduler.now())
    }

    fn jitter(&self) -> u16 {
        self.0.random.borrow_mut().next() as u16
    }

    fn random_name(&self) -> Option<String> {
        Some(format!("{:024}", self.0.random.borrow_mut().next()))
    }

    fn with_store<T>(&self, work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        work(&mut *self.0.store.borrow_mut())
    }

    async fn send(&self, request: &Outgoing) -> Result<Outcome, Failure> {
        let world = &self.0;
        world.sleep_within(1, 300).await;
        let endpoint = endpoint_of(&request.url);
        let receiver = world.receivers.borrow()[endpoint];
        if receiver == Receiver::IsUnreachable {
            return Err(Failure::Connection);
        }
        let id = request.headers.iter().find(|(name, _)| *name == "webhook-id").map(|(_, value)| value.clone());
        let at = world.scheduler.now();
        world.history.borrow_mut().arrived.push(Arrived { endpoint, id: id.expect("a webhook has an id"), at });
        world.count("arrived");
        let answered = |status| Ok(Outcome::Answered { status, retry_after: None });
        match receiver {
            Receiver::Works => {
                world.sleep_within(1, 300).await;
                answered(204)
            }
            Receiver::Fails => answered(503),
            Receiver::IsBusy => Ok(Outcome::Answered { status: 429, retry_after: Some("600".to_owned()) }),
            Receiver::AnswersLate => {
                world.sleep_within(3_000, 14_000).await;
                answered(200)
            }
            Receiver::Hangs => {
                world.scheduler.sleep(ATTEMPT_TIMEOUT_MS.into()).await;
                Err(Failure::Timeout)
            }
            Receiver::LosesAnswers | Receiver::IsUnreachable => Err(Failure::Connection),
        }
    }

    async fn sign(&self, key: &SigningKey, text: &[u8]) -> Result<Signature, String> {
        self.0.sleep_within(0, 30).await;
        Ok(signing::sign(key, text))
    }

    async fn ask_registry(&self, _: &str) -> Result<String, String> {
        self.0.sleep_within(1, 50).await;
        if self.0.draws(self.0.lost.get()) {
            Err("simulated: no answer".to_owned())
        } else {
            Ok(r#""endpoints_noted""#.to_owned())
        }
    }

    async fn set_alarm(&self, after_ms: i64) -> Result<(), String> {
        let at = self.0.scheduler.now() + after_ms;
        self.0.alarm.set(Alarm { at: Some(at), ..self.0.alarm.get() });
        let world = Rc::clone(&self.0);
        self.0.scheduler.call_at(at, move || ring(&world, at));
        Ok(())
    }

    fn log(&self, _: Level, event: &str, _: &[(&str, &str)]) {
        if event == "events_failed" {
            self.0.count("failures of the store");
        }
    }
}

impl World {
    fn draws(&self, per_mille: i64) -> bool {
        self.random.borrow_mut().often(per_mille)
    }

    async fn sleep_within(&self, least: Time, most: Time) {
        let pause = self.random.borrow_mut().within(least, most);
        self.scheduler.sleep(pause).await;
    }

    fn count(&self, what: &'static str) {
        *self.history.borrow_mut().counts.entry(what).or_default() += 1;
    }

    fn next_seq(&self) -> u64 {
        self.seq.set(self.seq.get() + 1);
        self.seq.get()
    }

    /// Lets one statement of the object's store fail, sometimes.
    fn draw_store_fault(&self) {
        let mut random = self.random.borrow_mut();
        if !random.often(self.store_fails.get()) {
            return;
        }
        let number = 1 + random.below(12);
        let fault = match random.below(5) {
            0 => Fault::Read(number),
            1 => Fault::BeforeWrite(number),
            2 => Fault::AfterWrite(number),
            3 => Fault::BeforeCommit,
            _ => Fault::AfterCommit,
        };
        self.store.borrow_mut().fail_at(Some(fault));
    }
}

fn endpoint_of(url: &str) -> usize {
    url.trim_start_matches("https://r").split('.').next().and_then(|digit| digit.parse().ok()).expect("a drawn address")
}

fn start_instance(world: &Rc<World>) {
    let object = EventsObject::new(Host(Rc::clone(world)), Some(settings()));
    *world.object.borrow_mut() = Some(Rc::new(object));
}

impl World {
    fn object(&self) -> Rc<EventsObject<Host>> {
        self.object.borrow().clone().expect("an instance lives until the end of the history")
    }
}

fn settings() -> EventsSettings {
    let mut hosts = EventHosts::default();
    assert!(hosts.allow("*.example.com"));
    let keyring = Keyring::new(&Secret::parse(SECRET).expect("a secret"), None).expect("a keyring");
    EventsSettings { keyring, hosts, source: "https://gate.example/_keyward".to_owned() }
}

/// Runs the alarm that was set for `at`, unless it was set to another time since.
fn ring(world: &Rc<World>, at: Time) {
    if world.alarm.get().at == Some(at) {
        run_alarm(world);
    }
}

fn run_alarm(world: &Rc<World>) {
    let alarm = world.alarm.get();
    if alarm.is_running {
        world.alarm.set(Alarm { at: None, is_due_again: true, ..alarm });
        return;
    }
    world.alarm.set(Alarm { at: None, is_running: true, is_due_again: false });
    world.draw_store_fault();
    let (object, running) = (world.object(), Rc::clone(world));
    world.scheduler.start(Owner::Object(world.instance.get()), async move {
        object.alarm().await;
        let alarm = running.alarm.get();
        running.alarm.set(Alarm { is_running: false, ..alarm });
        if alarm.is_due_again {
            run_alarm(&running);
        }
    });
}

/// Ends the object's instance with all that it was doing. The platform repeats an alarm that was interrupted.
fn crash(world: &Rc<World>) {
    world.count("object restarted");
    world.scheduler.cancel_all(Owner::Object(world.instance.get()));
    world.instance.set(world.instance.get() + 1);
    start_instance(world);
    let alarm = world.alarm.get();
    world.alarm.set(Alarm { is_running: false, is_due_again: false, ..alarm });
    if alarm.is_running || alarm.is_due_again {
        world.count("alarm interrupted");
        let pause = world.random.borrow_mut().within(0, 3_000);
        let world = Rc::clone(world);
        let scheduler = Rc::clone(&world.scheduler);
        scheduler.call_at(scheduler.now() + pause, move || run_alarm(&world));
    }
}

/// Commits a change.
fn commit(world: &Rc<World>) {
    let seq = world.next_seq();
    let kind = world.random.borrow_mut().pick(&KINDS);
    let event = Committed { seq, id: format!("evt_{seq:024}"), kind, at: world.scheduler.now() };
    world.history.borrow_mut().committed.push(event);
    world.count("committed");
}

fn delete_endpoint(world: &Rc<World>, endpoint: usize) {
    let seq = world.next_seq();
    let now = world.scheduler.now();
    let mut history = world.history.borrow_mut();
    let life = &mut history.endpoints[endpoint];
    (life.deletion_seq, life.deleted_at) = (Some(seq), Some(now));
}

fn news(world: &World) -> News {
    let history = world.history.borrow();
    let untold = history.committed.iter().filter(|event| event.seq > world.told.get());
    let events = untold.map(|event| Event {
        id: event.id.clone(),
        seq: event.seq,
        at: Millis(START_MS + event.at),
        kind: event.kind.to_owned(),
        environment: None,
        data: Map::new(),
    });
    let living = history.endpoints.iter().enumerate().filter(|(_, life)| life.deletion_seq.is_none());
    let endpoints = living.filter(|(_, life)| life.enabled_since <= world.seq.get()).map(|(number, life)| Endpoint {
        id: format!("ep_{number:016}"),
        url: format!("https://r{number}.example.com/hook"),
        types: life.only_type.map(|only| vec![only.to_owned()]),
        environments: None,
        secrets: Vec::new(),
        enabled_since: Some(life.enabled_since),
        revision: life.enabled_since,
    });
    News {
        epoch: "1-a".to_owned(),
        at: world.seq.get(),
        events: events.take(100).collect(),
        endpoints: endpoints.collect(),
    }
}

/// Sends a message to the object. The reply stays empty if the message or its answer is lost, or the instance ends.
fn send_news(world: &Rc<World>, message: Rc<str>) -> Rc<RefCell<Option<Result<String, FetchError>>>> {
    let reply = Rc::new(RefCell::new(None));
    if world.draws(world.lost.get()) {
        return reply;
    }
    world.draw_store_fault();
    let (object, answered, place) = (world.object(), Rc::clone(world), Rc::clone(&reply));
    world.scheduler.start(Owner::Object(world.instance.get()), async move {
        let answer = object.fetch(&message).await;
        if !answered.draws(answered.lost.get()) {
            *place.borrow_mut() = Some(answer);
        }
    });
    reply
}

/// The registry tells what the object has not confirmed.
async fn tell(world: Rc<World>) {
    loop {
        world.scheduler.sleep(100).await;
        if world.told.get() >= world.seq.get() {
            continue;
        }
        let told = news(&world);
        let at = told.at;
        let message: Rc<str> = serde_json::to_string(&EventsRequest::News(told)).expect("news have a JSON form").into();
        if world.draws(world.lost.get()) {
            // The network delivers it again, long after.
            let pause = world.random.borrow_mut().within(0, 60_000);
            let (late, again) = (Rc::clone(&world), Rc::clone(&message));
            world.scheduler.call_at(world.scheduler.now() + pause, move || {
                send_news(&late, again);
            });
        }
        let reply = send_news(&world, message);
        let until = world.scheduler.now() + TOLD_TIMEOUT_MS;
        while reply.borrow().is_none() && world.scheduler.now() < until {
            world.scheduler.sleep(20).await;
        }
        let answer = reply.borrow_mut().take();
        let is_noted =
            matches!(answer, Some(Ok(text)) if matches!(serde_json::from_str(&text), Ok(EventsResponse::Noted)));
        if is_noted {
            world.told.set(at);
            let now = world.scheduler.now();
            for life in &mut world.history.borrow_mut().endpoints {
                if life.deletion_seq.is_some_and(|seq| seq <= at) {
                    life.deletion_noted_at.get_or_insert(now);
                }
            }
        } else {
            world.sleep_within(200, 5_000).await;
        }
    }
}

/// Executes the history of a seed.
#[must_use]
pub fn execute(seed: u64) -> History {
    let mut random = Random::new(seed ^ 0x0e7e_4750_0000_0000);
    let is_calm = random.often(100);
    let scheduler = Rc::new(Scheduler::default());
    let storm_ms = random.pick(&[600_000, 1_800_000, 5_400_000]);
    let world = new_world(&scheduler, &mut random, is_calm);
    scheduler.start(Owner::External, tell(Rc::clone(&world)));
    for _ in 0..random.within(2, 25) {
        let at = random.within(0, storm_ms);
        let then = Rc::clone(&world);
        scheduler.call_at(at, move || commit(&then));
    }
    if random.often(500) {
        let (at, then) = (random.within(0, storm_ms), Rc::clone(&world));
        scheduler.call_at(at, move || delete_endpoint(&then, 0));
    }
    if !is_calm {
        draw_faults(&world, &mut random, storm_ms);
    }
    scheduler.run_until(storm_ms);
    world.lost.set(0);
    world.store_fails.set(0);
    world.store.borrow_mut().fail_at(None);
    world.receivers.borrow_mut().fill(Receiver::Works);
    scheduler.run_until(storm_ms + QUIET_MS);
    finish(&world)
}

fn new_world(scheduler: &Rc<Scheduler>, random: &mut Random, is_calm: bool) -> Rc<World> {
    let endpoints: Vec<EndpointLife> = (0..1 + random.below(3))
        .map(|number| EndpointLife {
            enabled_since: number as u64 * random.pick(&[0, 3]),
            only_type: random.often(300).then_some(KINDS[0]),
            deletion_seq: None,
            deleted_at: None,
            deletion_noted_at: None,
        })
        .collect();
    let receivers = vec![Receiver::Works; endpoints.len()];
    let rate = |random: &mut Random| if is_calm || random.often(300) { 0 } else { random.within(10, 300) };
    let (lost, store_fails, seed) = (rate(random), rate(random), random.next());
    let mut store = SqliteStore::new();
    store.measures_costs = false;
    let world = Rc::new(World {
        scheduler: Rc::clone(scheduler),
        random: RefCell::new(Random::new(seed)),
        store: RefCell::new(store),
        history: RefCell::new(History { is_calm, endpoints, ..History::default() }),
        object: RefCell::new(None),
        instance: Cell::new(0),
        alarm: Cell::default(),
        receivers: RefCell::new(receivers),
        seq: Cell::new(0),
        told: Cell::new(0),
        lost: Cell::new(lost),
        store_fails: Cell::new(store_fails),
    });
    start_instance(&world);
    world
}

fn draw_faults(world: &Rc<World>, random: &mut Random, storm_ms: Time) {
    for _ in 0..random.within(0, 8) {
        let (at, then) = (random.within(0, storm_ms), Rc::clone(world));
        world.scheduler.call_at(at, move || crash(&then));
    }
    // Just after a change, while something is on its way.
    if random.often(500) {
        let commits: Vec<Time> = (0..3).map(|_| random.within(0, storm_ms)).collect();
        for at in commits {
            let (then, soon) = (Rc::clone(world), random.within(50, 800));
            world.scheduler.call_at(at, move || commit(&then));
            let then = Rc::clone(world);
            world.scheduler.call_at(at + soon, move || crash(&then));
        }
    }
    for _ in 0..random.within(0, 8) {
        let at = random.within(0, storm_ms);
        let receiver = random.pick(&[
            Receiver::Works,
            Receiver::Works,
            Receiver::Fails,
            Receiver::IsBusy,
            Receiver::Hangs,
            Receiver::AnswersLate,
            Receiver::IsUnreachable,
            Receiver::LosesAnswers,
        ]);
        let (then, number) = (Rc::clone(world), random.below(world.receivers.borrow().len()));
        world.scheduler.call_at(at, move || then.receivers.borrow_mut()[number] = receiver);
    }
}

fn finish(world: &World) -> History {
    world.scheduler.clear();
    *world.object.borrow_mut() = None;
    let mut history = std::mem::take(&mut *world.history.borrow_mut());
    history.counts.insert("histories", 1);
    history
}
