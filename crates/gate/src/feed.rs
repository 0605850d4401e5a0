//! The change feed as this isolate knows it: how fresh it is, and when to query the authority again.

use super::GateSizes;
use super::min_revisions::MinRevisions;
use keyward_config::Config;
use keyward_fault::fault;
use keyward_key::id::KeyId;
use keyward_key::sealed::Broken;
use keyward_key::time::Millis;
use keyward_protocol::feed::{CachedFeedPage, Change, ChangeList, Cursor, FeedPage, FeedQuery, Position};

/// Backoff after a failed query, so that an outage does not make every request wait.
const BACKOFF_MS: i64 = 1_000;

/// Minimum interval between background refreshes. A shared answer is up to 2.5 s old, so the next refresh falls due soon.
const REFRESH_MIN_INTERVAL_MS: i64 = 250;

/// Maximum interval between two snapshots that one isolate publishes in the data centre's cache, however long the cache keeps
/// them: the last answer must follow on the snapshot.
const SNAPSHOT_PUBLISH_INTERVAL_MS: i64 = 30_000;

/// TTL of a shared answer in the data centre's cache.
pub const FRESH_SECONDS: u32 = 1;

/// Maximum age that a shared answer gains in the cache: its TTL, one second more since caches count whole seconds, and half a
/// second that the write may have taken.
const FRESH_MAX_AGE_MS: i64 = 2_500;

/// Maximum difference between the clocks of two isolates, each 5 s off. An answer judged by another isolate's clock counts as this
/// much older.
const CLOCK_SKEW_MS: i64 = 10_000;

/// No query takes longer than its time limits. A longer one was not measured with a steady clock.
const MAX_QUERY_MS: i64 = 60_000;

/// Effect of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Every change up to now is known.
    Complete,
    /// The answer was used; the authority has more.
    More,
    /// The authority has another history than before: everything was forgotten. Must be logged as an alarm.
    NewEpoch {
        /// The last known revision of the previous history.
        known: u64,
        /// The last revision of the new history.
        now: u64,
    },
    /// The answer was not used: it is older than the feed, of an older history, or does not follow on the feed.
    Nothing,
    /// The answer was not authentic. Must be logged.
    Broken(Broken),
}

/// Whether this isolate may decide with what it knows.
pub(super) enum Freshness {
    /// The authority was queried within the bound.
    Fresh,
    /// Past the bound, within the grace, and the authority is unreachable. Age in milliseconds.
    StaleWithinGrace(i64),
    /// The authority must be queried first.
    RefreshRequired,
    /// Too old, and the authority was found unreachable a moment ago.
    Unavailable,
}

#[derive(Default)]
pub(super) struct Feed {
    sizes: GateSizes,
    /// Every change up to here is known; `None` before the first snapshot.
    position: Option<Position>,
    /// When the query behind `position` began; `None` if its age is unknown.
    asked_at: Option<Millis>,
    min_revisions: MinRevisions,
    /// More keys were changed than are kept, or the authority contradicted a minimum revision: no copy can be checked.
    overflowed: bool,
    loading: Option<Loading>,
    unreachable_since: Option<Millis>,
    refresh_started_at: Option<Millis>,
    snapshot_published_at: Option<Millis>,
    /// 0 to 255, random for each isolate, so that many isolates do not query at the same moment.
    jitter: u8,
}

/// A snapshot of which some pages have come.
struct Loading {
    /// The oldest position of any page: a page may lack later changes.
    oldest: Position,
    next: Cursor,
}

impl Feed {
    pub fn new(sizes: GateSizes, jitter: u8) -> Self {
        Self { sizes, jitter, ..Self::default() }
    }

    /// Whether the isolate may decide at `now`.
    ///
    /// A failure counts only for as long as the bound: a change made since then takes effect later than that. So after a pause
    /// without requests the authority is queried again, and only a request soon after a failure is decided without.
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

    /// Whether a background refresh is due: well before the bound, and during an outage after each backoff.
    pub fn is_refresh_due(&self, config: &Config, now: Millis) -> bool {
        let bound = bound_ms(config);
        // 60 % of the bound, less up to 10 % of the bound.
        let early = bound.saturating_mul(self.jitter.into()) / 2_560;
        let due = (bound.saturating_mul(3) / 5).saturating_sub(early);
        let interval = REFRESH_MIN_INTERVAL_MS.min(bound / 20);
        let just_started = self.refresh_started_at.is_some_and(|started| (0..interval).contains(&now.since(started)));
        self.age(now).is_none_or(|age| age >= due) && !just_started && !self.in_backoff(config, now)
    }

    /// When every change was known, by the isolate's clock; `None` if the age of the feed is unknown.
    pub fn complete_at(&self, now: Millis) -> Option<Millis> {
        self.age(now).and(self.asked_at)
    }

    /// Whether a refresh is due for connections that are open: once a bound, or sooner if bound and grace are short. Requests refresh
    /// earlier, so this is for an isolate without any.
    pub fn is_connection_refresh_due(&self, config: &Config, now: Millis) -> bool {
        self.connection_refresh_in_ms(config, now) == 0 && !self.in_backoff(config, now)
    }

    /// Time in milliseconds until that refresh; 0 if it is due or the age is unknown.
    pub fn connection_refresh_in_ms(&self, config: &Config, now: Millis) -> i64 {
        let bound = bound_ms(config);
        let due = bound.min(bound.saturating_add(grace_ms(config)).saturating_mul(3) / 5);
        self.age(now).map_or(0, |age| due.saturating_sub(age).max(0))
    }

