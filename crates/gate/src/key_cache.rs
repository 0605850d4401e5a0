//! What one isolate remembers of keys: bounded, and no older than the feed says.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use super::GateSizes;
use keyward_http::headers::write_line;
use keyward_key::id::Class;
use keyward_key::record::Record;
use keyward_key::time::Millis;
use keyward_protocol::feed::{Change, CompactKeyId};

/// How long it is remembered that there is no such key.
const MISS_MILLIS: i64 = 1_000;

/// What is remembered of one key.
pub(super) enum Known {
    /// Its record, as it is at the feed's position.
    Record(Remembered),
    /// The authority had none.
    Missing {
        /// The number of the authority's last change then: no longer true once the feed is past it.
        at: u64,
        /// When it said so. Nothing hangs on how old that is: a key that is issued moves the feed on.
        told_at: Millis,
    },
}

/// A record, and what every accepted request needs of it, made once.
pub(super) struct Remembered {
    pub record: Record,
    /// The identity headers as a block, so that an accepted request makes none.
    pub identity: Arc<str>,
    /// For a retiring key, until when it goes on, as its answers say it.
    pub retires: Option<Arc<str>>,
}

impl Remembered {
    fn new(record: Record) -> Self {
        let identity = identity_block(&record).into();
        let retires = (record.retiring && !record.revoked).then(|| record.expires_at.rfc3339().into());
        Self { record, identity, retires }
    }
}

impl Known {
    const fn networks(&self) -> usize {
        match self {
            Self::Record(known) => known.record.allowed_cidrs.len(),
            Self::Missing { .. } => 0,
        }
    }
}

pub(super) struct Memory {
    keys: LruCache<CompactKeyId, Known>,
    networks: usize,
    sizes: GateSizes,
}

impl Memory {
    pub fn new(sizes: GateSizes) -> Self {
        // Grows with use: `LruCache::new` would allocate the whole table at the start.
        let mut cache = LruCache::unbounded();
        cache.resize(NonZeroUsize::new(sizes.cached_keys).unwrap_or(NonZeroUsize::MIN));
        Self { keys: cache, networks: 0, sizes }
    }

    /// What is known of a key at `now`, with the feed at change number `position`.
    pub fn get(&mut self, id: CompactKeyId, position: u64, now: Millis) -> Option<&Known> {
        match self.keys.get(&id)? {
            Known::Missing { at, told_at } if *at < position || !(0..MISS_MILLIS).contains(&now.since(*told_at)) => {
                None
            }
            known => Some(known),
        }
    }

    /// Takes a record, unless a newer one is known.
    pub fn learn(&mut self, id: CompactKeyId, record: Record) {
        let newer = |known: &Known| matches!(known, Known::Record(known) if known.record.revision >= record.revision);
        if !self.keys.peek(&id).is_some_and(newer) {
            self.put(id, Known::Record(Remembered::new(record)));
        }
    }

    /// Takes that the authority, whose last change was number `at`, has no such key. A record is never forgotten for it: the
    /// answer may have been overtaken.
    pub fn learn_missing(&mut self, id: CompactKeyId, at: u64, told_at: Millis) {
        if !matches!(self.keys.peek(&id), Some(Known::Record(_))) {
            self.put(id, Known::Missing { at, told_at });
        }
    }

    /// Takes that a key was changed: what is remembered from before goes, but for one that is revoked, which is all there is to
    /// know of it.
    pub fn note_change(&mut self, id: CompactKeyId, change: Change) {
        let older = |known: &Known| match known {
            Known::Record(Remembered { record, .. }) => {
                record.revision < change.revision || (change.revoked && !record.revoked)
            }
            Known::Missing { .. } => true,
        };
        if keyward_fault::fault!("a change leaves the memory as it was") || !self.keys.peek(&id).is_some_and(older) {
            return;
        }
        match self.keys.pop(&id) {
            Some(Known::Record(known)) => {
                self.networks = self.networks.saturating_sub(known.record.allowed_cidrs.len());
                if change.revoked {
                    let revision = change.revision.max(known.record.revision);
                    self.learn(id, Record { revoked: true, revision, ..known.record });
                }
            }
            Some(Known::Missing { .. }) | None => {}
        }
    }

    fn put(&mut self, id: CompactKeyId, known: Known) {
        self.networks = self.networks.saturating_add(known.networks());
        // What comes back is what was known before, or the least recently used where there was no room.
        let mut gone = self.keys.push(id, known).or_else(|| self.crowded());
        while let Some((_, known)) = gone {
            self.networks = self.networks.saturating_sub(known.networks());
            gone = self.crowded();
        }
    }

    /// The least recently used key, taken out, while there are too many networks.
    fn crowded(&mut self) -> Option<(CompactKeyId, Known)> {
        if self.networks > self.sizes.cached_networks { self.keys.pop_lru() } else { None }
    }

    pub fn clear(&mut self) {
        *self = Self::new(self.sizes);
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
