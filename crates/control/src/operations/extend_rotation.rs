//! `POST /_keyward/v1/keys/{id}/extend-rotation`: extends the overlap of a retiring key.

use serde::{Deserialize, Serialize};

use super::rotate_key::{MAX_OVERLAP_SECONDS, parse_overlap};
use super::update_key::{Updated, log_change};
use crate::body::{Fields, invalid};
use crate::changed::Changed;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec};
use crate::sight::check_key_in_sight;
use keyward_key::id::KeyId;
use keyward_key::mint::Minted;
use keyward_key::time::Millis;
use keyward_protocol::{Rejection, Role, Status};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::{Store, Value};
use keyward_registry::{keys, meta};

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExtendRotation {
    /// Id of the retiring key.
    pub id: KeyId,
    /// Time from now for which the key keeps working, 1 to 2,592,000 seconds.
    pub overlap_seconds: u32,
}

/// The key with the extended overlap.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Key and time of the change.
    pub rotation_extended: Updated,
}

impl ControlOperation for ExtendRotation {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/keys/{id}/extend-rotation",
        body: BodyKind::Json,
        takes_query: false,
        access: Access::Roles(&[Role::Owner, Role::Manager]),
        writes: true,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let id = input.key_id()?;
        let missing = || invalid("overlap_seconds", "This field is required.");
        Ok(Self { id, overlap_seconds: parse_overlap(&mut Fields::parse(input.body, &["overlap_seconds"])?)?.ok_or_else(missing)? })
    }

    fn authorise(request: Option<&Self>, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        request.map_or(Ok(()), |request| check_key_in_sight(store, by, &request.id))
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let row = keys::find(store, &self.id)?.ok_or(Rejection::NotFound)?;
        let before = keys::view(&row, by.now)?;
        if before.status != Status::Retiring {
            return Err(Rejection::NotActive { status: before.status }.into());
        }
        let end = self.end(by.now, row.millis("expires_at")?, keys::own_end(store, &self.id)?)?;
        let revision = meta::next_revision(store)?;
        store.execute(
            "UPDATE keys SET expires_at = ?, latest_end = max(latest_end, ?), revision = ? WHERE id = ?",
            &[end.into(), end.into(), Value::count(revision)?, self.id.as_str().into()],
        )?;
        Ok(Outcome { rotation_extended: log_change(store, by, "key.extend_rotation", &before)? })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let Updated { key, changed_at } = outcome?.rotation_extended;
        Ok(input.ok(&Changed::key(&key).since(input.config, changed_at)).tagged(&key))
    }
}

impl ExtendRotation {
    /// Returns the new expiry. It must be later than the present one, and no later than the key's expiry before its rotation.
    fn end(&self, now: Millis, present: Millis, own: Option<Millis>) -> Result<Millis, Rejection> {
        let refused = |detail: String| Rejection::Invalid { field: "overlap_seconds".to_owned(), detail };
        if !(1..=MAX_OVERLAP_SECONDS).contains(&self.overlap_seconds) {
            return Err(refused(format!("An overlap is 1 to {MAX_OVERLAP_SECONDS} seconds.")));
        }
        let wanted = now.plus_seconds(i64::from(self.overlap_seconds));
        let end = own.map_or(wanted, |own| own.min(wanted));
        if end > present {
            return Ok(end);
        }
        Err(refused(if wanted > present {
            format!("The key expires at {} anyway, the end that it had before its rotation. Use its successor.", present.rfc3339())
        } else {
            format!("The overlap already ends at {}. Send a larger number of seconds, counted from now.", present.rfc3339())
        }))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "extendRotation",
  "tags": ["Keys"],
  "summary": "Extends the overlap of a retiring key",
  "description": "Owner, manager. `overlap_seconds` counts from now. The key does not work past the expiry that it had before its rotation.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/KeyId"}, {"$ref": "#/components/parameters/IfMatch"}],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ExtendRotation"}}}
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
