//! The columns of [`KeyAttributes`]. This is the only list of them: a new attribute of a key is a field there, a column
//! here, and a step of the schema.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::store::{Row, StoreError, Value};
use keyward_key::id::Environment;
use keyward_protocol::KeyAttributes;

/// The columns, in the order of [`stored`].
macro_rules! attribute_columns {
    () => {
        "name, integration, environment, purpose, owner, scopes, allowed_cidrs, limits"
    };
}
pub(super) use attribute_columns;

/// One placeholder for each column.
macro_rules! attribute_placeholders {
    () => {
        "?, ?, ?, ?, ?, ?, ?, ?"
    };
}
pub(super) use attribute_placeholders;

/// Returns the values of the columns.
pub(super) fn stored(attributes: &KeyAttributes) -> Result<[Value; 8], StoreError> {
    Ok([
        attributes.name.as_str().into(),
        attributes.integration.as_str().into(),
        attributes.environment.as_str().into(),
        attributes.purpose.as_str().into(),
        attributes.owner.as_str().into(),
        stored_list(&attributes.scopes)?,
        stored_list(&attributes.allowed_cidrs)?,
        attributes.limits.as_deref().map_or(Ok(Value::Null), stored_list)?,
    ])
}

/// Reads the columns of a row.
pub(super) fn from_row(row: &Row) -> Result<KeyAttributes, StoreError> {
    Ok(KeyAttributes {
        name: row.text("name")?.to_owned(),
        integration: row.text("integration")?.to_owned(),
        environment: row.parsed("environment", Environment::parse)?,
        purpose: row.text("purpose")?.to_owned(),
        owner: row.text("owner")?.to_owned(),
        scopes: list(row, "scopes")?,
        allowed_cidrs: list(row, "allowed_cidrs")?,
        limits: row.optional_parsed("limits", |text| serde_json::from_str(text).ok())?,
    })
}

/// Reads a list, which is stored as JSON text.
pub(super) fn list<T: DeserializeOwned>(row: &Row, column: &str) -> Result<Vec<T>, StoreError> {
    row.parsed(column, |text| serde_json::from_str(text).ok())
}

fn stored_list<T: Serialize>(list: &[T]) -> Result<Value, StoreError> {
    let text = serde_json::to_string(list).map_err(|_| StoreError::new("a list has no JSON form"))?;
    Ok(text.into())
}
