//! Counts of requests in an isolate, and its reports to the shards of the usage object.

use std::collections::BTreeMap;

use keyward_edge::entry::{self, Action, RawRequest};
use keyward_edge::usage::{Origin, Report, UsageDue, report_shard, set_origin, shards_due};
use keyward_edge::{Isolate, LookupSizes};
use keyward_gate::GateSizes;
use keyward_http::limits::{COUNTED_NETWORKS, COUNTED_TOTAL, COUNTED_USES, REPORTED_KEYS};
use keyward_key::time::Millis;
use keyward_protocol::metrics::{LOG_EVENTS, Sample};
use keyward_protocol::usage::{USAGE_SHARDS, UsageReport, UsageRequest, usage_shard};
use keyward_testkit::gate_world::{ClientRequest, Key, NOW};
use serde_json::json;

use crate::test_platform::{TestPlatform, at_once};

struct Counting {
    platform: TestPlatform,
    isolate: Isolate,
    key: Key,
}

impl Counting {
    /// An isolate that knows the key and has reported its first use.
    fn new() -> Self {
        let (platform, key) = TestPlatform::new();
        Self::on(platform, key)
    }

    fn on(platform: TestPlatform, key: Key) -> Self {
        let isolate = Isolate::new(GateSizes::default(), LookupSizes::default(), 0);
        let counting = Self { platform, isolate, key };
        let due = counting.send(&counting.get()).unwrap();
        assert_eq!(due.report, Some(Report::AllSoon));
        counting.report(Report::AllSoon);
        counting.flush();
        counting.reports();
        counting
    }

    fn get(&self) -> ClientRequest {
        ClientRequest::new("GET /v1/contacts")
            .key(&self.key)
            .with("user-agent", "curl/8")
            .with("cf-connecting-ip", "192.0.2.7")
    }

    /// Sends a request, and returns what its count makes due.
    fn send(&self, request: &ClientRequest) -> Option<UsageDue> {
        let text = request.text().replacen(&NOW.0.to_string(), &self.platform.now.get().0.to_string(), 1);
        let raw = RawRequest { head_text: text, request_id: "req-1".to_owned() };
        let config = Some(&self.platform.world.config);
        let entry = entry::handle(&self.isolate, config, &self.platform, &raw);
        match entry.action {
            Action::Later(pending) => {
                at_once(entry::resume(&self.isolate, config, &self.platform, &raw, pending)).due.usage
            }
            _ => entry.due.usage,
        }
    }

    /// Sends what the task sends that waits to report everything.
    fn flush(&self) {
        self.report(Report::AllLater);
    }

    fn report(&self, report: Report) {
        for shard in shards_due(&self.isolate, report, self.platform.now.get()) {
            at_once(report_shard(&self.isolate, &self.platform, shard));
        }
    }

    fn reports(&self) -> Vec<UsageReport> {
        let report = |(shard, message): (u32, String)| {
            let Ok(UsageRequest::Report(report)) = serde_json::from_str(&message) else { panic!("{message}") };
            assert_eq!(report.shard, shard);
            report
        };
        self.platform.reports.take().into_iter().map(report).collect()
    }

    fn later(&self, seconds: i64) {
        self.platform.now.set(self.platform.now.get().plus_seconds(seconds));
    }
}

/// Sums of reports by decision. Each report counts once, by its isolate, shard and number.
fn counted(reports: &[UsageReport]) -> BTreeMap<String, u64> {
    let mut seen = BTreeMap::new();
    for report in reports {
        seen.insert((report.isolate.clone(), report.shard, report.sequence), report);
    }
    let mut counts = BTreeMap::new();
    for used in seen.values().flat_map(|report| &report.keys).flat_map(|key| &key.uses) {
        *counts.entry(used.decision.clone()).or_default() += used.count;
    }
    counts
}

#[test]
fn each_request_with_a_genuine_key_is_counted_by_its_decision() {
    let mut counting = Counting::new();
    for _ in 0..5 {
        counting.send(&counting.get());
    }
    for _ in 0..3 {
        counting.send(&ClientRequest::new("POST /v1/contacts").key(&counting.key));
    }
    let id = counting.key.record.id.clone();
    counting.platform.world.change(&id, |record| record.revoked = true);
    counting.later(6);
    for _ in 0..2 {
        counting.send(&counting.get());
    }
    counting.flush();
    let reports = counting.reports();
    let expected =
        [("allowed", 5), ("insufficient_scope", 3), ("revoked_key", 2)].map(|(code, count)| (code.to_owned(), count));
    assert_eq!(counted(&reports), expected.into());
    let key = &reports.iter().find_map(|report| report.keys.first()).unwrap();
    assert_eq!((key.id.clone(), key.integration.as_deref()), (counting.key.record.id.clone(), Some("crm-sync")));
    assert_eq!((key.first_at, key.last_at), (NOW, NOW.plus_seconds(6)));
    assert_eq!(key.uses[0].client, "curl");
    assert_eq!(key.uses[0].route, "GET /v1/contacts");
    assert_eq!(key.uses[0].from.network.as_deref(), Some("192.0.2.0/24"));
}

