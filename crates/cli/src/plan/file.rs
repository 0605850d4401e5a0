//! The file: `[[key]]` with the API's names. It has no secret.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Deserializer, Serialize};
use toml::Spanned;

use crate::destination::Destination;
use crate::failure::Failure;
use keyward_key::id::Environment;
use keyward_key::scope::Scope;
use keyward_key::time::Millis;

/// A key, as the file describes it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Name.
    pub name: String,
    /// Integration.
    pub integration: String,
    /// Environment.
    pub environment: Environment,
    /// Purpose.
    pub purpose: String,
    /// Whom to ask.
    pub owner: String,
    /// Scopes.
    pub scopes: Vec<String>,
    /// Networks; empty means every address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_cidrs: Vec<String>,
    /// Limits, as the API writes them; `None` leaves them as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Vec<toml::Table>>,
    /// Life of a new key, in days. A key that is there keeps its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_days: Option<u32>,
    /// End, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "time")]
    pub expires_at: Option<String>,
    /// `claim`, which is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliver: Option<Deliver>,
    /// How long a claim link is good, in hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_hours: Option<u32>,
    /// Program that gets a new key, as for `--to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Way of delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Deliver {
    /// By claim link.
    Claim,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    key: Vec<Spanned<Wanted>>,
}

/// Accepts a text, or a time of TOML, which looks the same without quotes.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match toml::Value::deserialize(deserializer)? {
        toml::Value::String(text) => Ok(Some(text)),
        toml::Value::Datetime(time) => Ok(Some(time.to_string())),
        _ => Err(serde::de::Error::custom("expected a time such as 2027-01-31T00:00:00Z")),
    }
}

impl Wanted {
    /// Identity of the key.
    #[must_use]
    pub fn identity(&self) -> (String, String) {
        (self.environment.as_str().to_owned(), self.integration.clone())
    }

    /// Returns the destination of a new key.
    #[must_use]
    pub fn destination(&self) -> Option<Destination> {
        self.to.as_deref()?.parse().ok()
    }

    /// Returns what is wrong, apart from what only the deployment knows.
    fn problem(&self) -> Option<String> {
        if let Some(scope) = self.scopes.iter().find(|scope| Scope::parse(scope).is_none()) {
            return Some(format!("`{scope}` is no scope: 1 to 64 of a-z, 0-9, `:`, `.`, `_` and `-`, a letter first"));
        }
        if self.scopes.is_empty() {
            return Some("a key needs at least one scope".to_owned());
        }
        if self.expires_at.is_some() && self.expires_in_days.is_some() {
            return Some("give either `expires_at` or `expires_in_days`".to_owned());
        }
        if self.expires_at.as_deref().is_some_and(|end| Millis::parse(end).is_err()) {
            return Some("`expires_at` is no time with an offset, such as 2027-01-31T00:00:00Z".to_owned());
        }
        if self.to.is_some() && (self.deliver.is_some() || self.claim_hours.is_some()) {
            return Some("give either `deliver` or `to`".to_owned());
        }
        let wrong = self.to.as_deref()?.parse::<Destination>().err()?;
        Some(format!("`to` is no destination. {wrong}"))
    }
}

/// Parses a file.
///
/// # Errors
/// [`Failure`] of usage that names line and column.
pub fn parse(name: &str, text: &str) -> Result<Vec<Wanted>, Failure> {
    let wrong = |span: Range<usize>, problem: &str| {
        let (line, column) = position(text, span.start);
        Failure::usage(format!("{name}:{line}:{column}: {problem}.")).next("Correct the file. Nothing was changed.")
    };
    let document: Document =
        toml::from_str(text).map_err(|error| wrong(error.span().unwrap_or_default(), error.message()))?;
    let mut identities: BTreeMap<(String, String), usize> = BTreeMap::new();
    for key in &document.key {
        if let Some(problem) = key.get_ref().problem() {
            return Err(wrong(key.span(), &problem));
        }
        if let Some(first) = identities.insert(key.get_ref().identity(), key.span().start) {
            let (line, _) = position(text, first);
            return Err(wrong(
                key.span(),
                &format!(
                    "the integration `{}` has a key in line {line} already, in the same environment",
                    key.get_ref().integration
                ),
            ));
        }
    }
    Ok(document.key.into_iter().map(Spanned::into_inner).collect())
}

/// Returns line and column of a position, from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
    (line, column)
}

/// Writes a file.
///
/// # Errors
/// [`Failure`] if a value has no TOML form.
pub fn write(keys: &[Wanted]) -> Result<String, Failure> {
    #[derive(Serialize)]
    struct Written<'a> {
        key: &'a [Wanted],
    }
    toml::to_string(&Written { key: keys })
        .map_err(|error| Failure::failed(format!("The keys have no TOML form: {error}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"# Reviewed by the platform team.
[[key]]
name = "CRM sync"
integration = "crm-sync"
environment = "live"
purpose = "Nightly contact sync"
owner = "ops@acme.example"
scopes = ["contacts:read"]
expires_at = 2027-01-31T00:00:00Z
to = "gh:acme/crm/API_KEY"
"#;

    #[test]
    fn a_file_is_read_and_written() {
        let keys = parse("keys.toml", FILE).unwrap();
        assert_eq!(
            (keys[0].identity().1.as_str(), keys[0].expires_at.as_deref()),
            ("crm-sync", Some("2027-01-31T00:00:00Z"))
        );
        assert_eq!(keys[0].destination().unwrap().to_string(), "gh:acme/crm/API_KEY");
        assert_eq!(parse("again", &write(&keys).unwrap()).unwrap(), keys);
        assert_eq!(parse("empty", "").unwrap(), []);
    }

    #[test]
    fn a_broken_file_names_line_and_column() {
        let doubled = format!("{FILE}\n{}", FILE.replace("CRM sync", "Other"));
        for (text, place, problem) in [
            (FILE.replace("name = ", "nam = "), "keys.toml:3:1:", "unknown field `nam`"),
            (FILE.replace("\"live\"", "\"prod\""), "keys.toml:5:15:", "unknown variant `prod`"),
            (FILE.replace("\"live\"", "\"live"), "keys.toml:5:", ""),
            (FILE.replace("[\"contacts:read\"]", "[]"), "keys.toml:2:1:", "at least one scope"),
            (FILE.replace("contacts:read", "Contacts"), "keys.toml:2:1:", "`Contacts` is no scope"),
            (FILE.replace("gh:acme/crm/", "gh:"), "keys.toml:2:1:", "no destination"),
            (FILE.replace("purpose = \"Nightly contact sync\"\n", ""), "keys.toml:2:1:", "missing field `purpose`"),
            (FILE.replace("to = ", "deliver = \"claim\"\nto = "), "keys.toml:2:1:", "either `deliver` or `to`"),
            (FILE.replace("2027-01-31T00:00:00Z", "2027-01-31"), "keys.toml:2:1:", "no time"),
            (doubled, "keys.toml:13:1:", "has a key in line 2 already"),
        ] {
            let failure = parse("keys.toml", &text).unwrap_err();
            assert_eq!(failure.exit.code(), 2);
            assert!(failure.message.starts_with(place) && failure.message.contains(problem), "{}", failure.message);
        }
    }
}
