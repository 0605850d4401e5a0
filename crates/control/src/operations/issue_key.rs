//! `POST /_keyward/v1/keys`: issues a key.

use serde::{Deserialize, Serialize};

use ipnet::IpNet;

use crate::body::{Fields, Json, invalid};
use crate::changed::Changed;
use crate::credential::Subject;
use crate::delivery::{self, ClaimTerms, Pending, PendingKey};
use crate::failure::Failure;
use crate::limits::take_limits;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::sight::allow;
use crate::text::TextParser;
use keyward_http::address::{BadNetwork, parse_network};
use keyward_http::limits::{CIDRS, CONTACT_CHARS, NAME_CHARS, PROSE_CHARS, SCOPE_BYTES, SCOPES};
use keyward_http::problem::Problem;
use keyward_key::id::{Class, Environment};
use keyward_key::mint::Minted;
use keyward_key::scope::Scope;
use keyward_key::time::{BadTime, Millis};
use keyward_key::version::third_reader;
use keyward_protocol::{KeyAttributes, Raw, Rejection, Role};
use keyward_registry::audit::shown;
use keyward_registry::context::{Context, OperationError, Policy, days_after};
use keyward_registry::keys::{self, NewKey};
use keyward_registry::store::Store;
use keyward_registry::{meta, outbox};

const FIELDS: &[&str] = &[
    "name",
    "integration",
    "environment",
    "purpose",
    "owner",
    "scopes",
    "allowed_cidrs",
    "limits",
    "expires_in_days",
    "expires_at",
    "deliver",
    "claim_hours",
];

/// Default lifetime of a key, in days.
const DEFAULT_DAYS: u32 = 90;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct IssueKey {
    /// Attributes of the key.
    pub attributes: KeyAttributes,
    /// Lifetime of the key.
    pub lifetime: Lifetime,
    /// Terms of its claim, if it is delivered by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimTerms>,
    /// Set if the key has limits of its own, so that a reader that would ignore them refuses the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_reader: Option<u64>,
}

/// The new key, active or waiting for its claim.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// View of the active key.
    KeyIssued(Raw),
    /// The key that waits for its claim.
    KeyPending(Pending),
}

impl ControlOperation for IssueKey {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/keys",
        body: BodyKind::Json,
        takes_query: false,
        access: Access::Roles(&[Role::Owner, Role::Manager]),
        writes: true,
        idempotent: true,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        Ok(parse(input.body, input.text)?)
    }

    fn subject(&self) -> Option<Subject> {
        let class = Class::Data(self.attributes.environment);
        Some(if self.claim.is_some() { Subject::Claim(class) } else { Subject::New(class) })
    }

    fn authorise(request: Option<&Self>, _: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        request.map_or(Ok(()), |request| allow(by.member()?.sees(request.attributes.environment)))
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        // The order of these checks decides which refusal the caller gets.
        let KeyAttributes { environment, integration, name, scopes, .. } = &self.attributes;
        check_scopes(scopes, by.policy)?;
        let expires_at = end_of(self.lifetime, by.policy, by.now)?;
        if let Some(id) = keys::current_of_integration(store, *environment, integration, by.now)? {
            return Err(Rejection::IntegrationHasKey { id }.into());
        }
        if let Some(id) = keys::other_of_name(store, *environment, name, integration, by.now)? {
            return Err(Rejection::NameTaken { id }.into());
        }
        let credential = by.credential()?;
        keys::check_new_id(store, &credential.id, *environment)?;

        let revision = meta::next_revision(store)?;
        let key = NewKey {
            id: &credential.id,
            credential: self.claim.is_none().then_some(credential),
            attributes: &self.attributes,
            created_at: by.now,
            created_by: &by.member()?.id,
            expires_at,
            rotated_from: None,
            limit_group: None,
            revision,
        };
        keys::insert(store, &key)?;
        let view = keys::view(&keys::get_written(store, &credential.id)?, by.now)?;
        let mut detail = vec![("key", shown(&view)?)];
        let claim = match &self.claim {
            Some(terms) => {
                let pending = PendingKey { terms, credential, expires_at, overlap_seconds: None, revision };
                let opened = delivery::open(store, by, &pending)?;
                detail.push(("claim_until", opened.expires_at.rfc3339().into()));
                Some(opened)
            }
            None => None,
        };
        by.record(store, "key.issue", &credential.id, detail)?;
        outbox::enqueue(store, &credential.id, revision)?;
        let key = raw(&view)?;
        Ok(match claim {
            Some(claim) => Outcome::KeyPending(Pending { key, claim }),
            None => Outcome::KeyIssued(key),
        })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        minted: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        match outcome? {
            Outcome::KeyIssued(key) => Ok(input.created(&Changed::new_key(&key, minted)?)),
            Outcome::KeyPending(pending) => pending.respond(input, minted),
        }
    }
}

/// Lifetime of a key, as the request specifies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifetime {
    /// Not specified: 90 days, or `MAX_KEY_DAYS` if that is less.
    Default,
    /// This number of days from now.
    Days(u32),
    /// Until this time.
    Until(Millis),
}

