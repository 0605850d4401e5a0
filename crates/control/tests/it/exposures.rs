//! Exposed keys: the request is refused as ever, and the authority records it after the answer.

use crate::test_plane::*;
use keyward_http::limits::{EXPOSURE_INTERVAL_MS, EXPOSURE_REPORTS_A_MINUTE};
use keyward_testkit::gate_world::ClientRequest;
use serde_json::{Value, json};

fn get(target: &str) -> ClientRequest {
    ClientRequest::new(&format!("GET {target}")).with("cf-connecting-ip", "192.0.2.7")
}

fn plain(mut request: ClientRequest) -> ClientRequest {
    request.base = request.base.replace("https", "http");
    request
}

fn exposures(plane: &Plane, owner: &str, id: &Value) -> Value {
    plane.get(&format!("v1/keys/{}/exposures", id.as_str().unwrap()), owner).json["items"].clone()
}

fn exposed_at(plane: &Plane, owner: &str, id: &Value) -> Value {
    plane.get(&format!("v1/keys/{}", id.as_str().unwrap()), owner).json["exposed_at"].clone()
}

fn reports(plane: &Plane) -> usize {
    plane.platform.messages.borrow().iter().filter(|(message, _)| message.get("expose").is_some()).count()
}

#[test]
fn a_genuine_key_in_a_url_from_a_browser_or_over_plain_http_is_recorded() {
    let (plane, owner) = Plane::with_owner();
    let (key, text) = plane.issue(&owner, "crm");
    let escaped = text.replace('_', "%5F");
    for (request, verdict, kind, route) in [
        (get(&format!("/v1/contacts?key={text}")), "400 key_in_url", "url", json!("GET /v1/contacts")),
        (
            get("/v1/contacts/7").with("x-api-key", &text).with("sec-fetch-site", "same-origin"),
            "403 browser_exposed",
            "browser",
            json!("GET /v1/contacts/*"),
        ),
        (
            plain(get("/v1/contacts")).with("authorization", &bearer(&text)),
            "403 insecure_transport",
            "http",
            json!("GET /v1/contacts"),
        ),
        (get(&format!("/nowhere?{escaped}")), "400 key_in_url", "url", Value::Null),
        (get(&format!("/_keyward/v1/keys/{text}")), "400 key_in_url", "url", Value::Null),
        (get(&format!("/_keyward/health?{text}")), "400 key_in_url", "url", Value::Null),
    ] {
        assert_eq!(plane.enter(&request), verdict);
        let found = exposures(&plane, &owner, &key["id"]);
        let at = plane.platform.now.get().rfc3339();
        assert_eq!(found[0], json!({"kind": kind, "at": at, "route": route, "network": "192.0.2.0/24"}), "{verdict}");
        assert_ne!(exposed_at(&plane, &owner, &key["id"]), Value::Null);
        plane.later(3_600_000);
    }
    assert_eq!(plane.enter(&get("/v1/contacts").with("x-api-key", &text)), "forwarded", "it still works");
}

#[test]
fn a_key_that_is_not_this_deployments_causes_no_message() {
    let (plane, owner) = Plane::with_owner();
    let (_, text) = plane.issue(&owner, "crm");
    plane.platform.messages.borrow_mut().clear();
    // The right form and check, and a wrong tag.
    let foreign = Plane::new(&json!({"KEYWARD_SECRET": "//////////////////////////////////////////8="}));
    let foreign = keyward_testkit::gate_world::Key::live(&foreign.config, 7).text;
    for request in [
        get(&format!("/v1/contacts?key={foreign}")),
        get("/v1/contacts").with("x-api-key", &foreign).with("sec-fetch-site", "none"),
        plain(get("/v1/contacts")).with("x-api-key", &foreign),
        get(&format!("/v1/contacts?key={}", &text[..text.len() - 1])),
        get("/v1/contacts").with("sec-fetch-site", "none"),
        plain(get("/v1/contacts")),
    ] {
        assert_ne!(plane.enter(&request), "forwarded");
    }
    assert_eq!(plane.asked(), 0);
}

