//! Every branch of the request entry, as the worker and the simulator call it.

use keyward_edge::entry::{self, Action, Decided, Due, Entry, RawRequest, Resumed};
use keyward_edge::{BackgroundReport, Isolate, LookupSizes, reports};
use keyward_gate::{GateSizes, Plan, Reason, Refusal};
use keyward_http::problem::Code;
use keyward_http::reply::Reply;
use keyward_key::limit::Limit;
use keyward_key::time::Millis;
use keyward_protocol::LimitedReport;
use keyward_testkit::gate_world::{ClientRequest, Key, NOW};
use serde_json::{Value, json};

use crate::test_platform::{TestPlatform, at_once};

const AUTHORIZE: &str = "GET /_keyward/v1/authorize";

struct Entrance {
    platform: TestPlatform,
    isolate: Isolate,
    key: Key,
}

impl Entrance {
    fn new() -> Self {
        Self::with(&json!({}))
    }

    fn with(changes: &Value) -> Self {
        let (platform, key) = TestPlatform::with(changes);
        Self { platform, isolate: Isolate::new(GateSizes::default(), LookupSizes::default(), 0), key }
    }

    /// An isolate that has served one request of the key.
    fn warm() -> Self {
        Self::new().warmed()
    }

    /// An isolate that has served one request of the key, which is limited. The object granted it this number of units.
    fn limited(units: u64) -> Self {
        let limits = json!([{"name": "burst", "requests": 100, "seconds": 60}]);
        let entrance = Self::with(&json!({"DEFAULT_LIMITS": limits}));
        entrance.platform.lease_units.set(Some(units));
        entrance.warmed()
    }

    fn warmed(self) -> Self {
        let entrance = self;
        let raw = raw(&entrance.keyed());
        let Action::Later(pending) = entrance.handle(&raw).action else { panic!("decided without a lookup") };
        assert!(matches!(entrance.resume(&raw, pending), Decided::Forward(_)));
        entrance
    }

    fn keyed(&self) -> ClientRequest {
        ClientRequest::new("GET /v1/contacts").key(&self.key)
    }

    /// Lets the time come and returns a request of the key that arrives then.
    fn raw_at(&self, now: Millis) -> RawRequest {
        self.platform.now.set(now);
        let mut raw = raw(&self.keyed());
        raw.head_text = raw.head_text.replacen(&NOW.0.to_string(), &now.0.to_string(), 1);
        raw
    }

    fn handle(&self, raw: &RawRequest) -> entry::Entry {
        entry::handle(&self.isolate, Some(&self.platform.world.config), &self.platform, raw)
    }

    fn resume(&self, raw: &RawRequest, pending: entry::Pending) -> Decided {
        self.resumed(raw, pending).decided
    }

    fn resumed(&self, raw: &RawRequest, pending: entry::Pending) -> Resumed {
        let config = Some(&self.platform.world.config);
        at_once(entry::resume(&self.isolate, config, &self.platform, raw, pending))
    }

    fn reply(&self, request: &ClientRequest) -> Reply {
        reply_of(self.handle(&raw(request)).action)
    }

    fn logged(&self) -> Vec<String> {
        self.platform.logged.borrow().clone()
    }
}

fn raw(request: &ClientRequest) -> RawRequest {
    RawRequest { head_text: request.text(), request_id: "req-1".to_owned() }
}

fn reply_of(action: Action) -> Reply {
    match action {
        Action::Reply(reply) => reply,
        _ => panic!("no reply"),
    }
}

fn plan_of(action: Action) -> Plan {
    match action {
        Action::Forward(plan) => plan,
        _ => panic!("not forwarded"),
    }
}

/// Status and code, as `401 invalid_key`.
fn verdict(reply: &Reply) -> String {
    let body: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(body["request_id"], "req-1");
    format!("{} {}", reply.status, body["code"].as_str().unwrap())
}

/// The code that a gateway reads in `Keyward-Refusal`.
fn gateway_code(reply: &Reply) -> Option<&str> {
    reply.headers.iter().find(|(name, _)| *name == "keyward-refusal").map(|(_, value)| value.as_str())
}

