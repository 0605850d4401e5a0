//! `keyward events …`.

use std::io::{BufRead as _, BufReader};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value as Json, json};

use crate::program::User;
use crate::server::{Reply, Server, in_days};
use crate::snapshot;

const ENDPOINT: &str = "ep_8Fh2kQ0sZp1L3vTq";

fn delivery(number: u64, status: &str, attempts: Json) -> Json {
    json!({"id": format!("dlv_{number}"), "endpoint": ENDPOINT, "event_id": "evt_0123456789abcdefghijklmn",
        "type": "key.revoked", "seq": number, "event_time": in_days(-1), "status": status,
        "next_attempt_at": (status == "pending").then(|| in_days(1)), "attempts": attempts})
}

fn page(items: Vec<Json>) -> Reply {
    Reply::json(200, &json!({"items": items, "next_cursor": null}))
}

#[test]
fn deliveries_are_listed_as_a_table_with_the_last_attempt_in_words() {
    let server = Server::start(|_| {
        page(vec![
            delivery(3, "pending", json!([])),
            delivery(
                2,
                "pending",
                json!([{"at": in_days(-1), "status": null, "error": "connection_failed", "duration_ms": 3}]),
            ),
            delivery(1, "delivered", json!([{"at": in_days(-1), "status": 200, "error": null, "duration_ms": 41}])),
        ])
    });
    let arguments = ["events", "list", "--endpoint", ENDPOINT, "--type", "key.revoked", "--status", "pending"];
    let outcome = User::of(&server.url).run(&arguments).expect(0);
    snapshot::check("events-list.txt", &outcome.stdout);
    let line = format!("GET /_keyward/v1/deliveries?endpoint={ENDPOINT}&type=key.revoked&status=pending&limit=50");
    assert_eq!(server.lines(), [line]);
}

#[test]
fn a_tail_shows_each_delivery_once_oldest_first_and_goes_on_after_an_outage() {
    let asked = AtomicU64::new(0);
    let server = Server::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => page(vec![delivery(5, "delivered", json!([])), delivery(4, "delivered", json!([]))]),
        // A read is repeated twice.
        1..=3 => Reply::problem(503, "authority_unavailable", "The authority does not answer."),
        _ => page((5..=7).rev().map(|number| delivery(number, "pending", json!([]))).collect()),
    });
    let user = User::of(&server.url);
    let mut child = user.start(&["events", "tail", "--output", "json"]);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ids: Vec<Json> =
        lines.take(4).map(|line| serde_json::from_str::<Json>(&line.unwrap()).unwrap()["id"].clone()).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(ids, ["dlv_4", "dlv_5", "dlv_6", "dlv_7"]);
}

#[test]
fn a_delivery_and_a_span_of_time_are_sent_again() {
    let server = Server::start(|request| match request.path.ends_with("/replay") {
        true => Reply::json(200, &json!({"count": 2})),
        false => Reply::json(200, &json!({"delivery": delivery(8, "pending", json!([]))})),
    });
    let user = User::of(&server.url);
    let outcome = user.run(&["events", "resend", "dlv_7"]).expect(0);
    assert!(outcome.stdout.contains("as dlv_8"), "{}", outcome.stdout);
    user.run(&["events", "resend", "7/../../keys"]).expect(2);
    let span = ["--from", "2026-11-20T00:00:00Z", "--to", "2026-11-21T00:00:00Z"];
    let outcome = user.run(&[&["events", "replay", ENDPOINT][..], &span].concat()).expect(0);
    assert_eq!(outcome.stdout, "2 events are sent again.\n");
    assert_eq!(server.received()[1].json(), json!({"from": "2026-11-20T00:00:00Z", "to": "2026-11-21T00:00:00Z"}));
}

#[test]
fn what_would_send_events_twice_is_sent_once() {
    let server = Server::start(|_| Reply::problem(503, "authority_unavailable", "Later.").with("retry-after", "0"));
    let user = User::of(&server.url);
    let replay = ["events", "replay", ENDPOINT, "--from", "2026-11-20T00:00:00Z", "--to", "2026-11-21T00:00:00Z"];
    let (again, test) = ("The events may have been sent again.", "The test event may have been sent.");
    for (number, (arguments, unknown)) in
        [(&["events", "resend", "dlv_7"][..], again), (&replay, again), (&["endpoints", "test", ENDPOINT], test)]
            .into_iter()
            .enumerate()
    {
        let outcome = user.run(arguments).expect(5);
        assert!(outcome.stderr.contains(unknown), "{}", outcome.stderr);
        assert_eq!(server.lines().len(), number + 1);
    }
}
