//! [`Store`] on rusqlite, with the restrictions of a Durable Object's SQLite and with planted faults.

use std::sync::Arc;

use keyward_registry::store::{LARGEST_INTEGER, Row, Store, StoreError, Value, Work};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, Statement, StatementStatus};
use serde_json::{Map, Value as Json, json};

/// Where the store fails. Reads and writes count from 1, starting at [`SqliteStore::fail_at`].
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The n-th query fails.
    Read(usize),
    /// The n-th write fails without an effect.
    BeforeWrite(usize),
    /// The n-th write succeeds and is reported as failed.
    AfterWrite(usize),
    /// The commit fails without an effect.
    BeforeCommit,
    /// The commit succeeds and is reported as failed.
    AfterCommit,
}

/// Cost of a query.
#[derive(Clone, Debug)]
pub struct Cost {
    pub sql: String,
    /// Steps of SQLite's virtual machine: about a dozen for each row.
    pub steps: i32,
    /// Rows visited by full scans.
    pub scanned: i32,
    /// Number of sorts.
    pub sorts: i32,
}

pub struct SqliteStore {
    pub connection: Connection,
    pub costs: Vec<Cost>,
    /// Whether queries are added to [`Self::costs`].
    pub measures_costs: bool,
    pub reads: usize,
    pub writes: usize,
    fault: Option<Fault>,
    in_transaction: bool,
}

impl Default for SqliteStore {
    fn default() -> Self {
        Self::new()
    }
}

impl SqliteStore {
    pub fn new() -> Self {
        let connection = Connection::open_in_memory().unwrap();
        connection.set_prepared_statement_cache_capacity(200);
        Self {
            connection,
            costs: Vec::new(),
            measures_costs: true,
            reads: 0,
            writes: 0,
            fault: None,
            in_transaction: false,
        }
    }

    /// Plants one fault, or none, and resets the counters.
    pub fn fail_at(&mut self, fault: Option<Fault>) {
        self.fault = fault;
        self.reads = 0;
        self.writes = 0;
    }

    /// Returns every table with its rows, ordered by key.
    pub fn dump(&self) -> Json {
        let mut names =
            self.connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").unwrap();
        let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let tables = names.into_iter().map(|name| {
            let mut statement = self.connection.prepare(&format!("SELECT * FROM {name} ORDER BY 1")).unwrap();
            let rows = rows_of(&mut statement).unwrap();
            let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
            let rows = rows.iter().map(|row| {
                let fields = columns.iter().map(|column| (column.clone(), to_json(row.value(column).unwrap())));
                Json::Object(fields.collect::<Map<_, _>>())
            });
            (name, rows.collect())
        });
        Json::Object(tables.collect())
    }

    fn prepare(&self, sql: &str, parameters: &[Value]) -> Result<CachedStatement<'_>, StoreError> {
        // workerd refuses these statements and limits, or handles them differently without an error.
        let keyword = sql.split_whitespace().next().unwrap().to_uppercase();
        assert!(!["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "PRAGMA"].contains(&keyword.as_str()), "{sql}");
        assert!(parameters.len() <= 100, "{sql}");
        assert!(sql.matches("SELECT").count() <= 5, "{sql}");
        let mut statement = self.connection.prepare_cached(sql).map_err(store_error)?;
        assert_eq!(statement.parameter_count(), parameters.len(), "{sql}");
        for (position, value) in parameters.iter().enumerate() {
            statement.raw_bind_parameter(position + 1, bound(value)).map_err(store_error)?;
        }
        Ok(statement)
    }
}

impl Store for SqliteStore {
    fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<(), StoreError> {
        self.writes += 1;
        if matches!(self.fault, Some(Fault::BeforeWrite(at)) if at == self.writes) {
            return Err(StoreError::new("fault: before a write"));
        }
        self.prepare(sql, parameters)?.raw_execute().map_err(store_error)?;
        if matches!(self.fault, Some(Fault::AfterWrite(at)) if at == self.writes) {
            return Err(StoreError::new("fault: after a write"));
        }
        Ok(())
    }

    fn query(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.reads += 1;
        if matches!(self.fault, Some(Fault::Read(at)) if at == self.reads) {
            return Err(StoreError::new("fault: a read"));
        }
        let mut statement = self.prepare(sql, parameters)?;
        let rows = rows_of(&mut statement)?;
        if !self.measures_costs {
            return Ok(rows);
        }
        let cost = Cost {
            sql: sql.to_owned(),
            // Also resets the counters, because the cached statement is reused.
            steps: statement.reset_status(StatementStatus::VmStep),
            scanned: statement.reset_status(StatementStatus::FullscanStep),
            sorts: statement.reset_status(StatementStatus::Sort),
        };
        drop(statement);
        self.costs.push(cost);
        Ok(rows)
    }

    fn transaction(&mut self, work: &mut Work<'_>) -> Result<(), StoreError> {
        assert!(!self.in_transaction, "transactions are not nested");
        // The simulator runs a whole history in one outer transaction.
        let (begin, commit, roll_back) = if self.connection.is_autocommit() {
            ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
        } else {
            ("SAVEPOINT work", "RELEASE work", "ROLLBACK TO work; RELEASE work")
        };
        self.connection.execute_batch(begin).map_err(store_error)?;
        self.in_transaction = true;
        let mut result = work(self);
        self.in_transaction = false;
        if result.is_ok() && matches!(self.fault, Some(Fault::BeforeCommit)) {
            result = Err(StoreError::new("fault: before the commit"));
        }
        self.connection.execute_batch(if result.is_ok() { commit } else { roll_back }).map_err(store_error)?;
        if result.is_ok() && matches!(self.fault, Some(Fault::AfterCommit)) {
            result = Err(StoreError::new("fault: after the commit"));
        }
        result
    }
}

/// Binds a value as workerd does: every number is a float.
#[expect(clippy::cast_precision_loss, reason = "checked to be within 2^53")]
fn bound(value: &Value) -> ToSqlOutput<'_> {
    match value {
        Value::Null => ToSqlOutput::Owned(rusqlite::types::Value::Null),
        Value::Integer(number) => {
            assert!(number.abs() <= LARGEST_INTEGER, "{number}");
            ToSqlOutput::Owned(rusqlite::types::Value::Real(*number as f64))
        }
        Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
    }
}

fn rows_of(statement: &mut Statement<'_>) -> Result<Vec<Row>, StoreError> {
    let columns: Arc<[String]> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut found = Vec::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(store_error)? {
        let values = (0..columns.len()).map(|position| match row.get_ref(position).map_err(store_error)? {
            ValueRef::Null => Ok(Value::Null),
            ValueRef::Integer(number) => Ok(Value::Integer(number)),
            ValueRef::Text(text) => Ok(Value::Text(String::from_utf8(text.to_vec()).unwrap())),
            ValueRef::Real(_) | ValueRef::Blob(_) => Err(StoreError::new("a float or a blob is stored")),
        });
        found.push(Row::new(columns.clone(), values.collect::<Result<_, _>>()?));
    }
    Ok(found)
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Integer(number) => json!(number),
        Value::Text(text) => json!(text),
    }
}

fn store_error(error: rusqlite::Error) -> StoreError {
    StoreError::new(error.to_string())
}
