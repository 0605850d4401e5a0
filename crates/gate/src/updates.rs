//! What the gate is told, and what it makes of it.

use super::feed::{Applied, Feed, Freshness};
use super::{CopyVerdict, Gate};
use keyward_config::Config;
use keyward_fault::fault;
use keyward_key::id::KeyId;
use keyward_key::record::Record;
use keyward_key::sealed::{Sealed, SealedUnder};
use keyward_key::time::Millis;
use keyward_protocol::feed::{CachedFeedPage, Change, CompactKeyId, FeedPage, FeedQuery, Position};

/// How often an outage is logged.
const OUTAGE_LOG_MILLIS: i64 = 60_000;

/// That something is being asked: since when, by the isolate's clock, and how often that had stepped back by then.
#[derive(Clone, Copy, Debug)]
pub struct PendingQuery {
    /// The clock before asking.
    pub at: Millis,
    steps: u64,
}

impl Gate {
    /// Whether what is known is older than the bound.
    #[must_use]
    pub fn is_past_bound(&self, config: &Config, now: Millis) -> bool {
        !matches!(self.feed.standing(config, now, true), Freshness::Fresh)
    }

    /// What to ask the authority about its changes next.
    #[must_use]
    pub fn ask(&self) -> FeedQuery {
        self.feed.ask()
    }

    /// Notes that something is about to be asked, at `now`: what is learned counts from here and not from the answer.
    pub fn begin_asking(&mut self, now: Millis) -> PendingQuery {
        self.note_clock(now);
        PendingQuery { at: now, steps: self.steps }
    }

    /// Notes that somebody begins to find out what has changed, at `now`.
    pub fn refresh_started(&mut self, now: Millis) {
        self.note_clock(now);
        self.feed.refresh_started(now);
    }

    /// Whether another isolate that is asking the authority may be waited for.
    #[must_use]
    pub fn may_wait(&self, config: &Config, now: Millis) -> bool {
        self.feed.may_wait(config, now)
    }

    /// What isolates that are born later can start from, if it is time to give it to the data centre's cache, which keeps it for so
    /// many seconds.
    pub fn snapshot_due(&mut self, seconds: u32, now: Millis) -> Option<FeedPage> {
        self.feed.snapshot_due(seconds, now)
    }

    /// Takes the authority's changes.
    pub fn learn_changes(&mut self, changes: &FeedPage, asked: PendingQuery, now: Millis) -> Applied {
        self.learn(asked, now, |feed, changed| {
            let asked_at = if fault!("age counts from the answer") { now } else { asked.at };
            feed.apply_authority(changes, asked_at, now, changed)
        })
    }

    /// Takes what the data centre's cache has as fresh.
    pub fn apply_shared(&mut self, config: &Config, kept: &str, asked: PendingQuery, now: Millis) -> Applied {
        match CachedFeedPage::open(kept, &config.keyring) {
            Ok(kept) => self.learn(asked, now, |feed, changed| feed.apply_shared(config, &kept, asked.at, changed)),
            Err(broken) => Applied::Broken(broken),
        }
    }

    /// Takes the last answer that the data centre's cache has, when the authority is silent.
    pub fn apply_fallback(&mut self, config: &Config, kept: &str, now: Millis) -> Applied {
        match CachedFeedPage::open(kept, &config.keyring) {
            Ok(kept) => {
                let asked = self.begin_asking(now);
                self.learn(asked, now, |feed, changed| feed.apply_fallback(&kept, now, changed))
            }
            Err(broken) => Applied::Broken(broken),
        }
    }

    fn learn(
        &mut self,
        asked: PendingQuery,
        now: Millis,
        take: impl FnOnce(&mut Feed, &mut dyn FnMut(CompactKeyId, Change)) -> Applied,
    ) -> Applied {
        self.note_clock(now);
        if asked.steps != self.steps || now < asked.at {
            // The clock stepped back meanwhile: how old the answer is can't be told.
            return Applied::Nothing;
        }
        let memory = &mut self.memory;
        let applied = take(&mut self.feed, &mut |id, change| memory.note_change(id, change));
        if matches!(applied, Applied::NewEpoch { .. }) {
            self.memory.clear();
        }
        applied
    }

