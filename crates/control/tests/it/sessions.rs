//! Sessions of the console at the edge: the cookie, where it signs in, and what its requests must look like.

use keyward_control::operation::{Access, BodyKind};
use keyward_control::{AccessFailure, Operation};
use keyward_testkit::gate_world::ClientRequest;
use serde_json::{Value, json};

use crate::test_plane::{BOOTSTRAP_TOKEN, Plane, TestReply, bearer, key_draft, post};

const API: &str = "https://api.example";

/// A deployment with a control host, and the credential of Ada, its owner.
fn deployment(changes: &Value) -> (Plane, String) {
    let mut vars = json!({"CONTROL_HOST": "gate.example"});
    vars.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let plane = Plane::new(&vars);
    let body = json!({"name": "Ada", "email": "ada@acme.example"});
    let made = plane.call(&post("v1/bootstrap").with("authorization", &bearer(BOOTSTRAP_TOKEN)), &body);
    assert_eq!(made.status, 201, "{}", made.text);
    (plane, made.json["api_key"].as_str().unwrap().to_owned())
}

fn begin(credential: &str) -> ClientRequest {
    post("v1/session").with("authorization", &bearer(credential))
}

/// The name and value of the cookie that a reply sets.
fn cookie_of(reply: &TestReply) -> String {
    reply.header("set-cookie").expect("a cookie").split(';').next().unwrap().to_owned()
}

fn signed_in() -> (Plane, String, String) {
    let (plane, owner) = deployment(&json!({}));
    let begun = plane.send(&begin(&owner), b"");
    assert_eq!(begun.status, 201, "{}", begun.text);
    let cookie = cookie_of(&begun);
    plane.platform.messages.borrow_mut().clear();
    (plane, owner, cookie)
}

fn get(cookie: &str, path: &str) -> ClientRequest {
    ClientRequest::new(&format!("GET /_keyward/{path}")).with("cookie", cookie)
}

/// A write as the console's page sends it.
fn write(cookie: &str, method: &str, path: &str) -> ClientRequest {
    ClientRequest::new(&format!("{method} /_keyward/{path}"))
        .with("cookie", cookie)
        .with("sec-fetch-site", "same-origin")
        .with("origin", "https://gate.example")
        .with("keyward-console", "1")
}

#[test]
fn a_browser_signs_in_acts_and_signs_out() {
    let (plane, _, cookie) = signed_in();
    let shown = plane.send(&get(&cookie, "v1/session"), b"");
    assert_eq!((shown.status, &shown.json["signed_in_by"]), (200, &json!("session")), "{}", shown.text);
    assert_eq!(shown.json["member"]["role"], "owner");
    assert_eq!(plane.send(&get(&cookie, "v1/me"), b"").status, 200);
    assert_eq!(plane.call(&write(&cookie, "POST", "v1/keys"), &key_draft("crm")).status, 201);
    let ended = plane.send(&write(&cookie, "DELETE", "v1/session"), b"");
    assert_eq!((ended.status, ended.text.as_str()), (204, ""));
    let forgets = "__Host-keyward=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0";
    assert_eq!(ended.header("set-cookie"), Some(forgets));
    let replayed = plane.send(&get(&cookie, "v1/me"), b"");
    assert_eq!(replayed.verdict(), "401 session_ended");
    assert_eq!(replayed.header("set-cookie"), Some(forgets));
    assert_eq!(plane.call(&write(&cookie, "POST", "v1/keys"), &key_draft("shop")).verdict(), "401 session_ended");
}

#[test]
fn the_cookie_is_strict_and_its_text_is_in_no_message_and_no_log() {
    let (plane, owner) = deployment(&json!({}));
    let begun = plane.send(&begin(&owner), b"");
    let set = begun.header("set-cookie").unwrap();
    assert!(
        set.starts_with("__Host-keyward=") && set.ends_with("; Path=/; Secure; HttpOnly; SameSite=Strict"),
        "{set}"
    );
    let token = set.split(['=', ';']).nth(1).unwrap();
    assert_eq!(token.len(), 40);
    assert!(!begun.text.contains(token));
    plane.send(&get(&format!("__Host-keyward={token}"), "v1/me"), b"");
    let told = format!("{:?} {:?}", plane.platform.messages.borrow(), plane.platform.log.borrow());
    assert!(!told.contains(token) && !told.contains(token.get(..32).unwrap()));
}

