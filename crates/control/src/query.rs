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
        self.limit_or(None)
    }

    /// Takes `limit`, or this default.
    pub fn limit_or(&mut self, default: Option<u32>) -> Result<u32, Problem> {
        let Some(text) = self.take("limit") else { return Ok(default.unwrap_or(PAGE_DEFAULT)) };
        match whole(&text).map(u32::try_from) {
            Some(Ok(number @ 1..=PAGE_MOST)) => Ok(number),
            _ => Err(invalid("limit", "This must be a whole number from 1 to 200.")),
        }
    }
}

/// Parses a whole number as JSON writes it: digits alone, without a sign and without leading zeros.
pub(super) fn whole(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        assert_eq!(["0", "1", "200", "18446744073709551615"].map(whole), [0, 1, 200, u64::MAX].map(Some));
        for text in ["", "05", "00", "+5", "-5", " 5", "5 ", "5.0", "1e1", "18446744073709551616", "٥"] {
            assert_eq!(whole(text), None, "{text}");
        }
    }
}
