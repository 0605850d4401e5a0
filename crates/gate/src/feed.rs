//! The change feed in this isolate: its freshness, and the time of the next query to the authority.

use super::GateSizes;
use super::min_revisions::MinRevisions;
use keyward_config::Config;
use keyward_fault::fault;
use keyward_key::epoch::Epoch;
use keyward_key::id::KeyId;
use keyward_key::sealed::Broken;
use keyward_key::time::Millis;
use keyward_protocol::feed::{CachedFeedPage, Change, ChangeList, Cursor, FeedPage, FeedQuery, Position};

/// Backoff after a failed query, in milliseconds, so that in an outage not every request waits for a timeout.
const BACKOFF_MS: i64 = 1_000;

/// Minimum interval between background refreshes. A shared answer is up to 2.5 s old, so the next refresh falls due soon.
const REFRESH_MIN_INTERVAL_MS: i64 = 250;

/// Maximum interval between two snapshots that one isolate publishes to the data centre's cache, even if the cache keeps them longer:
/// the last shared answer must continue the snapshot.
const SNAPSHOT_PUBLISH_INTERVAL_MS: i64 = 30_000;

/// TTL of a shared answer in the data centre's cache.
pub const FRESH_SECONDS: u32 = 1;

/// Maximum age that a shared answer gains in the cache, in milliseconds: its TTL, one second because caches count whole seconds, and
/// half a second for the write.
const FRESH_MAX_AGE_MS: i64 = 2_500;

/// Maximum difference between the clocks of two isolates, in milliseconds (each up to 5 s off). It is added to the age of an answer
/// that another isolate's clock dated.
const CLOCK_SKEW_MS: i64 = 10_000;

/// Maximum duration of a query, in milliseconds. A longer measurement means that the clock was adjusted.
const MAX_QUERY_MS: i64 = 60_000;

/// Effect of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Every change up to now is known.
    Complete,
    /// The answer was used, but the authority has more changes.
    More,
    /// The authority's history differs from the known one, so all state was discarded. Must be logged as an alarm.
    NewEpoch {
        /// The last known revision of the previous history.
        known: u64,
        /// The last revision of the new history.
        now: u64,
    },
    /// The answer was not used: it is older than the feed, belongs to an older history, or does not continue the feed.
    Nothing,
    /// The answer was not authentic. Must be logged.
    Broken(Broken),
}

/// Freshness of the feed: whether this isolate may decide with it.
pub(super) enum Freshness {
    /// The authority was queried within the bound.
    Fresh,
    /// Past the bound, within the grace, and the authority is unreachable. Age in milliseconds.
    StaleWithinGrace(i64),
    /// The authority must be queried first.
    RefreshRequired,
    /// Too old, and the authority was recently unreachable.
    Unavailable,
}

#[derive(Default)]
pub(super) struct Feed {
    sizes: GateSizes,
    /// Position up to which every change is known; `None` before the first snapshot.
    position: Option<Position>,
    /// Start of the query that gave `position`; `None` if its age is unknown.
    asked_at: Option<Millis>,
    min_revisions: MinRevisions,
    /// Set if more keys were changed than the feed holds, or the authority contradicted a minimum revision. No copy can then be checked.
    overflowed: bool,
    loading: Option<Loading>,
    unreachable_since: Option<Millis>,
    refresh_started_at: Option<Millis>,
    snapshot_published_at: Option<Millis>,
    /// Epoch of the last restore that this isolate noticed. Pages of an earlier epoch are not used after it.
    newest_epoch: Option<Epoch>,
    /// Random number from 0 to 255 that spreads the isolates' queries over time.
    jitter: u8,
}

/// A snapshot that is partly loaded.
struct Loading {
    /// The oldest position among its pages. A page may lack later changes.
    oldest: Position,
    next: Cursor,
}

impl Feed {
    pub fn new(sizes: GateSizes, jitter: u8) -> Self {
        Self { sizes, jitter, ..Self::default() }
    }

