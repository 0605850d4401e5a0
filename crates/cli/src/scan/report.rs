//! Findings as text and JSON.

use serde_json::{Value as Json, json};

use super::{Finding, Findings};

/// Returns the line of a finding: place, key id, what it is.
#[must_use]
pub fn line(finding: &Finding) -> String {
    let place = &finding.place;
    let object = place.object.as_deref().and_then(|object| object.get(..12)).map(|object| format!("git:{object}"));
    let path = match (place.path.as_str(), object) {
        ("", Some(object)) => object,
        (path, Some(object)) => format!("{path} ({object})"),
        (path, None) => path.to_owned(),
    };
    let remark = place.remark.as_deref().map(|remark| format!(", {remark}")).unwrap_or_default();
    format!("{path}:{}:{}: {} ({}{remark})", place.line, place.column, finding.id, kind(finding))
}

/// Returns what kind of key it is.
#[must_use]
pub fn kind(finding: &Finding) -> &'static str {
    if finding.is_member { "member's credential" } else { "API key" }
}

/// Returns the JSON document.
#[must_use]
pub fn document(findings: &Findings) -> Json {
    let items: Vec<Json> = findings.found.iter().map(item).collect();
    json!({"items": items, "read": findings.read, "unread": findings.unread})
}

fn item(finding: &Finding) -> Json {
    let place = &finding.place;
    json!({
        "key_id": finding.id,
        "kind": if finding.is_member { "member" } else { "key" },
        "path": place.path,
        "object": place.object,
        "line": place.line,
        "column": place.column,
        "remark": place.remark,
    })
}