#[test]
fn a_right_tag_on_another_secret_of_an_existing_key_flags_nobody() {
    let (plane, owner) = Plane::with_owner();
    let (key, _) = plane.issue(&owner, "crm");
    let config = &plane.config;
    let id = keyward_key::id::KeyId::parse(key["id"].as_str().unwrap()).unwrap();
    let forged =
        keyward_key::mint::mint_for(config.keyring.current(), id, &mut keyward_testkit::entropy::Seeded::new(99));
    let forged = forged.unwrap().api_key.expose().to_owned();
    assert_eq!(plane.enter(&get(&format!("/v1/contacts?{forged}"))), "400 key_in_url");
    assert_eq!(reports(&plane), 1, "only the authority knows the secret");
    assert_eq!(exposures(&plane, &owner, &key["id"]), json!([]));
    assert_eq!(exposed_at(&plane, &owner, &key["id"]), Value::Null);
}

#[test]
fn ten_thousand_exposed_requests_with_one_key_cost_one_message_a_minute() {
    let (plane, owner) = Plane::with_owner();
    let (_, text) = plane.issue(&owner, "crm");
    plane.platform.messages.borrow_mut().clear();
    let request = get(&format!("/v1/contacts?key={text}"));
    for _ in 0..10_000 {
        assert_eq!(plane.enter(&request), "400 key_in_url");
    }
    assert_eq!(plane.asked(), 1);
    plane.later(EXPOSURE_INTERVAL_MS);
    plane.enter(&request);
    assert_eq!(plane.asked(), 2);
    plane.later(-86_400_000);
    plane.enter(&request);
    assert_eq!(plane.asked(), 3, "the clock stepped back");
}

#[test]
fn exposed_requests_with_many_keys_cost_a_bounded_number_of_messages() {
    let (plane, _) = Plane::with_owner();
    for seed in 0..500 {
        let key = keyward_testkit::gate_world::Key::live(&plane.config, seed).text;
        plane.enter(&get(&format!("/v1/contacts?key={key}")));
    }
    assert_eq!(reports(&plane), EXPOSURE_REPORTS_A_MINUTE as usize);
    plane.later(60_000);
    let key = keyward_testkit::gate_world::Key::live(&plane.config, 499).text;
    plane.enter(&get(&format!("/v1/contacts?key={key}")));
    assert_eq!(reports(&plane), EXPOSURE_REPORTS_A_MINUTE as usize + 1, "what was not reported is reported later");
}

#[test]
fn several_keys_in_one_url_are_recorded() {
    let (plane, owner) = Plane::with_owner();
    let issued: Vec<_> = (0..3).map(|number| plane.issue(&owner, &format!("crm-{number}"))).collect();
    let texts: Vec<&str> = issued.iter().map(|(_, text)| text.as_str()).collect();
    plane.enter(&get(&format!("/v1/contacts?a={}&b=%20", texts.join("&a="))));
    assert_eq!(reports(&plane), 1);
    for (key, _) in &issued {
        assert_eq!(exposures(&plane, &owner, &key["id"])[0]["kind"], "url");
    }
}

#[test]
fn a_report_that_does_not_arrive_is_logged_and_made_again() {
    let (plane, owner) = Plane::with_owner();
    let (key, text) = plane.issue(&owner, "crm");
    let request = get(&format!("/v1/contacts?key={text}"));
    plane.platform.reachable.set(false);
    assert_eq!(plane.enter(&request), "400 key_in_url");
    assert!(plane.logged("exposure_report_failed"));
    plane.platform.reachable.set(true);
    plane.enter(&request);
    assert_eq!(exposures(&plane, &owner, &key["id"]).as_array().unwrap().len(), 1);
    assert!(!plane.platform.log.borrow().iter().any(|line| line.contains(&text)), "no key in the log");
}

