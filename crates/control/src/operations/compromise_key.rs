//! `POST /_keyward/v1/keys/{id}/compromise`: the incident of one key.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::incident::{self, NewIncidentRequest, Opened, Selected};
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, confused};
use crate::sight::check_key_in_sight;
use keyward_key::id::Class;
use keyward_key::mint::Minted;
use keyward_protocol::Role;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;

/// The request.
#[derive(Serialize, Deserialize)]
pub struct CompromiseKey {
    /// The key, and what is to be done.
    pub incident: NewIncidentRequest,
}

impl ControlOperation for CompromiseKey {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/keys/{id}/compromise",
        body: BodyKind::Json,
        takes_query: false,
        access: Access::Roles(&[Role::Owner, Role::Manager, Role::Responder]),
        writes: true,
        idempotent: true,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Opened;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        Ok(Self { incident: incident::parse_of_key(input.body, input.text, input.key_id()?)? })
    }

    fn wanted_claims(&self) -> Vec<Class> {
        self.incident.wanted_claims()
    }

    fn take_claims(&mut self, claims: Vec<Minted>) {
        self.incident.take_claims(claims);
    }

    /// Refuses a key out of sight here, before `If-Match` is judged: a condition must not tell it from an absent one.
    fn authorise(request: Option<&Self>, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        match request.map(|request| &request.incident.selected) {
            Some(Selected::KeyIds(ids)) => ids.iter().try_for_each(|id| check_key_in_sight(store, by, id)),
            _ => Ok(()),
        }
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
        match outcome? {
            Opened::Incident(incident) => Ok(input.created(&incident.body(input, &self.incident.minted))),
            Opened::Counted(_) => Err(confused()),
        }
    }
}

const OPEN_API: &str = r##"{
  "operationId": "compromiseKey",
  "tags": ["Incidents"],
  "summary": "Opens the incident of one key: revokes it and makes its replacement",
  "description": "Owner, manager, responder.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/KeyId"}, {"$ref": "#/components/parameters/IfMatch"}, {"$ref": "#/components/parameters/IdempotencyKey"}],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CompromiseKey"}}}
  },
  "responses": {
    "201": {
      "description": "The incident. Only this response shows the link of the claim",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/IncidentShown"}}}
    }
  }
}"##;
