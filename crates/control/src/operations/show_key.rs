//! `GET /_keyward/v1/keys/{id}`: shows one key.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::sight::check_key_in_sight;
use keyward_key::id::KeyId;
use keyward_key::mint::Minted;
use keyward_protocol::{Raw, Rejection, Role};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::keys;
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ShowKey {
    /// Id of the key.
    pub id: KeyId,
}

/// The key.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// View.
    pub key: Raw,
}

impl ControlOperation for ShowKey {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/keys/{id}",
        body: BodyKind::None,
        takes_query: false,
        access: Access::Roles(&[Role::Owner, Role::Manager, Role::Responder, Role::Auditor]),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        Ok(Self { id: input.key_id()? })
    }

    fn authorise(request: Option<&Self>, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        request.map_or(Ok(()), |request| check_key_in_sight(store, by, &request.id))
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let row = keys::find(store, &self.id)?.ok_or(Rejection::NotFound)?;
        Ok(Outcome { key: raw(&keys::view(&row, by.now)?)? })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let key = outcome?.key;
        Ok(input.ok(&key).tagged(&key))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "showKey",
  "tags": ["Keys"],
  "summary": "Shows a key",
  "description": "Owner, manager, responder, auditor.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/KeyId"}],
  "responses": {
    "200": {
      "description": "The key",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "ETag": {"$ref": "#/components/headers/ETag"}
      },
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Key"}}}
    }
  }
}"##;
