//! Posture through the whole control plane: each rule's finding appears, and the call that it names ends it.

use keyward_edge::Platform as _;
use keyward_key::id::KeyId;
use keyward_protocol::events::{EndpointNews, EndpointReport, EndpointTested, StopReason};
use keyward_protocol::usage::{KeyDay, KeyTimes, Step, USAGE_SHARDS, UsageTimes, minute_of, usage_shard};
use keyward_protocol::{Request, RequestMeta};
use keyward_testkit::gate_world::ClientRequest;
use keyward_testkit::registry_world::NOW;
use serde_json::{Value, json};

use crate::test_plane::{Plane, TestReply, bearer, key_draft, post, run};

const DAY_MS: i64 = 86_400_000;

struct Company {
    plane: Plane,
    owner: String,
}

impl Company {
    fn new() -> Self {
        let (plane, owner) = Plane::with_owner();
        Self { plane, owner }
    }

    fn posture_as(&self, credential: &str) -> Value {
        self.plane.later(3_000);
        let shown = self.plane.get("v1/posture", credential);
        assert_eq!(shown.status, 200, "{}", shown.text);
        shown.json
    }

    fn findings(&self, rule: &str) -> Vec<Value> {
        let posture = self.posture_as(&self.owner);
        let all = posture["findings"].as_array().unwrap();
        let found: Vec<Value> = all.iter().filter(|finding| finding["rule"] == rule).cloned().collect();
        assert_eq!(posture["by_rule"][rule]["found"], found.len());
        assert_eq!(posture["score"] == 100, all.is_empty());
        found
    }

    /// Issues a key with these fields, and returns its id.
    fn issue(&self, integration: &str, fields: Value) -> String {
        let mut draft = key_draft(integration);
        draft.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let made = self.plane.call(&post("v1/keys").with("authorization", &bearer(&self.owner)), &draft);
        assert_eq!(made.status, 201, "{}", made.text);
        made.json["key"]["id"].as_str().unwrap().to_owned()
    }

    fn sql(&self, sql: &str, time: i64) {
        self.plane.platform.world.borrow().store.connection.execute(sql, [time]).unwrap();
    }

    /// Lets every shard of the usage object prove everything since the beginning, as of now.
    fn prove_usage(&self, now: i64) {
        for shard in 0..8 {
            let sql =
                format!("INSERT OR REPLACE INTO usage_shards (shard, told_at, complete_since) VALUES ({shard}, ?1, 0)");
            self.sql(&sql, now);
        }
    }

    /// Calls what a finding names, with these decisions in place of each `null`.
    fn fix(&self, finding: &Value, decisions: &Value) -> TestReply {
        let (method, path) = (finding["fix"]["method"].as_str().unwrap(), finding["fix"]["path"].as_str().unwrap());
        let mut body = finding["fix"].get("body").cloned().unwrap_or(Value::Null);
        for (name, value) in decisions.as_object().unwrap() {
            assert_eq!(body[name], Value::Null, "{name} is for a person to decide");
            body[name] = value.clone();
        }
        let request = ClientRequest::new(&format!("{method} {path}")).with("authorization", &bearer(&self.owner));
        let fixed = self.plane.call(&request, &body);
        assert!(matches!(fixed.status, 200 | 201), "{method} {path}: {}", fixed.text);
        fixed
    }

    /// Asserts that the rule finds this key alone, and nothing once its call was made.
    fn ends(&self, rule: &str, key: &str, decisions: &Value) {
        let found = self.findings(rule);
        assert_eq!(found.iter().map(|finding| &finding["key_id"]).collect::<Vec<_>>(), [key], "{rule}");
        self.fix(&found[0], decisions);
        assert_eq!(self.findings(rule), Vec::<Value>::new(), "{rule}");
    }
}

#[test]
fn a_new_deployment_is_told_to_have_a_second_owner() {
    let company = Company::new();
    let found = company.findings("single_owner");
    assert_eq!((found.len(), &found[0]["severity"]), (1, &json!("high")));
    company.fix(&found[0], &json!({"name": "Grace", "email": "grace@acme.example"}));
    let posture = company.posture_as(&company.owner);
    assert_eq!((&posture["score"], &posture["findings"]), (&json!(100), &json!([])));
}