/// Parses the body. The registry checks whether the scopes exist, and the lifetime.
fn parse(body: &[u8], text: TextParser<'_>) -> Result<IssueKey, Problem> {
    let mut fields = Fields::parse(body, FIELDS)?;
    let attributes = KeyAttributes {
        name: text.parse("name", fields.require("name")?, NAME_CHARS)?,
        integration: text.slug("integration", fields.require("integration")?)?,
        environment: environment(fields.require("environment")?)?,
        purpose: text.parse("purpose", fields.require("purpose")?, PROSE_CHARS)?,
        owner: text.parse("owner", fields.require("owner")?, CONTACT_CHARS)?,
        scopes: scopes(&mut fields)?,
        allowed_cidrs: allowed_cidrs(&mut fields)?,
        limits: take_limits(&mut fields)?,
    };
    let min_reader = third_reader(attributes.limits.is_some());
    let (lifetime, claim) = (lifetime(&mut fields)?, delivery::parse(&mut fields)?);
    Ok(IssueKey { attributes, lifetime, claim, min_reader })
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
            return Err(invalid(field, "Duplicate scope. List each scope once."));
        }
        scopes.push(scope);
    }
    if scopes.is_empty() {
        return Err(invalid("scopes", "At least one scope is required: a key may do only what it names."));
    }
    // With a space after each, in the form of the header for the origin.
    let bytes = scopes.iter().map(|scope| scope.as_str().len().saturating_add(1)).fold(0, usize::saturating_add);
    if bytes > SCOPE_BYTES.saturating_add(1) {
        return Err(invalid(
            "scopes",
            format!("These scopes have more than {SCOPE_BYTES} characters together, spaces between them included. Send fewer, or issue two keys."),
        ));
    }
    Ok(scopes)
}

pub(super) fn allowed_cidrs(fields: &mut Fields) -> Result<Vec<IpNet>, Problem> {
    let mut networks: Vec<IpNet> = Vec::new();
    for (index, text) in fields.texts("allowed_cidrs", CIDRS)?.iter().enumerate() {
        let wrong = |detail: String| invalid(format!("allowed_cidrs[{index}]"), detail);
        let network = parse_network(text).map_err(|why| match why {
            BadNetwork::Form => wrong("This must be an address or a network, like 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32, without leading zeros.".to_owned()),
            BadNetwork::HostBits(meant) => wrong(format!("This has bits beyond its prefix length. Did you mean {meant}?")),
            BadNetwork::Mapped => wrong("This is an IPv4 network in IPv6 form. Write it as IPv4.".to_owned()),
        })?;
        if networks.contains(&network) {
            return Err(wrong("Duplicate network. List each network once.".to_owned()));
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
            u32::try_from(days).map(Lifetime::Days).map_err(|_| invalid("expires_in_days", "This is too far ahead. Send a smaller number of days."))
        }
        (Some(_), None) => Err(invalid("expires_in_days", "This must be a whole number of days, 1 or more.")),
        (None, Some(Json::Text(text))) => instant("expires_at", &text).map(Lifetime::Until),
        (None, Some(_)) => Err(invalid("expires_at", "This must be an RFC 3339 time, as a string.")),
        (Some(_), Some(_)) => Err(invalid("expires_at", "Send either expires_in_days or expires_at.")),
    }
}

/// Parses a time of RFC 3339 with any offset.
pub(crate) fn instant(field: &str, text: &str) -> Result<Millis, Problem> {
    Millis::parse(text).map_err(|why| {
        let detail = match why {
            BadTime::Malformed => "This must be an RFC 3339 time with an offset, like 2027-01-31T00:00:00Z.",
            BadTime::LeapSecond => "A leap second is not accepted. Send the second before or after it.",
            BadTime::OutOfRange => "This must be a time from 1970 to 9999 in UTC.",
        };
        invalid(field, detail)
    })
}

/// Refuses a scope that no route uses. It would grant nothing and is probably misspelled.
pub(super) fn check_scopes(scopes: &[Scope], policy: &Policy) -> Result<(), Rejection> {
    let unknown = scopes.iter().enumerate().find(|(_, scope)| !policy.known_scopes.contains(scope));
    let Some((position, scope)) = unknown else {
        return Ok(());
    };
    let known: Vec<&str> = policy.known_scopes.iter().map(|known| known.as_str()).collect();
    Err(Rejection::UnknownScope {
        field: format!("scopes[{position}]"),
        detail: if known.is_empty() {
            format!("No route uses the scope {scope}, or any other scope. Add it to `ROUTES`.")
        } else {
            format!("No route uses the scope {scope}. Known scopes: {}.", known.join(", "))
        },
    })
}

