//! The faults have stopped: everything settles, and what is then there is looked at.

use std::rc::Rc;

use crate::history::{Ending, Entry, Settled};
use crate::random::Random;
use crate::world::World;
use crate::{keys, object, sqlite};

/// Alarms pause for a minute at most; two of them and what they take.
const SETTLING_MILLIS: i64 = 150_000;

pub fn settle(world: &Rc<World>) -> Ending {
    // Somebody calls: an object that nobody calls does nothing, and need not.
    let message = "{\"changes\":{\"snapshot\":{\"after\":null}}}".to_owned();
    object::fetch(world, message, &mut Random::new(0), |_| ());
    let end = world.scheduler.now() + SETTLING_MILLIS;
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
        (keys::number_of(&text(0)).unwrap(), number(1) as u64, number(2))
    });
    let settled = rows.into_iter().map(|(key, revision, expires_at)| {
        let id = &keys::all()[key].id;
        let name = format!("key:{id}");
        let copy = kv.text(&name).and_then(|text| {
            let (sealed, _) = keyward_key::sealed::Sealed::open(text, id, &world.config.keyring).ok()?;
            (sealed.epoch.as_str() == epoch[0]).then_some(sealed.record.revision)
        });
        Settled { key, revision, past_end: expires_at <= now, copy, spoilt: kv.is_spoilt(&name) }
    });
    let audit = sqlite::rows(&store, "SELECT seq, subject, previous, hash FROM audit ORDER BY seq", 0, |row| {
        let text = |at: usize| row.get::<_, String>(at).unwrap();
        Entry {
            sequence: row.get::<_, i64>(0).unwrap() as u64,
            subject: keys::number_of(&text(1)),
            previous: text(2),
            hash: text(3),
        }
    });
    Ending { keys: settled.collect(), audit, pending: pending[0] as usize }
}
