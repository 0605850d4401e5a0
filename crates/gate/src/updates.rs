//! Updates of the gate from the authority, KV and the data centre's cache.

use super::feed::{Applied, Freshness};
use super::{CopyVerdict, Gate};
use keyward_config::Config;
use keyward_fault::fault;
use keyward_key::id::KeyId;
use keyward_key::record::Record;
use keyward_key::sealed::{Sealed, SealedUnder};
use keyward_key::time::Millis;
use keyward_protocol::feed::{CachedFeedPage, ChangeList, CompactKeyId, FeedPage, FeedQuery, Position};

/// Minimum interval between two log lines about an outage, in milliseconds.
const OUTAGE_LOG_INTERVAL_MS: i64 = 60_000;

/// A query in flight.
#[derive(Clone, Copy, Debug)]
pub struct PendingQuery {
    /// Start of the query, by the isolate's clock.
    pub at: Millis,
    /// Number of times that the clock had stepped back by then.
    steps: u64,
}

impl Gate {
    /// Returns whether the feed is older than the bound.
    #[must_use]
    pub fn is_past_bound(&self, config: &Config, now: Millis) -> bool {
        !matches!(self.feed.freshness(config, now, true), Freshness::Fresh)
    }

    /// Returns the next query to the authority.
    #[must_use]
    pub fn next_query(&self) -> FeedQuery {
        self.feed.next_query()
    }

    /// Starts a query at `now`. The age of its answer is measured from this time, not from its arrival.
    pub fn start_query(&mut self, now: Millis) -> PendingQuery {
        self.note_clock(now);
        PendingQuery { at: now, steps: self.steps }
    }

    /// Records that a refresh starts at `now`.
    pub fn refresh_started(&mut self, now: Millis) {
        self.note_clock(now);
        self.feed.refresh_started(now);
    }

    /// Returns whether this isolate can skip the refresh because another isolate is already querying the authority.
    #[must_use]
    pub fn may_wait(&self, config: &Config, now: Millis) -> bool {
        self.feed.may_wait(config, now)
    }

    /// Returns the snapshot from which later isolates can start, if it is time to publish it to the data centre's cache, where its TTL is
    /// `ttl_seconds`.
    pub fn snapshot_due(&mut self, ttl_seconds: u32, now: Millis) -> Option<FeedPage> {
        self.feed.snapshot_due(ttl_seconds, now)
    }

    /// Applies the authority's answer.
    pub fn apply_authority(&mut self, page: &FeedPage, query: PendingQuery, now: Millis) -> Applied {
        if !self.is_age_known(query, now) {
            return Applied::Nothing;
        }
        let asked_at = if fault!("age counts from the answer") { now } else { query.at };
        let applied = self.feed.apply_authority(page, asked_at, now);
        self.apply_to_cache(page, applied)
    }

    /// Applies a shared answer from the data centre's cache.
    pub fn apply_shared(&mut self, config: &Config, text: &str, query: PendingQuery, now: Millis) -> Applied {
        let cached = match CachedFeedPage::open(text, &config.keyring) {
            Ok(cached) => cached,
            Err(broken) => return Applied::Broken(broken),
        };
        if !self.is_age_known(query, now) {
            return Applied::Nothing;
        }
        let applied = self.feed.apply_shared(config, &cached, query.at);
        self.apply_to_cache(&cached.changes, applied)
    }

    /// Applies the last answer in the data centre's cache, while the authority is unreachable.
    pub fn apply_fallback(&mut self, config: &Config, text: &str, now: Millis) -> Applied {
        let cached = match CachedFeedPage::open(text, &config.keyring) {
            Ok(cached) => cached,
            Err(broken) => return Applied::Broken(broken),
        };
        self.note_clock(now);
        let applied = self.feed.apply_fallback(&cached, now);
        self.apply_to_cache(&cached.changes, applied)
    }

    /// Returns `false` if the clock stepped back during the query, which makes the age of its answer unknown.
    fn is_age_known(&mut self, query: PendingQuery, now: Millis) -> bool {
        self.note_clock(now);
        query.steps == self.steps && now >= query.at
    }

    /// Applies the changes of a page that the feed has accepted to the cached keys.
    fn apply_to_cache(&mut self, page: &FeedPage, applied: Applied) -> Applied {
        match applied {
            Applied::Complete | Applied::More => {
                for (id, change) in changes(page).iter().flatten() {
                    self.has_revoked |= change.revoked && matches!(page, FeedPage::Since { .. });
                    self.cache.apply_change(id, change);
                }
            }
            Applied::NewEpoch { .. } => self.cache.clear(),
            Applied::Nothing | Applied::Broken(_) => {}
        }
        applied
    }

