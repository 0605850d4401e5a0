//! Strict JSON bodies: one object without unknown or duplicate fields, each of its type. Every error names the field.
//! docs/decisions/0023-strict-bodies-and-the-router.md explains why this is not a serde derive.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::text::shown;
use keyward_http::problem::{Code, Problem};

/// A JSON value that keeps duplicate fields. A whole number from 0 is a [`Json::Number`] in any notation (`30`, `30.0`, `3e1`), as in
/// JSON Schema. Every other number is a [`Json::OtherNumber`], which no field accepts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(u64),
    OtherNumber,
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

struct AnyJson;

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyJson)
    }
}

impl<'de> Visitor<'de> for AnyJson {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::OtherNumber)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and not negative; a number past the range becomes the largest, which every field refuses as too large"
    )]
    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        let whole = number >= 0.0 && number.fract() == 0.0;
        Ok(if whole { Json::Number(number as u64) } else { Json::OtherNumber })
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut fields = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            fields.push(entry);
        }
        Ok(Json::Object(fields))
    }
}

/// Fields of a body. Each field can be taken once.
pub(super) struct Fields(Vec<(String, Json)>);

pub(super) fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Problem {
    Problem::field(Code::InvalidRequest, field, detail)
}

impl Fields {
    /// Parses a body whose fields are among `known`, in any order.
    ///
    /// # Errors
    /// `invalid_request`, with the unknown or duplicate field named.
    pub fn parse(body: &[u8], known: &[&str]) -> Result<Self, Problem> {
        let whole = |detail: &str| Problem::detailed(Code::InvalidRequest, detail);
        let text = std::str::from_utf8(body).map_err(|_| whole("The body must be JSON in UTF-8."))?;
        let fields = match serde_json::from_str(text) {
            Ok(Json::Object(fields)) => fields,
            Ok(_) => return Err(whole("The body must be a JSON object.")),
            Err(_) if text.trim_ascii().is_empty() => return Err(whole("The body is empty. Send a JSON object.")),
            Err(why) => {
                let place = format!("The body is not JSON: look at line {}, column {}.", why.line(), why.column());
                return Err(whole(&place));
            }
        };
        Self::of(fields, known, "")
    }