#[test]
fn garbage_unknown_ids_and_public_routes_are_not_counted() {
    let (platform, _) = TestPlatform::new();
    let stranger = Key::live(&platform.world.config, 77);
    let isolate = Isolate::new(GateSizes::default(), LookupSizes::default(), 0);
    let key = Key::live(&platform.world.config, 78);
    let counting = Counting { platform, isolate, key };
    for request in [
        ClientRequest::new("GET /v1/contacts"),
        ClientRequest::new("GET /v1/contacts").with("x-api-key", "garbage"),
        ClientRequest::new("GET /v1/contacts").key(&stranger),
        ClientRequest::new("GET /public/logo").key(&counting.key),
        ClientRequest::new("GET /nowhere").key(&counting.key),
    ] {
        assert!(counting.send(&request).is_none_or(|due| due.key.is_none()));
    }
    assert_eq!(counting.isolate.usage().unwrap().sizes(), (0, 0));
}

/// Increases of counters in reports, by family and labels.
fn counters(reports: &[UsageReport]) -> BTreeMap<String, u64> {
    let mut counters = BTreeMap::new();
    for sample in reports.iter().filter_map(|report| report.metrics.as_ref()).flat_map(|metrics| &metrics.counters) {
        *counters.entry(format!("{} {}", sample.family, sample.labels)).or_default() += sample.value;
    }
    counters
}

#[test]
fn every_refusal_of_the_gate_is_counted_by_its_code_and_one_task_reports_them() {
    let mut counting = Counting::new();
    counting.flush();
    counting.reports();
    let garbage = ClientRequest::new("GET /v1/contacts").with("x-api-key", "garbage");
    let due: Vec<_> = (0..10).map(|_| counting.send(&garbage)).collect();
    assert_eq!(due[0], Some(UsageDue { key: None, new_network: None, report: Some(Report::AllLater) }));
    assert!(due[1..].iter().all(Option::is_none));
    counting.send(&ClientRequest::new("GET /v1/contacts"));
    counting.send(&ClientRequest::new("GET /v1/a/../b"));
    counting.send(&ClientRequest::new(&format!("GET /_keyward/health?k={}", counting.key.text)));
    let id = counting.key.record.id.clone();
    counting.platform.world.change(&id, |record| record.revoked = true);
    counting.later(6);
    counting.send(&counting.get());
    counting.flush();
    let reports = counting.reports();
    let refusals = counters(&reports);
    for (code, count) in
        [("invalid_key", 10), ("missing_key", 1), ("bad_path", 1), ("key_in_url", 1), ("revoked_key", 1)]
    {
        assert_eq!(refusals.get(&format!("refusals code=\"{code}\"")), Some(&count), "{code}: {refusals:?}");
    }
    counting.flush();
    assert!(counting.reports().is_empty(), "each is told once");
}

#[test]
fn records_are_counted_by_where_they_were_found_and_revocations_by_the_time_until_they_took_effect() {
    let (platform, key) = TestPlatform::new();
    let isolate = Isolate::new(GateSizes::default(), LookupSizes::default(), 0);
    let mut counting = Counting { platform, isolate, key };
    for _ in 0..3 {
        counting.send(&counting.get());
    }
    let id = counting.key.record.id.clone();
    counting.later(2);
    counting.platform.world.change(&id, |record| record.revoked = true);
    counting.later(2);
    counting.platform.reachable.set(false);
    counting.later(3);
    counting.send(&counting.get());
    // Past the backoff.
    counting.later(20);
    counting.platform.reachable.set(true);
    counting.send(&counting.get());
    counting.flush();
    let reports = counting.reports();
    let counters = counters(&reports);
    assert_eq!(counters.get("lookups from=\"memory\""), Some(&2), "{counters:?}");
    assert_eq!(counters.get("lookups from=\"authority\""), Some(&1), "{counters:?}");
    assert_eq!(counters.get("revocation_effective_seconds le=\"60.0\""), Some(&1), "{counters:?}");
    assert_eq!(counters.get("revocation_effective_seconds le=\"+Inf\""), Some(&1), "{counters:?}");
    assert!(!counters.contains_key("revocation_effective_seconds le=\"10.0\""), "{counters:?}");
    let silent = counters.get("authority_silent_seconds ").copied().unwrap_or_default();
    assert_eq!(silent, 10_000, "one failed query stands for ten seconds at most");
    let gauges = reports.iter().filter_map(|report| report.metrics.as_ref()).flat_map(|metrics| &metrics.gauges);
    assert!(gauges.clone().count() > 0 && gauges.into_iter().all(|sample| sample.labels == "location=\"unknown\""));
}

