//! `GET /_keyward/v1/audit`: the audit log, oldest entry first, as JSON pages or as a stream of the whole log.

use serde::{Deserialize, Serialize};

use crate::audit_stream::{self, STREAM_PAGE};
use crate::body::invalid;
use crate::changed::ListPage;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::query::{Query, whole};
use crate::sight::check_unlimited;
use keyward_http::head::Head;
use keyward_http::media_type::negotiate;
use keyward_http::problem::Problem;
use keyward_key::mint::Minted;
use keyward_key::version::second_reader;
use keyward_protocol::{Raw, Rejection, Role};
use keyward_registry::audit::{self, AuditFilter, AuditPage};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::page::{LARGEST_AUDIT_PAGE, check_limit};
use keyward_registry::store::{LARGEST_INTEGER, Store, Value};

/// Media type of a stream: JSON, one object per line.
const LINES: &str = "application/x-ndjson";

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadAudit {
    /// Number of the entry after which the page begins.
    pub after: u64,
    /// Size of the page: 1 to 200, 1,000 for a stream.
    pub limit: u32,
    /// Filter.
    #[serde(default, skip_serializing_if = "AuditFilter::is_empty")]
    pub filter: AuditFilter,
    /// Whether only the response head is requested (`HEAD`), which needs no page.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub head_only: bool,
    /// Set if a filter is used, so that a reader that does not know filters refuses the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_reader: Option<u64>,
    /// Whether the answer is a stream.
    #[serde(skip)]
    pub lines: bool,
}

impl ReadAudit {
    /// Creates the request for the page after an entry, of the entries that match the filter.
    #[must_use]
    pub fn new(after: u64, limit: u32, filter: AuditFilter) -> Self {
        let min_reader = second_reader(!filter.is_empty());
        Self { after, limit, filter, min_reader, head_only: false, lines: false }
    }
}

/// A page of the log.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The page.
    pub audit: audit_stream::Page,
}

impl ControlOperation for ReadAudit {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/audit",
        body: BodyKind::None,
        takes_query: true,
        access: Access::Roles(&[Role::Owner, Role::Responder, Role::Auditor]),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let head_only = input.head.method() == "HEAD";
        Ok(Self { head_only, ..parse(input.query(), wants_lines(input.head))? })
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        check_unlimited(by)
    }

    fn handle(&self, store: &mut dyn Store, _: &Context<'_>) -> Result<Outcome, OperationError> {
        check_limit(self.limit, LARGEST_AUDIT_PAGE)?;
        if Value::count(self.after).is_err() {
            let detail = format!("Entries have numbers up to {LARGEST_INTEGER}.");
            return Err(Rejection::Invalid { field: "after".to_owned(), detail }.into());
        }
        if self.head_only {
            return Ok(Outcome { audit: audit_stream::Page::default() });
        }
        let AuditPage { entries, next } = audit::page(store, &self.filter, self.after, self.limit)?;
        let entries: Vec<Raw> = entries.iter().map(raw).collect::<Result<_, _>>()?;
        Ok(Outcome { audit: audit_stream::Page { entries, more: next.is_some(), next } })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let page = outcome?.audit;
        if self.lines {
            return Ok(Answer::Lines(page, self.filter));
        }
        // The cursor of the log is the number of an entry, as `after` takes it.
        let next_cursor = page.next_after().map(|seq| seq.to_string());
        Ok(input.ok(&ListPage { items: page.entries, next_cursor }))
    }
}

/// Returns whether the caller prefers JSON lines to a page, by `Accept`.
fn wants_lines(head: &Head<'_>) -> bool {
    negotiate(head.header("accept"), &["application/json", LINES]) == Some(LINES)
}

/// Parses `after` or its synonym `cursor`, and the `limit` of a page.
fn parse(query: &str, lines: bool) -> Result<ReadAudit, Problem> {
    let mut query = Query::parse(query, &["after", "cursor", "limit", "subject", "actor", "action"])?;
    let after = match (query.take("after"), query.take("cursor")) {
        (Some(_), Some(_)) => return Err(invalid("cursor", "Send either after or cursor: they mean the same.")),
        (Some(text), None) => seq("after", &text)?,
        (None, Some(text)) => seq("cursor", &text)?,
        (None, None) => 0,
    };
    let [subject, actor, action] = ["subject", "actor", "action"].map(|name| filter(&mut query, name));
    let filter = AuditFilter { subject: subject?, actor: actor?, action: action? };
    if !lines {
        return Ok(ReadAudit::new(after, query.limit()?, filter));
    }
    match query.take("limit") {
        Some(_) => Err(invalid("limit", "A stream runs to the end of the log: it takes no limit.")),
        None => Ok(ReadAudit { lines, ..ReadAudit::new(after, STREAM_PAGE, filter) }),
    }
}

