//! `GET /_keyward/v1/keys/{id}/exposures`: lists the exposures of a key, newest first.

use serde::{Deserialize, Serialize};

use crate::changed::ListPage;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::query::Query;
use crate::sight::check_key_in_sight;
use keyward_key::id::KeyId;
use keyward_key::mint::Minted;
use keyward_protocol::Role;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::exposures::{self, Exposure};
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListExposures {
    /// Id of the key.
    pub id: KeyId,
    /// Size of the page, 1 to 200.
    pub limit: u32,
    /// `next_cursor` of the previous page.
    pub cursor: Option<String>,
}

/// A page of exposures.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Exposures and cursor.
    pub exposures: ListPage,
}

/// An exposure in a response.
#[derive(Serialize)]
struct Shown {
    kind: &'static str,
    at: String,
    route: Option<String>,
    network: Option<String>,
}

impl From<Exposure> for Shown {
    fn from(exposure: Exposure) -> Self {
        let Exposure { kind, at, route, network } = exposure;
        Self { kind: kind.as_str(), at: at.rfc3339(), route, network }
    }
}

impl ControlOperation for ListExposures {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/keys/{id}/exposures",
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
        Ok(Self { id: input.key_id()?, limit: query.limit()?, cursor: query.take("cursor") })
    }

    fn authorise(request: Option<&Self>, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        request.map_or(Ok(()), |request| check_key_in_sight(store, by, &request.id))
    }

    fn handle(&self, store: &mut dyn Store, _: &Context<'_>) -> Result<Outcome, OperationError> {
        let (found, next_cursor) = exposures::list(store, &self.id, self.limit, self.cursor.as_deref())?;
        let items = found.into_iter().map(|exposure| raw(&Shown::from(exposure))).collect::<Result<_, _>>()?;
        Ok(Outcome { exposures: ListPage { items, next_cursor } })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        Ok(input.ok(&outcome?.exposures))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "listExposures",
  "tags": ["Keys"],
  "summary": "Lists the exposures of a key, newest first",
  "description": "Owner, manager, responder, auditor. An exposure is a request that showed the key to others and was refused for it. Each kind is listed once an hour, and 500 are kept.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [
    {"$ref": "#/components/parameters/KeyId"},
    {"$ref": "#/components/parameters/Limit"},
    {"$ref": "#/components/parameters/Cursor"}
  ],
  "responses": {
    "200": {
      "description": "A page of exposures",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ExposurePage"}}}
    }
  }
}"##;
