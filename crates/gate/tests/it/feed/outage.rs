//! The grace and the backoff while the authority is unreachable.

use super::*;

#[test]
fn while_the_authority_is_unreachable_the_grace_is_exact_to_the_millisecond() {
    let (mut world, key) = warm();
    world.unreachable = true;
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
fn during_the_grace_every_answer_states_the_age() {
    let (mut world, key) = warm();
    world.unreachable = true;
    let GateAnswer::Forward(plan) = world.at(12_345).send(&get(&key)) else { panic!("not forwarded") };
    assert_eq!(plan.answer.as_deref(), Some("keyward-authority\nunreachable; age=12\n"));
    let refused = world.send(&ClientRequest::new("POST /v1/contacts").key(&key));
    assert_eq!(refused.verdict(), "403 insufficient_scope");
    assert_eq!(refused.header("keyward-authority"), Some("unreachable; age=12"));
    world.unreachable = false;
    let GateAnswer::Forward(plan) = world.at(20_000).send(&get(&key)) else { panic!("not forwarded") };
    assert_eq!(plan.answer, None);
}

#[test]
fn an_outage_is_logged_once_a_minute() {
    let mut world = World::started(&json!({"OUTAGE_GRACE_SECONDS": 600}));
    let mut logged = Vec::new();
    for at in (0..200_000).step_by(500) {
        world.gate.record_failure(after(at));
        if let Some(age) = world.gate.outage_to_log(&world.config, after(at)) {
            logged.push(age);
        }
    }
    assert_eq!(logged, [5, 65, 125, 185]);
}

#[test]
fn an_outage_reactivates_no_key() {
    let mut world = world();
    let revoked = world.issue(1, |record| record.revoked = true);
    let expiring = world.issue(2, |record| record.expires_at = after(BOUND + 1_000));
    let unknown = Key::live(&world.config, 3);
    let never_seen = world.issue(4, |_| {});
    for key in [&revoked, &expiring, &unknown] {
        world.send(&get(key));
    }
    world.unreachable = true;
    world.at(BOUND + 1_000);
    assert_eq!(world.verdict(&get(&revoked)), "401 revoked_key");
    assert_eq!(world.verdict(&get(&expiring)), "401 expired_key");
    assert_eq!(world.verdict(&get(&unknown)), "503 authority_unavailable");
    assert_eq!(world.verdict(&get(&never_seen)), "503 authority_unavailable");
}

#[test]
fn a_route_that_closes_on_outage_has_no_grace() {
    let (mut world, key) = warm();
    assert_eq!(world.verdict(&closed(&key)), "200");
    world.unreachable = true;
    assert_eq!(world.at(BOUND - 1).verdict(&closed(&key)), "200");
    assert_eq!(world.at(BOUND).verdict(&closed(&key)), "503 authority_unavailable");
    assert_eq!(world.verdict(&get(&key)), "200");
}

#[test]
fn a_failure_longer_ago_than_the_bound_gives_no_grace() {
    let (mut world, key) = warm();
    world.gate.record_failure(after(BOUND));
    assert_eq!(decision(&mut world, BOUND, &get(&key)), "200");
    // Requests are accepted while a background refresh is due.
    assert_eq!(decision(&mut world, 2 * BOUND - 1, &get(&key)), "200");
    assert!(!world.gate.is_refresh_due(&world.config, after(BOUND + 999)), "no refresh in the backoff of one second");
    assert!(world.gate.is_refresh_due(&world.config, after(BOUND + 1_000)));
    // After a pause a refresh is required: the authority may have recovered long ago, and revoked a key.
    assert_eq!(decision(&mut world, 2 * BOUND, &get(&key)), "need changes");
}

#[test]
fn an_unreachable_authority_is_queried_after_a_second_and_its_first_answer_ends_the_outage() {
    let (mut world, key) = warm();
    let at = BOUND + GRACE;
    world.gate.record_failure(after(at));
    assert_eq!(decision(&mut world, at + 999, &get(&key)), "503 authority_unavailable");
    assert_eq!(decision(&mut world, at + 1_000, &get(&key)), "need changes");
    world.refresh(after(at + 1_000));
    assert_eq!(decision(&mut world, at + 1_000, &get(&key)), "200");
    world.gate.record_failure(after(at + 1_001));
    world.refresh(after(at + 1_002));
    assert_eq!(
        decision(&mut world, at + 1_002 + BOUND, &get(&key)),
        "need changes",
        "after the bound a refresh is required, because the authority answers"
    );
}

#[test]
fn with_a_short_bound_the_next_query_follows_the_last_failure_without_a_gap() {
    let mut world = World::new(&json!({"REVOCATION_BOUND_SECONDS": 1}));
    world.gate = Gate::new(GateSizes::default(), 255);
    let key = world.issue(1, |_| {});
    world.refresh(NOW);
    world.answer(&key.record.id, NOW);
    world.gate.record_failure(after(2_000));
    for (at, expected) in [(2_999, "200"), (3_000, "need changes")] {
        assert_eq!(decision(&mut world, at, &get(&key)), expected, "{at}");
    }
}