#[test]
fn forward_auth_records_what_its_client_exposed() {
    let (plane, owner) = Plane::with_owner();
    let (key, text) = plane.issue(&owner, "crm");
    let judged = ClientRequest::new("GET /_keyward/v1/authorize")
        .with("x-original-method", "GET")
        .with("x-original-uri", "/v1/contacts/9")
        .with("x-api-key", &text)
        .with("sec-fetch-site", "cross-site");
    assert_eq!(plane.enter(&judged), "403 browser_exposed");
    let found = exposures(&plane, &owner, &key["id"]);
    // The client's address is unknown behind a gateway without a credential.
    assert_eq!((&found[0]["kind"], &found[0]["network"]), (&json!("browser"), &Value::Null));
    assert_eq!(found[0]["route"], "GET /v1/contacts/*");
}

#[test]
fn a_members_credential_in_a_url_or_from_another_sites_page_is_in_the_audit_log() {
    let (plane, owner) = Plane::with_owner();
    let manager = plane.member(&owner, "manager", &Value::Null);
    let cross_site = |request: ClientRequest| request.with("origin", "https://evil.example");
    let basic = {
        use base64::Engine as _;
        let id = manager.rsplit_once('_').unwrap().0;
        base64::engine::general_purpose::STANDARD.encode(format!("{id}:{manager}"))
    };
    for request in [
        get(&format!("/_keyward/v1/keys?token={manager}")),
        get(&format!("/v1/contacts?token={manager}")),
        cross_site(get("/_keyward/v1/keys")).with("authorization", &bearer(&manager)),
        cross_site(post("oauth/introspect")).with("authorization", &format!("Basic {basic}")),
        get("/_keyward/v1/me").with("authorization", &bearer(&manager)).with("sec-fetch-site", "cross-site"),
    ] {
        let before =
            plane.get("v1/audit?action=member.expose&limit=200", &owner).json["items"].as_array().unwrap().len();
        let verdict = plane.enter(&request);
        assert!(["400 key_in_url", "403 cross_site"].contains(&verdict.as_str()), "{verdict}");
        let after = plane.get("v1/audit?action=member.expose&limit=200", &owner).json["items"].clone();
        assert_eq!(after.as_array().unwrap().len(), before + 1, "{verdict}");
        assert!(!after.to_string().contains(&manager), "no credential in the log");
        plane.later(3_600_000);
    }
    assert_eq!(plane.get("v1/me", &manager).status, 200, "the credential works");
    let before = reports(&plane);
    plane.enter(&get("/_keyward/v1/me").with("authorization", &bearer(&manager)));
    plane.enter(&get("/_keyward/v1/me").with("sec-fetch-site", "cross-site"));
    assert_eq!(reports(&plane), before);
}

#[test]
fn an_exposure_is_dismissed_with_a_reason_and_counts_until_then() {
    let (plane, owner) = Plane::with_owner();
    let (key, text) = plane.issue(&owner, "crm");
    plane.enter(&get(&format!("/v1/contacts?key={text}")));
    let listed = |query: &str| plane.get(&format!("v1/keys?{query}"), &owner).json["items"].as_array().unwrap().len();
    assert_eq!((listed("exposed=true"), listed("exposed=false")), (1, 0));
    let path = format!("v1/keys/{}/dismiss-exposure", key["id"].as_str().unwrap());
    let dismiss = |body: Value| plane.call(&post(&path).with("authorization", &bearer(&owner)), &body);
    assert_eq!(dismiss(json!({})).verdict(), "400 invalid_request");
    let dismissed = dismiss(json!({"reason": "Our own test page"}));
    assert_eq!((dismissed.status, &dismissed.json["key"]["exposed_at"]), (200, &Value::Null));
    assert!(dismissed.header("etag").is_some());
    assert_eq!((listed("exposed=true"), listed("exposed=false")), (0, 1));
}

