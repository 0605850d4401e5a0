//! Issuing keys: the new key, the refusals and their order.

use keyward_key::id::{Environment, KeyId};
use keyward_key::time::Millis;
use keyward_protocol::role::Role;
use keyward_protocol::{Caller, Rejection, Status};
use keyward_registry::keys::lookup;
use keyward_testkit::registry_world::*;

fn lasting(lifetime: Lifetime) -> KeyDraft {
    KeyDraft { lifetime, ..live("crm") }
}

fn field(refused: Rejection) -> String {
    match refused {
        Rejection::Invalid { field, .. } | Rejection::UnknownScope { field, .. } => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_issued_key_has_the_documented_view() {
    let mut world = World::with_owner();
    let key = world.issue(1, live("crm"));
    assert_eq!(
        serde_json::to_string_pretty(&key).unwrap(),
        r#"{
  "id": "wafl_live_000000000001",
  "name": "crm sync",
  "integration": "crm",
  "environment": "live",
  "purpose": "Nightly contact sync",
  "owner": "ops@acme.example",
  "scopes": [
    "contacts:read"
  ],
  "allowed_cidrs": [],
  "limits": [],
  "status": "active",
  "created_at": "2026-11-23T14:02:03.004Z",
  "created_by": "wafl_admin_Owner0000001",
  "expires_at": "2027-02-21T14:02:03.004Z",
  "rotated_from": null,
  "successor": null,
  "revoked_at": null,
  "revoked_by": null,
  "revoke_reason": null,
  "first_used_at": null,
  "last_used_at": null,
  "last_used_from": null,
  "exposed_at": null,
  "revision": 2
}"#
    );
    let Outcome::Key(shown) = world.done(owner(), show(&key.id)) else { panic!("no key") };
    assert_eq!(serde_json::to_value(shown).unwrap(), serde_json::to_value(key).unwrap());
}

#[test]
fn a_lookup_finds_active_expired_and_revoked_keys_only() {
    let mut world = World::with_owner();
    let key = world.issue(
        1,
        KeyDraft {
            allowed_cidrs: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
            ..live("crm")
        },
    );
    world.later(100 * DAY);
    let record = lookup(&mut world.store, &key.id).unwrap().unwrap();
    assert!(record.key_hash.matches(&hash(9)));
    assert_eq!(
        serde_json::to_value(&record).unwrap(),
        serde_json::json!({
            "id": "wafl_live_000000000001",
            "key_hash": "09".repeat(32),
            "minted_under": "1f2e3d4c",
            "integration": "crm",
            "scopes": ["contacts:read"],
            "allowed_cidrs": ["192.0.2.0/24", "2001:db8::/32"],
            "expires_at": NOW.plus_seconds(90 * DAY).0,
            "retiring": false,
            "revoked": false,
            "revision": 2,
        })
    );
    world.revoke(&key.id, "leaked");
    let record = lookup(&mut world.store, &key.id).unwrap().unwrap();
    assert!(record.revoked);
    assert_eq!(record.revision, 3);
    assert!(lookup(&mut world.store, &key_id(Environment::Live, 2)).unwrap().is_none());
    assert!(lookup(&mut world.store, &owner_id()).unwrap().is_none());
}

#[test]
fn a_key_gets_the_requested_lifetime_within_the_limit() {
    let end = |days: i64| NOW.plus_seconds(days * DAY);
    for (max, lifetime, expected) in [
        (365, Lifetime::Default, end(90)),
        (30, Lifetime::Default, end(30)),
        (365, Lifetime::Days(1), end(1)),
        (365, Lifetime::Days(365), end(365)),
        (365, Lifetime::Until(end(365)), end(365)),
        (365, Lifetime::Until(Millis(NOW.0 + 1)), Millis(NOW.0 + 1)),
    ] {
        let mut world = World::with_owner();
        world.policy.max_key_days = max;
        assert_eq!(world.issue(1, lasting(lifetime)).expires_at, expected.rfc3339(), "{lifetime:?}");
    }
    for (lifetime, expected) in [
        (Lifetime::Days(0), "expires_in_days"),
        (Lifetime::Days(366), "expires_in_days"),
        (Lifetime::Days(u32::MAX), "expires_in_days"),
        (Lifetime::Until(NOW), "expires_at"),
        (Lifetime::Until(Millis(0)), "expires_at"),
        (Lifetime::Until(Millis(i64::MIN)), "expires_at"),
        (Lifetime::Until(Millis(end(365).0 + 1)), "expires_at"),
        (Lifetime::Until(Millis(i64::MAX)), "expires_at"),
    ] {
        let mut world = World::with_owner();
        let refused = world.refused(owner(), issue(1, lasting(lifetime)));
        assert!(
            matches!(&refused, Rejection::Invalid { detail, .. } if detail.contains("365")),
            "no limit in the message: {refused:?}"
        );
        assert_eq!(field(refused), expected, "{lifetime:?}");
    }
}

#[test]
fn an_unknown_scope_is_refused_with_its_index_and_the_known_scopes() {
    let mut world = World::with_owner();
    let draft = KeyDraft { scopes: vec![scope("contacts:read"), scope("contact:write")], ..live("crm") };
    assert_eq!(
        world.refused(owner(), issue(1, draft)),
        Rejection::UnknownScope {
            field: "scopes[1]".to_owned(),
            detail: "No route uses the scope contact:write. Known scopes: contacts:read, contacts:write.".to_owned(),
        }
    );
}

#[test]
fn an_integration_has_at_most_one_active_key_in_an_environment() {
    let mut world = World::with_owner();
    let first = world.issue(1, live("crm")).id;
    let renamed = |number: &str| KeyDraft { name: format!("another {number}"), ..live("crm") };
    assert_eq!(world.refused(owner(), issue(2, renamed("2"))), Rejection::IntegrationHasKey { id: first.clone() });
    world.issue(3, test("crm"));
    world.issue(4, live("shop"));

    world.revoke(&first, "leaked");
    let second = world.issue(5, renamed("5")).id;
    world.later(90 * DAY - 1);
    assert_eq!(world.refused(owner(), issue(6, renamed("6"))), Rejection::IntegrationHasKey { id: second.clone() });
    world.later(1);
    let third = world.issue(7, renamed("7")).id;

    // A retiring key is not active, so only its successor counts.
    let fourth = world.rotate(7, 8, 60).0.id;
    assert_eq!(world.refused(owner(), issue(9, renamed("9"))), Rejection::IntegrationHasKey { id: fourth.clone() });
    world.revoke(&fourth, "leaked");
    assert_eq!(world.issue(9, renamed("7")).attributes.integration, "crm");
    assert!(!lookup(&mut world.store, &third).unwrap().unwrap().revoked);
}

#[test]
fn a_name_is_unique_among_the_active_keys_of_an_environment() {
    let mut world = World::with_owner();
    let first = world.issue(1, live("crm")).id;
    let same_name = |integration: &str| KeyDraft { name: "crm sync".to_owned(), ..live(integration) };
    assert_eq!(world.refused(owner(), issue(2, same_name("shop"))), Rejection::NameTaken { id: first.clone() });
    world.issue(3, KeyDraft { environment: Environment::Test, ..same_name("shop") });
    world.later(90 * DAY - 1);
    assert_eq!(world.refused(owner(), issue(4, same_name("shop"))), Rejection::NameTaken { id: first });
    world.later(1);
    let second = world.issue(5, same_name("shop")).id;
    world.revoke(&second, "leaked");
    world.issue(6, same_name("post"));
}

#[test]
fn an_id_is_never_issued_twice() {
    let mut world = World::with_owner();
    let first = world.issue(1, live("crm")).id;
    world.revoke(&first, "leaked");
    assert_eq!(world.refused(owner(), issue(1, live("crm"))), Rejection::IdTaken);
}

#[test]
fn an_id_of_another_environment_is_refused() {
    let mut world = World::with_owner();
    let before = world.store.dump();
    for id in ["wafl_test_000000000001", "wafl_admin_000000000001"] {
        let command =
            Command::IssueKey { draft: Box::new(live("crm")), credential: credential(KeyId::parse(id).unwrap()) };
        assert!(world.ask(owner(), command).is_err());
    }
    assert_eq!(world.store.dump(), before);
}

/// Starts with every defect and fixes one after the other.
#[test]
fn of_several_refusals_the_first_in_the_documented_order_wins() {
    let mut world = World::with_owner();
    let by_integration = world.issue(1, live("crm")).id;
    let by_name = world.issue(2, live("shop")).id;
    world.add_member(Role::Manager, Some(r#"["test"]"#));
    let limited = Caller::Credential { id: KeyId::parse("wafl_admin_0000manager8").unwrap(), key_hash: hash(7) };
    let wrong = || KeyDraft {
        name: "shop sync".to_owned(),
        scopes: vec![scope("nothing")],
        lifetime: Lifetime::Days(0),
        ..live("crm")
    };
    assert_eq!(world.refused(limited, issue(1, wrong())), Rejection::Forbidden);
    assert_eq!(field(world.refused(owner(), issue(1, wrong()))), "scopes[0]");
    let scoped = || KeyDraft { scopes: vec![scope("contacts:read")], ..wrong() };
    assert_eq!(field(world.refused(owner(), issue(1, scoped()))), "expires_in_days");
    let ending = || KeyDraft { lifetime: Lifetime::Default, ..scoped() };
    assert_eq!(world.refused(owner(), issue(1, ending())), Rejection::IntegrationHasKey { id: by_integration });
    let single = || KeyDraft { integration: "post".to_owned(), ..ending() };
    assert_eq!(world.refused(owner(), issue(1, single())), Rejection::NameTaken { id: by_name });
    let named = || KeyDraft { name: "post".to_owned(), ..single() };
    assert_eq!(world.refused(owner(), issue(1, named())), Rejection::IdTaken);
    assert_eq!(world.issue(3, named()).status, Status::Active);
}

#[test]
fn a_failing_store_is_an_error_and_not_a_refusal() {
    let mut world = World::with_owner();
    let id = world.issue(1, live("crm")).id;
    world.store.connection.execute("UPDATE keys SET scopes = 'torn'", []).unwrap();
    assert!(lookup(&mut world.store, &id).is_err());
    assert!(world.ask(owner(), show(&id)).is_err());
    world.store.connection.execute("DROP TABLE members", []).unwrap();
    let answer: Result<Response, _> = world.ask(owner(), Command::Me);
    assert!(answer.is_err());
}
