//! `GET /_keyward/v1/deliveries`: lists deliveries of events with their attempts, newest first.

use serde::{Deserialize, Serialize};

use crate::body::invalid;
use crate::events_query::EventsQuestion;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, confused};
use crate::query::Query;
use crate::rejection::problem_of;
use crate::sight::check_unlimited;
use keyward_key::mint::Minted;
use keyward_protocol::Role;
use keyward_protocol::events::{DeliveryQuery, DeliveryStatus, EVENT_TYPES};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::page::start;
use keyward_registry::store::Store;

/// The request. The registry only authorises it; the events object answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListDeliveries {
    /// Question to the events object.
    #[serde(skip)]
    pub query: Option<DeliveryQuery>,
}

/// The caller may ask.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {}

impl ControlOperation for ListDeliveries {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/deliveries",
        body: BodyKind::None,
        takes_query: true,
        access: Access::Roles(&[Role::Owner]),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let mut query = Query::parse(input.query(), &["endpoint", "type", "status", "limit", "cursor"])?;
        let kind = query.take("type");
        if kind.as_ref().is_some_and(|kind| !EVENT_TYPES.contains(&kind.as_str())) {
            return Err(invalid("type", format!("This must be one of: {}.", EVENT_TYPES.join(", "))).into());
        }
        let parse_status = |text: String| {
            let wrong = || invalid("status", "This must be pending, delivered or failed.");
            DeliveryStatus::parse(&text).ok_or_else(wrong)
        };
        let cursor = query.take("cursor");
        let before = cursor.as_deref().map(|cursor| start(Some(cursor))).transpose().map_err(|why| problem_of(&why))?;
        let query = DeliveryQuery {
            endpoint: query.take("endpoint"),
            kind,
            status: query.take("status").map(parse_status).transpose()?,
            limit: query.limit()?,
            before,
        };
        Ok(Self { query: Some(query) })
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        check_unlimited(by)
    }

    fn handle(&self, _: &mut dyn Store, _: &Context<'_>) -> Result<Outcome, OperationError> {
        Ok(Outcome {})
    }

    fn respond(self, _: &Input<'_>, outcome: Result<Outcome, Failure>, _: Option<&Minted>) -> Result<Answer, Failure> {
        outcome?;
        Ok(Answer::Events(EventsQuestion::Deliveries(self.query.ok_or_else(confused)?)))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "listDeliveries",
  "tags": ["Events"],
  "summary": "Lists deliveries of events, newest first",
  "description": "Owner, without a limit to environments. Kept for 30 days. With several filters a page may be short or empty although more follow: go on while there is a `next_cursor`.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [
    {
      "name": "endpoint",
      "in": "query",
      "description": "Only of this endpoint",
      "schema": {"type": "string"}
    },
    {
      "name": "type",
      "in": "query",
      "description": "Only of this type",
      "schema": {"$ref": "#/components/schemas/EventType"}
    },
    {
      "name": "status",
      "in": "query",
      "description": "Only with this status",
      "schema": {"type": "string", "enum": ["pending", "delivered", "failed"]}
    },
    {"$ref": "#/components/parameters/Limit"},
    {"$ref": "#/components/parameters/Cursor"}
  ],
  "responses": {
    "200": {
      "description": "A page of the list",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/DeliveryPage"}}}
    }
  }
}"##;
