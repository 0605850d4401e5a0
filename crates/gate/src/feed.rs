//! What the authority has changed, as far as this isolate has heard, and when it asked.

use super::GateSizes;
use keyward_config::Config;
use keyward_fault::fault;
use keyward_key::id::KeyId;
use keyward_key::sealed::Broken;
use keyward_key::time::Millis;
use keyward_protocol::feed::{
    CachedFeedPage, Change, ChangeList, CompactKeyId, Cursor, FeedPage, FeedQuery, MinRevisions, Position,
};

/// After a failed asking nobody asks again for so long, so that an outage doesn't make every request wait.
const REST_MILLIS: i64 = 1_000;

/// How long nobody looks again for changes, beside the requests: an answer from the cache is so old that the next is due soon after.
const LOOK_MILLIS: i64 = 250;

/// How often an isolate gives the data centre's cache what it knows, however long that is kept: the last answer has to follow on it.
const TELL_MILLIS: i64 = 30_000;

/// How long an answer is kept in the data centre's cache as fresh.
pub const FRESH_SECONDS: u32 = 1;

/// How much older an answer found as fresh may be than it says: the second that it is kept, one more since caches count whole
/// seconds, and half a one that putting it there may have taken.
const FRESH_MILLIS: i64 = 2_500;

/// How far two isolates' clocks may be apart: each 5 seconds off. An answer judged by another's clock counts as so much older.
const SKEW_MILLIS: i64 = 10_000;

/// No answer takes longer than its time limits; one that says so was not measured with a steady clock.
const LONGEST_ASKING_MILLIS: i64 = 60_000;

/// What came of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Everything up to now is known.
    Complete,
    /// It helped; there is more to ask.
    More,
    /// The authority has another history than before: everything is forgotten. To be logged as an alarm.
    NewEpoch {
        /// The number of the last change known of the history before.
        known: u64,
        /// The number of the last change of the new one.
        now: u64,
    },
    /// It was no use: older than what is known, of an older history, or not following on it.
    Nothing,
    /// It was not authentic; to be logged.
    Broken(Broken),
}

/// Whether this isolate may act on what it knows.
pub(super) enum Freshness {
    /// The authority was asked within the bound.
    Fresh,
    /// Past the bound, and the authority is silent: within the grace, so old in milliseconds.
    StaleWithinGrace(i64),
    /// The authority has to be asked first.
    RefreshRequired,
    /// Past everything, and the authority was asked a moment ago and is silent.
    Unavailable,
}

#[derive(Default)]
pub(super) struct Feed {
    sizes: GateSizes,
    /// Everything up to here is known; `None` before the first snapshot.
    position: Option<Position>,
    /// When the authority was asked for that; `None` if that can't be said any more.
    asked_at: Option<Millis>,
    floors: MinRevisions,
    /// There are more changed keys than we keep: no copy can be judged.
    overflown: bool,
    loading: Option<Loading>,
    silent_since: Option<Millis>,
    /// When the last asking began.
    looked_at: Option<Millis>,
    /// When what is known was given to the data centre's cache as a snapshot.
    told_at: Option<Millis>,
    /// 0 to 255, of this isolate: so that many don't ask at the same moment.
    jitter: i64,
}

/// A snapshot of which some pages have come.
struct Loading {
    /// The oldest position of any page: changes after it may be missing from one.
    at: Position,
    next: Cursor,
}

impl Feed {
    pub fn new(sizes: GateSizes, jitter: u8) -> Self {
        Self { sizes, jitter: jitter.into(), ..Self::default() }
    }

    /// Whether what is known may be acted on at `now`.
    ///
    /// Silence counts only for as long as the bound after it was noticed: a change made since then holds later than that. So after
    /// a pause of requests the authority is asked anew, and only a request that comes soon after a failure goes on without.
    pub fn standing(&self, config: &Config, now: Millis, closed_on_outage: bool) -> Freshness {
        let bound = bound_of(config);
        let closed_on_outage = closed_on_outage && !fault!("closed routes are given the grace");
        let end = if closed_on_outage { bound } else { bound.saturating_add(grace_of(config)) };
        let end = end.saturating_add(if fault!("grace a second longer") { 1_000 } else { 0 });
        let silent = self.silent_since.is_some_and(|since| {
            fault!("silence is trusted without end") || (0..bound).contains(&now.since(since))
        });
        match self.age(now) {
            Some(age) if age < bound || fault!("no bound") => Freshness::Fresh,
            Some(age) if age < end && silent => Freshness::StaleWithinGrace(age),
            _ if self.rests(config, now) => Freshness::Unavailable,
            _ => Freshness::RefreshRequired,
        }
    }

