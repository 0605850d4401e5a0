//! The whole control plane: sign-in, roles, bodies, retries, streams, checkpoints, and an unreachable authority.

use keyward_control::operation::{Access, BodyKind};
use keyward_control::{AccessFailure, ControlReply, Operation};
use keyward_protocol::Role;
use keyward_testkit::gate_world::ClientRequest;
use serde_json::{Value, json};

use crate::test_plane::{BOOTSTRAP_TOKEN, Plane, bearer, key_draft, post, run};

fn request_for(operation: Operation, id: &str) -> ClientRequest {
    let spec = operation.spec();
    let request = ClientRequest::new(&format!("{} /_keyward/{}", spec.method, spec.path.replace("{id}", id)));
    match spec.body {
        BodyKind::None => request,
        BodyKind::Json | BodyKind::OptionalJson => request.with("content-type", "application/json"),
        BodyKind::Form => request.with("content-type", "application/x-www-form-urlencoded"),
    }
}

#[test]
fn every_operation_refuses_a_caller_without_a_credential() {
    // With a control host, which the console's operations need.
    let plane = Plane::new(&json!({"CONTROL_HOST": "gate.example"}));
    let signs_in = |access| !matches!(access, Access::KeyHolder | Access::Claimant);
    for operation in Operation::ALL.iter().copied().filter(|operation| signs_in(operation.spec().access)) {
        let reply = plane.send(&request_for(operation, "wafl_live_8Fh2kQ0sZp1L"), b"");
        assert_eq!(reply.status, 401, "{operation:?}: {}", reply.text);
        assert_eq!(plane.asked(), 0, "{operation:?}: a stranger costs no call of the registry");
    }
}

#[test]
fn every_operation_refuses_a_role_that_its_row_does_not_name() {
    let (plane, owner) = Plane::with_owner();
    for role in Role::ALL {
        // All operations with every role are more queries than an isolate has in a second.
        plane.later(1_000);
        let credential = plane.member(&owner, role.as_str(), &Value::Null);
        for operation in Operation::ALL.iter().copied() {
            let Access::Roles(_) = operation.spec().access else { continue };
            let request = request_for(operation, "wafl_live_8Fh2kQ0sZp1L").with("authorization", &bearer(&credential));
            // A wrong body or an absent key is answered only to a caller who may do the operation.
            let forbidden = plane.send(&request, b"!").verdict() == "403 forbidden";
            assert_eq!(forbidden, !operation.spec().access.admits(role), "{operation:?} {role:?}");
        }
    }
}

#[test]
fn the_bootstrap_token_creates_one_owner_and_nothing_else() {
    let (plane, owner) = Plane::with_owner();
    let body = json!({"name": "Eve", "email": "eve@acme.example"});
    let again = post("v1/bootstrap").with("authorization", &bearer(BOOTSTRAP_TOKEN));
    assert_eq!(plane.call(&again, &body).verdict(), "409 already_bootstrapped");
    assert_eq!(plane.call(&again, &json!({})).verdict(), "409 already_bootstrapped");
    assert_eq!(plane.get("v1/me", BOOTSTRAP_TOKEN).verdict(), "401 invalid_key");
    assert_eq!(plane.get("v1/me", &owner).json["role"], "owner");
}