#[test]
fn a_revocation_that_was_applied_at_an_unknown_age_is_not_counted_with_a_later_answer() {
    let mut counting = Counting::new();
    let id = counting.key.record.id.clone();
    counting.platform.world.change(&id, |record| record.revoked = true);
    // The clock steps back, so the age of what is known is unknown.
    counting.later(-10);
    counting.send(&counting.get());
    counting.later(6);
    let other = counting.platform.world.issue(2, |_| {});
    counting.send(&ClientRequest::new("GET /v1/contacts").key(&other));
    counting.flush();
    let counters = counters(&counting.reports());
    assert_eq!(counters.get("lookups from=\"authority\""), Some(&1), "{counters:?}");
    assert!(!counters.keys().any(|name| name.starts_with("revocation_effective")), "{counters:?}");
}

#[test]
fn counters_of_a_limits_object_travel_with_the_reports_of_the_isolate_that_it_answered() {
    let limits = json!([{"name": "burst", "requests": 100, "seconds": 60}]);
    let (platform, key) = TestPlatform::with(&json!({"DEFAULT_LIMITS": limits}));
    platform.lease_units.set(Some(1));
    let failure = || Sample::new(LOG_EVENTS, &[("event", "limits_failed"), ("level", "error")], 2);
    *platform.told.borrow_mut() = vec![failure(), failure()];
    let counting = Counting { isolate: Isolate::new(GateSizes::default(), LookupSizes::default(), 0), platform, key };
    counting.send(&counting.get());
    counting.flush();
    let counters = counters(&counting.reports());
    let labels = "log_events event=\"limits_failed\",level=\"error\"";
    assert_eq!(counters.get(labels), Some(&4), "{counters:?}");
}

#[test]
fn the_first_use_in_an_hour_is_reported_after_a_second_and_the_rest_together() {
    let counting = Counting::new();
    let due: Vec<_> = (0..10).map(|_| counting.send(&counting.get()).and_then(|due| due.report)).collect();
    assert_eq!(due[0], Some(Report::AllLater));
    assert!(due[1..].iter().all(Option::is_none), "one task waits for all: {due:?}");
    counting.flush();
    assert_eq!(counting.reports().len(), 1);
    counting.later(3_600);
    assert_eq!(counting.send(&counting.get()).unwrap().report, Some(Report::AllSoon));
    assert_eq!(Report::AllSoon.pause_ms(), 1_000);
}

#[test]
fn a_thousand_first_uses_within_a_second_are_one_report_to_each_shard() {
    let mut counting = Counting::new();
    let mut crowd: Vec<Key> = (0..1_000).map(|number| counting.platform.world.issue(1_000 + number, |_| {})).collect();
    counting.later(6);
    let due: Vec<_> = crowd
        .iter()
        .filter_map(|key| counting.send(&ClientRequest::new("GET /v1/contacts").key(key))?.report)
        .collect();
    assert_eq!(due, [Report::AllSoon, Report::AllLater], "two tasks wait, for all");
    counting.report(Report::AllSoon);
    let reports = counting.reports();
    assert_eq!(reports.len(), USAGE_SHARDS as usize);
    assert_eq!(counted(&reports).values().sum::<u64>(), 1_000);
    // The next first use starts another task, and so does one whose task the platform has ended.
    counting.later(3_600);
    for seconds in [0, 2] {
        counting.later(seconds);
        let key = crowd.pop().unwrap();
        let due = counting.send(&ClientRequest::new("GET /v1/contacts").key(&key)).and_then(|due| due.report);
        assert_eq!(due, Some(Report::AllSoon));
    }
}

