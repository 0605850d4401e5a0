//! The cache of keys. Its size is bounded, and no entry is older than the feed.

use std::cell::OnceCell;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use super::GateSizes;
use super::identity::Identity;
use super::leases::KeyLimits;
use keyward_config::Config;
use keyward_key::record::Record;
use keyward_key::time::Millis;
use keyward_protocol::feed::{Change, CompactKeyId};

/// TTL of a negative answer, in milliseconds.
const NEGATIVE_TTL_MS: i64 = 1_000;

/// Cache entry of one key.
#[cfg_attr(
    target_pointer_width = "64",
    expect(
        clippy::large_enum_variant,
        reason = "nearly every entry is a record, and a box would cost each request a pointer"
    )
)]
pub(super) enum Entry {
    /// Its record, up to date with the feed.
    Found(CachedKey),
    /// The authority has no such key.
    Negative {
        /// The authority's last revision at the time of the answer. A newer feed makes the answer stale.
        revision: u64,
        /// Time of the answer. It need not be exact, because issuing a key advances the feed.
        answered_at: Millis,
    },
}

/// A record with the values that every accepted request needs, computed once.
pub(super) struct CachedKey {
    pub record: Record,
    pub identity: Arc<Identity>,
    /// The identity headers as a block of header lines, so that an accepted request allocates none.
    pub identity_headers: Arc<str>,
    /// Value of `Keyward-Key-Expires` while the key is retiring.
    pub retires_at: Option<Arc<str>>,
    /// The limits that apply, prepared at the first request.
    limits: OnceCell<Option<Arc<KeyLimits>>>,
}

impl CachedKey {
    /// Creates the entry. `None` for a member's record, which this cache must not hold.
    fn new(record: Record) -> Option<Self> {
        let identity = Identity::of(&record)?;
        let identity_headers = identity.header_block().into();
        let retires_at = (record.retiring && !record.revoked).then(|| record.expires_at.rfc3339().into());
        Some(Self { record, identity: identity.into(), identity_headers, retires_at, limits: OnceCell::new() })
    }

    /// Returns the limits that apply to the key: its own, or those of the configuration, which an isolate's state never changes.
    pub fn limits(&self, config: &Config) -> Option<&Arc<KeyLimits>> {
        self.limits.get_or_init(|| KeyLimits::of_record(&self.record, config).map(Arc::new)).as_ref()
    }
}

impl Entry {
    const fn networks(&self) -> usize {
        match self {
            Self::Found(key) => key.record.allowed_cidrs.len(),
            Self::Negative { .. } => 0,
        }
    }
}

pub(super) struct KeyCache {
    entries: LruCache<CompactKeyId, Entry>,
    /// Number of networks of all cached records together.
    networks: usize,
    sizes: GateSizes,
}

impl KeyCache {
    pub fn new(sizes: GateSizes) -> Self {
        // Grows with use: `LruCache::new` would allocate the whole table at the start.
        let mut entries = LruCache::unbounded();
        entries.resize(NonZeroUsize::new(sizes.cached_keys).unwrap_or(NonZeroUsize::MIN));
        Self { entries, networks: 0, sizes }
    }

    /// Returns the entry of a key at `now` if it is valid for a feed at `feed_revision`.
    pub fn get(&mut self, id: CompactKeyId, feed_revision: u64, now: Millis) -> Option<&Entry> {
        match self.entries.get(&id)? {
            Entry::Negative { revision, answered_at }
                if *revision < feed_revision || !(0..NEGATIVE_TTL_MS).contains(&now.since(*answered_at)) =>
            {
                None
            }
            entry => Some(entry),
        }
    }

    /// Caches a record, unless an equally new or newer one is cached.
    pub fn insert(&mut self, id: CompactKeyId, record: Record) {
        let is_newer = |entry: &Entry| matches!(entry, Entry::Found(key) if key.record.revision >= record.revision);
        if self.entries.peek(&id).is_some_and(is_newer) {
            return;
        }
        if let Some(key) = CachedKey::new(record) {
            self.put(id, Entry::Found(key));
        }
    }

    /// Caches a negative answer given at `revision`. Never replaces a record, because a change may have overtaken the answer.
    pub fn insert_negative(&mut self, id: CompactKeyId, revision: u64, answered_at: Millis) {
        if !matches!(self.entries.peek(&id), Some(Entry::Found(_))) {
            self.put(id, Entry::Negative { revision, answered_at });
        }
    }

    /// Applies a change of a key: removes an older entry. For a revocation it keeps the record and marks it as revoked, because a
    /// revoked key cannot change again.
    pub fn apply_change(&mut self, id: CompactKeyId, change: Change) {
        let is_older = |entry: &Entry| match entry {
            Entry::Found(CachedKey { record, .. }) => {
                record.revision < change.revision || (change.revoked && !record.revoked)
            }
            Entry::Negative { .. } => true,
        };
        if keyward_fault::fault!("a change leaves the cache as it was") || !self.entries.peek(&id).is_some_and(is_older)
        {
            return;
        }
        match self.entries.pop(&id) {
            Some(Entry::Found(key)) => {
                self.networks = self.networks.saturating_sub(key.record.allowed_cidrs.len());
                if change.revoked {
                    let revision = change.revision.max(key.record.revision);
                    self.insert(id, Record { revoked: true, revision, ..key.record });
                }
            }
            Some(Entry::Negative { .. }) | None => {}
        }
    }

    fn put(&mut self, id: CompactKeyId, entry: Entry) {
        self.networks = self.networks.saturating_add(entry.networks());
        // `push` returns the replaced entry of the same key, or the least recently used one of a full cache.
        let mut removed = self.entries.push(id, entry).or_else(|| self.evict_one());
        while let Some((_, entry)) = removed {
            self.networks = self.networks.saturating_sub(entry.networks());
            removed = self.evict_one();
        }
    }

    /// Evicts the least recently used key while the cache holds too many networks.
    fn evict_one(&mut self) -> Option<(CompactKeyId, Entry)> {
        if self.networks > self.sizes.cached_networks { self.entries.pop_lru() } else { None }
    }

    pub fn clear(&mut self) {
        *self = Self::new(self.sizes);
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }
}