#[test]
fn a_key_is_issued_shown_changed_rotated_and_revoked() {
    let (plane, owner) = Plane::with_owner();
    let (key, text) = plane.issue(&owner, "crm");
    let id = key["id"].as_str().unwrap();
    assert!(text.starts_with(id));
    assert_eq!(plane.get(&format!("v1/keys/{id}"), &owner).json, key);
    assert_eq!(plane.get("v1/keys?integration=crm", &owner).json["items"], json!([key]));
    let as_owner = |line: String| ClientRequest::new(&line).with("authorization", &bearer(&owner));
    let changed = plane.call(&as_owner(format!("PATCH /_keyward/v1/keys/{id}")), &json!({"purpose": "Another"}));
    assert_eq!((changed.status, &changed.json["key"]["purpose"]), (200, &json!("Another")));
    assert!(changed.json["effective_by"].is_string() && changed.json["guaranteed_by"].is_string());
    let rotated = plane.call(&as_owner(format!("POST /_keyward/v1/keys/{id}/rotate")), &json!({}));
    assert_eq!(rotated.status, 201, "{}", rotated.text);
    assert_eq!(rotated.json["retiring"]["id"], id);
    let successor = rotated.json["key"]["id"].as_str().unwrap();
    assert!(rotated.json["api_key"].as_str().unwrap().starts_with(successor));
    let revoked =
        plane.call(&as_owner(format!("POST /_keyward/v1/keys/{successor}/revoke")), &json!({"reason": "leaked"}));
    assert_eq!((revoked.status, &revoked.json["key"]["status"]), (200, &json!("revoked")));
    let messages = plane.platform.messages.borrow();
    assert!(!messages.iter().any(|(message, _)| message.to_string().contains(&text)), "the registry learns no key");
}

#[test]
fn a_message_says_whether_it_writes_and_only_a_read_is_repeated() {
    let (plane, owner) = Plane::with_owner();
    plane.issue(&owner, "crm");
    plane.get("v1/keys", &owner);
    plane.call(&post("v1/keys").with("authorization", &bearer(&owner)), &json!({}));
    let writes: Vec<bool> = plane.platform.messages.borrow().iter().map(|(_, writes)| *writes).collect();
    assert_eq!(writes, [true, false, false], "an issue, a list, and a wrong body");
    plane.platform.messages.borrow_mut().clear();
    plane.platform.reachable.set(false);
    let request = post("v1/keys").with("authorization", &bearer(&owner));
    assert_eq!(plane.call(&request, &key_draft("shop")).verdict(), "503 authority_unavailable");
    assert_eq!(plane.asked(), 1, "a write is asked for once");
    assert_eq!(plane.get("v1/keys", &owner).verdict(), "503 authority_unavailable");
    assert_eq!(plane.asked(), 3, "a read is repeated once");
    assert_eq!(plane.call(&request, &json!({})).verdict(), "503 authority_unavailable");
    assert!(plane.logged("authority_query_failed"));
}

#[test]
fn a_retry_gets_the_first_answer_with_the_same_credential() {
    let (plane, owner) = Plane::with_owner();
    let retry = post("v1/keys").with("authorization", &bearer(&owner)).with("idempotency-key", "one");
    let first = plane.call(&retry, &key_draft("crm"));
    let again = plane.call(&retry, &key_draft("crm"));
    assert_eq!((first.status, again.status), (201, 201), "{}", again.text);
    assert_eq!(first.json, again.json);
    assert_eq!(plane.call(&retry, &key_draft("shop")).verdict(), "422 idempotency_mismatch");
    assert_eq!(plane.get("v1/keys", &owner).json["items"].as_array().unwrap().len(), 1);
}

#[test]
fn a_collision_of_identifiers_mints_another() {
    let (plane, owner) = Plane::with_owner();
    plane.platform.next_seed.set(Some(1_000));
    let (first, _) = plane.issue(&owner, "crm");
    plane.platform.next_seed.set(Some(1_000));
    let (second, _) = plane.issue(&owner, "shop");
    assert_ne!(first["id"], second["id"]);
}

#[test]
fn a_body_is_refused_by_media_type_size_and_arrival() {
    let (plane, owner) = Plane::with_owner();
    let request = post("v1/keys").with("authorization", &bearer(&owner));
    assert_eq!(plane.send(&request, b"{}").verdict(), "415 unsupported_media_type");
    let request = request.with("content-type", "application/json");
    assert_eq!(plane.send(&request, &[b' '; 70_000]).verdict(), "413 body_too_large");
    *plane.platform.body.borrow_mut() = None;
    let ControlReply::Reply(reply) = plane.serve(&request) else { panic!("no reply") };
    assert_eq!(reply.status, 400);
    assert!(reply.body.contains("The body is incomplete"));
    assert_eq!(plane.asked(), 0);
}