#[test]
fn a_shard_whose_keys_fill_a_report_gets_it_at_once_and_the_others_wait() {
    let mut counting = Counting::new();
    let shard = usage_shard(counting.key.record.id.as_str());
    let ids = (1_000..).map(|number| counting.platform.world.issue(number, |_| {}));
    let crowd: Vec<Key> =
        ids.filter(|key| usage_shard(key.record.id.as_str()) == shard).take(2 * REPORTED_KEYS).collect();
    counting.later(6);
    let due: Vec<_> = crowd
        .iter()
        .filter_map(|key| counting.send(&ClientRequest::new("GET /v1/contacts").key(key))?.report)
        .collect();
    assert_eq!(due, [Report::AllSoon, Report::AllLater, Report::Shard(shard), Report::Shard(shard)]);
    counting.report(Report::Shard(shard));
    let reports = counting.reports();
    assert_eq!(reports.iter().map(|report| report.keys.len()).collect::<Vec<_>>(), [REPORTED_KEYS, REPORTED_KEYS]);
    assert!(reports.iter().all(|report| report.shard == shard));
}

#[test]
fn an_unconfirmed_report_is_sent_again_unchanged_before_any_other() {
    let counting = Counting::new();
    counting.platform.shards_answer.set(false);
    let mut sent = Vec::new();
    for attempt in 0..4 {
        for _ in 0..=attempt {
            counting.send(&counting.get());
        }
        counting.flush();
        sent.extend(counting.reports());
        counting.later(30);
    }
    assert!(sent.windows(2).all(|pair| pair[0] == pair[1]), "the same report: {sent:?}");
    assert!(counting.platform.logged.borrow().iter().any(|event| event == "usage_report_failed"));
    counting.platform.shards_answer.set(true);
    counting.flush();
    let last = counting.reports();
    assert_eq!(last.iter().map(|report| report.sequence).collect::<Vec<_>>(), [sent[0].sequence, sent[0].sequence + 1]);
    sent.extend(last);
    assert_eq!(counted(&sent)["allowed"], 1 + 2 + 3 + 4);
    counting.flush();
    assert!(counting.reports().is_empty(), "nothing is left");
}

#[test]
fn a_report_is_given_up_long_before_its_shard_forgets_the_isolate() {
    let counting = Counting::new();
    counting.platform.shards_answer.set(false);
    counting.send(&counting.get());
    counting.flush();
    counting.later(3_599);
    counting.flush();
    assert_eq!(counting.reports().len(), 2);
    counting.later(1);
    counting.flush();
    assert!(counting.platform.logged.borrow().iter().any(|event| event == "usage_lost"));
    counting.reports();
    counting.flush();
    assert!(counting.reports().is_empty());
}

#[test]
fn an_isolate_that_slept_for_a_day_sends_no_report_that_its_shard_may_have_counted_and_forgotten() {
    let counting = Counting::new();
    counting.send(&counting.get());
    counting.platform.shards_answer.set(false);
    counting.flush();
    let sent = counting.reports();
    assert_eq!(sent.len(), 1, "the shard counts it, and its answer is lost");
    counting.platform.shards_answer.set(true);
    counting.later(25 * 3_600);
    counting.flush();
    assert!(counting.reports().is_empty(), "the same report again would count twice");
    assert!(counting.platform.logged.borrow().iter().any(|event| event == "usage_lost"));
    counting.send(&counting.get());
    counting.flush();
    let next = counting.reports().remove(0);
    assert_eq!((next.sequence, next.isolate == sent[0].isolate), (1, false), "the first one under another name");
}

#[test]
fn counts_are_reported_although_the_keys_that_have_them_are_not_used_again() {
    let mut counting = Counting::new();
    let crowd = u64::try_from(COUNTED_TOTAL / COUNTED_USES + 1).unwrap();
    let crowd: Vec<Key> = (0..crowd).map(|number| counting.platform.world.issue(1_000 + number, |_| {})).collect();
    counting.later(6);
    for key in &crowd {
        for number in 0..COUNTED_USES {
            let agent = format!("agent-{number}/1");
            counting.send(&ClientRequest::new("GET /v1/contacts").key(key).with("user-agent", &agent));
        }
    }
    assert!(counting.isolate.usage().unwrap().sizes().1 >= COUNTED_TOTAL);
    // The tasks that waited to report have ended with the platform.
    counting.later(60);
    let due = counting.send(&counting.get()).and_then(|due| due.report);
    assert_eq!(due, Some(Report::AllLater), "memory is full, and this request alone can start a report");
    counting.flush();
    counting.send(&counting.get());
    counting.flush();
    let id = &counting.key.record.id;
    assert!(counting.reports().iter().flat_map(|report| &report.keys).any(|key| key.id == *id));
}

