//! `POST /_keyward/v1/keys/{id}/release`: ends the quarantine of a key, which then is as it was before.

use serde::{Deserialize, Serialize};

use super::update_key::Updated;
use crate::body::Fields;
use crate::changed::Changed;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::sight::check_key_in_sight;
use keyward_http::limits::PROSE_CHARS;
use keyward_key::id::KeyId;
use keyward_key::mint::Minted;
use keyward_protocol::{Rejection, Role};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;
use keyward_registry::{keys, quarantine};

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReleaseKey {
    /// Id of the key.
    pub id: KeyId,
    /// Reason, which the audit log shows.
    pub reason: String,
}

/// The released key.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Key and time of the release.
    pub key_released: Updated,
}

impl ControlOperation for ReleaseKey {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/keys/{id}/release",
        body: BodyKind::Json,
        takes_query: false,
        access: Access::Roles(&[Role::Owner, Role::Responder]),
        writes: true,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let id = input.key_id()?;
        let mut fields = Fields::parse(input.body, &["reason"])?;
        Ok(Self { id, reason: input.text.parse("reason", fields.require("reason")?, PROSE_CHARS)? })
    }

    fn authorise(request: Option<&Self>, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        request.map_or(Ok(()), |request| check_key_in_sight(store, by, &request.id))
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let row = keys::find(store, &self.id)?.ok_or(Rejection::NotFound)?;
        if !quarantine::may_be_released(&row, by.now)? {
            return Err(Rejection::NotQuarantined.into());
        }
        quarantine::release(store, &row)?;
        by.record(store, "key.release", &self.id, vec![("reason", self.reason.as_str().into())])?;
        let key = keys::view(&keys::get_written(store, &self.id)?, by.now)?;
        Ok(Outcome { key_released: Updated { key: raw(&key)?, changed_at: by.now } })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let Updated { key, changed_at } = outcome?.key_released;
        Ok(input.ok(&Changed::key(&key).since(input.config, changed_at)).tagged(&key))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "releaseKey",
  "tags": ["Keys"],
  "summary": "Releases a quarantined key",
  "description": "Owner, responder. Within 72 hours of the quarantine; then the key is revoked. A later exposure quarantines it again.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/KeyId"}, {"$ref": "#/components/parameters/IfMatch"}],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Reason"}}}
  },
  "responses": {
    "200": {
      "description": "The key, and the times by which the release takes effect",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "ETag": {"$ref": "#/components/headers/ETag"}
      },
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/KeyChanged"}}}
    },
    "409": {
      "description": "The key is not quarantined, or the 72 hours are over: `not_quarantined`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "not_quarantined"
                ]
              }
            }
          }
        }
      }
    }
  }
}"##;
