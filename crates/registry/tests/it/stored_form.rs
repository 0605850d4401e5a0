//! The stored form as literal JSON. If this test fails, the change breaks stores in use: add a migration step to
//! `registry/schema.rs` and describe it in docs/internals/storage.md.

use keyward_key::id::Environment;
use keyward_protocol::Request;
use keyward_protocol::role::Role;

use keyward_testkit::registry_world::*;
use serde_json::Value as Json;

#[test]
fn the_stored_form_is_this_literal_json_of_every_table() {
    let mut world = World::with_owner();
    world.later(1);
    let first = world
        .issue(
            1,
            KeyDraft {
                allowed_cidrs: vec!["192.0.2.0/24".parse().unwrap()],
                scopes: vec![scope("contacts:write"), scope("contacts:read")],
                ..live("crm")
            },
        )
        .id;
    world.later(1);
    world.issue(2, test("crm"));
    world.later(1);
    world.revoke(&first, "Leaked in a log: “é”");
    world.later(1);
    let rotation = Command::RotateKey {
        id: key_id(Environment::Test, 2),
        overlap_seconds: 60,
        credential: credential(key_id(Environment::Test, 3)),
    };
    world.attempt(owner(), rotation, Some(attempt("a"))).unwrap();
    world.later(1);
    let draft = MemberDraft {
        environments: Some(vec![Environment::Test, Environment::Live]),
        expires_in_days: Some(30),
        ..member(Role::Responder)
    };
    world.member(create("two", draft));
    world.later(1);
    crate::sessions::sign_in(&mut world, owner(), 0xab);
    world.later(1);
    world.done(owner(), issue_by_claim(4, live("mail")));
    world.later(1);
    crate::endpoints::add_with_secrets(&mut world);
    let pending = Request::KeepReport(Box::new(crate::pending_reports::pending(1)));
    keyward_control::answer(&mut world.store, pending, &world.policy, "abcdefghijklmnop", world.now).unwrap();
    let stored: Json = serde_json::from_str(include_str!("stored_form.json")).unwrap();
    let found = world.store.dump();
    assert_eq!(found, stored, "{}", serde_json::to_string_pretty(&found).unwrap());
}
