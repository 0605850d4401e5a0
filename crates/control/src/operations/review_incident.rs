//! `POST /_keyward/v1/incidents/{id}/review`: records what somebody found out about the keys.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::incident;
use crate::incident_view::{self, Incident};
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec};
use crate::body::Fields;
use keyward_http::limits::PROSE_CHARS;
use keyward_registry::meta;
use keyward_key::mint::Minted;
use keyward_protocol::Role;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::incidents;
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReviewIncident {
    /// Id of the incident.
    pub id: String,
    /// What was found.
    pub finding: String,
}

/// The incident.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// View.
    pub incident: Incident,
}

impl ControlOperation for ReviewIncident {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/incidents/{id}/review",
        body: BodyKind::Json,
        takes_query: false,
        access: Access::Roles(&[Role::Owner, Role::Responder]),
        writes: true,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let mut fields = Fields::parse(input.body, &["finding"])?;
        let finding = input.text.parse("finding", fields.require("finding")?, PROSE_CHARS)?;
        Ok(Self { id: input.id.to_owned(), finding })
    }

    fn authorise(request: Option<&Self>, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        request.map_or(Ok(()), |request| incident::find(store, by, &request.id).map(drop))
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        meta::next_revision(store)?;
        incidents::review(store, by, &self.id, &self.finding)?;
        by.record_about(store, "incident.review", &self.id, vec![("finding", self.finding.as_str().into())])?;
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
  "operationId": "reviewIncident",
  "tags": ["Incidents"],
  "summary": "Records the review of an incident",
  "description": "Owner, responder. A later review replaces the finding.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/IncidentId"}],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Review"}}}
  },
  "responses": {
    "200": {
      "description": "The incident",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/IncidentShown"}}}
    }
  }
}"##;
