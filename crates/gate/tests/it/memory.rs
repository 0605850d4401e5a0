//! What an isolate remembers of keys, and from where it may take it.

use keyward_gate::CopyVerdict;
use keyward_key::id::KeyId;
use keyward_key::record::Record;
use keyward_key::sealed::{Broken, Sealed};
use keyward_key::time::Millis;
use keyward_testkit::gate_world::{ClientRequest, Key, NOW, World};
use serde_json::json;

fn world() -> World {
    World::started(&json!({}))
}

fn get(key: &Key) -> ClientRequest {
    ClientRequest::new("GET /v1/contacts").key(key)
}

fn after(milliseconds: i64) -> Millis {
    Millis(NOW.0 + milliseconds)
}

/// What the gate makes of a copy in KV.
fn copy(world: &mut World, id: &KeyId, stored: &str) -> CopyVerdict {
    world.gate.apply_copy(&world.config, id, stored, world.now)
}

#[test]
fn a_copy_is_the_record_where_no_later_change_is_known() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    let stored = world.copy(&key.record);
    assert_eq!(world.ask(&get(&key)).verdict(), "need record");
    assert_eq!(copy(&mut world, &key.record.id, &stored), CopyVerdict::Settled);
    assert_eq!(world.ask(&get(&key)).verdict(), "200");
    assert_eq!(world.reads, 0);
}

#[test]
fn a_copy_from_before_a_change_is_never_used() {
    for revoked in [false, true] {
        for told_before in [false, true] {
            let mut world = world();
            let key = world.issue(1, |record| record.revision = 3);
            let stored = world.copy(&key.record);
            if told_before {
                assert_eq!(copy(&mut world, &key.record.id, &stored), CopyVerdict::Settled);
            }
            world.change(&key.record.id, |record| {
                record.revoked = revoked;
                record.scopes.clear();
            });
            world.refresh(NOW);
            // Of a revoked key there is nothing more to know; the copy tells its holder from others.
            let expected = if revoked { CopyVerdict::Settled } else { CopyVerdict::Confirm };
            assert_eq!(copy(&mut world, &key.record.id, &stored), expected);
            let verdict = world.ask(&get(&key)).verdict();
            assert_eq!(verdict, if revoked { "401 revoked_key" } else { "need record" });
            assert_eq!(world.verdict(&get(&key)), if revoked { "401 revoked_key" } else { "403 insufficient_scope" });
        }
    }
}

#[test]
fn a_copy_that_is_newer_than_the_feed_is_confirmed_by_the_authority() {
    let mut world = world();
    let key = world.issue(1, |record| record.revision = 11);
    let stored = world.copy(&key.record);
    assert_eq!(
        copy(&mut world, &key.record.id, &stored),
        CopyVerdict::Confirm,
        "it may be of a history that was undone"
    );
    world.revision = 11;
    world.refresh(NOW);
    assert_eq!(copy(&mut world, &key.record.id, &stored), CopyVerdict::Settled);
}

#[test]
fn a_copy_of_another_epoch_is_never_used() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    let earlier = Sealed { epoch: keyward_key::epoch::Epoch::new(after(-1), "other"), record: key.record.clone() };
    let stored = earlier.seal(world.config.keyring.current()).unwrap();
    assert_eq!(copy(&mut world, &key.record.id, &stored), CopyVerdict::Confirm);
    assert_eq!(world.ask(&get(&key)).verdict(), "need record");
}

#[test]
fn a_copy_sealed_under_a_retired_secret_is_confirmed_by_the_authority() {
    let previous = "rkSKyGxOjk3sZFcpcI70GHOuecbf+E7/czYJiUh/COU=";
    let mut world = World::started(&json!({"KEYWARD_SECRET_PREVIOUS": previous}));
    let retired = World::new(&json!({"KEYWARD_SECRET": previous}));
    let key = world.issue(1, |_| {});
    for revoked in [false, true] {
        let stored = retired.copy(&Record { revoked, ..key.record.clone() });
        assert_eq!(copy(&mut world, &key.record.id, &stored), CopyVerdict::Confirm);
    }
    assert_eq!(world.ask(&get(&key)).verdict(), "need record");
}

