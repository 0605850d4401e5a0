//! Strict queries, without unknown or duplicate parameters. Every error names the parameter.

use super::body::invalid;
use super::text::shown;
use keyward_http::limits::{PAGE_DEFAULT, PAGE_MOST};
use keyward_http::problem::Problem;

/// Parameters of a query. Each parameter can be taken once.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Parses a query whose parameters are among `known`, in any order.
    ///
    /// # Errors
    /// `invalid_request`, with the unknown or duplicate parameter named.
    pub fn parse(query: &str, known: &[&str]) -> Result<Self, Problem> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let detail = format!("Unknown parameter. Known parameters: {}.", known.join(", "));
                return Err(invalid(shown(&name), detail));
            }
            if parameters.iter().any(|(earlier, _)| *earlier == name) {
                return Err(invalid(shown(&name), "Duplicate parameter. Send it once."));
            }
            parameters.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(parameters))
    }

    /// Takes a parameter.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(parameter, _)| parameter == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Takes `limit`, or its default.
    pub fn limit(&mut self) -> Result<u32, Problem> {
        let Some(text) = self.take("limit") else { return Ok(PAGE_DEFAULT) };
        match text.parse() {
            Ok(number @ 1..=PAGE_MOST) => Ok(number),
            _ => Err(invalid("limit", "This must be a whole number from 1 to 200.")),
        }
    }
}
