//! A million distinct keys that nobody minted: none is asked about, and none leaves anything behind.

use keyward_key::format::check_of;
use keyward_testkit::allocator::{Counting, Since};
use keyward_testkit::gate_world::{ClientRequest, World};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const KEYS: u32 = 1_000_000;

/// What a stranger can write, another one for each number. In the last kind everything is right but the tag, which only a holder
/// of `KEYWARD_SECRET` can make.
fn garbage(number: u32) -> String {
    let secret = "x".repeat(40);
    match number % 4 {
        0 => format!("garbage-{number}"),
        1 => format!("wafl_live_{number:012}_{secret}zzzzzz"),
        2 => format!("acme_live_{number:012}_{secret}000000"),
        _ => {
            let body = format!("wafl_live_{number:012}_{secret}");
            let check = check_of(&body);
            format!("{body}{}", str::from_utf8(&check).unwrap())
        }
    }
}

/// The million would say little if it were refused for something else.
fn assert_each_kind_is_refused_for_what_it_is(world: &mut World) {
    let reasons = [0, 1, 2, 3].map(|number| {
        let outcome = world.ask(&ClientRequest::new("GET /v1/contacts").with("x-api-key", &garbage(number)));
        format!("{:?}", outcome.refusal().reason)
    });
    assert_eq!(reasons, ["Malformed(Prefix)", "Malformed(Check)", "Malformed(Prefix)", "Tag"]);
}

#[test]
fn a_million_distinct_garbage_keys_cost_no_read_and_leave_memory_as_it_was() {
    let mut world = World::started(&json!({}));
    let key = world.issue(1, |_| {});
    let good = ClientRequest::new("GET /v1/contacts").key(&key);
    assert_eq!(world.verdict(&good), "200");
    assert_each_kind_is_refused_for_what_it_is(&mut world);
    let (reads, remembered, since) = (world.reads, world.gate.cached_keys(), Since::now());
    for number in 0..KEYS {
        let name = if number % 2 == 0 { "x-api-key" } else { "authorization" };
        let text = garbage(number);
        let value = if number % 2 == 0 { text } else { format!("Bearer {text}") };
        let request = ClientRequest::new("GET /v1/contacts").with(name, &value);
        assert_eq!(world.ask(&request).verdict(), "401 invalid_key", "{value}");
    }
    assert_eq!((world.reads, world.gate.cached_keys()), (reads, remembered));
    assert!(since.kept() < 1_000, "{} bytes kept of {KEYS} keys", since.kept());
    assert!(since.most() < 100_000, "{} bytes at most while they came", since.most());
    // And what was known is known: nobody can push a key out of the memory with keys of their own making.
    assert_eq!(world.ask(&good).verdict(), "200");
}
