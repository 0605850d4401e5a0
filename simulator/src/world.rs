//! A plan carried out.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use keyward_config::Config;
use keyward_edge::Isolate;
use keyward_gate::GateSizes;
use keyward_key::time::Millis;
use keyward_registry::apply::Policy;
use keyward_registry::feed::FeedSizes;
use keyward_testkit::sqlite_store::SqliteStore;
use serde_json::json;

use crate::history::{History, Record, Rights, State, What};
use crate::object::{self, ObjectState};
use crate::plan::{Attack, Fault, FaultRates, Plan, Planned};
use crate::random::Random;
use crate::scheduler::{Owner, Scheduler, Time};
use crate::sqlite::{self, BEGINNING};
use crate::stores::{Kv, Location};
use crate::{keys, quiescence, traffic};

/// The scopes, by their bits.
pub const SCOPES: [&str; 2] = ["first:read", "second:read"];
/// The networks that a key may be limited to, and an address in each, by their bits.
pub const NETWORKS: [(&str, &str); 2] = [("192.0.2.0/24", "192.0.2.7"), ("198.51.100.0/24", "198.51.100.9")];

pub struct World {
    pub config: Rc<Config>,
    pub policy: Policy,
    pub scheduler: Rc<Scheduler>,
    pub sqlite: RefCell<SqliteStore>,
    pub object: RefCell<ObjectState>,
    pub kv: RefCell<Kv>,
    pub locations: RefCell<Vec<Location>>,
    pub kv_stale: Time,
    pub feed_sizes: FeedSizes,
    gate_sizes: GateSizes,
    isolates: RefCell<Vec<Option<LiveIsolate>>>,
    records: RefCell<Vec<Record>>,
    fault_rates: FaultRates,
    troubles: RefCell<Vec<(Fault, Option<usize>, Time)>>,
    /// The faults have stopped.
    calm: Cell<bool>,
    revision: Cell<u64>,
    epoch: RefCell<String>,
    states: RefCell<Vec<State>>,
    backup: Cell<Option<(Time, u64)>>,
}

/// An isolate that is alive.
struct LiveIsolate {
    inner: Rc<Isolate>,
    location: usize,
    offset: Time,
}

