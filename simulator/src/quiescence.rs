//! The state of authority and KV after the faults stopped and all background work finished.

use std::rc::Rc;

use crate::history::{AuditEntry, Quiescence, SettledKey};
use crate::random::Random;
use crate::world::World;
use crate::{keys, object, sqlite};

/// Time for two alarms and their work: an alarm is due after a minute at most.
const SETTLING_MS: i64 = 150_000;

/// Runs the world until its background work is finished, and returns its state.
pub fn settle(world: &Rc<World>) -> Quiescence {
    // The object does nothing until it is called.
    let message = "{\"changes\":{\"snapshot\":{\"after\":null}}}".to_owned();
    object::fetch(world, message, &mut Random::new(0), |_| ());
    let end = world.scheduler.now() + SETTLING_MS;
    world.scheduler.run_until(end);
    let store = world.sqlite.borrow();
    let epoch =
        sqlite::rows(&store, "SELECT value FROM meta WHERE name = 'epoch'", 0, |row| row.get::<_, String>(0).unwrap());
    let pending = sqlite::rows(&store, "SELECT count(*) FROM outbox", 0, |row| row.get::<_, i64>(0).unwrap());
    let now = world.registry_clock().0;
    let kv = world.kv.borrow();
    let rows = sqlite::rows(&store, "SELECT id, revision, expires_at FROM keys", 0, |row| {
        let text = |at: usize| row.get::<_, String>(at).unwrap();
        let number = |at: usize| row.get::<_, i64>(at).unwrap();
        (keys::index_of(&text(0)).unwrap(), number(1) as u64, number(2))
    });
    let settled = rows.into_iter().map(|(key, revision, expires_at)| {
        let id = &keys::all()[key].id;
        let name = format!("key:{id}");
        let copy = kv.text(&name).and_then(|text| {
            let (sealed, _) = keyward_key::sealed::Sealed::open(text, id, &world.config.keyring).ok()?;
            (sealed.epoch.as_str() == epoch[0]).then_some(sealed.record.revision)
        });
        SettledKey { key, revision, expired: expires_at <= now, copy, corrupted: kv.is_corrupted(&name) }
    });
    let audit = sqlite::rows(&store, "SELECT seq, subject, previous, hash FROM audit ORDER BY seq", 0, |row| {
        let text = |at: usize| row.get::<_, String>(at).unwrap();
        AuditEntry {
            sequence: row.get::<_, i64>(0).unwrap() as u64,
            subject: keys::index_of(&text(1)),
            previous: text(2),
            hash: text(3),
        }
    });
    Quiescence { keys: settled.collect(), audit, pending: pending[0] as usize }
}
