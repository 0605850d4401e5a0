//! `PATCH /_keyward/v1/keys/{id}`: changes what a key says and may do. What is not named stays as it is.

use super::body::{Fields, Json, invalid};
use super::issue_key::{allowed_cidrs, instant, scopes};
use super::show_key::parse_id;
use super::text::text;
use keyward_http::limits::{CONTACT_CHARS, NAME_CHARS, PROSE_CHARS};
use keyward_http::problem::Problem;
use keyward_protocol::{Command, KeyChanges};

const FIELDS: &[&str] = &["name", "purpose", "owner", "scopes", "allowed_cidrs", "expires_at"];

/// Parses the changes. Whether the scopes exist and how long a key may live is the registry's to say.
pub(super) fn command(segment: &str, body: &[u8]) -> Result<Command, Problem> {
    let id = parse_id(segment)?;
    let mut fields = Fields::parse_changes(body, FIELDS, &[])?;
    let changes = KeyChanges {
        name: fields.take("name").map(|value| text("name", value, NAME_CHARS)).transpose()?,
        purpose: fields.take("purpose").map(|value| text("purpose", value, PROSE_CHARS)).transpose()?,
        owner: fields.take("owner").map(|value| text("owner", value, CONTACT_CHARS)).transpose()?,
        scopes: fields.has("scopes").then(|| scopes(&mut fields)).transpose()?,
        allowed_cidrs: fields.has("allowed_cidrs").then(|| allowed_cidrs(&mut fields)).transpose()?,
        expires_at: fields.take("expires_at").map(end).transpose()?,
    };
    Ok(Command::UpdateKey { id, changes: Box::new(changes) })
}

fn end(value: Json) -> Result<keyward_key::time::Millis, Problem> {
    match value {
        Json::Text(text) => instant(&text),
        _ => Err(invalid("expires_at", "This must be an RFC 3339 time in UTC, as a string.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const ID: &str = "wafl_live_8Fh2kQ0sZp1L";

    #[test]
    fn only_what_is_named_changes() {
        let Ok(Command::UpdateKey { changes, .. }) = command(ID, br#"{"scopes":["a:read"],"allowed_cidrs":[]}"#) else {
            panic!("refused")
        };
        assert!(changes.name.is_none() && changes.owner.is_none() && changes.expires_at.is_none());
        assert_eq!(changes.scopes.unwrap().len(), 1);
        assert_eq!(changes.allowed_cidrs, Some(Vec::new()));
    }

    #[test]
    fn the_field_that_is_wrong_is_named() {
        for (body, field) in [
            (r#"{"name":""}"#, Some("name")),
            (r#"{"name":null}"#, Some("name")),
            (r#"{"expires_at":null}"#, Some("expires_at")),
            (r#"{"expires_at":1}"#, Some("expires_at")),
            (r#"{"scopes":[]}"#, Some("scopes")),
            (r#"{"scopes":"a"}"#, Some("scopes")),
            (r#"{"allowed_cidrs":["x"]}"#, Some("allowed_cidrs[0]")),
            (r#"{"environment":"test"}"#, Some("environment")),
            (r#"{"integration":"x"}"#, Some("integration")),
            (r#"{"expires_in_days":3}"#, Some("expires_in_days")),
            ("{}", None),
        ] {
            let problem = command(ID, body.as_bytes()).err().unwrap();
            let shown: Value = serde_json::from_str(&problem.body("r")).unwrap();
            assert_eq!(shown["field"].as_str(), field, "{body}");
        }
    }
}