/// Parses a filter value. Ids, `bootstrap`, `holder` and actions are short visible ASCII texts.
fn filter(query: &mut Query, name: &str) -> Result<Option<String>, Problem> {
    match query.take(name) {
        Some(text) if !(1..=64).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(invalid(name, "This must be 1 to 64 visible ASCII characters, as the entries show it."))
        }
        text => Ok(text),
    }
}

fn seq(name: &str, text: &str) -> Result<u64, Problem> {
    // JavaScript loses digits of numbers from 2^53, so no entry has such a number.
    whole(text).filter(|seq| *seq < 1 << 53).ok_or_else(|| {
        invalid(name, "This must be the number of an entry. The response begins after it; 0 returns the first entry.")
    })
}

const OPEN_API: &str = r##"{
  "operationId": "readAudit",
  "tags": ["Audit"],
  "summary": "Entries of the audit log, oldest first",
  "description": "Owner, responder, auditor, without a limit to environments.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [
    {
      "name": "after",
      "in": "query",
      "description": "Entries after this number. It means the same as `cursor`, so only one of them may be sent",
      "schema": {"type": "integer", "minimum": 0, "maximum": 9007199254740991}
    },
    {
      "name": "subject",
      "in": "query",
      "description": "Entries about this key or member. With several filters a page may be short or empty even if `next_cursor` is present",
      "schema": {"type": "string", "pattern": "^[!-~]{1,64}$"}
    },
    {
      "name": "actor",
      "in": "query",
      "description": "Entries by this member, by `bootstrap` or by `holder`",
      "schema": {"type": "string", "pattern": "^[!-~]{1,64}$"}
    },
    {
      "name": "action",
      "in": "query",
      "description": "Entries of this action, such as `key.revoke`",
      "schema": {"type": "string", "pattern": "^[!-~]{1,64}$"}
    },
    {"$ref": "#/components/parameters/Limit"},
    {"$ref": "#/components/parameters/Cursor"}
  ],
  "responses": {
    "200": {
      "description": "A page; with `Accept: application/x-ndjson` a stream of the whole log, one `AuditEntry` per line",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/AuditPage"}},
        "application/x-ndjson": {"schema": {"type": "string"}}
      }
    }
  }
}"##;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_after_an_entry() {
        for (query, expected) in
            [("", (0, 50)), ("after=0", (0, 50)), ("after=17&limit=200", (17, 200)), ("cursor=9", (9, 50))]
        {
            let Ok(ReadAudit { after, limit, .. }) = parse(query, false) else { panic!("{query}") };
            assert_eq!((after, limit), expected, "{query}");
        }
        for query in [
            "after=",
            "after=-1",
            "after=+1",
            "after=1.0",
            "after=x",
            "after=9007199254740992",
            "after=1&cursor=1",
            "limit=0",
            "seq=1",
            "subject=",
            "actor=a+b",
            "action=%C3%A9",
            "subject=a&subject=b",
            "after=1&after=1",
        ] {
            assert!(parse(query, false).is_err(), "{query}");
        }
    }

    #[test]
    fn a_stream_takes_no_limit() {
        assert!(matches!(parse("after=3", true), Ok(ReadAudit { after: 3, limit: STREAM_PAGE, .. })));
        assert!(parse("limit=3", true).is_err());
    }

    #[test]
    fn a_filter_is_parsed_and_an_older_reader_refuses_it() {
        let Ok(read) = parse("subject=wafl_live_1&actor=holder&action=key.revoke", false) else { panic!("refused") };
        let text = |text: &str| Some(text.to_owned());
        let expected =
            AuditFilter { subject: text("wafl_live_1"), actor: text("holder"), action: text("key.revoke") };
        assert_eq!((read.filter, read.min_reader), (expected, Some(2)));
        assert_eq!(parse("", true).ok().unwrap().min_reader, None);
    }

    #[test]
    fn lines_are_asked_for_by_their_type() {
        for (accept, expected) in [
            ("application/x-ndjson", true),
            ("application/json;q=0.5, Application/X-NDJSON", true),
            ("application/json, application/x-ndjson;q=0.5", false),
            ("application/json, application/x-ndjson;q=0", false),
            ("application/json", false),
            ("*/*", false),
            ("application/x-ndjsonx", false),
        ] {
            let text = format!("0\nGET\nhttp://h/\naccept\n{accept}\n");
            assert_eq!(wants_lines(&Head::parse(&text).unwrap()), expected, "{accept}");
        }
    }
}