#[test]
fn a_change_by_session_comes_from_the_consoles_own_page() {
    let (plane, _, cookie) = signed_in();
    let plain = || ClientRequest::new("POST /_keyward/v1/keys").with("cookie", &cookie);
    let cases = [
        plain(),
        plain().with("keyward-console", "1"),
        plain().with("sec-fetch-site", "same-origin"),
        plain().with("sec-fetch-site", "none").with("keyward-console", "1"),
        plain().with("sec-fetch-site", "same-site").with("keyward-console", "1"),
        plain().with("sec-fetch-site", "cross-site").with("keyward-console", "1"),
        plain().with("sec-fetch-site", "same-origin, same-origin").with("keyward-console", "1"),
        plain().with("sec-fetch-site", "Same-Origin").with("keyward-console", "1"),
        plain().with("sec-fetch-site", "same-origin").with("keyward-console", "background"),
        plain().with("sec-fetch-site", "same-origin").with("keyward-console", "1, 1"),
        plain().with("sec-fetch-site", "same-origin").with("keyward-console", "true"),
        plain()
            .with("sec-fetch-site", "same-origin")
            .with("keyward-console", "1")
            .with("origin", "https://gate.example:8443"),
        plain()
            .with("sec-fetch-site", "same-origin")
            .with("keyward-console", "1")
            .with("origin", "http://gate.example"),
        plain().with("sec-fetch-site", "same-origin").with("keyward-console", "1").with("origin", "null"),
    ];
    for (number, case) in cases.iter().enumerate() {
        assert_eq!(plane.call(case, &key_draft("crm")).verdict(), "403 cross_site", "{number}");
    }
    let is_members = |operation: &&Operation| {
        let spec = operation.spec();
        matches!(spec.access, Access::Roles(_))
            && !matches!(spec.body, BodyKind::None | BodyKind::Form)
            && **operation != Operation::StartSession
    };
    for operation in Operation::ALL.iter().filter(is_members) {
        let path = operation.spec().path.replace("{id}", "wafl_live_000000000001");
        let request =
            ClientRequest::new(&format!("{} /_keyward/{path}", operation.spec().method)).with("cookie", &cookie);
        assert_eq!(plane.call(&request, &json!({})).verdict(), "403 cross_site", "{operation:?}");
    }
    assert_eq!(plane.asked(), 0);
    assert_eq!(plane.call(&write(&cookie, "POST", "v1/keys"), &key_draft("crm")).status, 201);
}

#[test]
fn a_page_of_another_site_reads_nothing_by_session() {
    let (plane, _, cookie) = signed_in();
    for site in ["cross-site", "same-site"] {
        assert_eq!(plane.send(&get(&cookie, "v1/keys").with("sec-fetch-site", site), b"").verdict(), "403 cross_site");
    }
    assert_eq!(plane.send(&get(&cookie, "v1/keys").with("sec-fetch-site", "same-origin"), b"").status, 200);
}

#[test]
fn a_session_is_none_on_a_host_of_the_gate_and_without_a_control_host() {
    let (plane, owner, cookie) = signed_in();
    let at_api = |request: ClientRequest| ClientRequest { base: API.to_owned(), ..request };
    for request in
        [get(&cookie, "v1/me"), get(&cookie, "v1/session"), begin(&owner), write(&cookie, "DELETE", "v1/session")]
    {
        assert_eq!(plane.send(&at_api(request), b"").verdict(), "404 no_route");
    }
    let verify = at_api(post("v1/verify").with("cookie", &cookie));
    assert_eq!(plane.call(&verify, &json!({"api_key": "x"})).verdict(), "401 missing_key");
    let beside = at_api(post("v1/verify").with("cookie", &cookie).with("authorization", &bearer(&owner)));
    assert_eq!(plane.call(&beside, &json!({"api_key": "x"})).status, 200, "the cookie does not count there");
    assert_eq!(plane.asked(), 1);

    let (plane, owner) = Plane::with_owner();
    assert_eq!(plane.send(&begin(&owner), b"").verdict(), "404 no_route");
    assert_eq!(plane.send(&get(&cookie, "v1/me"), b"").verdict(), "401 missing_key");
}

