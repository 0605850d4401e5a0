//! The simulated world of usage.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use keyward_edge::usage::{RecordFrom, Report, count_grant, report_shard, shards_due};
use keyward_edge::{Isolate, Level, LookupSizes, Platform, RegistryFailure, ShardedObject};
use keyward_gate::{Gate, GateSizes, Step};
use keyward_http::head::Head;
use keyward_key::signing::{PublicKey, Signature, SigningKey};
use keyward_key::time::Millis;
use keyward_protocol::usage::{USAGE_SHARDS, usage_shard};
use keyward_protocol::{Request, Response};
use keyward_registry::idle::{CHECK, IdleRules, follow_settings};
use keyward_registry::usage::{self as registry_usage, Idle};
use keyward_store::{Store, StoreError};
use keyward_testkit::gate_world::{ClientRequest, Key, NOW, World as GateWorld};
use keyward_testkit::registry_world::{World as RegistryWorld, live};
use keyward_testkit::sqlite_store::SqliteStore;
use keyward_usage::object::{UsageHost, UsageObject};
use serde_json::json;

use crate::random::Random;

/// True time in milliseconds since the history began.
pub type Time = i64;

const STEP_MS: Time = 600_000;
const DAY_STEPS: usize = 144;
const KEYS: usize = 3;
const ISOLATES: usize = 3;
const IDLE_DAYS: u32 = 2;
const REVOKE_DAYS: u32 = 3;

/// What happened, as plain data in true time.
#[derive(Debug, Default)]
pub struct History {
    pub idle_ms: Time,
    pub revoke_ms: Time,
    pub uses: Vec<Use>,
    /// Number of counted requests of each key at the end.
    pub counted: Vec<u64>,
    /// A shard was restored from a backup.
    pub restored: bool,
    /// Nothing failed.
    pub is_calm: bool,
    /// The shard of key 0 has told the registry that it lives.
    pub is_first_awake: bool,
    pub seen: Vec<Seen>,
    pub warnings: Vec<Warning>,
    pub revocations: Vec<Revocation>,
}

/// A request that was forwarded.
#[derive(Clone, Debug)]
pub struct Use {
    pub key: usize,
    pub at: Time,
    /// End of the isolate, if the use was unreported then.
    pub lost_at: Option<Time>,
}

/// What the registry says of a key.
#[derive(Clone, Debug)]
pub struct Seen {
    pub key: usize,
    pub at: Time,
    pub registry_clock: i64,
    pub last_used: Option<i64>,
    pub is_idle: bool,
}

/// An announcement that a key will be revoked in a day.
#[derive(Clone, Debug)]
pub struct Warning {
    pub key: usize,
    pub at: Time,
}

/// A key that was revoked because nobody used it.
#[derive(Clone, Debug)]
pub struct Revocation {
    pub key: usize,
    pub at: Time,
}

/// Faults at one time.
#[derive(Default)]
struct Faults {
    /// Links between isolates and shards, between isolates and the registry, between shards and the registry.
    isolate_to_shard: [[bool; USAGE_SHARDS as usize]; ISOLATES],
    isolate_to_registry: [bool; ISOLATES],
    shard_to_registry: [bool; USAGE_SHARDS as usize],
    answers_lost: bool,
}

struct World {
    now: Cell<Time>,
    random: RefCell<Random>,
    faults: RefCell<Faults>,
    registry: RefCell<RegistryWorld>,
    registry_offset: Cell<Time>,
    shards: RefCell<BTreeMap<u32, Rc<Shard>>>,
    isolate_offsets: RefCell<[Time; ISOLATES]>,
}

struct Shard {
    number: u32,
    store: RefCell<SqliteStore>,
    offset: Cell<Time>,
    alarm_at: Cell<Option<Time>>,
    /// A savepoint stands for a backup.
    has_backup: Cell<bool>,
}

impl World {
    fn clock(&self, offset: Time) -> Millis {
        Millis(NOW.0 + self.now.get() + offset)
    }

    fn shard(&self, number: u32) -> Rc<Shard> {
        let mut shards = self.shards.borrow_mut();
        Rc::clone(shards.entry(number).or_insert_with(|| {
            let mut store = SqliteStore::new();
            store.measures_costs = false;
            Rc::new(Shard {
                number,
                store: RefCell::new(store),
                offset: Cell::new(0),
                alarm_at: Cell::new(None),
                has_backup: Cell::new(false),
            })
        }))
    }

    fn tell_registry(&self, message: &str) -> Result<String, String> {
        let now = self.clock(self.registry_offset.get());
        let mut registry = self.registry.borrow_mut();
        let response: Result<Response, StoreError> = match serde_json::from_str(message).unwrap() {
            Request::UsageTimes(times) => registry_usage::note(&mut registry.store, &times, now),
            Request::UsageMissing { shard } => registry_usage::missing(&mut registry.store, shard, now),
            other => panic!("{other:?}"),
        };
        Ok(serde_json::to_string(&response.unwrap()).unwrap())
    }

