//! The port to SQLite. In workerd it is the object's own storage, in native tests it is rusqlite: the same SQL runs in both.

use std::fmt;
use std::sync::Arc;

use keyward_key::time::Millis;

/// The largest integer that a store keeps exactly: workerd binds and returns numbers as 64-bit floats (2^53 - 1).
pub const LARGEST_INTEGER: i64 = 9_007_199_254_740_991;

/// A store that speaks SQLite's SQL, with parameters written `?` and bound by position.
///
/// What a statement may rely on, since both stores must offer it:
/// - A [`Value::Integer`] may be bound as a float. A column declared `INTEGER` turns it back; one declared `TEXT` or
///   `ANY` would keep `17.0`. So integers go into `INTEGER` columns, comparisons and `LIMIT` only.
/// - No more than 100 parameters and no more than 5 terms in a compound `SELECT` (workerd's limits).
/// - No `BEGIN`, `COMMIT` or `SAVEPOINT`: a transaction is [`Store::transaction`] only.
pub trait Store {
    /// Runs one statement that gives no rows.
    ///
    /// # Errors
    /// [`StoreError`] when the statement failed; whether it wrote is then unknown until the transaction is rolled back.
    fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<(), StoreError>;

    /// Runs one statement and takes all its rows.
    ///
    /// # Errors
    /// [`StoreError`] when the statement failed, or a column holds what [`Value`] can't.
    fn query(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, StoreError>;

    /// Runs `work`, exactly once, in a transaction: commits when it returns `Ok`, rolls everything back when it returns
    /// `Err`, which is then the result. Transactions are not nested.
    ///
    /// The shape fits both stores. rusqlite: `BEGIN IMMEDIATE`, `work(self)`, `COMMIT` or `ROLLBACK`. A Durable Object:
    /// `storage.transactionSync(callback)`, where the callback is a closure that borrows `work`, keeps its error in a
    /// variable outside and throws to roll back.
    ///
    /// # Errors
    /// What `work` returned, or [`StoreError`] of the store itself. Nothing was written then, with one exception that no
    /// store can exclude: the commit may have succeeded although its confirmation was lost.
    fn transaction(&mut self, work: &mut Work<'_>) -> Result<(), StoreError>;
}

/// What runs in a [`Store::transaction`].
pub type Work<'a> = dyn FnMut(&mut dyn Store) -> Result<(), StoreError> + 'a;

/// What a parameter or a column may hold. No booleans (a Durable Object would store the text `true`) and no blobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// SQL's `NULL`.
    Null,
    /// Within ±(2^53 - 1).
    Integer(i64),
    /// Text.
    Text(String),
}

impl Value {
    /// A count or a revision as a parameter.
    ///
    /// # Errors
    /// [`StoreError`] beyond [`LARGEST_INTEGER`].
    pub fn count(number: u64) -> Result<Self, StoreError> {
        i64::try_from(number)
            .ok()
            .filter(|number| *number <= LARGEST_INTEGER)
            .map(Self::Integer)
            .ok_or_else(|| StoreError::new(format!("{number} is too large to be stored")))
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
    /// A row of a result with these column names, which all its rows share.
    #[must_use]
    pub const fn new(columns: Arc<[String]>, values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    /// The value of the column of that name.
    ///
    /// # Errors
    /// [`StoreError`] when there is no such column.
    pub fn value(&self, column: &str) -> Result<&Value, StoreError> {
        self.columns
            .iter()
            .position(|name| name == column)
            .and_then(|position| self.values.get(position))
            .ok_or_else(|| StoreError::new(format!("no column {column} in the result")))
    }

    /// The value at that position, from 0.
    ///
    /// # Errors
    /// [`StoreError`] when the row is shorter.
    pub fn at(&self, position: usize) -> Result<&Value, StoreError> {
        self.values.get(position).ok_or_else(|| StoreError::new(format!("no column {position} in the result")))
    }

    /// The text of a column.
    ///
    /// # Errors
    /// [`StoreError`] when there is no such column or it holds anything but text.
    pub fn text(&self, column: &str) -> Result<&str, StoreError> {
        self.optional_text(column)?.ok_or_else(|| StoreError::corrupt(column, "text"))
    }

    /// The text of a column, `None` for `NULL`.
    ///
    /// # Errors
    /// [`StoreError`] when there is no such column or it holds a number.
    pub fn optional_text(&self, column: &str) -> Result<Option<&str>, StoreError> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::Integer(_) => Err(StoreError::corrupt(column, "text")),
        }
    }