#[test]
fn an_exposed_key_is_found_first_until_it_is_replaced() {
    let company = Company::new();
    let key = company.issue("crm", json!({}));
    company.sql("UPDATE keys SET exposed_at = ?1", NOW.0);
    let posture = company.posture_as(&company.owner);
    assert_eq!(
        (&posture["findings"][0]["rule"], &posture["findings"][0]["severity"]),
        (&json!("exposed"), &json!("critical"))
    );
    company.ends("exposed", &key, &json!({"note": "Seen in a log"}));
}

#[test]
fn the_only_key_of_an_integration_is_found_before_it_ends() {
    let company = Company::new();
    let key = company.issue("crm", json!({"expires_in_days": 20}));
    company.issue("erp", json!({"expires_in_days": 20, "environment": "test"}));
    assert!(company.findings("last_key").is_empty());
    company.plane.later(11 * DAY_MS);
    company.issue("erp", json!({"expires_in_days": 20}));
    let found = company.findings("last_key");
    assert_eq!(found.len(), 2, "an integration has a key in each environment");
    company.fix(found.iter().find(|finding| finding["key_id"] == key.as_str()).unwrap(), &json!({}));
    assert_eq!(company.findings("last_key").len(), 1);
}

#[test]
fn a_key_with_every_scope_is_found_until_it_has_fewer() {
    let company = Company::new();
    let routes = company.plane.get("v1/routes", &company.owner).json["items"].clone();
    let mut scopes: Vec<&str> = routes.as_array().unwrap().iter().filter_map(|route| route["scope"].as_str()).collect();
    scopes.sort_unstable();
    scopes.dedup();
    assert!(scopes.len() > 1);
    let key = company.issue("crm", json!({"scopes": scopes}));
    company.issue("erp", json!({}));
    company.ends("scope_wide", &key, &json!({"scopes": ["contacts:read"]}));
}

/// Lets the shards tell every 57 minutes, for some days, what a key was used for that day.
fn days_of_use(company: &Company, days: i64, key: &str, routes: &[&str], networks: u32) {
    for _ in 0..days * 25 {
        company.plane.later(DAY_MS / 25);
        let at = company.plane.platform.now.get();
        let routes = routes.iter().map(|route| (*route).to_owned()).collect();
        let day = KeyDay { day: Step::Day.of_minute(minute_of(at)), routes, networks };
        let id = KeyId::parse(key).unwrap();
        let times = KeyTimes { id, first_at: at, last_at: at, from: None, days: vec![day] };
        for shard in 0..USAGE_SHARDS {
            let keys = if shard == usage_shard(key) { vec![times.clone()] } else { Vec::new() };
            company.plane.tell(UsageTimes { shard, at, keys, has_days: true });
        }
    }
}

const BOTH_SCOPES: [&str; 2] = ["contacts:read", "contacts:write"];

#[test]
fn a_scope_that_no_request_needed_is_found_until_it_is_taken_back() {
    let company = Company::new();
    let key = company.issue("crm", json!({"scopes": BOTH_SCOPES}));
    company.issue("erp", json!({"scopes": BOTH_SCOPES}));
    days_of_use(&company, 29, &key, &["GET /v1/contacts/*"], 1);
    assert!(company.findings("scope_unused").is_empty(), "29 days are not enough");
    days_of_use(&company, 2, &key, &["GET /v1/contacts/*"], 1);
    let found = company.findings("scope_unused");
    assert_eq!(found[0]["fix"]["body"], json!({"scopes": ["contacts:read"]}));
    assert_eq!(found[0]["detail"], "No request in 30 days needed these scopes: contacts:write.");
    // The other key was not used at all: that is another rule's finding.
    company.ends("scope_unused", &key, &json!({}));
}

