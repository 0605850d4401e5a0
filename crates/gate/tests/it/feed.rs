//! Freshness of an isolate's data: the bound, the grace, and every answer that must not extend them.

mod bound;
mod outage;
mod pages;
mod shared;

use keyward_gate::{Applied, Gate, GateSizes};
use keyward_key::epoch::Epoch;
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::feed::{CachedFeedPage, Change, ChangeList, Cursor, FeedPage, FeedQuery, Position};
use keyward_testkit::gate_world::{ClientRequest, GateAnswer, Key, NOW, World};
use serde_json::json;

const BOUND: i64 = 5_000;
const GRACE: i64 = 60_000;

fn world() -> World {
    World::started(&json!({}))
}

fn get(key: &Key) -> ClientRequest {
    ClientRequest::new("GET /v1/contacts").key(key)
}

fn closed(key: &Key) -> ClientRequest {
    ClientRequest::new("GET /v1/closed").key(key)
}

fn after(milliseconds: i64) -> Millis {
    Millis(NOW.0 + milliseconds)
}

/// Applies an answer of the authority that was queried at `asked_at` and arrives at `now`.
fn apply(world: &mut World, changes: &FeedPage, asked_at: Millis, now: Millis) -> Applied {
    let asked = world.gate.start_query(asked_at);
    world.gate.apply_authority(changes, asked, now)
}

/// Applies a fresh entry of the data centre's cache.
fn apply_fresh(world: &mut World, entry: &str, read_at: Millis, now: Millis) -> Applied {
    let asked = world.gate.start_query(read_at);
    world.gate.apply_shared(&world.config, entry, asked, now)
}

/// Sets the clock and returns the gate's decision, without a refresh or a lookup.
fn decision(world: &mut World, at: i64, request: &ClientRequest) -> String {
    world.at(at).ask(request).verdict()
}

fn warm() -> (World, Key) {
    let mut world = world();
    let key = world.issue(1, |_| {});
    assert_eq!(world.verdict(&get(&key)), "200");
    (world, key)
}

fn id(number: u32) -> KeyId {
    KeyId::parse(&format!("wafl_live_{number:012}")).unwrap()
}

fn entries(changes: &[(u32, u64, bool)]) -> ChangeList {
    let mut entries = ChangeList::default();
    for (number, revision, revoked) in changes {
        entries.push(&id(*number), Change { revision: *revision, revoked: *revoked });
    }
    entries
}

fn position(world: &World, revision: u64) -> Position {
    Position { revision, head: format!("{revision:016x}"), ..world.position() }
}

fn page(world: &World, after: Option<&str>, at: u64, next: Option<&str>) -> FeedPage {
    let cursor = |text: &str| Cursor(text.to_owned());
    FeedPage::Snapshot {
        after: after.map(cursor),
        at: position(world, at),
        entries: entries(&[]),
        next: next.map(cursor),
    }
}

fn since(world: &World, after: u64, to: u64, changes: &[(u32, u64, bool)], more: bool) -> FeedPage {
    FeedPage::Since { after, to: position(world, to), entries: entries(changes), more }
}
