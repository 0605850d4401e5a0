//! Execution of a plan.

mod disturb;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use keyward_edge::ShardedObject;
use keyward_edge::leases::MAX_LEASE_ROUNDS;
use keyward_gate::leases::{KeyLimits, LeaseBook, Spend, Spending};
use keyward_key::id::KeyId;
use keyward_key::limit::{Limit, Period, Span};
use keyward_key::time::Millis;
use keyward_protocol::feed::CompactKeyId;
use keyward_protocol::lease::{LEASE_MS, LeaseAnswer, shard_of};
use keyward_testkit::sqlite_store::Fault;

use super::checker::{Outcome, Passed, Rule, RuleSpan};
use super::object::{self, Instance, SharedStore, SimulatedHost};
use super::plan::{Disturbance, MAX_OFFSET_MS, Plan, Slot};
use crate::random::Random;
use crate::scheduler::Time;

/// Time within which every isolate knows a change, in milliseconds.
const BOUND_MS: Time = 5_000;

enum Event {
    Arrive { slot: usize, life: u64 },
    Deliver { slot: usize, life: u64, query: u64, message: Rc<str>, asked_at: Millis },
    Answer { slot: usize, life: u64, query: u64, text: Rc<str>, asked_at: Millis },
    Timeout { slot: usize, life: u64, query: u64 },
    Learn { slot: usize, key: usize, limits: Arc<KeyLimits> },
    Disturb(Disturbance),
    EndZombie,
}

struct Isolate {
    plan: Slot,
    life: u64,
    offset: Time,
    latest: Millis,
    book: LeaseBook,
    /// Limits of each key, as the isolate knows them.
    limits: Vec<Arc<KeyLimits>>,
    in_flight: Option<u64>,
    waiting: Vec<Request>,
    cut_off_until: Time,
    first_answer_at: Option<Time>,
    random: Random,
}

/// A request of a key.
struct Request {
    key: usize,
    cost: u64,
    /// Number of queries that it has waited for.
    rounds: u8,
}

struct World<'p> {
    plan: &'p Plan,
    /// Number of the object.
    shard: u32,
    time: Rc<Cell<i64>>,
    /// Events by their time. Those of one time happen in the order in which they were scheduled.
    queue: BTreeMap<(Time, u64), Event>,
    next: u64,
    isolates: Vec<Isolate>,
    store: SharedStore,
    object: Instance,
    zombie: Option<Instance>,
    random: Random,
    passed: Vec<Passed>,
    change: Option<(Time, u64)>,
    counts: BTreeMap<&'static str, u64>,
}

/// Executes a plan and returns what the checker sees.
#[must_use]
pub fn execute(plan: &Plan) -> Outcome {
    let mut random = Random::new(plan.seed);
    let time = Rc::new(Cell::new(plan.starts_at.0));
    let store = object::fresh_store();
    let groups = groups(plan.keys.len());
    let limits: Vec<_> = groups.iter().zip(&plan.keys).map(|(group, key)| key_limits(*group, 1, &key.limits)).collect();
    let object = instance(&store, &time, plan.object_offset, 1);
    let isolates =
        plan.slots.iter().map(|slot| isolate(*slot, slot.offset, 0, (&limits, plan.room), &mut random)).collect();
    let mut world = World {
        plan,
        shard: limits[0].shard,
        time,
        queue: BTreeMap::new(),
        next: 2,
        isolates,
        store,
        object,
        zombie: None,
        random,
        passed: Vec::new(),
        change: None,
        counts: BTreeMap::from([("histories", 1)]),
    };
    for (slot, planned) in plan.slots.iter().enumerate() {
        world.schedule(planned.starts_at, Event::Arrive { slot, life: 0 });
    }
    for (at, disturbance) in &plan.disturbances {
        world.schedule(*at, Event::Disturb(*disturbance));
    }
    while let Some(((at, _), event)) = world.queue.pop_first() {
        if at > plan.starts_at.0 + plan.ends_at {
            break;
        }
        world.time.set(at);
        world.handle(event);
    }
    world.finish()
}

/// Returns the groups of this many keys of one object.
fn groups(keys: usize) -> Vec<CompactKeyId> {
    let group = |number: u32| {
        let id = KeyId::parse(&format!("wafl_live_{number:012}")).expect("a key id");
        CompactKeyId::of(&id).expect("a data key")
    };
    let shard = shard_of(&group(1));
    (1..).map(group).filter(|group| shard_of(group) == shard).take(keys).collect()
}

fn key_limits(group: CompactKeyId, revision: u64, limits: &[Limit]) -> Arc<KeyLimits> {
    Arc::new(KeyLimits::of(group, revision, limits).expect("at least one limit"))
}

fn instance(store: &SharedStore, time: &Rc<Cell<i64>>, offset: Time, number: u64) -> Instance {
    Instance::new(SimulatedHost {
        store: Rc::clone(store),
        time: Rc::clone(time),
        offset: Cell::new(offset),
        number,
        is_fenced: Cell::new(false),
    })
}

