//! `GET /_keyward/v1/routes`: shows the table of routes, so that scopes can be chosen by the routes that they open.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec};
use keyward_key::mint::Minted;
use keyward_protocol::Role;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListRoutes {}

/// Empty, because the isolate has the table.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
}

/// The table, in its order.
#[derive(Debug, Serialize)]
struct Table {
    items: Vec<Value>,
}

impl ControlOperation for ListRoutes {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/routes",
        body: BodyKind::None,
        takes_query: false,
        access: Access::Roles(&[Role::Owner, Role::Manager, Role::Responder, Role::Auditor]),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(_: &Input<'_>) -> Result<Self, Failure> {
        Ok(Self {})
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, _: &Context<'_>) -> Result<(), OperationError> {
        Ok(())
    }

    fn handle(&self, _: &mut dyn Store, _: &Context<'_>) -> Result<Outcome, OperationError> {
        Ok(Outcome {})
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let Outcome {} = outcome?;
        Ok(input.ok(&Table { items: input.config.route_rows() }))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "listRoutes",
  "tags": ["Keys"],
  "summary": "Shows the table of routes",
  "description": "Owner, manager, responder, auditor. Rows as in `ROUTES`; the first route that matches a request decides. The table is the same for every member, whatever their environments.",
  "security": [{"member": []}, {"access": []}],
  "responses": {
    "200": {
      "description": "The table, in its order",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/json": {
          "schema": {
            "type": "object",
            "required": ["items"],
            "properties": {
              "items": {
                "type": "array",
                "items": {
                  "type": "object",
                  "required": ["match", "access"],
                  "properties": {
                    "match": {"type": "string"},
                    "access": {"enum": ["public", "key"]},
                    "scope": {"type": "string"}
                  }
                }
              }
            },
            "additionalProperties": false
          }
        }
      }
    }
  }
}"##;
