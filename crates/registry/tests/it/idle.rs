//! Keys that nobody uses: announced, warned about and revoked, by proof only.

use keyward_key::id::{Environment, KeyId};
use keyward_key::time::Millis;
use keyward_protocol::Status;
use keyward_protocol::usage::{KeyTimes, USAGE_SHARDS, UsageTimes, usage_shard};
use keyward_registry::idle::{CHECK, IdleRules, count, follow_settings};
use keyward_registry::{keys, usage};
use keyward_testkit::registry_world::*;
use serde_json::Value as Json;

const HOUR_MS: i64 = 3_600_000;

fn key() -> KeyId {
    key_id(Environment::Live, 1)
}

struct Idle {
    world: World,
    /// Shards do not tell their times.
    is_silent: bool,
}

impl Idle {
    /// A registry with live key 1 and these rules.
    fn new(idle_days: u32, revoke_days: u32) -> Self {
        let mut world = World::with_owner();
        world.issue(1, live("crm"));
        // A key that nobody can use is not idle, and this one would expire after 90 days.
        world.store.connection.execute("UPDATE keys SET expires_at = expires_at * 2", []).unwrap();
        follow_settings(&mut world.store, IdleRules { idle_days, revoke_days }).unwrap();
        let mut idle = Self { world, is_silent: false };
        idle.tell(None);
        idle
    }

    /// Every shard tells that it lives, and key 1's when that was used.
    fn tell(&mut self, used_at: Option<Millis>) {
        let id = key();
        for shard in 0..USAGE_SHARDS {
            let times = used_at.filter(|_| shard == usage_shard(id.as_str()));
            let times =
                times.map(|at| KeyTimes { id: id.clone(), first_at: at, last_at: at, from: None, days: Vec::new() });
            let told = UsageTimes { shard, at: self.world.now, keys: times.into_iter().collect(), has_days: true };
            usage::note(&mut self.world.store, &told, self.world.now).unwrap();
        }
    }

    /// Lets some days pass, hour by hour. The alarm does what is due.
    fn days(&mut self, days: i64) {
        for _ in 0..days * 24 {
            self.world.now = Millis(self.world.now.0 + HOUR_MS);
            if !self.is_silent {
                self.tell(None);
            }
            CHECK.run_if_due(&mut self.world.store, self.world.now).unwrap();
        }
    }

    /// Returns what the log says of key 1 since its issue: the day since the start, and the days until the revocation.
    fn told(&mut self) -> Vec<(i64, String)> {
        let rows = self
            .world
            .store
            .connection
            .prepare("SELECT at, action, detail FROM audit ORDER BY seq")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect::<Vec<(String, String, String)>>();
        rows.into_iter()
            .filter(|(_, action, _)| action == "key.idle" || action == "key.revoke")
            .map(|(at, action, detail)| {
                let detail: Json = serde_json::from_str(&detail).unwrap();
                let day = (Millis::parse(&at).unwrap().0 - NOW.0) / (DAY * 1_000);
                let what = match &detail["revoke_in_days"] {
                    Json::Null => action,
                    days => format!("{action} {days}"),
                };
                (day, what)
            })
            .collect()
    }

    fn status(&mut self) -> (Status, Option<String>) {
        let row = keys::find(&mut self.world.store, &key()).unwrap().unwrap();
        let view = keys::view(&row, self.world.now).unwrap();
        (view.status, view.revoked_by)
    }
}

fn told(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
    expected.iter().map(|(day, what)| (*day, (*what).to_owned())).collect()
}

#[test]
fn a_key_that_nobody_uses_is_announced_warned_about_and_revoked() {
    let mut idle = Idle::new(40, 50);
    idle.days(49);
    assert_eq!((idle.status().0, count(&mut idle.world.store).unwrap()), (Status::Active, 1));
    idle.days(2);
    let expected = [(20, "key.idle 30"), (30, "key.idle"), (43, "key.idle 7"), (49, "key.idle 1"), (50, "key.revoke")];
    assert_eq!(idle.told(), told(&expected));
    assert_eq!(idle.status(), (Status::Revoked, Some("keyward".to_owned())));
    assert_eq!(count(&mut idle.world.store).unwrap(), 0);
    assert!(keys::lookup(&mut idle.world.store, &key()).unwrap().unwrap().revoked, "the gate learns it");
}

