//! The registry's SQLite, as strict as a Durable Object's and able to fail. A history runs in one transaction that is never
//! committed: the connection, its tables and its prepared statements serve the next history.

use std::cell::RefCell;
use std::sync::Arc;

use keyward_config::Config;
use keyward_control::authority::apply;
use keyward_key::epoch::Epoch;
use keyward_key::time::Millis;
use keyward_protocol::{Caller, NewCredential, RequestMeta};
use keyward_registry::context::Policy;
use keyward_registry::store::{LARGEST_INTEGER, Row, Store, StoreError, Value, Work};
use keyward_registry::{outbox, schema};
use keyward_testkit::registry_world::Command;
use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::keys;

/// When the store shall fail: at the so-manyeth statement, or around the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    Before(u32),
    After(u32),
    BeforeCommit,
    AfterCommit,
}

pub struct Sqlite {
    connection: Connection,
    pub fault: Option<StoreFault>,
    statements: u32,
}

/// 2026-11-23T14:02:03.004Z: where every history begins.
pub const BEGINNING: i64 = 1_795_442_523_004;

thread_local! {
    static IDLE: RefCell<Option<Sqlite>> = const { RefCell::new(None) };
}

/// The owner whom every history begins with.
#[must_use]
pub fn owner() -> Caller {
    let key = &keys::all()[0];
    Caller::Credential { id: owner_id(), key_hash: key.hash.clone() }
}

fn owner_id() -> keyward_key::id::KeyId {
    keyward_key::id::KeyId::parse("wafl_admin_Owner0000001").unwrap()
}

/// Runs something on a store that has an owner and nothing else, and undoes it.
pub fn with_fresh<T>(config: &Config, policy: &Policy, run: impl FnOnce(Sqlite) -> (Sqlite, T)) -> T {
    let idle = IDLE.with(|idle| idle.borrow_mut().take());
    let mut sqlite = idle.unwrap_or_else(|| Sqlite::make(config, policy));
    sqlite.batch("BEGIN");
    sqlite.fault = None;
    let (mut sqlite, result) = run(sqlite);
    sqlite.batch("ROLLBACK");
    IDLE.with(|idle| *idle.borrow_mut() = Some(sqlite));
    result
}

impl Sqlite {
    fn make(config: &Config, policy: &Policy) -> Self {
        let connection = Connection::open_in_memory().unwrap();
        connection.set_prepared_statement_cache_capacity(200);
        let mut sqlite = Self { connection, fault: None, statements: 0 };
        let began = Millis(BEGINNING - 3_600_000);
        schema::migrate(&mut sqlite, &Epoch::new(began, "first")).unwrap();
        outbox::refill(&mut sqlite, config.keyring.current().generation(), began).unwrap();
        let key = &keys::all()[0];
        let credential =
            NewCredential { id: owner_id(), key_hash: key.hash.clone(), minted_under: key.generation.clone() };
        let command = Command::Bootstrap { name: "Ada".to_owned(), email: "ada@acme.example".to_owned(), credential };
        let request = RequestMeta { request_id: "simulated".to_owned(), client_address: None };
        apply(&mut sqlite, &command.into_request(Caller::Bootstrap, request, None), policy, began).unwrap();
        sqlite
    }

    pub fn batch(&mut self, sql: &str) {
        self.connection.execute_batch(sql).unwrap();
    }

    /// Counts statements for the fault from here on.
    pub fn fail(&mut self, fault: Option<StoreFault>) {
        self.fault = fault;
        self.statements = 0;
    }

    /// Rows by a query of the simulator's own, which never fails.
    pub fn rows<T>(&self, sql: &str, parameter: i64, mut read: impl FnMut(&rusqlite::Row<'_>) -> T) -> Vec<T> {
        let mut statement = self.connection.prepare_cached(sql).unwrap();
        let parameters: &[&dyn rusqlite::ToSql] = if sql.contains('?') { &[&parameter] } else { &[] };
        let rows = statement.query_map(parameters, |row| Ok(read(row))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn run(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.statements += 1;
        if self.fault == Some(StoreFault::Before(self.statements)) {
            return Err(StoreError::new("simulated: before a statement"));
        }
        let mut statement = self.connection.prepare_cached(sql).map_err(store_error)?;
        for (position, value) in parameters.iter().enumerate() {
            statement.raw_bind_parameter(position + 1, bound(value)).map_err(store_error)?;
        }
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
        if self.fault == Some(StoreFault::After(self.statements)) {
            return Err(StoreError::new("simulated: after a statement"));
        }
        Ok(found)
    }
}

impl Store for Sqlite {
    fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<(), StoreError> {
        self.run(sql, parameters).map(|_| ())
    }

    fn query(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.run(sql, parameters)
    }

    fn transaction(&mut self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.batch("SAVEPOINT work");
        let mut result = work(self);
        if result.is_ok() && self.fault == Some(StoreFault::BeforeCommit) {
            result = Err(StoreError::new("simulated: before the commit"));
        }
        self.batch(if result.is_ok() { "RELEASE work" } else { "ROLLBACK TO work; RELEASE work" });
        if result.is_ok() && self.fault == Some(StoreFault::AfterCommit) {
            result = Err(StoreError::new("simulated: after the commit"));
        }
        result
    }
}

/// As workerd binds: every number is a float.
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

fn store_error(error: rusqlite::Error) -> StoreError {
    StoreError::new(error.to_string())
}
