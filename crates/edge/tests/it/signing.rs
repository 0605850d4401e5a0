//! What becomes of a request whose assertion can't be signed, and how often a key is given to the platform.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use keyward_edge::{Isolate, Level, Platform, RequestContext, decide, step};
use keyward_gate::{GateSizes, Reason, Refusal, Step};
use keyward_http::head::Head;
use keyward_http::problem::Code;
use keyward_key::signing::{PublicKey, Signature, SigningKey};
use keyward_key::time::Millis;
use keyward_testkit::gate_world::{ClientRequest, Key, NOW, World};
use serde_json::json;

/// A platform that answers at once, and whose WebCrypto can fail.
struct TestPlatform {
    world: World,
    now: Cell<Millis>,
    takes_keys: Cell<bool>,
    signs: Cell<bool>,
    held: Cell<u32>,
    signed: Cell<u32>,
    logged: RefCell<Vec<String>>,
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

    async fn ask_registry(&self, message: &str, _: bool) -> Result<String, String> {
        keyward_testkit::authority::reply(&self.world, message)
    }

    async fn hold_key(&self, key: &SigningKey) -> Result<PublicKey, String> {
        self.held.set(self.held.get() + 1);
        if self.takes_keys.get() { Ok(keyward_testkit::signing::public_of(key)) } else { Err("not taken".to_owned()) }
    }

    async fn sign(&self, key: &SigningKey, text: &[u8]) -> Result<Signature, String> {
        self.signed.set(self.signed.get() + 1);
        if self.signs.get() { Ok(keyward_testkit::signing::sign(key, text)) } else { Err("not signed".to_owned()) }
    }

    async fn pause(&self, _: u32) {}
}

impl TestPlatform {
    fn new() -> (Self, Key) {
        let mut world = World::new(&json!({}));
        let key = world.issue(1, |_| {});
        let platform = Self {
            world,
            now: Cell::new(NOW),
            takes_keys: Cell::new(true),
            signs: Cell::new(true),
            held: Cell::new(0),
            signed: Cell::new(0),
            logged: RefCell::default(),
        };
        (platform, key)
    }

    fn context<'a>(&'a self, isolate: &'a Isolate, head: &'a Head<'a>) -> RequestContext<'a, Self> {
        RequestContext { isolate, config: &self.world.config, platform: self, head, request_id: "req-1" }
    }

    /// Decides about a request; what is accepted has an assertion.
    fn send(&self, isolate: &Isolate, key: &Key) -> Result<(), Refusal> {
        let text = ClientRequest::new("GET /v1/contacts").key(key).text();
        let head = Head::parse(&text).unwrap();
        let grant = at_once(decide(&self.context(isolate, &head)))?;
        assert!(grant.plan(&head, "req-1").edits.contains("\nkeyward-assertion\ney"));
        Ok(())
    }

    /// Whether a request goes on without waiting.
    fn goes_at_once(&self, isolate: &Isolate, key: &Key) -> bool {
        let text = ClientRequest::new("GET /v1/contacts").key(key).text();
        let head = Head::parse(&text).unwrap();
        matches!(step(&self.context(isolate, &head), self.now.get()).0, Step::Forward(_))
    }
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(given) => given,
        Poll::Pending => panic!("nothing here waits"),
    }
}

#[test]
fn a_key_is_given_to_the_platform_once_and_an_assertion_signed_once_in_half_a_minute() {
    let (platform, key) = TestPlatform::new();
    let isolate = Isolate::new(GateSizes::default(), 0);
    platform.send(&isolate, &key).unwrap();
    assert!(platform.goes_at_once(&isolate, &key));
    platform.send(&isolate, &key).unwrap();
    assert_eq!((platform.held.get(), platform.signed.get()), (1, 1));
    platform.now.set(NOW.plus_seconds(30));
    platform.send(&isolate, &key).unwrap();
    assert_eq!((platform.held.get(), platform.signed.get()), (1, 2));
}

#[test]
fn what_can_not_be_signed_is_not_forwarded_and_is_tried_again_by_the_next_request() {
    for (keys, signatures, event) in [(false, true, "key_not_held"), (true, false, "signing_failed")] {
        let (platform, key) = TestPlatform::new();
        let isolate = Isolate::new(GateSizes::default(), 0);
        platform.takes_keys.set(keys);
        platform.signs.set(signatures);
        for _ in 0..2 {
            let refusal = platform.send(&isolate, &key).unwrap_err();
            assert_eq!((refusal.problem.code, refusal.reason), (Code::InternalError, Reason::Unsigned));
            assert_eq!(refusal.key_id.as_ref(), Some(&key.record.id));
            assert!(!platform.goes_at_once(&isolate, &key), "nothing was kept");
        }
        assert_eq!(*platform.logged.borrow(), [event, event]);
        platform.takes_keys.set(true);
        platform.signs.set(true);
        platform.send(&isolate, &key).unwrap();
    }
}