fn isolate(
    plan: Slot,
    offset: Time,
    life: u64,
    (limits, room): (&[Arc<KeyLimits>], usize),
    random: &mut Random,
) -> Isolate {
    Isolate {
        plan,
        life,
        offset,
        latest: Millis(i64::MIN),
        book: LeaseBook::new(room),
        limits: limits.to_vec(),
        in_flight: None,
        waiting: Vec::new(),
        cut_off_until: 0,
        first_answer_at: None,
        random: Random::new(random.next()),
    }
}

impl World<'_> {
    fn schedule(&mut self, after_ms: Time, event: Event) {
        self.next += 1;
        self.queue.insert((self.time.get() + after_ms.max(0), self.next), event);
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Reads an isolate's clock, which stands still since its last I/O. A step back that a reading shows ends the leases, as in the gate.
    fn read_clock(&mut self, slot: usize) -> Millis {
        let stands_for_ms = self.random.within(0, 20);
        let isolate = &mut self.isolates[slot];
        let now = Millis(self.time.get() + isolate.offset - stands_for_ms);
        if now.0 < isolate.latest.0.saturating_sub(100) {
            isolate.book.clock_stepped_back();
            isolate.latest = now;
        }
        isolate.latest = isolate.latest.max(now);
        now
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Arrive { slot, life } => self.arrive(slot, life),
            Event::Deliver { slot, life, query, message, asked_at } => {
                self.deliver(slot, life, query, &message, asked_at)
            }
            Event::Answer { slot, life, query, text, asked_at } if self.is_awaited(slot, life, query) => {
                let answer: LeaseAnswer =
                    keyward_key::version::read(&text).expect("the object's answer is well formed");
                let now = self.read_clock(slot);
                let isolate = &mut self.isolates[slot];
                isolate.in_flight = None;
                isolate.first_answer_at.get_or_insert(self.time.get());
                isolate.book.apply(self.shard, &answer, asked_at, now);
                self.retry_waiting(slot);
            }
            Event::Timeout { slot, life, query } if self.is_awaited(slot, life, query) => self.fail(slot),
            Event::Answer { .. } | Event::Timeout { .. } => {}
            Event::Learn { slot, key, limits } => self.isolates[slot].limits[key] = limits,
            Event::Disturb(disturbance) => self.disturb(disturbance),
            Event::EndZombie => self.zombie = None,
        }
    }

    fn is_awaited(&self, slot: usize, life: u64, query: u64) -> bool {
        self.isolates[slot].life == life && self.isolates[slot].in_flight == Some(query)
    }

    fn fail(&mut self, slot: usize) {
        self.count("queries failed");
        let now = self.read_clock(slot);
        let isolate = &mut self.isolates[slot];
        isolate.in_flight = None;
        isolate.book.record_failure(self.shard, now);
        self.retry_waiting(slot);
    }

    fn arrive(&mut self, slot: usize, life: u64) {
        let isolate = &mut self.isolates[slot];
        if isolate.life != life {
            return;
        }
        let plan = isolate.plan;
        let burst = isolate.random.within(1, plan.burst);
        // Zero is drawn, too: a free route.
        let costs: Vec<u64> = (0..burst)
            .map(|_| match self.plan.max_cost {
                1 => 1,
                most => isolate.random.within(0, most) as u64,
            })
            .collect();
        let mut pause = isolate.random.within(1, 2 * plan.interval_ms) * burst;
        if isolate.random.often(plan.pauses) {
            pause += isolate.random.within(500, 3_800);
        }
        for cost in costs {
            let key = self.draw_key(slot);
            self.request(slot, Request { key, cost, rounds: 0 });
        }
        self.schedule(pause, Event::Arrive { slot, life });
    }

    /// Draws the key of a request.
    fn draw_key(&mut self, slot: usize) -> usize {
        let random = &mut self.isolates[slot].random;
        (1..self.plan.keys.len()).find(|key| random.often(self.plan.keys[*key].requests)).unwrap_or(0)
    }

    /// Decides about a request, and lets it wait if it needs units.
    fn request(&mut self, slot: usize, Request { key, cost, rounds }: Request) {
        let now = self.read_clock(slot);
        let spending = Spending { cost, now, grace_ms: self.plan.grace_ms };
        let isolate = &mut self.isolates[slot];
        let limits = Arc::clone(&isolate.limits[key]);
        let spent = isolate.book.spend(&limits, spending);
        let is_due = isolate.book.take_renewal_due();
        match spent {
            Spend::Granted(receipt) => {
                self.passed.push(Passed { at: self.time.get(), key, cost, slot });
                self.count(if receipt.outage_age_ms.is_some() { "let through in an outage" } else { "let through" });
            }
            Spend::Refused(_) => self.count("refused"),
            Spend::Unreachable => self.count("unreachable"),
            Spend::Renew if rounds >= MAX_LEASE_ROUNDS => self.count("gave up waiting"),
            Spend::Renew => self.isolates[slot].waiting.push(Request { key, cost, rounds }),
        }
        if (is_due || !self.isolates[slot].waiting.is_empty()) && self.isolates[slot].in_flight.is_none() {
            self.ask(slot);
        }
    }

    fn retry_waiting(&mut self, slot: usize) {
        for request in std::mem::take(&mut self.isolates[slot].waiting) {
            self.request(slot, Request { rounds: request.rounds + 1, ..request });
        }
    }

    fn ask(&mut self, slot: usize) {
        let now = self.read_clock(slot);
        self.next += 1;
        let query = self.next;
        let isolate = &mut self.isolates[slot];
        let number = isolate.life * 100 + slot as u64;
        let Some(asked) = isolate.book.query(self.shard, number, now, self.plan.grace_ms) else { return };
        isolate.in_flight = Some(query);
        let life = isolate.life;
        let is_cut_off = self.time.get() < isolate.cut_off_until;
        let message: Rc<str> = serde_json::to_string(&asked).expect("a query has a JSON form").into();
        self.count("queries");
        self.schedule(Time::from(ShardedObject::Limits.timeout_ms()), Event::Timeout { slot, life, query });
        let deliveries = if self.random.often(self.plan.faults.twice) { 2 } else { 1 };
        for _ in 0..deliveries {
            if !is_cut_off && !self.random.often(self.plan.faults.lost) {
                let latency = self.latency();
                let message = Rc::clone(&message);
                self.schedule(latency, Event::Deliver { slot, life, query, message, asked_at: now });
            }
        }
    }

    fn latency(&mut self) -> Time {
        if self.random.often(self.plan.faults.late) {
            self.count("late messages");
            return self.random.within(500, 6_000);
        }
        if self.plan.faults.slow > 0 && self.random.often(self.plan.faults.slow) {
            self.count("slow messages");
            return self.random.within(600, 1_300);
        }
        let (least, most) = self.plan.latency_ms;
        self.random.within(least, most)
    }

    fn deliver(&mut self, slot: usize, life: u64, query: u64, message: &str, asked_at: Millis) {
        let takes_zombie = self.zombie.is_some() && self.random.often(400);
        if self.random.often(self.plan.faults.store_fails) {
            let fault = match self.random.below(4) {
                0 => Fault::Read(1),
                1 => Fault::BeforeWrite(1),
                2 => Fault::BeforeCommit,
                _ => Fault::AfterCommit,
            };
            self.store.borrow_mut().fail_at(Some(fault));
            self.count("store failures");
        }
        let object = if takes_zombie { self.zombie.as_ref().unwrap_or(&self.object) } else { &self.object };
        let answered = object.fetch(message);
        self.store.borrow_mut().fail_at(None);
        if self.random.often(self.plan.faults.crash_after) {
            let offset = self.random.within(-MAX_OFFSET_MS, MAX_OFFSET_MS);
            self.crash(offset, false);
            if self.random.often(500) {
                return;
            }
        }
        if self.random.often(self.plan.faults.lost) {
            self.count("lost answers");
            return;
        }
        let latency = self.latency();
        match answered {
            Ok(text) => self.schedule(latency, Event::Answer { slot, life, query, text: text.into(), asked_at }),
            Err(_) => self.schedule(latency, Event::Timeout { slot, life, query }),
        }
    }

    /// Returns what the checker sees, with the rules of this history.
    fn finish(mut self) -> Outcome {
        let (start, end) = (self.plan.starts_at.0, Time::MAX);
        let mut rules = Vec::new();
        let limits = self.plan.keys.iter().enumerate().flat_map(|(key, planned)| {
            planned.limits.iter().enumerate().map(move |(position, limit)| (key, position, limit))
        });
        for (key, position, limit) in limits {
            let span = match limit.span() {
                Span::Seconds(seconds) => RuleSpan::WindowMs(1_000 * i64::from(seconds)),
                Span::Period(Period::Day) => RuleSpan::Day,
                Span::Period(Period::Month) => RuleSpan::Month,
            };
            let requests = limit.requests();
            match self.change.filter(|_| (key, position) == (0, 0)) {
                None => rules.push(Rule { key, requests, span, from: start, to: end }),
                Some((at, changed)) => {
                    rules.push(Rule { key, requests, span, from: start, to: at });
                    rules.push(Rule { key, requests: requests.max(changed), span, from: start, to: end });
                    // An isolate that gets no answer spends its reserve for the grace.
                    let holds_at = at + BOUND_MS + LEASE_MS + self.plan.grace_ms;
                    rules.push(Rule { key, requests: changed, span, from: holds_at, to: end });
                }
            }
        }
        let outcome = Outcome {
            kind: self.plan.kind,
            rules,
            passed: std::mem::take(&mut self.passed),
            slots: self.plan.slots.len(),
            duration_ms: self.plan.ends_at,
            counts: std::mem::take(&mut self.counts),
        };
        let Self { store, object, zombie, .. } = self;
        drop((object, zombie));
        object::give_back(store);
        outcome
    }
}
