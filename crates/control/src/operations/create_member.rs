//! `POST /_keyward/v1/members`: creates a member.

use serde::{Deserialize, Serialize};

use crate::body::{Fields, Json, invalid};
use crate::changed::Changed;
use crate::credential::Subject;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::sight::allow;
use crate::text::TextParser;
use keyward_http::limits::NAME_CHARS;
use keyward_http::problem::Problem;
use keyward_key::id::{Class, Environment};
use keyward_key::mint::Minted;
use keyward_protocol::{Raw, Rejection, Role};
use keyward_registry::audit::shown;
use keyward_registry::context::{Context, OperationError, Policy};
use keyward_registry::members::{self, NewMember};
use keyward_registry::store::Store;

const FIELDS: &[&str] = &["name", "email", "role", "environments", "expires_in_days"];

/// The request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreateMember {
    /// Name.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// Role.
    pub role: Role,
    /// Environments that the member is limited to; `None` means no limit.
    pub environments: Option<Vec<Environment>>,
    /// Lifetime of the member's credential, in days; `None` means `MAX_MEMBER_DAYS`.
    pub expires_in_days: Option<u32>,
}

/// The new member.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// View.
    pub member_created: Raw,
}

impl ControlOperation for CreateMember {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/members",
        body: BodyKind::Json,
        takes_query: false,
        access: Access::Roles(&[Role::Owner]),
        writes: true,
        idempotent: true,
    };
    const NEEDS_CONFIRMATION: bool = true;
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        Ok(parse(input.body, input.text)?)
    }

    fn subject(&self) -> Option<Subject> {
        Some(Subject::New(Class::Member))
    }

    fn authorise(request: Option<&Self>, _: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        request.map_or(Ok(()), |request| allow(by.member()?.covers(request.environments.as_deref())))
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        // The order of these checks decides which refusal the caller gets.
        check_environments(self.environments.as_deref())?;
        let life_days = check_days(self.expires_in_days, by.policy)?;
        members::free_email(store, by, &self.email, None)?;
        let credential = by.credential()?;
        if members::find(store, &credential.id)?.is_some() {
            return Err(Rejection::IdTaken.into());
        }
        let member = NewMember {
            credential,
            name: &self.name,
            email: &self.email,
            role: self.role,
            environments: self.environments.as_deref(),
            life_days,
        };
        let view = members::insert(store, by, &member)?.view(by.now);
        by.record(store, "member.create", &credential.id, vec![("member", shown(&view)?)])?;
        Ok(Outcome { member_created: raw(&view)? })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        minted: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        Ok(input.created(&Changed::new_credential(&outcome?.member_created, minted)?))
    }
}

/// Parses the body. The registry checks whether the caller may grant the role and the limit, and the lifetime of the credential.
fn parse(body: &[u8], text: TextParser<'_>) -> Result<CreateMember, Problem> {
    let mut fields = Fields::parse(body, FIELDS)?;
    Ok(CreateMember {
        name: text.parse("name", fields.require("name")?, NAME_CHARS)?,
        email: text.email("email", fields.require("email")?)?,
        role: role(fields.require("role")?)?,
        environments: fields.take("environments").map(environments).transpose()?,
        expires_in_days: fields.take("expires_in_days").map(days).transpose()?,
    })
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

/// Parses a list of at least one environment, without duplicates.
pub(crate) fn environments(value: Json) -> Result<Vec<Environment>, Problem> {
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
            return Err(wrong("Duplicate environment. List each environment once."));
        }
        environments.push(environment);
    }
    if environments.is_empty() {
        return Err(invalid("environments", "Name at least one environment, or null for no limit."));
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

/// Refuses an empty list of environments: such a member could do nothing and should be revoked instead.
pub(super) fn check_environments(environments: Option<&[Environment]>) -> Result<(), Rejection> {
    if environments.is_none_or(|environments| !environments.is_empty()) {
        return Ok(());
    }
    Err(Rejection::Invalid {
        field: "environments".to_owned(),
        detail: "Name at least one environment, or null for no limit.".to_owned(),
    })
}

/// Returns the lifetime of a credential, in days.
pub(super) fn check_days(days: Option<u32>, policy: &Policy) -> Result<u32, Rejection> {
    let most = policy.max_member_days;
    let days = days.unwrap_or(most);
    if (1..=most).contains(&days) {
        return Ok(days);
    }
    Err(Rejection::Invalid {
        field: "expires_in_days".to_owned(),
        detail: format!("The lifetime of a member's credential is 1 to {most} days."),
    })
}

const OPEN_API: &str = r##"{
  "operationId": "createMember",
  "tags": ["Members"],
  "summary": "Creates a member",
  "description": "Owner.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/IdempotencyKey"}],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CreateMember"}}}
  },
  "responses": {
    "201": {
      "description": "The member and their credential, which only this response shows",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MemberMade"}}}
    },
    "409": {
      "description": "`email_taken`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "email_taken"
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
    use serde_json::{Value, json};

    #[test]
    fn a_complete_body_is_accepted_and_the_error_names_the_wrong_field() {
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
            let problem = parse(body.to_string().as_bytes(), TextParser::of_tests()).err().map(|problem| problem.body("r"));
            let shown: Value = problem.map_or(Value::Null, |problem| serde_json::from_str(&problem).unwrap());
            assert_eq!(shown["field"].as_str(), field, "{changes}");
        }
    }
}
