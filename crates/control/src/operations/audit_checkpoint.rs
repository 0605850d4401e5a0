//! `GET /_keyward/v1/audit/checkpoint`: the signed head of the audit log. `checkpoint.rs` documents the form of the note.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec};
use crate::sight::check_unlimited;
use keyward_key::mint::Minted;
use keyward_protocol::Role;
use keyward_registry::audit::head;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct AuditCheckpoint {}

/// The head of the log.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Size and hash.
    pub audit_head: AuditHead,
}

impl ControlOperation for AuditCheckpoint {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/audit/checkpoint",
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

    fn handle(&self, store: &mut dyn Store, _: &Context<'_>) -> Result<Outcome, OperationError> {
        let head = head(store)?;
        Ok(Outcome { audit_head: AuditHead { size: head.seq, hash: head.hash } })
    }

    fn respond(
        self,
        _: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let AuditHead { size, hash } = outcome?.audit_head;
        Ok(Answer::Checkpoint { size, hash })
    }
}

/// Head of the audit log.
#[derive(Debug, Serialize, Deserialize)]
pub struct AuditHead {
    /// Number of entries.
    pub size: u64,
    /// Hash of the last entry; 64 zeros if there is none.
    pub hash: String,
}

const OPEN_API: &str = r##"{
  "operationId": "auditCheckpoint",
  "tags": ["Audit"],
  "summary": "Returns the signed head of the audit log",
  "description": "Owner, responder, auditor, without a limit to environments.",
  "security": [{"member": []}, {"access": []}],
  "responses": {
    "200": {
      "description": "A C2SP signed note",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"text/plain; charset=utf-8": {"schema": {"type": "string"}}}
    }
  }
}"##;