#[test]
fn a_client_that_varies_its_agent_does_not_hide_which_routes_it_uses() {
    let counting = Counting::new();
    for number in 0..=COUNTED_USES {
        let agent = format!("agent-{number}/1");
        counting.send(&ClientRequest::new("GET /v1/contacts").key(&counting.key).with("user-agent", &agent));
    }
    for number in 0..10 {
        let agent = format!("other-{number}/1");
        counting.send(&ClientRequest::new("GET /v1/contacts/7").key(&counting.key).with("user-agent", &agent));
    }
    counting.flush();
    let mut routes: BTreeMap<String, u64> = BTreeMap::new();
    for used in counting.reports().iter().flat_map(|report| &report.keys).flat_map(|key| &key.uses) {
        *routes.entry(used.route.clone()).or_default() += used.count;
    }
    let first = u64::try_from(COUNTED_USES).unwrap() + 1;
    assert_eq!(routes.into_values().collect::<Vec<_>>(), [first, 10]);
}

#[test]
fn a_client_that_varies_its_address_and_agent_grows_nothing() {
    let counting = Counting::new();
    let mut sent = 0;
    for number in 0..2_000_u32 {
        let address = format!("10.{}.{}.1", number / 250, number % 250);
        let request = ClientRequest::new("GET /v1/contacts")
            .key(&counting.key)
            .with("cf-connecting-ip", &address)
            .with("user-agent", &format!("agent-{number}/1"));
        counting.send(&request);
        sent += 1;
    }
    let (keys, counts) = counting.isolate.usage().unwrap().sizes();
    assert!(keys == 1 && counts <= COUNTED_USES + 1, "{counts}");
    counting.flush();
    let reports = counting.reports();
    assert_eq!(counted(&reports)["allowed"], sent, "all are counted");
    let networks: std::collections::BTreeSet<_> = reports
        .iter()
        .flat_map(|report| &report.keys)
        .flat_map(|key| &key.uses)
        .map(|used| used.from.network.clone())
        .collect();
    assert!(networks.len() <= COUNTED_NETWORKS + 1);
}

#[test]
fn the_origin_of_a_network_is_asked_once_in_an_hour_and_reported() {
    let counting = Counting::new();
    let (platform, key) = TestPlatform::new();
    let isolate = Isolate::new(GateSizes::default(), LookupSizes::default(), 0);
    let fresh = Counting { platform, isolate, key };
    let due = fresh.send(&fresh.get()).unwrap();
    assert!(due.new_network.is_some());
    set_origin(&fresh.isolate, &due, Origin::parse("DE", "64496"), "FRA");
    fresh.flush();
    assert!(fresh.send(&fresh.get()).is_none_or(|due| due.new_network.is_none()), "the same network");
    fresh.flush();
    for report in fresh.reports().iter().filter(|report| !report.keys.is_empty()) {
        let from = report.keys[0].last_from.as_ref().unwrap();
        assert_eq!((from.country.as_deref(), from.asn), (Some("DE"), Some(64_496)));
        assert_eq!(report.keys[0].uses[0].from, *from);
    }
    counting.later(3_600);
    assert!(counting.send(&counting.get()).unwrap().new_network.is_some(), "an hour later it is asked again");
}

#[test]
fn an_isolate_wakes_one_more_shard_so_that_all_shards_live() {
    let (platform, key) = TestPlatform::new();
    let isolate = Isolate::new(GateSizes::default(), LookupSizes::default(), 0);
    let counting = Counting { platform, isolate, key };
    counting.send(&counting.get());
    counting.report(Report::AllSoon);
    counting.send(&counting.get());
    counting.flush();
    let reports = counting.reports();
    // The platform's random byte is 0.
    let woken = reports.iter().find(|report| report.keys.is_empty());
    let own = usage_shard(counting.key.record.id.as_str());
    assert!(own < USAGE_SHARDS);
    assert_eq!(woken.map(|report| (report.shard, report.sequence)), (own != 0).then_some((0, 1)));
}

#[test]
fn a_request_while_the_authority_is_unreachable_is_counted_too() {
    let counting = Counting::new();
    counting.platform.reachable.set(false);
    counting.later(3_000);
    counting.send(&ClientRequest::new("GET /v1/closed").key(&counting.key));
    counting.flush();
    assert_eq!(counted(&counting.reports())["authority_unavailable"], 1);
    assert_eq!(counting.platform.now.get(), Millis(NOW.0 + 3_000_000));
}

#[test]
fn after_a_long_pause_an_isolate_reports_under_another_name() {
    let counting = Counting::new();
    let names = [11, 13].map(|hours| {
        counting.later(hours * 3_600);
        counting.send(&counting.get());
        counting.flush();
        let report = counting.reports().remove(0);
        (report.isolate, report.sequence)
    });
    assert_eq!(names, [("0000000000000000.0".to_owned(), 2), ("0000000000000000.1".to_owned(), 1)]);
}
