//! The control plane's requests, by the way of each operation: what becomes a command has every field within its limits.

use keyward_control::{Asked, KeyEndpointRequest, Endpoint, Unprepared};
use keyward_http::head::Head;
use keyward_http::limits::{BODY_BYTES, PROSE_CHARS};
use keyward_protocol::{Command, Operation};
use keyward_key::time::Millis;
use serde_json::Value;

use super::fixture::{CONFIG, Counting, LIVE, text_of};

/// `METHOD /path?query`, header lines as the glue writes them, an empty line, and the body.
pub fn run(data: &[u8]) {
    let at = data.windows(2).position(|pair| pair == b"\n\n").unwrap_or(data.len());
    let (start, body) = data.split_at(at);
    let body = body.get(2..).unwrap_or_default();
    let start = text_of(start);
    let (line, headers) = start.split_once('\n').unwrap_or((&start, ""));
    let Some((method, target)) = line.split_once(' ') else { return };
    let mut text = format!("1800000000000\n{method}\nhttp://h{target}\n{headers}");
    if !headers.is_empty() {
        text.push('\n');
    }
    let Ok(head) = Head::parse(&text) else { return };
    let Ok(Endpoint::Operation(operation, segment)) = keyward_control::find(head.method(), head.target().path()) else { return };
    assert!(segment.is_empty() || head.target().path().contains(segment));
    let transport = keyward_control::check_transport(&CONFIG, &head, operation);
    if transport.is_ok() {
        assert!(head.origin().is_none_or(|origin| origin.eq_ignore_ascii_case(head.base())));
        assert!(head.sec_fetch_site().is_none_or(|site| matches!(site, "same-origin" | "none")));
    }
    if keyward_control::sign_in(&CONFIG, &head, operation).is_ok() {
        let value = head.authorization().expect("signed in by a header");
        assert!(value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer")));
    }
    if body.len() > BODY_BYTES {
        return;
    }
    if matches!(operation, Operation::Verify | Operation::Introspect | Operation::RevokeByHolder) {
        return hand_over(operation, &head, body);
    }
    let asked = Asked { config: &CONFIG, head: &head, operation, id: segment, body };
    match keyward_control::prepare(&asked, &mut Counting(7)) {
        Err(Unprepared::Entropy) => panic!("there was entropy"),
        Err(Unprepared::Wrong(problem)) => {
            assert!((400..500).contains(&problem.status()), "a caller's mistake is no {}", problem.status());
            let shown: Value = serde_json::from_str(&problem.body("id")).expect("a problem is JSON");
            assert!(shown["field"].as_str().unwrap_or_default().chars().count() <= 100);
        }
        Ok(prepared) => {
            let written = serde_json::to_string(&prepared.command).expect("a command is JSON");
            let read: Command = serde_json::from_str(&written).expect("the registry reads what the edge writes");
            assert_eq!(serde_json::to_string(&read).ok().as_deref(), Some(written.as_str()));
            if head.method() != "GET" {
                check_texts(&serde_json::from_str(&written).expect("JSON"));
            }
            if let Some(api_key) = prepared.api_key {
                assert!(!written.contains(api_key.expose()), "the registry is told a key");
            }
        }
    }
}

/// What is handed over becomes a command that the registry reads, which holds no more of a key than its id; and where the
/// registry finds nothing, an answer that never is "valid" or "active" and repeats nothing of the body.
fn hand_over(operation: Operation, head: &Head<'_>, body: &[u8]) {
    let body = text_of(body);
    let handover = KeyEndpointRequest::parse(operation, &CONFIG, head, body.as_bytes());
    let written = serde_json::to_string(&handover.command(operation)).expect("a command is JSON");
    assert!(serde_json::from_str::<Command>(&written).is_ok(), "the registry reads what the edge writes");
    assert!(written.len() < 100, "more than an id: {written}");
    let answered = handover.answer(&CONFIG, head, Millis(1_800_000_000_000), None, "id");
    let reply = answered.unwrap_or_else(|refusal| refusal.reply("id"));
    assert!(matches!(reply.status, 200 | 400), "{}", reply.status);
    assert!(!reply.body.contains(LIVE.api_key.expose()), "a key comes back: {}", reply.body);
    let says_little = reply.body.len() < 80 && !reply.body.contains("true");
    assert!(reply.status == 400 || says_little, "a verdict from nothing: {}", reply.body);
}

/// No text that will be kept misleads whoever reads it, and none is longer than the longest may be.
fn check_texts(value: &Value) {
    match value {
        Value::String(text) => {
            assert!(text.chars().count() <= PROSE_CHARS, "too long: {text}");
            let misleads = |letter: char| {
                letter.is_control()
                    || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
            };
            assert!(!text.chars().any(misleads), "misleading: {text:?}");
        }
        Value::Array(items) => items.iter().for_each(check_texts),
        Value::Object(fields) => fields.values().for_each(check_texts),
        _ => {}
    }
}
