//! `GET /_keyward/v1/members`: lists members, newest first.

use serde::{Deserialize, Serialize};

use crate::changed::ListPage;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::query::Query;
use keyward_key::mint::Minted;
use keyward_protocol::{Role};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::member_list;
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListMembers {
    /// Size of the page, 1 to 200.
    pub limit: u32,
    /// `next_cursor` of the previous page.
    pub cursor: Option<String>,
}

/// A page of members.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Views and cursor.
    pub members: ListPage,
}

impl ControlOperation for ListMembers {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/members",
        body: BodyKind::None,
        takes_query: true,
        access: Access::Roles(&[Role::Owner]),
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
        let (members, next_cursor) =
            member_list::list(store, by.member()?, self.limit, self.cursor.as_deref(), by.now)?;
        let items = members.iter().map(raw).collect::<Result<_, _>>()?;
        Ok(Outcome { members: ListPage { items, next_cursor } })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        Ok(input.ok(&outcome?.members))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "listMembers",
  "tags": ["Members"],
  "summary": "Lists members, newest first",
  "description": "Owner.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/Limit"}, {"$ref": "#/components/parameters/Cursor"}],
  "responses": {
    "200": {
      "description": "A page of the list",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MemberPage"}}}
    }
  }
}"##;
