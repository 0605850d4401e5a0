//! Two hosts: what the entry does with a request on the host of the control plane, on a host of the gate, and on one that may be
//! either.

use keyward_edge::entry::{self, Action, RawRequest};
use keyward_edge::{Isolate, LookupSizes};
use keyward_gate::GateSizes;
use keyward_http::reply::Reply;
use keyward_testkit::gate_world::{ClientRequest, Key};
use serde_json::{Value, json};

use crate::test_platform::TestPlatform;

const API: &str = "https://api.example";
const CONTROL: &str = "https://keys.example";

/// An isolate with this configuration, and a live key that it does not know yet.
struct Deployment {
    platform: TestPlatform,
    isolate: Isolate,
    key: Key,
}

impl Deployment {
    fn new(changes: &Value) -> Self {
        let (platform, key) = TestPlatform::with(changes);
        Self { platform, isolate: Isolate::new(GateSizes::default(), LookupSizes::default(), 0), key }
    }

    fn two_hosts() -> Self {
        Self::new(&json!({"CONTROL_HOST": "keys.example"}))
    }

    /// The action for a request on a host: `forward`, `lookup`, `own` for Keyward's own endpoints, or status and code.
    fn action(&self, base: &str, request: &ClientRequest) -> String {
        let request = ClientRequest { base: base.to_owned(), ..request.clone() };
        let raw = RawRequest { head_text: request.text(), request_id: "req-1".to_owned() };
        let entry = entry::handle(&self.isolate, Some(&self.platform.world.config), &self.platform, &raw);
        match entry.action {
            Action::Reply(reply) => verdict(&reply),
            Action::Forward(_) => "forward".to_owned(),
            Action::ControlPlane => "own".to_owned(),
            Action::Later(_) => "lookup".to_owned(),
        }
    }

    fn get(&self, base: &str, path: &str) -> String {
        self.action(base, &ClientRequest::new(&format!("GET {path}")))
    }
}

fn verdict(reply: &Reply) -> String {
    let body: Value = serde_json::from_str(&reply.body).unwrap();
    format!("{} {}", reply.status, body["code"].as_str().unwrap())
}

#[test]
fn without_a_control_host_every_host_serves_gate_and_control_plane() {
    let deployment = Deployment::new(&json!({}));
    for base in [API, CONTROL, "https://keys.example.", "https://keys.example:8443"] {
        assert_eq!(deployment.get(base, "/public/a"), "forward");
        assert_eq!(deployment.get(base, "/_keyward/v1/keys"), "own");
        assert_eq!(deployment.get(base, "/nowhere"), "404 no_route");
    }
}

#[test]
fn the_gate_is_never_served_on_the_host_of_the_control_plane() {
    let deployment = Deployment::two_hosts();
    for base in [CONTROL, "https://KEYS.example:443", "http://keys.example"] {
        for request in [
            ClientRequest::new("GET /public/logo.png"),
            ClientRequest::new("GET /v1/contacts").key(&deployment.key),
            ClientRequest::new("GET /v1/contacts"),
            ClientRequest::new("DELETE /v1/contacts"),
        ] {
            assert_eq!(
                deployment.action(base, &request),
                "own",
                "{base} {}: the control plane's to refuse",
                request.line
            );
        }
        for path in ["/", "/nowhere", "/favicon.ico", "/V1/contacts", "/v1/contacts;x"] {
            assert_eq!(deployment.get(base, path), "own", "{base}{path}: a path of the console, or none");
        }
        for path in
            ["/_keyward/v1/keys", "/_keyward/health", "/_keyward", "/.well-known/oauth-authorization-server/_keyward"]
        {
            assert_eq!(deployment.get(base, path), "own", "{base}{path}");
        }
    }
    assert_eq!(deployment.platform.logged.borrow().len(), 0);
}

#[test]
fn the_gate_is_served_on_every_other_host_as_before() {
    let deployment = Deployment::two_hosts();
    for base in [API, "https://keyward.acme.workers.dev", "https://keys.example.evil", "http://127.0.0.1:8787"] {
        assert_eq!(deployment.get(base, "/public/a"), "forward", "{base}");
        assert_eq!(deployment.get(base, "/v1/contacts"), "401 missing_key", "{base}");
        assert_eq!(deployment.get(base, "/nowhere"), "404 no_route", "{base}");
        // Whether an own path is open here is its row's to say.
        assert_eq!(deployment.get(base, "/_keyward/v1/keys"), "own", "{base}");
    }
    let keyed = ClientRequest::new("GET /v1/contacts").key(&deployment.key);
    assert_eq!(deployment.action(API, &keyed), "lookup");
}

#[test]
fn what_may_be_the_host_of_the_control_plane_serves_nothing() {
    let deployment = Deployment::two_hosts();
    for base in
        ["https://keys.example.", "https://Keys.Example..", "https://keys.example:8443", "https://keys.example:80"]
    {
        for path in ["/public/a", "/v1/contacts", "/nowhere", "/_keyward/v1/keys", "/_keyward/health"] {
            assert_eq!(deployment.get(base, path), "421 misdirected_request", "{base}{path}");
        }
        let authorize = ClientRequest::new("GET /_keyward/v1/authorize/v1/contacts").key(&deployment.key);
        assert_eq!(deployment.action(base, &authorize), "403 misdirected_request", "{base}: a status for gateways");
    }
}

#[test]
fn a_control_host_with_a_port_leaves_the_other_ports_of_its_name_to_the_gate() {
    let deployment = Deployment::new(&json!({"CONTROL_HOST": "localhost:8789"}));
    for name in ["localhost", "127.0.0.1", "[::1]"] {
        assert_eq!(deployment.get(&format!("http://{name}:8787"), "/public/a"), "forward", "{name}");
        assert_eq!(deployment.get(&format!("http://{name}:8789"), "/public/a"), "own", "{name}");
    }
}

#[test]
fn a_key_in_the_url_comes_before_the_host_and_a_gateway_at_a_wrong_path_before_both() {
    let deployment = Deployment::two_hosts();
    for base in [CONTROL, "https://keys.example."] {
        for path in ["/v1/contacts", "/nowhere", "/_keyward/v1/keys"] {
            let path = format!("{path}?key={}", deployment.key.text);
            assert_eq!(deployment.get(base, &path), "400 key_in_url", "{base}{path}");
        }
        let asks = ClientRequest::new("GET /v1/contacts").with("keyward-verifier", "x");
        assert_eq!(deployment.action(base, &asks), "403 invalid_request", "{base}");
    }
}

#[test]
fn on_a_zone_route_only_listed_hosts_are_forwarded_to() {
    let hosts = json!({"ORIGIN_LIVE": "route", "ROUTE_HOSTS": ["api.example"], "CONTROL_HOST": "keys.example"});
    let deployment = Deployment::new(&hosts);
    let keyed = ClientRequest::new("GET /v1/contacts").key(&deployment.key);
    assert_eq!(deployment.get(API, "/public/a"), "forward");
    assert_eq!(deployment.action(API, &keyed), "lookup");
    for base in ["http://127.0.0.1:9290", "https://keyward.acme.workers.dev", "https://api.example."] {
        assert_eq!(deployment.get(base, "/public/a"), "421 misdirected_request", "{base}");
        assert_eq!(deployment.action(base, &keyed), "421 misdirected_request", "{base}");
        assert_eq!(deployment.get(base, "/_keyward/health"), "own", "{base}");
    }
}
