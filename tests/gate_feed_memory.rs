//! What fifty thousand revoked keys cost an isolate: counted by an allocator of this test's own.

#[path = "support/allocator.rs"]
mod allocator;
#[path = "support/entropy.rs"]
mod entropy;
#[path = "support/gate_world.rs"]
mod gate_world;

use allocator::Since;
use gate_world::{NOW, World};
use keyward::gate::Learned;
use keyward::key::feed::{Change, Changes, Cursor, Entries};
use keyward::key::id::KeyId;
use serde_json::json;

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
    let since = Since::now();
    for page in &pages {
        assert_eq!(
            {
                let asked = world.gate.begin_asking(NOW);
                world.gate.learn_changes(page, asked, NOW)
            },
            Learned::More
        );
    }
    let (taken, most) = (since.kept(), since.most());
    println!("{KEYS} revoked keys: {taken} bytes kept, {most} at most while the pages were read");
    assert!(taken < 4_000_000, "{taken} bytes kept");
    assert!(most < 4_000_000, "{most} bytes at most");
    // And they are known.
    let answer = world.gate.known_revision();
    assert_eq!(answer, world.revision);
}