    /// Takes what KV holds under a key's name. It is used if it is of the feed's history, not newer than the feed (then it could be of
    /// a history that was undone by a restore) and not older than the key's last change.
    pub fn learn_copy(&mut self, config: &Config, id: &KeyId, stored: &str, now: Millis) -> CopyVerdict {
        let Sealed { epoch, record } = match Sealed::open(stored, id, &config.keyring) {
            Ok((sealed, SealedUnder::Current)) => sealed,
            // Whoever knows a retired secret must not be able to write copies that open anything.
            Ok((_, SealedUnder::Previous)) => return CopyVerdict::Confirm,
            Err(broken) => return CopyVerdict::Broken(broken),
        };
        let (Some(position), Some(short)) = (self.feed.position(), CompactKeyId::of(id)) else {
            return CopyVerdict::Confirm;
        };
        let other_epoch = epoch != position.epoch && !fault!("the epoch is ignored");
        let too_new = record.revision > position.revision && !fault!("a copy newer than the feed is used");
        if other_epoch || (too_new && !fault!("the epoch is ignored")) {
            return CopyVerdict::Confirm;
        }
        let floor = self.feed.floor(id);
        let floor = floor.filter(|floor| !floor.revoked || !fault!("a revoked key's floor is ignored"));
        if let Some(floor) = floor.filter(|floor| floor.revoked) {
            // Revoked is all there is to know, and the copy has the hash to tell the key's holder from others.
            self.memory.learn(short, Record { revoked: true, revision: floor.revision, ..record });
            return CopyVerdict::Settled;
        }
        let newest = floor.is_none_or(|floor| floor.revision <= record.revision)
            || fault!("a copy older than its key's last change is used");
        let last_word = self.feed.knows_all_changes() && newest;
        // A key past its end may have been revoked too, which the feed need not tell of it.
        if record.revoked || (last_word && now < record.expires_at) {
            self.memory.learn(short, record);
            return CopyVerdict::Settled;
        }
        CopyVerdict::Confirm
    }

    /// Takes the authority's word on a key: its record or that there is none, and its position then. Gives whether it could be
    /// used: an answer that was overtaken on its way by a change can't.
    pub fn learn_record(&mut self, id: &KeyId, record: Option<Record>, at: &Position, now: Millis) -> bool {
        self.note_clock(now);
        let (Some(position), Some(short)) = (self.feed.position(), CompactKeyId::of(id)) else { return false };
        if at.epoch != position.epoch {
            self.feed.doubt();
            return false;
        }
        let overtaken = at.revision < position.revision;
        match record {
            Some(record) => {
                let floor = self.feed.floor(id).map_or(0, |floor| floor.revision);
                let too_old = floor > record.revision || (overtaken && !self.feed.knows_all_changes());
                if too_old && !fault!("a record whose answer was overtaken by a change is used") {
                    return false;
                }
                self.memory.learn(short, record);
            }
            None if overtaken => return false,
            None => self.memory.learn_missing(short, at.revision, now),
        }
        true
    }

    /// Takes note that the authority didn't answer, at `now`.
    pub fn record_failure(&mut self, now: Millis) {
        self.note_clock(now);
        self.feed.note_silence(now);
    }

    /// Whether the authority may be asked about one more key at `now`: not while it was silent a moment ago, and not too often.
    pub fn may_look_up(&mut self, config: &Config, now: Millis) -> bool {
        self.note_clock(now);
        !self.feed.rests(config, now) && self.lookups.take(now)
    }

    /// The age of what is known in seconds, once a minute during an outage: to be logged.
    pub fn outage_to_log(&mut self, config: &Config, now: Millis) -> Option<i64> {
        let Freshness::StaleWithinGrace(age) = self.feed.standing(config, now, false) else { return None };
        let logged = self.outage_logged.is_some_and(|logged| (0..OUTAGE_LOG_MILLIS).contains(&now.since(logged)));
        if logged {
            return None;
        }
        self.outage_logged = Some(now);
        Some(age / 1000)
    }

    /// The number of the authority's last change that is known here, 0 before the first.
    #[must_use]
    pub fn known_revision(&self) -> u64 {
        self.feed.position().map_or(0, |position| position.revision)
    }
}