    /// Whether it is time to ask again, beside the requests: well before the bound, and during an outage whenever the last
    /// failure is old enough.
    pub fn is_due(&self, config: &Config, now: Millis) -> bool {
        let bound = bound_of(config);
        // 60 % of the bound, less up to 10 % of it.
        let early = bound.saturating_mul(self.jitter) / 2_560;
        let due = (bound.saturating_mul(3) / 5).saturating_sub(early);
        let pause = LOOK_MILLIS.min(bound / 20);
        let looked = self.looked_at.is_some_and(|looked_at| (0..pause).contains(&now.since(looked_at)));
        self.age(now).is_none_or(|age| age >= due) && !looked && !self.rests(config, now)
    }

    /// Takes note that an asking begins.
    pub const fn refresh_started(&mut self, now: Millis) {
        self.looked_at = Some(now);
    }

    /// Whether another isolate that is asking the authority may be waited for: what is known is good for a while yet.
    pub fn may_wait(&self, config: &Config, now: Millis) -> bool {
        // Seven tenths of the bound: if the authority hangs, that is to be noticed not long after the bound.
        self.age(now).is_some_and(|age| age < bound_of(config).saturating_mul(7) / 10)
    }

    /// All that is known, as a snapshot of one page: for the data centre's cache, which keeps it for so many seconds, and given
    /// again when half of that is over, or half a minute. `None` where it is too much or there is nothing.
    pub fn snapshot_due(&mut self, seconds: u32, now: Millis) -> Option<FeedPage> {
        let pause = i64::from(seconds).saturating_mul(500).min(TELL_MILLIS);
        let told = self.told_at.is_some_and(|told_at| (0..pause).contains(&now.since(told_at)));
        if told || self.overflown || self.floors.len() > self.sizes.shared_changes {
            return None;
        }
        let at = self.position.clone()?;
        self.told_at = Some(now);
        Some(FeedPage::Snapshot { after: None, at, entries: self.floors.entries(), next: None })
    }

    /// Whether the authority failed to answer a moment ago: it is left alone, for no longer than its silence counts.
    pub fn rests(&self, config: &Config, now: Millis) -> bool {
        let rest = REST_MILLIS.saturating_add(self.jitter.saturating_mul(2)).min(bound_of(config));
        self.silent_since.is_some_and(|since| (0..rest).contains(&now.since(since)))
    }

    /// How long ago the authority was asked for what is known; `None` if it wasn't, or the clock is behind that instant.
    pub fn age(&self, now: Millis) -> Option<i64> {
        self.position.as_ref()?;
        Some(now.since(self.asked_at?)).filter(|age| *age >= 0)
    }

    /// What to ask the authority next.
    pub fn ask(&self) -> FeedQuery {
        match (&self.position, &self.loading) {
            (Some(position), _) => FeedQuery::Since(position.clone()),
            (None, loading) => FeedQuery::Snapshot { after: loading.as_ref().map(|loading| loading.next.clone()) },
        }
    }

    /// Takes the authority's own answer, asked for at `asked_at` and come at `now`. `changed` is told of each change.
    ///
    /// An older asking that lies ahead of the clock was by a clock that has stepped back since: its age can't be told, and it
    /// must not outdo this one, whose age can.
    pub fn apply_authority(
        &mut self,
        changes: &FeedPage,
        asked_at: Millis,
        now: Millis,
        changed: &mut dyn FnMut(CompactKeyId, Change),
    ) -> Applied {
        self.asked_at = self.asked_at.filter(|known| *known <= now);
        self.learn(changes, asked_at, changed)
    }

    fn learn(
        &mut self,
        changes: &FeedPage,
        asked_at: Millis,
        changed: &mut dyn FnMut(CompactKeyId, Change),
    ) -> Applied {
        let applied = self.take(changes, asked_at, changed);
        if applied != Applied::Nothing {
            self.silent_since = None;
        }
        applied
    }

    /// Takes an answer that another isolate of this data centre was given a moment ago. `found_at` is read before looking.
    ///
    /// Its age doesn't hang on two clocks being the same: it is what the other isolate measured, and how long such an answer is
    /// kept at most. Where the clocks say that it is older, it is; near the bound it is not fresh, whoever put it there.
    pub fn apply_shared(
        &mut self,
        config: &Config,
        kept: &CachedFeedPage,
        found_at: Millis,
        changed: &mut dyn FnMut(CompactKeyId, Change),
    ) -> Applied {
        if !(0..LONGEST_ASKING_MILLIS).contains(&kept.took) || found_at.since(kept.asked_at) < -SKEW_MILLIS {
            return Applied::Nothing;
        }
        let counted = Millis(found_at.0.saturating_sub(kept.took.saturating_add(FRESH_MILLIS))).min(kept.asked_at);
        // Four fifths of the bound: one that is over before it can be used is no use.
        if found_at.since(counted) >= bound_of(config).saturating_mul(4) / 5 {
            return Applied::Nothing;
        }
        let counted = if fault!("a fresh answer counts as new") { found_at } else { counted };
        self.learn(&kept.changes, counted, changed)
    }

