//! Lookups of keys for the gate.

use keyward_control::answer;
use keyward_key::id::{Environment, KeyId};
use keyward_protocol::{LookedUp, MAX_LOOKUP_KEYS, Request, Response};
use keyward_testkit::registry_world::{NOW, World, key_id, live};
use keyward_testkit::sqlite_store::Fault;

fn look_up(world: &mut World, ids: &[KeyId]) -> (Vec<LookedUp>, u64) {
    let request = Request::Lookup { ids: ids.to_vec() };
    match answer(&mut world.store, request, &world.policy, "r", NOW).unwrap() {
        Response::Records { records, at } => (records, at.revision),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lookup_answers_about_each_key_and_gives_the_position_of_the_authority() {
    let mut world = World::with_owner();
    let ids = [world.issue(1, live("crm")).id, key_id(Environment::Live, 9), world.issue(2, live("bot")).id];
    let (records, revision) = look_up(&mut world, &ids);
    assert_eq!(revision, 3);
    let found: Vec<_> = records.iter().map(|key| (key.id.clone(), key.record().unwrap().map(|r| r.id))).collect();
    let [first, absent, last] = ids;
    assert_eq!(found, [(first.clone(), Some(first)), (absent, None), (last.clone(), Some(last))]);
}

#[test]
fn a_row_that_cannot_be_read_leaves_the_other_keys_of_the_lookup_their_answers() {
    let mut world = World::with_owner();
    let ids = [world.issue(1, live("crm")).id, world.issue(2, live("bot")).id];
    let sql = format!("UPDATE keys SET scopes = 'broken' WHERE id = '{}'", ids[0].as_str());
    world.store.connection.execute_batch(&sql).unwrap();
    let (records, _) = look_up(&mut world, &ids);
    assert!(records[0].record().is_err(), "it is not \"no such key\"");
    assert!(records[1].record().unwrap().is_some());
}

#[test]
fn a_store_that_fails_answers_about_no_key() {
    let mut world = World::with_owner();
    let ids = vec![world.issue(1, live("crm")).id];
    for read in 1..=2 {
        world.store.fail_at(Some(Fault::Read(read)));
        let request = Request::Lookup { ids: ids.clone() };
        assert!(answer(&mut world.store, request, &world.policy, "r", NOW).is_err(), "read {read}");
    }
}

#[test]
fn an_answer_is_limited_in_keys_and_in_bytes_and_answers_at_least_one() {
    let mut world = World::with_owner();
    let absent: Vec<_> = (0..600).map(|number| key_id(Environment::Live, 1_000 + number)).collect();
    assert_eq!(look_up(&mut world, &absent).0.len(), MAX_LOOKUP_KEYS);
    let networks = (0..1_000).map(|n| format!("2001:db8:{n:x}:ffff:ffff:ffff:ffff:ffff/128")).collect::<Vec<_>>();
    let mut large = Vec::new();
    for number in 0..40 {
        let mut draft = live(&format!("i{number}"));
        draft.allowed_cidrs = networks.iter().map(|network| network.parse().unwrap()).collect();
        large.push(world.issue(number + 1, draft).id);
    }
    let (records, _) = look_up(&mut world, &large);
    assert!((1..40).contains(&records.len()), "{}", records.len());
    assert_eq!(look_up(&mut world, &large[..1]).0.len(), 1);
}
