//! Execution of a plan.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use keyward_config::Config;
use keyward_edge::{Isolate, LookupSizes};
use keyward_gate::GateSizes;
use keyward_key::exposure::{ExposureAction, ExposureKind, OnExposure};
use keyward_key::time::Millis;
use keyward_registry::context::Policy;
use keyward_registry::feed::FeedSizes;
use keyward_testkit::sqlite_store::SqliteStore;
use serde_json::json;

use crate::history::{Event, History, Record, Rights, State};
use crate::object::{self, ObjectState};
use crate::plan::{Attack, Fault, FaultRates, Plan, PlannedAction};
use crate::random::Random;
use crate::scheduler::{Owner, Scheduler, Time};
use crate::sqlite::{self, START_MS};
use crate::stores::{Kv, Location};
use crate::{keys, quiescence, traffic};

/// Scopes, in the order of their bits.
pub const SCOPES: [&str; 2] = ["first:read", "second:read"];
/// Networks to which a key may be limited, each with a client address in it, in the order of their bits.
pub const NETWORKS: [(&str, &str); 2] = [("192.0.2.0/24", "192.0.2.7"), ("198.51.100.0/24", "198.51.100.9")];

pub struct World {
    pub config: Rc<Config>,
    pub policy: Policy,
    pub scheduler: Rc<Scheduler>,
    pub sqlite: RefCell<SqliteStore>,
    pub object: RefCell<ObjectState>,
    pub kv: RefCell<Kv>,
    pub locations: RefCell<Vec<Location>>,
    pub kv_stale_ms: Time,
    pub feed_sizes: FeedSizes,
    gate_sizes: GateSizes,
    lookup_sizes: LookupSizes,
    isolates: RefCell<Vec<Option<LiveIsolate>>>,
    records: RefCell<Vec<Record>>,
    fault_rates: FaultRates,
    /// Faults with their location (`None`: every location) and their end.
    faults: RefCell<Vec<(Fault, Option<usize>, Time)>>,
    faults_stopped: Cell<bool>,
    revision: Cell<u64>,
    epoch: RefCell<String>,
    states: RefCell<Vec<State>>,
    backup: Cell<Option<(Time, u64)>>,
}

/// A running isolate.
struct LiveIsolate {
    inner: Rc<Isolate>,
    location: usize,
    offset: Time,
}

/// Executes a plan and returns its history.
#[must_use]
pub fn execute(plan: &Plan) -> History {
    let config = config(plan);
    let policy = Policy {
        max_key_days: 1,
        max_member_days: 365,
        known_scopes: config.routes.scopes(),
        on_exposure: OnExposure::default().with(ExposureKind::Url, ExposureAction::Quarantine),
    };
    let (initial_config, initial_policy) = (Rc::clone(&config), policy.clone());
    sqlite::with_fresh(&initial_config, &initial_policy, move |sqlite| {
        let world = Rc::new(World {
            config,
            policy,
            scheduler: Rc::default(),
            sqlite: RefCell::new(sqlite),
            object: RefCell::new(ObjectState::new(plan.seed)),
            kv: RefCell::default(),
            locations: RefCell::new((0..plan.locations).map(|_| Location::default()).collect()),
            kv_stale_ms: plan.kv_stale_ms,
            feed_sizes: plan.sizes.feed,
            gate_sizes: plan.sizes.gate,
            lookup_sizes: plan.sizes.lookups,
            isolates: RefCell::default(),
            records: RefCell::default(),
            fault_rates: plan.fault_rates,
            faults: RefCell::default(),
            faults_stopped: Cell::new(false),
            revision: Cell::new(1),
            epoch: RefCell::default(),
            states: RefCell::new(vec![State::Absent; keys::KEY_COUNT]),
            backup: Cell::new(None),
        });
        for event in &plan.events {
            let (event, world) = (event.clone(), Rc::clone(&world));
            let scheduler = Rc::clone(&world.scheduler);
            scheduler.call_at(event.at, move || world.execute_action(&event.action, event.seed));
        }
        world.scheduler.run_until(plan.ends_at + 15_000);
        world.faults_stopped.set(true);
        let quiescence = quiescence::settle(&world);
        world.scheduler.clear();
        object::stop(&world);
        let history = History {
            bound_ms: 1000 * i64::from(plan.bound_seconds),
            grace_ms: 1000 * i64::from(plan.grace_seconds),
            caches_every_key: plan.sizes.caches_every_key(),
            records: world.records.take(),
            quiescence,
        };
        world.isolates.borrow_mut().clear();
        let sqlite = Rc::into_inner(world).map(|world| world.sqlite.into_inner());
        (sqlite.expect("no task holds the world after its history"), history)
    })
}

