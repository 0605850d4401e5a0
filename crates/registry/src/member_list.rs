//! Lists of members, newest first.

use super::context::OperationError;
use super::members::{Member, select_members, stored_limit};
use super::page::{LARGEST_PAGE, check_limit, start, write_cursor};
use super::store::{Store, StoreError, Value};
use keyward_key::id::Environment;
use keyward_key::time::Millis;
use keyward_protocol::MemberView;

/// Every possible limit.
const LIMITS: [&[Environment]; 3] =
    [&[Environment::Live], &[Environment::Test], &[Environment::Live, Environment::Test]];

/// Returns one page of the members whom `member` may manage, and the cursor of the next page.
///
/// # Errors
/// A refusal of `limit` or `cursor`, or a failure of the store.
pub fn list(
    store: &mut dyn Store,
    member: &Member,
    limit: u32,
    cursor: Option<&str>,
    now: Millis,
) -> Result<(Vec<MemberView>, Option<String>), OperationError> {
    check_limit(limit, LARGEST_PAGE)?;
    let before = Value::Integer(start(cursor)?);
    let one_more = Value::Integer(i64::from(limit.saturating_add(1)));
    let rows = if member.environments.is_none() {
        store.query(select_members!("WHERE position < ? ORDER BY position DESC LIMIT ?"), &[before, one_more])?
    } else {
        let within = limits_within(member)?;
        store.query(
            select_members!(
                "WHERE position < ? AND environments IN (SELECT value FROM json_each(?)) ORDER BY position DESC LIMIT ?"
            ),
            &[before, within, one_more],
        )?
    };
    let page = usize::try_from(limit).unwrap_or(usize::MAX);
    let found = rows.iter().take(page).map(Member::from_row).collect::<Result<Vec<_>, _>>()?;
    let next_cursor = found.last().filter(|_| rows.len() > page).map(|last| write_cursor(last.position));
    Ok((found.iter().map(|member| member.view(now)).collect(), next_cursor))
}

/// Returns the stored forms of the limits that `member` covers, as a JSON list.
fn limits_within(member: &Member) -> Result<Value, StoreError> {
    let covered = LIMITS.iter().filter(|limit| member.covers(Some(limit)));
    let stored = covered.map(|limit| match stored_limit(Some(limit))? {
        Value::Text(text) => Ok(text),
        Value::Null | Value::Integer(_) => Err(StoreError::new("a limit is stored as text")),
    });
    let stored = stored.collect::<Result<Vec<_>, _>>()?;
    Ok(serde_json::to_string(&stored).map_err(|_| StoreError::new("limits have no JSON form"))?.into())
}
