//! KV, as it promises: nothing but that a write is seen some day; and the caches of the data centres.

use std::collections::HashMap;

use crate::history::CacheEntryKind;
use crate::random::Random;
use crate::scheduler::Time;

/// What KV holds at its centre, and every text that any name ever had.
#[derive(Default)]
pub struct Kv {
    held: HashMap<String, Held>,
    past: HashMap<String, Vec<String>>,
}

#[derive(Default)]
struct Held {
    text: Option<String>,
    /// The number of the write that put it there.
    write: u64,
    /// It isn't what the last write that was confirmed has put there.
    spoilt: bool,
}

/// How KV deals with a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteBehaviour {
    Plain,
    /// Confirmed, and never done.
    Lost,
    /// Half of it.
    Torn,
    /// Done once more, later.
    Twice(Time),
    /// Confirmed, and done later.
    Late(Time),
}

impl Kv {
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&String> {
        self.held.get(name)?.text.as_ref()
    }

    #[must_use]
    pub fn is_spoilt(&self, name: &str) -> bool {
        self.held.get(name).is_some_and(|held| held.spoilt)
    }

    pub fn spoil(&mut self, name: &str) {
        self.held.entry(name.to_owned()).or_default().spoilt = true;
    }

    /// Write number `write`, done now. `in_order` tells whether it was done when its writer was told so.
    pub fn write(&mut self, name: &str, text: &str, write: u64, in_order: bool) {
        self.past.entry(name.to_owned()).or_default().push(text.to_owned());
        let held = self.held.entry(name.to_owned()).or_default();
        if in_order && write > held.write {
            held.spoilt = false;
        } else if write != held.write {
            held.spoilt = true;
        }
        held.write = held.write.max(write);
        held.text = Some(text.to_owned());
    }

    /// Somebody with write access does it.
    pub fn tamper(&mut self, name: &str, text: Option<String>) {
        let held = self.held.entry(name.to_owned()).or_default();
        held.text = text;
        held.spoilt = true;
    }

    /// A text that a name once had.
    pub fn past(&self, name: &str, random: &mut Random) -> Option<String> {
        let past = self.past.get(name)?;
        past.get(random.below(past.len().max(1))).cloned()
    }
}

/// What a data centre keeps.
#[derive(Default)]
pub struct Location {
    /// KV's, absences included: the text and until when.
    kv: HashMap<String, (Option<String>, Time)>,
    cache: HashMap<String, Cached>,
    past: Vec<(String, Cached)>,
}

#[derive(Clone)]
pub struct Cached {
    pub text: String,
    until: Time,
    pub asked: Time,
    pub kind: CacheEntryKind,
    pub replayed: bool,
}

impl Location {
    /// Reads KV from here.
    pub fn read(&mut self, kv: &Kv, name: &str, now: Time, stale: Time, random: &mut Random) -> Option<String> {
        if let Some((text, until)) = self.kv.get(name)
            && now < *until
        {
            return text.clone();
        }
        let text = kv.text(name).cloned();
        self.kv.insert(name.to_owned(), (text.clone(), now + random.within(0, stale)));
        text
    }

    /// A put that has come to its end. Caches count whole seconds: it may be given out for up to one more than it says.
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
        let cached = Cached { text: text.to_owned(), until, asked, kind, replayed: false };
        self.past.push((name.to_owned(), cached.clone()));
        self.cache.insert(name.to_owned(), cached);
    }

    #[must_use]
    pub fn get(&self, name: &str, now: Time) -> Option<Cached> {
        self.cache.get(name).filter(|cached| now <= cached.until).cloned()
    }

    /// Somebody with write access puts an old text back.
    pub fn replay(&mut self, now: Time, random: &mut Random) {
        if self.past.is_empty() {
            return;
        }
        let (name, cached) = self.past[random.below(self.past.len())].clone();
        self.cache.insert(name, Cached { until: now + random.within(500, 120_000), replayed: true, ..cached });
    }
}
