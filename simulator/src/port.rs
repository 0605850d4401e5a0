//! Simulated platform of `keyward_edge`, with the product's own timeouts.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use keyward_edge::platform::{CACHE_TIMEOUT_MS, KV_TIMEOUT_MS, REGISTRY_CHANGE_TIMEOUT_MS, REGISTRY_READ_TIMEOUT_MS};
use keyward_edge::{Level, Platform, RegistryFailure, ShardedObject};
use keyward_key::signing::{PublicKey, Signature, SigningKey};
use keyward_key::time::Millis;
use keyward_protocol::Response;
use keyward_protocol::feed::FeedPage;

use crate::history::{Event, QueryResult, QuerySubject};
use crate::object;
use crate::plan::Fault;
use crate::random::Random;
use crate::scheduler::Time;
use crate::world::World;

const KV_LIMIT_MS: Time = KV_TIMEOUT_MS as Time;
const CACHE_LIMIT_MS: Time = CACHE_TIMEOUT_MS as Time;
const READ_LIMIT_MS: Time = REGISTRY_READ_TIMEOUT_MS as Time;
const CHANGE_LIMIT_MS: Time = REGISTRY_CHANGE_TIMEOUT_MS as Time;

pub struct Port {
    world: Rc<World>,
    /// `None` for a caller of the control plane.
    isolate: Option<usize>,
    location: usize,
    random: RefCell<Random>,
    /// Start and end of the last failed queries of the authority, if nothing has succeeded since.
    failed: Cell<Option<(Time, Time)>>,
    /// When the authority was last asked: the time of the data that is cached next.
    asked: Cell<Time>,
}

impl Port {
    #[must_use]
    pub fn new(world: &Rc<World>, isolate: Option<usize>, location: usize, random: Random) -> Self {
        let (world, random) = (Rc::clone(world), RefCell::new(random));
        Self { world, isolate, location, random, failed: Cell::new(None), asked: Cell::new(0) }
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut self.random.borrow_mut())
    }

    async fn sleep(&self, milliseconds: Time) {
        self.world.scheduler.sleep(milliseconds).await;
    }

    /// Sends one message to the object and returns its answer, unless a fault loses either.
    async fn exchange(&self, message: &str, limit: Time) -> Result<String, String> {
        let (location, fault_rates) = (Some(self.location), self.world.fault_rates());
        if self.world.has_fault(Fault::Unreachable, location)
            || self.draw(|random| random.often(fault_rates.registry_fails))
        {
            self.sleep(self.draw(|random| random.within(1, 200))).await;
            return Err("simulated: unreachable".to_owned());
        }
        let slow =
            self.world.has_fault(Fault::Slow, location) || self.draw(|random| random.often(fault_rates.registry_slow));
        let draw_delay = || match self
            .draw(|random| (random.often(if slow { 500 } else { 20 }), random.within(1, 60), random.within(0, 1_800)))
        {
            (false, short, _) => short,
            (true, _, long) => long,
        };
        let (there, back) = (draw_delay(), draw_delay());
        let hangs = self.world.has_fault(Fault::Hangs, location);
        let lost = self.world.has_fault(Fault::AnswersLost, location)
            || self.draw(|random| random.often(fault_rates.answer_lost));
        if hangs && self.draw(|random| random.often(500)) {
            self.sleep(limit).await;
            return Err("simulated: never arrived".to_owned());
        }
        let answer = Rc::new(RefCell::new(None));
        let (world, to, text) = (Rc::clone(&self.world), Rc::clone(&answer), message.to_owned());
        let mut random = Random::new(self.draw(Random::next));
        self.world.scheduler.call_at(self.world.scheduler.now() + there, move || {
            let instance = world.object.borrow().instance;
            object::fetch(&world, text, &mut random, move |answered| *to.borrow_mut() = Some((answered, instance)));
        });
        if hangs || lost || there + back >= limit {
            self.sleep(limit).await;
            return Err("simulated: no answer in time".to_owned());
        }
        self.sleep(there + back).await;
        let answered = answer.borrow_mut().take();
        match answered {
            Some((answered, instance)) if instance == self.world.object.borrow().instance => answered,
            _ => Err("simulated: the object restarted".to_owned()),
        }
    }

    fn record_query(&self, message: &str, asked: Time, answered: &Result<String, String>) {
        let now = self.world.scheduler.now();
        let first = match self.failed.get() {
            Some((since, until)) if asked - until <= 200 => since,
            _ => asked,
        };
        self.failed.set(answered.is_err().then_some((first, now)));
        self.asked.set(asked);
        let Some(isolate) = self.isolate else { return };
        let subject = match message {
            _ if message.starts_with("{\"lookup\"") => QuerySubject::Key,
            _ if message.starts_with("{\"changes\"") => QuerySubject::FeedPage,
            _ => QuerySubject::ControlRequest,
        };
        let outcome = match answered.as_ref().map(|text| keyward_key::version::read::<Response>(text)) {
            Err(_) => QueryResult::Failed,
            Ok(Ok(Response::Changes { restored: true, .. })) => QueryResult::Restored,
            Ok(Ok(Response::Changes { changes: FeedPage::Since { more: false, .. }, .. })) => QueryResult::Complete,
            Ok(Ok(Response::Changes { .. })) => QueryResult::Partial,
            Ok(_) => QueryResult::Other,
        };
        let clock = self.now().0;
        self.world.record(Event::QueryFinished { isolate, subject, first, asked, clock, outcome });
    }
}