    /// Records that a refresh starts.
    pub const fn refresh_started(&mut self, now: Millis) {
        self.refresh_started_at = Some(now);
    }

    /// Whether the refresh can be left to another isolate that queries the authority already: the feed stays fresh for a while.
    pub fn may_wait(&self, config: &Config, now: Millis) -> bool {
        // 70 % of the bound: if the authority hangs, this isolate must notice it soon after the bound.
        self.age(now).is_some_and(|age| age < bound_ms(config).saturating_mul(7) / 10)
    }

    /// Returns the whole feed as a snapshot of one page if it is time to publish it in the data centre's cache, which keeps it for
    /// `ttl_seconds`. It is published again after half of that, or after [`SNAPSHOT_PUBLISH_INTERVAL_MS`]. `None` if the feed is
    /// empty or too large.
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

    /// Whether the authority was unreachable a moment ago and is not queried now. Never longer than the failure counts.
    pub fn in_backoff(&self, config: &Config, now: Millis) -> bool {
        let backoff = BACKOFF_MS.saturating_add(i64::from(self.jitter).saturating_mul(2)).min(bound_ms(config));
        self.unreachable_since.is_some_and(|since| (0..backoff).contains(&now.since(since)))
    }

    /// Age of the feed in milliseconds; `None` if it is unknown, or the clock is behind the query.
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

    /// Applies the authority's own answer to a query of `asked_at`, which came at `now`.
    ///
    /// A known query later than `now` was dated by a clock that has stepped back since. Its age is unknown, so it must not hide
    /// this one.
    pub fn apply_authority(&mut self, page: &FeedPage, asked_at: Millis, now: Millis) -> Applied {
        self.asked_at = self.asked_at.filter(|known| *known <= now);
        let applied = self.apply_live(page, asked_at);
        if applied == Applied::Complete && self.min_revisions.latest() > page.position().revision {
            self.distrust_copies();
        }
        applied
    }

    /// Applies an answer that another isolate of this data centre received a moment ago. `found_at` is read before the cache is.
    ///
    /// Its age does not depend on equal clocks: it is what the other isolate measured, plus the longest time in the cache. If the
    /// clocks say that it is older, it is. Near the bound it is not used, whoever wrote it.
    pub fn apply_shared(&mut self, config: &Config, cached: &CachedFeedPage, found_at: Millis) -> Applied {
        if !(0..MAX_QUERY_MS).contains(&cached.took) || found_at.since(cached.asked_at) < -CLOCK_SKEW_MS {
            return Applied::Nothing;
        }
        // Some page of the snapshot is newer than this answer, or belongs to a lost history. The authority tells which.
        if self.min_revisions.latest() > cached.changes.position().revision {
            return Applied::Nothing;
        }
        let max_age = cached.took.saturating_add(FRESH_MAX_AGE_MS);
        let asked_at = Millis(found_at.0.saturating_sub(max_age)).min(cached.asked_at);
        // 80 % of the bound: an answer that becomes stale before it is used does not help.
        if found_at.since(asked_at) >= bound_ms(config).saturating_mul(4) / 5 {
            return Applied::Nothing;
        }
        let asked_at = if fault!("a shared answer counts as new") { found_at } else { asked_at };
        self.apply_live(&cached.changes, asked_at)
    }

    /// Applies the last answer that any isolate of this data centre received, while the authority is unreachable. Its age comes from
    /// two clocks, so it counts as older by their maximum difference.
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

    /// Marks every age as unknown: the clock has stepped back.
    pub const fn mark_age_unknown(&mut self) {
        self.asked_at = None;
        self.unreachable_since = None;
    }

    /// Requires a refresh: an answer contradicts the feed.
    pub const fn invalidate(&mut self) {
        self.asked_at = None;
    }

    pub const fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// The last known revision, 0 before the first.
    pub fn revision(&self) -> u64 {
        self.position.as_ref().map_or(0, |position| position.revision)
    }

    /// The last known change of a key; `None` also if the key is as it was issued.
    pub fn last_change(&self, id: &KeyId) -> Option<Change> {
        self.min_revisions.of(id)
    }

    /// Discards the minimum revisions and trusts no copy from now on. The authority has contradicted one of them: it was restored
    /// from a backup, and the data centre's cache gave a page of the lost history together with pages of the restored one.
    pub fn distrust_copies(&mut self) {
        self.overflowed = true;
        self.min_revisions.clear();
    }

    /// Whether a copy can be checked with [`Self::last_change`].
    pub fn knows_all_changes(&self) -> bool {
        self.position.is_some() && (!self.overflowed || fault!("a copy is used though the feed overflowed"))
    }

    /// Applies an answer that shows that the authority is reachable.
    fn apply_live(&mut self, page: &FeedPage, asked_at: Millis) -> Applied {
        let applied = self.apply(page, asked_at);
        if applied != Applied::Nothing {
            self.unreachable_since = None;
        }
        applied
    }

    fn apply(&mut self, page: &FeedPage, asked_at: Millis) -> Applied {
        let known = self.position.as_ref().or(self.loading.as_ref().map(|loading| &loading.oldest));
        if let Some(known) = known.filter(|known| known.epoch != page.position().epoch) {
            // A cache may still hold an answer from before a restore.
            if page.position().epoch.began() <= known.epoch.began() {
                return Applied::Nothing;
            }
            let applied = Applied::NewEpoch { known: known.revision, now: page.position().revision };
            *self = Self::new(self.sizes, self.jitter);
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

    /// Records the changes of a page; `false` if any entry is malformed, and then none counts.
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
