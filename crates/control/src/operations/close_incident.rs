//! `POST /_keyward/v1/incidents/{id}/close`: closes an incident that was reviewed.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::incident;
use crate::incident_view::{self, Incident};
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec};
use crate::body::Fields;
use keyward_registry::meta;
use keyward_key::mint::Minted;
use keyward_protocol::{Rejection, Role};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::incidents;
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct CloseIncident {
    /// Id of the incident.
    pub id: String,
}

/// The incident.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// View.
    pub incident: Incident,
}

impl ControlOperation for CloseIncident {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/incidents/{id}/close",
        body: BodyKind::OptionalJson,
        takes_query: false,
        access: Access::Roles(&[Role::Owner, Role::Responder]),
        writes: true,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        Fields::none(input.body)?;
        Ok(Self { id: input.id.to_owned() })
    }

    fn authorise(request: Option<&Self>, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        request.map_or(Ok(()), |request| incident::find(store, by, &request.id).map(drop))
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let stored = incident::find(store, by, &self.id)?;
        if stored.review.is_none() {
            return Err(Rejection::NotReviewed.into());
        }
        if stored.closed.is_none() {
            meta::next_revision(store)?;
            incidents::close(store, by, &self.id)?;
            by.record_about(store, "incident.close", &self.id, Vec::new())?;
        }
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
  "operationId": "closeIncident",
  "tags": ["Incidents"],
  "summary": "Closes an incident that was reviewed",
  "description": "Owner, responder. Idempotent: a closed incident stays as it is.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/IncidentId"}],
  "requestBody": {
    "required": false,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Nothing"}}}
  },
  "responses": {
    "200": {
      "description": "The incident",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/IncidentShown"}}}
    },
    "409": {
      "description": "Nobody reviewed it yet: `not_reviewed`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {"code": {"enum": ["not_reviewed"]}}
          }
        }
      }
    }
  }
}"##;
