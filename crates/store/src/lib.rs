//! The port of the Durable Objects to SQLite: the object's storage in workerd, rusqlite in native tests. The same SQL runs in both.
#![forbid(unsafe_code)]
#![deny(missing_docs, clippy::disallowed_methods)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::arithmetic_side_effects,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason
    )
)]

pub mod counters;
pub mod meta;
pub mod migrations;

use std::fmt;
use std::sync::Arc;

use keyward_key::time::Millis;
use serde::Serialize;

/// Largest integer that a store keeps exactly, 2^53 - 1, because workerd binds and returns numbers as 64-bit floats.
pub const LARGEST_INTEGER: i64 = 9_007_199_254_740_991;

/// A store for SQLite's SQL, with parameters written `?` and bound by position.
///
/// Restrictions on statements, so that they run in both stores:
/// - A [`Value::Integer`] may be bound as a float. A column declared `INTEGER` converts it back; one declared `TEXT` or
///   `ANY` would store `17.0`. So use integers in `INTEGER` columns, comparisons and `LIMIT` only.
/// - At most 100 parameters, and at most 5 terms in a compound `SELECT` (limits of workerd).
/// - No `BEGIN`, `COMMIT` or `SAVEPOINT`. Use [`Store::transaction`].
pub trait Store {
    /// Runs one statement that returns no rows.
    ///
    /// # Errors
    /// [`StoreError`] if the statement failed. It may have written before it failed, so roll the transaction back.
    fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<(), StoreError>;

    /// Runs one statement and returns all its rows.
    ///
    /// # Errors
    /// [`StoreError`] if the statement failed, or a column holds a type that [`Value`] lacks.
    fn query(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, StoreError>;

    /// Runs `work` exactly once in a transaction. Commits if `work` returns `Ok`; rolls back and returns the error otherwise.
    /// Transactions do not nest.
    ///
    /// rusqlite: `BEGIN IMMEDIATE`, `work(self)`, then `COMMIT` or `ROLLBACK`. Durable Object:
    /// `storage.transactionSync(callback)`, where the callback borrows `work`, keeps its error in an outer variable, and throws
    /// to roll back.
    ///
    /// # Errors
    /// The error of `work` or of the store. Nothing was written, with one exception: the commit may have succeeded although its
    /// confirmation was lost.
    fn transaction(&mut self, work: &mut Work<'_>) -> Result<(), StoreError>;
}

/// Body of a [`Store::transaction`].
pub type Work<'a> = dyn FnMut(&mut dyn Store) -> Result<(), StoreError> + 'a;

/// Value of a parameter or a column. No booleans, which a Durable Object would store as the text `true`, and no blobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// SQL's `NULL`.
    Null,
    /// Integer within ±(2^53 - 1).
    Integer(i64),
    /// Text.
    Text(String),
}

impl Value {
    /// Converts a count or a revision to a parameter.
    ///
    /// # Errors
    /// [`StoreError`] above [`LARGEST_INTEGER`].
    pub fn count(number: u64) -> Result<Self, StoreError> {
        i64::try_from(number)
            .ok()
            .filter(|number| *number <= LARGEST_INTEGER)
            .map(Self::Integer)
            .ok_or_else(|| StoreError::new(format!("{number} is too large to be stored")))
    }

