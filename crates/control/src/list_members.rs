//! `GET /_keyward/v1/members`: lists members, newest first.

use super::query::Query;
use keyward_http::problem::Problem;
use keyward_protocol::Command;

/// Parses `limit` and `cursor`.
pub(super) fn command(query: &str) -> Result<Command, Problem> {
    let mut query = Query::parse(query, &["limit", "cursor"])?;
    Ok(Command::ListMembers { limit: query.limit()?, cursor: query.take("cursor") })
}
