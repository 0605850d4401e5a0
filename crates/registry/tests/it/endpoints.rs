//! Endpoints: their operations, tests, secrets, and what the events object reports.

use keyward_control::authority::{answer, apply};
use keyward_key::keyring::Generation;
use keyward_protocol::events::{
    EndpointNews, EndpointReport, EndpointStatus, EndpointTested, EndpointView, MAX_ENDPOINTS, News, StopReason,
};
use keyward_protocol::metrics::{LOG_EVENTS, Sample};
use keyward_protocol::{Caller, ControlRequest, Rejection, Request, RequestMeta, Response as RawResponse, Role};
use keyward_registry::audit::audit_after;
use keyward_registry::events::{EffectTimes, news};
use keyward_testkit::registry_world::*;
use serde_json::{Value as Json, json};

fn meta() -> RequestMeta {
    RequestMeta { request_id: "req-1".to_owned(), client_address: None }
}

/// Runs an operation and returns its outcome.
fn ask(world: &mut World, caller: Caller, operation: Operation, command: &Json) -> Result<Json, Rejection> {
    let control = ControlRequest {
        caller,
        request: meta(),
        operation: operation.as_str().to_owned(),
        writes: operation.spec().writes,
        command: Some(serde_json::value::to_raw_value(command).unwrap()),
        credential: None,
        idempotency: None,
        precondition: None,
        confirmation: None,
    };
    match apply(&mut world.store, &control, &world.policy, world.now).unwrap() {
        RawResponse::Done(outcome) => Ok(serde_json::from_str(outcome.get()).unwrap()),
        RawResponse::Refused(refused) => Err(refused),
        other => panic!("{other:?}"),
    }
}

fn tell(world: &mut World, request: Request) {
    let told = answer(&mut world.store, request, &world.policy, "abcdefghijklmnop", world.now).unwrap();
    assert!(matches!(told, RawResponse::EndpointsNoted), "{told:?}");
}

fn id(number: u32) -> String {
    format!("ep_{number:016}")
}

fn create_endpoint(number: u32) -> Json {
    json!({"id": id(number), "url": format!("https://hooks.example.com/T0/B0/s3cr3t{number}"), "description": "",
           "types": null, "environments": null, "hmac_under": null})
}

fn added(world: &mut World, number: u32) -> EndpointView {
    let outcome = ask(world, owner(), Operation::CreateEndpoint, &create_endpoint(number)).unwrap();
    serde_json::from_value(outcome["endpoint_created"]["endpoint"].clone()).unwrap()
}

/// Adds an endpoint with a secret that was replaced, and enables it.
pub fn add_with_secrets(world: &mut World) {
    let mut command = create_endpoint(1);
    command["hmac_under"] = json!("1f2e3d4c");
    command["types"] = json!(["key.*"]);
    command["environments"] = json!(["live"]);
    ask(world, owner(), Operation::CreateEndpoint, &command).unwrap();
    world.later(1);
    let rotate = json!({"id": id(1), "generation": "1f2e3d4c"});
    ask(world, owner(), Operation::RotateEndpointSecret, &rotate).unwrap();
    world.later(1);
    pass_test(world, 1);
}

fn view(world: &mut World, number: u32) -> EndpointView {
    let outcome = ask(world, owner(), Operation::ShowEndpoint, &json!({"id": id(number)})).unwrap();
    serde_json::from_value(outcome["endpoint"].clone()).unwrap()
}

fn change(world: &mut World, number: u32, changes: &Json) -> Result<Json, Rejection> {
    let mut command = json!({"id": id(number), "url": null, "description": null, "has_hmac": null,
                             "generation": "1f2e3d4c", "enabled": null});
    command.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    ask(world, owner(), Operation::UpdateEndpoint, &command)
}

fn pass_test(world: &mut World, number: u32) {
    let revision = view(world, number).revision;
    let tested = EndpointTested { id: id(number), revision, by: owner_id().as_str().to_owned(), request: meta() };
    tell(world, Request::EndpointTested(Box::new(tested)));
}

