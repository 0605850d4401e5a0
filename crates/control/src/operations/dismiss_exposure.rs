//! `POST /_keyward/v1/keys/{id}/dismiss-exposure`: records that the exposures of a key were looked into.

use serde::{Deserialize, Serialize};

use crate::body::Fields;
use crate::changed::Changed;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::sight::check_key_in_sight;
use keyward_http::limits::PROSE_CHARS;
use keyward_key::id::KeyId;
use keyward_key::mint::Minted;
use keyward_protocol::{Raw, Rejection, Role};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;
use keyward_registry::{exposures, keys, meta};

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct DismissExposure {
    /// Id of the key.
    pub id: KeyId,
    /// Reason, which the audit log shows.
    pub reason: String,
}

/// The key, which no longer counts as exposed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// View.
    pub exposure_dismissed: Raw,
}

impl ControlOperation for DismissExposure {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/keys/{id}/dismiss-exposure",
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

    /// Changes nothing that the gate decides by, so the key keeps its revision. A key that is not exposed stays as it is, and nothing is
    /// written.
    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let row = keys::find(store, &self.id)?.ok_or(Rejection::NotFound)?;
        if row.optional_millis("exposed_at")?.is_some() {
            meta::next_revision(store)?;
            exposures::dismiss(store, &self.id, by.now)?;
            by.record(store, "key.dismiss_exposure", &self.id, vec![("reason", self.reason.as_str().into())])?;
        }
        let row = keys::get_written(store, &self.id)?;
        Ok(Outcome { exposure_dismissed: raw(&keys::view(&row, by.now)?)? })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let key = outcome?.exposure_dismissed;
        Ok(input.ok(&Changed::key(&key)).tagged(&key))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "dismissExposure",
  "tags": ["Keys"],
  "summary": "Dismisses the exposures of a key",
  "description": "Owner, responder. The list of exposures stays, and `exposed_at` is null until the next one. Idempotent.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/KeyId"}, {"$ref": "#/components/parameters/IfMatch"}],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Reason"}}}
  },
  "responses": {
    "200": {
      "description": "The key",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "ETag": {"$ref": "#/components/headers/ETag"}
      },
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/KeyShown"}}}
    }
  }
}"##;
