//! What fifty thousand revoked keys cost an isolate, and more than it keeps: counted by an allocator of this test's own.

use std::cell::Cell;
use std::future::Future;
use std::task::{Context, Waker};

use keyward_edge::{Isolate, Level, LookupSizes, Platform, RegistryFailure, ShardedObject, refresh};
use keyward_gate::{Applied, GateSizes};
use keyward_http::limits::REMEMBERED_CHANGES;
use keyward_key::id::KeyId;
use keyward_key::signing::{PublicKey, Signature, SigningKey};
use keyward_key::time::Millis;
use keyward_protocol::feed::{Change, ChangeList, Cursor, FeedPage, FeedQuery};
use keyward_protocol::{Request, Response};
use keyward_testkit::allocator::{Counting, Since};
use keyward_testkit::gate_world::{NOW, World};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const KEYS: usize = 50_000;
const PAGE: usize = 20_000;

/// A snapshot of so many revoked keys.
fn pages(world: &World, keys: usize) -> Vec<FeedPage> {
    let page = |start: usize| {
        let mut entries = ChangeList::default();
        for number in (start as u64)..((start + PAGE).min(keys) as u64) {
            // As ids are: in no order.
            let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000_000_000_000;
            let id = KeyId::parse(&format!("wafl_live_{scattered:012}")).unwrap();
            entries.push(&id, Change { revision: number + 1, revoked: true });
        }
        let cursor = |at: usize| Some(Cursor(at.to_string()));
        let next = if start + PAGE < keys { cursor(start + PAGE) } else { None };
        let after = if start > 0 { cursor(start) } else { None };
        FeedPage::Snapshot { after, at: world.position(), entries, next }
    };
    (0..keys).step_by(PAGE).map(page).collect()
}

/// Tells the gate of so many revoked keys, page by page while it takes them, and gives what is kept then and was at most.
fn tell(world: &mut World, keys: usize) -> (usize, usize) {
    let pages = pages(world, keys);
    let since = Since::now();
    for page in &pages {
        let asked = world.gate.start_query(NOW);
        if world.gate.apply_authority(page, asked, NOW) != Applied::More {
            break;
        }
    }
    assert_eq!(world.gate.known_revision(), world.revision, "all of it is known, or that it is too much");
    (since.kept(), since.most())
}

#[test]
fn fifty_thousand_revoked_keys_take_less_than_four_megabytes_and_more_than_are_kept_take_nothing() {
    let (taken, most) = tell(&mut World::new(&json!({})), KEYS);
    println!("{KEYS} revoked keys: {taken} bytes kept, {most} at most while the pages were read");
    assert!(taken > 1_000_000 && taken < 4_000_000, "{taken} bytes kept");
    assert!(most < 4_000_000, "{most} bytes at most");
    texts_fit();
    let (taken, most) = tell(&mut World::new(&json!({})), REMEMBERED_CHANGES + PAGE);
    println!("more than are kept: {taken} bytes kept, {most} at most");
    assert!(taken < 10_000, "{taken} bytes kept of what no copy is judged by any more");
    assert!(most < 14_000_000, "{most} bytes at most");
}

/// The same with the answers' texts: as an isolate asks for them.
fn texts_fit() {
    // So it is with the answers themselves, as they come and as they are given to the data centre's cache.
    let world = World::new(&json!({}));
    let pages = pages(&world, KEYS);
    let position = world.position();
    let whole = FeedPage::Since { after: 0, to: position, entries: ChangeList::default(), more: false };
    let answers = pages.into_iter().chain([whole]).map(|changes| {
        let answer: Response = Response::Changes { changes, restored: false };
        serde_json::to_string(&answer).unwrap()
    });
    let authority = Authority { answers: answers.collect(), held: Cell::new(0), asked: Cell::new(0) };
    let isolate = Isolate::new(GateSizes::default(), LookupSizes::default(), 0);
    let since = Since::now();
    {
        let mut asking = std::pin::pin!(refresh(&isolate, &world.config, &authority));
        let mut context = Context::from_waker(Waker::noop());
        assert!(asking.as_mut().poll(&mut context).is_ready());
    }
    assert_eq!(isolate.gate().unwrap().known_revision(), world.revision);
    let most = since.most();
    println!(
        "with the answers themselves {most} bytes at most; the longest text given to the cache has {}",
        authority.held.get()
    );
    assert!(most < 4_000_000, "{most} bytes at most");
}

/// An authority that answers one question after the other, at once, and a cache that keeps nothing.
struct Authority {
    answers: Vec<String>,
    asked: Cell<usize>,
    held: Cell<usize>,
}

impl Platform for Authority {
    fn now(&self) -> Millis {
        NOW
    }

    fn jitter(&self) -> u8 {
        0
    }

    fn log(&self, _: Level, event: &str, _: &[(&str, &str)]) {
        panic!("{event}");
    }

    async fn kv_get(&self, _: &str) -> Result<Option<String>, String> {
        Ok(None)
    }

    async fn cache_get(&self, _: &str) -> Option<String> {
        None
    }

    fn cache_put(&self, _: &str, text: &str, _: u32) {
        self.held.set(self.held.get().max(text.len()));
    }

    async fn ask_registry(&self, message: &str, _: bool) -> Result<String, RegistryFailure> {
        let Request::Changes(ask) = serde_json::from_str(message).unwrap() else { panic!("{message}") };
        let asked = self.asked.replace(self.asked.get() + 1);
        assert_eq!(matches!(ask, FeedQuery::Since(_)), asked + 1 == self.answers.len());
        Ok(self.answers[asked].clone())
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

    async fn pause(&self, _: u32) {}
}
