//! What fifty thousand revoked keys cost an isolate: counted by an allocator of this test's own.

#[path = "support/entropy.rs"]
mod entropy;
#[path = "support/gate_world.rs"]
mod gate_world;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use gate_world::{NOW, World};
use keyward::edge::{Isolate, Level, Outside, refresh};
use keyward::gate::Learned;
use keyward::key::feed::{Ask, Change, Changes, Cursor, Entries};
use keyward::key::id::KeyId;
use keyward::registry::command::{Answer, Call};
use keyward::time::Millis;
use serde_json::json;

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator as it came; only sizes are noted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(live, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const KEYS: u32 = 50_000;
const PAGE: u32 = 20_000;

#[test]
fn fifty_thousand_revoked_keys_take_less_than_four_megabytes() {
    let mut world = World::new(&json!({}));
    let pages: Vec<Changes> = (0..KEYS)
        .step_by(PAGE as usize)
        .map(|start| {
            let mut entries = Entries::default();
            for number in start..(start + PAGE).min(KEYS) {
                // As ids are: in no order.
                let scattered = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000_000_000_000;
                let id = KeyId::parse(&format!("wafl_live_{scattered:012}")).unwrap();
                entries.push(&id, Change { revision: u64::from(number) + 1, revoked: true });
            }
            let cursor = |at: u32| Some(Cursor(at.to_string()));
            let next = if start + PAGE < KEYS { cursor(start + PAGE) } else { None };
            let after = if start > 0 { cursor(start) } else { None };
            Changes::Snapshot { after, at: world.position(), entries, next }
        })
        .collect();
    let before = LIVE.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    for page in &pages {
        assert_eq!(
            {
                let asked = world.gate.begin_asking(NOW);
                world.gate.learn_changes(page, asked, NOW)
            },
            Learned::More
        );
    }
    let taken = LIVE.load(Ordering::Relaxed) - before;
    let most = MOST.load(Ordering::Relaxed) - before;
    println!("{KEYS} revoked keys: {taken} bytes kept, {most} at most while the pages were read");
    assert!(taken < 4_000_000, "{taken} bytes kept");
    assert!(most < 4_000_000, "{most} bytes at most");
    // And they are known.
    let answer = world.gate.known_revision();
    assert_eq!(answer, world.revision);

    // So it is with the answers themselves, as they come and as they are given to the data centre's cache.
    let position = world.position();
    let whole = Changes::Since { after: 0, to: position, entries: Entries::default(), more: false };
    let answers = pages.into_iter().chain([whole]).map(|changes| {
        let answer: Answer = Answer::Changes { changes, restored: false };
        serde_json::to_string(&answer).unwrap()
    });
    let authority = Authority { answers: answers.collect(), held: Cell::new(0), asked: Cell::new(0) };
    let isolate = Isolate::new(0);
    let before = LIVE.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    {
        let mut asking = std::pin::pin!(refresh(&isolate, &world.config, &authority));
        let mut context = Context::from_waker(Waker::noop());
        assert!(asking.as_mut().poll(&mut context).is_ready());
    }
    assert_eq!(isolate.gate().unwrap().known_revision(), world.revision);
    let most = MOST.load(Ordering::Relaxed) - before;
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

impl Outside for Authority {
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

    async fn ask_registry(&self, message: &str, _: bool) -> Result<String, String> {
        let Call::Changes(ask) = serde_json::from_str(message).unwrap() else { panic!("{message}") };
        let asked = self.asked.replace(self.asked.get() + 1);
        assert_eq!(matches!(ask, Ask::Since(_)), asked + 1 == self.answers.len());
        Ok(self.answers[asked].clone())
    }

    async fn pause(&self, _: u32) {}
}
