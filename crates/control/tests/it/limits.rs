//! The limits are in one file, and docs/reference/limits.md states them as the code has them.

use std::fs;
use std::path::{Path, PathBuf};

use keyward_http::limits::*;
use keyward_http::problem::Code;
use keyward_protocol::MAX_LOOKUP_KEYS;

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path))
        .expect("a file of the repository")
}

/// 8192 as `8,192`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Rows of docs/reference/limits.md, by constant.
fn rows() -> Vec<(&'static str, String)> {
    let number = |value: usize| grouped(value);
    let page = |value: u32| value.to_string();
    vec![
        ("TARGET_BYTES", format!("| path and query | {} bytes |", number(TARGET_BYTES))),
        ("HEADER_COUNT", format!("| headers of a request | {}, and", number(HEADER_COUNT))),
        ("HEADER_BYTES", format!("and {} bytes of names and values |", number(HEADER_BYTES))),
        ("CONNECTION_NAMES", format!("| names in `Connection` | {} |", number(CONNECTION_NAMES))),
        ("BODY_BYTES", format!("| body of a control-plane request | {} bytes |", number(BODY_BYTES))),
        ("NAME_CHARS", format!("| name of a key or member | {} characters |", number(NAME_CHARS))),
        ("INTEGRATION_CHARS", format!("| integration | {} of `a-z 0-9 -` |", number(INTEGRATION_CHARS))),
        ("PROSE_CHARS", format!("| purpose, reason | {} characters |", number(PROSE_CHARS))),
        ("CONTACT_CHARS", format!("| owner, e-mail address | {} characters |", number(CONTACT_CHARS))),
        ("SCOPES", format!("| scopes of a key | {}, ", number(SCOPES))),
        ("SCOPE_BYTES", format!("together {} bytes with a space between", number(SCOPE_BYTES))),
        ("CIDRS", format!("| networks of a key | {} |", number(CIDRS))),
        ("ROUTE_COST", format!("| cost of a route | {} |", number(ROUTE_COST as usize))),
        ("LEASED_GROUPS", format!("| limit groups of which one isolate holds leases | {};", number(LEASED_GROUPS))),
        ("VISITED_GROUPS", format!("for an early renewal the {} most recently used", number(VISITED_GROUPS))),
        ("PAGE_DEFAULT", format!("| page of a list | {}, at most", page(PAGE_DEFAULT))),
        ("PAGE_MOST", format!(", at most {} |", page(PAGE_MOST))),
        ("REMEMBERED_KEYS", format!("| keys cached in one isolate | {}, and", number(REMEMBERED_KEYS))),
        ("REMEMBERED_NETWORKS", format!("and {} networks of all of them", number(REMEMBERED_NETWORKS))),
        ("REMEMBERED_CHANGES", format!("| changed keys that one isolate knows | {},", number(REMEMBERED_CHANGES))),
        ("TOLD_CHANGES", format!("| changed keys in the snapshot for new isolates | {},", number(TOLD_CHANGES))),
        (
            "WAITING_KEYS",
            format!(
                "| keys of one isolate that wait for a lookup | {}, which share lookups of {}",
                number(WAITING_KEYS),
                number(MAX_LOOKUP_KEYS)
            ),
        ),
        ("UNKNOWN_LOOKUP_INTERVAL_MS", format!("| every {UNKNOWN_LOOKUP_INTERVAL_MS} ms at most |")),
        ("REVOCATIONS_AT_ONCE", format!("| revocations by holders from one address | {REVOCATIONS_AT_ONCE} at once, ")),
        ("REVOCATION_MILLIS", format!("then one every {} s, in each isolate", REVOCATION_MILLIS / 1000)),
        ("REVOKERS_REMEMBERED", format!("which tracks {} addresses |", number(REVOKERS_REMEMBERED))),
        ("CLAIM_HOURS_DEFAULT", format!("| time for which a claim is open | {CLAIM_HOURS_DEFAULT} hours, ")),
        ("CLAIM_HOURS_MOST", format!("at most {CLAIM_HOURS_MOST} |")),
        ("CLAIM_NONCE_LEAST_CHARS", format!("| nonce of a claim | {CLAIM_NONCE_LEAST_CHARS} to ")),
        ("CLAIM_NONCE_CHARS", format!("to {CLAIM_NONCE_CHARS} visible characters |")),
        (
            "WRONG_CLAIM_SECRETS_AT_ONCE",
            format!("| wrong secrets for one claim | {WRONG_CLAIM_SECRETS_AT_ONCE} at once, "),
        ),
        (
            "WRONG_CLAIM_SECRET_MILLIS",
            format!("then one every {} s, then 429, in each isolate", WRONG_CLAIM_SECRET_MILLIS / 1000),
        ),
        ("CLAIMS_REMEMBERED", format!("which tracks {} claims; ", number(CLAIMS_REMEMBERED))),
        ("INCIDENT_KEYS", format!("| keys of an incident | {}, ", number(INCIDENT_KEYS))),
        ("UNCONFIRMED_KEYS", format!("{UNCONFIRMED_KEYS} without a confirmation |")),
        (
            "CONTROL_REQUESTS_A_SECOND",
            format!("| control-plane requests with one credential | {CONTROL_REQUESTS_A_SECOND} a second, "),
        ),
        ("REFUSED_SIGN_INS_A_SECOND", format!("{REFUSED_SIGN_INS_A_SECOND} refused sign-ins a second, then 429, ")),
        (
            "CONTROL_QUERIES_A_SECOND",
            format!(
                "| queries of one isolate for the control plane and gateways | {CONTROL_QUERIES_A_SECOND} a second,"
            ),
        ),
        ("CONFIRMATIONS_A_SECOND", format!("confirmed before has {CONFIRMATIONS_A_SECOND} a second of its own")),
        (
            "CREDENTIALS_REMEMBERED",
            format!("in each isolate, which tracks {} credentials |", number(CREDENTIALS_REMEMBERED)),
        ),
        (
            "FINAL_REFUSAL_MILLIS",
            format!("revoked, expired or replaced credential | {} s, ", FINAL_REFUSAL_MILLIS / 1000),
        ),
        ("REFUSAL_MILLIS", format!("{} s for any other refused sign-in |", REFUSAL_MILLIS / 1000)),
        ("IDEMPOTENCY_KEY_CHARS", format!("| `Idempotency-Key` | {} visible", number(IDEMPOTENCY_KEY_CHARS))),
        ("ACCESS_TOKEN_BYTES", format!("| JWT of Cloudflare Access | {} bytes, ", number(ACCESS_TOKEN_BYTES))),
        ("ACCESS_KEY_ID_BYTES", format!("{} for the key id, ", number(ACCESS_KEY_ID_BYTES))),
        ("ACCESS_KEYS", format!("{} keys of the team |", number(ACCESS_KEYS))),
        (
            "ASSERTION_BYTES",
            format!("| cached assertions of one isolate, with their claims | {} bytes; ", number(ASSERTION_BYTES)),
        ),
        ("CLIENT_FAMILY_BYTES", format!("| client family in usage | {} bytes", number(CLIENT_FAMILY_BYTES))),
        ("COUNTED_NETWORKS", format!("| networks of a key in an hour, in an isolate | {},", number(COUNTED_NETWORKS))),
        ("COUNTED_USES", format!("| unreported counts of a key | {},", number(COUNTED_USES))),
        ("COUNTED_KEYS", format!("| keys that an isolate counts | {} ", number(COUNTED_KEYS))),
        ("COUNTED_TOTAL", format!("| unreported counts of an isolate | {} ", number(COUNTED_TOTAL))),
        ("REPORTED_KEYS", format!("| keys in one usage report | {} keys, ", number(REPORTED_KEYS))),
        ("REPORTED_USES", format!("or about {} counts |", number(REPORTED_USES))),
        ("SERIES_STEPS", format!("| steps of a usage series | {} ", number(SERIES_STEPS as usize))),
        ("TOTALS", format!("| usage totals in one answer | {TOTALS} ")),
        ("TOTALS_DAYS", format!("| days of usage totals | {TOTALS_DAYS} ")),
        ("ACTIVITY_HOURS", format!("| hours of an activity query | {ACTIVITY_HOURS} ")),
        ("ACTIVITY_LINES", format!("| items of activity as CSV or JSON lines | {} ", number(ACTIVITY_LINES as usize))),
        ("EXPOSED_KEYS", format!("| exposed keys in one URL that are reported | {EXPOSED_KEYS} |")),
        (
            "EXPOSURE_REPORTS_A_MINUTE",
            format!("| reports of exposed keys by one isolate | {EXPOSURE_REPORTS_A_MINUTE} a minute, "),
        ),
        ("EXPOSURE_INTERVAL_MS", format!("the same key and kind once in {} s; ", EXPOSURE_INTERVAL_MS / 1000)),
        ("EXPOSURES_REMEMBERED", format!("it tracks {} of them. ", number(EXPOSURES_REMEMBERED))),
        (
            "SIGN_INS_AT_ONCE",
            format!("| sign-ins to the console with one credential | {SIGN_INS_AT_ONCE} at once in each isolate, "),
        ),
        ("SIGN_IN_MILLIS", format!("then one every {} s |", SIGN_IN_MILLIS / 1_000)),
        (
            "POSTURES_AT_ONCE",
            format!("| readings of the posture with one credential | {POSTURES_AT_ONCE} at once in each isolate, "),
        ),
        (
            "POSTURE_MILLIS",
            format!(
                "posture with one credential | {POSTURES_AT_ONCE} at once in each isolate, then one every {} s |",
                POSTURE_MILLIS / 1_000
            ),
        ),
        ("LEAK_BODY_BYTES", format!("| body of a leak report | {} bytes |", number(LEAK_BODY_BYTES))),
        (
            "LEAK_REPORTS_AT_ONCE",
            format!("| leak reports at the same time | {LEAK_REPORTS_AT_ONCE} for each receiver, "),
        ),
        ("LEAKED_KEYS", format!("| keys of one public leak report | {} |", number(LEAKED_KEYS))),
        ("LEAK_PLACE_CHARS", format!("| place of a leaked key | {} characters, ", number(LEAK_PLACE_CHARS))),
        ("METRIC_INTEGRATIONS", format!("| integrations that metrics name | {METRIC_INTEGRATIONS}; ")),
        ("EVENT_TYPES_LISTED", format!("| types and groups of an endpoint | {EVENT_TYPES_LISTED} |")),
        ("EVENT_URL_BYTES", format!("| address of an endpoint | {} visible", number(EVENT_URL_BYTES))),
    ]
}

