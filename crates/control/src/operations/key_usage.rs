//! `GET /_keyward/v1/keys/{id}/usage`: the series of requests with one key.

use serde::{Deserialize, Serialize};

use crate::body::invalid;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec};
use crate::query::Query;
use crate::sight::check_key_in_sight;
use crate::time_range::StepRange;
use crate::usage_query::UsageQuestion;
use keyward_http::limits::SERIES_STEPS;
use keyward_key::id::KeyId;
use keyward_key::mint::Minted;
use keyward_protocol::Role;
use keyward_protocol::usage::{SeriesQuery, Step};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;

/// The request. The registry only authorises it; a shard of the usage object answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeyUsage {
    /// Id of the key.
    pub id: KeyId,
    /// Question to the shard.
    #[serde(skip)]
    pub query: Option<SeriesQuery>,
}

/// The caller may ask.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {}

impl ControlOperation for KeyUsage {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/keys/{id}/usage",
        body: BodyKind::None,
        takes_query: true,
        access: Access::Roles(&[Role::Owner, Role::Manager, Role::Responder, Role::Auditor]),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let id = input.key_id()?;
        let mut query = Query::parse(input.query(), &["from", "to", "step"])?;
        let step = match query.take("step") {
            None => Step::Hour,
            Some(text) => Step::parse(&text).ok_or_else(|| invalid("step", "This must be minute, hour or day."))?,
        };
        let default_steps = match step {
            Step::Minute => 60,
            Step::Hour => 24,
            Step::Day => 30,
        };
        let StepRange { from, to } = StepRange::take(&mut query, step, default_steps, SERIES_STEPS, input.head.now())?;
        let query = Some(SeriesQuery { id: id.clone(), step, from, to });
        Ok(Self { id, query })
    }

    fn authorise(request: Option<&Self>, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        request.map_or(Ok(()), |request| check_key_in_sight(store, by, &request.id))
    }

    fn handle(&self, _: &mut dyn Store, _: &Context<'_>) -> Result<Outcome, OperationError> {
        Ok(Outcome {})
    }

    fn respond(self, _: &Input<'_>, outcome: Result<Outcome, Failure>, _: Option<&Minted>) -> Result<Answer, Failure> {
        outcome?;
        let query = self.query.ok_or_else(crate::operation::confused)?;
        Ok(Answer::Usage(UsageQuestion::Series(query)))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "keyUsage",
  "tags": ["Usage"],
  "summary": "Number of requests with a key, by step of time",
  "description": "Owner, manager, responder, auditor. Minutes are kept for 3 hours, hours for 35 days, days for 400 days.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [
    {"$ref": "#/components/parameters/KeyId"},
    {
      "name": "step",
      "in": "query",
      "description": "Length of a step; days are of UTC",
      "schema": {"type": "string", "enum": ["minute", "hour", "day"], "default": "hour"}
    },
    {
      "name": "from",
      "in": "query",
      "description": "Start of the range, rounded down to a step; by default 60 minutes, 24 hours or 30 days before `to`. The range may have at most 1,000 steps",
      "schema": {"type": "string", "format": "date-time"}
    },
    {
      "name": "to",
      "in": "query",
      "description": "End of the range, not included; by default now",
      "schema": {"type": "string", "format": "date-time"}
    }
  ],
  "responses": {
    "200": {
      "description": "Steps with requests, in order; a step without requests is left out",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/UsageSeries"}}}
    }
  }
}"##;
