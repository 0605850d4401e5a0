//! Findings in SARIF 2.1.0 (OASIS), the form of code scanning services.

use serde_json::{Value as Json, json};

use super::report::kind;
use super::{Finding, Findings};

/// Name of the only rule.
pub const RULE: &str = "keyward-key";

/// Returns the SARIF document.
#[must_use]
pub fn document(findings: &Findings) -> Json {
    let results: Vec<Json> = findings.found.iter().map(result).collect();
    let notifications: Vec<Json> = findings
        .unread
        .iter()
        .map(|text| json!({"level": "warning", "message": {"text": format!("Not read: {text}")}}))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "keyward",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": [{
                    "id": RULE,
                    "name": "LeakedKey",
                    "shortDescription": {"text": "A Keyward key"},
                    "fullDescription": {"text": "A text with the prefix, form and check of a Keyward key. Revoke or rotate the key, then remove it."},
                    "defaultConfiguration": {"level": "error"},
                    "properties": {"security-severity": "9.0", "tags": ["security"]},
                }],
            }},
            "invocations": [{"executionSuccessful": findings.unread.is_empty(), "toolExecutionNotifications": notifications}],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(finding: &Finding) -> Json {
    let place = &finding.place;
    let path = match (place.path.as_str(), &place.object) {
        ("", Some(object)) => format!("git-object/{object}"),
        (path, _) => path.to_owned(),
    };
    json!({
        "ruleId": RULE,
        "ruleIndex": 0,
        "level": "error",
        "message": {"text": format!("{} {} is in this file. Revoke or rotate it.", capital(kind(finding)), finding.id)},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(&path)},
            "region": {"startLine": place.line, "startColumn": place.column},
        }}],
        "partialFingerprints": {"keywardKeyId/v1": finding.id},
    })
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Returns a path as a relative URI reference.
fn uri(path: &str) -> String {
    use std::fmt::Write as _;
    let mut uri = String::new();
    for byte in path.replace('\\', "/").bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}
