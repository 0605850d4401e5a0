//! `GET /_keyward/v1/keys`: lists keys, newest first unless `sort` specifies another order.

use serde::{Deserialize, Serialize};

use crate::body::invalid;
use crate::changed::ListPage;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use super::issue_key::instant;
use crate::query::{Query, whole};
use crate::text::TextParser;
use keyward_http::limits::NAME_CHARS;
use keyward_http::problem::Problem;
use keyward_key::id::Environment;
use keyward_key::mint::Minted;
use keyward_key::version::{second_reader, third_reader};
use keyward_protocol::{Role, Status};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::list::{self, KeyFilter, KeyQuery};
use keyward_registry::order::{KeyOrder, SortKey};
use keyward_registry::store::Store;

const PARAMETERS: &[&str] =
    &[
        "limit", "cursor", "environment", "integration", "owner", "status", "q", "expires_before", "idle_days", "exposed",
        "sort",
    ];

/// Maximum length of the search text, in characters: that of a name.
const SEARCH_CHARS: usize = NAME_CHARS;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListKeys {
    /// Filter.
    pub filter: KeyFilter,
    /// Size of the page, 1 to 200.
    pub limit: u32,
    /// `next_cursor` of the previous page.
    pub cursor: Option<String>,
    /// Order.
    #[serde(default, skip_serializing_if = "is_default")]
    pub order: KeyOrder,
    /// Set if a search or an order is used, so that a reader that does not know them refuses the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_reader: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_default(order: &KeyOrder) -> bool {
    *order == KeyOrder::default()
}

impl ListKeys {
    /// Creates the request for one page.
    #[must_use]
    pub fn new(filter: KeyFilter, order: KeyOrder, limit: u32, cursor: Option<String>) -> Self {
        let second = second_reader(!is_default(&order) || filter.needs_scan());
        let third = filter.exposed.is_some() || filter.idle_days.is_some() || order.by == SortKey::LastUsedAt;
        let min_reader = third_reader(third).or(second);
        Self { filter, limit, cursor, order, min_reader }
    }
}

/// A page of keys.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Views and cursor.
    pub keys: ListPage,
}

impl ControlOperation for ListKeys {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/keys",
        body: BodyKind::None,
        takes_query: true,
        access: Access::Roles(&[Role::Owner, Role::Manager, Role::Responder, Role::Auditor]),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        Ok(parse(input.query(), input.text)?)
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, _: &Context<'_>) -> Result<(), OperationError> {
        Ok(())
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let query = KeyQuery {
            filter: &self.filter,
            order: self.order,
            limit: self.limit,
            cursor: self.cursor.as_deref(),
        };
        let (keys, next_cursor) = list::list(store, by.member()?, &query, by.now)?;
        let items = keys.iter().map(raw).collect::<Result<_, _>>()?;
        Ok(Outcome { keys: ListPage { items, next_cursor } })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        Ok(input.ok(&outcome?.keys))
    }
}

/// Parses `limit`, `cursor` and the filters, each at most once.
fn parse(query: &str, texts: TextParser<'_>) -> Result<ListKeys, Problem> {
    let mut query = Query::parse(query, PARAMETERS)?;
    let filter = KeyFilter {
        environment: choice(&mut query, "environment", Environment::parse, "This must be live or test.")?,
        integration: text(&mut query, "integration", texts)?,
        owner: text(&mut query, "owner", texts)?,
        status: choice(&mut query, "status", Status::parse, STATUSES)?,
        q: search(&mut query, texts)?,
        idle_days: query.take("idle_days").map(|text| days(&text)).transpose()?,
        expires_before: query.take("expires_before").map(|text| instant("expires_before", &text)).transpose()?,
        exposed: choice(&mut query, "exposed", |text| text.parse().ok(), "This must be true or false.")?,
    };
    let order = choice(&mut query, "sort", KeyOrder::parse, SORTS)?.unwrap_or_default();
    Ok(ListKeys::new(filter, order, query.limit()?, query.take("cursor")))
}

fn choice<T>(
    query: &mut Query,
    name: &str,
    parse: impl FnOnce(&str) -> Option<T>,
    detail: &str,
) -> Result<Option<T>, Problem> {
    let chosen = query.take(name).map(|value| parse(&value).ok_or_else(|| invalid(name, detail)));
    chosen.transpose()
}

/// Parses a number of days that usage is kept for.
fn days(text: &str) -> Result<u32, Problem> {
    let days = whole(text).and_then(|days| u32::try_from(days).ok()).filter(|days| (1..=400).contains(days));
    days.ok_or_else(|| invalid("idle_days", "This must be a whole number from 1 to 400."))
}

const STATUSES: &str = "This must be active, pending, retiring, quarantined, expired or revoked.";

const SORTS: &str = "This must be created_at, expires_at, last_used_at or name, with - before it for the greatest first.";

