//! `GET /_keyward/v1/incidents`: lists incidents, newest first.

use serde::{Deserialize, Serialize};

use crate::changed::ListPage;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::query::Query;
use keyward_key::mint::Minted;
use keyward_protocol::Role;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::incidents;
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListIncidents {
    /// Size of the page, 1 to 200.
    pub limit: u32,
    /// `next_cursor` of the previous page.
    pub cursor: Option<String>,
}

/// A page of incidents.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Views and cursor.
    pub incidents: ListPage,
}

/// An incident in a list, without its keys, of which there can be a thousand.
#[derive(Serialize)]
struct Item {
    id: String,
    status: &'static str,
    kind: String,
    note: String,
    opened_at: String,
    opened_by: String,
    reviewed_at: Option<String>,
    closed_at: Option<String>,
}

impl ControlOperation for ListIncidents {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/incidents",
        body: BodyKind::None,
        takes_query: true,
        access: Access::Roles(&[Role::Owner, Role::Manager, Role::Responder, Role::Auditor]),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let mut query = Query::parse(input.query(), &["limit", "cursor"])?;
        Ok(Self { limit: query.limit()?, cursor: query.take("cursor") })
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, _: &Context<'_>) -> Result<(), OperationError> {
        Ok(())
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let (found, next_cursor) = incidents::list(store, by.member()?, self.limit, self.cursor.as_deref())?;
        let item = |incident: incidents::Incident| {
            raw(&Item {
                id: incident.id,
                status: if incident.closed.is_some() { "closed" } else { "open" },
                kind: incident.kind,
                note: incident.note,
                opened_at: incident.opened_at.rfc3339(),
                opened_by: incident.opened_by,
                reviewed_at: incident.review.map(|(at, ..)| at.rfc3339()),
                closed_at: incident.closed.map(|(at, _)| at.rfc3339()),
            })
        };
        let items = found.into_iter().map(item).collect::<Result<_, _>>()?;
        Ok(Outcome { incidents: ListPage { items, next_cursor } })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        Ok(input.ok(&outcome?.incidents))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "listIncidents",
  "tags": ["Incidents"],
  "summary": "Lists incidents, newest first",
  "description": "Owner, manager, responder, auditor. A limited member sees the incidents whose keys are all in their environments.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/Limit"}, {"$ref": "#/components/parameters/Cursor"}],
  "responses": {
    "200": {
      "description": "A page of the list",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/IncidentPage"}}}
    }
  }
}"##;