#[test]
fn an_exposed_key_is_quarantined_refused_released_and_quarantined_again() {
    let (plane, owner) = Plane::with_owner_of(&json!({"ON_EXPOSURE": {"url": "quarantine"}}));
    let (key, text) = plane.issue(&owner, "crm");
    let id = key["id"].as_str().unwrap();
    let plain_use = get("/v1/contacts").with("x-api-key", &text);
    let exposing = get(&format!("/v1/contacts?key={text}"));
    let call = |path: &str, body: Value| {
        plane.call(&post(&format!("v1/keys/{id}/{path}")).with("authorization", &bearer(&owner)), &body)
    };
    assert_eq!(plane.enter(&plain_use), "forwarded");
    for round in 0..2 {
        assert_eq!(plane.enter(&exposing), "400 key_in_url");
        plane.later(5_000);
        assert_eq!(plane.enter(&plain_use), "401 quarantined_key", "round {round}");
        let verify = plane.call(&post("v1/verify").with("authorization", &bearer(&owner)), &json!({"api_key": text}));
        assert_eq!((&verify.json["valid"], &verify.json["code"]), (&json!(false), &json!("quarantined_key")));
        let released = call("release", json!({"reason": "Our own test page"}));
        assert_eq!((released.status, &released.json["key"]["status"]), (200, &json!("active")));
        let effective = plane.platform.now.get().plus_seconds(5).rfc3339();
        assert_eq!(released.json["effective_by"], effective);
        plane.later(60_000);
        assert_eq!(plane.enter(&plain_use), "forwarded", "round {round}");
        assert_eq!(call("release", json!({"reason": "again"})).verdict(), "409 not_quarantined");
    }
    assert_eq!(call("release", json!({})).verdict(), "400 invalid_request");
}

#[test]
fn the_first_exposure_after_a_release_quarantines_again_however_soon_it_comes() {
    let (plane, owner) = Plane::with_owner_of(&json!({"ON_EXPOSURE": {"url": "quarantine"}}));
    let (key, text) = plane.issue(&owner, "crm");
    let id = key["id"].as_str().unwrap();
    let plain_use = get("/v1/contacts").with("x-api-key", &text);
    let exposing = get(&format!("/v1/contacts?key={text}"));
    for round in 0..3 {
        plane.enter(&exposing);
        plane.later(5_000);
        assert_eq!(plane.enter(&plain_use), "401 quarantined_key", "round {round}");
        let release = post(&format!("v1/keys/{id}/release")).with("authorization", &bearer(&owner));
        assert_eq!(plane.call(&release, &json!({"reason": "Our own test page"})).status, 200);
        plane.later(5_000);
        assert_eq!(plane.enter(&plain_use), "forwarded", "round {round}");
    }
    let before = reports(&plane);
    for _ in 0..100 {
        plane.enter(&exposing);
    }
    assert_eq!(reports(&plane), before + 1, "as ever, a key that has not changed is reported once a minute");
}

#[test]
fn a_quarantined_key_is_inactive_for_introspection_and_can_be_revoked_by_its_holder() {
    let (plane, owner) = Plane::with_owner_of(&json!({"ON_EXPOSURE": {"browser": "quarantine"}}));
    let (key, text) = plane.issue(&owner, "crm");
    plane.enter(&get("/v1/contacts").with("x-api-key", &text).with("sec-fetch-site", "none"));
    let form = |path: &str| {
        let request =
            post(path).with("authorization", &bearer(&owner)).with("content-type", "application/x-www-form-urlencoded");
        plane.send(&request, format!("token={text}").as_bytes())
    };
    assert_eq!(form("oauth/introspect").json, json!({"active": false}));
    assert_eq!(form("oauth/revoke").status, 200);
    let shown = plane.get(&format!("v1/keys/{}", key["id"].as_str().unwrap()), &owner);
    assert_eq!((&shown.json["status"], &shown.json["revoked_by"]), (&json!("revoked"), &json!("holder")));
}

#[test]
fn an_exposed_key_is_revoked_if_the_setting_says_so() {
    let (plane, owner) = Plane::with_owner_of(&json!({"ON_EXPOSURE": {"http": "revoke"}}));
    let (key, text) = plane.issue(&owner, "crm");
    plane.enter(&plain(get("/v1/contacts")).with("x-api-key", &text));
    let shown = plane.get(&format!("v1/keys/{}", key["id"].as_str().unwrap()), &owner).json;
    assert_eq!((&shown["status"], &shown["revoked_by"]), (&json!("revoked"), &json!("keyward")));
    assert_eq!(shown["revoke_reason"], "Exposed over plain HTTP");
}