    /// Applies the KV copy of a record. The copy is used if it belongs to the feed's history, is not newer than the feed (a newer copy
    /// could belong to a history that a restore undid) and is not older than the key's last change.
    pub fn apply_copy(&mut self, config: &Config, id: &KeyId, stored: &str, now: Millis) -> CopyVerdict {
        let Sealed { epoch, record } = match Sealed::open(stored, id, &config.keyring) {
            Ok((sealed, SealedUnder::Current)) => sealed,
            // The holder of a retired secret must not be able to write copies that are accepted.
            Ok((_, SealedUnder::Previous)) => return CopyVerdict::Confirm,
            Err(broken) => return CopyVerdict::Broken(broken),
        };
        let (Some(position), Some(compact)) = (self.feed.position(), CompactKeyId::of(id)) else {
            return CopyVerdict::Confirm;
        };
        let other_epoch = epoch != position.epoch && !fault!("the epoch is ignored");
        let too_new = record.revision > position.revision && !fault!("a copy newer than the feed is used");
        if other_epoch || (too_new && !fault!("the epoch is ignored")) {
            return CopyVerdict::Confirm;
        }
        let last_change = self.feed.last_change(id);
        let last_change =
            last_change.filter(|change| !change.revoked || !fault!("a revocation in the feed is ignored"));
        if let Some(change) = last_change.filter(|change| change.revoked) {
            // A revocation is final, and the hash in the copy distinguishes the key's holder from others.
            self.cache.insert(compact, Record { revoked: true, revision: change.revision, ..record });
            return CopyVerdict::Settled;
        }
        let is_newest = last_change.is_none_or(|change| change.revision <= record.revision)
            || fault!("a copy older than its key's last change is used");
        let is_current = self.feed.knows_all_changes() && is_newest;
        // An expired key may also have been revoked, which the feed need not report.
        if record.revoked || (is_current && now < record.expires_at) {
            self.cache.insert(compact, record);
            return CopyVerdict::Settled;
        }
        CopyVerdict::Confirm
    }

    /// Applies the authority's answer about a key, given at position `at`: the record, or `None` if there is none. Returns whether the
    /// answer could be used. An answer that a change has overtaken cannot.
    pub fn apply_record(&mut self, id: &KeyId, record: Option<Record>, at: &Position, now: Millis) -> bool {
        self.note_clock(now);
        let (Some(position), Some(compact)) = (self.feed.position(), CompactKeyId::of(id)) else { return false };
        if at.epoch != position.epoch {
            self.feed.invalidate();
            return false;
        }
        let overtaken = at.revision < position.revision;
        match record {
            Some(record) => {
                let mut min_revision = self.feed.last_change(id).map_or(0, |change| change.revision);
                if record.revision < min_revision && min_revision <= at.revision {
                    // In one history, an answer at `at` contains every change up to `at`.
                    self.feed.distrust_copies();
                    min_revision = 0;
                }
                let is_old = min_revision > record.revision || (overtaken && !self.feed.knows_all_changes());
                if is_old && !fault!("a record whose answer was overtaken by a change is used") {
                    return false;
                }
                self.cache.insert(compact, record);
            }
            None if overtaken => return false,
            None => self.cache.insert_negative(compact, at.revision, now),
        }
        true
    }

    /// Records that the authority did not answer, at `now`.
    pub fn record_failure(&mut self, now: Millis) {
        self.note_clock(now);
        self.feed.record_failure(now);
    }

    /// Returns whether the authority may be queried at `now`, which is not the case during its backoff.
    pub fn may_query(&mut self, config: &Config, now: Millis) -> bool {
        self.note_clock(now);
        !self.feed.in_backoff(config, now)
    }

    /// Returns the feed's age in seconds if an outage must be logged, at most once a minute.
    pub fn outage_to_log(&mut self, config: &Config, now: Millis) -> Option<i64> {
        let Freshness::StaleWithinGrace(age_ms) = self.feed.freshness(config, now, false) else { return None };
        let is_recent = |logged_at| (0..OUTAGE_LOG_INTERVAL_MS).contains(&now.since(logged_at));
        if self.outage_logged_at.is_some_and(is_recent) {
            return None;
        }
        self.outage_logged_at = Some(now);
        Some(age_ms / 1000)
    }

    /// Returns the age of the authority's last answer in milliseconds; `None` if it is unknown.
    #[must_use]
    pub fn authority_age_ms(&self, now: Millis) -> Option<i64> {
        self.feed.complete_at(now).map(|asked_at| now.since(asked_at))
    }

    /// Returns whether a revocation was applied since the last call.
    pub const fn take_revoked(&mut self) -> bool {
        std::mem::replace(&mut self.has_revoked, false)
    }

    /// Returns the revision of the last known change of a key; 0 if it is unchanged since its issue.
    #[must_use]
    pub fn last_change_of(&self, id: &KeyId) -> u64 {
        self.feed.last_change(id).map_or(0, |change| change.revision)
    }

    /// Returns the last known revision of the authority, 0 before the first.
    #[must_use]
    pub fn known_revision(&self) -> u64 {
        self.feed.revision()
    }
}

const fn changes(page: &FeedPage) -> &ChangeList {
    match page {
        FeedPage::Snapshot { entries, .. } | FeedPage::Since { entries, .. } => entries,
    }
}
