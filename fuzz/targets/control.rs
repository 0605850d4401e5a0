//! Requests of the control plane: every field of a parsed request is within its limits, and the registry can read every request that
//! the edge writes.

use keyward_config::HostRole;
use keyward_control::failure::Failure;
use keyward_control::operation::{Answer, Input};
use keyward_control::route::{Endpoint, find};
use keyward_control::sign_in::sign_in;
use keyward_control::transport::check_transport;
use keyward_control::{Operation, TextParser};
use keyward_http::head::Head;
use keyward_http::limits::{BODY_BYTES, PROSE_CHARS};
use keyward_testkit::text::nfc;
use serde_json::Value;
use serde_json::value::RawValue;

use super::fixture::{CONFIG, Counting, LIVE, text_of};

/// Input: `METHOD /path?query`, header lines as the glue writes them, an empty line, and the body.
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
    let found = find(head.method(), head.target().path(), HostRole::Control);
    let Ok((Endpoint::Operation(operation), segment)) = found else { return };
    assert!(segment.is_empty() || head.target().path().contains(segment));
    let transport = check_transport(&CONFIG, &head, operation.spec().body);
    if transport.is_ok() {
        assert!(head.origin().is_none_or(|origin| origin.eq_ignore_ascii_case(head.base())));
        assert!(head.sec_fetch_site().is_none_or(|site| matches!(site, "same-origin" | "none")));
    }
    if sign_in(&CONFIG, &head, operation).is_ok() {
        let value = head.authorization().expect("the caller signed in with this header");
        assert!(value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer")));
    }
    if body.len() > BODY_BYTES {
        return;
    }
    let input =
        Input { config: &CONFIG, head: &head, id: segment, body, text: TextParser::new(&nfc), request_id: "id" };
    let prepared = match operation.prepare(&input, &mut Counting(7)) {
        Err(Failure::Fault { event, .. }) => panic!("invalid input is reported as an internal fault: {event}"),
        Err(Failure::OAuth(error)) => {
            assert_eq!(error.reply("id").status, 400);
            return;
        }
        Err(Failure::Problem(problem)) => {
            assert!((400..500).contains(&problem.status()), "invalid input is answered {}", problem.status());
            let shown: Value = serde_json::from_str(&problem.body("id")).expect("a problem is JSON");
            assert!(shown["field"].as_str().unwrap_or_default().chars().count() <= 100);
            return;
        }
        Ok(prepared) => prepared,
    };
    let written = prepared.command.get();
    let again = operation.rewrite(&prepared.command).expect("the registry can read the edge's request");
    assert_eq!(again.get(), written);
    if head.method() != "GET" {
        check_texts(&serde_json::from_str(written).expect("JSON"));
    }
    if let Some(api_key) = prepared.api_key() {
        assert!(!written.contains(api_key.expose()), "a key is sent to the registry");
    }
    if matches!(operation, Operation::Verify | Operation::Introspect | Operation::RevokeByHolder) {
        assert!(!written.contains(LIVE.api_key.expose()), "a submitted key is sent to the registry");
    }
    if matches!(operation, Operation::Verify | Operation::Introspect) {
        assert!(written.len() < 100, "more than an id: {written}");
        // With an empty outcome of the registry no answer is "valid" or "active", and none contains the key.
        let nothing = r#"{"inspected":{"at":1800000000000,"found":null}}"#.to_owned();
        let answer = prepared.respond(&input, Ok(RawValue::from_string(nothing).expect("JSON")));
        let Ok(Answer::Reply(reply)) = answer else { panic!("no reply") };
        assert_eq!(reply.status, 200);
        assert!(!reply.body.contains(LIVE.api_key.expose()), "the answer contains a key: {}", reply.body);
        assert!(
            reply.body.len() < 80 && !reply.body.contains("true"),
            "a positive verdict without a record: {}",
            reply.body
        );
    }
}

/// Checks that no text to store contains misleading characters or exceeds the longest limit.
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