#[test]
fn a_scope_is_found_unused_on_proof_alone() {
    let company = Company::new();
    let key = company.issue("crm", json!({"scopes": BOTH_SCOPES, "expires_in_days": 300}));
    days_of_use(&company, 29, &key, &["GET /v1/contacts"], 1);
    // On one day the routes are not all known.
    days_of_use(&company, 1, &key, &["GET /v1/contacts", "other"], 1);
    days_of_use(&company, 29, &key, &["GET /v1/contacts"], 1);
    assert!(company.findings("scope_unused").is_empty(), "any route may have been used 30 days ago");
    // A gap of two hours: nothing from before it is proven.
    company.plane.later(DAY_MS / 12);
    days_of_use(&company, 29, &key, &["GET /v1/contacts"], 1);
    assert!(company.findings("scope_unused").is_empty(), "nothing from before the gap counts");
    // A shard of the previous version tells no routes.
    let at = company.plane.platform.now.get();
    company.plane.tell(UsageTimes { shard: usage_shard(&key), at, keys: Vec::new(), has_days: false });
    days_of_use(&company, 29, &key, &["GET /v1/contacts"], 1);
    assert!(company.findings("scope_unused").is_empty(), "some routes may not have been told");
    days_of_use(&company, 2, &key, &["GET /v1/contacts"], 1);
    assert_eq!(company.findings("scope_unused").len(), 1);
}

#[test]
fn a_scope_that_a_key_got_later_is_unused_only_30_days_later() {
    let company = Company::new();
    let key = company.issue("crm", json!({}));
    days_of_use(&company, 20, &key, &["GET /v1/contacts"], 1);
    let patch = ClientRequest::new(&format!("PATCH /_keyward/v1/keys/{key}"));
    let patch = patch.with("authorization", &bearer(&company.owner));
    assert_eq!(company.plane.call(&patch, &json!({"scopes": BOTH_SCOPES})).status, 200);
    days_of_use(&company, 20, &key, &["GET /v1/contacts"], 1);
    assert!(company.findings("scope_unused").is_empty());
    days_of_use(&company, 11, &key, &["GET /v1/contacts"], 1);
    company.ends("scope_unused", &key, &json!({}));
}

#[test]
fn a_key_that_many_networks_use_is_found_until_it_is_bound_to_some() {
    let company = Company::new();
    let key = company.issue("crm", json!({}));
    days_of_use(&company, 1, &key, &["GET /v1/contacts"], 32);
    assert!(company.findings("shared_widely").is_empty());
    days_of_use(&company, 1, &key, &["GET /v1/contacts"], 33);
    company.ends("shared_widely", &key, &json!({"allowed_cidrs": ["192.0.2.0/24"]}));
    let other = company.issue("erp", json!({}));
    days_of_use(&company, 1, &other, &["GET /v1/contacts"], 64);
    assert_eq!(company.findings("shared_widely").len(), 1);
    days_of_use(&company, 8, &other, &["GET /v1/contacts"], 3);
    assert!(company.findings("shared_widely").is_empty(), "it is over for a week");
}

#[test]
fn an_endpoint_that_keyward_stopped_is_found_until_it_is_enabled() {
    let plane = Plane::with_owner_of(&json!({"EVENT_HOSTS": ["hooks.example.com"]}));
    let company = Company { plane: plane.0, owner: plane.1 };
    let body = json!({"url": "https://hooks.example.com/one", "description": "Chat", "types": null, "environments": null,
        "signatures": ["v1a"]});
    let made = company.plane.call(&post("v1/endpoints").with("authorization", &bearer(&company.owner)), &body);
    assert_eq!(made.status, 201, "{}", made.text);
    let id = made.json["endpoint"]["id"].as_str().unwrap().to_owned();
    let shown = || company.plane.get(&format!("v1/endpoints/{id}"), &company.owner).json["endpoint"].clone();
    let revision = || shown()["revision"].as_u64().unwrap();
    let request = RequestMeta { request_id: "req-1".to_owned(), client_address: None };
    let tested = EndpointTested { id: id.clone(), revision: revision(), by: "m".to_owned(), request };
    let tell = |request: Request| {
        let message = serde_json::to_string(&request).unwrap();
        assert_eq!(run(company.plane.platform.ask_registry(&message, true)).unwrap(), "\"endpoints_noted\"");
    };
    tell(Request::EndpointTested(Box::new(tested)));
    assert!(company.findings("endpoint_disabled").is_empty());
    let news = EndpointNews {
        id: id.clone(),
        revision: revision(),
        last_delivery_at: None,
        stopped: Some(StopReason::Failing),
    };
    tell(Request::EndpointReport(EndpointReport { endpoints: vec![news], counters: Vec::new() }));
    let found = company.findings("endpoint_disabled");
    assert_eq!((found.len(), &found[0]["severity"]), (1, &json!("high")));
    assert_eq!(found[0]["since"], company.plane.platform.now.get().plus_seconds(-3).rfc3339());
    company.fix(&found[0], &json!({}));
    assert_eq!(shown()["status"], "enabled");
    assert!(company.findings("endpoint_disabled").is_empty());
    let patch = ClientRequest::new(&format!("PATCH /_keyward/v1/endpoints/{id}"));
    company.plane.call(&patch.with("authorization", &bearer(&company.owner)), &json!({"status": "disabled"}));
    assert!(company.findings("endpoint_disabled").is_empty(), "a member decided so");
}

