//! A million distinct keys that nobody minted: none costs a lookup or memory.

use keyward_key::format::check_of;
use keyward_testkit::allocator::{Counting, Since};
use keyward_testkit::gate_world::{ClientRequest, World};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const KEYS: u32 = 1_000_000;

/// Returns a distinct text for each number, of four kinds. In the last kind only the tag is wrong, which needs `KEYWARD_SECRET`.
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

/// Guards the test below: each kind must fail at the check that it is made for.
fn assert_each_kind_is_refused_for_its_defect(world: &mut World) {
    let reasons = [0, 1, 2, 3].map(|number| {
        let outcome = world.ask(&ClientRequest::new("GET /v1/contacts").with("x-api-key", &garbage(number)));
        format!("{:?}", outcome.refusal().reason)
    });
    assert_eq!(reasons, ["Malformed(Prefix)", "Malformed(Check)", "Malformed(Prefix)", "Tag"]);
}

#[test]
fn a_million_distinct_garbage_keys_cost_no_read_and_no_memory() {
    let mut world = World::started(&json!({}));
    let key = world.issue(1, |_| {});
    let good = ClientRequest::new("GET /v1/contacts").key(&key);
    assert_eq!(world.verdict(&good), "200");
    assert_each_kind_is_refused_for_its_defect(&mut world);
    let (reads, remembered, since) = (world.reads, world.gate.cached_keys(), Since::now());
    for number in 0..KEYS {
        let name = if number % 2 == 0 { "x-api-key" } else { "authorization" };
        let text = garbage(number);
        let value = if number % 2 == 0 { text } else { format!("Bearer {text}") };
        let request = ClientRequest::new("GET /v1/contacts").with(name, &value);
        assert_eq!(world.ask(&request).verdict(), "401 invalid_key", "{value}");
    }
    assert_eq!((world.reads, world.gate.cached_keys()), (reads, remembered));
    assert!(since.kept() < 1_000, "{} bytes retained after {KEYS} keys", since.kept());
    assert!(since.most() < 100_000, "{} bytes at the peak", since.most());
    // The valid key is still cached: forged keys cannot evict it.
    assert_eq!(world.ask(&good).verdict(), "200");
}