/// What happens if the plan is carried out.
#[must_use]
pub fn carry_out(plan: &Plan) -> History {
    let config = config(plan);
    let policy = Policy { max_key_days: 1, max_member_days: 365, known_scopes: config.routes.scopes() };
    let (with, by) = (Rc::clone(&config), policy.clone());
    sqlite::with_fresh(&with, &by, move |sqlite| {
        let world = Rc::new(World {
            config,
            policy,
            scheduler: Rc::default(),
            sqlite: RefCell::new(sqlite),
            object: RefCell::new(ObjectState::new(plan.seed)),
            kv: RefCell::default(),
            locations: RefCell::new((0..plan.locations).map(|_| Location::default()).collect()),
            kv_stale: plan.kv_stale,
            feed_sizes: plan.sizes.feed,
            gate_sizes: plan.sizes.gate,
            isolates: RefCell::default(),
            records: RefCell::default(),
            fault_rates: plan.fault_rates,
            troubles: RefCell::default(),
            calm: Cell::new(false),
            revision: Cell::new(1),
            epoch: RefCell::default(),
            states: RefCell::new(vec![State::Absent; keys::KEYS]),
            backup: Cell::new(None),
        });
        for event in &plan.events {
            let (event, world) = (event.clone(), Rc::clone(&world));
            let scheduler = Rc::clone(&world.scheduler);
            scheduler.call_at(event.at, move || world.happen(&event.what, event.seed));
        }
        world.scheduler.run_until(plan.ends_at + 15_000);
        world.calm.set(true);
        let quiescence = quiescence::settle(&world);
        world.scheduler.clear();
        object::end(&world);
        let history = History {
            bound: 1000 * i64::from(plan.bound_seconds),
            grace: 1000 * i64::from(plan.grace_seconds),
            cache_holds_all: plan.sizes.gate
                == GateSizes {
                    changes: plan.sizes.gate.changes,
                    shared_changes: plan.sizes.gate.shared_changes,
                    ..GateSizes::default()
                },
            records: world.records.take(),
            quiescence,
        };
        world.isolates.borrow_mut().clear();
        let sqlite = Rc::into_inner(world).map(|world| world.sqlite.into_inner());
        (sqlite.expect("nothing of a history outlives it"), history)
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
    pub fn record(&self, what: What) {
        self.records.borrow_mut().push(Record { at: self.scheduler.now(), what });
    }

    pub fn note_fault(&self, what: &str) {
        self.record(What::Fault { what: what.to_owned() });
    }

    pub fn fault_rates(&self) -> FaultRates {
        if self.calm.get() { FaultRates::default() } else { self.fault_rates }
    }

    pub fn has_fault(&self, fault: Fault, location: Option<usize>) -> bool {
        let now = self.scheduler.now();
        let here = |at: Option<usize>| at.is_none() || location.is_none() || at == location;
        !self.calm.get()
            && self.troubles.borrow().iter().any(|(what, at, until)| *what == fault && here(*at) && now < *until)
    }

    pub fn clock(&self, isolate: usize) -> Millis {
        let offset = self.isolates.borrow()[isolate].as_ref().map_or(0, |living| living.offset);
        Millis(BEGINNING + self.scheduler.now() + offset)
    }

    pub fn registry_clock(&self) -> Millis {
        self.registry_clock_of(&self.object.borrow())
    }

    pub fn registry_clock_of(&self, object: &ObjectState) -> Millis {
        Millis(BEGINNING + self.scheduler.now() + object.offset)
    }

    /// An isolate and its location, if it is alive.
    pub fn isolate(&self, number: usize) -> Option<(Rc<Isolate>, usize)> {
        let isolates = self.isolates.borrow();
        let living = isolates.get(number)?.as_ref()?;
        Some((Rc::clone(&living.inner), living.location))
    }

    fn happen(self: &Rc<Self>, what: &Planned, seed: u64) {
        let mut random = Random::new(seed);
        match what {
            Planned::Born { isolate, location, offset, jitter } => {
                let mut isolates = self.isolates.borrow_mut();
                while isolates.len() <= *isolate {
                    isolates.push(None);
                }
                let inner = Rc::new(Isolate::new(self.gate_sizes, *jitter));
                isolates[*isolate] = Some(LiveIsolate { inner, location: *location, offset: *offset });
                drop(isolates);
                let clock = self.clock(*isolate).0;
                self.record(What::Born { isolate: *isolate, location: *location, clock });
            }
            Planned::Dies { isolate } => {
                self.scheduler.end(Owner::Isolate(*isolate));
                if let Some(place) = self.isolates.borrow_mut().get_mut(*isolate) {
                    *place = None;
                }
                self.record(What::Died { isolate: *isolate });
            }
            Planned::Cut { isolate } => {
                if self.scheduler.end_one(Owner::Isolate(*isolate), random.next()) {
                    self.record(What::Cut { isolate: *isolate });
                }
            }
            Planned::Step { isolate, to } => {
                let by = match self.isolates.borrow_mut().get_mut(*isolate) {
                    Some(Some(living)) => to - std::mem::replace(&mut living.offset, *to),
                    _ => return,
                };
                self.record(What::Stepped { isolate: *isolate, by });
            }
            Planned::RegistryStep { to } => {
                self.object.borrow_mut().offset = *to;
                self.note_fault(&format!("the registry's clock steps, to {to} ms off"));
            }
            Planned::Request { isolate, key, presents, route, address } => {
                traffic::request(self, *isolate, (*key, *presents, *route, *address), random);
            }
            Planned::Change { change, .. } => traffic::change(self, change, random),
            Planned::Fault { fault, location, until } => {
                self.troubles.borrow_mut().push((*fault, *location, *until));
                let place = location.map_or("everywhere".to_owned(), |location| format!("at location {location}"));
                self.note_fault(&format!("{fault:?} {place} until {until}"));
            }
            Planned::Restart => object::restart(self),
            Planned::Backup => {
                sqlite::batch(&self.sqlite.borrow(), "SAVEPOINT backup");
                self.backup.set(Some((self.scheduler.now(), self.revision.get())));
                self.note_fault("a backup is made");
            }
            Planned::Restore { announced } => self.restore(*announced, &mut random),
            Planned::Attack(attack) => self.attack(attack, &mut random),
        }
    }

    fn restore(self: &Rc<Self>, announced: bool, random: &mut Random) {
        let Some((to, revision)) = self.backup.get() else { return };
        sqlite::batch(&self.sqlite.borrow(), "ROLLBACK TO backup");
        if announced {
            self.object.borrow_mut().setting = Some(format!("restored-{}", random.next()));
        }
        self.record(What::Restored { to, announced });
        object::restart(self);
        self.revision.set(revision);
        let mut states = vec![State::Absent; keys::KEYS];
        for (key, _, state) in self.rows_after(0) {
            states[key] = state;
        }
        for (key, state) in states.iter().enumerate() {
            let before = std::mem::replace(&mut self.states.borrow_mut()[key], state.clone());
            if before != *state {
                self.record(What::State { key, revision: 0, state: state.clone() });
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
                    over: text(2) == "expired",
                    expires_at,
                    scopes: bits(&text(4), &SCOPES),
                    addresses,
                };
                let number = keys::number_of(&text(0)).expect("a key of ours");
                (number, row.get::<_, i64>(1).unwrap() as u64, State::Present(rights))
            },
        )
    }

    /// Records what the registry has changed since the last time.
    pub fn note_states(&self) {
        // In the order of their names: the epoch, the revision.
        const META: &str = "SELECT value FROM meta WHERE name IN ('epoch', 'revision') ORDER BY name";
        let rows = sqlite::rows(&self.sqlite.borrow(), META, 0, |row| row.get::<_, String>(0).unwrap());
        let [epoch, revision] = rows.as_slice() else { panic!("{rows:?}") };
        let before = self.epoch.replace(epoch.clone());
        if !before.is_empty() && before != *epoch {
            self.record(What::EpochBegan);
        }
        let revision = revision.parse().unwrap();
        let known = self.revision.replace(revision);
        if revision <= known {
            return;
        }
        for (key, revision, state) in self.rows_after(known) {
            self.states.borrow_mut()[key] = state.clone();
            self.record(What::State { key, revision, state });
        }
    }

    fn attack(&self, attack: &Attack, random: &mut Random) {
        let name = |key: usize| format!("key:{}", keys::all()[key].id);
        let mut kv = self.kv.borrow_mut();
        match attack {
            Attack::Replay { key } => {
                if let Some(text) = kv.past(&name(*key), random) {
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
            Attack::Tear { key } => {
                if let Some(text) = kv.text(&name(*key)).cloned() {
                    kv.tamper(&name(*key), Some(text.chars().take(random.below(text.len().max(1))).collect()));
                }
            }
            Attack::ReplayCache { location } => {
                self.locations.borrow_mut()[*location].replay(self.scheduler.now(), random);
            }
        }
        self.note_fault(&format!("{attack:?}"));
    }
}
