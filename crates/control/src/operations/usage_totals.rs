//! `GET /_keyward/v1/usage`: totals of requests by integration, key, route, decision or step of time.

use serde::{Deserialize, Serialize};

use crate::body::invalid;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec};
use crate::query::Query;
use crate::sight::check_key_in_sight;
use crate::time_range::StepRange;
use crate::usage_query::UsageQuestion;
use keyward_http::limits::TOTALS_DAYS;
use keyward_http::problem::Problem;
use keyward_key::id::{Environment, KeyId};
use keyward_key::mint::Minted;
use keyward_key::time::Millis;
use keyward_protocol::Role;
use keyward_protocol::usage::{SeriesQuery, Step, TotalsBy, TotalsQuery};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;

/// Number of hours up to which totals count hours. Longer ranges count whole days.
const HOURS: i64 = 48;

/// The request. The registry tells the caller's limit; the shards of the usage object answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct UsageTotals {
    /// Id of the only key to count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// Question to the shards.
    #[serde(skip)]
    pub query: Option<TotalsQuery>,
}

/// The caller may ask.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Environments that the caller sees; `None` for all.
    pub usage_environments: Option<Vec<Environment>>,
}

impl ControlOperation for UsageTotals {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/usage",
        body: BodyKind::None,
        takes_query: true,
        access: Access::Roles(&[Role::Owner, Role::Manager, Role::Responder, Role::Auditor]),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let (key, query) = parse(input.query(), input.head.now())?;
        Ok(Self { key, query: Some(query) })
    }

    fn authorise(request: Option<&Self>, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        request.and_then(|request| request.key.as_ref()).map_or(Ok(()), |key| check_key_in_sight(store, by, key))
    }

    fn handle(&self, _: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        Ok(Outcome { usage_environments: by.member()?.environments.clone() })
    }

    fn respond(self, _: &Input<'_>, outcome: Result<Outcome, Failure>, _: Option<&Minted>) -> Result<Answer, Failure> {
        let environments = outcome?.usage_environments;
        let query = self.query.ok_or_else(crate::operation::confused)?;
        if let Some(id) = self.key {
            let TotalsQuery { step, from, to, .. } = query;
            return Ok(Answer::Usage(UsageQuestion::RoutesOfKey(SeriesQuery { id, step, from, to })));
        }
        Ok(Answer::Usage(UsageQuestion::Totals(TotalsQuery { environments, ..query })))
    }
}

fn parse(text: &str, now: Millis) -> Result<(Option<KeyId>, TotalsQuery), Problem> {
    const NAMES: &[&str] = &["from", "to", "by", "key"];
    let mut query = Query::parse(text, NAMES)?;
    let by = query.take("by").ok_or_else(|| invalid("by", WHICH))?;
    let by = TotalsBy::parse(&by).ok_or_else(|| invalid("by", WHICH))?;
    let key = match query.take("key") {
        None => None,
        Some(_) if by != TotalsBy::Route => return Err(invalid("key", "Send this only with `by=route`.")),
        Some(id) => Some(KeyId::parse(&id).ok_or_else(|| invalid("key", "This must be the id of a key."))?),
    };
    let mut again = Query::parse(text, NAMES)?;
    if let Ok(StepRange { from, to }) = StepRange::take(&mut query, Step::Hour, 24, HOURS, now) {
        return Ok((key, TotalsQuery { by, step: Step::Hour, from, to, environments: None }));
    }
    let StepRange { from, to } = StepRange::take(&mut again, Step::Day, 1, TOTALS_DAYS, now)?;
    Ok((key, TotalsQuery { by, step: Step::Day, from, to, environments: None }))
}

const WHICH: &str = "This must be integration, key, route, code or time.";

const OPEN_API: &str = r##"{
  "operationId": "usageTotals",
  "tags": ["Usage"],
  "summary": "Total numbers of requests",
  "description": "Owner, manager, responder, auditor. At most 100 items: those with most requests, or with `by=time` each step that has any, in order. A member with a limit sees the keys of their environments.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [
    {
      "name": "by",
      "in": "query",
      "required": true,
      "description": "What the numbers are grouped by; `code` is `allowed` or the code of a refusal, `time` the start of an hour or day",
      "schema": {"type": "string", "enum": ["integration", "key", "route", "code", "time"]}
    },
    {
      "name": "key",
      "in": "query",
      "description": "Id of the only key to count; with `by=route` only",
      "schema": {"$ref": "#/components/schemas/KeyId"}
    },
    {
      "name": "from",
      "in": "query",
      "description": "Start of the range; by default 24 hours before `to`. A range of up to 48 hours is rounded to hours, a longer one to days; it may have at most 92 days",
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
      "description": "The totals, and the range that they cover",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/UsageTotals"}}}
    },
    "404": {"$ref": "#/components/responses/NotFound"}
  }
}"##;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_795_442_523_004);

    #[test]
    fn a_short_range_counts_hours_and_a_longer_one_whole_days() {
        let ask = |query: &str| parse(query, NOW).map(|(_, query)| (query.step, query.to - query.from)).ok();
        assert_eq!(ask("by=key"), Some((Step::Hour, 24)));
        assert_eq!(ask("by=key&from=2026-11-23T00:00:00Z"), Some((Step::Hour, 15)));
        assert_eq!(ask("by=code&from=2026-11-20T12:00:00Z"), Some((Step::Day, 4)));
        assert_eq!(ask("by=route&from=2026-08-24T00:00:00Z"), Some((Step::Day, 92)));
        assert_eq!(ask("by=time&from=2026-08-24T00:00:00Z"), Some((Step::Day, 92)));
        assert_eq!(ask("by=route&key=wafl_live_8Fh2kQ0sZp1L"), Some((Step::Hour, 24)));
        for query in [
            "",
            "by=owner",
            "by=key&from=2026-08-23T23:59:59Z",
            "by=key&from=2026-11-24T00:00:00Z",
            "by=key&from=x",
            "by=key&step=day",
            "by=route&key=crm",
            "by=code&key=wafl_live_8Fh2kQ0sZp1L",
        ] {
            assert!(parse(query, NOW).is_err(), "{query}");
        }
    }
}
