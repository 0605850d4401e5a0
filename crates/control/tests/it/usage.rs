//! Usage in the API: key views, series, totals, activity, and lists of idle keys.

use keyward_edge::Platform;
use keyward_edge::platform::ShardedObject;
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::usage::{
    KeyTimes, KeyUsage, USAGE_SHARDS, UsageReport, UsageRequest, UsageTimes, UseCount, UsedFrom, minute_of, usage_shard,
};
use keyward_testkit::gate_world::ClientRequest;
use keyward_testkit::registry_world::{DAY, NOW};
use serde_json::{Value, json};

use crate::test_plane::{Plane, TestReply, bearer, post, run};

struct Used {
    plane: Plane,
    owner: String,
    id: String,
}

fn from(network: &str) -> UsedFrom {
    UsedFrom { country: Some("DE".to_owned()), asn: Some(64_496), network: Some(network.to_owned()) }
}

impl Used {
    fn new() -> Self {
        let (plane, owner) = Plane::with_owner();
        let id = plane.issue(&owner, "crm").0["id"].as_str().unwrap().to_owned();
        Self { plane, owner, id }
    }

    /// Reports uses of a key at an instant, as an isolate does.
    fn report(&self, id: &str, at: Millis, uses: &[(&str, &str, u64)]) {
        let uses = uses.iter().map(|(decision, network, count)| UseCount {
            minute: minute_of(at),
            decision: (*decision).to_owned(),
            route: "GET /v1/contacts".to_owned(),
            client: "curl".to_owned(),
            from: from(network),
            count: *count,
        });
        let key = KeyUsage {
            id: KeyId::parse(id).unwrap(),
            integration: Some("crm".to_owned()),
            first_at: at,
            last_at: at,
            last_from: None,
            uses: uses.collect(),
        };
        let shard = usage_shard(id);
        let report = UsageReport {
            shard,
            isolate: format!("isolate-{id}-{}", at.0),
            sequence: 1,
            keys: vec![key],
            metrics: None,
        };
        let message = serde_json::to_string(&UsageRequest::Report(report)).unwrap();
        run(self.plane.platform.ask_shard(ShardedObject::Usage, shard, &message)).unwrap();
    }

    fn get(&self, path: &str) -> TestReply {
        self.plane.get(path, &self.owner)
    }

    fn accept(&self, path: &str, media_type: &str) -> TestReply {
        let request = ClientRequest::new(&format!("GET /_keyward/{path}"))
            .with("authorization", &bearer(&self.owner))
            .with("accept", media_type);
        self.plane.send(&request, b"")
    }

