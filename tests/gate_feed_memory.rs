//! What fifty thousand revoked keys cost an isolate, and more than it keeps: counted by an allocator of this test's own.

#[path = "support/allocator.rs"]
mod allocator;
#[path = "support/entropy.rs"]
mod entropy;
#[path = "support/gate_world.rs"]
mod gate_world;

use allocator::Since;
use gate_world::{NOW, World};
use keyward::gate::Learned;
use keyward::http::limits::REMEMBERED_CHANGES;
use keyward::key::feed::{Change, Changes, Cursor, Entries};
use keyward::key::id::KeyId;
use serde_json::json;

const KEYS: usize = 50_000;
const PAGE: usize = 20_000;

/// A snapshot of so many revoked keys.
fn pages(world: &World, keys: usize) -> Vec<Changes> {
    let page = |start: usize| {
        let mut entries = Entries::default();
        for number in (start as u64)..((start + PAGE).min(keys) as u64) {
            // As ids are: in no order.
            let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000_000_000_000;
            let id = KeyId::parse(&format!("wafl_live_{scattered:012}")).unwrap();
            entries.push(&id, Change { revision: number + 1, revoked: true });
        }
        let cursor = |at: usize| Some(Cursor(at.to_string()));
        let next = if start + PAGE < keys { cursor(start + PAGE) } else { None };
        let after = if start > 0 { cursor(start) } else { None };
        Changes::Snapshot { after, at: world.position(), entries, next }
    };
    (0..keys).step_by(PAGE).map(page).collect()
}

/// Tells the gate of so many revoked keys, page by page while it takes them, and gives what is kept then and was at most.
fn tell(world: &mut World, keys: usize) -> (usize, usize) {
    let pages = pages(world, keys);
    let since = Since::now();
    for page in &pages {
        let asked = world.gate.begin_asking(NOW);
        if world.gate.learn_changes(page, asked, NOW) != Learned::More {
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
    let (taken, most) = tell(&mut World::new(&json!({})), REMEMBERED_CHANGES + PAGE);
    println!("more than are kept: {taken} bytes kept, {most} at most");
    assert!(taken < 10_000, "{taken} bytes kept of what no copy is judged by any more");
    assert!(most < 14_000_000, "{most} bytes at most");
}
