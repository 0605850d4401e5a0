//! GitHub's reports while its list of keys is not available: they are kept sealed, and judged later as if they had arrived then.

use std::cell::RefCell;

use crate::leaks::forged;
use crate::test_plane::*;
use keyward_control::leaks::github_keys::{Fetched, GithubKeys};
use keyward_control::leaks::pending::judge;
use keyward_protocol::{PendingReport, Request};
use keyward_registry::object::Judged;
use keyward_registry::pending_reports::{find, oldest};
use serde_json::{Value, json};

/// `SEQUENCE { 1, 1 }`
const SIGNATURE: &str = "MAYCAQECAQE=";

/// A plane that cannot fetch GitHub's list, and its owner.
fn without_list() -> (Plane, String) {
    let (plane, owner) = Plane::with_owner();
    let mut right = [0; 64];
    (right[31], right[63]) = (1, 1);
    plane.platform.right_signature.set(right);
    (plane, owner)
}

fn serve_list(plane: &Plane, identifier: &str) {
    let key = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    let list = json!({"public_keys": [{"key_identifier": identifier, "is_current": true, "key": key}]});
    *plane.platform.list.borrow_mut() = Ok(Fetched::List { text: list.to_string(), etag: None });
}

fn github(plane: &Plane, body: &Value) -> TestReply {
    let request = post("v1/leaks/github")
        .with("github-public-key-identifier", "one")
        .with("github-public-key-signature", SIGNATURE);
    plane.call(&request, body)
}

/// The report that waits, if one does.
fn waiting(plane: &Plane) -> Option<PendingReport> {
    let store = &mut plane.platform.world.borrow_mut().store;
    let digest = oldest(store).unwrap()?.digest;
    find(store, &digest).unwrap()
}

fn judged(plane: &Plane, pending: &PendingReport) -> Judged {
    let now = plane.platform.now.get();
    run(judge(&plane.platform, &plane.config, &RefCell::<GithubKeys>::default(), pending, now))
}

fn cause(judged: Judged) -> String {
    match judged {
        Judged::Later(cause) => format!("later: {cause}"),
        Judged::Invalid(cause) => cause.to_owned(),
        Judged::Genuine(reports) => format!("{} reports", reports.len()),
    }
}

#[test]
fn a_report_is_kept_sealed_and_judged_once_the_list_is_back() {
    let (plane, owner) = without_list();
    let (key, text) = plane.issue(&owner, "crm");
    let body = json!([{"token": text, "type": "t", "url": format!("https://a.example/?k={text}")}, {"token": "x"}]);
    for _ in 0..2 {
        assert_eq!(github(&plane, &body).verdict(), "503 authority_unavailable");
    }
    let dump = plane.platform.world.borrow_mut().store.dump();
    assert_eq!(dump["pending_reports"].as_array().unwrap().len(), 1, "a report that is sent again is kept once");
    let secret = text.rsplit('_').next().unwrap();
    assert!(!dump.to_string().contains(secret));
    assert!(!format!("{:?}", plane.platform.messages.borrow()).contains(secret));
    let pending = waiting(&plane).unwrap();
    assert!(cause(judged(&plane, &pending)).starts_with("later: "));
    serve_list(&plane, "one");
    let Judged::Genuine(reports) = judged(&plane, &pending) else { panic!("it is genuine") };
    let [report] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!(report.keys.len(), 1);
    assert_eq!(report.keys[0].id.as_str(), key["id"]);
    assert_eq!(report.keys[0].place.as_deref(), Some("https://a.example/?k=[key]"));
    assert_eq!(report.request.request_id, pending.request.request_id);
    let request = Request::Leak(Box::new(report.clone()));
    let world = &mut plane.platform.world.borrow_mut();
    let (policy, now) = (world.policy.clone(), plane.platform.now.get());
    keyward_control::answer(&mut world.store, request, &policy, "abcdefghijklmnop", now).unwrap();
    assert_eq!(world.store.dump()["keys"][0]["state"], "revoked");
}