    /// Writes a value as JSON text. Rows become one parameter for `json_each`: one statement for many rows costs a tenth of one for each.
    ///
    /// # Errors
    /// [`StoreError`] if the value has no JSON form.
    pub fn json(value: &(impl Serialize + ?Sized)) -> Result<Self, StoreError> {
        serde_json::to_string(value).map(Self::Text).map_err(|error| StoreError::new(error.to_string()))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Millis> for Value {
    fn from(instant: Millis) -> Self {
        Self::Integer(instant.0.clamp(-LARGEST_INTEGER, LARGEST_INTEGER))
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

impl Row {
    /// Creates a row. All rows of a result share `columns`.
    #[must_use]
    pub const fn new(columns: Arc<[String]>, values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    /// Returns the value of a column.
    ///
    /// # Errors
    /// [`StoreError`] if there is no such column.
    pub fn value(&self, column: &str) -> Result<&Value, StoreError> {
        self.columns
            .iter()
            .position(|name| name == column)
            .and_then(|position| self.values.get(position))
            .ok_or_else(|| StoreError::new(format!("no column {column} in the result")))
    }

    /// Returns the value at a position, counted from 0.
    ///
    /// # Errors
    /// [`StoreError`] if the row is shorter.
    pub fn at(&self, position: usize) -> Result<&Value, StoreError> {
        self.values.get(position).ok_or_else(|| StoreError::new(format!("no column {position} in the result")))
    }

    /// Returns the text of a column.
    ///
    /// # Errors
    /// [`StoreError`] if there is no such column or it does not hold text.
    pub fn text(&self, column: &str) -> Result<&str, StoreError> {
        self.optional_text(column)?.ok_or_else(|| StoreError::corrupt(column, "text"))
    }

    /// Returns the text of a column; `None` for `NULL`.
    ///
    /// # Errors
    /// [`StoreError`] if there is no such column or it holds a number.
    pub fn optional_text(&self, column: &str) -> Result<Option<&str>, StoreError> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::Integer(_) => Err(StoreError::corrupt(column, "text")),
        }
    }

    /// Returns the integer in a column; `None` for `NULL`.
    ///
    /// # Errors
    /// [`StoreError`] if there is no such column or it holds text.
    pub fn optional_integer(&self, column: &str) -> Result<Option<i64>, StoreError> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Integer(number) => Ok(Some(*number)),
            Value::Text(_) => Err(StoreError::corrupt(column, "an integer")),
        }
    }

    /// Returns the integer in a column.
    ///
    /// # Errors
    /// [`StoreError`] if there is no such column or it does not hold an integer.
    pub fn integer(&self, column: &str) -> Result<i64, StoreError> {
        self.optional_integer(column)?.ok_or_else(|| StoreError::corrupt(column, "an integer"))
    }

    /// Returns the count or revision in a column.
    ///
    /// # Errors
    /// [`StoreError`] if there is no such column or it does not hold an integer from 0.
    pub fn count(&self, column: &str) -> Result<u64, StoreError> {
        u64::try_from(self.integer(column)?).map_err(|_| StoreError::corrupt(column, "an integer from 0"))
    }

    /// Returns the instant in a column of milliseconds.
    ///
    /// # Errors
    /// [`StoreError`] if there is no such column or it does not hold an integer.
    pub fn millis(&self, column: &str) -> Result<Millis, StoreError> {
        self.integer(column).map(Millis)
    }

    /// Like [`Self::millis`]; `None` for `NULL`.
    ///
    /// # Errors
    /// [`StoreError`] if there is no such column or it holds text.
    pub fn optional_millis(&self, column: &str) -> Result<Option<Millis>, StoreError> {
        Ok(self.optional_integer(column)?.map(Millis))
    }

    /// Parses the text of a column with `read`.
    ///
    /// # Errors
    /// [`StoreError`] if there is no such column, it does not hold text, or `read` returns `None`.
    pub fn parsed<T>(&self, column: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, StoreError> {
        read(self.text(column)?).ok_or_else(|| StoreError::corrupt(column, "well formed"))
    }

    /// Like [`Self::parsed`]; `None` for `NULL`.
    ///
    /// # Errors
    /// [`StoreError`] if there is no such column, it holds a number, or `read` returns `None`.
    pub fn optional_parsed<T>(
        &self,
        column: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        self.optional_text(column)?
            .map(|text| read(text).ok_or_else(|| StoreError::corrupt(column, "well formed")))
            .transpose()
    }
}

/// The store failed or holds malformed data. It means "unknown", never "not found". The text is for the log only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError(String);

impl StoreError {
    /// Creates an error with a cause for the log. The cause must not contain a stored value.
    #[must_use]
    pub fn new(cause: impl Into<String>) -> Self {
        Self(cause.into())
    }

    /// Creates the error for a column that does not hold the expected value.
    #[must_use]
    pub fn corrupt(column: &str, expected: &str) -> Self {
        Self(format!("column {column} is not {expected}"))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for StoreError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_column_or_one_of_another_type_is_an_error() {
        let columns: Arc<[String]> = ["a", "b", "c"].map(str::to_owned).into();
        let row = Row::new(columns.clone(), vec![Value::Integer(-1), "x".into(), Value::Null]);
        assert_eq!(row.integer("a"), Ok(-1));
        assert_eq!(row.at(1), Ok(&Value::from("x")));
        assert_eq!(row.optional_text("c"), Ok(None));
        assert_eq!(row.parsed("b", |text| Some(text.len())), Ok(1));
        for broken in [
            row.text("a").is_err(),
            row.text("c").is_err(),
            row.text("d").is_err(),
            row.count("a").is_err(),
            row.integer("b").is_err(),
            row.millis("c").is_err(),
            row.optional_text("a").is_err(),
            row.optional_millis("b").is_err(),
            row.parsed("b", |_| None::<u8>).is_err(),
            row.optional_parsed("b", |_| None::<u8>).is_err(),
            row.at(3).is_err(),
            Row::new(columns, Vec::new()).value("a").is_err(),
        ] {
            assert!(broken);
        }
    }

    #[test]
    fn an_integer_that_a_float_would_round_is_refused() {
        assert_eq!(Value::count(9_007_199_254_740_991), Ok(Value::Integer(LARGEST_INTEGER)));
        assert!(Value::count(9_007_199_254_740_992).is_err());
        assert!(Value::count(u64::MAX).is_err());
        assert_eq!(Value::from(Millis(i64::MAX)), Value::Integer(LARGEST_INTEGER));
    }
}