#[test]
fn every_reply_over_https_asks_for_https_except_to_a_gateway() {
    let (plane, owner) = Plane::with_owner();
    let asks = |request: &ClientRequest| {
        let reply = match plane.serve(request) {
            ControlReply::Reply(reply) | ControlReply::OpenApi(reply) => reply,
            ControlReply::Lines(stream) => stream.head(),
            ControlReply::Console(_) => panic!("a file"),
        };
        reply.headers.contains(&("strict-transport-security", "max-age=31536000".to_owned()))
    };
    let audit = ClientRequest::new("GET /_keyward/v1/audit").with("authorization", &bearer(&owner));
    let lines = audit.clone().with("accept", "application/x-ndjson");
    let paths = ["health", "jwks.json", "openapi.json", "nothing", "v1/me", "problems/missing_key"];
    let requests = paths.map(|path| ClientRequest::new(&format!("GET /_keyward/{path}")));
    for request in requests.iter().chain([&audit, &lines]) {
        assert!(asks(request), "{}", request.line);
        let plain = ClientRequest { base: "http://gate.example".to_owned(), ..request.clone() };
        assert!(!asks(&plain), "{}", plain.line);
    }
    assert!(!asks(&ClientRequest::new("GET /_keyward/v1/authorize/v1/contacts")));
}

#[test]
fn access_signs_in_by_e_mail_address_and_an_outage_of_its_keys_is_503() {
    let plane = Plane::new(&json!({
        "ACCESS_TEAM_DOMAIN": "https://acme.cloudflareaccess.com",
        "ACCESS_AUDIENCE": "a".repeat(64),
        "CONTROL_HOST": "gate.example",
    }));
    let body = json!({"name": "Ada", "email": "ada@acme.example"});
    let made = plane.call(&post("v1/bootstrap").with("authorization", &bearer(BOOTSTRAP_TOKEN)), &body);
    assert_eq!(made.status, 201, "{}", made.text);
    let me = || plane.send(&ClientRequest::new("GET /_keyward/v1/me").with("cf-access-jwt-assertion", "a.b.c"), b"");
    assert_eq!(me().verdict(), "401 invalid_key");
    *plane.platform.access.borrow_mut() = Ok("ADA@acme.example".to_owned());
    assert_eq!(me().json["email"], "ada@acme.example");
    *plane.platform.access.borrow_mut() = Ok("nobody@acme.example".to_owned());
    assert_eq!(me().verdict(), "401 invalid_key");
    *plane.platform.access.borrow_mut() = Err(AccessFailure::Unavailable("timeout".to_owned()));
    assert_eq!(me().verdict(), "503 authority_unavailable");
}

