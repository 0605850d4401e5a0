//! Counting a known key, route, network and client allocates nothing.

use keyward_edge::usage::{RecordFrom, count_grant};
use keyward_edge::{Isolate, LookupSizes};
use keyward_gate::{GateSizes, Step};
use keyward_http::head::Head;
use keyward_testkit::allocator::{Counting, Since};
use keyward_testkit::gate_world::{ClientRequest, NOW, World};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn counting_a_known_request_allocates_nothing() {
    let mut world = World::started(&json!({}));
    let key = world.issue(1, |_| {});
    let request = ClientRequest::new("GET /v1/contacts")
        .key(&key)
        .with("cf-connecting-ip", "192.0.2.7")
        .with("user-agent", "curl/8");
    assert_eq!(world.verdict(&request), "200");
    let text = request.text();
    let head = Head::parse(&text).unwrap();
    let Step::Forward(grant) = world.gate.admit(&world.config, &head, NOW) else { panic!("not accepted at once") };
    let isolate = Isolate::new(GateSizes::default(), LookupSizes::default(), 0);
    assert!(count_grant(&isolate, &head, &grant, RecordFrom::Memory).is_some(), "the first use");
    assert!(count_grant(&isolate, &head, &grant, RecordFrom::Memory).is_some(), "begins the task that waits to report");
    let since = Since::now();
    for _ in 0..100_000 {
        assert!(count_grant(&isolate, &head, &grant, RecordFrom::Memory).is_none());
    }
    assert_eq!((since.most(), since.kept()), (0, 0), "bytes");
}
