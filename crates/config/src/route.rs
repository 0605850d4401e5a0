//! Parser of one row of `ROUTES`.

use serde_json::{Map, Value};

use keyward_http::limits::ROUTE_COST;
use keyward_http::route::{Access, Route};
use keyward_key::scope::Scope;

/// Parses a row.
///
/// # Errors
/// The problem with the row, for the list of problems.
pub(super) fn parse_route(row: &Value) -> Result<Route, String> {
    let row = row.as_object().ok_or("must be a table with `match` and either `scope` or `access`")?;
    let known = ["match", "scope", "access", "on_outage", "assertion", "cost"];
    if let Some(name) = row.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("has an unknown entry `{name}`; known are {}", known.join(", ")));
    }
    let text = |name: &str| row.get(name).map(|value| value.as_str().ok_or(format!("`{name}` must be a string")));
    let access = match (text("scope").transpose()?, text("access").transpose()?) {
        (Some(scope), None) => Access::Scope(
            Scope::parse(scope)
                .ok_or("`scope` must be 1 to 64 of a-z, 0-9, `:`, `.`, `_`, `-`, beginning with a letter")?,
        ),
        (None, Some("public")) => Access::Public,
        (None, Some(_)) => return Err("`access` can only be \"public\"".to_owned()),
        _ => return Err("must have either `scope` or `access = \"public\"`".to_owned()),
    };
    let closed = match text("on_outage").transpose()? {
        None => false,
        Some("closed") => true,
        Some(_) => return Err("`on_outage` can only be \"closed\"".to_owned()),
    };
    let own_assertion = match (text("assertion").transpose()?, &access) {
        (None, _) => false,
        (Some("request"), Access::Scope(_)) => true,
        (Some("request"), Access::Public) => {
            return Err(
                "has `assertion` but is public: remove `assertion`, because a public route has no caller to assert"
                    .into(),
            );
        }
        (Some(_), _) => return Err("`assertion` can only be \"request\"".to_owned()),
    };
    let pattern = text("match").transpose()?.ok_or("has no `match`")?;
    let is_public = access == Access::Public;
    let route = Route::parse(pattern, access, closed).map_err(|why| format!("`match` {why}"))?;
    Ok(route.with_own_assertion(own_assertion).with_cost(cost(row, is_public)?))
}

/// Reads the units that a request of the route costs: 0 to 1000, 1 by default.
fn cost(row: &Map<String, Value>, is_public: bool) -> Result<u32, String> {
    let Some(value) = row.get("cost") else { return Ok(1) };
    if is_public {
        return Err("has `cost` but is public: remove `cost`, because a public route counts for no key".to_owned());
    }
    let cost = value.as_u64().and_then(|cost| u32::try_from(cost).ok()).filter(|cost| *cost <= ROUTE_COST);
    cost.ok_or_else(|| format!("`cost` must be a whole number from 0 to {ROUTE_COST}"))
}
