//! Simulated platform of the registry's object: [`SimulatedHost`] implements the port, [`RegistryObject`] is the shipped code.

use std::future::Future;
use std::rc::Rc;

use keyward_control::authority::apply;
use keyward_key::time::Millis;
use keyward_protocol::PendingReport;
use keyward_registry::events::EffectTimes;
use keyward_registry::idle::IdleRules;
use keyward_registry::object::{Judged, KV_WRITE_TIMEOUT_MS, Level, ObjectHost, ObjectSettings, RegistryObject};
use keyward_registry::store::{Store, StoreError};
use keyward_testkit::sqlite_store::Fault as StoreFault;

use crate::history::Event;
use crate::plan::Fault;
use crate::random::Random;
use crate::scheduler::{Owner, Time};
use crate::stores::WriteBehaviour;
use crate::world::World;

/// State that survives a restart of the object: its alarm, and the simulator's bookkeeping.
pub struct ObjectState {
    pub instance: u64,
    /// Running instance. `None` between a restart and the first call after it.
    running: Option<Rc<RegistryObject<SimulatedHost>>>,
    /// When the alarm is due, with a number that tells it from earlier alarms.
    alarm: Option<(Time, u64)>,
    alarms: u64,
    /// The alarm handler is running. If the object restarts meanwhile, the platform calls the handler again.
    in_alarm: bool,
    pub offset: Time,
    /// `AUTHORITY_EPOCH`.
    pub setting: Option<String>,
    random: Random,
    writes: u64,
}

impl ObjectState {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            instance: 0,
            running: None,
            alarm: None,
            alarms: 0,
            in_alarm: false,
            offset: Random::new(seed ^ 77).pick(&[0, 0, -5_000, 5_000, 1_234]),
            setting: None,
            random: Random::new(seed ^ 0x0b1ec7),
            writes: 0,
        }
    }
}

/// Drops the running instance, which holds a reference to the world.
pub fn stop(world: &World) {
    let running = world.object.borrow_mut().running.take();
    drop(running);
}

/// Restarts the object: it loses its memory and its background work.
pub fn restart(world: &Rc<World>) {
    let instance = world.object.borrow().instance;
    world.scheduler.cancel_all(Owner::Object(instance));
    stop(world);
    let interrupted = {
        let mut object = world.object.borrow_mut();
        object.instance += 1;
        std::mem::take(&mut object.in_alarm)
    };
    world.record(Event::ObjectRestarted);
    if interrupted {
        set_alarm(world, 2_000);
    }
}

fn running(world: &Rc<World>) -> Rc<RegistryObject<SimulatedHost>> {
    let mut object = world.object.borrow_mut();
    let (instance, setting) = (object.instance, object.setting.clone());
    let start = || {
        let host = SimulatedHost { world: Rc::clone(world), instance };
        let settings = ObjectSettings {
            apply,
            keyring: crate::keys::keyring(),
            authority_epoch: setting,
            feed: world.feed_sizes,
            policy: world.policy.clone(),
            idle: IdleRules::default(),
            default_limits: Vec::new(),
            effect: EffectTimes { bound_seconds: 5, grace_seconds: 60 },
        };
        Rc::new(RegistryObject::new(host, Some(settings)))
    };
    Rc::clone(object.running.get_or_insert_with(start))
}

/// Sends one message to the object and passes its answer to `answered`. The store may fail while the object handles the message.
pub fn fetch(
    world: &Rc<World>,
    message: String,
    random: &mut Random,
    answered: impl FnOnce(Result<String, String>) + 'static,
) {
    let fault = (world.has_fault(Fault::StoreFails, None) && random.often(500)
        || random.often(world.fault_rates().store_fails))
    .then(|| match random.below(5) {
        0 => StoreFault::BeforeCommit,
        1 => StoreFault::AfterCommit,
        2 => StoreFault::Read(random.within(1, 8) as usize),
        3 => StoreFault::BeforeWrite(random.within(1, 6) as usize),
        _ => StoreFault::AfterWrite(random.within(1, 6) as usize),
    });
    if fault.is_some() {
        world.record_fault("the registry's store fails");
    }
    let (object, world_of_call) = (running(world), Rc::clone(world));
    let instance = world.object.borrow().instance;
    world.scheduler.start(Owner::Object(instance), async move {
        // Nothing that `fetch` awaits takes virtual time, so the fault affects this call only.
        world_of_call.sqlite.borrow_mut().fail_at(fault);
        let answer = object.fetch(&message).await;
        world_of_call.sqlite.borrow_mut().fail_at(None);
        world_of_call.record_states();
        answered(answer.map_err(|error| format!("{error:?}")));
    });
}

fn set_alarm(world: &Rc<World>, after: i64) {
    let (at, number) = {
        let mut object = world.object.borrow_mut();
        object.alarms += 1;
        let at = world.scheduler.now() + after;
        object.alarm = Some((at, object.alarms));
        (at, object.alarms)
    };
    let world_of_call = Rc::clone(world);
    world.scheduler.call_at(at, move || run_alarm(&world_of_call, number));
}

