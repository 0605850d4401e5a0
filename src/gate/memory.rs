//! What one isolate remembers of keys: bounded, and each with its age.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use crate::config::Config;
use crate::http::headers::write_line;
use crate::http::limits::{REMEMBERED_KEYS, REMEMBERED_NETWORKS};
use crate::key::house::Keyring;
use crate::key::id::{Class, KeyId};
use crate::key::record::Record;
use crate::key::sealed::{Broken, open};
use crate::time::Millis;

/// The least recently used go first.
const CAPACITY: NonZeroUsize = match NonZeroUsize::new(REMEMBERED_KEYS) {
    Some(capacity) => capacity,
    None => NonZeroUsize::MIN,
};

/// What is remembered of one key.
pub(super) struct Known {
    /// The record, or that the authority has none.
    pub record: Option<Record>,
    /// The identity headers as a block, so that an accepted request makes none.
    pub identity: Arc<str>,
    /// For a retiring key, until when it goes on, as its answers say it.
    pub retires: Option<Arc<str>>,
    /// When the authority was asked, by this isolate's clock, read before asking.
    asked_at: Millis,
}

/// How far a memory may be trusted.
pub(super) enum Age {
    /// The authority was asked within the bound.
    Fresh,
    /// Past the bound, within the grace: good only while the authority is silent.
    Grace,
    /// Past both, or from the future (the clock stepped back): good for nothing.
    Stale,
}

/// What a copy from KV was good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyVerdict {
    /// The key is revoked, which is final: the authority need not be asked.
    Settled,
    /// The copy is authentic, but only the authority can say that it is the last word.
    Confirm,
    /// The copy is not to be believed; to be logged.
    Broken(Broken),
}

impl Known {
    fn networks(&self) -> usize {
        self.record.as_ref().map_or(0, |record| record.allowed_cidrs.len())
    }

    /// Whether an answer to a question that was not asked later tells of an older state than this: it was overtaken on its way.
    fn overtakes(&self, record: Option<&Record>, asked_at: Millis) -> bool {
        let revision = |record: Option<&Record>| record.map_or(0, |record| record.revision);
        asked_at <= self.asked_at && revision(record) < revision(self.record.as_ref())
    }
}

pub(super) struct Memory {
    keys: LruCache<KeyId, Known>,
    networks: usize,
}

impl Memory {
    pub fn new() -> Self {
        // Grows with use: `new` would make the whole table at the start.
        let mut cache = LruCache::unbounded();
        cache.resize(CAPACITY);
        Self { keys: cache, networks: 0 }
    }

    pub fn get(&mut self, id: &KeyId, now: Millis, config: &Config) -> Option<(&Known, Age)> {
        let known = self.keys.get(id)?;
        let bound = i64::from(config.bound_seconds).saturating_mul(1000);
        let grace = i64::from(config.grace_seconds).saturating_mul(1000);
        let age = match now.since(known.asked_at) {
            age if age < 0 => Age::Stale,
            age if age < bound => Age::Fresh,
            age if age < bound.saturating_add(grace) => Age::Grace,
            _ => Age::Stale,
        };
        Some((known, age))
    }

    pub fn learn(&mut self, id: KeyId, record: Option<Record>, asked_at: Millis) {
        if self.keys.peek(&id).is_some_and(|known| known.overtakes(record.as_ref(), asked_at)) {
            return;
        }
        let identity = record.as_ref().map(identity_block).unwrap_or_default().into();
        let retiring = record.as_ref().filter(|record| record.retiring && !record.revoked);
        let retires = retiring.map(|record| record.expires_at.rfc3339().into());
        let known = Known { record, identity, retires, asked_at };
        self.networks = self.networks.saturating_add(known.networks());
        // What comes back is what was known before, or the least recently used where there was no room.
        let mut gone = self.keys.push(id, known).or_else(|| self.crowded());
        while let Some((_, known)) = gone {
            self.networks = self.networks.saturating_sub(known.networks());
            gone = self.crowded();
        }
    }

    /// The least recently used key, taken out, while there are too many networks.
    fn crowded(&mut self) -> Option<(KeyId, Known)> {
        if self.networks > REMEMBERED_NETWORKS { self.keys.pop_lru() } else { None }
    }

    pub fn learn_copy(&mut self, keyring: &Keyring, id: &KeyId, stored: &str, asked_at: Millis) -> CopyVerdict {
        match open(stored, id, keyring) {
            Err(broken) => CopyVerdict::Broken(broken),
            Ok(record) if record.revoked => {
                self.learn(id.clone(), Some(record), asked_at);
                CopyVerdict::Settled
            }
            Ok(_) => CopyVerdict::Confirm,
        }
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }
}

fn identity_block(record: &Record) -> String {
    let mut block = String::with_capacity(160);
    write_line(&mut block, "keyward-key-id", record.id.as_str());
    write_line(&mut block, "keyward-integration", &record.integration);
    if let Class::Data(environment) = record.id.class() {
        write_line(&mut block, "keyward-environment", environment.as_str());
    }
    let scopes: Vec<&str> = record.scopes.iter().map(|scope| scope.as_str()).collect();
    write_line(&mut block, "keyward-scopes", &scopes.join(" "));
    block
}