fn last_action(world: &mut World) -> String {
    audit_after(&mut world.store, 0, 1_000).unwrap().pop().unwrap().action
}

fn told(world: &mut World) -> News {
    news(&mut world.store, EffectTimes { bound_seconds: 5, grace_seconds: 60 }).unwrap().unwrap().0
}

#[test]
fn a_new_endpoint_is_pending_and_a_test_enables_it() {
    let mut world = World::with_owner();
    assert_eq!(added(&mut world, 1).status, EndpointStatus::Pending);
    assert_eq!(change(&mut world, 1, &json!({"enabled": true})), Err(Rejection::EndpointNotTested));
    assert_eq!(told(&mut world).endpoints[0].enabled_since, None);
    pass_test(&mut world, 1);
    let enabled = view(&mut world, 1);
    assert_eq!(enabled.status, EndpointStatus::Enabled);
    assert_eq!(last_action(&mut world), "endpoint.test");
    assert_eq!(told(&mut world).endpoints[0].enabled_since, Some(enabled.revision));
}

#[test]
fn a_test_of_an_endpoint_that_has_changed_since_enables_nothing() {
    let mut world = World::with_owner();
    let revision = added(&mut world, 1).revision;
    change(&mut world, 1, &json!({"url": "https://other.example.com/"})).unwrap();
    let tested = EndpointTested { id: id(1), revision, by: "m".to_owned(), request: meta() };
    tell(&mut world, Request::EndpointTested(Box::new(tested)));
    assert_eq!(view(&mut world, 1).status, EndpointStatus::Pending);
}

#[test]
fn another_address_must_be_tested_anew_and_other_changes_need_not() {
    let mut world = World::with_owner();
    added(&mut world, 1);
    pass_test(&mut world, 1);
    let since = told(&mut world).endpoints[0].enabled_since;
    change(&mut world, 1, &json!({"description": "Slack", "types": ["key.*"], "environments": ["live"]})).unwrap();
    assert_eq!(told(&mut world).endpoints[0].enabled_since, since, "it has missed no event");
    change(&mut world, 1, &json!({"url": "https://other.example.com/"})).unwrap();
    let changed = view(&mut world, 1);
    assert_eq!((changed.status, changed.tested_at), (EndpointStatus::Pending, None));
    assert_eq!(change(&mut world, 1, &json!({"enabled": true})), Err(Rejection::EndpointNotTested));
}

#[test]
fn a_change_to_the_present_values_writes_nothing() {
    let mut world = World::with_owner();
    added(&mut world, 1);
    let before = world.store.dump();
    change(&mut world, 1, &json!({"url": "https://hooks.example.com/T0/B0/s3cr3t1", "types": null, "has_hmac": false}))
        .unwrap();
    assert_eq!(world.store.dump(), before);
}

#[test]
fn disabling_and_enabling_moves_the_point_from_which_it_receives() {
    let mut world = World::with_owner();
    added(&mut world, 1);
    pass_test(&mut world, 1);
    let first = told(&mut world).endpoints[0].enabled_since;
    change(&mut world, 1, &json!({"enabled": false})).unwrap();
    let disabled = view(&mut world, 1);
    assert_eq!((disabled.status, disabled.disabled_reason.as_deref()), (EndpointStatus::Disabled, Some("member")));
    assert_eq!(told(&mut world).endpoints[0].enabled_since, None);
    change(&mut world, 1, &json!({"enabled": true})).unwrap();
    assert!(told(&mut world).endpoints[0].enabled_since > first);
}

#[test]
fn a_deleted_endpoint_is_gone_from_the_list_that_is_told() {
    let mut world = World::with_owner();
    added(&mut world, 1);
    ask(&mut world, owner(), Operation::DeleteEndpoint, &json!({"id": id(1)})).unwrap();
    assert_eq!(last_action(&mut world), "endpoint.delete");
    assert!(told(&mut world).endpoints.is_empty());
    let again = ask(&mut world, owner(), Operation::DeleteEndpoint, &json!({"id": id(1)}));
    assert_eq!(again, Err(Rejection::NotFound));
}

