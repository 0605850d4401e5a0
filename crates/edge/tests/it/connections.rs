//! Long-lived answers: how long a WebSocket or an event stream stays open, and why it closes.

use keyward_edge::connections::{Check, Open, Verdict, check, look_up, open};
use keyward_edge::{Isolate, LookupContext, LookupSizes, RequestContext};
use keyward_gate::{GateSizes, TOO_OLD};
use keyward_http::head::Head;
use keyward_key::record::{Quarantined, Record};
use keyward_key::scope::Scope;
use keyward_key::time::Millis;
use keyward_testkit::gate_world::{ClientRequest, Key, NOW};
use serde_json::{Value, json};

use crate::test_platform::{TestPlatform, at_once};

const BOUND_MS: i64 = 5_000;
const GRACE_MS: i64 = 60_000;
/// A connection closes this much before its knowledge is too old.
const MARGIN_MS: i64 = 250;

/// An isolate with one connection, and the clock that its timers go by.
struct Held {
    platform: TestPlatform,
    isolate: Isolate,
    key: Key,
}

impl Held {
    fn new(settings: &Value) -> Self {
        let (platform, key) = TestPlatform::with(settings);
        Self { platform, isolate: Isolate::new(GateSizes::default(), LookupSizes::default(), 0), key }
    }

    fn open(&self, path: &str) -> Result<Open, String> {
        let request = ClientRequest::new(path).key(&self.key).with("cf-connecting-ip", "192.0.2.7");
        let text = request.text();
        let head = Head::parse(&text).unwrap();
        let config = &self.platform.world.config;
        let context = RequestContext {
            isolate: &self.isolate,
            config,
            platform: &self.platform,
            head: &head,
            request_id: "req-1",
        };
        at_once(open(&context)).map_err(|reply| format!("{} {}", reply.status, reply.body))
    }

    fn opened(&self) -> Open {
        self.open("GET /v1/contacts").unwrap()
    }

    fn check(&self, connection: &str) -> Verdict {
        let config = &self.platform.world.config;
        let context = LookupContext { isolate: &self.isolate, config, platform: &self.platform, request_id: "req-1" };
        match check(&context, connection) {
            Check::Done(verdict) => verdict,
            Check::LookUp(connection) => at_once(look_up(&context, connection)),
        }
    }

    fn still_open(&self, connection: &str) -> Open {
        match self.check(connection) {
            Verdict::Open(open) => open,
            Verdict::Close(reason) => panic!("closed: {reason}"),
        }
    }

    fn advance(&self, milliseconds: i64) {
        self.platform.now.set(Millis(self.platform.now.get().0 + milliseconds));
    }

    fn change(&mut self, change: impl FnOnce(&mut Record)) {
        let id = self.key.record.id.clone();
        self.platform.world.change(&id, change);
    }

    /// Follows the verdicts as the platform does, with timers that are never late. Returns when the connection closes, and why.
    fn follow(&self, mut open: Open) -> (i64, &'static str) {
        loop {
            if open.check_in_ms >= open.close_in_ms {
                self.advance(open.close_in_ms);
                return (self.platform.now.get().since(NOW), open.reason);
            }
            self.advance(open.check_in_ms);
            match self.check(&open.connection) {
                Verdict::Open(next) => open = next,
                Verdict::Close(reason) => return (self.platform.now.get().since(NOW), reason),
            }
        }
    }
}

#[test]
fn a_connection_is_checked_once_a_bound_and_its_text_holds_no_credential() {
    let held = Held::new(&json!({}));
    let mut open = held.opened();
    for _ in 0..5 {
        assert_eq!(open.check_in_ms, BOUND_MS);
        assert_eq!(open.close_in_ms, BOUND_MS + GRACE_MS - MARGIN_MS);
        assert_eq!(open.reason, "authority_unavailable");
        assert!(open.connection.contains(held.key.record.id.as_str()));
        assert!(!open.connection.contains(&held.key.text) && !open.connection.contains(&held.key.text[24..56]));
        held.advance(open.check_in_ms);
        open = held.still_open(&open.connection);
    }
}

#[test]
fn a_change_that_takes_the_right_away_closes_the_connection_at_the_next_check() {
    type Change = fn(&mut Record);
    let changes: [(&str, Change); 5] = [
        ("revoked_key", |record| record.revoked = true),
        ("expired_key", |record| record.expires_at = NOW),
        ("quarantined_key", |record| record.quarantined = Quarantined::when(true)),
        ("insufficient_scope", |record| record.scopes = vec![Scope::parse("contacts:write").unwrap()]),
        ("address_not_allowed", |record| record.allowed_cidrs = vec!["198.51.100.0/24".parse().unwrap()]),
    ];
    for (reason, change) in changes {
        let mut held = Held::new(&json!({}));
        let open = held.opened();
        held.change(change);
        assert_eq!(held.follow(open), (BOUND_MS, reason));
    }
    let mut held = Held::new(&json!({}));
    let open = held.opened();
    held.change(|record| record.allowed_cidrs = vec!["192.0.2.0/24".parse().unwrap()]);
    held.advance(open.check_in_ms);
    held.still_open(&open.connection);
}

