//! `POST /_keyward/v1/endpoints/{id}/rotate-secret`: gives an endpoint of events a new `v1` secret. The old one signs too for 24 hours.

use serde::{Deserialize, Serialize};

use crate::body::Fields;
use crate::endpoint_body::{check_revision, endpoint_id, find, respond};
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::precondition;
use crate::sight::check_unlimited;
use keyward_key::keyring::Generation;
use keyward_key::mint::Minted;
use keyward_protocol::events::ChangedEndpoint;
use keyward_protocol::{Rejection, Role};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::endpoints;
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct RotateEndpointSecret {
    /// Id of the endpoint.
    pub id: String,
    /// Revisions, one of which it must have (`If-Match`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<Vec<u64>>,
    /// Generation of the server's secret under which to derive the new one.
    pub generation: Generation,
}

/// The changed endpoint.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// View, and the secret to show.
    pub endpoint_secret_rotated: ChangedEndpoint,
}

impl ControlOperation for RotateEndpointSecret {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/endpoints/{id}/rotate-secret",
        body: BodyKind::OptionalJson,
        takes_query: false,
        access: Access::Roles(&[Role::Owner]),
        writes: true,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let id = endpoint_id(input)?;
        Fields::none(input.body)?;
        let generation = input.config.keyring.current().generation().clone();
        Ok(Self { id, if_match: precondition::revisions(input.head), generation })
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        check_unlimited(by)
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let before = find(store, &self.id)?;
        check_revision(&before, self.if_match.as_deref())?;
        if !before.attributes.has_hmac {
            let detail = "This endpoint has no `v1` signature, so it has no secret. Add \"v1\" to its signatures first.";
            return Err(Rejection::Invalid { field: "signatures".to_owned(), detail: detail.to_owned() }.into());
        }
        let mut endpoint = before.clone();
        endpoint.replace_secret(self.generation.clone(), true, by.now);
        endpoints::update(store, by, "endpoint.rotate_secret", &mut endpoint, &before)?;
        let (view, secret) = (raw(&endpoint.view(by.now))?, endpoint.secret);
        Ok(Outcome { endpoint_secret_rotated: ChangedEndpoint { endpoint: view, secret } })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        respond(input, 200, &outcome?.endpoint_secret_rotated)
    }
}

const OPEN_API: &str = r##"{
  "operationId": "rotateEndpointSecret",
  "tags": ["Events"],
  "summary": "Gives an endpoint of events a new secret",
  "description": "Owner, without a limit to environments. For endpoints with the signature `v1`. The replaced secret signs too for 24 hours. `secret` is shown here only.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/EndpointId"}, {"$ref": "#/components/parameters/IfMatch"}],
  "requestBody": {
    "required": false,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Nothing"}}}
  },
  "responses": {
    "200": {
      "description": "The endpoint, and its new secret",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "ETag": {"$ref": "#/components/headers/ETag"}
      },
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/EndpointChanged"}}}
    }
  }
}"##;
