//! Two hosts: the control plane is on `CONTROL_HOST`, and only the endpoints for the gate's callers are on every host.

use keyward_control::Operation;
use keyward_control::operation::ServedOn;
use keyward_testkit::gate_world::ClientRequest;
use serde_json::{Value, json};

use crate::test_plane::{BOOTSTRAP_TOKEN, Plane, TestReply, bearer, key_draft, post};

/// The host that [`ClientRequest`] has, so that the helpers of [`Plane`] reach the control plane.
const CONTROL: &str = "https://gate.example";
const API: &str = "https://api.example";

/// A deployment with sign-in through Access, whose assertions all name Ada, and the credential of Ada, its owner.
fn deployment() -> (Plane, String) {
    let plane = Plane::new(&json!({
        "CONTROL_HOST": "gate.example",
        "ACCESS_TEAM_DOMAIN": "https://acme.cloudflareaccess.com",
        "ACCESS_AUDIENCE": "4714c135",
    }));
    *plane.platform.access.borrow_mut() = Ok("ada@acme.example".to_owned());
    let body = json!({"name": "Ada", "email": "ada@acme.example"});
    let made = plane.call(&post("v1/bootstrap").with("authorization", &bearer(BOOTSTRAP_TOKEN)), &body);
    assert_eq!(made.status, 201, "{}", made.text);
    plane.platform.messages.borrow_mut().clear();
    (plane, made.json["api_key"].as_str().unwrap().to_owned())
}

fn at(base: &str, request: &ClientRequest) -> ClientRequest {
    ClientRequest { base: base.to_owned(), ..request.clone() }
}

fn get(plane: &Plane, base: &str, path: &str) -> TestReply {
    plane.send(&at(base, &ClientRequest::new(&format!("GET {path}"))), b"")
}

#[test]
fn on_the_gates_hosts_every_operation_of_members_is_absent_whoever_asks() {
    let (plane, owner) = deployment();
    let hosts = [API, "https://keyward.acme.workers.dev", "https://gate.example.evil"];
    for operation in Operation::ALL.iter().filter(|operation| operation.served_on() == ServedOn::ControlHost) {
        let spec = operation.spec();
        let path = spec.path.replace("{id}", "wafl_live_8Fh2kQ0sZp1L");
        let request =
            ClientRequest::new(&format!("{} /_keyward/{path}", spec.method)).with("content-type", "application/json");
        for base in hosts {
            for request in [
                request.clone(),
                request.clone().with("authorization", &bearer(&owner)),
                request.clone().with("authorization", &bearer(BOOTSTRAP_TOKEN)),
                request.clone().with("cf-access-jwt-assertion", "a.b.c"),
            ] {
                let reply = plane.send(&at(base, &request), b"{}");
                assert_eq!(reply.verdict(), "404 no_route", "{operation:?} {base}");
            }
        }
    }
    assert_eq!(plane.asked(), 0, "the registry is not asked");
    assert_eq!(get(&plane, API, "/_keyward/openapi.json").verdict(), "404 no_route");
    assert_eq!(get(&plane, CONTROL, "/_keyward/openapi.json").status, 200);
}

#[test]
fn what_origins_gateways_and_holders_use_is_on_both_hosts() {
    let (plane, owner) = deployment();
    let verifier = plane.member(&owner, "verifier", &Value::Null);
    let (_, key) = plane.issue(&owner, "crm");
    for base in [API, CONTROL] {
        for path in ["health", "jwks.json", "problems/no_route"] {
            assert_eq!(get(&plane, base, &format!("/_keyward/{path}")).status, 200, "{base} {path}");
        }
        let metadata = get(&plane, base, "/.well-known/oauth-authorization-server/_keyward");
        assert_eq!(metadata.json["revocation_endpoint"], format!("{base}/_keyward/oauth/revoke"));
        let as_verifier = |request: ClientRequest| at(base, &request.with("authorization", &bearer(&verifier)));
        let verified = plane.call(&as_verifier(post("v1/verify")), &json!({"api_key": key}));
        assert_eq!(verified.json["valid"], true, "{base}");
        let form = |path: &str| post(path).with("content-type", "application/x-www-form-urlencoded");
        let token = format!("token={key}");
        let introspected = plane.send(&as_verifier(form("oauth/introspect")), token.as_bytes());
        assert_eq!(introspected.json["active"], true, "{base}");
        let asked = ClientRequest::new("GET /_keyward/v1/authorize/v1/contacts").with("authorization", &bearer(&key));
        assert_eq!(plane.send(&at(base, &asked), b"").status, 200, "{base}");
        let other_method = ClientRequest::new("GET /_keyward/v1/verify");
        assert_eq!(plane.send(&at(base, &other_method), b"").verdict(), "405 method_not_allowed", "{base}");
    }
    let revoke = post("oauth/revoke").with("content-type", "application/x-www-form-urlencoded");
    assert_eq!(plane.send(&at(API, &revoke), format!("token={key}").as_bytes()).status, 200);
    assert!(plane.logged("key_revoked_by_holder"));
}

#[test]
fn a_script_on_a_page_of_the_api_can_not_use_the_sign_in_through_access() {
    let (plane, owner) = deployment();
    let body = json!({"name": "Eve", "email": "eve@acme.example", "role": "owner", "environments": null});
    let by_access = post("v1/members").with("cf-access-jwt-assertion", "a.b.c");
    let on_its_own_host = by_access.clone().with("origin", API).with("sec-fetch-site", "same-origin");
    assert_eq!(plane.call(&at(API, &on_its_own_host), &body).verdict(), "404 no_route");
    for site in ["same-site", "cross-site"] {
        let elsewhere = by_access.clone().with("origin", API).with("sec-fetch-site", site);
        assert_eq!(plane.call(&at(CONTROL, &elsewhere), &body).verdict(), "403 cross_site", "{site}");
    }
    let plain = ClientRequest { base: "http://gate.example".to_owned(), ..by_access.clone() };
    assert_eq!(plane.call(&plain, &body).verdict(), "403 insecure_transport");
    assert_eq!(plane.asked(), 0);
    assert_eq!(plane.get("v1/members", &owner).json["items"].as_array().unwrap().len(), 1);
    let on_the_control_host = by_access.with("origin", CONTROL).with("sec-fetch-site", "same-origin");
    assert_eq!(plane.call(&on_the_control_host, &body).status, 201, "a page of the control plane's own may");
}

#[test]
fn without_a_control_host_the_control_plane_is_on_every_host() {
    let (plane, owner) = Plane::with_owner();
    for base in [API, CONTROL, "https://gate.example."] {
        let issue = at(base, &post("v1/keys").with("authorization", &bearer(&owner)));
        let integration = format!("crm-{}", base.len());
        assert_eq!(plane.call(&issue, &key_draft(&integration)).status, 201, "{base}");
    }
}

#[test]
fn forward_auth_on_a_zone_route_is_asked_at_a_host_of_the_api() {
    let plane = Plane::new(&json!({
        "ORIGIN_LIVE": "route", "ROUTE_HOSTS": ["api.example"], "CONTROL_HOST": "gate.example",
    }));
    let public = |base: &str| plane.send(&at(base, &ClientRequest::new("GET /_keyward/v1/authorize/public/x")), b"");
    assert_eq!(public(API).status, 200);
    for base in [CONTROL, "https://other.example"] {
        let refused = public(base);
        assert_eq!(refused.verdict(), "403 misdirected_request", "{base}: a status that gateways understand");
        assert_eq!(refused.header("keyward-refusal"), Some("misdirected_request"));
    }
}
