//! `GET /_keyward/v1/keys/{id}/activity`: who used a key, from where and for what, and who changed it.

use serde::{Deserialize, Serialize};

use crate::body::invalid;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, confused, raw};
use crate::query::Query;
use crate::sight::check_key_in_sight;
use crate::text_table::{CSV, Form, LINES};
use crate::time_range::StepRange;
use crate::usage_query::{ActivityQuestion, UsageQuestion, read_cursor};
use keyward_http::limits::{ACTIVITY_HOURS, ACTIVITY_LINES};
use keyward_http::media_type::negotiate;
use keyward_key::id::KeyId;
use keyward_key::mint::Minted;
use keyward_key::time::Millis;
use keyward_protocol::usage::{ActivityQuery, Step};
use keyward_protocol::{Raw, Role};
use keyward_registry::audit::{self, AuditFilter};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;

/// Maximum number of audit entries on one page.
const ENTRIES: u32 = 200;

/// The request. The registry answers with the audit entries, and a shard of the usage object with the uses.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeyActivity {
    /// Id of the key.
    pub id: KeyId,
    /// Start of the range.
    pub from: Millis,
    /// End of the range, not included.
    pub to: Millis,
    /// Number of the audit entry after which the page begins.
    pub after_entry: u64,
    /// Question to the shard, and the form of the answer.
    #[serde(skip)]
    pub asked: Option<(ActivityQuery, Form)>,
}

/// Audit entries of the key in the range.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Time, number and JSON of each entry, oldest first.
    pub entries: Vec<(Millis, u64, Raw)>,
    /// Whether more entries follow.
    pub more: bool,
}

impl ControlOperation for KeyActivity {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/keys/{id}/activity",
        body: BodyKind::None,
        takes_query: true,
        access: Access::Roles(&[Role::Owner, Role::Responder, Role::Auditor]),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let id = input.key_id()?;
        let mut query = Query::parse(input.query(), &["from", "to", "limit", "cursor"])?;
        let form = match negotiate(input.head.header("accept"), &["application/json", LINES, CSV]) {
            Some(LINES) => Form::Lines,
            Some(CSV) => Form::Csv,
            _ => Form::Json,
        };
        let limit = query.limit_or(if form == Form::Json { None } else { Some(ACTIVITY_LINES) })?;
        let cursor = query.take("cursor").map(|text| {
            read_cursor(&text).ok_or_else(|| invalid("cursor", "Unknown cursor. Send the `next_cursor` of the previous page."))
        });
        let cursor = cursor.transpose()?;
        let StepRange { from, to } =
            StepRange::take(&mut query, Step::Hour, 24, ACTIVITY_HOURS, input.head.now())?;
        let (after, after_entry) = cursor.map_or((None, 0), |(after, entry)| (Some(after), entry));
        let asked = Some((ActivityQuery { id: id.clone(), from, to, after, limit }, form));
        Ok(Self { id, from: Step::Hour.start(from), to: Step::Hour.start(to), after_entry, asked })
    }

    fn authorise(request: Option<&Self>, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        request.map_or(Ok(()), |request| check_key_in_sight(store, by, &request.id))
    }

    fn handle(&self, store: &mut dyn Store, _: &Context<'_>) -> Result<Outcome, OperationError> {
        let filter = AuditFilter { subject: Some(self.id.to_string()), ..AuditFilter::default() };
        let (mut entries, mut after) = (Vec::new(), self.after_entry);
        // Most keys have a few entries. A key with very many is read page by page, each within the limits of the audit log.
        loop {
            let page = audit::page(store, &filter, after, ENTRIES)?;
            for entry in &page.entries {
                let Ok(at) = Millis::parse(&entry.at) else { continue };
                if at >= self.to {
                    return Ok(Outcome { entries, more: false });
                }
                if at >= self.from {
                    entries.push((at, entry.seq, raw(entry)?));
                }
            }
            match page.next {
                Some(next) if entries.is_empty() => after = next,
                next => return Ok(Outcome { entries, more: next.is_some() }),
            }
        }
    }

    fn respond(self, _: &Input<'_>, outcome: Result<Outcome, Failure>, _: Option<&Minted>) -> Result<Answer, Failure> {
        let Outcome { entries, more } = outcome?;
        let (query, form) = self.asked.ok_or_else(confused)?;
        let question =
            ActivityQuestion { query, entries, more_entries: more, after_entry: self.after_entry, form };
        Ok(Answer::Usage(UsageQuestion::Activity(question)))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "keyActivity",
  "tags": ["Usage"],
  "summary": "Who used a key, from where and for what, and who changed it",
  "description": "Owner, responder, auditor. Oldest first: for each hour the combinations of route, network, client, country and system, and the audit entries of the key. Only networks are recorded, never addresses.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [
    {"$ref": "#/components/parameters/KeyId"},
    {
      "name": "from",
      "in": "query",
      "description": "Start of the range, rounded down to an hour; by default 24 hours before `to`. Hours are kept for 35 days",
      "schema": {"type": "string", "format": "date-time"}
    },
    {
      "name": "to",
      "in": "query",
      "description": "End of the range, not included; by default now",
      "schema": {"type": "string", "format": "date-time"}
    },
    {"$ref": "#/components/parameters/Limit"},
    {"$ref": "#/components/parameters/Cursor"}
  ],
  "responses": {
    "200": {
      "description": "A page. As CSV or JSON lines a page has up to 5,000 items, and `Keyward-Next-Cursor` if more follow",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/ActivityPage"}},
        "application/x-ndjson": {"schema": {"type": "string"}},
        "text/csv": {"schema": {"type": "string"}}
      }
    }
  }
}"##;
