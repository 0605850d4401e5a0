//! `GET /_keyward/v1/keys`: lists keys, newest first.

use serde::{Deserialize, Serialize};

use crate::body::invalid;
use crate::changed::ListPage;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::query::Query;
use keyward_http::problem::Problem;
use keyward_key::id::Environment;
use keyward_key::mint::Minted;
use keyward_protocol::{Role, Status};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::list::{self, KeyFilter};
use keyward_registry::store::Store;

const PARAMETERS: &[&str] = &["limit", "cursor", "environment", "integration", "owner", "status"];

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListKeys {
    /// Filter.
    pub filter: KeyFilter,
    /// Size of the page, 1 to 200.
    pub limit: u32,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
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
        Ok(parse(input.query())?)
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, _: &Context<'_>) -> Result<(), OperationError> {
        Ok(())
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let cursor = self.cursor.as_deref();
        let (keys, next_cursor) = list::list(store, by.member()?, &self.filter, self.limit, cursor, by.now)?;
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
fn parse(query: &str) -> Result<ListKeys, Problem> {
    let mut query = Query::parse(query, PARAMETERS)?;
    let filter = KeyFilter {
        environment: choice(&mut query, "environment", Environment::parse, "This must be live or test.")?,
        integration: text(&mut query, "integration")?,
        owner: text(&mut query, "owner")?,
        status: choice(&mut query, "status", Status::parse, "This must be active, retiring, expired or revoked.")?,
    };
    Ok(ListKeys { filter, limit: query.limit()?, cursor: query.take("cursor") })
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

fn text(query: &mut Query, name: &str) -> Result<Option<String>, Problem> {
    match query.take(name) {
        Some(value) if value.is_empty() => Err(invalid(name, "This must not be empty.")),
        value => Ok(value),
    }
}

const OPEN_API: &str = r##"{
  "operationId": "listKeys",
  "tags": ["Keys"],
  "summary": "Lists keys, newest first",
  "description": "Owner, manager, responder, auditor.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [
    {
      "name": "environment",
      "in": "query",
      "description": "Of this environment",
      "schema": {"$ref": "#/components/schemas/Environment"}
    },
    {
      "name": "integration",
      "in": "query",
      "description": "Of this integration",
      "schema": {"type": "string"}
    },
    {
      "name": "status",
      "in": "query",
      "description": "In this state now",
      "schema": {"$ref": "#/components/schemas/Status"}
    },
    {"name": "owner", "in": "query", "description": "Of this owner", "schema": {"type": "string"}},
    {"$ref": "#/components/parameters/Limit"},
    {"$ref": "#/components/parameters/Cursor"}
  ],
  "responses": {
    "200": {
      "description": "A page",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/KeyPage"}}}
    },
    "400": {
      "description": "The body, the query or the path is wrong; `field` names what: `invalid_request`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "invalid_request",
                  "bad_path",
                  "key_in_url",
                  "unexpected_body"
                ]
              }
            }
          }
        }
      }
    },
    "401": {"$ref": "#/components/responses/Unauthorized"},
    "403": {"$ref": "#/components/responses/Forbidden"},
    "503": {"$ref": "#/components/responses/Unavailable"},
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_parsed_and_wrong_ones_refused() {
        let query = "limit=7&cursor=abc&environment=test&owner=ops%40acme.example&status=active&integration=crm-sync";
        let Ok(ListKeys { filter, limit, cursor }) = parse(query) else { panic!("refused") };
        assert_eq!((limit, cursor.as_deref()), (7, Some("abc")));
        assert_eq!(filter.owner.as_deref(), Some("ops@acme.example"));
        for query in [
            "limit=0",
            "limit=201",
            "limit=x",
            "limit=1&limit=2",
            "environment=prod",
            "status=alive",
            "owner=",
            "color=red",
        ] {
            assert!(parse(query).is_err(), "{query}");
        }
    }
}
