//! The registry's SQLite: the testkit's store. Each history runs in one transaction that is rolled back, so the next history reuses the
//! connection, its tables and its prepared statements.

use std::cell::RefCell;

use keyward_config::Config;
use keyward_control::authority::apply;
use keyward_key::epoch::Epoch;
use keyward_key::time::Millis;
use keyward_protocol::{Caller, NewCredential, RequestMeta};
use keyward_registry::context::Policy;
use keyward_registry::{outbox, schema};
use keyward_testkit::registry_world::Command;
use keyward_testkit::sqlite_store::SqliteStore;

use crate::keys;

/// Start of every history: 2026-11-23T14:02:03.004Z, in milliseconds since 1970.
pub const START_MS: i64 = 1_795_442_523_004;

thread_local! {
    static IDLE: RefCell<Option<SqliteStore>> = const { RefCell::new(None) };
}

/// Returns the owner that exists at the start of every history.
#[must_use]
pub fn owner() -> Caller {
    let key = &keys::all()[0];
    Caller::Credential { id: owner_id(), key_hash: key.hash.clone() }
}

fn owner_id() -> keyward_key::id::KeyId {
    keyward_key::id::KeyId::parse("wafl_admin_Owner0000001").unwrap()
}

/// Runs `run` on a store with an owner and no keys, and rolls its changes back.
pub fn with_fresh<T>(config: &Config, policy: &Policy, run: impl FnOnce(SqliteStore) -> (SqliteStore, T)) -> T {
    let idle = IDLE.with(|idle| idle.borrow_mut().take());
    let mut sqlite = idle.unwrap_or_else(|| create(config, policy));
    batch(&sqlite, "BEGIN");
    sqlite.fail_at(None);
    let (sqlite, result) = run(sqlite);
    batch(&sqlite, "ROLLBACK");
    IDLE.with(|idle| *idle.borrow_mut() = Some(sqlite));
    result
}

fn create(config: &Config, policy: &Policy) -> SqliteStore {
    let mut sqlite = SqliteStore::new();
    sqlite.measures_costs = false;
    let created_at = Millis(START_MS - 3_600_000);
    schema::migrate(&mut sqlite, &Epoch::new(created_at, "first")).unwrap();
    outbox::refill(&mut sqlite, config.keyring.current().generation(), created_at).unwrap();
    let key = &keys::all()[0];
    let credential = NewCredential { id: owner_id(), key_hash: key.hash.clone(), minted_under: key.generation.clone() };
    let command = Command::Bootstrap { name: "Ada".to_owned(), email: "ada@acme.example".to_owned(), credential };
    let request = RequestMeta { request_id: "simulated".to_owned(), client_address: None };
    apply(&mut sqlite, &command.into_request(Caller::Bootstrap, request, None), policy, created_at).unwrap();
    sqlite
}

/// Executes SQL of the simulator itself. Planted store faults do not affect it.
pub fn batch(sqlite: &SqliteStore, sql: &str) {
    sqlite.connection.execute_batch(sql).unwrap();
}

/// Returns the rows of a query of the simulator itself. Planted store faults do not affect it.
pub fn rows<T>(
    sqlite: &SqliteStore,
    sql: &str,
    parameter: i64,
    mut read: impl FnMut(&rusqlite::Row<'_>) -> T,
) -> Vec<T> {
    let mut statement = sqlite.connection.prepare_cached(sql).unwrap();
    let parameters: &[&dyn rusqlite::ToSql] = if sql.contains('?') { &[&parameter] } else { &[] };
    let rows = statement.query_map(parameters, |row| Ok(read(row))).unwrap();
    rows.map(Result::unwrap).collect()
}
