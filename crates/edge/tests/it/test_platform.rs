//! A platform that answers at once, for one isolate and one key.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use keyward_edge::{Isolate, Level, Platform, RegistryFailure, RequestContext, ShardedObject};
use keyward_http::head::Head;
use keyward_key::signing::{PublicKey, Signature, SigningKey};
use keyward_key::time::Millis;
use keyward_protocol::lease::LeaseAnswer;
use keyward_protocol::metrics::Sample;
use keyward_testkit::gate_world::{Key, NOW, World};
use keyward_testkit::leases;
use serde_json::{Value, json};

pub struct TestPlatform {
    pub world: World,
    pub now: Cell<Millis>,
    /// Whether WebCrypto imports a key.
    pub imports_keys: Cell<bool>,
    /// Whether WebCrypto signs.
    pub signs: Cell<bool>,
    /// Whether the registry answers.
    pub reachable: Cell<bool>,
    pub imported: Cell<u32>,
    pub signed: Cell<u32>,
    /// Names of the logged events.
    pub logged: RefCell<Vec<String>>,
    /// Messages to shards of the usage object, with their shards.
    pub reports: RefCell<Vec<(u32, String)>>,
    /// Whether these shards answer.
    pub shards_answer: Cell<bool>,
    /// Units that the limits object grants to each query; `None` while it does not answer.
    pub lease_units: Cell<Option<u64>>,
    /// Increases of counters that the limits object tells with its next answer.
    pub told: RefCell<Vec<Sample>>,
}

impl Platform for TestPlatform {
    fn now(&self) -> Millis {
        self.now.get()
    }

    fn jitter(&self) -> u8 {
        0
    }

    fn log(&self, _: Level, event: &str, _: &[(&str, &str)]) {
        self.logged.borrow_mut().push(event.to_owned());
    }

    async fn kv_get(&self, _: &str) -> Result<Option<String>, String> {
        Ok(None)
    }

    async fn cache_get(&self, _: &str) -> Option<String> {
        None
    }

    fn cache_put(&self, _: &str, _: &str, _: u32) {}

    async fn ask_registry(&self, message: &str, _: bool) -> Result<String, RegistryFailure> {
        if !self.reachable.get() {
            return Err("unreachable".to_owned().into());
        }
        Ok(keyward_testkit::authority::reply(&self.world, message)?)
    }

    async fn ask_shard(&self, object: ShardedObject, shard: u32, message: &str) -> Result<String, String> {
        if object == ShardedObject::Limits {
            let units = self.lease_units.get().ok_or("the limits object does not answer")?;
            let counters = self.told.take();
            let answer = LeaseAnswer { counters, ..leases::granting(message, units, self.now.get()) };
            return Ok(serde_json::to_string(&answer).unwrap());
        }
        assert_eq!(object, ShardedObject::Usage);
        self.reports.borrow_mut().push((shard, message.to_owned()));
        if self.shards_answer.get() { Ok("\"reported\"".to_owned()) } else { Err("no answer".to_owned()) }
    }

    async fn hold_key(&self, key: &SigningKey) -> Result<PublicKey, String> {
        self.imported.set(self.imported.get() + 1);
        if self.imports_keys.get() {
            Ok(keyward_testkit::signing::public_of(key))
        } else {
            Err("not imported".to_owned())
        }
    }

    async fn sign(&self, key: &SigningKey, text: &[u8]) -> Result<Signature, String> {
        self.signed.set(self.signed.get() + 1);
        if self.signs.get() { Ok(keyward_testkit::signing::sign(key, text)) } else { Err("not signed".to_owned()) }
    }

    async fn pause(&self, _: u32) {}
}

impl TestPlatform {
    /// A platform whose authority knows one live key.
    pub fn new() -> (Self, Key) {
        Self::with(&json!({}))
    }

    /// The same, with some variables of its configuration changed.
    pub fn with(changes: &Value) -> (Self, Key) {
        let mut world = World::new(changes);
        let key = world.issue(1, |_| {});
        let platform = Self {
            world,
            now: Cell::new(NOW),
            imports_keys: Cell::new(true),
            signs: Cell::new(true),
            reachable: Cell::new(true),
            imported: Cell::new(0),
            signed: Cell::new(0),
            logged: RefCell::default(),
            reports: RefCell::default(),
            shards_answer: Cell::new(true),
            lease_units: Cell::new(None),
            told: RefCell::default(),
        };
        (platform, key)
    }

    pub fn context<'a>(&'a self, isolate: &'a Isolate, head: &'a Head<'a>) -> RequestContext<'a, Self> {
        RequestContext { isolate, config: &self.world.config, platform: self, head, request_id: "req-1" }
    }
}

/// Runs a future that never waits.
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the test platform never waits"),
    }
}
