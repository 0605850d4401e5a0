//! One data centre on virtual time: its isolates, its cache, KV and the authority.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use keyward_edge::{
    Isolate, Level, LookupSizes, Platform, RegistryFailure, RequestContext, ShardedObject, decide, refresh, step,
};
use keyward_gate::{GateSizes, Step};
use keyward_http::head::Head;
use keyward_key::signing::{PublicKey, Signature, SigningKey};
use keyward_key::time::Millis;
use keyward_testkit::gate_world::{ClientRequest, Key, NOW, World};

/// Step of the clock, in milliseconds.
const TICK_MS: i64 = 5;
/// Duration of a read or write of the data centre's cache, in milliseconds.
const CACHE_MS: i64 = 5;
/// Interval between two requests of an isolate in steady traffic, in milliseconds.
const REQUEST_INTERVAL_MS: i64 = 20;

/// The stores, the authority and the clock, which all isolates share.
pub struct DataCentre {
    pub world: World,
    now_ms: Cell<i64>,
    /// Duration of a call of the authority, in milliseconds.
    call_ms: i64,
    pub unreachable: Cell<bool>,
    /// Whether KV has a copy of every record.
    pub has_copies: Cell<bool>,
    /// Calls of the authority.
    pub calls: Cell<u32>,
    /// Reads of the data centre's cache.
    pub cache_reads: Cell<u32>,
    /// Requests that had to wait.
    pub waited: Cell<u32>,
    /// Whether the marker that an isolate is querying the authority is forged.
    pub marker_forged: Cell<bool>,
    /// Each text with the times between which the cache has it.
    cache: RefCell<HashMap<String, (String, i64, i64)>>,
    /// Names of the logged events.
    pub logged: RefCell<Vec<String>>,
}

impl DataCentre {
    pub fn new(world: World, call_ms: i64) -> Self {
        Self {
            world,
            now_ms: Cell::new(0),
            call_ms,
            unreachable: Cell::new(false),
            has_copies: Cell::new(true),
            calls: Cell::new(0),
            cache_reads: Cell::new(0),
            waited: Cell::new(0),
            marker_forged: Cell::new(false),
            cache: RefCell::default(),
            logged: RefCell::default(),
        }
    }

    fn context<'a>(&'a self, isolate: &'a Isolate, head: &'a Head<'a>) -> RequestContext<'a, Self> {
        RequestContext { isolate, config: &self.world.config, platform: self, head, request_id: "req-1" }
    }

    /// Names in the data centre's cache.
    pub fn cached_names(&self) -> Vec<String> {
        self.cache.borrow().keys().cloned().collect()
    }

