//! How long an isolate may act on what it knows: the bound, the grace, and the ways around them that must not exist.

#[path = "support/entropy.rs"]
mod entropy;
#[path = "support/gate_world.rs"]
mod gate_world;

use gate_world::{Key, NOW, Outcome, Request, World};
use keyward::gate::{CopyVerdict, Gate};
use keyward::key::id::KeyId;
use keyward::key::record::Record;
use keyward::key::sealed::{Broken, seal};
use keyward::time::Millis;
use serde_json::json;

const BOUND: i64 = 5_000;
const GRACE: i64 = 60_000;

fn world() -> World {
    World::new(&json!({}))
}

fn get(key: &Key) -> Request {
    Request::new("GET /v1/contacts").key(key)
}

fn after(milliseconds: i64) -> Millis {
    Millis(NOW.0 + milliseconds)
}

/// Asks once, and says what the gate wants, without telling it anything.
fn asks(world: &mut World, at: i64, request: &Request) -> String {
    world.at(at).ask(request).verdict()
}

#[test]
fn a_record_is_asked_for_again_exactly_at_the_bound() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    let request = get(&key);
    assert!(matches!(world.ask(&request), Outcome::Need { first_use: true, .. }));
    world.answer(&key.record.id, NOW);
    assert_eq!(asks(&mut world, BOUND - 1, &request), "200");
    assert!(matches!(world.at(BOUND).ask(&request), Outcome::Need { first_use: false, .. }));
    world.answer(&key.record.id, after(BOUND));
    assert_eq!(asks(&mut world, 2 * BOUND - 1, &request), "200");
    assert_eq!(asks(&mut world, 2 * BOUND, &request), "need");
}

#[test]
fn the_bound_is_the_configured_one() {
    let mut world = World::new(&json!({"REVOCATION_BOUND_SECONDS": 1, "OUTAGE_GRACE_SECONDS": 0}));
    let key = world.issue(1, |_| {});
    world.answer(&key.record.id, NOW);
    assert_eq!(asks(&mut world, 999, &get(&key)), "200");
    assert_eq!(asks(&mut world, 1_000, &get(&key)), "need");
    world.gate.authority_silent(after(1_000));
    assert_eq!(asks(&mut world, 1_000, &get(&key)), "503 authority_unavailable");
}

#[test]
fn the_age_counts_from_the_question_and_not_from_the_answer() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    world.at(4_000).answer(&key.record.id, NOW);
    assert_eq!(asks(&mut world, BOUND - 1, &get(&key)), "200");
    assert_eq!(asks(&mut world, BOUND, &get(&key)), "need");
    // An answer that took longer than the bound is no answer.
    world.at(20_000).answer(&key.record.id, after(20_000 - BOUND));
    assert_eq!(asks(&mut world, 20_000, &get(&key)), "need");
}

#[test]
fn when_the_clock_steps_back_the_authority_is_asked_and_believed_again() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    world.answer(&key.record.id, NOW);
    assert_eq!(asks(&mut world, -1, &get(&key)), "need");
    assert_eq!(asks(&mut world, -3_600_000, &get(&key)), "need");
    world.answer(&key.record.id, after(-3_600_000));
    assert_eq!(asks(&mut world, -3_600_000, &get(&key)), "200");
    assert_eq!(asks(&mut world, -3_600_000 + BOUND, &get(&key)), "need");
    // While the authority is silent, a memory from the future is good for nothing.
    world.answer(&key.record.id, NOW);
    world.gate.authority_silent(after(-10));
    assert_eq!(asks(&mut world, -10, &get(&key)), "503 authority_unavailable");
    // A silence from the future doesn't keep the gate from asking.
    world.gate.authority_silent(NOW);
    assert_eq!(asks(&mut world, -10, &get(&key)), "need");
}

