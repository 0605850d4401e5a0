//! `GET /_keyward/v1/audit/key`: the public keys that verify checkpoints of the audit log.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec};
use crate::sight::check_unlimited;
use keyward_key::mint::Minted;
use keyward_protocol::Role;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct AuditKey {}

/// Empty, because the isolate has the keys.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
}

impl ControlOperation for AuditKey {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/audit/key",
        body: BodyKind::None,
        takes_query: false,
        access: Access::Roles(&[Role::Owner, Role::Responder, Role::Auditor]),
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

    fn handle(&self, _: &mut dyn Store, _: &Context<'_>) -> Result<Outcome, OperationError> {
        Ok(Outcome {})
    }

    fn respond(
        self,
        _: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        outcome.map(|Outcome {}| Answer::CheckpointKeys)
    }
}

const OPEN_API: &str = r##"{
  "operationId": "auditKey",
  "tags": ["Audit"],
  "summary": "Returns the keys that verify checkpoints",
  "description": "Owner, responder, auditor, without a limit to environments.",
  "security": [{"member": []}, {"access": []}],
  "responses": {
    "200": {
      "description": "C2SP verifier keys, one per line",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"text/plain; charset=utf-8": {"schema": {"type": "string"}}}
    }
  }
}"##;