/// Returns the time at which the key expires.
fn end_of(lifetime: Lifetime, policy: &Policy, now: Millis) -> Result<Millis, Rejection> {
    let most = policy.max_key_days;
    match lifetime {
        Lifetime::Default => Ok(days_after(now, DEFAULT_DAYS.min(most))),
        Lifetime::Days(days) if (1..=most).contains(&days) => Ok(days_after(now, days)),
        Lifetime::Days(_) => Err(Rejection::Invalid {
            field: "expires_in_days".to_owned(),
            detail: format!("A key's lifetime is 1 to {most} days."),
        }),
        Lifetime::Until(end) => check_end(end, policy, now).map(|()| end),
    }
}

/// Refuses an expiry in the past, or beyond the maximum lifetime from now.
pub(super) fn check_end(end: Millis, policy: &Policy, now: Millis) -> Result<(), Rejection> {
    let most = policy.max_key_days;
    let latest = days_after(now, most);
    if now < end && end <= latest {
        return Ok(());
    }
    Err(Rejection::Invalid {
        field: "expires_at".to_owned(),
        detail: format!(
            "The expiry must be in the future and at most {most} days from now: after {} and not after {}.",
            now.rfc3339(),
            latest.rfc3339()
        ),
    })
}

const OPEN_API: &str = r##"{
  "operationId": "issueKey",
  "tags": ["Keys"],
  "summary": "Issues a key",
  "description": "Owner, manager. In each environment an integration has at most one active key, and names of active keys are unique. A key that waits for its claim counts as active.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/IdempotencyKey"}],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/IssueKey"}}}
  },
  "responses": {
    "201": {
      "description": "The key and its text, or with `deliver` the link of its claim, which only this response shows",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"oneOf": [{"$ref": "#/components/schemas/KeyIssued"}, {"$ref": "#/components/schemas/KeyPending"}]}}}
    },
    "400": {
      "description": "The body, query or path is invalid; `field` names the part: `invalid_request`, `unknown_scope`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "invalid_request",
                  "unknown_scope",
                  "bad_path",
                  "key_in_url",
                  "unexpected_body"
                ]
              }
            }
          }
        }
      }
    },
    "401": {"$ref": "#/components/responses/Unauthorized"},
    "403": {"$ref": "#/components/responses/Forbidden"},
    "409": {
      "description": "`integration_has_key`, `name_taken`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "integration_has_key",
                  "name_taken"
                ]
              }
            }
          }
        }
      }
    },
    "413": {"$ref": "#/components/responses/TooLarge"},
    "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
    "422": {"$ref": "#/components/responses/Mismatch"},
    "503": {"$ref": "#/components/responses/Unavailable"},
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;

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
        let problem = parse(body.to_string().as_bytes(), TextParser::of_tests()).err()?;
        let shown: Value = serde_json::from_str(&problem.body("r")).unwrap();
        Some(shown["field"].as_str().unwrap().to_owned())
    }

    /// Scopes whose total length is the maximum with 49 characters in the first.
    fn wide_scopes(first: usize) -> Vec<String> {
        let others = (0..15).map(|index| format!("{index:x>64}"));
        ["a".repeat(first)].into_iter().chain(others).collect()
    }

    #[test]
    fn a_complete_body_is_accepted() {
        for changes in [
            json!({}),
            json!({"expires_in_days": 30, "allowed_cidrs": ["192.0.2.0/24", "2001:db8::/32"]}),
            json!({"expires_at": "2027-01-31T00:00:00Z", "expires_in_days": null}),
            json!({"allowed_cidrs": ["192.0.2.7", "2001:db8::7"]}),
            json!({"scopes": wide_scopes(49)}),
            json!({"expires_at": "2027-01-31T01:00:00+01:00"}),
            json!({"expires_in_days": 30.0}),
        ] {
            assert_eq!(field_of(&changes), None, "{changes}");
        }
    }

    #[test]
    fn the_error_names_the_wrong_field() {
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
            (json!({"scopes": wide_scopes(50)}), "scopes"),
            (json!({"allowed_cidrs": ["010.8.0.0/16"]}), "allowed_cidrs[0]"),
            (json!({"allowed_cidrs": ["192.0.2.0/24", "192.0.2.010/32"]}), "allowed_cidrs[1]"),
            (json!({"allowed_cidrs": ["192.0.2.7", "192.0.2.7/32"]}), "allowed_cidrs[1]"),
            (json!({"allowed_cidrs": ["192.0.2.1/24"]}), "allowed_cidrs[0]"),
            (json!({"allowed_cidrs": ["::ffff:192.0.2.0/120"]}), "allowed_cidrs[0]"),
            (json!({"expires_in_days": 1.5}), "expires_in_days"),
            (json!({"expires_in_days": -1}), "expires_in_days"),
            (json!({"expires_in_days": "30"}), "expires_in_days"),
            (json!({"expires_at": "tomorrow"}), "expires_at"),
            (json!({"expires_at": "2026-12-31T23:59:60Z"}), "expires_at"),
            (json!({"expires_at": "Infinity"}), "expires_at"),
            (json!({"expires_at": "2027-01-31T00:00:00Z", "expires_in_days": 3}), "expires_at"),
            (json!({"colour": "red"}), "colour"),
        ] {
            assert_eq!(field_of(&changes).as_deref(), Some(field), "{changes}");
        }
    }
}