#[test]
fn a_replaced_secret_signs_for_a_day_and_no_table_holds_a_secret() {
    let mut world = World::with_owner();
    let mut command = create_endpoint(1);
    command["hmac_under"] = json!("1f2e3d4c");
    let outcome = ask(&mut world, owner(), Operation::CreateEndpoint, &command).unwrap();
    assert_eq!(outcome["endpoint_created"]["secret"], json!({"number": 1, "minted_under": "1f2e3d4c"}));
    world.later(60);
    let rotate = json!({"id": id(1), "generation": "aaaaaaaa"});
    let outcome = ask(&mut world, owner(), Operation::RotateEndpointSecret, &rotate).unwrap();
    let until = world.now.plus_seconds(DAY);
    assert_eq!(outcome["endpoint_secret_rotated"]["secret"]["number"], 2);
    assert_eq!(outcome["endpoint_secret_rotated"]["endpoint"]["previous_secret_until"], json!(until.rfc3339()));
    let secrets = told(&mut world).endpoints[0].secrets.clone();
    let generation = |text: &str| Generation::from_stored(text).unwrap();
    assert_eq!(secrets.len(), 2);
    assert_eq!((secrets[0].number, &secrets[0].minted_under, secrets[0].until), (2, &generation("aaaaaaaa"), None));
    assert_eq!(
        (secrets[1].number, &secrets[1].minted_under, secrets[1].until),
        (1, &generation("1f2e3d4c"), Some(until))
    );
    assert!(!world.store.dump().to_string().contains("whsec_"));
    // Without `v1` no secret signs, and a new one is made when it comes back.
    change(&mut world, 1, &json!({"has_hmac": false})).unwrap();
    assert!(told(&mut world).endpoints[0].secrets.is_empty());
    assert!(matches!(
        ask(&mut world, owner(), Operation::RotateEndpointSecret, &rotate),
        Err(Rejection::Invalid { field, .. }) if field == "signatures"
    ));
    let outcome = change(&mut world, 1, &json!({"has_hmac": true})).unwrap();
    assert_eq!(outcome["endpoint_updated"]["secret"]["number"], 3);
    assert_eq!(told(&mut world).endpoints[0].secrets.len(), 1, "the one before signs no more");
}

#[test]
fn the_log_shows_the_host_of_an_address_and_not_its_path() {
    let mut world = World::with_owner();
    added(&mut world, 1);
    pass_test(&mut world, 1);
    change(&mut world, 1, &json!({"url": "https://hooks.example.com/T0/B0/s3cr3t9"})).unwrap();
    ask(&mut world, owner(), Operation::DeleteEndpoint, &json!({"id": id(1)})).unwrap();
    let log = serde_json::to_string(&audit_after(&mut world.store, 0, 100).unwrap()).unwrap();
    assert!(log.contains("https://hooks.example.com/…") && !log.contains("s3cr3t"), "{log}");
    assert!(log.contains("url_changed"));
}

#[test]
fn an_endpoint_that_was_stopped_is_disabled_once_with_an_event_unless_it_has_changed() {
    let mut world = World::with_owner();
    added(&mut world, 1);
    pass_test(&mut world, 1);
    let revision = view(&mut world, 1).revision;
    let report = |revision| {
        let news = EndpointNews { id: id(1), revision, last_delivery_at: Some(NOW), stopped: Some(StopReason::Gone) };
        Request::EndpointReport(EndpointReport { endpoints: vec![news], counters: Vec::new() })
    };
    tell(&mut world, report(revision - 1));
    assert_eq!(view(&mut world, 1).status, EndpointStatus::Enabled, "the report is about an older form");
    tell(&mut world, report(revision));
    let stopped = view(&mut world, 1);
    assert_eq!((stopped.status, stopped.disabled_reason.as_deref()), (EndpointStatus::Disabled, Some("gone")));
    assert_eq!(stopped.last_delivery_at, Some(NOW.rfc3339()));
    let event = told(&mut world).events.pop().unwrap();
    assert_eq!(
        (event.kind.as_str(), &event.data["endpoint"], &event.data["reason"]),
        ("endpoint.disabled", &json!(id(1)), &json!("gone"))
    );
    let before = world.store.dump();
    tell(&mut world, report(revision));
    assert_eq!(world.store.dump(), before, "a report that arrives twice changes nothing");
}