    /// The integer in a column, `None` for `NULL`.
    ///
    /// # Errors
    /// [`StoreError`] when there is no such column or it holds text.
    pub fn optional_integer(&self, column: &str) -> Result<Option<i64>, StoreError> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Integer(number) => Ok(Some(*number)),
            Value::Text(_) => Err(StoreError::corrupt(column, "an integer")),
        }
    }

    /// The integer in a column.
    ///
    /// # Errors
    /// [`StoreError`] when there is no such column or it holds anything else.
    pub fn integer(&self, column: &str) -> Result<i64, StoreError> {
        self.optional_integer(column)?.ok_or_else(|| StoreError::corrupt(column, "an integer"))
    }

    /// The count or revision in a column.
    ///
    /// # Errors
    /// [`StoreError`] when there is no such column or it holds anything but an integer from 0.
    pub fn count(&self, column: &str) -> Result<u64, StoreError> {
        u64::try_from(self.integer(column)?).map_err(|_| StoreError::corrupt(column, "an integer from 0"))
    }

    /// The instant in a column of milliseconds.
    ///
    /// # Errors
    /// [`StoreError`] when there is no such column or it holds anything but an integer.
    pub fn millis(&self, column: &str) -> Result<Millis, StoreError> {
        self.integer(column).map(Millis)
    }

    /// As [`Self::millis`], `None` for `NULL`.
    ///
    /// # Errors
    /// [`StoreError`] when there is no such column or it holds text.
    pub fn optional_millis(&self, column: &str) -> Result<Option<Millis>, StoreError> {
        Ok(self.optional_integer(column)?.map(Millis))
    }

    /// What a column's text means, by `read`.
    ///
    /// # Errors
    /// [`StoreError`] when there is no such column, it holds no text, or `read` gives `None`.
    pub fn parsed<T>(&self, column: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, StoreError> {
        read(self.text(column)?).ok_or_else(|| StoreError::corrupt(column, "in its form"))
    }

    /// As [`Self::parsed`], `None` for `NULL`.
    ///
    /// # Errors
    /// [`StoreError`] when there is no such column, it holds a number, or `read` gives `None`.
    pub fn optional_parsed<T>(
        &self,
        column: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        self.optional_text(column)?
            .map(|text| read(text).ok_or_else(|| StoreError::corrupt(column, "in its form")))
            .transpose()
    }
}

/// The store failed, or holds what it should not. It means "not known", never "not found". Its text is for the log only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError(String);

impl StoreError {
    /// With a cause for the log. It must not carry a stored value.
    #[must_use]
    pub fn new(cause: impl Into<String>) -> Self {
        Self(cause.into())
    }

    /// A column does not hold what it should.
    pub(super) fn corrupt(column: &str, expected: &str) -> Self {
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
    fn a_column_that_is_absent_or_of_another_kind_is_an_error_and_no_panic() {
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
    fn a_number_that_a_float_would_round_is_not_stored() {
        assert_eq!(Value::count(9_007_199_254_740_991), Ok(Value::Integer(LARGEST_INTEGER)));
        assert!(Value::count(9_007_199_254_740_992).is_err());
        assert!(Value::count(u64::MAX).is_err());
        assert_eq!(Value::from(Millis(i64::MAX)), Value::Integer(LARGEST_INTEGER));
    }
}