    fn loses_answer(&self) -> bool {
        self.faults.borrow().answers_lost && self.random.borrow_mut().often(500)
    }
}

/// Platform of one isolate.
struct Port {
    world: Rc<World>,
    isolate: usize,
}

impl Platform for Port {
    fn now(&self) -> Millis {
        self.world.clock(self.world.isolate_offsets.borrow()[self.isolate])
    }

    fn jitter(&self) -> u8 {
        self.world.random.borrow_mut().next() as u8
    }

    fn log(&self, _: Level, _: &str, _: &[(&str, &str)]) {}

    async fn kv_get(&self, _: &str) -> Result<Option<String>, String> {
        Ok(None)
    }

    async fn cache_get(&self, _: &str) -> Option<String> {
        None
    }

    fn cache_put(&self, _: &str, _: &str, _: u32) {}

    async fn ask_registry(&self, message: &str, _: bool) -> Result<String, RegistryFailure> {
        if self.world.faults.borrow().isolate_to_registry[self.isolate] {
            return Err("simulated: unreachable".to_owned().into());
        }
        let answer = self.world.tell_registry(message);
        if self.world.loses_answer() { Err("simulated: no answer".to_owned().into()) } else { Ok(answer?) }
    }

    async fn ask_shard(&self, object: ShardedObject, shard: u32, message: &str) -> Result<String, String> {
        assert_eq!(object, ShardedObject::Usage);
        if self.world.faults.borrow().isolate_to_shard[self.isolate][shard as usize] {
            return Err("simulated: unreachable".to_owned());
        }
        // Each call may meet a new instance of the object.
        let host = Host { world: Rc::clone(&self.world), shard: self.world.shard(shard) };
        let answer = UsageObject::new(host).fetch(message).await;
        if self.world.loses_answer() {
            Err("simulated: no answer".to_owned())
        } else {
            answer.map_err(|_| "failed".to_owned())
        }
    }

    async fn hold_key(&self, _: &SigningKey) -> Result<PublicKey, String> {
        Err("not used".to_owned())
    }

    async fn sign(&self, _: &SigningKey, _: &[u8]) -> Result<Signature, String> {
        Err("not used".to_owned())
    }

    async fn pause(&self, _: u32) {}
}

/// Platform of one shard.
struct Host {
    world: Rc<World>,
    shard: Rc<Shard>,
}

impl UsageHost for Host {
    fn now(&self) -> Millis {
        self.world.clock(self.shard.offset.get())
    }

    fn with_store<T>(&self, work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        work(&mut *self.shard.store.borrow_mut())
    }

    async fn ask_registry(&self, message: &str) -> Result<String, String> {
        if self.world.faults.borrow().shard_to_registry[self.shard.number as usize] {
            return Err("simulated: unreachable".to_owned());
        }
        let answer = self.world.tell_registry(message);
        if self.world.loses_answer() { Err("simulated: no answer".to_owned()) } else { answer }
    }

    async fn set_alarm(&self, after_ms: i64) -> Result<(), String> {
        self.shard.alarm_at.set(Some(self.world.now.get() + after_ms));
        Ok(())
    }

    fn log(&self, _: Level, _: &str, _: &[(&str, &str)]) {}
}

/// Runs a future of this world, which never waits.
fn run<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("this world answers at once"),
    }
}

/// The gate that accepts the requests. What it decides does not matter here, so all isolates share one, at one time.
struct Accepting {
    world: GateWorld,
    keys: Vec<Key>,
}

impl Accepting {
    fn new() -> Self {
        let mut world = GateWorld::started(&json!({}));
        let keys: Vec<Key> = (0..KEYS).map(|key| world.issue(key as u64 + 1, |_| {})).collect();
        for key in &keys {
            assert_eq!(world.verdict(&ClientRequest::new("GET /v1/contacts").key(key)), "200");
        }
        Self { world, keys }
    }

    fn request(&mut self, key: usize, isolate: &Isolate, clock: Millis) {
        let request = ClientRequest::new("GET /v1/contacts").key(&self.keys[key]).with("cf-connecting-ip", "192.0.2.7");
        let plain = request.text();
        let accepted = Head::parse(&plain).unwrap();
        let gate: &mut Gate = &mut self.world.gate;
        let Step::Forward(grant) = gate.admit(&self.world.config, &accepted, NOW) else { panic!("not accepted") };
        let text = plain.replacen(&NOW.0.to_string(), &clock.0.to_string(), 1);
        count_grant(isolate, &Head::parse(&text).unwrap(), &grant, RecordFrom::Memory);
    }
}