    async fn sleep(&self, milliseconds: i64) {
        let until = self.now_ms.get() + milliseconds;
        std::future::poll_fn(|_| if self.now_ms.get() >= until { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

impl Platform for DataCentre {
    fn now(&self) -> Millis {
        Millis(NOW.0 + self.now_ms.get())
    }

    fn jitter(&self) -> u8 {
        0
    }

    fn log(&self, _: Level, event: &str, _: &[(&str, &str)]) {
        self.logged.borrow_mut().push(event.to_owned());
    }

    async fn kv_get(&self, name: &str) -> Result<Option<String>, String> {
        let mut records = self.world.authority.values().filter(|_| self.has_copies.get());
        let record = records.find(|record| name == format!("key:{}", record.id));
        Ok(record.map(|record| self.world.copy(record)))
    }

    async fn cache_get(&self, name: &str) -> Option<String> {
        self.cache_reads.set(self.cache_reads.get() + 1);
        self.sleep(CACHE_MS).await;
        if self.marker_forged.get() && name.ends_with("/asking") {
            return Some("forged".to_owned());
        }
        let cache = self.cache.borrow();
        let (text, from, until) = cache.get(name)?;
        (*from..*until).contains(&self.now_ms.get()).then(|| text.clone())
    }

    fn cache_put(&self, name: &str, text: &str, seconds: u32) {
        let from = self.now_ms.get() + CACHE_MS;
        self.cache.borrow_mut().insert(name.to_owned(), (text.to_owned(), from, from + 1_000 * i64::from(seconds)));
    }

    async fn ask_registry(&self, message: &str, _: bool) -> Result<String, RegistryFailure> {
        if self.unreachable.get() {
            return Err("unreachable".to_owned().into());
        }
        self.calls.set(self.calls.get() + 1);
        self.sleep(self.call_ms / 2).await;
        let answer = keyward_testkit::authority::reply(&self.world, message)?;
        self.sleep(self.call_ms - self.call_ms / 2).await;
        Ok(answer)
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
        self.sleep(milliseconds.into()).await;
    }
}

/// One answered request.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Number of the isolate.
    pub isolate: usize,
    /// `200`, or the code of the refusal.
    pub verdict: &'static str,
}

/// Isolates of one data centre, and the requests that they are handling.
pub struct Traffic {
    pub centre: Rc<DataCentre>,
    pub isolates: Vec<Rc<Isolate>>,
    tasks: Vec<Pin<Box<dyn Future<Output = ()>>>>,
    answers: Rc<RefCell<Vec<Answered>>>,
}

impl Traffic {
    pub fn new(centre: DataCentre, isolates: u32) -> Self {
        let mut traffic =
            Self { centre: Rc::new(centre), isolates: Vec::new(), tasks: Vec::new(), answers: Rc::default() };
        for number in 0..isolates {
            traffic.start_isolate((number * 97 % 256) as u8);
        }
        traffic
    }

    pub fn start_isolate(&mut self, jitter: u8) -> usize {
        self.isolates.push(Rc::new(Isolate::new(GateSizes::default(), LookupSizes::default(), jitter)));
        self.isolates.len() - 1
    }

    pub fn answers(&self) -> Vec<Answered> {
        self.answers.borrow().clone()
    }

    /// Sends one request with a key, as the worker handles it.
    pub fn request(&mut self, number: usize, key: &Key) {
        let text = ClientRequest::new("GET /v1/contacts").key(key).text();
        let (isolate, centre) = (Rc::clone(&self.isolates[number]), Rc::clone(&self.centre));
        let answers = Rc::clone(&self.answers);
        let answered = move |verdict| answers.borrow_mut().push(Answered { isolate: number, verdict });
        let head = Head::parse(&text).unwrap();
        let (step, due) = step(&centre.context(&isolate, &head), centre.now());
        if due {
            let (isolate, centre) = (Rc::clone(&isolate), Rc::clone(&centre));
            self.tasks.push(Box::pin(async move { refresh(&isolate, &centre.world.config, &*centre).await }));
        }
        match step {
            Step::Forward(_) | Step::Sign(_) => answered("200"),
            Step::Refuse(refusal) => answered(refusal.problem.code.as_str()),
            Step::Need(_) => {
                centre.waited.set(centre.waited.get() + 1);
                self.tasks.push(Box::pin(async move {
                    let head = Head::parse(&text).unwrap();
                    let decided = decide(&centre.context(&isolate, &head)).await;
                    answered(decided.map_or_else(|refusal| refusal.problem.code.as_str(), |_| "200"));
                }));
            }
        }
    }

    /// Advances the clock by one step, and lets every request go on.
    pub fn tick(&mut self) {
        self.centre.now_ms.set(self.centre.now_ms.get() + TICK_MS);
        let mut context = Context::from_waker(Waker::noop());
        self.tasks.retain_mut(|task| task.as_mut().poll(&mut context).is_pending());
    }

    /// Advances the clock, with steady traffic by one key in these isolates.
    pub fn run(&mut self, milliseconds: i64, isolates: std::ops::Range<usize>, key: &Key) {
        for _ in 0..milliseconds / TICK_MS {
            let now_ms = self.centre.now_ms.get() + TICK_MS;
            for number in isolates.clone() {
                // The isolates take turns.
                if (now_ms + TICK_MS * number as i64) % REQUEST_INTERVAL_MS == 0 {
                    self.request(number, key);
                }
            }
            self.tick();
        }
    }

    /// Advances the clock until no request is waiting. Returns the milliseconds that it took.
    pub fn finish(&mut self) -> i64 {
        let started_at_ms = self.centre.now_ms.get();
        while !self.tasks.is_empty() {
            self.tick();
        }
        self.centre.now_ms.get() - started_at_ms
    }
}