#[test]
fn two_credentials_are_refused_whichever_they_are() {
    let (plane, owner, cookie) = signed_in();
    let several = format!("{cookie}; {cookie}");
    let joined = format!("{cookie}, {}", cookie.replace('=', "=x"));
    for request in [
        get(&cookie, "v1/me").with("authorization", &bearer(&owner)),
        get("__Host-keyward=stale", "v1/me").with("authorization", &bearer(&owner)),
        get(&cookie, "v1/me").with("authorization", "Bearer nonsense"),
        get(&several, "v1/me"),
        get(&joined, "v1/me"),
    ] {
        assert_eq!(plane.send(&request, b"").verdict(), "400 ambiguous_credentials");
    }
    assert_eq!(plane.asked(), 0);
    let ours = get("a=b; __Host-keyward=", "v1/me").with("authorization", &bearer(&owner));
    assert_eq!(plane.send(&ours, b"").status, 200, "an empty cookie is none");
}

#[test]
fn a_stale_cookie_hinders_neither_a_sign_in_nor_the_bootstrap() {
    let (plane, owner, cookie) = signed_in();
    for stale in ["__Host-keyward=stale", "__Host-keyward=a; __Host-keyward=b", &cookie] {
        let begun = plane.send(&begin(&owner).with("cookie", stale), b"");
        assert_eq!(begun.status, 201, "{}", begun.text);
    }
    assert_eq!(
        plane.send(&get(&cookie, "v1/me"), b"").verdict(),
        "401 session_ended",
        "the browser's previous session"
    );
    let bootstrap = post("v1/bootstrap").with("authorization", &bearer(BOOTSTRAP_TOKEN)).with("cookie", &cookie);
    let body = json!({"name": "Eve", "email": "eve@acme.example"});
    assert_eq!(plane.call(&bootstrap, &body).verdict(), "409 already_bootstrapped");
}

#[test]
fn a_forged_token_costs_no_query_and_a_dead_one_costs_one() {
    let (plane, _, cookie) = signed_in();
    let ending = cookie.chars().last().unwrap();
    let forged = format!("{}{}", &cookie[..cookie.len() - 1], if ending == 'a' { 'b' } else { 'a' });
    for text in [forged.as_str(), "__Host-keyward=x", "__Host-keyward=0000000000000000000000000000000000000000"] {
        let refused = plane.send(&get(text, "v1/me"), b"");
        assert_eq!(refused.verdict(), "401 session_ended");
        assert!(refused.header("set-cookie").is_some_and(|set| set.ends_with("Max-Age=0")));
    }
    assert_eq!(plane.asked(), 0);
    plane.later(16 * 60_000);
    let verdicts: Vec<String> = (0..30).map(|_| plane.send(&get(&cookie, "v1/me"), b"").verdict()).collect();
    assert_eq!(verdicts[..20], ["401 session_ended"; 20]);
    assert_eq!(verdicts[20..], ["429 rate_limited"; 10]);
    assert_eq!(plane.asked(), 1);
}

#[test]
fn a_session_shows_the_credential_again_for_a_members_credential() {
    let (plane, owner, cookie) = signed_in();
    let manager = plane.member(&owner, "manager", &Value::Null);
    let body = json!({"name": "M", "email": "m@acme.example", "role": "manager", "environments": null});
    let create = || write(&cookie, "POST", "v1/members");
    for wrong in [
        create(),
        create().with("keyward-confirm", ""),
        create().with("keyward-confirm", "x"),
        create().with("keyward-confirm", &manager),
        create().with("keyward-confirm", &format!("{owner}, {owner}")),
        create().with("keyward-confirm", &bearer(&owner)),
    ] {
        assert_eq!(plane.call(&wrong, &body).verdict(), "403 confirmation_required");
    }
    let mut wrong = body.clone();
    wrong["role"] = json!("king");
    assert_eq!(plane.call(&create(), &wrong).verdict(), "400 invalid_request", "the body first");
    let made = plane.call(&create().with("keyward-confirm", &owner), &body);
    assert_eq!(made.status, 201, "{}", made.text);
    let rotate = format!("v1/members/{}/rotate", made.json["member"]["id"].as_str().unwrap());
    assert_eq!(plane.send(&write(&cookie, "POST", &rotate), b"").verdict(), "403 confirmation_required");
    assert_eq!(plane.send(&write(&cookie, "POST", &rotate).with("keyward-confirm", &owner), b"").status, 201);
    let messages = format!("{:?}", plane.platform.messages.borrow());
    assert!(!messages.contains(&owner), "only its hash is sent on");
}

