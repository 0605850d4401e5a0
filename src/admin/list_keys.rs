//! `GET /_keyward/v1/keys`: lists keys, newest first.

use super::body::invalid;
use super::text::shown;
use crate::http::limits::{PAGE_DEFAULT, PAGE_MOST};
use crate::http::problem::Problem;
use crate::key::id::Environment;
use crate::registry::command::{Command, KeyFilter, Status};

/// Parses `limit`, `cursor` and the filters `environment`, `integration`, `owner`, `status`, each at most once.
pub(super) fn command(query: &str) -> Result<Command, Problem> {
    let mut filter = KeyFilter::default();
    let mut limit = PAGE_DEFAULT;
    let mut cursor = None;
    let mut seen: Vec<String> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let wrong = |detail: &str| Err(invalid(shown(&name), detail));
        if seen.contains(&name.clone().into_owned()) {
            return wrong("This parameter stands twice. Send it once.");
        }
        seen.push(name.clone().into_owned());
        match name.as_ref() {
            "limit" => match value.parse() {
                Ok(number @ 1..=PAGE_MOST) => limit = number,
                _ => return wrong("This must be a whole number from 1 to 200."),
            },
            "cursor" => cursor = Some(value.into_owned()),
            "environment" => match Environment::parse(&value) {
                Some(environment) => filter.environment = Some(environment),
                None => return wrong("This must be live or test."),
            },
            "status" => match Status::parse(&value) {
                Some(status) => filter.status = Some(status),
                None => return wrong("This must be active, retiring, expired or revoked."),
            },
            "integration" if !value.is_empty() => filter.integration = Some(value.into_owned()),
            "owner" if !value.is_empty() => filter.owner = Some(value.into_owned()),
            "integration" | "owner" => return wrong("This must not be empty."),
            _ => {
                return wrong(
                    "This parameter is unknown. Known are: limit, cursor, environment, integration, owner, status.",
                );
            }
        }
    }
    Ok(Command::ListKeys { filter, limit, cursor })
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