#[test]
fn without_the_setting_an_idle_key_is_only_announced() {
    let mut idle = Idle::new(90, 0);
    idle.tell(Some(NOW.plus_seconds(60)));
    idle.days(89);
    assert_eq!(idle.told(), []);
    idle.days(200);
    assert_eq!(idle.told(), told(&[(90, "key.idle")]), "once");
    assert_eq!(idle.status().0, Status::Active);
}

#[test]
fn a_use_after_a_warning_ends_it() {
    let mut idle = Idle::new(20, 50);
    idle.days(45);
    let day_45 = idle.world.now;
    idle.tell(Some(day_45));
    assert_eq!(count(&mut idle.world.store).unwrap(), 0, "before the next check too");
    idle.days(19);
    let first = [(20, "key.idle 30"), (43, "key.idle 7")];
    assert_eq!(idle.told(), told(&first), "the warning and the announcement of day 20 are one entry");
    idle.days(2);
    assert_eq!(idle.told()[2..], told(&[(65, "key.idle 30")]));
    assert_eq!(idle.status().0, Status::Active);
}

#[test]
fn a_gap_in_the_reports_restarts_the_days_and_the_warnings() {
    let mut idle = Idle::new(400, 35);
    idle.days(34);
    assert_eq!(idle.told(), told(&[(5, "key.idle 30"), (28, "key.idle 7"), (30, "key.idle"), (34, "key.idle 1")]));
    idle.is_silent = true;
    idle.days(7);
    assert_eq!(idle.status().0, Status::Active, "a silent usage object proves nothing");
    idle.is_silent = false;
    idle.days(35);
    assert_eq!(idle.status().0, Status::Active);
    idle.days(1);
    let again = [(46, "key.idle 30"), (69, "key.idle 7"), (75, "key.idle 1"), (76, "key.revoke")];
    assert_eq!(idle.told()[4..], told(&again));
}

#[test]
fn keys_that_were_idle_before_the_setting_have_their_warnings_first() {
    let mut idle = Idle::new(400, 0);
    idle.days(60);
    follow_settings(&mut idle.world.store, IdleRules { idle_days: 400, revoke_days: 35 }).unwrap();
    idle.days(30);
    assert_eq!(idle.told(), told(&[(30, "key.idle"), (60, "key.idle 30"), (83, "key.idle 7"), (89, "key.idle 1")]));
    // A change of the setting voids the warnings.
    follow_settings(&mut idle.world.store, IdleRules { idle_days: 400, revoke_days: 85 }).unwrap();
    idle.days(31);
    let again = [(90, "key.idle 30"), (113, "key.idle 7"), (119, "key.idle 1"), (120, "key.revoke")];
    assert_eq!(idle.told()[4..], told(&again));
}

#[test]
fn fewer_days_than_a_warning_leave_the_later_ones() {
    let mut idle = Idle::new(400, 1);
    idle.days(3);
    assert_eq!(idle.told(), told(&[(1, "key.idle 1"), (2, "key.revoke")]), "always a day before");
    let mut idle = Idle::new(400, 10);
    idle.days(11);
    assert_eq!(idle.told(), told(&[(3, "key.idle 7"), (9, "key.idle 1"), (10, "key.revoke")]));
}

#[test]
fn a_key_is_checked_a_few_times_in_its_life_and_not_at_each_alarm() {
    let mut idle = Idle::new(90, 0);
    let mut checks = Vec::new();
    for _ in 0..80 {
        let sql = "SELECT min(ifnull(idle_check_at, 0)) FROM keys";
        let next: i64 = idle.world.store.connection.query_row(sql, [], |row| row.get(0)).unwrap();
        if checks.last() != Some(&next) {
            checks.push(next);
        }
        idle.days(1);
    }
    assert!(checks.len() <= 4, "{checks:?}");
}
