//! Compatibility of stored and transmitted forms between versions of the worker that run side by side.
//!
//! A reader ignores unknown fields, so a version may simply add one. If an older reader must not ignore a new field, the writer
//! adds `"min_reader": N` to the same object. Every reader below `N` then refuses the whole text as [`ReadError::Newer`].
//! A text without `min_reader` is for every reader.
//!
//! ```
//! use keyward_key::version::{ReadError, read};
//!
//! assert_eq!(read::<u32>("7").ok(), Some(7));
//! let newer = read::<std::collections::BTreeMap<String, u32>>(r#"{"min_reader":9}"#);
//! assert!(matches!(newer, Err(ReadError::Newer(9))));
//! ```

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

/// Number of this reader, to compare with `min_reader`. Raise it together with the code that reads a new form.
pub const READER: u64 = 3;

/// Value of an optional `min_reader` field of a message: present exactly when the message `has` something that readers below 2
/// would ignore.
#[must_use]
pub const fn second_reader(has: bool) -> Option<u64> {
    if has { Some(2) } else { None }
}

/// Like [`second_reader`], for something that readers below 3 would ignore.
#[must_use]
pub const fn third_reader(has: bool) -> Option<u64> {
    if has { Some(3) } else { None }
}

/// Quoted name of the field. Keyward's own writers never escape it.
const FIELD: &str = "\"min_reader\"";

/// Why a text in a form of Keyward's own was not read.
#[derive(Debug)]
pub enum ReadError {
    /// Written for a newer reader, whose number is given. The caller must report neither "not found" nor "broken".
    Newer(u64),
    /// Not JSON of the expected form.
    Malformed(serde_json::Error),
}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer(number) => write!(formatter, "written for reader {number} or later; this is reader {READER}"),
            Self::Malformed(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for ReadError {}

/// Parses the JSON of a stored form or of an internal message.
///
/// # Errors
/// [`ReadError`].
pub fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, ReadError> {
    let needed = min_reader(text);
    if needed > READER {
        return Err(ReadError::Newer(needed));
    }
    serde_json::from_str(text).map_err(ReadError::Malformed)
}

/// Returns the greatest `min_reader` at any depth; 1 if there is none. Parses the text only if it contains the name, which no
/// writer emits yet.
fn min_reader(text: &str) -> u64 {
    if !text.contains(FIELD) {
        return 1;
    }
    serde_json::from_str(text).as_ref().map_or(1, greatest)
}

fn greatest(value: &Value) -> u64 {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(
                |(name, value)| if name == "min_reader" { value.as_u64().unwrap_or(u64::MAX) } else { greatest(value) },
            )
            .max()
            .unwrap_or(1),
        Value::Array(items) => items.iter().map(greatest).max().unwrap_or(1),
        _ => 1,
    }
}

/// Returns whether a field has its default value, and so is left out of a stored or transmitted form. Generic, because a lint wants an `i64`
/// by value on some targets and by reference on others.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Debug)]
    struct Form {
        number: u64,
    }

    #[test]
    fn a_reader_ignores_fields_that_it_does_not_know() {
        assert_eq!(read::<Form>(r#"{"number":1,"later":{"deep":[2]}}"#).unwrap().number, 1);
        assert_eq!(read::<Form>(r#"{"number":1,"min_reader":1}"#).unwrap().number, 1);
    }

    #[test]
    fn min_reader_is_enforced_at_any_depth() {
        for text in [
            r#"{"min_reader":9,"number":1}"#,
            r#"{"number":1,"later":{"min_reader":9}}"#,
            r#"{"number":1,"later":[0,{"min_reader":9}]}"#,
            // A newer form need not have our fields.
            r#"{"min_reader":9}"#,
        ] {
            assert!(matches!(read::<Form>(text), Err(ReadError::Newer(9))), "{text}");
        }
        assert!(matches!(read::<Form>(r#"{"number":1,"min_reader":"two"}"#), Err(ReadError::Newer(u64::MAX))));
    }

    #[test]
    fn a_malformed_text_is_reported_as_malformed() {
        for text in ["", "{", r#"{"number":1} x"#, r#"{"number":1,"number":1}"#, "{}", r#"{"min_reader":9"#] {
            assert!(matches!(read::<Form>(text), Err(ReadError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn a_value_min_reader_sets_no_requirement() {
        assert_eq!(read::<Form>(r#"{"number":1,"name":"min_reader"}"#).unwrap().number, 1);
    }
}
