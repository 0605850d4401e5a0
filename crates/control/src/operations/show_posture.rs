//! `GET /_keyward/v1/posture`: shows what could be better about keys and members, and one score.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec};
use keyward_key::mint::Minted;
use keyward_key::scope::Scope;
use keyward_protocol::Role;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::posture::{self, Facts, Posture, facts};
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ShowPosture {
    /// `ROTATE_DAYS`.
    pub rotate_days: u32,
    /// The `match` of every route of each scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes_of: Option<BTreeMap<Scope, Vec<String>>>,
}

/// The assessment.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Score, findings and counts.
    pub posture: Posture,
}

impl ControlOperation for ShowPosture {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/posture",
        body: BodyKind::None,
        takes_query: false,
        access: Access::Roles(&[Role::Owner, Role::Manager, Role::Responder, Role::Auditor]),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        Ok(Self { rotate_days: input.config.rotate_days, routes_of: Some(input.config.routes.by_scope()) })
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, _: &Context<'_>) -> Result<(), OperationError> {
        // The facts contain only what the caller may see.
        Ok(())
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let settings = facts::Settings {
            known_scopes: &by.policy.known_scopes,
            rotate_days: self.rotate_days,
            routes_of: self.routes_of.as_ref(),
        };
        let facts = Facts::read(store, by.member()?, &settings, by.now)?;
        Ok(Outcome { posture: posture::assess(&facts) })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        Ok(input.ok(&outcome?.posture))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "showPosture",
  "tags": ["Posture"],
  "summary": "Shows findings about keys and members, and their score",
  "description": "Owner, manager, responder, auditor. A member with a limit gets the findings of their environments, and none about members.",
  "security": [{"member": []}, {"access": []}],
  "responses": {
    "200": {
      "description": "Score, the heaviest findings, and the counts of every rule",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Posture"}}}
    }
  }
}"##;