#[test]
fn times_of_deliveries_only_grow_and_change_no_revision() {
    let mut world = World::with_owner();
    let revision = added(&mut world, 1).revision;
    for at in [NOW.plus_seconds(9), NOW] {
        let news = EndpointNews { id: id(1), revision, last_delivery_at: Some(at), stopped: None };
        tell(&mut world, Request::EndpointReport(EndpointReport { endpoints: vec![news], counters: Vec::new() }));
    }
    let shown = view(&mut world, 1);
    assert_eq!((shown.last_delivery_at, shown.revision), (Some(NOW.plus_seconds(9).rfc3339()), revision));
}

#[test]
fn counters_of_the_events_object_are_added_to_the_registrys_own() {
    let mut world = World::with_owner();
    let labels = [("event", "events_failed"), ("level", "error")];
    for _ in 0..2 {
        let counters = vec![Sample::new(LOG_EVENTS, &labels, 3)];
        tell(&mut world, Request::EndpointReport(EndpointReport { endpoints: Vec::new(), counters }));
    }
    let counted = keyward_registry::metrics::read(&mut world.store, NOW).unwrap();
    let counted = counted.iter().find(|sample| sample.family == LOG_EVENTS).unwrap();
    assert_eq!((counted.value, counted.labels.as_str()), (6, keyward_protocol::metrics::labels(&labels).as_str()));
}

#[test]
fn there_are_at_most_twenty_endpoints() {
    let mut world = World::with_owner();
    for number in 1..=MAX_ENDPOINTS {
        added(&mut world, number);
    }
    let refused = ask(&mut world, owner(), Operation::CreateEndpoint, &create_endpoint(99));
    assert!(matches!(refused, Err(Rejection::Invalid { field, .. }) if field == "url"));
    let list = ask(&mut world, owner(), Operation::ListEndpoints, &json!({})).unwrap();
    assert_eq!(list["endpoints"]["items"].as_array().unwrap().len(), 20);
}

#[test]
fn an_owner_with_a_limit_has_no_part_in_endpoints() {
    let mut world = World::with_owner();
    added(&mut world, 1);
    let limited = world.add_member(Role::Owner, Some(r#"["test"]"#));
    for (operation, command) in [
        (Operation::ListEndpoints, json!({})),
        (Operation::ShowEndpoint, json!({"id": id(1)})),
        (Operation::CreateEndpoint, create_endpoint(2)),
        (Operation::DeleteEndpoint, json!({"id": id(1)})),
        (Operation::TestEndpoint, json!({"id": id(1)})),
        (Operation::ListDeliveries, json!({})),
        (Operation::ResendDelivery, json!({"number": 1})),
    ] {
        assert_eq!(ask(&mut world, limited.clone(), operation, &command), Err(Rejection::Forbidden), "{operation:?}");
    }
}

#[test]
fn an_if_match_that_does_not_fit_changes_nothing() {
    let mut world = World::with_owner();
    let revision = added(&mut world, 1).revision;
    let stale = json!({"id": id(1), "if_match": [revision + 1]});
    let refused = ask(&mut world, owner(), Operation::DeleteEndpoint, &stale);
    assert_eq!(refused, Err(Rejection::PreconditionFailed));
    ask(&mut world, owner(), Operation::DeleteEndpoint, &json!({"id": id(1), "if_match": [revision]})).unwrap();
}
