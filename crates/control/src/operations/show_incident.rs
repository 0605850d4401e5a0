//! `GET /_keyward/v1/incidents/{id}`: shows an incident with its checklist.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::incident;
use crate::incident_view::{self, Incident};
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec};
use keyward_key::mint::Minted;
use keyward_protocol::Role;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ShowIncident {
    /// Id of the incident.
    pub id: String,
}

/// The incident.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// View.
    pub incident: Incident,
}

impl ControlOperation for ShowIncident {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/incidents/{id}",
        body: BodyKind::None,
        takes_query: false,
        access: Access::Roles(&[Role::Owner, Role::Manager, Role::Responder, Role::Auditor]),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        Ok(Self { id: input.id.to_owned() })
    }

    fn authorise(request: Option<&Self>, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        request.map_or(Ok(()), |request| incident::find(store, by, &request.id).map(drop))
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let stored = incident::find(store, by, &self.id)?;
        Ok(Outcome { incident: incident_view::read(store, stored)? })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        Ok(input.ok(&outcome?.incident.body(input, &[])))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "showIncident",
  "tags": ["Incidents"],
  "summary": "Shows an incident",
  "description": "Owner, manager, responder, auditor.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/IncidentId"}],
  "responses": {
    "200": {
      "description": "The incident",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/IncidentShown"}}}
    }
  }
}"##;
