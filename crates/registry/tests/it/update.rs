//! Changing keys: the new values, the audit entry, and the refusals.

use ipnet::IpNet;
use keyward_key::id::Environment;
use keyward_key::scope::Scope;
use keyward_key::time::Millis;
use keyward_protocol::{Rejection, Status};
use keyward_registry::keys::lookup;
use keyward_registry::outbox::pending;
use keyward_testkit::registry_world::*;
use serde_json::json;

fn changes() -> KeyChanges {
    KeyChanges::default()
}

fn named(name: &str) -> KeyChanges {
    KeyChanges { name: Some(name.to_owned()), ..changes() }
}

fn ending(at: Millis) -> KeyChanges {
    KeyChanges { expires_at: Some(at), ..changes() }
}

fn scoped(scopes: &[&str]) -> KeyChanges {
    KeyChanges { scopes: Some(scopes.iter().map(|text| scope(text)).collect::<Vec<Scope>>()), ..changes() }
}

fn from(networks: &[&str]) -> KeyChanges {
    KeyChanges {
        allowed_cidrs: Some(networks.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpNet>>()),
        ..changes()
    }
}

fn with_a_key() -> World {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    world.later(60);
    world
}

fn field(refused: Rejection) -> String {
    match refused {
        Rejection::Invalid { field, .. } | Rejection::UnknownScope { field, .. } => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_given_field_changes_and_is_logged_before_and_after() {
    let mut world = with_a_key();
    let end = world.now.plus_seconds(365 * DAY);
    let key = world.update(
        1,
        KeyChanges {
            name: Some("New name".to_owned()),
            purpose: Some("New purpose".to_owned()),
            owner: Some("dev@acme.example".to_owned()),
            expires_at: Some(end),
            allowed_cidrs: from(&["192.0.2.0/24"]).allowed_cidrs,
            ..scoped(&["contacts:write"])
        },
    );
    assert_eq!(key.revision, 3);
    let Outcome::Key(shown) = world.done(owner(), show(&key.id)) else { panic!("no key") };
    assert_eq!(serde_json::to_value(shown).unwrap(), serde_json::to_value(&key).unwrap());
    let (actor, action, subject, detail) = world.last_entry();
    assert_eq!((actor.as_str(), action.as_str()), (owner_id().as_str(), "key.update"));
    assert_eq!(subject, key.id.as_str());
    assert_eq!(
        detail,
        json!({
            "before": {"name": "crm sync", "purpose": "Nightly contact sync", "owner": "ops@acme.example",
                       "expires_at": "2027-02-21T14:02:03.004Z"},
            "after": {"name": "New name", "purpose": "New purpose", "owner": "dev@acme.example",
                      "expires_at": "2027-11-23T14:03:03.004Z"},
            "added": {"scopes": ["contacts:write"], "allowed_cidrs": ["192.0.2.0/24"]},
            "removed": {"scopes": ["contacts:read"]},
        })
    );
    let record = lookup(&mut world.store, &key.id).unwrap().unwrap();
    assert_eq!((record.expires_at, record.revision, record.scopes.len()), (end, 3, 1));
    let (sent, revision) = pending(&mut world.store, 10).unwrap().remove(0);
    assert_eq!((sent.id, revision), (key.id, 3));
}

#[test]
fn only_the_field_that_changed_is_in_the_log() {
    let mut world = with_a_key();
    world.update(1, KeyChanges { purpose: Some("Nightly contact sync".to_owned()), ..named("New name") });
    assert_eq!(world.last_entry().3, json!({"before": {"name": "crm sync"}, "after": {"name": "New name"}}));
}

#[test]
fn an_update_without_effect_succeeds_and_writes_nothing() {
    let mut world = with_a_key();
    let before = world.store.dump();
    for same in
        [changes(), named("crm sync"), scoped(&["contacts:read"]), from(&[]), ending(NOW.plus_seconds(90 * DAY))]
    {
        world.later(1);
        assert_eq!(world.update(1, same).revision, 2);
        assert_eq!(world.store.dump(), before);
    }
}

#[test]
fn a_revoked_expired_or_absent_key_cannot_be_changed() {
    let mut world = with_a_key();
    assert_eq!(world.refused(owner(), update(2, named("x"))), Rejection::NotFound);
    world.later(90 * DAY);
    assert_eq!(world.refused(owner(), update(1, named("x"))), Rejection::NotActive { status: Status::Expired });
    world.revoke(&key_id(Environment::Live, 1), "leaked");
    for change in [named("x"), changes(), scoped(&["nothing"])] {
        assert_eq!(world.refused(owner(), update(1, change)), Rejection::NotActive { status: Status::Revoked });
    }
}

#[test]
fn an_expiry_must_be_in_the_future_and_within_the_limit() {
    let mut world = with_a_key();
    let latest = world.now.plus_seconds(365 * DAY);
    for wrong in [Millis(i64::MIN), NOW, world.now, Millis(latest.0 + 1), Millis(i64::MAX)] {
        assert_eq!(field(world.refused(owner(), update(1, ending(wrong)))), "expires_at");
    }
    for right in [latest, Millis(world.now.0 + 1)] {
        assert_eq!(world.update(1, ending(right)).expires_at, right.rfc3339());
    }
    world.later(1);
    assert_eq!(world.refused(owner(), update(1, ending(latest))), Rejection::NotActive { status: Status::Expired });
}

#[test]
fn an_update_refuses_a_scope_that_no_route_uses() {
    let mut world = with_a_key();
    assert_eq!(field(world.refused(owner(), update(1, scoped(&["contacts:read", "nothing"])))), "scopes[1]");
}

#[test]
fn an_update_refuses_the_name_of_another_active_key() {
    let mut world = with_a_key();
    let other = world.issue(2, live("shop")).id;
    world.issue(3, KeyDraft { name: "elsewhere".to_owned(), ..test("shop") });
    assert_eq!(world.refused(owner(), update(1, named("shop sync"))), Rejection::NameTaken { id: other.clone() });
    world.update(1, named("elsewhere"));
    world.revoke(&other, "leaked");
    world.update(1, named("shop sync"));
}

#[test]
fn a_retiring_key_can_be_narrowed_but_not_widened_or_prolonged() {
    let mut world = World::with_owner();
    let draft = KeyDraft {
        scopes: vec![scope("contacts:read"), scope("contacts:write")],
        allowed_cidrs: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        lifetime: Lifetime::Days(300),
        ..live("crm")
    };
    world.issue(1, draft);
    world.policy.known_scopes.push(scope("events:read"));
    world.rotate(1, 2, 3600);
    let end = world.now.plus_seconds(3600);
    for (wider, at) in [
        (scoped(&["contacts:read", "events:read"]), "scopes[1]"),
        (from(&[]), "allowed_cidrs"),
        (from(&["192.0.2.7/32", "192.0.0.0/16"]), "allowed_cidrs[1]"),
        (from(&["198.51.100.0/24"]), "allowed_cidrs[0]"),
        (ending(Millis(end.0 + 1)), "expires_at"),
    ] {
        assert_eq!(field(world.refused(owner(), update(1, wider))), at);
    }
    // A retiring key may have the name of its active successor, since names are unique among active keys only.
    world.update(1, named("crm sync"));
    world.update(1, named("crm sync, old"));
    world.update(1, scoped(&["contacts:read"]));
    world.update(1, from(&["192.0.2.7/32"]));
    let key = world.update(1, ending(Millis(end.0 - 1)));
    assert_eq!((key.status, key.revision), (Status::Retiring, 7));
    assert_eq!(field(world.refused(owner(), update(1, scoped(&["contacts:write"])))), "scopes[0]");
    assert_eq!(field(world.refused(owner(), update(1, ending(end)))), "expires_at");
}
