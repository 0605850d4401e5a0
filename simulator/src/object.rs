//! The registry's object, step for step as `src/cloudflare/object.rs` is: that file speaks to the platform, this one to the world.

use std::rc::Rc;

use keyward_control::answer;
use keyward_key::epoch::Epoch;
use keyward_key::sealed::{Sealed, storage_name};
use keyward_key::time::Millis;
use keyward_protocol::{Request, Response};
use keyward_registry::store::StoreError;
use keyward_registry::{feed, meta, outbox, schema};

use crate::history::What;
use crate::plan::Fault;
use crate::random::Random;
use crate::scheduler::{Owner, Time};
use crate::sqlite::{Sqlite, StoreFault};
use crate::stores::WriteBehaviour;
use crate::world::World;

const BATCH: u32 = 50;
const KV_MILLIS: Time = 10_000;
const DRAIN_MILLIS: i64 = 60_000;
const FIRST_PAUSE_MILLIS: i64 = 1_000;
const LONGEST_PAUSE_MILLIS: i64 = 60_000;

/// One instance of the object; storage and alarm outlive it.
pub struct Object {
    pub instance: u64,
    migrated: bool,
    refilled: bool,
    draining_since: Option<Millis>,
    pause: i64,
    /// When the alarm is due, with a number that tells it from earlier ones.
    alarm: Option<(Time, u64)>,
    alarms: u64,
    /// An alarm is being dealt with: should the object end meanwhile, the platform rings again.
    ringing: bool,
    pub offset: Time,
    /// `AUTHORITY_EPOCH`.
    pub setting: Option<String>,
    random: Random,
    writes: u64,
}

impl Object {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            instance: 0,
            migrated: false,
            refilled: false,
            draining_since: None,
            pause: FIRST_PAUSE_MILLIS,
            alarm: None,
            alarms: 0,
            ringing: false,
            offset: Random::new(seed ^ 77).pick(&[0, 0, -5_000, 5_000, 1_234]),
            setting: None,
            random: Random::new(seed ^ 0x0b1ec7),
            writes: 0,
        }
    }
}

fn random_text(object: &mut Object) -> String {
    keyward_key::entropy::base62(&mut object.random, 16).unwrap()
}

/// The runtime moves or restarts it: memory and what is under way are gone.
pub fn restart(world: &Rc<World>) {
    let instance = world.object.borrow().instance;
    world.scheduler.end(Owner::Object(instance));
    let ring = {
        let mut object = world.object.borrow_mut();
        object.instance += 1;
        object.migrated = false;
        object.refilled = false;
        object.draining_since = None;
        object.pause = FIRST_PAUSE_MILLIS;
        std::mem::take(&mut object.ringing)
    };
    world.record(What::ObjectRestarted);
    if ring {
        set_alarm(world, 2_000);
    }
}

fn with_store<T>(world: &World, run: impl FnOnce(&mut Sqlite) -> Result<T, StoreError>) -> Result<T, StoreError> {
    let result = {
        let mut sqlite = world.sqlite.borrow_mut();
        let started = start(world, &mut sqlite, &mut world.object.borrow_mut());
        started.and_then(|()| run(&mut sqlite))
    };
    world.note_states();
    result
}

fn start(world: &World, sqlite: &mut Sqlite, object: &mut Object) -> Result<(), StoreError> {
    if object.migrated {
        return Ok(());
    }
    let (random, now) = (random_text(object), world.registry_clock_of(object));
    schema::migrate(sqlite, &Epoch::new(now, &random))?;
    let resealed = outbox::refill(sqlite, world.config.keyring.current().generation(), now)?;
    let began = feed::follow_setting(sqlite, object.setting.as_deref(), &random, now)?;
    let waiting = outbox::pending(sqlite, 1).map_or(true, |pending| !pending.is_empty());
    object.refilled = resealed || began || waiting;
    object.migrated = true;
    Ok(())
}

/// `fetch`: one message in, one out. A `StoreFails` trouble or noise makes the store fail somewhere within it.
pub fn fetch(world: &Rc<World>, message: &str, random: &mut Random) -> Result<String, String> {
    let call: Request = keyward_key::json::read(message).map_err(|error| format!("unread: {error}"))?;
    let changes = matches!(call, Request::Control(_));
    if world.has_fault(Fault::StoreFails, None) && random.often(500) || random.often(world.fault_rates().store_fails) {
        let fault = match random.below(4) {
            0 => StoreFault::BeforeCommit,
            1 => StoreFault::AfterCommit,
            2 => StoreFault::Before(random.within(1, 12) as u32),
            _ => StoreFault::After(random.within(1, 12) as u32),
        };
        world.note_fault("the registry's store fails");
        world.sqlite.borrow_mut().fail(Some(fault));
    }
    let answered = with_store(world, |sqlite| {
        let (text, now) = (random.clone(), world.registry_clock());
        let name = keyward_key::entropy::base62(&mut { text }, 16).unwrap();
        answer(sqlite, call, &world.policy, &name, now)
    });
    world.sqlite.borrow_mut().fail(None);
    let answered = match answered {
        Ok(answered) => answered,
        Err(error) => {
            if has_pending(world) {
                let pause = world.object.borrow().pause;
                set_alarm(world, pause);
            }
            return Err(error.to_string());
        }
    };
    if let Response::Changes { restored: true, .. } = answered {
        world.object.borrow_mut().refilled = true;
    }
    let refilled = !changes && std::mem::take(&mut world.object.borrow_mut().refilled);
    if (changes || refilled) && has_pending(world) {
        let pause = world.object.borrow().pause;
        set_alarm(world, pause);
        let (drained, instance) = (Rc::clone(world), world.object.borrow().instance);
        world.scheduler.start(Owner::Object(instance), async move { drain(&drained).await });
    }
    serde_json::to_string(&answered).map_err(|error| error.to_string())
}

