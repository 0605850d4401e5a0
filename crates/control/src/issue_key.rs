//! `POST /_keyward/v1/keys`: issues a key. What the guide advises is required here.

use ipnet::IpNet;

use super::body::{Fields, Json, invalid};
use super::text::{slug, text};
use keyward_http::limits::{CIDRS, CONTACT_CHARS, NAME_CHARS, PROSE_CHARS, SCOPES};
use keyward_http::problem::Problem;
use keyward_key::id::Environment;
use keyward_key::scope::Scope;
use keyward_key::time::Millis;
use keyward_protocol::{Command, KeyDraft, Lifetime, NewCredential};

const FIELDS: &[&str] = &[
    "name",
    "integration",
    "environment",
    "purpose",
    "owner",
    "scopes",
    "allowed_cidrs",
    "expires_in_days",
    "expires_at",
];

/// Parses the body. Whether the scopes exist and how long a key may live is the registry's to say.
pub(super) fn parse(body: &[u8]) -> Result<KeyDraft, Problem> {
    let mut fields = Fields::parse(body, FIELDS)?;
    Ok(KeyDraft {
        name: text("name", fields.require("name")?, NAME_CHARS)?,
        integration: slug("integration", fields.require("integration")?)?,
        environment: environment(fields.require("environment")?)?,
        purpose: text("purpose", fields.require("purpose")?, PROSE_CHARS)?,
        owner: text("owner", fields.require("owner")?, CONTACT_CHARS)?,
        scopes: scopes(&mut fields)?,
        allowed_cidrs: allowed_cidrs(&mut fields)?,
        lifetime: lifetime(&mut fields)?,
    })
}

/// The command, with what was minted for the key.
pub(super) fn command(draft: KeyDraft, credential: NewCredential) -> Command {
    Command::IssueKey { draft: Box::new(draft), credential }
}

fn environment(value: Json) -> Result<Environment, Problem> {
    let known = match value {
        Json::Text(text) => Environment::parse(&text),
        _ => None,
    };
    known.ok_or_else(|| invalid("environment", "This must be \"live\" or \"test\"."))
}

pub(super) fn scopes(fields: &mut Fields) -> Result<Vec<Scope>, Problem> {
    let mut scopes: Vec<Scope> = Vec::new();
    for (index, text) in fields.texts("scopes", SCOPES)?.iter().enumerate() {
        let field = format!("scopes[{index}]");
        let scope = Scope::parse(text).ok_or_else(|| {
            invalid(field.as_str(), "A scope has 1 to 64 of a-z, 0-9, `:`, `.`, `_`, `-` and begins with a letter.")
        })?;
        if scopes.contains(&scope) {
            return Err(invalid(field, "This scope stands twice. Name it once."));
        }
        scopes.push(scope);
    }
    if scopes.is_empty() {
        return Err(invalid("scopes", "At least one scope is required: a key may do only what it names."));
    }
    Ok(scopes)
}

pub(super) fn allowed_cidrs(fields: &mut Fields) -> Result<Vec<IpNet>, Problem> {
    let mut networks: Vec<IpNet> = Vec::new();
    for (index, text) in fields.texts("allowed_cidrs", CIDRS)?.iter().enumerate() {
        let wrong = |detail: String| invalid(format!("allowed_cidrs[{index}]"), detail);
        let network: IpNet =
            text.parse().map_err(|_| wrong("This must be a network like 192.0.2.0/24 or 2001:db8::/32.".to_owned()))?;
        if network.trunc() != network {
            return Err(wrong(format!("This has bits beyond its prefix length. Did you mean {}?", network.trunc())));
        }
        if matches!(network.addr(), std::net::IpAddr::V6(address) if address.to_ipv4_mapped().is_some()) {
            return Err(wrong("This is an IPv4 network in IPv6 form. Write it as IPv4.".to_owned()));
        }
        if networks.contains(&network) {
            return Err(wrong("This network stands twice. Name it once.".to_owned()));
        }
        networks.push(network);
    }
    Ok(networks)
}