#[test]
fn a_warm_request_is_forwarded_at_once_with_identity_and_assertion() {
    let entrance = Entrance::warm();
    let entry = entrance.handle(&raw(&entrance.keyed()));
    assert!(!entry.due.refresh);
    let plan = plan_of(entry.action);
    assert!(plan.private);
    assert!(plan.edits.starts_with("https://live.example/v1/contacts\n"));
    assert!(plan.edits.contains("\nkeyward-assertion\ney"));
    assert!(plan.edits.ends_with("\nkeyward-request-id\nreq-1\n"));
    assert_eq!(entrance.logged(), [""; 0]);
}

/// Whether a reply has `Strict-Transport-Security`.
fn asks_for_https(reply: &Reply) -> bool {
    reply.headers.iter().any(|(name, _)| *name == "strict-transport-security")
}

#[test]
fn every_reply_over_https_asks_for_https_and_none_over_plain_http_does() {
    let entrance = Entrance::new();
    let lookup = raw(&ClientRequest::new("GET /v1/contacts").key(&Key::live(&entrance.platform.world.config, 99)));
    let Action::Later(pending) = entrance.handle(&lookup).action else { panic!("decided without a lookup") };
    let Decided::Reply(unknown) = entrance.resume(&lookup, pending) else { panic!("an unknown key was accepted") };
    assert!(asks_for_https(&unknown));
    for line in ["GET /nowhere", "GET /v1/contacts", "GET /v1//contacts", "TRACE /"] {
        assert!(asks_for_https(&entrance.reply(&ClientRequest::new(line))), "{line}");
        let plain = ClientRequest { base: "http://gate.example".to_owned(), ..ClientRequest::new(line) };
        assert!(!asks_for_https(&entrance.reply(&plain)), "{line}");
    }
    let gateway = entrance.reply(&ClientRequest::new(&format!("{AUTHORIZE}//x")));
    assert!(!asks_for_https(&gateway), "a gateway may pass it on for its own host");
}

#[test]
fn a_public_route_is_forwarded_at_once_by_an_isolate_that_knows_nothing() {
    let entrance = Entrance::new();
    let entry = entrance.handle(&raw(&ClientRequest::new("GET /public/a")));
    assert!(!entry.due.refresh, "a public route needs no feed");
    assert!(!plan_of(entry.action).private);
}

#[test]
fn a_request_that_needs_a_lookup_waits_in_a_promise_that_outlives_its_client() {
    let entrance = Entrance::new();
    let raw = raw(&entrance.keyed());
    let Action::Later(pending) = entrance.handle(&raw).action else { panic!("decided without a lookup") };
    assert!(pending.outlives_client());
    let Decided::Forward(plan) = entrance.resume(&raw, pending) else { panic!("refused") };
    assert!(plan.edits.contains("\nkeyward-assertion\ney"));
}

#[test]
fn a_request_that_only_needs_a_signature_ends_with_its_client() {
    let entrance = Entrance::warm();
    // The cached assertion is over after 30 seconds, the feed within its bound.
    entrance.platform.now.set(NOW.plus_seconds(29));
    at_once(keyward_edge::refresh(&entrance.isolate, &entrance.platform.world.config, &entrance.platform));
    let raw = entrance.raw_at(NOW.plus_seconds(30));
    let Action::Later(pending) = entrance.handle(&raw).action else { panic!("an old assertion was used") };
    assert!(!pending.outlives_client());
    assert!(matches!(entrance.resume(&raw, pending), Decided::Forward(_)));
}

#[test]
fn a_decision_that_had_to_wait_can_end_in_a_refusal() {
    let entrance = Entrance::new();
    entrance.platform.reachable.set(false);
    let raw = raw(&entrance.keyed());
    let Action::Later(pending) = entrance.handle(&raw).action else { panic!("decided without a lookup") };
    let Decided::Reply(reply) = entrance.resume(&raw, pending) else { panic!("forwarded") };
    assert_eq!(verdict(&reply), "503 authority_unavailable");
    assert_eq!(entrance.logged().last().unwrap(), "refused");
}

#[test]
fn resuming_without_a_configuration_or_a_head_is_an_internal_error() {
    let entrance = Entrance::new();
    let request = raw(&entrance.keyed());
    let pending = || match entrance.handle(&request).action {
        Action::Later(pending) => pending,
        _ => panic!("decided without a lookup"),
    };
    let unconfigured = entry::resume(&entrance.isolate, None, &entrance.platform, &request, pending());
    let malformed = RawRequest { head_text: String::new(), request_id: "req-1".to_owned() };
    for decided in [at_once(unconfigured).decided, entrance.resume(&malformed, pending())] {
        let Decided::Reply(reply) = decided else { panic!("forwarded") };
        assert_eq!(verdict(&reply), "500 internal_error");
    }
}