#[test]
fn no_copy_is_used_before_the_feed_is_there() {
    let mut world = World::new(&json!({}));
    let key = world.issue(1, |_| {});
    let stored = world.copy(&key.record);
    assert_eq!(copy(&mut world, &key.record.id, &stored), CopyVerdict::Confirm);
    assert_eq!(world.ask(&get(&key)).verdict(), "need changes");
}

#[test]
fn a_copy_that_says_revoked_is_believed_and_one_past_its_end_is_confirmed() {
    let mut world = world();
    let (revoked, expired) =
        (world.issue(1, |record| record.revoked = true), world.issue(2, |record| record.expires_at = NOW));
    let stored = [world.copy(&revoked.record), world.copy(&expired.record)];
    assert_eq!(copy(&mut world, &revoked.record.id, &stored[0]), CopyVerdict::Settled);
    assert_eq!(world.ask(&get(&revoked)).verdict(), "401 revoked_key");
    assert_eq!(copy(&mut world, &expired.record.id, &stored[1]), CopyVerdict::Confirm);
    assert_eq!(world.verdict(&get(&expired)), "401 expired_key");
}

#[test]
fn a_broken_copy_is_as_good_as_none() {
    let mut world = world();
    let (key, other) = (world.issue(1, |_| {}), world.issue(2, |record| record.revoked = true));
    let revoked = Record { revoked: true, ..key.record.clone() };
    let sealed = world.copy(&revoked);
    let stranger = World::new(&json!({"KEYWARD_SECRET": "rkSKyGxOjk3sZFcpcI70GHOuecbf+E7/czYJiUh/COU="}));
    for (stored, why) in [
        (String::new(), Broken::Form),
        ("null".to_owned(), Broken::Form),
        (sealed[..sealed.len() / 2].to_owned(), Broken::Form),
        ("[".repeat(60_000), Broken::Form),
        (" ".repeat(70_000), Broken::Form),
        (stranger.copy(&revoked), Broken::Generation),
        (sealed.replace("\"revoked\":true", "\"revoked\":false"), Broken::Mac),
        (sealed.replace("-first", "-other"), Broken::Mac),
        (world.copy(&other.record), Broken::Mac),
    ] {
        let verdict = copy(&mut world, &key.record.id, &stored);
        assert_eq!(verdict, CopyVerdict::Broken(why), "{}", &stored[..stored.len().min(80)]);
        assert_eq!(world.ask(&get(&key)).verdict(), "need record");
    }
    assert_eq!(world.gate.cached_keys(), 0);
}

#[test]
fn a_changed_key_is_asked_for_again_and_an_unchanged_one_is_not() {
    let mut world = world();
    let (key, other) = (world.issue(1, |_| {}), world.issue(2, |_| {}));
    assert_eq!(world.verdict(&get(&key)), "200");
    assert_eq!(world.verdict(&get(&other)), "200");
    world.change(&key.record.id, |record| record.scopes.clear());
    world.refresh(NOW);
    assert_eq!(world.ask(&get(&other)).verdict(), "200");
    assert_eq!(world.ask(&get(&key)).verdict(), "need record");
    assert_eq!(world.verdict(&get(&key)), "403 insufficient_scope");
}

#[test]
fn an_answer_about_a_key_that_was_overtaken_by_a_change_is_not_used() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    let (old, at) = (key.record.clone(), world.position());
    world.change(&key.record.id, |record| record.revoked = true);
    world.refresh(NOW);
    // Asked before the revocation, answered after it.
    assert!(!world.gate.apply_record(&key.record.id, Some(old.clone()), &at, NOW));
    assert_eq!(world.ask(&get(&key)).verdict(), "need record");
    assert_eq!(world.verdict(&get(&key)), "401 revoked_key");
    assert!(!world.gate.apply_record(&key.record.id, Some(old), &at, NOW));
    assert!(!world.gate.apply_record(&key.record.id, None, &at, NOW));
    assert_eq!(world.verdict(&get(&key)), "401 revoked_key");
}

#[test]
fn an_answer_of_another_epoch_makes_the_gate_ask_what_has_changed() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    let mut at = world.position();
    at.epoch = keyward_key::epoch::Epoch::new(after(1), "other");
    assert!(!world.gate.apply_record(&key.record.id, Some(key.record.clone()), &at, NOW));
    assert_eq!(world.ask(&get(&key)).verdict(), "need changes");
}