#[test]
fn a_report_that_is_not_of_github_does_nothing_later_either() {
    let (plane, owner) = without_list();
    let (_, text) = plane.issue(&owner, "crm");
    assert_eq!(github(&plane, &json!([{"token": text}])).status, 503);
    let pending = waiting(&plane).unwrap();
    serve_list(&plane, "two");
    assert_eq!(cause(judged(&plane, &pending)), "GitHub's list does not have the key of the signature");
    serve_list(&plane, "one");
    for (changed, verdict) in [
        (PendingReport { signature: "07".repeat(64), ..pending.clone() }, "the signature is wrong"),
        (PendingReport { signature: "07".to_owned(), ..pending.clone() }, "the signature is wrong"),
        (PendingReport { sealed: "AAAA".to_owned(), ..pending.clone() }, "the sealed body is damaged"),
        (PendingReport { sealed: "-".to_owned(), ..pending.clone() }, "the sealed body is damaged"),
    ] {
        assert_eq!(cause(judged(&plane, &changed)), verdict);
    }
    let other = keyward_testkit::gate_world::config(&json!({"KEYWARD_SECRET": OTHER_SECRET}));
    let now = plane.platform.now.get();
    let judged = run(judge(&plane.platform, &other, &RefCell::default(), &pending, now));
    assert_eq!(cause(judged), "it was sealed under another secret");
}

const OTHER_SECRET: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

#[test]
fn a_report_without_a_text_of_ours_leaves_nothing_and_has_the_same_answer() {
    let (plane, owner) = without_list();
    let (_, text) = plane.issue(&owner, "crm");
    let ours = github(&plane, &json!([{"token": text}]));
    let before = plane.asked();
    for other in [json!([]), json!({}), json!("x"), json!([{"token": &text[..text.len() - 1]}]), json!([{"token": 7}])]
    {
        let reply = github(&plane, &other);
        assert_eq!((reply.status, &reply.headers, &reply.text), (ours.status, &ours.headers, &ours.text), "{other}");
    }
    assert_eq!(plane.asked(), before);
    assert!(waiting(&plane).is_some());
}

/// Anyone can send a report with a signature that is none.
#[test]
fn a_report_that_nobody_has_verified_has_the_tags_of_at_most_a_thousand_keys_checked() {
    let (plane, owner) = without_list();
    let (_, text) = plane.issue(&owner, "crm");
    let forged = forged(&plane);
    let entries = |number: usize| vec![json!({"token": forged}); number];
    let ours = json!({"token": text});
    let behind = |number: usize| json!([entries(number), vec![ours.clone()]].concat());
    assert_eq!(github(&plane, &behind(1_000)).status, 503);
    assert!(waiting(&plane).is_none(), "the text behind a thousand others is not looked at");
    assert_eq!(github(&plane, &behind(999)).status, 503);
    assert!(waiting(&plane).is_some());
}

/// Requests without a key of ours must not use up the queries of members.
#[test]
fn a_report_without_a_text_of_ours_takes_no_query_from_the_isolates_rate() {
    let (plane, owner) = without_list();
    let (_, text) = plane.issue(&owner, "crm");
    for _ in 0..300 {
        github(&plane, &json!([{"token": "x"}]));
    }
    assert_eq!(github(&plane, &json!([{"token": text}])).status, 503);
    assert!(waiting(&plane).is_some());
}

#[test]
fn the_object_asks_for_the_list_once_a_minute() {
    let (plane, owner) = without_list();
    let (_, text) = plane.issue(&owner, "crm");
    github(&plane, &json!([{"token": text}]));
    let pending = waiting(&plane).unwrap();
    let keys = RefCell::<GithubKeys>::default();
    let before = plane.platform.fetches.borrow().len();
    for _ in 0..130 {
        let now = plane.platform.now.get();
        assert!(matches!(run(judge(&plane.platform, &plane.config, &keys, &pending, now)), Judged::Later(_)));
        plane.later(1_000);
    }
    assert_eq!(plane.platform.fetches.borrow().len() - before, 3);
}