#[test]
fn a_refresh_is_due_before_the_bound_and_the_request_does_not_wait_for_it() {
    let entrance = Entrance::warm();
    let entry = entrance.handle(&entrance.raw_at(NOW.plus_seconds(4)));
    assert!(entry.due.refresh);
    plan_of(entry.action);
}

#[test]
fn a_refused_request_asks_again_for_units_once_the_object_may_be_reachable() {
    let entrance = Entrance::limited(1);
    entrance.platform.lease_units.set(None);
    let raw = entrance.raw_at(NOW.plus_seconds(1));
    let Action::Later(pending) = entrance.handle(&raw).action else { panic!("decided without units") };
    let resumed = entrance.resumed(&raw, pending);
    assert!(matches!(resumed.decided, Decided::Reply(_)), "the object is unreachable, and there is no reserve");
    assert!(!resumed.due.renewal, "in the backoff");
    let entry = entrance.handle(&entrance.raw_at(NOW.plus_seconds(2)));
    assert!(entry.due.renewal);
    assert_eq!(verdict(&reply_of(entry.action)), "429 rate_limited");
    entrance.platform.lease_units.set(Some(5));
    at_once(keyward_edge::renew(&entrance.isolate, &entrance.platform.world.config, &entrance.platform));
    plan_of(entrance.handle(&entrance.raw_at(NOW.plus_seconds(2))).action);
}

#[test]
fn a_request_that_had_to_wait_renews_a_lease_that_ends_soon() {
    let entrance = Entrance::limited(1);
    // Another lease at 4 s; it is 1.5 s old when the feed has to be refreshed.
    entrance.platform.lease_units.set(Some(50));
    let first = entrance.raw_at(NOW.plus_seconds(4));
    let Action::Later(pending) = entrance.handle(&first).action else { panic!("decided without units") };
    let resumed = entrance.resumed(&first, pending);
    assert!(matches!(resumed.decided, Decided::Forward(_)) && !resumed.due.renewal);
    let second = entrance.raw_at(Millis(NOW.0 + 5_500));
    let Entry { action: Action::Later(pending), due: Due { renewal: false, .. } } = entrance.handle(&second) else {
        panic!("decided by a feed that is past its bound")
    };
    let resumed = entrance.resumed(&second, pending);
    assert!(matches!(resumed.decided, Decided::Forward(_)));
    assert!(resumed.due.renewal);
}

#[test]
fn a_limit_that_its_object_wants_announced_is_reported_with_one_refusal() {
    let entrance = Entrance::limited(1);
    entrance.platform.lease_units.set(Some(0));
    let raw = raw(&entrance.keyed());
    let Action::Later(pending) = entrance.handle(&raw).action else { panic!("decided without units") };
    let resumed = entrance.resumed(&raw, pending);
    let Decided::Reply(reply) = resumed.decided else { panic!("forwarded") };
    assert_eq!(verdict(&reply), "429 rate_limited");
    let Some(BackgroundReport::Limited(report)) = resumed.due.report else { panic!("{:?}", resumed.due.report) };
    let names: Vec<&str> = report.limits.iter().map(Limit::name).collect();
    assert_eq!((&report.id, names, report.request_id.as_str()), (&entrance.key.record.id, vec!["burst"], "req-1"));
    let again = entrance.handle(&raw);
    assert!(again.due.report.is_none());
    assert_eq!(verdict(&reply_of(again.action)), "429 rate_limited");
}

#[test]
fn a_report_that_does_not_arrive_is_sent_once_more() {
    let entrance = Entrance::new();
    entrance.platform.reachable.set(false);
    let id = entrance.key.record.id.clone();
    let report = LimitedReport { id, limits: Vec::new(), request_id: "req-1".to_owned() };
    let report = BackgroundReport::Limited(Box::new(report));
    at_once(reports::send(&entrance.isolate, &entrance.platform, report));
    assert_eq!(entrance.logged(), ["limit_report_failed"; 2]);
}