fn run_alarm(world: &Rc<World>, number: u64) {
    let instance = {
        let mut object = world.object.borrow_mut();
        if object.alarm.map(|(_, set)| set) != Some(number) {
            return;
        }
        object.alarm = None;
        object.in_alarm = true;
        object.instance
    };
    let (object, world_of_alarm) = (running(world), Rc::clone(world));
    world.scheduler.start(Owner::Object(instance), async move {
        object.alarm().await;
        world_of_alarm.object.borrow_mut().in_alarm = false;
    });
}

/// Platform of one instance of the object.
pub struct SimulatedHost {
    world: Rc<World>,
    instance: u64,
}

impl ObjectHost for SimulatedHost {
    fn now(&self) -> Millis {
        self.world.registry_clock()
    }

    fn random_name(&self) -> Option<String> {
        keyward_key::entropy::base62(&mut self.world.object.borrow_mut().random, 16).ok()
    }

    fn with_store<T>(&self, work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let result = {
            let mut sqlite = self.world.sqlite.borrow_mut();
            work(&mut *sqlite)
        };
        self.world.record_states();
        result
    }

    async fn kv_put(&self, name: &str, text: &str, _: i64) -> Result<(), String> {
        let world = &self.world;
        let limit = i64::from(KV_WRITE_TIMEOUT_MS);
        let (mut random, number) = {
            let mut object = world.object.borrow_mut();
            object.writes += 1;
            (Random::new(object.random.next()), object.writes)
        };
        let fault_rates = world.fault_rates();
        let fails = world.has_fault(Fault::KvWritesFail, None) || random.often(fault_rates.kv_write_fails);
        let late = world.has_fault(Fault::KvWritesLate, None) || random.often(fault_rates.kv_write_slow);
        let duration = if late { random.within(500, 20_000) } else { random.within(20, 300) };
        let misbehaves = !fails && random.often(fault_rates.kv_write_misbehaves);
        let behaviour = if misbehaves {
            random.pick(&[
                WriteBehaviour::Lost,
                WriteBehaviour::Truncated,
                WriteBehaviour::Twice(random.clone().within(500, 30_000)),
                WriteBehaviour::Late(random.clone().within(500, 30_000)),
            ])
        } else {
            WriteBehaviour::Plain
        };
        if fails && random.often(500) {
            world.record_fault("a write to KV fails and has no effect");
            world.scheduler.sleep(duration.min(limit)).await;
            return Err("simulated: KV write failed".to_owned());
        }
        if behaviour != WriteBehaviour::Plain {
            world.record_fault(&format!("a write to KV misbehaves: {behaviour:?}"));
        }
        // The write continues even if its writer is cancelled meanwhile.
        let confirmed = !fails && duration <= limit;
        let write = |after: Time, text: String, in_order: bool| {
            let (written, name) = (Rc::clone(world), name.to_owned());
            world.scheduler.call_at(world.scheduler.now() + after, move || {
                written.kv.borrow_mut().write(&name, &text, number, in_order);
            });
        };
        match behaviour {
            WriteBehaviour::Plain => write(duration, text.to_owned(), confirmed),
            WriteBehaviour::Lost => world.kv.borrow_mut().lose(name, number),
            WriteBehaviour::Truncated => write(duration, text.chars().take(text.len() / 2).collect(), false),
            WriteBehaviour::Twice(later) => {
                write(duration, text.to_owned(), confirmed);
                write(duration + later, text.to_owned(), false);
            }
            WriteBehaviour::Late(later) => write(duration + later, text.to_owned(), false),
        }
        world.scheduler.sleep(duration.min(limit)).await;
        if !confirmed {
            world.record_fault("a write to KV succeeds and its confirmation is lost");
            return Err("simulated: no answer from KV".to_owned());
        }
        Ok(())
    }

    /// This world has no events object. Its faults are simulated in `crates/events/tests/it/world.rs`.
    async fn ask_events(&self, _: &str) -> Result<String, String> {
        Ok(r#""noted""#.to_owned())
    }

    /// This world has no GitHub, and nothing sends its reports.
    async fn judge(&self, _: &PendingReport) -> Judged {
        Judged::Later("this world has no list of GitHub's keys".to_owned())
    }

    async fn set_alarm(&self, after_ms: i64) -> Result<(), String> {
        set_alarm(&self.world, after_ms);
        Ok(())
    }

    async fn delete_alarm(&self) -> Result<(), String> {
        self.world.object.borrow_mut().alarm = None;
        Ok(())
    }

    fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        self.world.scheduler.start(Owner::Object(self.instance), work);
    }

    fn log(&self, _: Level, _: &str, _: &[(&str, &str)]) {}
}