#[test]
fn a_long_life_is_found_until_it_is_shorter() {
    let company = Company::new();
    let key = company.issue("crm", json!({"expires_in_days": 181}));
    company.issue("erp", json!({"expires_in_days": 180}));
    company.ends("expires_late", &key, &json!({"expires_at": NOW.plus_seconds(90 * 86_400).rfc3339()}));
}

#[test]
fn an_overdue_rotation_is_found_until_the_key_is_rotated() {
    let company = Company::new();
    let key = company.issue("crm", json!({"expires_in_days": 200}));
    company.plane.later(90 * DAY_MS + 60_000);
    company.issue("erp", json!({}));
    company.ends("rotation_overdue", &key, &json!({}));
}

#[test]
fn idle_keys_are_found_on_proof_alone() {
    let company = Company::new();
    let [used, unused] = ["crm", "erp"].map(|name| company.issue(name, json!({"expires_in_days": 200})));
    company.sql("UPDATE keys SET last_used_at = ?1 WHERE integration = 'crm'", NOW.0);
    company.plane.later(91 * DAY_MS);
    assert!(company.findings("idle").is_empty() && company.findings("never_used").is_empty(), "nothing is proven");
    company.prove_usage(NOW.0 + 91 * DAY_MS);
    company.ends("idle", &used, &json!({"reason": "unused"}));
    company.ends("never_used", &unused, &json!({"reason": "unused"}));
}

#[test]
fn a_key_without_a_limit_is_found_until_it_has_one() {
    let company = Company::new();
    let key = company.issue("crm", json!({}));
    company.ends("no_limit", &key, &json!({"limits": [{"name": "burst", "requests": 100, "seconds": 60}]}));
}

#[test]
fn an_unused_claim_is_found_in_its_last_day() {
    let company = Company::new();
    let key = company.issue("crm", json!({"deliver": "claim", "claim_hours": 48}));
    assert!(company.findings("claim_unused").is_empty());
    company.plane.later(DAY_MS + 60_000);
    company.ends("claim_unused", &key, &json!({}));
}

#[test]
fn a_credential_that_ends_is_found_until_it_is_rotated() {
    let company = Company::new();
    let request = post("v1/members").with("authorization", &bearer(&company.owner));
    let body = json!({"name": "Mia", "email": "mia@acme.example", "role": "auditor", "environments": null, "expires_in_days": 20});
    let made = company.plane.call(&request, &body);
    assert_eq!(made.status, 201, "{}", made.text);
    assert!(company.findings("credential_ending").is_empty(), "a short life is no finding in its first half");
    company.plane.later(11 * DAY_MS);
    let found = company.findings("credential_ending");
    assert_eq!((found.len(), &found[0]["member_id"]), (1, &made.json["member"]["id"]));
    company.fix(&found[0], &json!({}));
    assert!(company.findings("credential_ending").is_empty());
}

#[test]
fn a_limited_member_gets_the_findings_of_their_environments_and_none_about_members() {
    let company = Company::new();
    let limited = company.plane.member(&company.owner, "auditor", &json!(["test"]));
    company.issue("crm", json!({}));
    let test = company.issue("crm", json!({"environment": "test"}));
    let posture = company.posture_as(&limited);
    let found = posture["findings"].as_array().unwrap();
    assert!(found.iter().all(|finding| finding["key_id"] == test.as_str()), "{posture}");
    assert_eq!((found.len(), &posture["by_rule"]["no_limit"]["checked"]), (1, &json!(1)));
    assert_eq!(posture["by_rule"]["single_owner"]["checked"], 0);
}
