//! `PATCH /_keyward/v1/members/{id}`: changes a member. Omitted fields keep their values.

use serde::{Deserialize, Serialize};

use super::create_member::{check_days, check_environments, days, environments, role};
use crate::body::{Fields, Json};
use crate::changed::Changed;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::sight::{allow, check_member_in_sight};
use crate::text::TextParser;
use keyward_http::limits::NAME_CHARS;
use keyward_http::problem::Problem;
use keyward_key::id::{Environment, KeyId};
use keyward_key::mint::Minted;
use keyward_protocol::{Raw, Rejection, Role, Status};
use keyward_registry::audit::difference;
use keyward_registry::context::{Context, OperationError, Policy, days_after};
use keyward_registry::members::{self, Member, each_once, stored_limit};
use keyward_registry::meta;
use keyward_registry::store::{Store, Value};
use keyward_key::time::Millis;

const FIELDS: &[&str] = &["name", "email", "role", "environments", "expires_in_days"];

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct UpdateMember {
    /// Id of the member.
    pub id: KeyId,
    /// Changes.
    pub changes: MemberChanges,
}

/// The member after the change.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// View.
    pub member: Raw,
}

impl ControlOperation for UpdateMember {
    const SPEC: Spec = Spec {
        method: "PATCH",
        path: "v1/members/{id}",
        body: BodyKind::Json,
        takes_query: false,
        access: Access::Roles(&[Role::Owner]),
        writes: true,
        idempotent: false,
    };
    const TAKES_CONFIRMATION: bool = true;
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        Ok(Self { id: input.key_id()?, changes: parse(input.body, input.text)? })
    }

    fn authorise(request: Option<&Self>, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        let Some(request) = request else { return Ok(()) };
        check_member_in_sight(store, by, &request.id)?;
        match &request.changes.environments {
            None => Ok(()),
            Some(Limit::Everywhere) => allow(by.member()?.covers(None)),
            Some(Limit::Only(environments)) => allow(by.member()?.covers(Some(environments))),
        }
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let before = members::find(store, &self.id)?.ok_or(Rejection::NotFound)?;
        match before.status(by.now) {
            Status::Revoked => return Err(Rejection::NotActive { status: Status::Revoked }.into()),
            // The lifetime of an expired credential cannot be extended: rotate the credential instead.
            Status::Expired if self.changes.expires_in_days.is_some() => {
                return Err(Rejection::NotActive { status: Status::Expired }.into());
            }
            Status::Active | Status::Pending | Status::Retiring | Status::Quarantined | Status::Expired => {}
        }
        let after = self.changes.apply(&before, by.policy, by.now)?;
        if lets_a_thief_stay(&before, &after) {
            by.confirm()?;
        }
        members::free_email(store, by, &after.email, Some(&self.id))?;
        if after.role != Role::Owner || after.environments.is_some() {
            members::check_not_last_owner(store, &before, by.now)?;
        }

        // A change to the present values writes nothing.
        let Some(difference) = difference(&before.view(by.now), &after.view(by.now))? else {
            return Ok(Outcome { member: raw(&before.view(by.now))? });
        };
        // A change by an owner without a limit confirms the e-mail address.
        let limited = by.member()?.environments.is_some();
        let email_by_limited = limited && (before.email_by_limited || before.email != after.email);
        let revision = meta::next_revision(store)?;
        store.execute(
            "UPDATE members SET name = ?, email = ?, email_by_limited = ?, role = ?, environments = ?, expires_at = ?,
                 life_days = ?, revision = ? WHERE id = ?",
            &[
                after.name.as_str().into(),
                after.email.as_str().into(),
                Value::Integer(i64::from(email_by_limited)),
                after.role.as_str().into(),
                stored_limit(after.environments.as_deref())?,
                after.expires_at.into(),
                Value::Integer(i64::from(after.life_days)),
                Value::count(revision)?,
                self.id.as_str().into(),
            ],
        )?;
        by.record(store, "member.update", &self.id, difference)?;
        Ok(Outcome { member: raw(&members::get_written(store, &self.id)?.view(by.now))? })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let member = outcome?.member;
        Ok(input.ok(&Changed::member(&member)).tagged(&member))
    }
}

/// Returns whether a change gives somebody what outlasts a session, as a new credential would: more rights, or another e-mail address,
/// by which Cloudflare Access signs in.
fn lets_a_thief_stay(before: &Member, after: &Member) -> bool {
    let becomes_owner = after.role == Role::Owner && before.role != Role::Owner;
    becomes_owner || !before.covers(after.environments.as_deref()) || before.email != after.email
}

/// Changes of a member; `None` keeps a field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberChanges {
    /// New name.
    pub name: Option<String>,
    /// New e-mail address.
    pub email: Option<String>,
    /// New role.
    pub role: Option<Role>,
    /// New limit.
    pub environments: Option<Limit>,
    /// New lifetime of the credential, in days from now.
    pub expires_in_days: Option<u32>,
}

/// Limit of a member to environments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// No limit: `null` in a body.
    Everywhere,
    /// Limited to these environments.
    Only(Vec<Environment>),
}

impl MemberChanges {
    fn apply(&self, before: &Member, policy: &Policy, now: Millis) -> Result<Member, Rejection> {
        let mut after = before.clone();
        if let Some(name) = &self.name {
            after.name.clone_from(name);
        }
        if let Some(email) = &self.email {
            after.email.clone_from(email);
        }
        if let Some(role) = self.role {
            after.role = role;
        }
        match &self.environments {
            None => {}
            Some(Limit::Everywhere) => after.environments = None,
            Some(Limit::Only(environments)) => {
                check_environments(Some(environments))?;
                after.environments = Some(each_once(environments));
            }
        }
        if self.expires_in_days.is_some() {
            after.life_days = check_days(self.expires_in_days, policy)?;
            after.expires_at = days_after(now, after.life_days);
        }
        Ok(after)
    }
}

/// Parses the changes. `"environments": null` removes the limit; no other field accepts `null`.
fn parse(body: &[u8], text: TextParser<'_>) -> Result<MemberChanges, Problem> {
    let mut fields = Fields::parse_changes(body, FIELDS, &["environments"])?;
    Ok(MemberChanges {
        name: fields.take("name").map(|value| text.parse("name", value, NAME_CHARS)).transpose()?,
        email: fields.take("email").map(|value| text.email("email", value)).transpose()?,
        role: fields.take("role").map(role).transpose()?,
        environments: fields.take_even_null("environments").map(limit).transpose()?,
        expires_in_days: fields.take("expires_in_days").map(days).transpose()?,
    })
}

fn limit(value: Json) -> Result<Limit, Problem> {
    if value == Json::Null { Ok(Limit::Everywhere) } else { environments(value).map(Limit::Only) }
}

const OPEN_API: &str = r##"{
  "operationId": "updateMember",
  "tags": ["Members"],
  "summary": "Changes the given fields of a member",
  "description": "Owner.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/MemberId"}, {"$ref": "#/components/parameters/IfMatch"}],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/UpdateMember"}}}
  },
  "responses": {
    "200": {
      "description": "The member",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "ETag": {"$ref": "#/components/headers/ETag"}
      },
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MemberChanged"}}}
    },
    "409": {
      "description": "`not_active`, `email_taken`, `last_owner`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "not_active",
                  "email_taken",
                  "last_owner"
                ]
              }
            }
          }
        }
      }
    }
  }
}"##;

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(body: &str) -> Option<MemberChanges> {
        parse(body.as_bytes(), TextParser::of_tests()).ok()
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