    /// Returns whether the isolate may decide at `now`.
    ///
    /// A recorded failure is valid only for the bound, because a change made after it takes effect only later than that. After a pause
    /// without requests the authority is therefore queried again; only requests soon after a failure are decided without a query.
    pub fn freshness(&self, config: &Config, now: Millis, closed_on_outage: bool) -> Freshness {
        let bound = bound_ms(config);
        let closed_on_outage = closed_on_outage && !fault!("closed routes are given the grace");
        let end = if closed_on_outage { bound } else { bound.saturating_add(grace_ms(config)) };
        let end = end.saturating_add(if fault!("grace a second longer") { 1_000 } else { 0 });
        let unreachable = self
            .unreachable_since
            .is_some_and(|since| fault!("a failure counts without end") || (0..bound).contains(&now.since(since)));
        match self.age(now) {
            Some(age) if age < bound || fault!("no bound") => Freshness::Fresh,
            Some(age) if age < end && unreachable => Freshness::StaleWithinGrace(age),
            _ if self.in_backoff(config, now) => Freshness::Unavailable,
            _ => Freshness::RefreshRequired,
        }
    }

    /// Returns whether a background refresh is due: well before the bound, and during an outage after each backoff.
    pub fn is_refresh_due(&self, config: &Config, now: Millis) -> bool {
        let bound = bound_ms(config);
        // 60 % of the bound, minus up to 10 % of the bound.
        let early = bound.saturating_mul(self.jitter.into()) / 2_560;
        let due = (bound.saturating_mul(3) / 5).saturating_sub(early);
        let interval = REFRESH_MIN_INTERVAL_MS.min(bound / 20);
        let just_started = self.refresh_started_at.is_some_and(|started| (0..interval).contains(&now.since(started)));
        self.age(now).is_none_or(|age| age >= due) && !just_started && !self.in_backoff(config, now)
    }

    /// Returns the time at which every change was known, by the isolate's clock; `None` if the age of the feed is unknown.
    pub fn complete_at(&self, now: Millis) -> Option<Millis> {
        self.age(now).and(self.asked_at)
    }

    /// Returns whether a refresh is due for open connections: once per bound, or sooner if bound and grace are short. Requests cause
    /// earlier refreshes, so this matters only in an isolate without requests.
    pub fn is_connection_refresh_due(&self, config: &Config, now: Millis) -> bool {
        self.connection_refresh_in_ms(config, now) == 0 && !self.in_backoff(config, now)
    }

    /// Returns the time in milliseconds until that refresh; 0 if it is due or the age is unknown.
    pub fn connection_refresh_in_ms(&self, config: &Config, now: Millis) -> i64 {
        let bound = bound_ms(config);
        let due = bound.min(bound.saturating_add(grace_ms(config)).saturating_mul(3) / 5);
        self.age(now).map_or(0, |age| due.saturating_sub(age).max(0))
    }

    /// Records that a refresh starts.
    pub const fn refresh_started(&mut self, now: Millis) {
        self.refresh_started_at = Some(now);
    }

    /// Returns whether another isolate's query can replace this refresh, because the feed stays fresh for a while.
    pub fn may_wait(&self, config: &Config, now: Millis) -> bool {
        // 70 % of the bound: this isolate must detect an unresponsive authority soon after the bound.
        self.age(now).is_some_and(|age| age < bound_ms(config).saturating_mul(7) / 10)
    }

    /// Returns the whole feed as a one-page snapshot if it is time to publish it to the data centre's cache, where its TTL is
    /// `ttl_seconds`. A snapshot is published again after half its TTL, or after [`SNAPSHOT_PUBLISH_INTERVAL_MS`] if that is sooner. `None`
    /// if the feed is empty or too large.
    pub fn snapshot_due(&mut self, ttl_seconds: u32, now: Millis) -> Option<FeedPage> {
        let interval = i64::from(ttl_seconds).saturating_mul(500).min(SNAPSHOT_PUBLISH_INTERVAL_MS);
        let recent = self.snapshot_published_at.is_some_and(|at| (0..interval).contains(&now.since(at)));
        if recent || self.overflowed || self.min_revisions.len() > self.sizes.shared_changes {
            return None;
        }
        let at = self.position.clone()?;
        self.snapshot_published_at = Some(now);
        Some(FeedPage::Snapshot { after: None, at, entries: self.min_revisions.to_list(), next: None })
    }

