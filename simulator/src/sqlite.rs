//! The registry's SQLite: the testkit's store. A history runs in one transaction that is never committed, so the connection, its tables
//! and its prepared statements serve the next history.

use std::cell::RefCell;

use keyward_config::Config;
use keyward_key::epoch::Epoch;
use keyward_key::time::Millis;
use keyward_protocol::{Caller, Command, ControlRequest, NewCredential, RequestMeta};
use keyward_registry::apply::{Policy, apply};
use keyward_registry::{outbox, schema};
use keyward_testkit::sqlite_store::SqliteStore;

use crate::keys;

/// 2026-11-23T14:02:03.004Z: where every history begins.
pub const BEGINNING: i64 = 1_795_442_523_004;

thread_local! {
    static IDLE: RefCell<Option<SqliteStore>> = const { RefCell::new(None) };
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
pub fn with_fresh<T>(config: &Config, policy: &Policy, run: impl FnOnce(SqliteStore) -> (SqliteStore, T)) -> T {
    let idle = IDLE.with(|idle| idle.borrow_mut().take());
    let mut sqlite = idle.unwrap_or_else(|| make(config, policy));
    batch(&sqlite, "BEGIN");
    sqlite.fail_at(None);
    let (sqlite, result) = run(sqlite);
    batch(&sqlite, "ROLLBACK");
    IDLE.with(|idle| *idle.borrow_mut() = Some(sqlite));
    result
}

fn make(config: &Config, policy: &Policy) -> SqliteStore {
    let mut sqlite = SqliteStore::new();
    sqlite.measures_costs = false;
    let began = Millis(BEGINNING - 3_600_000);
    schema::migrate(&mut sqlite, &Epoch::new(began, "first")).unwrap();
    outbox::refill(&mut sqlite, config.keyring.current().generation(), began).unwrap();
    let key = &keys::all()[0];
    let credential = NewCredential { id: owner_id(), key_hash: key.hash.clone(), minted_under: key.generation.clone() };
    let control = ControlRequest {
        caller: Caller::Bootstrap,
        origin: RequestMeta { request_id: "simulated".to_owned(), client_address: None },
        command: Command::Bootstrap { name: "Ada".to_owned(), email: "ada@acme.example".to_owned(), credential },
        idempotency: None,
    };
    apply(&mut sqlite, control, policy, began).unwrap();
    sqlite
}

/// Runs SQL of the simulator's own, which never fails.
pub fn batch(sqlite: &SqliteStore, sql: &str) {
    sqlite.connection.execute_batch(sql).unwrap();
}

/// Rows by a query of the simulator's own, which never fails.
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