#[test]
fn a_session_alone_gives_nobody_what_outlasts_it() {
    let (plane, owner, cookie) = signed_in();
    let limited = plane.member(&owner, "manager", &json!(["test"]));
    let id = plane.get("v1/me", &limited).json["id"].as_str().unwrap().to_owned();
    let change = || write(&cookie, "PATCH", &format!("v1/members/{id}"));
    for body in [
        json!({"email": "thief@elsewhere.example"}),
        json!({"role": "owner"}),
        json!({"environments": null}),
        json!({"environments": ["test", "live"]}),
        json!({"name": "Mia", "role": "owner"}),
    ] {
        assert_eq!(plane.call(&change(), &body).verdict(), "403 confirmation_required", "{body}");
    }
    for body in [json!({"name": "Mia"}), json!({"role": "auditor"}), json!({"expires_in_days": 30})] {
        assert_eq!(plane.call(&change(), &body).status, 200, "{body}");
    }
    let confirmed = change().with("keyward-confirm", &owner);
    let wider = json!({"email": "mia@acme.example", "role": "owner", "environments": null});
    assert_eq!(plane.call(&confirmed, &wider).status, 200);
    assert_eq!(plane.call(&change(), &json!({"environments": ["live"]})).status, 200, "narrower");
}

#[test]
fn access_signs_in_to_the_console_too_and_a_session_beside_it_decides() {
    let (plane, owner) = deployment(&json!({
        "ACCESS_TEAM_DOMAIN": "https://acme.cloudflareaccess.com", "ACCESS_AUDIENCE": "4714c135",
    }));
    *plane.platform.access.borrow_mut() = Ok("ada@acme.example".to_owned());
    let by_access = |request: ClientRequest| request.with("cf-access-jwt-assertion", "a.b.c");
    let shown = plane.send(&by_access(ClientRequest::new("GET /_keyward/v1/session")), b"");
    assert_eq!(
        (shown.status, &shown.json["signed_in_by"], &shown.json["expires_at"]),
        (200, &json!("access"), &Value::Null)
    );
    let begun = plane.send(&by_access(post("v1/session")).with("keyward-console", "1"), b"");
    assert_eq!((begun.status, begun.header("set-cookie")), (200, None), "Access signs in each request");
    let manager = plane.member(&owner, "manager", &Value::Null);
    let cookie = cookie_of(&plane.send(&by_access(begin(&manager)), b""));
    let me = |cookie: &str| plane.send(&by_access(get(cookie, "v1/me")), b"");
    assert_eq!(me(&cookie).json["role"], "manager");
    assert_eq!(plane.send(&by_access(write(&cookie, "DELETE", "v1/session")), b"").status, 204);
    assert_eq!(me(&cookie).verdict(), "401 session_ended", "an ended session is no sign-in through Access");
    assert_eq!(me("a=b").json["role"], "owner", "as soon as the browser has forgotten it");
    *plane.platform.access.borrow_mut() = Err(AccessFailure::Refused("Form".to_owned()));
    assert_eq!(me("a=b").verdict(), "401 invalid_key");
}

#[test]
fn one_credential_signs_in_ten_times_at_once_and_then_every_six_seconds() {
    let (plane, owner) = deployment(&json!({}));
    let count = || (0..20).filter(|_| plane.send(&begin(&owner), b"").status == 201).count();
    assert_eq!(count(), 10);
    let refused = plane.send(&begin(&owner), b"");
    assert_eq!((refused.verdict().as_str(), refused.header("retry-after")), ("429 rate_limited", Some("6")));
    plane.later(6_000);
    assert_eq!(count(), 1);
}

