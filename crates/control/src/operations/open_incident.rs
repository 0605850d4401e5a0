//! `POST /_keyward/v1/incidents`: revokes the keys of an incident in one change, and makes their replacements.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::incident::{self, NewIncidentRequest, Opened};
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec};
use keyward_key::id::Class;
use keyward_key::mint::Minted;
use keyward_protocol::Role;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;

/// The request.
#[derive(Serialize, Deserialize)]
pub struct OpenIncident {
    /// The keys, and what is to be done.
    pub incident: NewIncidentRequest,
}

impl ControlOperation for OpenIncident {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/incidents",
        body: BodyKind::Json,
        takes_query: false,
        access: Access::Roles(&[Role::Owner, Role::Manager, Role::Responder]),
        writes: true,
        idempotent: true,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Opened;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        Ok(Self { incident: incident::parse(input.body, input.text)? })
    }

    fn wanted_claims(&self) -> Vec<Class> {
        self.incident.wanted_claims()
    }

    fn take_claims(&mut self, claims: Vec<Minted>) {
        self.incident.take_claims(claims);
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, _: &Context<'_>) -> Result<(), OperationError> {
        // Keys that the caller may not see are absent for the selection.
        Ok(())
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Opened, OperationError> {
        self.incident.open(store, by)
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Opened, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        Ok(match outcome? {
            Opened::Incident(incident) => input.created(&incident.body(input, &self.incident.minted)),
            Opened::Counted(counts) => input.ok(&counts),
        })
    }
}

const OPEN_API: &str = r##"{
  "operationId": "openIncident",
  "tags": ["Incidents"],
  "summary": "Opens an incident: revokes its keys and makes their replacements",
  "description": "Owner, manager, responder. One change of at most 1,000 keys. A revoked key keeps its first receipt. With `dry_run` the answer only counts. More than 20 keys need `confirm`.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/IdempotencyKey"}, {"$ref": "#/components/parameters/Confirm"}],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/OpenIncident"}}}
  },
  "responses": {
    "200": {
      "description": "With `dry_run`: what would be revoked",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/IncidentCounts"}}}
    },
    "201": {
      "description": "The incident. Only this response shows the links of the claims",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/IncidentShown"}}}
    },
    "404": {"$ref": "#/components/responses/NotFound"},
    "409": {
      "description": "More than 20 keys: `confirmation_required`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {"code": {"enum": ["confirmation_required"]}}
          }
        }
      }
    }
  }
}"##;
