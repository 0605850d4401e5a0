//! `PATCH /_keyward/v1/members/{id}`: changes a member. What is not named stays as it is.

use super::body::{Fields, Json};
use super::create_member::{days, environments, role};
use super::show_key::parse_id;
use super::text::{email, text};
use keyward_http::limits::NAME_CHARS;
use keyward_http::problem::Problem;
use keyward_protocol::{Command, Limit, MemberChanges};

const FIELDS: &[&str] = &["name", "email", "role", "environments", "expires_in_days"];

/// Parses the changes. `"environments": null` lifts the limit; no other field takes `null`.
pub(super) fn command(segment: &str, body: &[u8]) -> Result<Command, Problem> {
    let id = parse_id(segment)?;
    let mut fields = Fields::parse_changes(body, FIELDS, &["environments"])?;
    let changes = MemberChanges {
        name: fields.take("name").map(|value| text("name", value, NAME_CHARS)).transpose()?,
        email: fields.take("email").map(|value| email("email", value)).transpose()?,
        role: fields.take("role").map(role).transpose()?,
        environments: fields.take_even_null("environments").map(limit).transpose()?,
        expires_in_days: fields.take("expires_in_days").map(days).transpose()?,
    };
    Ok(Command::UpdateMember { id, changes: Box::new(changes) })
}

fn limit(value: Json) -> Result<Limit, Problem> {
    if value == Json::Null { Ok(Limit::Everywhere) } else { environments(value).map(Limit::Only) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(body: &str) -> Option<MemberChanges> {
        match command("wafl_admin_8Fh2kQ0sZp1L", body.as_bytes()) {
            Ok(Command::UpdateMember { changes, .. }) => Some(*changes),
            _ => None,
        }
    }

    #[test]
    fn null_lifts_the_limit_and_absence_leaves_it() {
        assert_eq!(changes(r#"{"environments":null}"#).unwrap().environments, Some(Limit::Everywhere));
        assert_eq!(
            changes(r#"{"environments":["test"]}"#).unwrap().environments,
            Some(Limit::Only(vec![keyward_key::id::Environment::Test]))
        );
        assert_eq!(changes(r#"{"name":"Mia"}"#).unwrap().environments, None);
        for body in ["{}", r#"{"environments":[]}"#, r#"{"role":null}"#, r#"{"name":null}"#, r#"{"id":"x"}"#] {
            assert!(changes(body).is_none(), "{body}");
        }
    }
}
