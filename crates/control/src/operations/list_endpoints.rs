//! `GET /_keyward/v1/endpoints`: lists every endpoint of events, newest first.

use serde::{Deserialize, Serialize};

use crate::changed::ListPage;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::sight::check_unlimited;
use keyward_key::mint::Minted;
use keyward_protocol::Role;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::endpoints;
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListEndpoints {}

/// Every endpoint: there are at most 20, so the list has one page.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Views.
    pub endpoints: ListPage,
}

impl ControlOperation for ListEndpoints {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/endpoints",
        body: BodyKind::None,
        takes_query: false,
        access: Access::Roles(&[Role::Owner]),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(_: &Input<'_>) -> Result<Self, Failure> {
        Ok(Self {})
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        check_unlimited(by)
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let items = endpoints::all(store)?.iter().map(|endpoint| raw(&endpoint.view(by.now))).collect::<Result<_, _>>()?;
        Ok(Outcome { endpoints: ListPage { items, next_cursor: None } })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        Ok(input.ok(&outcome?.endpoints))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "listEndpoints",
  "tags": ["Events"],
  "summary": "Lists the endpoints of events, newest first",
  "description": "Owner, without a limit to environments. There are at most 20, so the list has one page.",
  "security": [{"member": []}, {"access": []}],
  "responses": {
    "200": {
      "description": "Every endpoint",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/EndpointPage"}}}
    }
  }
}"##;
