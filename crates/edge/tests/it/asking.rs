//! How the authority is asked: what only reads once more after a pause, what changes something once.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use keyward_edge::{Level, Platform, RegistryFailure, ShardedObject, registry};
use keyward_key::id::KeyId;
use keyward_key::signing::{PublicKey, Signature, SigningKey};
use keyward_key::time::Millis;
use keyward_protocol::feed::FeedQuery;
use keyward_protocol::{Request, Response};
use serde_json::json;

/// An authority that fails so many times and then answers, and a clock that only a pause moves on.
struct Failing {
    times: u32,
    is_overload: bool,
    jitter: u8,
    asked: RefCell<Vec<bool>>,
    paused: Cell<u32>,
}

impl Platform for Failing {
    fn now(&self) -> Millis {
        Millis(i64::from(self.paused.get()))
    }

    fn jitter(&self) -> u8 {
        self.jitter
    }

    fn log(&self, _: Level, _: &str, _: &[(&str, &str)]) {}

    async fn kv_get(&self, _: &str) -> Result<Option<String>, String> {
        panic!("KV is not the authority")
    }

    async fn cache_get(&self, _: &str) -> Option<String> {
        panic!("the cache is not the authority")
    }

    fn cache_put(&self, _: &str, _: &str, _: u32) {
        panic!("nothing of this is for the cache")
    }

    async fn ask_registry(&self, _: &str, may_change: bool) -> Result<String, RegistryFailure> {
        self.asked.borrow_mut().push(may_change);
        if u32::try_from(self.asked.borrow().len()).unwrap() <= self.times {
            return Err(RegistryFailure { cause: "failed".to_owned(), is_overload: self.is_overload });
        }
        Ok(ANSWER.to_owned())
    }

    async fn ask_shard(&self, object: ShardedObject, _: u32, _: &str) -> Result<String, String> {
        panic!("{object:?} is not asked here")
    }

    async fn hold_key(&self, key: &SigningKey) -> Result<PublicKey, String> {
        panic!("{}: nothing is signed here", key.name())
    }

    async fn sign(&self, key: &SigningKey, text: &[u8]) -> Result<Signature, String> {
        panic!("{}: {text:?} is not signed here", key.name())
    }

    async fn pause(&self, milliseconds: u32) {
        self.paused.set(self.paused.get() + milliseconds);
    }
}

const ANSWER: &str = r#"{"records":{"records":[],"at":{"epoch":"1-first","revision":1,"head":"0000000000000001"}}}"#;

/// Asks an authority that fails so many times. Gives whether there was an answer, how often it was asked, and the pause.
fn ask(call: &Request, times: u32, jitter: u8) -> (bool, usize, u32) {
    ask_failing(call, times, jitter, false)
}

fn ask_failing(call: &Request, times: u32, jitter: u8, is_overload: bool) -> (bool, usize, u32) {
    let platform = Failing { times, is_overload, jitter, asked: RefCell::default(), paused: Cell::new(0) };
    let answered = {
        let mut asking = pin!(registry::ask(&platform, call));
        match asking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answered) => matches!(answered, Ok(Response::Records { .. })),
            Poll::Pending => panic!("nothing here waits"),
        }
    };
    let asked = platform.asked.borrow().len();
    (answered, asked, platform.paused.get())
}

/// A request of the control plane. Its row says whether it writes; a test of `keyward-control` holds the two together.
fn control(operation: &str, writes: bool) -> Request {
    let request = json!({"control": {
        "caller": "bootstrap",
        "request": {"request_id": "r", "client_address": null},
        "operation": operation,
        "writes": writes,
        "command": {},
        "credential": null,
        "idempotency": null,
    }});
    serde_json::from_value(request).unwrap()
}

fn reads() -> [Request; 3] {
    let key = KeyId::parse("wafl_live_0123456789ab").unwrap();
    [
        Request::Lookup { ids: vec![key] },
        Request::Changes(FeedQuery::Snapshot { after: None }),
        control("list_keys", false),
    ]
}

fn changes() -> [Request; 1] {
    [control("issue_key", true)]
}

#[test]
fn a_read_that_fails_is_tried_once_more_after_a_pause_that_differs_from_isolate_to_isolate() {
    for call in reads() {
        assert_eq!(ask(&call, 0, 0), (true, 1, 0), "an answer at once costs no second asking");
        for (jitter, pause) in [(0, 20), (1, 20), (2, 21), (128, 84), (255, 147)] {
            assert_eq!(ask(&call, 1, jitter), (true, 2, pause), "jitter {jitter}");
            assert_eq!(ask(&call, 9, jitter), (false, 2, pause), "and no third time; jitter {jitter}");
        }
    }
}

#[test]
fn a_change_that_fails_is_never_sent_again() {
    for call in changes() {
        for times in [1, 9] {
            assert_eq!(ask(&call, times, 255), (false, 1, 0));
        }
    }
}

#[test]
fn a_read_that_an_overloaded_authority_refuses_is_not_repeated() {
    for call in reads() {
        assert_eq!(ask_failing(&call, 1, 255, true), (false, 1, 0));
    }
}