    /// Returns whether queries pause because the authority was just unreachable. A backoff never outlasts the failure's validity.
    pub fn in_backoff(&self, config: &Config, now: Millis) -> bool {
        let backoff = BACKOFF_MS.saturating_add(i64::from(self.jitter).saturating_mul(2)).min(bound_ms(config));
        self.unreachable_since.is_some_and(|since| (0..backoff).contains(&now.since(since)))
    }

    /// Returns the age of the feed in milliseconds; `None` if it is unknown, or if the clock shows a time before the query.
    fn age(&self, now: Millis) -> Option<i64> {
        self.position.as_ref()?;
        Some(now.since(self.asked_at?)).filter(|age| *age >= 0)
    }

    /// Returns the next query to the authority.
    pub fn next_query(&self) -> FeedQuery {
        match (&self.position, &self.loading) {
            (Some(position), _) => FeedQuery::Since(position.clone()),
            (None, loading) => FeedQuery::Snapshot { after: loading.as_ref().map(|loading| loading.next.clone()) },
        }
    }

    /// Applies the authority's own answer, received at `now`, to a query sent at `asked_at`.
    ///
    /// If the known query is dated later than `now`, the clock has stepped back since. The known age is then unknown, so it must not
    /// override this answer.
    pub fn apply_authority(&mut self, page: &FeedPage, asked_at: Millis, now: Millis) -> Applied {
        self.asked_at = self.asked_at.filter(|known| *known <= now);
        let applied = self.apply_live(page, asked_at);
        if applied == Applied::Complete && self.min_revisions.latest() > page.position().revision {
            self.distrust_copies();
        }
        applied
    }

    /// Applies an answer that another isolate of this data centre received a moment ago. `found_at` is the time just before the cache read.
    ///
    /// The answer's age does not depend on equal clocks: it is the other isolate's measurement plus the maximum time in the cache. If the
    /// clocks indicate a greater age, that age is used. An answer near the bound is not used.
    pub fn apply_shared(&mut self, config: &Config, cached: &CachedFeedPage, found_at: Millis) -> Applied {
        if !(0..MAX_QUERY_MS).contains(&cached.took) || found_at.since(cached.asked_at) < -CLOCK_SKEW_MS {
            return Applied::Nothing;
        }
        // Some page of the snapshot is newer than this answer, or belongs to a lost history. A query to the authority decides which.
        if self.min_revisions.latest() > cached.changes.position().revision {
            return Applied::Nothing;
        }
        let max_age = cached.took.saturating_add(FRESH_MAX_AGE_MS);
        let asked_at = Millis(found_at.0.saturating_sub(max_age)).min(cached.asked_at);
        // 80 % of the bound: an answer that becomes stale before it is used is useless.
        if found_at.since(asked_at) >= bound_ms(config).saturating_mul(4) / 5 {
            return Applied::Nothing;
        }
        let asked_at = if fault!("a shared answer counts as new") { found_at } else { asked_at };
        self.apply_live(&cached.changes, asked_at)
    }

    /// Applies the last answer that any isolate of this data centre received, while the authority is unreachable. Its age is measured by
    /// two clocks, so their maximum difference is added.
    pub fn apply_fallback(&mut self, cached: &CachedFeedPage, now: Millis) -> Applied {
        if now.since(cached.asked_at) < -CLOCK_SKEW_MS {
            return Applied::Nothing;
        }
        let skew = if fault!("the last answer counts without the skew of clocks") { 0 } else { CLOCK_SKEW_MS };
        let asked_at = Millis(cached.asked_at.0.saturating_sub(skew));
        self.apply(&cached.changes, asked_at.min(now))
    }

    /// Records that the authority did not answer.
    pub const fn record_failure(&mut self, now: Millis) {
        self.unreachable_since = Some(now);
    }

    /// Marks every age as unknown because the clock has stepped back.
    pub const fn mark_age_unknown(&mut self) {
        self.asked_at = None;
        self.unreachable_since = None;
    }

    /// Requires a refresh because an answer contradicts the feed.
    pub const fn invalidate(&mut self) {
        self.asked_at = None;
    }

    pub const fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// Returns the last known revision, 0 before the first.
    pub fn revision(&self) -> u64 {
        self.position.as_ref().map_or(0, |position| position.revision)
    }

