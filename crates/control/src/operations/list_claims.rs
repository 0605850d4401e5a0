//! `GET /_keyward/v1/claims`: lists open claims, newest first.

use serde::{Deserialize, Serialize};

use crate::changed::ListPage;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::query::Query;
use keyward_key::id::{Environment, KeyId};
use keyward_key::mint::Minted;
use keyward_key::time::Millis;
use keyward_protocol::{KeyView, Rejection, Role};
use keyward_registry::claims::{self, Claim, ClaimState};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::keys;
use keyward_registry::page::{LARGEST_PAGE, check_limit, start, write_cursor};
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListClaims {
    /// Size of the page, 1 to 200.
    pub limit: u32,
    /// `next_cursor` of the previous page.
    pub cursor: Option<String>,
}

/// A page of claims.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Views and cursor.
    pub claims: ListPage,
}

/// A claim as lists and its withdrawal show it. Without the lists of its key, which can be long.
#[derive(Serialize)]
pub(super) struct ClaimItem {
    id: KeyId,
    status: &'static str,
    name: String,
    integration: String,
    environment: Environment,
    owner: String,
    rotated_from: Option<KeyId>,
    created_at: String,
    created_by: String,
    expires_at: String,
    ended_at: Option<String>,
}

impl ClaimItem {
    /// Creates the view of a claim and its key at `now`.
    pub fn new(claim: Claim, key: KeyView, now: Millis) -> Self {
        // The alarm may not have written yet that the claim ended.
        let over = claim.state == ClaimState::Open && !claim.is_open(now);
        let (status, ended_at) = if over { (ClaimState::Expired, Some(claim.expires_at)) } else { (claim.state, claim.ended_at) };
        Self {
            id: claim.id,
            status: status.as_str(),
            name: key.attributes.name,
            integration: key.attributes.integration,
            environment: key.attributes.environment,
            owner: key.attributes.owner,
            rotated_from: key.rotated_from,
            created_at: claim.created_at.rfc3339(),
            created_by: claim.created_by,
            expires_at: claim.expires_at.rfc3339(),
            ended_at: ended_at.map(Millis::rfc3339),
        }
    }
}

impl ControlOperation for ListClaims {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/claims",
        body: BodyKind::None,
        takes_query: true,
        access: Access::Roles(&[Role::Owner, Role::Manager]),
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
        check_limit(self.limit, LARGEST_PAGE)?;
        let before = start(self.cursor.as_deref())?;
        let mut found = Vec::new();
        for environment in Environment::ALL {
            if by.member()?.sees(environment) {
                found.extend(claims::open(store, environment, before, self.limit.saturating_add(1))?);
            }
        }
        found.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let next_cursor = found.last().filter(|_| more).map(|(position, _)| write_cursor(*position));
        let mut items = Vec::new();
        for (_, id) in &found {
            let claim = claims::find(store, id)?.ok_or(Rejection::NotFound)?;
            items.push(raw(&ClaimItem::new(claim, keys::view(&keys::get_written(store, id)?, by.now)?, by.now))?);
        }
        Ok(Outcome { claims: ListPage { items, next_cursor } })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        Ok(input.ok(&outcome?.claims))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "listClaims",
  "tags": ["Claims"],
  "summary": "Lists open claims, newest first",
  "description": "Owner, manager. A limited member sees the claims of their environments.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/Limit"}, {"$ref": "#/components/parameters/Cursor"}],
  "responses": {
    "200": {
      "description": "A page of the list",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ClaimPage"}}}
    }
  }
}"##;