fn config(plan: &Plan) -> Rc<Config> {
    let vars = json!({
        "KEYWARD_SECRET": keys::SECRET,
        "BOOTSTRAP_TOKEN": "a-bootstrap-token-of-a-simulation",
        "ORIGIN_LIVE": "https://live.example",
        "REVOCATION_BOUND_SECONDS": plan.bound_seconds,
        "OUTAGE_GRACE_SECONDS": plan.grace_seconds,
        "MAX_KEY_DAYS": 1,
        "ROUTES": [
            {"match": "GET /first", "scope": SCOPES[0]},
            {"match": "GET /second", "scope": SCOPES[1]},
            {"match": "GET /closed", "scope": SCOPES[0], "on_outage": "closed"},
        ],
    });
    Rc::new(Config::parse(vars.as_object().unwrap()).unwrap_or_else(|problems| panic!("{problems:?}")))
}

impl World {
    pub fn record(&self, event: Event) {
        self.records.borrow_mut().push(Record { at: self.scheduler.now(), event });
    }

    pub fn record_fault(&self, description: &str) {
        self.record(Event::Fault { description: description.to_owned() });
    }

    /// Returns the rates of the plan, or zero rates once the faults have stopped.
    pub fn fault_rates(&self) -> FaultRates {
        if self.faults_stopped.get() { FaultRates::default() } else { self.fault_rates }
    }

    pub fn has_fault(&self, fault: Fault, location: Option<usize>) -> bool {
        let now = self.scheduler.now();
        let applies = |at: Option<usize>| at.is_none() || location.is_none() || at == location;
        !self.faults_stopped.get()
            && self.faults.borrow().iter().any(|(active, at, until)| *active == fault && applies(*at) && now < *until)
    }

    pub fn clock(&self, isolate: usize) -> Millis {
        let offset = self.isolates.borrow()[isolate].as_ref().map_or(0, |live| live.offset);
        Millis(START_MS + self.scheduler.now() + offset)
    }

    pub fn registry_clock(&self) -> Millis {
        self.registry_clock_of(&self.object.borrow())
    }

    pub fn registry_clock_of(&self, object: &ObjectState) -> Millis {
        Millis(START_MS + self.scheduler.now() + object.offset)
    }

    /// Returns an isolate and its location, if it runs.
    pub fn isolate(&self, number: usize) -> Option<(Rc<Isolate>, usize)> {
        let isolates = self.isolates.borrow();
        let live = isolates.get(number)?.as_ref()?;
        Some((Rc::clone(&live.inner), live.location))
    }

    fn execute_action(self: &Rc<Self>, action: &PlannedAction, seed: u64) {
        let mut random = Random::new(seed);
        match action {
            PlannedAction::StartIsolate { isolate, location, offset, jitter } => {
                let mut isolates = self.isolates.borrow_mut();
                while isolates.len() <= *isolate {
                    isolates.push(None);
                }
                let inner = Rc::new(Isolate::new(self.gate_sizes, self.lookup_sizes, *jitter));
                isolates[*isolate] = Some(LiveIsolate { inner, location: *location, offset: *offset });
                drop(isolates);
                let clock = self.clock(*isolate).0;
                self.record(Event::IsolateStarted { isolate: *isolate, location: *location, clock });
            }
            PlannedAction::StopIsolate { isolate } => {
                self.scheduler.cancel_all(Owner::Isolate(*isolate));
                if let Some(slot) = self.isolates.borrow_mut().get_mut(*isolate) {
                    *slot = None;
                }
                self.record(Event::IsolateStopped { isolate: *isolate });
            }
            PlannedAction::CancelTask { isolate } => {
                if self.scheduler.cancel_one(Owner::Isolate(*isolate), random.next()) {
                    self.record(Event::TaskCancelled { isolate: *isolate });
                }
            }
            PlannedAction::StepClock { isolate, to } => {
                let by = match self.isolates.borrow_mut().get_mut(*isolate) {
                    Some(Some(live)) => to - std::mem::replace(&mut live.offset, *to),
                    _ => return,
                };
                self.record(Event::ClockStepped { isolate: *isolate, by });
            }
            PlannedAction::StepRegistryClock { to } => {
                self.object.borrow_mut().offset = *to;
                self.record_fault(&format!("the registry's clock steps to an offset of {to} ms"));
            }
            PlannedAction::Request(request) => traffic::request(self, *request, random),
            PlannedAction::Change { change } => traffic::change(self, change, random),
            PlannedAction::Fault { fault, location, until } => {
                self.faults.borrow_mut().push((*fault, *location, *until));
                let scope = location.map_or("everywhere".to_owned(), |location| format!("at location {location}"));
                self.record_fault(&format!("{fault:?} {scope} until {until}"));
            }
            PlannedAction::RestartObject => object::restart(self),
            PlannedAction::Backup => {
                sqlite::batch(&self.sqlite.borrow(), "SAVEPOINT backup");
                self.backup.set(Some((self.scheduler.now(), self.revision.get())));
                self.record_fault("a backup is made");
            }
            PlannedAction::Restore { announced } => self.restore(*announced, &mut random),
            PlannedAction::Attack(attack) => self.attack(attack, &mut random),
        }
    }

