//! `GET /_keyward/v1/leaks`: lists leak reports, newest first.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::leaks::view::LeakView;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, LeaksShown, Spec};
use crate::query::Query;
use keyward_key::mint::Minted;
use keyward_protocol::Role;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::leaks::{self, Leak};
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListLeaks {
    /// Size of the page, 1 to 200.
    pub limit: u32,
    /// `next_cursor` of the previous page.
    pub cursor: Option<String>,
}

/// The outcome.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Reports and cursor.
    pub leaks: LeakPage,
}

/// A page of reports.
#[derive(Debug, Serialize, Deserialize)]
pub struct LeakPage {
    /// Reports.
    pub items: Vec<Leak>,
    /// Cursor of the next page; `None` at the end.
    pub next_cursor: Option<String>,
}

impl ControlOperation for ListLeaks {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/leaks",
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
        Ok(Self { limit: query.limit()?, cursor: query.take("cursor") })
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, _: &Context<'_>) -> Result<(), OperationError> {
        Ok(())
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let (items, next_cursor) = leaks::list(store, by.member()?, self.limit, self.cursor.as_deref())?;
        Ok(Outcome { leaks: LeakPage { items, next_cursor } })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let LeakPage { items, next_cursor } = outcome?.leaks;
        let items = items.into_iter().map(|leak| LeakView::new(input.config, leak)).collect();
        Ok(Answer::Leaks(LeaksShown::Page(items, next_cursor)))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "listLeaks",
  "tags": ["Leaks"],
  "summary": "Lists leak reports, newest first",
  "description": "Owner, manager, responder, auditor. A member with a limit sees the keys of their environments. A page has about 1,000 keys at most.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/Limit"}, {"$ref": "#/components/parameters/Cursor"}],
  "responses": {
    "200": {
      "description": "A page of the list",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/LeakPage"}}}
    }
  }
}"##;