#[test]
fn what_was_learned_while_the_clock_was_ahead_is_not_fresh_again_when_the_clock_gets_there() {
    for in_flight in [false, true] {
        let mut world = world();
        let (key, other) = (world.issue(1, |_| {}), world.issue(2, |_| {}));
        world.at(3_600_000);
        if !in_flight {
            assert_eq!(world.verdict(&get(&key)), "200");
        }
        // The clock is set right by an hour. Some request comes; an answer that was under way arrives.
        world.at(0).send(&get(&other));
        if in_flight {
            world.answer(&key.record.id, after(3_600_000));
        }
        world.at(10).send(&get(&other));
        world.authority.get_mut(&key.record.id).unwrap().revoked = true;
        assert_eq!(world.at(3_600_000 + 2_000).verdict(&get(&key)), "401 revoked_key", "in flight: {in_flight}");
    }
}

#[test]
fn a_clock_that_wavers_by_milliseconds_costs_no_memory() {
    let mut world = world();
    let (key, other) = (world.issue(1, |_| {}), world.issue(2, |_| {}));
    world.send(&get(&key));
    world.at(60).send(&get(&other));
    assert_eq!(world.at(10).verdict(&get(&key)), "200");
    assert_eq!(world.gate.remembered(), 2);
}

#[test]
fn a_revoked_key_is_refused_from_the_next_question_on() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    assert_eq!(world.verdict(&get(&key)), "200");
    world.authority.get_mut(&key.record.id).unwrap().revoked = true;
    for (at, expected) in [(1, "200"), (BOUND - 1, "200"), (BOUND, "401 revoked_key")] {
        assert_eq!(world.at(at).verdict(&get(&key)), expected, "{at}");
    }
}

#[test]
fn while_the_authority_is_silent_the_grace_is_exact_to_the_millisecond() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    assert_eq!(world.verdict(&get(&key)), "200");
    world.silent = true;
    for (at, expected) in [
        (BOUND, "200"),
        (BOUND + GRACE - 1, "200"),
        (BOUND + GRACE, "503 authority_unavailable"),
        (BOUND + GRACE + 86_400_000, "503 authority_unavailable"),
    ] {
        assert_eq!(world.at(at).verdict(&get(&key)), expected, "{at}");
    }
}

#[test]
fn silence_revives_nothing() {
    let mut world = world();
    let revoked = world.issue(1, |record| record.revoked = true);
    let expiring = world.issue(2, |record| record.expires_at = after(BOUND + 1_000));
    let unknown = Key::live(&world.config, 3);
    let never_seen = world.issue(4, |_| {});
    for key in [&revoked, &expiring, &unknown] {
        world.send(&get(key));
    }
    world.silent = true;
    world.at(BOUND + 1_000);
    assert_eq!(world.verdict(&get(&revoked)), "401 revoked_key");
    assert_eq!(world.verdict(&get(&expiring)), "401 expired_key");
    assert_eq!(world.verdict(&get(&unknown)), "401 invalid_key");
    assert_eq!(world.verdict(&get(&never_seen)), "503 authority_unavailable");
}

#[test]
fn a_route_that_closes_on_outage_has_no_grace() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    let closed = Request::new("GET /v1/closed").key(&key);
    assert_eq!(world.verdict(&closed), "200");
    world.silent = true;
    assert_eq!(world.at(BOUND - 1).verdict(&closed), "200");
    assert_eq!(world.at(BOUND).verdict(&closed), "503 authority_unavailable");
    assert_eq!(world.verdict(&get(&key)), "200");
}

#[test]
fn a_silent_authority_is_asked_again_after_a_second_and_its_first_word_ends_the_silence() {
    let mut world = world();
    let (key, other) = (world.issue(1, |_| {}), world.issue(2, |_| {}));
    world.answer(&key.record.id, NOW);
    world.gate.authority_silent(after(BOUND));
    assert_eq!(asks(&mut world, BOUND + 999, &get(&key)), "200");
    assert_eq!(asks(&mut world, BOUND + 999, &get(&other)), "503 authority_unavailable");
    assert_eq!(asks(&mut world, BOUND + 1_000, &get(&key)), "need");
    assert_eq!(asks(&mut world, BOUND + 1_000, &get(&other)), "need");
    world.gate.authority_silent(after(BOUND + 1_000));
    assert_eq!(asks(&mut world, BOUND + 1_001, &get(&other)), "503 authority_unavailable");
    world.answer(&other.record.id, after(BOUND + 1_001));
    assert_eq!(asks(&mut world, BOUND + 1_001, &get(&other)), "200");
    assert_eq!(asks(&mut world, BOUND + 1_001, &get(&key)), "need", "past the bound, and the authority speaks");
}

