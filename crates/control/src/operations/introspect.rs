//! `POST /_keyward/oauth/introspect`: returns whether a token is active, and its data (RFC 7662).
//!
//! A text without the form, check digits and tag of our keys is inactive; the registry is then queried only about the caller. For all
//! other texts the gate's own checks of the record decide. The response does not reveal why a token is inactive.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::inspect::{Inspected, inspect};
use crate::oauth;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, ServedOn, Spec};
use keyward_gate::SubmittedKey;
use keyward_key::id::{Class, Environment, KeyId};
use keyward_key::mint::Minted;
use keyward_key::time::Millis;
use keyward_protocol::Role;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;

/// The request.
#[derive(Serialize, Deserialize)]
pub struct Introspect {
    /// Id of the key; `None` if the token is not a key of ours.
    pub id: Option<KeyId>,
    #[serde(skip)]
    key: Option<SubmittedKey>,
}

/// The registry's data about the key.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Key and time of the read.
    pub inspected: Inspected,
}

impl ControlOperation for Introspect {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "oauth/introspect",
        body: BodyKind::Form,
        takes_query: false,
        access: Access::Roles(&[Role::Owner, Role::Verifier]),
        writes: false,
        idempotent: false,
    };
    const SERVED_ON: ServedOn = ServedOn::EveryHost;
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let key = SubmittedKey::recognise(input.config, &oauth::token(input.head, input.body)?).ok();
        Ok(Self { id: key.as_ref().map(|key| key.id().clone()), key })
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, _: &Context<'_>) -> Result<(), OperationError> {
        Ok(())
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        Ok(Outcome { inspected: inspect(store, by, self.id.as_ref())? })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let inspected = outcome?.inspected;
        let active = self.key.and_then(|key| active(input, &key, &inspected));
        Ok(active.unwrap_or_else(|| input.ok(&Inactive { active: false })))
    }
}

/// Response body for an active token (RFC 7662, section 2.2). Times are in seconds since 1970.
#[derive(Serialize)]
struct Active<'a> {
    active: bool,
    scope: String,
    client_id: &'a str,
    sub: &'a str,
    exp: i64,
    iat: i64,
    iss: String,
    token_type: &'static str,
    env: Environment,
}

/// Response body for every other token: not ours, unknown, a member's, revoked, expired, or of an environment that the caller may not see.
#[derive(Serialize)]
struct Inactive {
    active: bool,
}

/// Returns the response for an active key; `None` if it is not active.
fn active(input: &Input<'_>, key: &SubmittedKey, inspected: &Inspected) -> Option<Answer> {
    let found = inspected.found.as_ref()?;
    let record = &found.record;
    key.check_alive(Some(record), inspected.at).ok()?;
    let scopes: Vec<&str> = record.scopes.iter().map(|scope| scope.as_str()).collect();
    let Class::Data(env) = record.id.class() else { return None };
    Some(input.ok(&Active {
        active: true,
        scope: scopes.join(" "),
        client_id: &record.integration,
        sub: record.id.as_str(),
        exp: seconds(record.expires_at),
        iat: seconds(found.created_at),
        iss: input.config.issuer(input.head).into_owned(),
        token_type: "Bearer",
        env,
    }))
}

const fn seconds(instant: Millis) -> i64 {
    instant.0.div_euclid(1000)
}

const OPEN_API: &str = r##"{
  "operationId": "introspect",
  "tags": ["OAuth"],
  "summary": "Returns whether a token is active, and its data (RFC 7662)",
  "description": "Owner, verifier. Every request queries the authority. The response does not include networks: use `verify` to check them.",
  "security": [{"memberBasic": []}, {"member": []}],
  "requestBody": {
    "required": true,
    "content": {
      "application/x-www-form-urlencoded": {
        "schema": {
          "$ref": "#/components/schemas/TokenForm"
        }
      }
    }
  },
  "responses": {
    "200": {
      "description": "The state of the token",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Introspection"}}}
    },
    "400": {
      "description": "The form is invalid: `invalid_request`. If the URL is invalid, the body is a problem",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/json": {
          "schema": {
            "$ref": "#/components/schemas/OAuthError",
            "properties": {
              "error": {
                "const": "invalid_request"
              }
            }
          }
        },
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
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
    "401": {
      "description": "The caller is not a member: `invalid_client`",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "WWW-Authenticate": {"$ref": "#/components/headers/Challenge"}
      },
      "content": {
        "application/json": {
          "schema": {
            "$ref": "#/components/schemas/OAuthError",
            "properties": {
              "error": {
                "const": "invalid_client"
              }
            }
          }
        }
      }
    },
    "413": {"$ref": "#/components/responses/TooLarge"}
  }
}"##;
