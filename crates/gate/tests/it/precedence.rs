//! Order of refusals, as docs/concepts/keys.md documents it: every pair of faults, and each fault with all later ones.

use keyward_key::id::{Class, Environment};
use keyward_testkit::gate_world::{ClientRequest, Key, NOW, World};
use serde_json::json;

/// Faults of a request, in the documented order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Form,
    KeyInUrl,
    Misdirected,
    NoRoute,
    MissingKey,
    Ambiguous,
    Malformed,
    PlainHttp,
    Browser,
    Unreachable,
    WrongSecret,
    Revoked,
    Expired,
    Quarantined,
    Address,
    Scope,
    NoOrigin,
}

use Fault::*;

const ORDER: [(Fault, &str); 17] = [
    (Form, "400 bad_path"),
    (KeyInUrl, "400 key_in_url"),
    (Misdirected, "421 misdirected_request"),
    (NoRoute, "404 no_route"),
    (MissingKey, "401 missing_key"),
    (Ambiguous, "400 ambiguous_credentials"),
    (Malformed, "401 invalid_key"),
    (PlainHttp, "403 insecure_transport"),
    (Browser, "403 browser_exposed"),
    (Unreachable, "503 authority_unavailable"),
    (WrongSecret, "401 invalid_key"),
    (Revoked, "401 revoked_key"),
    (Expired, "401 expired_key"),
    (Quarantined, "401 quarantined_key"),
    (Address, "403 address_not_allowed"),
    (Scope, "403 insufficient_scope"),
    (NoOrigin, "503 no_origin"),
];

/// Returns the verdict on a request with all these faults. `warm`: the record is already cached.
fn verdict(faults: &[Fault], warm: bool) -> String {
    let has = |fault: Fault| faults.contains(&fault);
    let mut world = World::new(&json!({
        "ORIGIN_LIVE": "route",
        "ROUTE_HOSTS": [if has(Misdirected) { "api.example" } else { "gate.example" }],
        "ORIGIN_TEST": if has(NoOrigin) { json!(null) } else { json!("https://test.example") },
    }));
    let key = Key::new(&world.config, Class::Data(Environment::Test), 1);
    let mut record = key.record.clone();
    if has(WrongSecret) {
        record.key_hash = Key::live(&world.config, 2).record.key_hash;
    }
    record.revoked = has(Revoked);
    if has(Expired) {
        record.expires_at = NOW;
    }
    record.quarantined = keyward_key::record::Quarantined::when(has(Quarantined));
    if has(Address) {
        record.allowed_cidrs = vec!["192.0.2.0/24".parse().unwrap()];
    }
    if has(Scope) {
        record.scopes.clear();
    }
    if warm {
        // Older than bound and grace, so that an unreachable authority means 503.
        let age = if has(Unreachable) { -66 } else { 0 };
        world.refresh(NOW.plus_seconds(age));
        world.authority.insert(record.id.clone(), record.clone());
        world.answer(&record.id.clone(), NOW.plus_seconds(age));
    }
    world.authority.insert(record.id.clone(), record);
    world.unreachable = has(Unreachable);

    let mut target = if has(NoRoute) { "/nowhere" } else { "/v1/contacts" }.to_owned();
    if has(Form) {
        target.push_str("/../x");
    }
    if has(KeyInUrl) {
        target.push_str(&format!("?{}", key.text));
    }
    let mut request = ClientRequest::new(&format!("GET {target}"));
    let text = if has(Malformed) { format!("{}x", key.text) } else { key.text };
    if !has(MissingKey) {
        request = request.with("x-api-key", &text);
    }
    if has(Ambiguous) {
        request = request.with("authorization", &format!("Bearer {text}"));
    }
    if has(PlainHttp) {
        request.base = "http://gate.example".to_owned();
    }
    if has(Browser) {
        request = request.with("origin", "https://page.example").with("user-agent", "Mozilla/5.0");
    }
    world.verdict(&request)
}

/// Whether a request can have both faults. A missing credential excludes two or malformed ones.
fn together(one: Fault, other: Fault) -> bool {
    !(one == MissingKey && matches!(other, Ambiguous | Malformed))
}

#[test]
fn each_fault_alone_gets_its_refusal() {
    assert_eq!(verdict(&[], false), "200");
    assert_eq!(verdict(&[], true), "200");
    for (fault, expected) in ORDER {
        assert_eq!(verdict(&[fault], false), expected, "{fault:?}");
        assert_eq!(verdict(&[fault], true), expected, "{fault:?}, record cached");
    }
}

#[test]
fn of_two_faults_the_first_in_the_documented_order_wins() {
    let mut pairs = 0;
    for (at, (first, expected)) in ORDER.into_iter().enumerate() {
        for (second, _) in ORDER.into_iter().skip(at + 1).filter(|(second, _)| together(first, *second)) {
            for warm in [false, true] {
                assert_eq!(verdict(&[first, second], warm), expected, "{first:?} and {second:?}, warm: {warm}");
            }
            pairs += 1;
        }
    }
    assert_eq!(pairs, 134);
}

#[test]
fn each_fault_wins_over_all_later_ones_at_once() {
    for (at, (first, expected)) in ORDER.into_iter().enumerate() {
        let faults: Vec<Fault> =
            ORDER.into_iter().skip(at).map(|(fault, _)| fault).filter(|fault| together(first, *fault)).collect();
        assert_eq!(verdict(&faults, true), expected, "{faults:?}");
    }
}