#[test]
fn an_older_answer_never_takes_the_place_of_a_newer_one() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    let active = key.record.clone();
    let revoked = Record { revoked: true, revision: 11, ..active.clone() };
    let id = || key.record.id.clone();
    // Two requests ask, the first before the revocation, the second after it. The first one's answer comes last.
    world.gate.learn_record(id(), Some(revoked.clone()), after(3_000));
    world.gate.learn_record(id(), Some(active.clone()), NOW);
    assert_eq!(asks(&mut world, 4_000, &get(&key)), "401 revoked_key");
    assert_eq!(asks(&mut world, 3_000 + BOUND - 1, &get(&key)), "401 revoked_key");
    // The same where the first was told that there is no such key.
    world.gate.learn_record(id(), None, NOW);
    assert_eq!(asks(&mut world, 3_000 + BOUND - 1, &get(&key)), "401 revoked_key");
    // And where KV's copy was what told of the revocation.
    let mut other = Gate::default();
    let sealed = seal(&revoked, world.config.keyring.current()).unwrap();
    assert_eq!(other.learn_copy(&world.config, &key.record.id, &sealed, after(3_000)), CopyVerdict::Settled);
    other.learn_record(id(), Some(active.clone()), NOW);
    world.gate = other;
    assert_eq!(asks(&mut world, 4_000, &get(&key)), "401 revoked_key");
    // A copy asked for earlier does not hide what the authority said since.
    let scoped = Record { scopes: Vec::new(), revision: 12, ..active };
    world.gate.learn_record(id(), Some(Record { revision: 12, ..revoked }), after(4_000));
    let stale_copy = seal(&scoped, world.config.keyring.current()).unwrap();
    assert_eq!(world.gate.learn_copy(&world.config, &key.record.id, &stale_copy, NOW), CopyVerdict::Confirm);
    assert_eq!(asks(&mut world, 4_000, &get(&key)), "401 revoked_key");
}

#[test]
fn a_copy_from_kv_never_accepts_and_only_a_revoked_one_settles() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    let house = |record: &Record, world: &World| seal(record, world.config.keyring.current()).unwrap();
    for change in [
        (|_: &mut Record| {}) as fn(&mut Record),
        |record| record.expires_at = Millis(0),
        |record| record.scopes.clear(),
        |record| record.revision = u64::MAX,
    ] {
        let mut copy = key.record.clone();
        change(&mut copy);
        let sealed = house(&copy, &world);
        assert_eq!(world.gate.learn_copy(&world.config, &copy.id, &sealed, NOW), CopyVerdict::Confirm);
        assert_eq!(asks(&mut world, 0, &get(&key)), "need");
    }
    let sealed = house(&Record { revoked: true, ..key.record.clone() }, &world);
    assert_eq!(world.gate.learn_copy(&world.config, &key.record.id, &sealed, NOW), CopyVerdict::Settled);
    assert_eq!(asks(&mut world, 0, &get(&key)), "401 revoked_key");
}