struct LiveIsolate {
    inner: Isolate,
    /// Uses that are not reported.
    unreported: Vec<usize>,
}

fn new_isolate() -> LiveIsolate {
    let inner = Isolate::new(GateSizes::default(), LookupSizes::default(), 0);
    LiveIsolate { inner, unreported: Vec::new() }
}

/// Executes the history of a seed.
#[must_use]
pub fn execute(seed: u64) -> History {
    let mut random = Random::new(seed);
    let is_calm = random.often(100);
    let mut accepting = Accepting::new();
    let world = Rc::new(new_world(&accepting, random.next()));
    let mut isolates: Vec<LiveIsolate> = (0..ISOLATES).map(|_| new_isolate()).collect();
    let mut history = History {
        idle_ms: i64::from(IDLE_DAYS) * 86_400_000,
        revoke_ms: i64::from(REVOKE_DAYS) * 86_400_000,
        is_calm,
        ..History::default()
    };
    // How often each key is used, per mille and step: key 0 seldom or never.
    let rates = [random.pick(&[0, 0, 8]), random.pick(&[4, 20, 300]), random.pick(&[2, 10, 900])];
    for step in 0..random.below(4 * DAY_STEPS) + 4 * DAY_STEPS {
        world.now.set(step as Time * STEP_MS);
        if !is_calm {
            draw_faults(&world, &mut random, &mut history);
        }
        for (key, rate) in rates.iter().enumerate() {
            let isolate = random.below(ISOLATES);
            let is_cut_off = world.faults.borrow().isolate_to_registry[isolate];
            if random.often(*rate) && !is_cut_off {
                use_key(&world, &mut accepting, &mut isolates, &mut history, (key, isolate));
            }
        }
        flush(&world, &mut isolates);
        if !is_calm && random.often(20) {
            let number = random.below(ISOLATES);
            end_isolate(&mut isolates[number], &mut history, world.now.get());
        }
        ring(&world);
        check_idle_keys(&world, &accepting, &mut history);
        observe(&world, &accepting, &mut history);
    }
    finish(&world, &mut isolates, &mut history, &accepting);
    history
}

fn new_world(accepting: &Accepting, seed: u64) -> World {
    let mut registry = RegistryWorld::with_owner();
    registry.store.measures_costs = false;
    for (number, key) in accepting.keys.iter().enumerate() {
        let view = registry.issue(number as u32 + 1, live(&format!("integration-{number}")));
        let sql = "UPDATE keys SET id = ?1 WHERE id = ?2";
        registry.store.connection.execute(sql, [key.record.id.as_str(), view.id.as_str()]).unwrap();
    }
    follow_settings(&mut registry.store, IdleRules { idle_days: IDLE_DAYS, revoke_days: REVOKE_DAYS }).unwrap();
    let world = World {
        now: Cell::new(0),
        random: RefCell::new(Random::new(seed)),
        faults: RefCell::default(),
        registry: RefCell::new(registry),
        registry_offset: Cell::new(0),
        shards: RefCell::default(),
        isolate_offsets: RefCell::default(),
    };
    for key in &accepting.keys {
        world.shard(usage_shard(key.record.id.as_str()));
    }
    world
}

fn draw_faults(world: &World, random: &mut Random, history: &mut History) {
    let mut faults = world.faults.borrow_mut();
    let flip = |place: &mut bool, random: &mut Random| {
        let rate = if *place { 40 } else { 4 };
        if random.often(rate) {
            *place = !*place;
        }
    };
    faults.isolate_to_shard.iter_mut().flatten().for_each(|place| flip(place, random));
    faults.isolate_to_registry.iter_mut().for_each(|place| flip(place, random));
    faults.shard_to_registry.iter_mut().for_each(|place| flip(place, random));
    flip(&mut faults.answers_lost, random);
    let offset = |random: &mut Random| {
        random.pick(&[0, 0, 0, 1_000, -1_000, 250_000, -250_000, 9 * 86_400_000, -9 * 86_400_000])
    };
    if random.often(5) {
        let isolate = random.below(ISOLATES);
        world.isolate_offsets.borrow_mut()[isolate] = offset(random);
    }
    if random.often(2) {
        world.registry_offset.set(offset(random));
    }
    for shard in world.shards.borrow().values() {
        if random.often(2) {
            shard.offset.set(offset(random));
        }
        if random.often(3) && !shard.has_backup.replace(true) {
            shard.store.borrow().connection.execute_batch("SAVEPOINT backup").unwrap();
        }
        if random.often(1) && shard.has_backup.get() {
            history.restored = true;
            shard.store.borrow().connection.execute_batch("ROLLBACK TO backup").unwrap();
        }
    }
}