fn has_pending(world: &World) -> bool {
    with_store(world, |sqlite| outbox::pending(sqlite, 1)).map_or(true, |pending| !pending.is_empty())
}

fn set_alarm(world: &Rc<World>, after: i64) {
    let (at, number) = {
        let mut object = world.object.borrow_mut();
        object.alarms += 1;
        let at = world.scheduler.now() + after;
        object.alarm = Some((at, object.alarms));
        (at, object.alarms)
    };
    let ringing = Rc::clone(world);
    world.scheduler.call_at(at, move || ring(&ringing, number));
}

fn ring(world: &Rc<World>, number: u64) {
    let instance = {
        let mut object = world.object.borrow_mut();
        if object.alarm.map(|(_, set)| set) != Some(number) {
            return;
        }
        object.alarm = None;
        object.ringing = true;
        object.instance
    };
    let rung = Rc::clone(world);
    world.scheduler.start(Owner::Object(instance), async move {
        drain(&rung).await;
        rung.object.borrow_mut().ringing = false;
    });
}

async fn drain(world: &Rc<World>) {
    let now = world.registry_clock();
    let under_way =
        world.object.borrow().draining_since.is_some_and(|since| (0..DRAIN_MILLIS).contains(&now.since(since)));
    if under_way {
        let pause = world.object.borrow().pause;
        set_alarm(world, pause);
        return;
    }
    world.object.borrow_mut().draining_since = Some(now);
    let emptied = write_copies(world).await;
    world.object.borrow_mut().draining_since = None;
    if emptied.is_ok() {
        world.object.borrow_mut().pause = FIRST_PAUSE_MILLIS;
        if !has_pending(world) {
            world.object.borrow_mut().alarm = None;
        }
    } else {
        let pause = world.object.borrow().pause.saturating_mul(2).min(LONGEST_PAUSE_MILLIS);
        world.object.borrow_mut().pause = pause;
        set_alarm(world, pause);
    }
}

async fn write_copies(world: &Rc<World>) -> Result<(), String> {
    let text = |error: StoreError| error.to_string();
    loop {
        let pending = with_store(world, |sqlite| outbox::pending(sqlite, BATCH)).map_err(text)?;
        if pending.is_empty() {
            return Ok(());
        }
        let mut failure = None;
        let epoch = with_store(world, |sqlite| meta::epoch(sqlite)).map_err(text)?;
        for (record, revision) in pending {
            let id = record.id.clone();
            let written = write_copy(world, &Sealed { epoch: epoch.clone(), record }).await;
            with_store(world, |sqlite| match &written {
                Ok(()) => outbox::done(sqlite, &id, revision, &epoch),
                Err(_) => outbox::failed(sqlite, &id, revision),
            })
            .map_err(text)?;
            failure = failure.or(written.err());
        }
        if let Some(cause) = failure {
            return Err(cause);
        }
    }
}

async fn write_copy(world: &Rc<World>, copy: &Sealed) -> Result<(), String> {
    let text = copy.seal(world.config.keyring.current()).ok_or("a record could not be sealed")?;
    let name = storage_name(&copy.record.id);
    let (mut random, number) = {
        let mut object = world.object.borrow_mut();
        object.writes += 1;
        (Random::new(object.random.next()), object.writes)
    };
    let fault_rates = world.fault_rates();
    let fails = world.has_fault(Fault::KvWritesFail, None) || random.often(fault_rates.kv_write_fails);
    let late = world.has_fault(Fault::KvWritesLate, None);
    let body_kind = if late { random.within(500, 20_000) } else { random.within(20, 300) };
    let odd = !fails && random.often(fault_rates.kv_write_odd);
    let behaviour = if odd {
        random.pick(&[
            WriteBehaviour::Lost,
            WriteBehaviour::Torn,
            WriteBehaviour::Twice(random.clone().within(500, 30_000)),
            WriteBehaviour::Late(random.clone().within(500, 30_000)),
        ])
    } else {
        WriteBehaviour::Plain
    };
    if fails && random.often(500) {
        world.note_fault("a write to KV fails, and is not done");
        world.scheduler.sleep(body_kind.min(KV_MILLIS)).await;
        return Err("simulated: KV refused".to_owned());
    }
    if behaviour != WriteBehaviour::Plain {
        world.note_fault(&format!("a write to KV is done so: {behaviour:?}"));
    }
    // The write goes its way even if its writer ends meanwhile.
    let confirmed = !fails && body_kind <= KV_MILLIS;
    let write = |after: Time, text: String, in_order: bool| {
        let (written, name) = (Rc::clone(world), name.clone());
        world.scheduler.call_at(world.scheduler.now() + after, move || {
            written.kv.borrow_mut().write(&name, &text, number, in_order);
        });
    };
    match behaviour {
        WriteBehaviour::Plain => write(body_kind, text, confirmed),
        WriteBehaviour::Lost => world.kv.borrow_mut().spoil(&name),
        WriteBehaviour::Torn => write(body_kind, text.chars().take(text.len() / 2).collect(), false),
        WriteBehaviour::Twice(later) => {
            write(body_kind, text.clone(), confirmed);
            write(body_kind + later, text, false);
        }
        WriteBehaviour::Late(later) => write(body_kind + later, text, false),
    }
    world.scheduler.sleep(body_kind.min(KV_MILLIS)).await;
    if !confirmed {
        world.note_fault("a write to KV is done, and its writer doesn't hear of it");
        return Err("simulated: no answer from KV".to_owned());
    }
    Ok(())
}