    fn listed(&self, query: &str) -> Vec<String> {
        let page = self.get(&format!("v1/keys?{query}"));
        assert_eq!(page.status, 200, "{}", page.text);
        page.json["items"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Lets every shard tell the registry that it lives, each hour, for some days.
    fn days_pass(&self, days: i64) {
        for _ in 0..days * 24 {
            self.plane.later(3_600_000);
            for shard in 0..USAGE_SHARDS {
                self.plane.tell(UsageTimes {
                    shard,
                    at: self.plane.platform.now.get(),
                    keys: Vec::new(),
                    has_days: true,
                });
            }
        }
    }

    fn tell(&self, id: &str, at: Millis) {
        let id = KeyId::parse(id).unwrap();
        let key =
            KeyTimes { id: id.clone(), first_at: at, last_at: at, from: Some(from("192.0.2.0/24")), days: Vec::new() };
        self.plane.tell(UsageTimes { shard: usage_shard(id.as_str()), at, keys: vec![key], has_days: true });
    }
}

#[test]
fn a_key_shows_its_first_and_last_use_and_times_never_go_back_or_ahead() {
    let used = Used::new();
    let shown = || used.get(&format!("v1/keys/{}", used.id)).json;
    assert_eq!((&shown()["first_used_at"], &shown()["last_used_from"]), (&Value::Null, &Value::Null));
    let revision = shown()["revision"].clone();
    for (seconds, first, last) in [(10, 10, 10), (60, 10, 60), (30, 10, 60), (5, 5, 60), (7 * DAY, 5, 100)] {
        used.plane.platform.now.set(NOW.plus_seconds(100));
        used.tell(&used.id, NOW.plus_seconds(seconds));
        let key = shown();
        assert_eq!(key["first_used_at"], NOW.plus_seconds(first).rfc3339(), "{seconds}");
        assert_eq!(key["last_used_at"], NOW.plus_seconds(last).rfc3339(), "{seconds}");
        assert_eq!(key["last_used_from"], json!({"country": "DE", "asn": 64_496, "network": "192.0.2.0/24"}));
    }
    assert_eq!(shown()["revision"], revision, "a use is no change of the key");
}

#[test]
fn a_series_has_an_item_for_each_step_with_requests() {
    let used = Used::new();
    used.report(&used.id, NOW, &[("allowed", "192.0.2.0/24", 5), ("insufficient_scope", "192.0.2.0/24", 2)]);
    used.report(&used.id, NOW.plus_seconds(-7_200), &[("allowed", "192.0.2.0/24", 3)]);
    let answer = used.get(&format!("v1/keys/{}/usage?step=hour&to=2026-11-23T14:30:00Z", used.id));
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(
        answer.json,
        json!({
            "step": "hour",
            "from": "2026-11-22T15:00:00.000Z",
            "to": "2026-11-23T15:00:00.000Z",
            "complete_to": "2026-11-23T14:00:03.004Z",
            "items": [
                {"at": "2026-11-23T12:00:00.000Z", "allowed": 3, "refused": {}},
                {"at": "2026-11-23T14:00:00.000Z", "allowed": 5, "refused": {"insufficient_scope": 2}},
            ],
        })
    );
    for (query, field) in [
        ("step=week", "step"),
        ("step=minute&from=2026-11-22T00:00:00Z", "from"),
        ("from=2026-11-24T00:00:00Z", "from"),
        ("from=yesterday", "from"),
        ("by=key", "by"),
    ] {
        let refused = used.get(&format!("v1/keys/{}/usage?{query}", used.id));
        assert_eq!(
            (refused.verdict(), &refused.json["field"]),
            ("400 invalid_request".to_owned(), &json!(field)),
            "{query}"
        );
    }
}

#[test]
fn totals_add_up_over_all_shards_and_show_only_what_the_member_sees() {
    let used = Used::new();
    let mut ids = vec![used.id.clone()];
    for number in 0..20 {
        ids.push(used.plane.issue(&used.owner, &format!("other-{number}")).0["id"].as_str().unwrap().to_owned());
    }
    for (number, id) in ids.iter().enumerate() {
        let count = u64::try_from(number).unwrap() + 1;
        used.report(id, NOW, &[("allowed", "192.0.2.0/24", count), ("revoked_key", "192.0.2.0/24", 1)]);
    }
    let by_key = used.get("v1/usage?by=key").json;
    let names: Vec<&str> =
        by_key["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(names, ids.iter().rev().map(String::as_str).collect::<Vec<_>>(), "the largest first");
    let by_code = used.get("v1/usage?by=code").json["items"].clone();
    let expected = json!([
        {"name": "allowed", "allowed": 231, "refused": 0},
        {"name": "revoked_key", "allowed": 0, "refused": 21},
    ]);
    assert_eq!(by_code, expected);
    let by_time = used.get("v1/usage?by=time").json;
    assert_eq!(by_time["items"], json!([{"name": "2026-11-23T14:00:00.000Z", "allowed": 231, "refused": 21}]));
    let by_day = used.get("v1/usage?by=time&from=2026-11-01T00:00:00Z").json["items"].clone();
    assert_eq!(by_day, json!([{"name": "2026-11-23T00:00:00.000Z", "allowed": 231, "refused": 21}]));
    let limited = used.plane.member(&used.owner, "auditor", &json!(["test"]));
    assert_eq!(used.plane.get("v1/usage?by=code", &limited).json["items"], json!([]));
    assert_eq!(used.plane.get("v1/usage?by=time", &limited).json["items"], json!([]));
    let keys = used.plane.get(&format!("v1/keys/{}/usage", used.id), &limited);
    assert_eq!(keys.verdict(), "404 not_found");
    let routes = format!("v1/usage?by=route&key={}", used.id);
    assert_eq!(used.get(&routes).json["items"], json!([{"name": "GET /v1/contacts", "allowed": 1, "refused": 1}]));
    assert_eq!(used.plane.get(&routes, &limited).verdict(), "404 not_found");
    assert_eq!(used.get("v1/usage?by=route&key=wafl_live_000000000000").verdict(), "404 not_found");
    let refused = used.get(&format!("v1/usage?by=code&key={}", used.id));
    assert_eq!((refused.verdict(), &refused.json["field"]), ("400 invalid_request".to_owned(), &json!("key")));
}

#[test]
fn activity_shows_uses_and_changes_in_order_on_pages_of_any_size() {
    let used = Used::new();
    let path = format!("v1/keys/{}/activity", used.id);
    for (hours, network) in [(3, "192.0.2.0/24"), (3, "198.51.100.0/24"), (1, "192.0.2.0/24"), (0, "192.0.2.0/24")] {
        used.report(
            &used.id,
            NOW.plus_seconds(-3_600 * hours - i64::from(network.len() as u32)),
            &[("allowed", network, 4)],
        );
    }
    let revoke = post(&format!("v1/keys/{}/revoke", used.id)).with("authorization", &bearer(&used.owner));
    assert_eq!(used.plane.call(&revoke, &json!({"reason": "leaked"})).status, 200);
    let whole = used.get(&path);
    assert_eq!(whole.status, 200, "{}", whole.text);
    let items = whole.json["items"].as_array().unwrap();
    let times: Vec<&str> = items.iter().map(|item| item["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    let actions: Vec<&Value> =
        items.iter().map(|item| &item["audit"]["action"]).filter(|action| !action.is_null()).collect();
    assert_eq!((items.len(), actions), (6, vec![&json!("key.issue"), &json!("key.revoke")]));
    assert_eq!(
        items[0],
        json!({
            "at": "2026-11-23T11:00:00.000Z", "route": "GET /v1/contacts", "network": "192.0.2.0/24", "client": "curl",
            "country": "DE", "asn": 64_496, "allowed": 4, "refused": {},
        })
    );
    for limit in 1..=7 {
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = used.get(&format!("{path}?limit={limit}{cursor}")).json;
            let some = page["items"].as_array().unwrap().clone();
            assert!(some.len() <= limit, "{page}");
            paged.extend(some);
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
            assert!(paged.len() < 20, "the cursor goes on");
        }
        assert_eq!(&paged, items, "{limit}");
    }
    let csv = used.accept(&path, "text/csv");
    assert!(csv.header("content-type").unwrap().starts_with("text/csv"));
    assert_eq!(csv.text.lines().count(), 7);
    assert!(
        csv.text.contains("2026-11-23T11:00:00.000Z,GET /v1/contacts,192.0.2.0/24,curl,DE,64496,4,,,,"),
        "{}",
        csv.text
    );
    let lines = used.accept(&path, "application/x-ndjson");
    let parsed: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(&parsed, items);
    let manager = used.plane.member(&used.owner, "manager", &Value::Null);
    assert_eq!(used.plane.get(&path, &manager).verdict(), "403 forbidden");
    for cursor in ["x", "1.2", "1.2.3.4", "-1.0.0", "01.0.0"] {
        assert_eq!(used.get(&format!("{path}?cursor={cursor}")).verdict(), "400 invalid_request", "{cursor}");
    }
}

#[test]
fn a_shard_that_does_not_answer_is_never_an_absence_of_usage() {
    let used = Used::new();
    used.report(&used.id, NOW, &[("allowed", "192.0.2.0/24", 5)]);
    used.plane.platform.shards_reachable.set(false);
    for path in
        [format!("v1/keys/{}/usage", used.id), "v1/usage?by=key".to_owned(), format!("v1/keys/{}/activity", used.id)]
    {
        assert_eq!(used.get(&path).verdict(), "503 authority_unavailable");
    }
    assert!(used.plane.logged("usage_query_failed"));
}

#[test]
fn a_list_is_sorted_by_last_use_and_a_key_that_was_never_used_counts_as_oldest() {
    let used = Used::new();
    let ids: Vec<String> = (0..4)
        .map(|number| used.plane.issue(&used.owner, &format!("other-{number}")).0["id"].as_str().unwrap().to_owned())
        .collect();
    used.plane.later(100_000);
    for (number, id) in ids.iter().enumerate() {
        used.tell(id, NOW.plus_seconds(i64::try_from(number).unwrap() * 10));
    }
    let mut expected = vec![used.id.clone()];
    expected.extend(ids);
    assert_eq!(used.listed("sort=last_used_at"), expected);
    expected.reverse();
    assert_eq!(used.listed("sort=-last_used_at"), expected);
    let first = used.get("v1/keys?sort=last_used_at&limit=2").json;
    let next = first["next_cursor"].as_str().unwrap();
    expected.reverse();
    assert_eq!(used.listed(&format!("sort=last_used_at&limit=3&cursor={next}")), expected[2..]);
}

#[test]
fn a_key_is_idle_only_after_days_without_use_and_without_a_gap_in_the_reports() {
    let used = Used::new();
    let busy = used.plane.issue(&used.owner, "busy").0["id"].as_str().unwrap().to_owned();
    let ended = used.plane.issue(&used.owner, "ended").0["id"].as_str().unwrap().to_owned();
    let revoke = post(&format!("v1/keys/{ended}/revoke")).with("authorization", &bearer(&used.owner));
    assert_eq!(used.plane.call(&revoke, &json!({"reason": "leaked"})).status, 200);
    assert_eq!(used.listed("idle_days=1"), Vec::<String>::new(), "nothing has told anything");
    used.days_pass(20);
    used.tell(&busy, used.plane.platform.now.get());
    assert_eq!(used.listed("idle_days=19"), std::slice::from_ref(&used.id));
    assert_eq!(used.listed("idle_days=20"), Vec::<String>::new(), "the reports are complete for less than 20 days");
    // A shard that is silent for more than an hour may have lost reports.
    used.plane.later(3_600_001);
    assert_eq!(used.listed("idle_days=1"), Vec::<String>::new());
    used.days_pass(1);
    assert_eq!(used.listed("idle_days=1"), Vec::<String>::new(), "a gap is no proof of disuse");
    used.days_pass(5);
    assert_eq!(used.listed("idle_days=5"), [busy, used.id.clone()]);
    assert_eq!(used.listed("idle_days=6"), Vec::<String>::new());
}

#[test]
fn a_request_of_a_gateway_is_counted_once_for_its_client() {
    let (plane, owner) = Plane::with_owner();
    let (_, api_key) = plane.issue(&owner, "crm");
    let request = ClientRequest::new("GET /_keyward/v1/authorize")
        .with("authorization", &bearer(&api_key))
        .with("x-forwarded-method", "GET")
        .with("x-forwarded-uri", "/v1/contacts")
        .with("x-forwarded-host", "gate.example")
        .with("x-forwarded-proto", "https");
    assert_eq!(plane.send(&request, b"").status, 200);
    assert_eq!(plane.isolate.usage().unwrap().sizes(), (1, 1));
    assert_eq!(plane.platform.usage_due.borrow().len(), 1);
}

#[test]
fn a_leak_report_shows_how_often_its_keys_were_used_since() {
    let used = Used::new();
    let (key, text) = used.plane.issue(&used.owner, "erp");
    let id = key["id"].as_str().unwrap();
    let at = |hours: i64| used.plane.platform.now.get().plus_seconds(hours * 3_600);
    used.report(id, at(-1), &[("allowed", "192.0.2.0/24", 100)]);
    let member = used.plane.member(&used.owner, "auditor", &Value::Null);
    assert_eq!(used.plane.call(&post("v1/leaks"), &json!({"keys": [text, member]})).status, 202);
    let leak = used.get("v1/leaks").json["items"][0]["id"].as_str().unwrap().to_owned();
    let shown = || {
        let one = used.get(&format!("v1/leaks/{leak}")).json;
        assert_eq!(used.get("v1/leaks").json["items"][0], one);
        one["items"].as_array().unwrap().iter().map(|item| item["uses_since"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(shown(), [json!(0), Value::Null], "a member has no usage");
    for hours in [0, 5, 48, 24 * 30] {
        used.plane.later(hours * 3_600_000);
        used.report(id, at(0), &[("revoked_key", "192.0.2.0/24", 2), ("allowed", "192.0.2.0/24", 1)]);
    }
    assert_eq!(shown(), [json!(12), Value::Null]);
    used.plane.platform.shards_reachable.set(false);
    assert_eq!(shown(), [Value::Null, Value::Null], "no answer is not the same as no use");
    used.plane.platform.shards_reachable.set(true);
    used.plane.later(6 * 86_400_000);
    assert_eq!(shown(), [Value::Null, Value::Null], "the counts by the hour are gone");
}
