//! `GET /_keyward/v1/keys`: lists keys, newest first.

use super::body::invalid;
use super::query::Query;
use keyward_http::problem::Problem;
use keyward_key::id::Environment;
use keyward_protocol::{Command, KeyFilter, Status};

const PARAMETERS: &[&str] = &["limit", "cursor", "environment", "integration", "owner", "status"];

/// Parses `limit`, `cursor` and the filters `environment`, `integration`, `owner`, `status`, each at most once.
pub(super) fn command(query: &str) -> Result<Command, Problem> {
    let mut query = Query::parse(query, PARAMETERS)?;
    let filter = KeyFilter {
        environment: choice(&mut query, "environment", Environment::parse, "This must be live or test.")?,
        integration: text(&mut query, "integration")?,
        owner: text(&mut query, "owner")?,
        status: choice(&mut query, "status", Status::parse, "This must be active, retiring, expired or revoked.")?,
    };
    Ok(Command::ListKeys { filter, limit: query.limit()?, cursor: query.take("cursor") })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_and_bad_ones_named() {
        let Ok(Command::ListKeys { filter, limit, cursor }) =
            command("limit=7&cursor=abc&environment=test&owner=ops%40acme.example&status=active&integration=crm-sync")
        else {
            panic!("refused")
        };
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
            assert!(command(query).is_err(), "{query}");
        }
    }
}