impl Platform for Port {
    fn now(&self) -> Millis {
        self.isolate.map_or_else(|| self.world.registry_clock(), |isolate| self.world.clock(isolate))
    }

    fn jitter(&self) -> u8 {
        self.draw(|random| random.next() as u8)
    }

    fn log(&self, _: Level, event: &str, fields: &[(&str, &str)]) {
        let Some(isolate) = self.isolate else { return };
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (event, clock) = (event.to_owned(), self.now().0);
        self.world.record(Event::Logged { isolate, event, clock, fields: fields.join(" ") });
    }

    async fn kv_get(&self, name: &str) -> Result<Option<String>, String> {
        let (location, fault_rates) = (Some(self.location), self.world.fault_rates());
        let fails = self.world.has_fault(Fault::KvReadsFail, location)
            || self.draw(|random| random.often(fault_rates.kv_read_fails));
        let slow = self.world.has_fault(Fault::KvReadsSlow, location)
            || self.draw(|random| random.often(fault_rates.kv_read_slow));
        let duration = self.draw(|random| if slow { random.within(100, 3_000) } else { random.within(1, 60) });
        if fails {
            self.sleep(duration.min(KV_LIMIT_MS)).await;
            return Err("simulated: KV fails".to_owned());
        }
        if duration >= KV_LIMIT_MS {
            self.sleep(KV_LIMIT_MS).await;
            return Err("simulated: KV is slow".to_owned());
        }
        let before = self.draw(|random| random.within(0, duration));
        self.sleep(before).await;
        let found = {
            let (mut locations, kv) = (self.world.locations.borrow_mut(), self.world.kv.borrow());
            let (now, stale_ms) = (self.world.scheduler.now(), self.world.kv_stale_ms);
            self.draw(|random| locations[self.location].read(&kv, name, now, stale_ms, random))
        };
        self.sleep(duration - before).await;
        Ok(found)
    }

    async fn cache_get(&self, name: &str) -> Option<String> {
        let fault_rates = self.world.fault_rates();
        let gone = self.world.has_fault(Fault::CacheUnavailable, Some(self.location));
        let duration = self.draw(|random| {
            if random.often(fault_rates.cache_fails) { random.within(20, 600) } else { random.within(0, 20) }
        });
        if duration >= CACHE_LIMIT_MS || gone {
            self.sleep(duration.min(CACHE_LIMIT_MS)).await;
            return None;
        }
        let before = self.draw(|random| random.within(0, duration));
        self.sleep(before).await;
        let found = self.world.locations.borrow()[self.location].get(name, self.world.scheduler.now());
        self.sleep(duration - before).await;
        let found = found?;
        if let Some(isolate) = self.isolate {
            self.world.record(Event::CacheRead {
                isolate,
                kind: found.kind,
                asked: found.asked,
                replayed: found.replayed,
            });
        }
        Some(found.text)
    }

    fn cache_put(&self, name: &str, text: &str, seconds: u32) {
        let (asked, location) = (self.asked.get(), self.location);
        let duration =
            self.draw(|random| if random.often(100) { random.within(20, 500) } else { random.within(0, 20) });
        let (world, name, text) = (Rc::clone(&self.world), name.to_owned(), text.to_owned());
        let mut random = Random::new(self.draw(Random::next));
        self.world.scheduler.call_at(self.world.scheduler.now() + duration, move || {
            let lost = world.has_fault(Fault::CacheUnavailable, Some(location));
            if !lost && !random.often(world.fault_rates().cache_fails) {
                let now = world.scheduler.now();
                world.locations.borrow_mut()[location].put(&name, &text, seconds, asked, now, &mut random);
            }
        });
    }

    async fn ask_registry(&self, message: &str, may_change: bool) -> Result<String, RegistryFailure> {
        let asked = self.world.scheduler.now();
        let answered = self.exchange(message, if may_change { CHANGE_LIMIT_MS } else { READ_LIMIT_MS }).await;
        self.record_query(message, asked, &answered);
        Ok(answered?)
    }

    async fn ask_shard(&self, object: ShardedObject, _: u32, _: &str) -> Result<String, String> {
        panic!("{object:?} is not asked here")
    }

    async fn hold_key(&self, key: &SigningKey) -> Result<PublicKey, String> {
        Ok(keyward_testkit::signing::public_of(key))
    }

    async fn sign(&self, key: &SigningKey, text: &[u8]) -> Result<Signature, String> {
        Ok(keyward_testkit::signing::sign(key, text))
    }

    async fn pause(&self, milliseconds: u32) {
        self.sleep(i64::from(milliseconds)).await;
    }
}