#[test]
fn the_page_of_limits_states_every_limit() {
    let source = read("crates/http/src/limits.rs");
    let names: Vec<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split_once(':').map(|(name, _)| name))
        .collect();
    let rows = rows();
    assert_eq!(names, rows.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "a limit without its row here");
    let page = read("docs/reference/limits.md");
    for (name, row) in rows {
        assert!(page.contains(&row), "docs/reference/limits.md does not say of {name}: {row}");
    }
}

#[test]
fn a_refusal_states_the_limit_that_it_is_about() {
    for (code, numbers) in [
        (Code::TargetTooLong, vec![TARGET_BYTES]),
        (Code::HeadersTooLarge, vec![HEADER_COUNT, HEADER_BYTES]),
        (Code::BodyTooLarge, vec![BODY_BYTES]),
    ] {
        for number in numbers {
            assert!(code.detail().contains(&grouped(number)), "{}: {number}", code.as_str());
        }
    }
}

#[test]
fn every_limit_has_its_reason_beside_it() {
    let source = read("crates/http/src/limits.rs");
    let lines: Vec<&str> = source.lines().collect();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("pub const ")) {
        assert!(at > 0 && lines[at - 1].starts_with("/// "), "{line}");
    }
}

#[test]
fn code_that_reads_requests_has_no_limit_outside_the_limits_file() {
    for folder in ["crates/http/src", "crates/control/src", "crates/control/src/operations", "crates/gate/src"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
        let files: Vec<PathBuf> =
            fs::read_dir(folder).expect("a room").map(|entry| entry.expect("a file").path()).collect();
        for file in files.iter().filter(|file| file.is_file() && !file.ends_with("limits.rs")) {
            for line in read(file).lines().filter(|line| line.contains("const ") && line.contains(": usize = ")) {
                let value = line.rsplit(" = ").next().unwrap_or_default();
                let is_number = value.starts_with(|first: char| first.is_ascii_digit());
                assert!(!is_number, "{}: {line}: move it to crates/http/src/limits.rs", file.display());
            }
        }
    }
}
