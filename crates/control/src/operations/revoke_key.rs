//! `POST /_keyward/v1/keys/{id}/revoke`: revokes a key, for good.

use serde::{Deserialize, Serialize};

use crate::body::Fields;
use crate::changed::Changed;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::sight::check_key_in_sight;
use keyward_http::limits::PROSE_CHARS;
use keyward_key::id::KeyId;
use keyward_key::mint::Minted;
use keyward_key::time::Millis;
use keyward_protocol::{Raw, Rejection, Role, Status};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::keys;
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct RevokeKey {
    /// Id of the key.
    pub id: KeyId,
    /// Reason, which every response and the audit log show.
    pub reason: String,
}

/// The revoked key.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Key and time of the revocation.
    pub key_revoked: Revoked,
}

impl ControlOperation for RevokeKey {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/keys/{id}/revoke",
        body: BodyKind::Json,
        takes_query: false,
        access: Access::Roles(&[Role::Owner, Role::Manager, Role::Responder]),
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
        revoke(store, by, &self.id, &self.reason)
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let Revoked { key, changed_at } = outcome?.key_revoked;
        Ok(input.ok(&Changed::key(&key).since(input.config, changed_at)).tagged(&key))
    }
}

/// A revoked key.
#[derive(Debug, Serialize, Deserialize)]
pub struct Revoked {
    /// View.
    pub key: Raw,
    /// Time of the revocation, at which the bound starts.
    pub changed_at: Millis,
}

/// Revokes a key, including expired and retiring ones. A revoked key keeps its first reason, and nothing is written.
pub(super) fn revoke(
    store: &mut dyn Store,
    by: &Context<'_>,
    id: &KeyId,
    reason: &str,
) -> Result<Outcome, OperationError> {
    let row = keys::find(store, id)?.ok_or(Rejection::NotFound)?;
    if keys::status(&row, by.now)? != Status::Revoked {
        keys::mark_revoked(store, id, by.actor_name(), reason, by.now)?;
        by.record(store, "key.revoke", id, vec![("reason", reason.into())])?;
    }
    let row = keys::get_written(store, id)?;
    let revoked = Revoked { key: raw(&keys::view(&row, by.now)?)?, changed_at: row.millis("revoked_at")? };
    Ok(Outcome { key_revoked: revoked })
}

const OPEN_API: &str = r##"{
  "operationId": "revokeKey",
  "tags": ["Keys"],
  "summary": "Revokes a key permanently",
  "description": "Owner, manager, responder. Idempotent: a repeated request gets the same response, and the first reason is kept.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/KeyId"}, {"$ref": "#/components/parameters/IfMatch"}],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RevokeKey"}}}
  },
  "responses": {
    "200": {
      "description": "The key, and the times by which the revocation takes effect",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "ETag": {"$ref": "#/components/headers/ETag"}
      },
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/KeyChanged"}}}
    }
  }
}"##;