#[test]
fn a_stream_of_the_log_has_every_entry_and_ends_with_a_revoked_member() {
    let (plane, owner) = Plane::with_owner();
    let auditor = plane.member(&owner, "auditor", &Value::Null);
    let lines = |credential: &str| {
        let request = ClientRequest::new("GET /_keyward/v1/audit")
            .with("authorization", &bearer(credential))
            .with("accept", "application/x-ndjson");
        match plane.serve(&request) {
            ControlReply::Lines(stream) => stream,
            ControlReply::Reply(reply) | ControlReply::OpenApi(reply) => panic!("{}", reply.body),
            ControlReply::Console(_) => panic!("a file"),
        }
    };
    let mut stream = lines(&owner);
    assert!(stream.head().headers.iter().any(|(_, value)| value == "application/x-ndjson"));
    let text = run(stream.next(&plane.platform, &plane.callers)).unwrap().unwrap();
    assert_eq!(text.lines().count(), 2);
    assert_eq!(run(stream.next(&plane.platform, &plane.callers)).unwrap(), None);

    for number in 0..1_100 {
        plane.later(10);
        plane.issue(&owner, &format!("i{number}"));
    }
    let mut stream = lines(&auditor);
    let first = run(stream.next(&plane.platform, &plane.callers)).unwrap().unwrap();
    assert!((900..=1_000).contains(&first.lines().count()), "a page has 1,000 entries or 1 MB");
    let id: String = auditor.split('_').take(3).collect::<Vec<_>>().join("_");
    let revoke = post(&format!("v1/members/{id}/revoke")).with("authorization", &bearer(&owner));
    assert_eq!(plane.call(&revoke, &json!({})).status, 200);
    let broken = run(stream.next(&plane.platform, &plane.callers)).unwrap_err();
    assert!(broken.contains("Unauthenticated"), "{broken}");
    let mut stream = lines(&owner);
    let mut count = 0;
    while let Some(lines) = run(stream.next(&plane.platform, &plane.callers)).unwrap() {
        count += lines.lines().count();
    }
    assert_eq!(count, 1_103);
}

#[test]
fn a_checkpoint_is_signed_and_the_key_that_verifies_it_is_published() {
    let (plane, owner) = Plane::with_owner();
    let note = plane.get("v1/audit/checkpoint", &owner);
    assert_eq!(note.status, 200);
    assert!(note.text.starts_with("keyward/wafl\n1\n") && note.text.contains("\n\n— keyward/wafl "), "{}", note.text);
    let key = plane.get("v1/audit/key", &owner);
    assert!(key.text.starts_with("keyward/wafl+"), "{}", key.text);
    let limited = plane.member(&owner, "auditor", &json!(["test"]));
    for path in ["v1/audit", "v1/audit/checkpoint", "v1/audit/key"] {
        assert_eq!(plane.get(path, &limited).verdict(), "403 forbidden", "{path}");
    }
}

#[test]
fn everyone_who_reads_keys_sees_which_routes_a_scope_opens() {
    let (plane, owner) = Plane::with_owner();
    let auditor = plane.member(&owner, "auditor", &json!(["test"]));
    let shown = plane.get("v1/routes", &auditor);
    assert_eq!(shown.status, 200);
    let rows = shown.json["items"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["scope"] == "contacts:read" && row["access"] == "key"), "{}", shown.text);
    assert!(rows.iter().all(|row| row["match"].as_str().is_some_and(|text| text.contains(" /"))), "{}", shown.text);
    let verifier = plane.member(&owner, "verifier", &Value::Null);
    assert_eq!(plane.get("v1/routes", &verifier).verdict(), "403 forbidden");
}