#[test]
fn a_connection_closes_at_the_keys_expiry_and_at_the_maximum_age() {
    let mut held = Held::new(&json!({}));
    held.platform.world.issue(1, |record| record.expires_at = NOW.plus_seconds(12));
    let open = held.opened();
    assert_eq!(held.follow(open), (12_000, "expired_key"));
    held = Held::new(&json!({"MAX_CONNECTION_SECONDS": 60}));
    let open = held.opened();
    assert_eq!(held.follow(open), (60_000, TOO_OLD));
}

#[test]
fn while_the_authority_is_unreachable_a_connection_lives_for_bound_and_grace_after_its_last_confirmation() {
    for (settings, path, closes_ms) in [
        (json!({}), "GET /v1/contacts", BOUND_MS + GRACE_MS - MARGIN_MS),
        (json!({"OUTAGE_GRACE_SECONDS": 0}), "GET /v1/contacts", BOUND_MS - MARGIN_MS),
        (json!({}), "GET /v1/closed", BOUND_MS - MARGIN_MS),
        (json!({"REVOCATION_BOUND_SECONDS": 1, "OUTAGE_GRACE_SECONDS": 0}), "GET /v1/contacts", 950),
    ] {
        let held = Held::new(&settings);
        let open = held.open(path).unwrap();
        held.platform.reachable.set(false);
        assert_eq!(held.follow(open), (closes_ms, "authority_unavailable"), "{settings} {path}");
    }
}

#[test]
fn with_no_grace_a_reachable_authority_keeps_a_connection_open() {
    let held = Held::new(&json!({"OUTAGE_GRACE_SECONDS": 0, "MAX_CONNECTION_SECONDS": 60}));
    let open = held.opened();
    assert_eq!(held.follow(open), (60_000, TOO_OLD));
}

#[test]
fn an_answer_that_begins_long_after_its_request_is_checked_again() {
    let mut held = Held::new(&json!({}));
    held.opened();
    held.advance(600_000);
    assert_eq!(held.opened().check_in_ms, BOUND_MS);
    held.advance(600_000);
    held.platform.reachable.set(false);
    let refused = held.open("GET /v1/contacts").unwrap_err();
    assert!(refused.starts_with("503") && refused.contains("authority_unavailable"), "{refused}");
    held.platform.reachable.set(true);
    held.change(|record| record.revoked = true);
    held.advance(10_000);
    let refused = held.open("GET /v1/contacts").unwrap_err();
    assert!(refused.starts_with("401") && refused.contains("revoked_key"), "{refused}");
}

#[test]
fn a_clock_that_steps_back_prolongs_no_connection() {
    let held = Held::new(&json!({"MAX_CONNECTION_SECONDS": 60}));
    let mut open = held.opened();
    held.advance(30_000);
    open = held.still_open(&open.connection);
    held.platform.reachable.set(false);
    held.advance(-25_000);
    // 30 s of the 60 are over, and so are none of the bound and the grace since the last confirmation.
    let later = held.still_open(&open.connection);
    assert_eq!(later.close_in_ms, 30_000);
    assert_eq!(later.reason, TOO_OLD);
}

#[test]
fn a_text_that_is_no_connection_closes_it() {
    let held = Held::new(&json!({}));
    for text in ["", "{}", "null", "open", "{\"key_id\":\"wafl_live_0123456789ab\"}"] {
        assert_eq!(held.check(text), Verdict::Close("internal_error"));
    }
}

/// Random outages, pauses, traffic and one revocation: no connection is open after `guaranteed_by`.
#[test]
fn no_history_leaves_a_connection_open_past_guaranteed_by() {
    let mut seed = 7_u64;
    let mut random = move |below: i64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(seed >> 33).unwrap() % below
    };
    let mut reasons = std::collections::BTreeMap::new();
    for _ in 0..400 {
        let (bound, grace) = (1 + random(10), random(20));
        let settings = json!({"REVOCATION_BOUND_SECONDS": bound, "OUTAGE_GRACE_SECONDS": grace});
        let mut held = Held::new(&settings);
        let mut open = held.opened();
        let revoked_at = NOW.0 + random(40_000);
        let (mut is_revoked, mut until) = (false, NOW.0 + open.close_in_ms);
        let reason = loop {
            if random(4) == 0 {
                held.platform.reachable.set(!held.platform.reachable.get());
            }
            if !is_revoked && held.platform.now.get().0 >= revoked_at {
                is_revoked = true;
                held.change(|record| record.revoked = true);
            }
            let late = random(20);
            let wakes = (held.platform.now.get().0 + open.check_in_ms + late).min(until);
            if !is_revoked && wakes > revoked_at {
                // The revocation falls between two checks.
                is_revoked = true;
                held.change(|record| record.revoked = true);
            }
            held.platform.now.set(Millis(wakes));
            if wakes == until {
                break open.reason;
            }
            match held.check(&open.connection) {
                Verdict::Open(next) => open = next,
                Verdict::Close(reason) => break reason,
            }
            until = wakes + open.close_in_ms;
        };
        *reasons.entry(reason).or_insert(0) += 1;
        let guaranteed = revoked_at + (bound + grace) * 1_000;
        let closed = held.platform.now.get().0;
        assert!(closed <= guaranteed, "{} ms late: {settings}", closed - guaranteed);
    }
    assert!(reasons["revoked_key"] > 50 && reasons["authority_unavailable"] > 20, "{reasons:?}");
}