    /// Returns the fields of an object within a body, which must be among `known`. Errors name a field after `place`.
    ///
    /// # Errors
    /// `invalid_request`, with the unknown or duplicate field named.
    pub fn of(fields: Vec<(String, Json)>, known: &[&str], place: &str) -> Result<Self, Problem> {
        for (at, (name, _)) in fields.iter().enumerate() {
            // The answer shows the unknown name, but without misleading characters and no longer than a valid name.
            let shown = format!("{place}{}", shown(name));
            if !known.contains(&name.as_str()) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(invalid(shown, format!("Unknown field. Known fields: {known}.")));
            }
            if fields.iter().take(at).any(|(earlier, _)| earlier == name) {
                return Err(invalid(shown, "Duplicate field. Send it once."));
            }
        }
        Ok(Self(fields))
    }

    /// Parses a body that may be absent: empty, or an object without fields.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn none(body: &[u8]) -> Result<(), Problem> {
        if body.trim_ascii().is_empty() {
            return Ok(());
        }
        Self::parse(body, &[]).map(|_| ())
    }

    /// Parses changes: at least one field, and `null` only in the `nullable` fields.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_changes(body: &[u8], known: &[&str], nullable: &[&str]) -> Result<Self, Problem> {
        let fields = Self::parse(body, known)?;
        if fields.0.is_empty() {
            let detail = format!("The body changes nothing. Name at least one of: {}.", known.join(", "));
            return Err(Problem::detailed(Code::InvalidRequest, detail));
        }
        match fields.0.iter().find(|(name, value)| *value == Json::Null && !nullable.contains(&name.as_str())) {
            Some((name, _)) => Err(invalid(name, "This must not be null. Leave it out to keep it as it is.")),
            None => Ok(fields),
        }
    }

    /// Returns whether a field is present.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }

    /// Returns whether a field is present and not `null`.
    pub fn gives(&self, name: &str) -> bool {
        self.0.iter().any(|(field, value)| field == name && *value != Json::Null)
    }

    /// Takes a field, including one that is `null`.
    pub fn take_even_null(&mut self, name: &str) -> Option<Json> {
        let at = self.0.iter().position(|(field, _)| field == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Takes a field; `null` counts as absent.
    pub fn take(&mut self, name: &str) -> Option<Json> {
        self.take_even_null(name).filter(|value| *value != Json::Null)
    }

    /// Takes a required field.
    pub fn require(&mut self, name: &str) -> Result<Json, Problem> {
        self.take(name).ok_or_else(|| invalid(name, "This field is required."))
    }

    /// Takes an optional flag. Absent or null is `false`.
    ///
    /// # Errors
    /// `invalid_request`, with the field named.
    pub fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        match self.take(name) {
            None => Ok(false),
            Some(Json::Bool(value)) => Ok(value),
            Some(_) => Err(invalid(name, "This must be true or false.")),
        }
    }

    /// Takes a list of texts. An absent list is empty.
    pub fn texts(&mut self, name: &str, most: usize) -> Result<Vec<String>, Problem> {
        let items = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Json::List(items)) => items,
            Some(_) => return Err(invalid(name, "This must be a list of strings.")),
        };
        if items.len() > most {
            return Err(invalid(name, format!("This list may have at most {most} entries.")));
        }
        let texts = items.into_iter().enumerate().map(|(index, item)| match item {
            Json::Text(text) => Ok(text),
            _ => Err(invalid(format!("{name}[{index}]"), "This must be a string.")),
        });
        texts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &[u8]) -> String {
        Fields::parse(body, &["name", "purpose"]).err().unwrap().body("r")
    }

    /// JSON Schema, and so the OpenAPI document, calls each of these an integer.
    #[test]
    fn a_whole_number_counts_however_it_is_written() {
        let number = |text: &str| {
            let body = format!(r#"{{"name":{text}}}"#);
            Fields::parse(body.as_bytes(), &["name"]).ok().and_then(|mut fields| fields.take("name"))
        };
        for (text, expected) in [
            ("30", 30),
            ("30.0", 30),
            ("3e1", 30),
            ("0.3E+2", 30),
            ("300e-1", 30),
            ("0", 0),
            ("0.0", 0),
            ("-0", 0),
            ("18446744073709551615", u64::MAX),
            ("1e300", u64::MAX),
        ] {
            assert_eq!(number(text), Some(Json::Number(expected)), "{text}");
        }
        for text in ["1.5", "-1", "-1.0", "1e-1", "30.000001"] {
            assert_eq!(number(text), Some(Json::OtherNumber), "{text}");
        }
        assert_eq!(number("1e999"), None, "no JSON number that a float holds");
    }

    #[test]
    fn the_error_names_an_unknown_or_duplicate_field() {
        for (body, expected) in [
            (r#"{"name":"a","other":1}"#, r#""field":"other""#),
            (r#"{"name":"a","name":"b"}"#, r#""field":"name""#),
            (r#"{"na\u006de":"a","name":"b"}"#, r#""field":"name""#),
            (r#"{"o\u202et\u0000h\u2066er":1}"#, r#""field":"other""#),
            ("[]", "JSON object"),
            ("", "empty"),
            ("{", "line 1, column 1"),
            (r#"{"name":Infinity}"#, "not JSON"),
            (r#"{"name":"a"} x"#, "not JSON"),
        ] {
            let shown = refused(body.as_bytes());
            assert!(shown.contains(expected), "{body}: {shown}");
        }
        assert!(refused(b"{\"name\":\"\xff\"}").contains("UTF-8"));
        assert!(refused("[".repeat(60_000).as_bytes()).contains("not JSON"));
    }
}