#[test]
fn a_verifier_asks_about_keys_and_learns_no_more_than_the_verdict() {
    let (plane, owner) = Plane::with_owner();
    let verifier = plane.member(&owner, "verifier", &Value::Null);
    let elsewhere = plane.member(&owner, "verifier", &json!(["test"]));
    let (key, text) = plane.issue(&owner, "crm");
    let verify = |credential: &str, api_key: &str| {
        plane.call(&post("v1/verify").with("authorization", &bearer(credential)), &json!({"api_key": api_key})).json
    };
    assert_eq!(verify(&verifier, &text), json!({"valid": true, "key": key}));
    assert_eq!(verify(&elsewhere, &text), json!({"valid": false, "code": "invalid_key"}));
    assert_eq!(verify(&verifier, "nonsense"), json!({"valid": false, "code": "invalid_key"}));

    let introspect = |credential: &str, token: &str| {
        let request = post("oauth/introspect")
            .with("authorization", &bearer(credential))
            .with("content-type", "application/x-www-form-urlencoded");
        plane.send(&request, format!("token={token}").as_bytes())
    };
    assert_eq!(introspect(&verifier, &text).json["active"], true);
    assert_eq!(introspect(&verifier, "nonsense").json, json!({"active": false}));
    let refused = introspect(&text, &text);
    assert_eq!(refused.verdict(), "401 invalid_client");
    assert_eq!(refused.header("www-authenticate"), Some(r#"Bearer realm="keyward", error="invalid_token""#));
    let id: String = verifier.split('_').take(3).collect::<Vec<_>>().join("_");
    plane.call(&post(&format!("v1/members/{id}/revoke")).with("authorization", &bearer(&owner)), &json!({}));
    assert_eq!(introspect(&verifier, &text).verdict(), "401 invalid_client");
    assert_eq!(introspect(&verifier, "").verdict(), "401 invalid_client", "before anything about the body");
}

#[test]
fn a_holder_revokes_their_key_and_gets_the_same_answer_to_everything() {
    let (plane, owner) = Plane::with_owner();
    let (key, text) = plane.issue(&owner, "crm");
    let revoke = |token: &str| {
        let request = post("oauth/revoke").with("content-type", "application/x-www-form-urlencoded");
        plane.send(&request, format!("token={token}").as_bytes())
    };
    let nothing = revoke("nonsense");
    assert_eq!((nothing.status, nothing.text.as_str()), (200, ""));
    let asked = plane.asked();
    let first = revoke(&text);
    assert_eq!((first.status, first.text.as_str(), plane.asked()), (200, "", asked + 1));
    assert!(plane.logged("key_revoked_by_holder"));
    assert_eq!((revoke(&text).status, revoke(&owner).status), (200, 200));
    let shown = plane.get(&format!("v1/keys/{}", key["id"].as_str().unwrap()), &owner).json;
    assert_eq!((&shown["status"], &shown["revoked_by"]), (&json!("revoked"), &json!("holder")));
    let (_, other) = plane.issue(&owner, "shop");
    plane.platform.reachable.set(false);
    assert_eq!(revoke(&text).status, 200, "this isolate knows that the key is revoked for good");
    assert_eq!(revoke(&other).verdict(), "503 authority_unavailable");
}

#[test]
fn only_keys_of_this_deployment_count_against_the_limit_of_revocations() {
    let (plane, owner) = Plane::with_owner();
    let (_, text) = plane.issue(&owner, "crm");
    let revoke = |token: &str| {
        let request = post("oauth/revoke").with("content-type", "application/x-www-form-urlencoded");
        plane.send(&request, format!("token={token}").as_bytes())
    };
    let asked = plane.asked();
    for _ in 0..100 {
        assert_eq!(revoke("nonsense").status, 200);
    }
    assert_eq!(plane.asked(), asked);
    for _ in 0..20 {
        assert_eq!(revoke(&text).status, 200);
    }
    let limited = revoke(&text);
    assert_eq!((limited.status, plane.asked()), (429, asked + 1), "{}", limited.text);
    assert!(limited.header("retry-after").is_some());
    assert_eq!(revoke("nonsense").status, 200);
}

#[test]
fn a_leaked_key_is_revoked_however_a_file_or_header_held_it() {
    let (plane, owner) = Plane::with_owner();
    for (number, (before, after)) in
        [("", "%0A"), ("", "%0D%0A"), ("+", "+"), ("Bearer+", ""), ("%22", "%22"), ("%27Bearer+", "%27%0A")]
            .into_iter()
            .enumerate()
    {
        let (key, text) = plane.issue(&owner, &format!("i{number}"));
        let request = post("oauth/revoke").with("content-type", "application/x-www-form-urlencoded");
        assert_eq!(plane.send(&request, format!("token={before}{text}{after}").as_bytes()).status, 200);
        let shown = plane.get(&format!("v1/keys/{}", key["id"].as_str().unwrap()), &owner).json;
        assert_eq!(shown["status"], "revoked", "{before} {after}");
    }
}

#[test]
fn two_spellings_of_one_name_are_one_name() {
    let (plane, owner) = Plane::with_owner();
    let issue = |name: &str, integration: &str| {
        let mut draft = key_draft(integration);
        draft["name"] = json!(name);
        plane.call(&post("v1/keys").with("authorization", &bearer(&owner)), &draft)
    };
    assert_eq!(issue("Cafe\u{301}", "one").json["key"]["name"], "Café");
    assert_eq!(issue("Café", "two").verdict(), "409 name_taken");
    assert_eq!(issue("\u{200d}", "two").verdict(), "400 invalid_request");
}

#[test]
fn what_the_openapi_document_calls_an_integer_or_a_time_is_taken() {
    let (plane, owner) = Plane::with_owner();
    for (number, (field, value)) in [
        ("expires_in_days", "30.0"),
        ("expires_in_days", "3e1"),
        ("expires_at", r#""2026-12-23T15:02:03.004+01:00""#),
        ("expires_at", r#""2026-12-23t14:02:03.004z""#),
    ]
    .into_iter()
    .enumerate()
    {
        let draft = key_draft(&format!("i{number}")).to_string();
        let body = format!(r#"{},"{field}":{value}}}"#, draft.strip_suffix('}').unwrap());
        let request = post("v1/keys").with("authorization", &bearer(&owner)).with("content-type", "application/json");
        let made = plane.send(&request, body.as_bytes());
        assert_eq!(made.json["key"]["expires_at"], "2026-12-23T14:02:03.004Z", "{value}: {}", made.text);
    }
}

#[test]
fn published_documents_need_no_credential() {
    let plane = Plane::new(&json!({}));
    let get = |path: &str| plane.send(&ClientRequest::new(&format!("GET {path}")), b"");
    assert_eq!(get("/_keyward/health").json["status"], "ok");
    assert_eq!(get("/_keyward/jwks.json").json["keys"].as_array().unwrap().len(), 2);
    assert!(get("/_keyward/problems/no_route").text.contains("Advice about no_route."));
    assert_eq!(get("/_keyward/problems/nonsense").verdict(), "404 no_route");
    assert_eq!(get("/_keyward/nowhere").verdict(), "404 no_route");
    let metadata = get("/.well-known/oauth-authorization-server/_keyward").json;
    assert_eq!(metadata["issuer"], "https://gate.example/_keyward");
    assert_eq!(metadata["response_types_supported"], json!([]));
    assert_eq!(metadata["introspection_endpoint"], "https://gate.example/_keyward/oauth/introspect");
    assert_eq!(plane.asked(), 0);
}

#[test]
fn the_head_of_the_log_reads_no_page() {
    let (plane, owner) = Plane::with_owner();
    for accept in ["application/json", "application/x-ndjson"] {
        let request =
            ClientRequest::new("HEAD /_keyward/v1/audit").with("authorization", &bearer(&owner)).with("accept", accept);
        match plane.serve(&request) {
            ControlReply::Reply(reply) => assert_eq!(reply.status, 200),
            ControlReply::Lines(mut stream) => {
                assert_eq!(run(stream.next(&plane.platform, &plane.callers)), Ok(Some(String::new())));
                assert_eq!(run(stream.next(&plane.platform, &plane.callers)), Ok(None));
            }
            ControlReply::OpenApi(_) => panic!("the document"),
            ControlReply::Console(_) => panic!("a file"),
        }
    }
    assert_eq!(plane.asked(), 2);
}

#[test]
fn a_filtered_stream_has_the_entries_that_fit() {
    let (plane, owner) = Plane::with_owner();
    for number in 0..30 {
        plane.issue(&owner, &format!("i{number}"));
    }
    let count = |query: &str| {
        let request = ClientRequest::new(&format!("GET /_keyward/v1/audit?{query}"))
            .with("authorization", &bearer(&owner))
            .with("accept", "application/x-ndjson");
        let ControlReply::Lines(mut stream) = plane.serve(&request) else { panic!("no stream") };
        let mut count = 0;
        while let Some(lines) = run(stream.next(&plane.platform, &plane.callers)).unwrap() {
            count += lines.lines().count();
        }
        count
    };
    for (query, expected) in
        [("action=key.issue", 30), ("action=bootstrap", 1), ("action=x", 0), ("actor=holder&action=x", 0)]
    {
        assert_eq!(count(query), expected, "{query}");
        let page = plane.get(&format!("v1/audit?{query}"), &owner).json;
        assert_eq!(page["items"].as_array().unwrap().len(), expected);
        assert_eq!(page["next_cursor"], Value::Null);
    }
}

#[test]
fn a_refused_credential_of_this_deployment_is_named_in_the_log_and_its_address_only_as_a_digest() {
    let (plane, owner) = Plane::with_owner();
    let auditor = plane.member(&owner, "auditor", &Value::Null);
    let (_, key) = plane.issue(&owner, "crm");
    let id = |text: &str| text.split('_').take(3).collect::<Vec<_>>().join("_");
    plane
        .call(&post(&format!("v1/members/{}/revoke", id(&auditor))).with("authorization", &bearer(&owner)), &json!({}));
    let refused = |credential: &str, address: &str| {
        plane.platform.log.borrow_mut().clear();
        let request = ClientRequest::new("GET /_keyward/v1/me")
            .with("authorization", &bearer(credential))
            .with("cf-connecting-ip", address);
        assert_eq!(plane.send(&request, b"").status, 401);
        plane.platform.log.borrow().join("; ")
    };
    let line = refused(&auditor, "192.0.2.7");
    assert!(line.starts_with("operation_refused") && line.contains(&id(&auditor)), "{line}");
    assert!(line.contains("address_digest") && !line.contains("192.0.2.7"), "{line}");
    assert_eq!(line, refused(&auditor, "192.0.2.7"));
    assert_ne!(line, refused(&auditor, "192.0.2.8"));
    let asked = plane.asked();
    let line = refused(&key, "192.0.2.7");
    assert!(
        line.starts_with("sign_in_refused") && line.contains(&id(&key)) && line.contains("address_digest"),
        "{line}"
    );
    let line = refused("nonsense", "192.0.2.7");
    assert!(!line.contains("address_digest"), "{line}");
    assert_eq!(plane.asked(), asked, "neither costs a call");
}

#[test]
fn the_last_owner_whose_answer_was_lost_gets_their_new_credential_again() {
    let (plane, owner) = Plane::with_owner();
    let id: String = owner.split('_').take(3).collect::<Vec<_>>().join("_");
    let request = |credential: &str| {
        post(&format!("v1/members/{id}/rotate"))
            .with("authorization", &bearer(credential))
            .with("idempotency-key", "one")
    };
    let first = plane.call(&request(&owner), &json!({}));
    assert_eq!(first.status, 201, "{}", first.text);
    let again = plane.call(&request(&owner), &json!({}));
    assert_eq!((again.status, &again.json), (201, &first.json), "{}", again.text);
    let renewed = first.json["api_key"].as_str().unwrap();
    assert_eq!(plane.get("v1/me", renewed).status, 200);
    assert_eq!(plane.call(&request(&owner), &json!({})).verdict(), "401 invalid_key");
}

#[test]
fn a_retried_bootstrap_shows_the_same_credential() {
    let plane = Plane::new(&json!({}));
    let body = json!({"name": "Ada", "email": "ada@acme.example"});
    let request = post("v1/bootstrap").with("authorization", &bearer(BOOTSTRAP_TOKEN));
    let first = plane.call(&request.clone().with("idempotency-key", "one"), &body);
    let again = plane.call(&request.clone().with("idempotency-key", "one"), &body);
    assert_eq!((again.status, &again.json), (201, &first.json), "{}", again.text);
    assert_eq!(plane.call(&request, &body).verdict(), "409 already_bootstrapped");
    assert_eq!(plane.get("v1/me", first.json["api_key"].as_str().unwrap()).status, 200);
}