#[test]
fn a_broken_copy_is_as_good_as_none() {
    let mut world = world();
    let (key, other) = (world.issue(1, |_| {}), world.issue(2, |record| record.revoked = true));
    let revoked = Record { revoked: true, ..key.record.clone() };
    let sealed = seal(&revoked, world.config.keyring.current()).unwrap();
    let stranger = gate_world::config(&json!({"KEYWARD_SECRET": "rkSKyGxOjk3sZFcpcI70GHOuecbf+E7/czYJiUh/COU="}));
    for (stored, why) in [
        (String::new(), Broken::Form),
        ("null".to_owned(), Broken::Form),
        (sealed[..sealed.len() / 2].to_owned(), Broken::Form),
        ("[".repeat(60_000), Broken::Form),
        (" ".repeat(70_000), Broken::Form),
        (seal(&revoked, stranger.keyring.current()).unwrap(), Broken::Generation),
        (sealed.replace("\"revoked\":true", "\"revoked\":false"), Broken::Mac),
        (seal(&other.record, world.config.keyring.current()).unwrap(), Broken::Mac),
    ] {
        let verdict = world.gate.learn_copy(&world.config, &key.record.id, &stored, NOW);
        assert_eq!(verdict, CopyVerdict::Broken(why), "{}", &stored[..stored.len().min(80)]);
        assert!(matches!(world.ask(&get(&key)), Outcome::Need { first_use: true, .. }));
    }
    assert_eq!(world.gate.remembered(), 0);
}

#[test]
fn an_id_the_authority_does_not_know_is_remembered_for_the_bound() {
    let mut world = world();
    let key = Key::live(&world.config, 1);
    assert_eq!(world.verdict(&get(&key)), "401 invalid_key");
    assert_eq!(world.at(BOUND - 1).verdict(&get(&key)), "401 invalid_key");
    assert_eq!(world.reads, 1);
    world.authority.insert(key.record.id.clone(), key.record.clone());
    assert_eq!(world.at(BOUND).verdict(&get(&key)), "200");
}

#[test]
fn two_isolates_each_keep_the_bound_by_their_own_clock() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    assert_eq!(world.verdict(&get(&key)), "200");
    // Another isolate asks four seconds later; its clock is an hour ahead. Neither's knowledge is the other's.
    let first = std::mem::take(&mut world.gate);
    assert_eq!(world.at(3_600_000).verdict(&get(&key)), "200");
    world.authority.get_mut(&key.record.id).unwrap().revoked = true;
    assert_eq!(asks(&mut world, 3_600_000 + BOUND - 1, &get(&key)), "200");
    assert_eq!(world.at(3_600_000 + BOUND).verdict(&get(&key)), "401 revoked_key");
    world.gate = first;
    assert_eq!(asks(&mut world, BOUND - 1, &get(&key)), "200");
    assert_eq!(world.at(BOUND).verdict(&get(&key)), "401 revoked_key");
}

#[test]
fn memory_is_bounded_and_the_least_recently_used_go_first() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    let evicted = world.issue(2, |_| {});
    world.answer(&key.record.id, NOW);
    world.answer(&evicted.record.id, NOW);
    for number in 0..10_000_u32 {
        world.gate.learn_record(id(number), None, NOW);
        if number % 1_000 == 0 {
            assert_eq!(world.ask(&get(&key)).verdict(), "200");
        }
    }
    assert_eq!(world.gate.remembered(), 10_000);
    assert_eq!(world.ask(&get(&key)).verdict(), "200");
    assert!(matches!(world.ask(&get(&evicted)), Outcome::Need { first_use: true, .. }));
}

#[test]
fn a_million_unknown_ids_leave_memory_flat() {
    let mut gate = Gate::default();
    for number in 0..1_000_000 {
        gate.learn_record(id(number), None, NOW);
    }
    assert_eq!(gate.remembered(), 10_000);
}

#[test]
fn a_key_with_a_thousand_networks_counts_for_more_than_one() {
    let mut world = world();
    let key = world.issue(1, |_| {});
    let networks: Vec<_> =
        (0..1_000).map(|n: u32| format!("10.{}.{}.0/24", n / 250, n % 250).parse().unwrap()).collect();
    for number in 0..1_000 {
        let record = Record { id: id(number), allowed_cidrs: networks.clone(), ..key.record.clone() };
        world.gate.learn_record(id(number), Some(record), NOW);
    }
    // 1,000 networks take about 20 KB: ten thousand such keys would be 200 MB, more than an isolate has.
    assert!(world.gate.remembered() <= 200, "{}", world.gate.remembered());
}

fn id(number: u32) -> KeyId {
    KeyId::parse(&format!("wafl_live_{number:012}")).unwrap()
}
