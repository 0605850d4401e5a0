//! Platform of the object in the simulation.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use keyward_key::time::Millis;
use keyward_limits::{Level, LimitsHost, LimitsObject};
use keyward_store::{Store, StoreError};
use keyward_testkit::sqlite_store::SqliteStore;

use crate::sqlite::batch;

thread_local! {
    static IDLE: RefCell<Option<SqliteStore>> = const { RefCell::new(None) };
}

/// The object's storage, which outlives its instances.
pub type SharedStore = Rc<RefCell<SqliteStore>>;

/// Returns an empty store. [`give_back`] ends its use.
#[must_use]
pub fn fresh_store() -> SharedStore {
    let store = IDLE.with(|idle| idle.borrow_mut().take()).unwrap_or_else(|| {
        let mut store = SqliteStore::new();
        store.measures_costs = false;
        store
    });
    batch(&store, "BEGIN");
    Rc::new(RefCell::new(store))
}

/// Rolls back all changes of a history, so that the next one reuses the connection.
pub fn give_back(store: SharedStore) {
    let mut store = Rc::into_inner(store).expect("no instance outlives its history").into_inner();
    store.fail_at(None);
    batch(&store, "ROLLBACK");
    IDLE.with(|idle| *idle.borrow_mut() = Some(store));
}

/// Platform of one instance.
pub struct SimulatedHost {
    pub store: SharedStore,
    /// True time, shared with the world.
    pub time: Rc<Cell<i64>>,
    /// Error of this instance's clock.
    pub offset: Cell<i64>,
    pub number: u64,
    /// Whether a later instance has taken over the storage.
    pub is_fenced: Cell<bool>,
}

/// One instance of the object.
pub type Instance = LimitsObject<SimulatedHost>;

impl LimitsHost for SimulatedHost {
    fn now(&self) -> Millis {
        Millis(self.time.get() + self.offset.get())
    }

    fn random_number(&self) -> Option<u64> {
        Some(self.number)
    }

    fn with_store<T>(&self, work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.is_fenced.get() {
            // Only what is in memory is answered by an instance that lost its storage.
            return work(&mut Fenced);
        }
        work(&mut *self.store.borrow_mut())
    }

    fn log(&self, _: Level, _: &str, _: &[(&str, &str)]) {}
}

/// Storage of an instance that was replaced.
struct Fenced;

impl Store for Fenced {
    fn execute(&mut self, _: &str, _: &[keyward_store::Value]) -> Result<(), StoreError> {
        Err(StoreError::new("another instance has the storage"))
    }

    fn query(&mut self, _: &str, _: &[keyward_store::Value]) -> Result<Vec<keyward_store::Row>, StoreError> {
        Err(StoreError::new("another instance has the storage"))
    }

    fn transaction(&mut self, _: &mut keyward_store::Work<'_>) -> Result<(), StoreError> {
        Err(StoreError::new("another instance has the storage"))
    }
}
