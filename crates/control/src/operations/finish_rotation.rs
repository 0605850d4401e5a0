//! `POST /_keyward/v1/keys/{id}/finish-rotation`: ends the overlap of a retiring key now.

use serde::{Deserialize, Serialize};

use super::update_key::{Updated, log_change};
use crate::body::Fields;
use crate::changed::Changed;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::sight::check_key_in_sight;
use keyward_key::id::KeyId;
use keyward_key::mint::Minted;
use keyward_protocol::{Rejection, Role, Status};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::{Store, Value};
use keyward_registry::{keys, meta};

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct FinishRotation {
    /// Id of the retiring key.
    pub id: KeyId,
}

/// The key whose overlap has ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Key and time of the change.
    pub rotation_finished: Updated,
}

impl ControlOperation for FinishRotation {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/keys/{id}/finish-rotation",
        body: BodyKind::OptionalJson,
        takes_query: false,
        access: Access::Roles(&[Role::Owner, Role::Manager]),
        writes: true,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let id = input.key_id()?;
        Fields::none(input.body)?;
        Ok(Self { id })
    }

    fn authorise(request: Option<&Self>, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        request.map_or(Ok(()), |request| check_key_in_sight(store, by, &request.id))
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let row = keys::find(store, &self.id)?.ok_or(Rejection::NotFound)?;
        let before = keys::view(&row, by.now)?;
        // An overlap that has ended is unchanged, and nothing is written.
        if before.status == Status::Expired && before.successor.is_some() {
            let rotation_finished = Updated { key: raw(&before)?, changed_at: row.millis("expires_at")? };
            return Ok(Outcome { rotation_finished });
        }
        if before.status != Status::Retiring {
            return Err(Rejection::NotActive { status: before.status }.into());
        }
        let revision = meta::next_revision(store)?;
        // As after a rotation without an overlap, the key is expired by every clock.
        store.execute(
            "UPDATE keys SET state = ?, expires_at = ?, revision = ? WHERE id = ?",
            &[
                Status::Expired.as_str().into(),
                by.now.into(),
                Value::count(revision)?,
                self.id.as_str().into(),
            ],
        )?;
        Ok(Outcome { rotation_finished: log_change(store, by, "key.finish_rotation", &before)? })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let Updated { key, changed_at } = outcome?.rotation_finished;
        Ok(input.ok(&Changed::key(&key).since(input.config, changed_at)).tagged(&key))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "finishRotation",
  "tags": ["Keys"],
  "summary": "Ends the overlap of a retiring key now",
  "description": "Owner, manager. Idempotent: a repeated request gets the same response.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/KeyId"}, {"$ref": "#/components/parameters/IfMatch"}],
  "requestBody": {
    "required": false,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Nothing"}}}
  },
  "responses": {
    "200": {
      "description": "The key, and the times by which the change takes effect",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "ETag": {"$ref": "#/components/headers/ETag"}
      },
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/KeyChanged"}}}
    },
    "409": {
      "description": "The key is not retiring: `not_active`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "not_active"
                ]
              }
            }
          }
        }
      }
    }
  }
}"##;
