//! `DELETE /_keyward/v1/session`: signs out of the console. The token is refused from the next request on, wherever it is sent from.

use serde::{Deserialize, Serialize};

use crate::body::Fields;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, ServedOn, Spec};
use keyward_http::cookies::forget_session;
use keyward_http::reply::Reply;
use keyward_key::mint::Minted;
use keyward_protocol::Role;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::sessions;
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct EndSession {}

/// The session has ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {}

impl ControlOperation for EndSession {
    const SPEC: Spec = Spec {
        method: "DELETE",
        path: "v1/session",
        body: BodyKind::OptionalJson,
        takes_query: false,
        access: Access::Roles(&Role::ALL),
        writes: true,
        idempotent: false,
    };
    const SERVED_ON: ServedOn = ServedOn::Console;
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        Fields::none(input.body)?;
        Ok(Self {})
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, _: &Context<'_>) -> Result<(), OperationError> {
        Ok(())
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        sessions::end(store, by)?;
        Ok(Outcome {})
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        outcome?;
        Ok(Answer::Reply(Reply::no_content(input.request_id)).setting_cookie(forget_session()))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "endSession",
  "tags": ["Session"],
  "summary": "Signs out of the console",
  "description": "Any role, by session. Whoever has no session gets 404.",
  "security": [{"member": []}, {"access": []}],
  "requestBody": {
    "required": false,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Nothing"}}}
  },
  "responses": {
    "204": {
      "description": "The session has ended",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "Set-Cookie": {"$ref": "#/components/headers/SessionCookie"}
      }
    },
    "404": {"$ref": "#/components/responses/NotFound"}
  }
}"##;
