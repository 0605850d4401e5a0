//! The registry's [`Store`] on a Durable Object's SQLite.

use std::sync::Arc;

use wasm_bindgen::prelude::*;
use worker::{SqlStorage, SqlStorageValue};

use super::glue;
use keyward_registry::store::{Row, Store, StoreError, Value, Work};

#[wasm_bindgen]
extern "C" {
    /// The part of the object's storage for which the `worker` crate has no binding.
    #[derive(Clone)]
    pub type Transactions;

    /// Runs the callback in a transaction. If it throws, rolls back and rethrows.
    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    fn transaction_sync(this: &Transactions, work: &mut dyn FnMut() -> Result<(), JsValue>) -> Result<(), JsValue>;
}

/// SQLite of a Durable Object.
pub struct ObjectStore {
    sql: SqlStorage,
    transactions: Transactions,
}

impl ObjectStore {
    pub fn new(storage: &worker::Storage) -> Self {
        let transactions = JsValue::from(storage.as_raw()).unchecked_into();
        Self { sql: storage.sql(), transactions }
    }

    fn run(&self, sql: &str, parameters: &[Value]) -> Result<worker::SqlCursor, StoreError> {
        let mut bindings = Vec::with_capacity(parameters.len());
        for value in parameters {
            bindings.push(match value {
                Value::Null => SqlStorageValue::Null,
                Value::Integer(number) => SqlStorageValue::try_from_i64(*number).map_err(failed)?,
                Value::Text(text) => SqlStorageValue::String(text.clone()),
            });
        }
        self.sql.exec(sql, bindings).map_err(failed)
    }
}

fn failed(error: worker::Error) -> StoreError {
    StoreError::new(error.to_string())
}

impl Store for ObjectStore {
    fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<(), StoreError> {
        self.run(sql, parameters).map(|_| ())
    }

    fn query(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, StoreError> {
        let cursor = self.run(sql, parameters)?;
        let columns: Arc<[String]> = cursor.column_names().into();
        let mut rows = Vec::new();
        for row in cursor.raw() {
            let mut values = Vec::with_capacity(columns.len());
            for value in row.map_err(failed)? {
                values.push(match value {
                    SqlStorageValue::Null => Value::Null,
                    SqlStorageValue::Integer(number) => Value::Integer(number),
                    SqlStorageValue::String(text) => Value::Text(text),
                    _ => return Err(StoreError::new("a column is neither null, integer nor text")),
                });
            }
            rows.push(Row::new(Arc::clone(&columns), values));
        }
        Ok(rows)
    }

    fn transaction(&mut self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let mut inner = Self { sql: self.sql.clone(), transactions: self.transactions.clone() };
        let mut failure = None;
        let mut callback = || {
            work(&mut inner).map_err(|error| {
                failure = Some(error);
                JsValue::from_str("roll back")
            })
        };
        let outcome = self.transactions.transaction_sync(&mut callback);
        match (outcome, failure) {
            (Ok(()), None) => Ok(()),
            (_, Some(error)) => Err(error),
            (Err(thrown), None) => Err(StoreError::new(glue::cause(&thrown))),
        }
    }
}
