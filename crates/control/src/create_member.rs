//! `POST /_keyward/v1/members`: makes a member.

use super::body::{Fields, Json, invalid};
use super::text::{email, text};
use keyward_http::limits::NAME_CHARS;
use keyward_http::problem::Problem;
use keyward_key::id::Environment;
use keyward_protocol::role::Role;
use keyward_protocol::{Command, MemberDraft, NewCredential};

const FIELDS: &[&str] = &["name", "email", "role", "environments", "expires_in_days"];

/// Parses the body. Whether the caller may grant this, and how long a credential may live, is the registry's to say.
pub(super) fn parse(body: &[u8]) -> Result<MemberDraft, Problem> {
    let mut fields = Fields::parse(body, FIELDS)?;
    Ok(MemberDraft {
        name: text("name", fields.require("name")?, NAME_CHARS)?,
        email: email("email", fields.require("email")?)?,
        role: role(fields.require("role")?)?,
        environments: fields.take("environments").map(environments).transpose()?,
        expires_in_days: fields.take("expires_in_days").map(days).transpose()?,
    })
}

/// The command, with what was minted for the member.
pub(super) fn command(draft: MemberDraft, credential: NewCredential) -> Command {
    Command::CreateMember { draft: Box::new(draft), credential }
}

pub(super) fn role(value: Json) -> Result<Role, Problem> {
    let known = match value {
        Json::Text(text) => Role::parse(&text),
        _ => None,
    };
    known.ok_or_else(|| {
        invalid("role", "This must be \"owner\", \"manager\", \"responder\", \"auditor\" or \"verifier\".")
    })
}

/// A list that names at least one environment, each once.
pub(super) fn environments(value: Json) -> Result<Vec<Environment>, Problem> {
    let Json::List(items) = value else {
        return Err(invalid("environments", "This must be null (no limit) or a list of \"live\" and \"test\"."));
    };
    let mut environments = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let wrong = |detail: &str| invalid(format!("environments[{index}]"), detail);
        let known = match item {
            Json::Text(text) => Environment::parse(&text),
            _ => None,
        };
        let environment = known.ok_or_else(|| wrong("This must be \"live\" or \"test\"."))?;
        if environments.contains(&environment) {
            return Err(wrong("This environment stands twice. Name it once."));
        }
        environments.push(environment);
    }
    if environments.is_empty() {
        return Err(invalid("environments", "Name at least one environment; null is no limit."));
    }
    Ok(environments)
}

pub(super) fn days(value: Json) -> Result<u32, Problem> {
    let days = match value {
        Json::Number(days) => u32::try_from(days).ok().filter(|days| *days > 0),
        _ => None,
    };
    days.ok_or_else(|| invalid("expires_in_days", "This must be a whole number of days, 1 or more."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_whole_body_is_taken_and_the_field_that_is_wrong_is_named() {
        for (changes, field) in [
            (json!({}), None),
            (json!({"environments": null, "expires_in_days": 30}), None),
            (json!({"environments": ["test", "live"]}), None),
            (json!({"name": 1}), Some("name")),
            (json!({"email": "nobody"}), Some("email")),
            (json!({"role": "admin"}), Some("role")),
            (json!({"role": "Owner"}), Some("role")),
            (json!({"role": null}), Some("role")),
            (json!({"environments": []}), Some("environments")),
            (json!({"environments": "test"}), Some("environments")),
            (json!({"environments": ["test", "test"]}), Some("environments[1]")),
            (json!({"environments": ["admin"]}), Some("environments[0]")),
            (json!({"expires_in_days": 0}), Some("expires_in_days")),
            (json!({"expires_in_days": 4_294_967_296_u64}), Some("expires_in_days")),
            (json!({"expires_at": "2027-01-31T00:00:00Z"}), Some("expires_at")),
        ] {
            let mut body = json!({"name": "Mia", "email": "mia@acme.example", "role": "manager"});
            for (name, value) in changes.as_object().unwrap() {
                body[name] = value.clone();
            }
            let problem = parse(body.to_string().as_bytes()).err().map(|problem| problem.body("r"));
            let shown: Value = problem.map_or(Value::Null, |problem| serde_json::from_str(&problem).unwrap());
            assert_eq!(shown["field"].as_str(), field, "{changes}");
        }
    }
}
