//! KV, which promises only that a write becomes visible eventually, and the caches of the data centres.

use std::collections::HashMap;

use crate::history::CacheEntryKind;
use crate::random::Random;
use crate::scheduler::Time;

/// KV's central store, and every value that each name ever had.
#[derive(Default)]
pub struct Kv {
    values: HashMap<String, StoredValue>,
    former: HashMap<String, Vec<String>>,
}

#[derive(Default)]
struct StoredValue {
    text: Option<String>,
    /// Number of the latest write.
    write: u64,
    /// The value differs from that of the last confirmed write.
    corrupted: bool,
}

/// Behaviour of KV for one write. Times are delays in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteBehaviour {
    Plain,
    /// Confirmed and never applied.
    Lost,
    /// Half of the value is stored.
    Truncated,
    /// Applied, and applied again later.
    Twice(Time),
    /// Confirmed, and applied later.
    Late(Time),
}

impl Kv {
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&String> {
        self.values.get(name)?.text.as_ref()
    }

    #[must_use]
    pub fn is_corrupted(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| value.corrupted)
    }

    /// Loses write number `write`. An earlier write that lands later doesn't make up for it.
    pub fn lose(&mut self, name: &str, write: u64) {
        let value = self.values.entry(name.to_owned()).or_default();
        value.write = value.write.max(write);
        value.corrupted = true;
    }

    /// Applies write number `write`. `in_order` tells whether its writer receives the confirmation.
    pub fn write(&mut self, name: &str, text: &str, write: u64, in_order: bool) {
        self.former.entry(name.to_owned()).or_default().push(text.to_owned());
        let value = self.values.entry(name.to_owned()).or_default();
        if in_order && write > value.write {
            value.corrupted = false;
        } else if write != value.write {
            value.corrupted = true;
        }
        value.write = value.write.max(write);
        value.text = Some(text.to_owned());
    }

    /// Replaces or deletes a value, as an attacker with write access does.
    pub fn tamper(&mut self, name: &str, text: Option<String>) {
        let value = self.values.entry(name.to_owned()).or_default();
        value.text = text;
        value.corrupted = true;
    }

    /// Returns a random former value of a name.
    pub fn former(&self, name: &str, random: &mut Random) -> Option<String> {
        let former = self.former.get(name)?;
        former.get(random.below(former.len().max(1))).cloned()
    }
}

/// Caches of one data centre.
#[derive(Default)]
pub struct Location {
    /// Cached values of KV, absences included, each with its end.
    kv: HashMap<String, (Option<String>, Time)>,
    cache: HashMap<String, CacheEntry>,
    former: Vec<(String, CacheEntry)>,
}

#[derive(Clone)]
pub struct CacheEntry {
    pub text: String,
    until: Time,
    pub asked: Time,
    pub kind: CacheEntryKind,
    pub replayed: bool,
}

impl Location {
    /// Reads KV through the cache of this location.
    pub fn read(&mut self, kv: &Kv, name: &str, now: Time, stale_ms: Time, random: &mut Random) -> Option<String> {
        if let Some((text, until)) = self.kv.get(name)
            && now < *until
        {
            return text.clone();
        }
        let text = kv.text(name).cloned();
        self.kv.insert(name.to_owned(), (text.clone(), now + random.within(0, stale_ms)));
        text
    }

    /// Stores an entry. Caches count whole seconds, so an entry may live up to a second longer than its TTL.
    pub fn put(&mut self, name: &str, text: &str, seconds: u32, asked: Time, now: Time, random: &mut Random) {
        let until = now
            + if random.often(150) {
                random.within(0, i64::from(seconds) * 1000 + 999)
            } else {
                i64::from(seconds) * 1000 + 999
            };
        let kind = match name.rsplit('/').next() {
            Some("fresh") => CacheEntryKind::Fresh,
            Some("last") => CacheEntryKind::Last,
            _ => CacheEntryKind::Page,
        };
        let entry = CacheEntry { text: text.to_owned(), until, asked, kind, replayed: false };
        self.former.push((name.to_owned(), entry.clone()));
        self.cache.insert(name.to_owned(), entry);
    }

    #[must_use]
    pub fn get(&self, name: &str, now: Time) -> Option<CacheEntry> {
        self.cache.get(name).filter(|entry| now <= entry.until).cloned()
    }

    /// Puts back an old entry, as an attacker with write access does.
    pub fn replay(&mut self, now: Time, random: &mut Random) {
        if self.former.is_empty() {
            return;
        }
        let (name, entry) = self.former[random.below(self.former.len())].clone();
        self.cache.insert(name, CacheEntry { until: now + random.within(500, 120_000), replayed: true, ..entry });
    }
}