    /// Takes the last answer that any isolate of this data centre was given, while the authority is silent. Its age is judged by
    /// two clocks, so it counts as older by as much as they may be apart.
    pub fn apply_fallback(
        &mut self,
        kept: &CachedFeedPage,
        now: Millis,
        changed: &mut dyn FnMut(CompactKeyId, Change),
    ) -> Applied {
        if now.since(kept.asked_at) < -SKEW_MILLIS {
            return Applied::Nothing;
        }
        let skew = if fault!("the last answer counts without the skew of clocks") { 0 } else { SKEW_MILLIS };
        let counted = Millis(kept.asked_at.0.saturating_sub(skew));
        self.take(&kept.changes, counted.min(now), changed)
    }

    /// Takes note that the authority didn't answer, at `now`.
    pub const fn note_silence(&mut self, now: Millis) {
        self.silent_since = Some(now);
    }

    /// The clock has stepped back: how old anything is can't be told any more.
    pub const fn mark_age_unknown(&mut self) {
        self.asked_at = None;
        self.silent_since = None;
    }

    /// A position that contradicts what is known was seen: the authority has to be asked.
    pub const fn doubt(&mut self) {
        self.asked_at = None;
    }

    pub const fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// The last change of a key that was told of; `None` too where the key is as it was issued.
    pub fn floor(&self, id: &KeyId) -> Option<Change> {
        self.floors.of(id)
    }

    /// Whether a copy can be judged by [`Self::floor`].
    pub fn knows_all_changes(&self) -> bool {
        self.position.is_some() && (!self.overflown || fault!("a copy is used though the feed overflowed"))
    }

    fn take(&mut self, changes: &FeedPage, asked_at: Millis, changed: &mut dyn FnMut(CompactKeyId, Change)) -> Applied {
        let known = self.position.as_ref().or(self.loading.as_ref().map(|loading| &loading.at));
        if let Some(known) = known.filter(|known| known.epoch != changes.position().epoch) {
            // An answer from before a restore may lie in a cache yet.
            if changes.position().epoch.began() <= known.epoch.began() {
                return Applied::Nothing;
            }
            let applied = Applied::NewEpoch { known: known.revision, now: changes.position().revision };
            *self = Self { sizes: self.sizes, jitter: self.jitter, ..Self::default() };
            if let FeedPage::Snapshot { after, at, entries, next } = changes {
                self.take_page(after.as_ref(), at, entries, next.as_ref(), changed);
            }
            return applied;
        }
        match changes {
            FeedPage::Snapshot { after, at, entries, next } => {
                self.take_page(after.as_ref(), at, entries, next.as_ref(), changed)
            }
            FeedPage::Since { after, to, entries, more } => {
                self.take_since(*after, to, entries, *more, asked_at, changed)
            }
        }
    }

    fn take_page(
        &mut self,
        after: Option<&Cursor>,
        at: &Position,
        entries: &ChangeList,
        next: Option<&Cursor>,
        changed: &mut dyn FnMut(CompactKeyId, Change),
    ) -> Applied {
        let asked = self.loading.as_ref().map(|loading| &loading.next);
        if self.position.is_some() || asked != after || !self.raise(entries, changed) {
            return Applied::Nothing;
        }
        let oldest = match self.loading.take() {
            Some(loading) if loading.at.revision <= at.revision => loading.at,
            _ => at.clone(),
        };
        match next {
            Some(next) if !self.overflown => self.loading = Some(Loading { at: oldest, next: next.clone() }),
            _ => self.position = Some(oldest),
        }
        Applied::More
    }

    fn take_since(
        &mut self,
        after: u64,
        to: &Position,
        entries: &ChangeList,
        more: bool,
        asked_at: Millis,
        changed: &mut dyn FnMut(CompactKeyId, Change),
    ) -> Applied {
        let Some(position) = &self.position else { return Applied::Nothing };
        let follows = after <= position.revision && position.revision <= to.revision;
        let contradicts = position.revision == to.revision && position.head != to.head;
        if !follows || contradicts || !self.raise(entries, changed) {
            return Applied::Nothing;
        }
        self.position = Some(to.clone());
        if more {
            return Applied::More;
        }
        self.asked_at = self.asked_at.max(Some(asked_at));
        Applied::Complete
    }

    /// `false` if the entries have not their form; then none of them counts.
    fn raise(&mut self, entries: &ChangeList, changed: &mut dyn FnMut(CompactKeyId, Change)) -> bool {
        if entries.iter().any(|entry| entry.is_none()) {
            return false;
        }
        for (id, change) in entries.iter().flatten() {
            changed(id, change);
            if !self.overflown {
                self.floors.raise(id, change);
            }
        }
        if self.floors.len() > self.sizes.changes {
            self.overflown = true;
            self.floors.clear();
        }
        true
    }
}

fn bound_of(config: &Config) -> i64 {
    i64::from(config.bound_seconds).saturating_mul(1000)
}

fn grace_of(config: &Config) -> i64 {
    i64::from(config.grace_seconds).saturating_mul(1000)
}