#[test]
fn a_session_of_each_role_may_do_what_the_role_may() {
    let (plane, owner) = deployment(&json!({}));
    for (role, keys) in [("manager", 200), ("responder", 200), ("auditor", 200), ("verifier", 403)] {
        let credential = plane.member(&owner, role, &Value::Null);
        let cookie = cookie_of(&plane.send(&begin(&credential), b""));
        assert_eq!(plane.send(&get(&cookie, "v1/keys"), b"").status, keys, "{role}");
        assert_eq!(plane.send(&get(&cookie, "v1/session"), b"").json["member"]["role"], role);
    }
}

#[test]
fn settings_are_shown_without_secrets_to_owners_and_auditors() {
    let previous = "BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let (plane, owner) = deployment(&json!({"KEYWARD_SECRET_PREVIOUS": previous, "MAX_KEY_DAYS": "30"}));
    let shown = plane.get("v1/settings", &owner);
    assert_eq!(shown.status, 200, "{}", shown.text);
    for secret in [previous, BOOTSTRAP_TOKEN] {
        assert!(!shown.text.contains(secret));
    }
    let named = |name: &str| {
        let rows = shown.json["settings"].as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).unwrap().clone()
    };
    assert_eq!(
        (named("MAX_KEY_DAYS")["value"].clone(), named("MAX_KEY_DAYS")["default"].clone()),
        (json!(30), json!(365))
    );
    let secret = named("KEYWARD_SECRET");
    assert_eq!((&secret["value"], &secret["is_set"], &secret["secret"]), (&Value::Null, &json!(true), &json!(true)));
    assert!(shown.json["routes"].as_array().unwrap().iter().all(|route| route["access"].is_string()));
    assert!(shown.json["limits"].as_array().unwrap().len() > 10);
    assert_ne!(shown.json["versions"]["secret"], shown.json["versions"]["secret_previous"]);
    for (role, status) in [("manager", 403), ("responder", 403), ("auditor", 200), ("verifier", 403)] {
        let credential = plane.member(&owner, role, &Value::Null);
        assert_eq!(plane.get("v1/settings", &credential).status, status, "{role}");
    }
}

#[test]
fn an_incident_of_more_than_twenty_keys_by_session_needs_its_number_and_then_the_credential() {
    let (plane, owner, cookie) = signed_in();
    for number in 0..21 {
        plane.issue(&owner, &format!("i-{number}"));
        plane.later(100);
    }
    let open = || write(&cookie, "POST", "v1/incidents");
    let keys_owner = plane.get("v1/keys?limit=1", &owner).json["items"][0]["owner"].clone();
    let unconfirmed = json!({"owner": keys_owner, "kind": "other", "note": "x"});
    // The number comes first: without it nobody is asked for a credential.
    let refused = plane.call(&open().with("keyward-confirm", &owner), &unconfirmed);
    assert_eq!((refused.status, &refused.json["code"]), (409, &json!("confirmation_required")), "{}", refused.text);
    let mut confirmed = unconfirmed.clone();
    confirmed["confirm"] = json!("21 keys");
    for wrong in [open(), open().with("keyward-confirm", "x")] {
        let refused = plane.call(&wrong, &confirmed);
        assert_eq!((refused.status, &refused.json["code"]), (403, &json!("confirmation_required")), "{}", refused.text);
    }
    let active = plane.get("v1/keys?status=active&limit=200", &owner);
    assert_eq!(active.json["items"].as_array().unwrap().len(), 21, "a refusal revokes nothing");
    let opened = plane.call(&open().with("keyward-confirm", &owner), &confirmed);
    assert_eq!(opened.status, 201, "{}", opened.text);
    // Twenty keys or fewer need neither.
    let (key, _) = plane.issue(&owner, "one");
    let one = json!({"key_ids": [key["id"]], "kind": "other", "note": "x"});
    assert_eq!(plane.call(&open(), &one).status, 201);
}