fn lifetime(fields: &mut Fields) -> Result<Lifetime, Problem> {
    let days = fields.take("expires_in_days");
    let until = fields.take("expires_at");
    match (days, until) {
        (None, None) => Ok(Lifetime::Default),
        (Some(Json::Number(days)), None) => {
            u32::try_from(days).map(Lifetime::Days).map_err(|_| invalid("expires_in_days", "This is too far ahead."))
        }
        (Some(_), None) => Err(invalid("expires_in_days", "This must be a whole number of days, 1 or more.")),
        (None, Some(Json::Text(text))) => instant(&text).map(Lifetime::Until),
        (None, Some(_)) => Err(invalid("expires_at", "This must be an RFC 3339 time in UTC, as a string.")),
        (Some(_), Some(_)) => Err(invalid("expires_at", "Send either expires_in_days or expires_at.")),
    }
}

pub(super) fn instant(text: &str) -> Result<Millis, Problem> {
    Millis::parse(text)
        .ok_or_else(|| invalid("expires_at", "This must be an RFC 3339 time in UTC, like 2027-01-31T00:00:00Z."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn field_of(changes: &Value) -> Option<String> {
        let mut body = json!({
            "name": "CRM sync", "integration": "crm-sync", "environment": "live",
            "purpose": "Nightly contact sync to the CRM", "owner": "ops@acme.example", "scopes": ["contacts:read"],
        });
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        let problem = parse(body.to_string().as_bytes()).err()?;
        let shown: Value = serde_json::from_str(&problem.body("r")).unwrap();
        Some(shown["field"].as_str().unwrap().to_owned())
    }

    #[test]
    fn a_whole_body_is_taken() {
        for changes in [
            json!({}),
            json!({"expires_in_days": 30, "allowed_cidrs": ["192.0.2.0/24", "2001:db8::/32"]}),
            json!({"expires_at": "2027-01-31T00:00:00Z", "expires_in_days": null}),
        ] {
            assert_eq!(field_of(&changes), None, "{changes}");
        }
    }

    #[test]
    fn the_field_that_is_wrong_is_named() {
        for (changes, field) in [
            (json!({"name": null}), "name"),
            (json!({"name": 1}), "name"),
            (json!({"name": "a\u{202e}"}), "name"),
            (json!({"integration": "CRM sync"}), "integration"),
            (json!({"environment": "prod"}), "environment"),
            (json!({"environment": "admin"}), "environment"),
            (json!({"purpose": ""}), "purpose"),
            (json!({"owner": ["x"]}), "owner"),
            (json!({"scopes": []}), "scopes"),
            (json!({"scopes": "contacts:read"}), "scopes"),
            (json!({"scopes": ["a", 1]}), "scopes[1]"),
            (json!({"scopes": ["a", "a"]}), "scopes[1]"),
            (json!({"scopes": ["A"]}), "scopes[0]"),
            (json!({"allowed_cidrs": ["192.0.2.1"]}), "allowed_cidrs[0]"),
            (json!({"allowed_cidrs": ["192.0.2.1/24"]}), "allowed_cidrs[0]"),
            (json!({"allowed_cidrs": ["::ffff:192.0.2.0/120"]}), "allowed_cidrs[0]"),
            (json!({"expires_in_days": 1.5}), "expires_in_days"),
            (json!({"expires_in_days": -1}), "expires_in_days"),
            (json!({"expires_in_days": "30"}), "expires_in_days"),
            (json!({"expires_at": "tomorrow"}), "expires_at"),
            (json!({"expires_at": "Infinity"}), "expires_at"),
            (json!({"expires_at": "2027-01-31T00:00:00Z", "expires_in_days": 3}), "expires_at"),
            (json!({"colour": "red"}), "colour"),
        ] {
            assert_eq!(field_of(&changes).as_deref(), Some(field), "{changes}");
        }
    }
}
