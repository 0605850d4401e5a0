//! The cache of keys: which copies and answers it accepts, and its bounds.

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

/// Applies a copy from KV.
fn copy(world: &mut World, id: &KeyId, stored: &str) -> CopyVerdict {
    world.gate.apply_copy(&world.config, id, stored, world.now)
}

#[test]
fn a_copy_is_used_if_no_later_change_is_known() {
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
            // A revocation is final, so the copy suffices: its hash distinguishes the holder from others.
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
    assert_eq!(copy(&mut world, &key.record.id, &stored), CopyVerdict::Confirm, "it may belong to a lost history");
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
fn no_copy_is_used_before_the_first_feed_answer() {
    let mut world = World::new(&json!({}));
    let key = world.issue(1, |_| {});
    let stored = world.copy(&key.record);
    assert_eq!(copy(&mut world, &key.record.id, &stored), CopyVerdict::Confirm);
    assert_eq!(world.ask(&get(&key)).verdict(), "need changes");
}

#[test]
fn a_revoked_copy_is_used_and_an_expired_one_confirmed() {
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
fn a_broken_copy_counts_as_absent() {
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
fn only_a_changed_key_is_looked_up_again() {
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
fn a_lookup_overtaken_by_a_change_is_not_used() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    let (old, at) = (key.record.clone(), world.position());
    world.change(&key.record.id, |record| record.revoked = true);
    world.refresh(NOW);
    // The lookup began before the revocation and ends after it.
    assert!(!world.gate.apply_record(&key.record.id, Some(old.clone()), &at, NOW));
    assert_eq!(world.ask(&get(&key)).verdict(), "need record");
    assert_eq!(world.verdict(&get(&key)), "401 revoked_key");
    assert!(!world.gate.apply_record(&key.record.id, Some(old), &at, NOW));
    assert!(!world.gate.apply_record(&key.record.id, None, &at, NOW));
    assert_eq!(world.verdict(&get(&key)), "401 revoked_key");
}

#[test]
fn a_lookup_of_another_epoch_triggers_a_feed_query() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    let mut at = world.position();
    at.epoch = keyward_key::epoch::Epoch::new(after(1), "other");
    assert!(!world.gate.apply_record(&key.record.id, Some(key.record.clone()), &at, NOW));
    assert_eq!(world.ask(&get(&key)).verdict(), "need changes");
}

#[test]
fn a_negative_answer_is_cached_for_a_second_or_until_the_next_change() {
    let mut world = world();
    let key = Key::live(&world.config, 1);
    assert_eq!(world.verdict(&get(&key)), "401 invalid_key");
    assert_eq!(world.at(999).ask(&get(&key)).verdict(), "401 invalid_key");
    assert_eq!(world.at(1_000).ask(&get(&key)).verdict(), "need record");
    assert_eq!(world.verdict(&get(&key)), "401 invalid_key");
    assert_eq!(world.reads, 2);
    // A newly issued key works as soon as the feed reports the change.
    world.authority.insert(key.record.id.clone(), key.record.clone());
    world.change(&key.record.id, |_| {});
    world.refresh(after(1_000));
    assert_eq!(world.verdict(&get(&key)), "200");
}

#[test]
fn a_negative_answer_never_hides_a_record() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    assert_eq!(world.verdict(&get(&key)), "200");
    let at = world.position();
    assert!(world.gate.apply_record(&key.record.id, None, &at, NOW));
    assert_eq!(world.verdict(&get(&key)), "200");
}

#[test]
fn an_unreachable_authority_is_not_queried_for_a_moment() {
    let mut world = world();
    assert!(world.gate.may_query(&world.config, NOW));
    world.gate.record_failure(after(2_000));
    assert!(!world.gate.may_query(&world.config, after(2_999)));
    assert!(world.gate.may_query(&world.config, after(3_000)));
}

fn id(number: u32) -> KeyId {
    KeyId::parse(&format!("wafl_live_{number:012}")).unwrap()
}

#[test]
fn the_cache_is_bounded_and_evicts_the_least_recently_used_key() {
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
fn a_million_unknown_ids_use_bounded_memory() {
    let mut world = world();
    let at = world.position();
    for number in 0..1_000_000 {
        world.gate.apply_record(&id(number), None, &at, NOW);
    }
    assert_eq!(world.gate.cached_keys(), 10_000);
}

#[test]
fn networks_count_towards_the_cache_size_until_their_key_is_evicted() {
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
    assert_eq!(world.gate.cached_keys(), 200, "200,000 networks");
    // A change evicts the record with its networks.
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
