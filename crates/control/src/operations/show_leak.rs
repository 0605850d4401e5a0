//! `GET /_keyward/v1/leaks/{id}`: shows one leak report.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::leaks::view::LeakView;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, LeaksShown, Spec};
use keyward_key::mint::Minted;
use keyward_protocol::{Rejection, Role};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::leaks::{self, Leak};
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ShowLeak {
    /// Id of the report.
    pub id: String,
}

/// The report.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Report.
    pub leak: Leak,
}

impl ControlOperation for ShowLeak {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/leaks/{id}",
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

    fn authorise(_: Option<&Self>, _: &mut dyn Store, _: &Context<'_>) -> Result<(), OperationError> {
        Ok(())
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let leak = leaks::find(store, by.member()?, &self.id)?.ok_or(Rejection::NotFound)?;
        Ok(Outcome { leak })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        Ok(Answer::Leaks(LeaksShown::One(Box::new(LeakView::new(input.config, outcome?.leak)))))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "showLeak",
  "tags": ["Leaks"],
  "summary": "Shows a leak report",
  "description": "Owner, manager, responder, auditor.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [
    {
      "name": "id",
      "in": "path",
      "required": true,
      "description": "Id of the report",
      "schema": {"$ref": "#/components/schemas/LeakId"}
    }
  ],
  "responses": {
    "200": {
      "description": "The report",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Leak"}}}
    }
  }
}"##;