#[test]
fn a_refusal_is_logged_only_if_it_concerns_a_key_of_this_deployment() {
    let entrance = Entrance::warm();
    let garbage = ClientRequest::new("GET /v1/contacts").with("authorization", "Bearer garbage");
    assert_eq!(verdict(&entrance.reply(&garbage)), "401 invalid_key");
    assert_eq!(entrance.logged(), [""; 0]);
    let forbidden = ClientRequest::new("POST /v1/contacts").key(&entrance.key);
    assert_eq!(verdict(&entrance.reply(&forbidden)), "403 insufficient_scope");
    assert_eq!(entrance.logged(), ["refused"]);
}

#[test]
fn a_malformed_head_is_refused_and_a_gateway_gets_a_status_that_it_understands() {
    let entrance = Entrance::new();
    let reply = entrance.reply(&ClientRequest::new("GET /v1//contacts"));
    assert_eq!((verdict(&reply).as_str(), gateway_code(&reply)), ("400 bad_path", None));
    let reply = entrance.reply(&ClientRequest::new(&format!("{AUTHORIZE}//a")));
    assert_eq!((verdict(&reply).as_str(), gateway_code(&reply)), ("403 bad_path", Some("bad_path")));
}

#[test]
fn own_paths_go_to_the_control_plane_unless_a_key_is_in_the_url() {
    let entrance = Entrance::new();
    for line in ["GET /_keyward/health", "POST /_keyward/v1/keys", AUTHORIZE, "GET /_keyward/nowhere"] {
        let entry = entrance.handle(&raw(&ClientRequest::new(line)));
        assert!(matches!(entry.action, Action::ControlPlane), "{line}");
        assert!(!entry.due.refresh);
    }
    let with_key = |line: &str| ClientRequest::new(&format!("{line}?key={}", entrance.key.text));
    let reply = entrance.reply(&with_key("GET /_keyward/v1/keys"));
    assert_eq!((verdict(&reply).as_str(), gateway_code(&reply)), ("400 key_in_url", None));
    let reply = entrance.reply(&with_key(AUTHORIZE));
    assert_eq!((verdict(&reply).as_str(), gateway_code(&reply)), ("403 key_in_url", Some("key_in_url")));
    assert!(reply.body.contains(r#""type":"https://gate.example/_keyward/problems/key_in_url""#), "{}", reply.body);
}

#[test]
fn a_gateway_that_asks_at_an_origins_path_is_refused_and_nothing_is_forwarded() {
    let entrance = Entrance::warm();
    for header in ["keyward-verifier", "keyward-client-address"] {
        for request in [entrance.keyed(), ClientRequest::new("GET /public/a")] {
            let reply = entrance.reply(&request.with(header, "192.0.2.1"));
            assert_eq!(
                (verdict(&reply).as_str(), gateway_code(&reply)),
                ("403 invalid_request", Some("invalid_request"))
            );
        }
    }
}

#[test]
fn without_a_configuration_health_is_unavailable_and_everything_else_is_misconfigured() {
    let entrance = Entrance::new();
    let handle = |line: &str| {
        let entry = entry::handle(&entrance.isolate, None, &entrance.platform, &raw(&ClientRequest::new(line)));
        assert!(!entry.due.refresh);
        verdict(&reply_of(entry.action))
    };
    assert_eq!(handle("GET /_keyward/health"), "503 misconfigured");
    for line in ["GET /v1/contacts", "GET /public/a", AUTHORIZE, "GET /v1//malformed"] {
        assert_eq!(handle(line), "500 misconfigured", "{line}");
    }
}

#[test]
fn an_unreadable_head_is_an_internal_error_and_is_logged() {
    let entrance = Entrance::new();
    assert_eq!(verdict(&entry::unreadable(&entrance.platform, "req-1")), "500 internal_error");
    assert_eq!(entrance.logged(), ["head_failed"]);
}

#[test]
fn a_refused_gateway_credential_is_logged_as_such() {
    let entrance = Entrance::new();
    let refusal = Refusal::new(Code::Forbidden, Reason::Verifier);
    let reply = entry::refuse_gateway(&entrance.platform, refusal, "req-1");
    assert_eq!((verdict(&reply).as_str(), gateway_code(&reply)), ("403 forbidden", Some("forbidden")));
    assert_eq!(entrance.logged(), ["verifier_refused"]);
}
