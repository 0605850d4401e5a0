//! Requests whose assertion cannot be signed, and how often a signing key is imported.

use keyward_edge::{Isolate, LookupSizes, decide, step};
use keyward_gate::{GateSizes, Reason, Refusal, Step};
use keyward_http::head::Head;
use keyward_http::problem::Code;
use keyward_testkit::gate_world::{ClientRequest, Key, NOW};

use crate::test_platform::{TestPlatform, at_once};

/// Decides about a request; an accepted one has an assertion.
fn send(platform: &TestPlatform, isolate: &Isolate, key: &Key) -> Result<(), Refusal> {
    let text = ClientRequest::new("GET /v1/contacts").key(key).text();
    let head = Head::parse(&text).unwrap();
    let grant = at_once(decide(&platform.context(isolate, &head)))?;
    assert!(grant.plan(&head, "req-1").edits.contains("\nkeyward-assertion\ney"));
    Ok(())
}

/// Whether a request is forwarded without waiting.
fn is_forwarded_at_once(platform: &TestPlatform, isolate: &Isolate, key: &Key) -> bool {
    let text = ClientRequest::new("GET /v1/contacts").key(key).text();
    let head = Head::parse(&text).unwrap();
    matches!(step(&platform.context(isolate, &head), platform.now.get()).0, Step::Forward(_))
}

#[test]
fn a_signing_key_is_imported_once_and_an_assertion_is_signed_once_in_thirty_seconds() {
    let (platform, key) = TestPlatform::new();
    let isolate = Isolate::new(GateSizes::default(), LookupSizes::default(), 0);
    send(&platform, &isolate, &key).unwrap();
    assert!(is_forwarded_at_once(&platform, &isolate, &key));
    send(&platform, &isolate, &key).unwrap();
    assert_eq!((platform.imported.get(), platform.signed.get()), (1, 1));
    platform.now.set(NOW.plus_seconds(30));
    send(&platform, &isolate, &key).unwrap();
    assert_eq!((platform.imported.get(), platform.signed.get()), (1, 2));
}

#[test]
fn a_request_that_cannot_be_signed_is_not_forwarded_and_the_next_one_tries_again() {
    for (imports_keys, signs, event) in [(false, true, "signing_key_import_failed"), (true, false, "signing_failed")] {
        let (platform, key) = TestPlatform::new();
        let isolate = Isolate::new(GateSizes::default(), LookupSizes::default(), 0);
        platform.imports_keys.set(imports_keys);
        platform.signs.set(signs);
        for _ in 0..2 {
            let refusal = send(&platform, &isolate, &key).unwrap_err();
            assert_eq!((refusal.problem.code, refusal.reason), (Code::InternalError, Reason::Unsigned));
            assert_eq!(refusal.key_id.as_deref(), Some(&key.record.id));
            assert!(!is_forwarded_at_once(&platform, &isolate, &key), "nothing was cached");
        }
        assert_eq!(*platform.logged.borrow(), [event, event]);
        platform.imports_keys.set(true);
        platform.signs.set(true);
        send(&platform, &isolate, &key).unwrap();
    }
}