    /// Returns the last known change of a key. `None` also means that the key is unchanged since its issue.
    pub fn last_change(&self, id: &KeyId) -> Option<Change> {
        self.min_revisions.of(id)
    }

    /// Discards the minimum revisions and stops trusting KV copies. The authority contradicted a minimum revision: it was restored from
    /// a backup, and the data centre's cache returned pages of the lost and of the restored history together.
    pub fn distrust_copies(&mut self) {
        self.overflowed = true;
        self.min_revisions.clear();
    }

    /// Returns whether a copy can be checked with [`Self::last_change`].
    pub fn knows_all_changes(&self) -> bool {
        self.position.is_some() && (!self.overflowed || fault!("a copy is used though the feed overflowed"))
    }

    /// Applies an answer that proves that the authority is reachable.
    fn apply_live(&mut self, page: &FeedPage, asked_at: Millis) -> Applied {
        let applied = self.apply(page, asked_at);
        if applied != Applied::Nothing {
            self.unreachable_since = None;
        }
        applied
    }

    fn apply(&mut self, page: &FeedPage, asked_at: Millis) -> Applied {
        // Otherwise a cached first page of the lost history and a cached later page of the new one would alternate without end.
        let began = page.position().epoch.began();
        if self.newest_epoch.as_ref().is_some_and(|newest| began < newest.began()) {
            return Applied::Nothing;
        }
        let known = self.position.as_ref().or(self.loading.as_ref().map(|loading| &loading.oldest));
        if let Some(known) = known.filter(|known| known.epoch != page.position().epoch) {
            // A cache may still contain an answer from before a restore.
            if page.position().epoch.began() <= known.epoch.began() {
                return Applied::Nothing;
            }
            let applied = Applied::NewEpoch { known: known.revision, now: page.position().revision };
            *self = Self::new(self.sizes, self.jitter);
            self.newest_epoch = Some(page.position().epoch.clone());
            if let FeedPage::Snapshot { .. } = page {
                self.apply_page(page, asked_at);
            }
            return applied;
        }
        self.apply_page(page, asked_at)
    }

    /// Applies a page of the feed's own history.
    fn apply_page(&mut self, page: &FeedPage, asked_at: Millis) -> Applied {
        match page {
            FeedPage::Snapshot { after, at, entries, next } => {
                let expected = self.loading.as_ref().map(|loading| &loading.next);
                if self.position.is_some() || expected != after.as_ref() || !self.raise(entries) {
                    return Applied::Nothing;
                }
                let oldest = match self.loading.take() {
                    Some(loading) if loading.oldest.revision <= at.revision => loading.oldest,
                    _ => at.clone(),
                };
                match next {
                    Some(next) if !self.overflowed => self.loading = Some(Loading { oldest, next: next.clone() }),
                    _ => self.position = Some(oldest),
                }
                Applied::More
            }
            FeedPage::Since { after, to, entries, more } => {
                let Some(position) = &self.position else { return Applied::Nothing };
                let follows = *after <= position.revision && position.revision <= to.revision;
                let contradicts = position.revision == to.revision && position.head != to.head;
                if !follows || contradicts || !self.raise(entries) {
                    return Applied::Nothing;
                }
                self.position = Some(to.clone());
                if *more {
                    return Applied::More;
                }
                self.asked_at = self.asked_at.max(Some(asked_at));
                Applied::Complete
            }
        }
    }

    /// Records the changes of a page. Returns `false` and records nothing if any entry is malformed.
    fn raise(&mut self, entries: &ChangeList) -> bool {
        if entries.iter().any(|entry| entry.is_none()) {
            return false;
        }
        if !self.overflowed {
            for (id, change) in entries.iter().flatten() {
                self.min_revisions.raise(id, change);
            }
        }
        if self.min_revisions.len() > self.sizes.changes {
            self.distrust_copies();
        }
        true
    }
}

fn bound_ms(config: &Config) -> i64 {
    i64::from(config.bound_seconds).saturating_mul(1000)
}

fn grace_ms(config: &Config) -> i64 {
    i64::from(config.grace_seconds).saturating_mul(1000)
}
