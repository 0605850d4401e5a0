//! The registry natively, on SQLite in memory: what its SQL and its rules cost, with no HTTP and no disk. `cargo bench`.
//!
//! The store is the tests' own, which is as strict as a Durable Object's and counts what it is asked; it prepares each
//! statement anew.
#![allow(clippy::unwrap_used, reason = "a bench that fails shall stop")]

use divan::Bencher;
use divan::counter::ItemsCount;
use keyward_control::answer;
use keyward_key::id::Environment;
use keyward_protocol::Request;
use keyward_protocol::feed::{FeedPage, FeedQuery};
use keyward_registry::feed::position;
use keyward_testkit::registry_world::KeyFilter;
use keyward_testkit::registry_world::{World, issue, key_id, list, live, owner, revoke};

/// Commands in one measurement: enough that its start and end don't count.
const BATCH: u32 = 200;
const LISTED: u32 = 100_000;
const REVOKED: u32 = 50_000;

fn main() {
    let mut world = with_revoked();
    let pages = snapshot(&mut world);
    println!("a snapshot of {REVOKED} revoked keys: {} pages, {} bytes as sent", pages.len(), pages.concat().len());
    divan::main();
}

fn issue_batch(world: &mut World, from: u32) {
    for number in from..from + BATCH {
        world.done(owner(), issue(number, live(&format!("sync-{number}"))));
    }
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn issue_keys(bencher: Bencher) {
    let fresh = World::with_owner;
    bencher.counter(ItemsCount::new(BATCH)).with_inputs(fresh).bench_local_refs(|world| issue_batch(world, 1));
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn revoke_keys(bencher: Bencher) {
    let issued = || {
        let mut world = World::with_owner();
        issue_batch(&mut world, 1);
        world
    };
    bencher.counter(ItemsCount::new(BATCH)).with_inputs(issued).bench_local_refs(|world| {
        for number in 1..=BATCH {
            world.done(owner(), revoke(&key_id(Environment::Live, number), "bench"));
        }
    });
}

/// The first page of 50, the newest keys, and one of a single integration in the midst.
#[divan::bench(args = [None, Some("sync-50000")], sample_count = 50, sample_size = 20)]
fn list_page_among_100_000_keys(bencher: Bencher, integration: Option<&str>) {
    let mut world = World::with_owner();
    fill_up(&mut world);
    let filter = || KeyFilter { integration: integration.map(str::to_owned), ..KeyFilter::default() };
    bencher.bench_local(|| world.done(owner(), list(filter(), 50, None)));
}

/// What an edge asks every few seconds, with one change to be told of, beside 50,000 revoked keys.
#[divan::bench(sample_count = 50, sample_size = 20)]
fn feed_delta(bencher: Bencher) {
    let mut world = with_revoked();
    let before = position(&mut world.store).unwrap();
    world.done(owner(), issue(LISTED, live("one-more")));
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| changes(&mut world, FeedQuery::Since(before.clone())));
}

/// All pages of a new isolate's first asking, with 50,000 revoked keys.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn feed_snapshot_of_50_000(bencher: Bencher) {
    let mut world = with_revoked();
    bencher.counter(ItemsCount::new(REVOKED)).bench_local(|| snapshot(&mut world));
}

fn changes(world: &mut World, ask: FeedQuery) -> (FeedPage, String) {
    let told = answer(&mut world.store, Request::Changes(ask), &world.policy, "abcdefghijklmnop", world.now).unwrap();
    let sent = serde_json::to_string(&told).unwrap();
    let keyward_protocol::Response::Changes { changes, .. } = told else { panic!("{sent}") };
    (changes, sent)
}

fn snapshot(world: &mut World) -> Vec<String> {
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let (changes, sent) = changes(world, FeedQuery::Snapshot { after });
        pages.push(sent);
        let FeedPage::Snapshot { next, .. } = changes else { panic!("no page of a snapshot") };
        after = next;
        if after.is_none() {
            return pages;
        }
    }
}

/// A registry in which many keys were issued and revoked.
fn with_revoked() -> World {
    let mut world = World::with_owner();
    for number in 1..=REVOKED {
        world.done(owner(), issue(number, live("sync")));
        world.done(owner(), revoke(&key_id(Environment::Live, number), "bench"));
    }
    world
}

/// Copies of one key, with other names and places: what issuing them would leave.
fn fill_up(world: &mut World) {
    world.done(owner(), issue(1, live("sync-1")));
    let sql = "WITH RECURSIVE more(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM more WHERE n < ?1)
         INSERT INTO keys (position, id, key_hash, minted_under, name, integration, environment, purpose, owner,
             scopes, allowed_cidrs, state, created_at, created_by, expires_at, revision)
         SELECT position + n, printf('wafl_live_%012d', n), key_hash, minted_under, 'Sync ' || n, 'sync-' || n,
             environment, purpose, owner, scopes, allowed_cidrs, state, created_at, created_by, expires_at, revision + n
         FROM more, (SELECT * FROM keys)";
    world.store.connection.execute(sql, [LISTED]).unwrap();
}