fn use_key(
    world: &Rc<World>,
    accepting: &mut Accepting,
    isolates: &mut [LiveIsolate],
    history: &mut History,
    (key, isolate): (usize, usize),
) {
    let live = &mut isolates[isolate];
    accepting.request(key, &live.inner, world.clock(world.isolate_offsets.borrow()[isolate]));
    live.unreported.push(history.uses.len());
    history.uses.push(Use { key, at: world.now.get(), lost_at: None });
}

/// Each isolate reports, within the minute after its uses.
fn flush(world: &Rc<World>, isolates: &mut [LiveIsolate]) {
    for (number, live) in isolates.iter_mut().enumerate() {
        let port = Port { world: Rc::clone(world), isolate: number };
        let now = port.now();
        for shard in shards_due(&live.inner, Report::AllLater, now) {
            run(report_shard(&live.inner, &port, shard));
        }
        let left = shards_due(&live.inner, Report::AllLater, now);
        if left.is_empty() {
            live.unreported.clear();
        }
    }
}

/// Ends an isolate, with all that it has not reported, and starts another.
fn end_isolate(live: &mut LiveIsolate, history: &mut History, now: Time) {
    for used in &live.unreported {
        history.uses[*used].lost_at = Some(now);
    }
    *live = new_isolate();
}

/// Runs the alarms that are due.
fn ring(world: &Rc<World>) {
    let shards: Vec<Rc<Shard>> = world.shards.borrow().values().map(Rc::clone).collect();
    for shard in shards {
        if shard.alarm_at.get().is_some_and(|at| at <= world.now.get() + STEP_MS / 2) {
            shard.alarm_at.set(None);
            run(UsageObject::new(Host { world: Rc::clone(world), shard }).alarm());
        }
    }
}

/// Runs the registry's due work, and notes what it says in the audit log.
fn check_idle_keys(world: &World, accepting: &Accepting, history: &mut History) {
    let now = world.clock(world.registry_offset.get());
    let mut registry = world.registry.borrow_mut();
    CHECK.run_if_due(&mut registry.store, now).unwrap();
    let seen = history.warnings.len() + history.revocations.len();
    let rows = registry
        .store
        .query(
            "SELECT subject, action FROM audit
             WHERE action = 'key.revoke' OR (action = 'key.idle' AND instr(detail, 'revoke_in_days') > 0)
             ORDER BY seq LIMIT 1000 OFFSET ?",
            &[keyward_store::Value::count(seen as u64).unwrap()],
        )
        .unwrap();
    for row in rows {
        let subject = row.text("subject").unwrap();
        let key = accepting.keys.iter().position(|key| key.record.id.as_str() == subject).unwrap();
        match row.text("action").unwrap() {
            "key.revoke" => history.revocations.push(Revocation { key, at: world.now.get() }),
            _ => history.warnings.push(Warning { key, at: world.now.get() }),
        }
    }
}

fn observe(world: &World, accepting: &Accepting, history: &mut History) {
    let registry_clock = world.clock(world.registry_offset.get());
    let mut registry = world.registry.borrow_mut();
    let idle = Idle::new(&mut registry.store, IDLE_DAYS, registry_clock).unwrap();
    for (key, issued) in accepting.keys.iter().enumerate() {
        let row = registry
            .store
            .query(
                "SELECT id, state, created_at, expires_at, last_used_at, ifnull(last_used_at, 0) AS used_at FROM keys WHERE id = ?",
                &[issued.record.id.as_str().into()],
            )
            .unwrap()
            .remove(0);
        history.seen.push(Seen {
            key,
            at: world.now.get(),
            registry_clock: registry_clock.0,
            last_used: row.optional_integer("last_used_at").unwrap(),
            is_idle: idle.is_met(&row).unwrap(),
        });
    }
}

/// Ends all faults, lets every isolate report, and counts.
fn finish(world: &Rc<World>, isolates: &mut [LiveIsolate], history: &mut History, accepting: &Accepting) {
    *world.faults.borrow_mut() = Faults::default();
    for _ in 0..2 {
        world.now.set(world.now.get() + STEP_MS);
        flush(world, isolates);
    }
    let first = usage_shard(accepting.keys[0].record.id.as_str());
    let sql = "SELECT count(*) FROM usage_shards WHERE shard = ?1";
    let registry = world.registry.borrow();
    let told = registry.store.connection.query_row(sql, [first], |row| row.get::<_, i64>(0)).unwrap();
    history.is_first_awake = told > 0;
    for key in &accepting.keys {
        let shard = world.shard(usage_shard(key.record.id.as_str()));
        let store = shard.store.borrow();
        let sql = "SELECT coalesce(sum(count), 0) FROM days JOIN keys ON keys.number = key WHERE id = ?1";
        let count = store.connection.query_row(sql, [key.record.id.as_str()], |row| row.get::<_, i64>(0));
        // A shard that was never asked has no tables.
        history.counted.push(count.unwrap_or(0) as u64);
    }
}