    fn restore(self: &Rc<Self>, announced: bool, random: &mut Random) {
        let Some((to, revision)) = self.backup.get() else { return };
        sqlite::batch(&self.sqlite.borrow(), "ROLLBACK TO backup");
        if announced {
            self.object.borrow_mut().setting = Some(format!("restored-{}", random.next()));
        }
        self.record(Event::Restored { to, announced });
        object::restart(self);
        self.revision.set(revision);
        let mut states = vec![State::Absent; keys::KEY_COUNT];
        for (key, _, state) in self.rows_after(0) {
            states[key] = state;
        }
        for (key, state) in states.iter().enumerate() {
            let before = std::mem::replace(&mut self.states.borrow_mut()[key], state.clone());
            if before != *state {
                self.record(Event::StateChanged { key, revision: 0, state: state.clone() });
            }
        }
    }

    fn rows_after(&self, revision: u64) -> Vec<(usize, u64, State)> {
        sqlite::rows(
            &self.sqlite.borrow(),
            "SELECT id, revision, state, expires_at, scopes, allowed_cidrs FROM keys WHERE revision > ?",
            revision as i64,
            |row| {
                let text = |at: usize| row.get::<_, String>(at).unwrap();
                let bits = |text: &str, names: &[&str]| {
                    (0..names.len()).filter(|bit| text.contains(names[*bit])).fold(0_u8, |bits, bit| bits | 1 << bit)
                };
                let expires_at: i64 = row.get(3).unwrap();
                let networks = text(5);
                let addresses =
                    if networks == "[]" { 3 } else { bits(&networks, &NETWORKS.map(|(network, _)| network)) };
                let rights = Rights {
                    revoked: text(2) == "revoked",
                    quarantined: text(2) == "quarantined",
                    ended_by_change: text(2) == "expired",
                    expires_at,
                    scopes: bits(&text(4), &SCOPES),
                    addresses,
                };
                let number = keys::index_of(&text(0)).expect("every key of the registry is a simulated one");
                (number, row.get::<_, i64>(1).unwrap() as u64, State::Present(rights))
            },
        )
    }

    /// Records the changes that the registry committed since the last call.
    pub fn record_states(&self) {
        // Ordered by name: the epoch, then the revision.
        const META: &str = "SELECT value FROM meta WHERE name IN ('epoch', 'revision') ORDER BY name";
        let rows = sqlite::rows(&self.sqlite.borrow(), META, 0, |row| row.get::<_, String>(0).unwrap());
        let [epoch, revision] = rows.as_slice() else { panic!("{rows:?}") };
        let before = self.epoch.replace(epoch.clone());
        if !before.is_empty() && before != *epoch {
            self.record(Event::EpochStarted);
        }
        let revision = revision.parse().unwrap();
        let known = self.revision.replace(revision);
        if revision <= known {
            return;
        }
        for (key, revision, state) in self.rows_after(known) {
            self.states.borrow_mut()[key] = state.clone();
            self.record(Event::StateChanged { key, revision, state });
        }
    }

    fn attack(&self, attack: &Attack, random: &mut Random) {
        let name = |key: usize| format!("key:{}", keys::all()[key].id);
        let mut kv = self.kv.borrow_mut();
        match attack {
            Attack::Replay { key } => {
                if let Some(text) = kv.former(&name(*key), random) {
                    kv.tamper(&name(*key), Some(text));
                }
            }
            Attack::Move { from, to } => {
                if let Some(text) = kv.text(&name(*from)).cloned() {
                    kv.tamper(&name(*to), Some(text));
                }
            }
            Attack::Widen { key } => {
                if let Some(text) = kv.text(&name(*key)).cloned() {
                    let both = format!("\"scopes\":[\"{}\",\"{}\"]", SCOPES[0], SCOPES[1]);
                    let text = text
                        .replace(&format!("\"scopes\":[\"{}\"]", SCOPES[0]), &both)
                        .replace(&format!("\"scopes\":[\"{}\"]", SCOPES[1]), &both)
                        .replace("\"revoked\":true", "\"revoked\":false")
                        .replace(&format!("\"allowed_cidrs\":[\"{}\"]", NETWORKS[0].0), "\"allowed_cidrs\":[]")
                        .replace(&format!("\"allowed_cidrs\":[\"{}\"]", NETWORKS[1].0), "\"allowed_cidrs\":[]");
                    kv.tamper(&name(*key), Some(text));
                }
            }
            Attack::Delete { key } => kv.tamper(&name(*key), None),
            Attack::Truncate { key } => {
                if let Some(text) = kv.text(&name(*key)).cloned() {
                    kv.tamper(&name(*key), Some(text.chars().take(random.below(text.len().max(1))).collect()));
                }
            }
            Attack::ReplayCache { location } => {
                self.locations.borrow_mut()[*location].replay(self.scheduler.now(), random);
            }
        }
        self.record_fault(&format!("{attack:?}"));
    }
}