#[test]
fn that_there_is_no_such_key_is_remembered_for_a_second_and_only_until_the_next_change() {
    let mut world = world();
    let key = Key::live(&world.config, 1);
    assert_eq!(world.verdict(&get(&key)), "401 invalid_key");
    assert_eq!(world.at(999).ask(&get(&key)).verdict(), "401 invalid_key");
    assert_eq!(world.at(1_000).ask(&get(&key)).verdict(), "need record");
    assert_eq!(world.verdict(&get(&key)), "401 invalid_key");
    assert_eq!(world.reads, 2);
    // Issued a moment ago, and told of: it works at once.
    world.authority.insert(key.record.id.clone(), key.record.clone());
    world.change(&key.record.id, |_| {});
    world.refresh(after(1_000));
    assert_eq!(world.verdict(&get(&key)), "200");
}

#[test]
fn an_answer_that_there_is_no_such_key_never_hides_a_record() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    assert_eq!(world.verdict(&get(&key)), "200");
    let at = world.position();
    assert!(world.gate.apply_record(&key.record.id, None, &at, NOW));
    assert_eq!(world.verdict(&get(&key)), "200");
}

#[test]
fn look_ups_are_limited_so_that_an_outage_of_kv_is_none_of_the_authority() {
    let mut world = world();
    let allowed =
        |world: &mut World, at: i64| (0..200).filter(|_| world.gate.may_look_up(&world.config, after(at))).count();
    assert_eq!(allowed(&mut world, 0), 50);
    assert_eq!(allowed(&mut world, 1_000), 50);
    world.gate.record_failure(after(2_000));
    assert_eq!(allowed(&mut world, 2_000), 0, "a silent authority is left alone");
    assert_eq!(allowed(&mut world, 3_000), 50);
}

fn id(number: u32) -> KeyId {
    KeyId::parse(&format!("wafl_live_{number:012}")).unwrap()
}

#[test]
fn memory_is_bounded_and_the_least_recently_used_go_first() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    let evicted = world.issue(2, |_| {});
    world.answer(&key.record.id, NOW);
    world.answer(&evicted.record.id, NOW);
    let at = world.position();
    for number in 0..10_000_u32 {
        world.gate.apply_record(&id(number), None, &at, NOW);
        if number % 1_000 == 0 {
            assert_eq!(world.ask(&get(&key)).verdict(), "200");
        }
    }
    assert_eq!(world.gate.cached_keys(), 10_000);
    assert_eq!(world.ask(&get(&key)).verdict(), "200");
    assert_eq!(world.ask(&get(&evicted)).verdict(), "need record");
}

#[test]
fn a_million_unknown_ids_leave_memory_flat() {
    let mut world = world();
    let at = world.position();
    for number in 0..1_000_000 {
        world.gate.apply_record(&id(number), None, &at, NOW);
    }
    assert_eq!(world.gate.cached_keys(), 10_000);
}

#[test]
fn networks_count_too_and_come_free_with_their_keys() {
    let mut world = world();
    let at = world.position();
    let key = world.issue(1, |_| {});
    let with_networks = |number: u32, revision: u64| Record {
        id: id(number),
        allowed_cidrs: (0..1_000_u32)
            .map(|low| format!("10.{}.{}.0/24", low / 250, low % 250).parse().unwrap())
            .collect(),
        revision,
        ..key.record.clone()
    };
    for number in 0..300 {
        world.gate.apply_record(&id(number), Some(with_networks(number, 5)), &at, NOW);
    }
    assert_eq!(world.gate.cached_keys(), 200, "two hundred thousand networks");
    // A change takes the record out, and its networks with it.
    for number in 0..300 {
        world.authority.insert(id(number), with_networks(number, 5));
        world.change(&id(number), |_| {});
    }
    world.refresh(NOW);
    assert_eq!(world.gate.cached_keys(), 0);
    let at = world.position();
    for number in 0..200 {
        world.gate.apply_record(&id(number), Some(with_networks(number, 400)), &at, NOW);
    }
    assert_eq!(world.gate.cached_keys(), 200);
}