/// Parses the search text.
fn search(query: &mut Query, texts: TextParser<'_>) -> Result<Option<String>, Problem> {
    match text(query, "q", texts)? {
        Some(value) if value.chars().count() > SEARCH_CHARS => {
            Err(invalid("q", format!("This may have at most {SEARCH_CHARS} characters.")))
        }
        value => Ok(value),
    }
}

/// Parses a text into its stored form.
fn text(query: &mut Query, name: &str, texts: TextParser<'_>) -> Result<Option<String>, Problem> {
    match query.take(name) {
        Some(value) if value.is_empty() => Err(invalid(name, "This must not be empty.")),
        value => Ok(value.map(|value| texts.nfc(value))),
    }
}

const OPEN_API: &str = r##"{
  "operationId": "listKeys",
  "tags": ["Keys"],
  "summary": "Lists keys, newest first",
  "description": "Owner, manager, responder, auditor. With `q`, `expires_before`, `idle_days`, `exposed` or `sort` a page scans at most 1,000 keys, so it may be short or empty even if `next_cursor` is present.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [
    {
      "name": "environment",
      "in": "query",
      "description": "Keys of this environment",
      "schema": {"$ref": "#/components/schemas/Environment"}
    },
    {
      "name": "integration",
      "in": "query",
      "description": "Keys of this integration",
      "schema": {"type": "string", "minLength": 1}
    },
    {
      "name": "status",
      "in": "query",
      "description": "Keys in this state",
      "schema": {"$ref": "#/components/schemas/Status"}
    },
    {"name": "owner", "in": "query", "description": "Keys of this owner", "schema": {"type": "string", "minLength": 1}},
    {
      "name": "q",
      "in": "query",
      "description": "Keys whose name or id contains this text, ignoring ASCII case",
      "schema": {"type": "string", "minLength": 1, "maxLength": 100}
    },
    {
      "name": "expires_before",
      "in": "query",
      "description": "Keys that expire before this time, with any offset. Leap seconds are refused",
      "schema": {"type": "string", "format": "date-time"}
    },
    {
      "name": "idle_days",
      "in": "query",
      "description": "Active and retiring keys that were neither issued nor used for this number of days. A key of which reports may be missing is not listed",
      "schema": {"type": "integer", "minimum": 1, "maximum": 400}
    },
    {
      "name": "exposed",
      "in": "query",
      "description": "Keys with or without an exposure that was not dismissed",
      "schema": {"type": "string", "enum": ["true", "false"]}
    },
    {
      "name": "sort",
      "in": "query",
      "description": "Sort order; `-` means descending. A cursor is valid only for the `sort` of its response",
      "schema": {
        "type": "string",
        "enum": ["created_at", "-created_at", "expires_at", "-expires_at", "name", "-name", "last_used_at", "-last_used_at"],
        "default": "-created_at"
      }
    },
    {"$ref": "#/components/parameters/Limit"},
    {"$ref": "#/components/parameters/Cursor"}
  ],
  "responses": {
    "200": {
      "description": "A page of the list",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/KeyPage"}}}
    }
  }
}"##;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<ListKeys, Problem> {
        super::parse(query, TextParser::of_tests())
    }

    #[test]
    fn filters_are_parsed_and_wrong_ones_refused() {
        let query = "limit=7&cursor=abc&environment=test&owner=ops%40acme.example&status=active&integration=crm-sync";
        let Ok(ListKeys { filter, limit, cursor, min_reader, .. }) = parse(query) else { panic!("refused") };
        assert_eq!((limit, cursor.as_deref(), min_reader), (7, Some("abc"), None));
        let Ok(sorted) = parse("q=Cafe%CC%81&sort=-name&expires_before=2027-01-31T01%3A00%3A00%2B01%3A00") else {
            panic!("refused")
        };
        assert_eq!((sorted.filter.q.as_deref(), sorted.order.as_str(), sorted.min_reader), (Some("Café"), "-name", Some(2)));
        assert_eq!(sorted.filter.expires_before.unwrap().rfc3339(), "2027-01-31T00:00:00.000Z");
        assert_eq!(filter.owner.as_deref(), Some("ops@acme.example"));
        for query in ["idle_days=90", "sort=last_used_at", "sort=-last_used_at"] {
            assert_eq!(parse(query).ok().and_then(|list| list.min_reader), Some(3), "{query}");
        }
        let Ok(exposed) = parse("exposed=true&sort=name") else { panic!("refused") };
        assert_eq!((exposed.filter.exposed, exposed.min_reader), (Some(true), Some(3)));
        for query in [
            "limit=0",
            "limit=201",
            "limit=x",
            "limit=1&limit=2",
            "environment=prod",
            "status=alive",
            "owner=",
            "q=",
            "sort=owner",
            "sort=",
            "sort=name&sort=name",
            "expires_before=tomorrow",
            "idle_days=0",
            "idle_days=401",
            "idle_days=x",
            "exposed=yes",
            "exposed=",
            "color=red",
        ] {
            assert!(parse(query).is_err(), "{query}");
        }
        assert!(parse(&format!("q={}", "x".repeat(101))).is_err());
    }
}
