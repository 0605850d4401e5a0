//! What the authority has changed.

use super::isolate::{Isolate, Subject};
use super::platform::{Level, Platform};
use super::registry::{self, Unreachable};
use keyward_config::Config;
use keyward_gate::{Applied, FRESH_SECONDS, PendingQuery};
use keyward_key::sealed::Broken;
use keyward_key::time::Millis;
use keyward_protocol::feed::{CachedFeedPage, FeedPage, FeedQuery};
use keyward_protocol::{Request, Response};

/// The names in the data centre's cache, after the secret's. That is how long a sign stands that somebody asks.
const FRESH: &str = "fresh";
const LAST: &str = "last";
const ASKING: &str = "asking";
const FIRST_PAGE: &str = "snapshot/first";
const ASKING_SECONDS: u32 = 1;

/// Below this bound, in seconds, an answer from the cache would be too old to be of use.
const LEAST_BOUND_FOR_FRESH: u32 = 5;

/// Pages and answers of one asking at most: a snapshot as large as we keep, and the changes meanwhile.
const PAGES: usize = 32;

/// Finds out what the authority has changed.
///
/// 1. What another isolate of this data centre was told a moment ago.
/// 2. Otherwise the authority, until everything is known; the cache gets each answer. But where another isolate asks already, and what
///    is known here is good for a while yet, its answer is looked for later: an answer is kept for a second only, and all would
///    miss it at once.
/// 3. If that is silent, the last that any isolate here was told: one that starts in an outage knows then how old its knowledge is.
pub(super) async fn find(isolate: &Isolate, config: &Config, platform: &impl Platform) {
    let asking = Asking { isolate, config, platform };
    let answered = asking.ask().await;
    if !answered {
        asking.fall_back().await;
    }
}

struct Asking<'a, O> {
    isolate: &'a Isolate,
    config: &'a Config,
    platform: &'a O,
}

impl<O: Platform> Asking<'_, O> {
    /// Gives whether everything is known now.
    async fn ask(&self) -> bool {
        let mut may_be_fresh = self.config.bound_seconds >= LEAST_BOUND_FOR_FRESH;
        for _ in 0..PAGES {
            let now = self.platform.now();
            self.isolate.go_on(&Subject::Changes, now);
            let Some(ask) = self.isolate.gate().map(|mut gate| {
                gate.refresh_started(now);
                gate.ask()
            }) else {
                return false;
            };
            let kept = match &ask {
                FeedQuery::Snapshot { .. } => self.find_page(&ask).await,
                FeedQuery::Since(_) if std::mem::take(&mut may_be_fresh) => {
                    let fresh = self.find_fresh().await;
                    if fresh == Applied::Nothing && self.leaves_it_to_another().await {
                        return true;
                    }
                    fresh
                }
                FeedQuery::Since(_) => Applied::Nothing,
            };
            let applied = match kept {
                Applied::More | Applied::Complete | Applied::NewEpoch { .. } => kept,
                Applied::Nothing | Applied::Broken(_) => self.ask_authority(ask).await,
            };
            match applied {
                Applied::Complete => return true,
                Applied::More | Applied::NewEpoch { .. } => {}
                Applied::Nothing | Applied::Broken(_) => return false,
            }
        }
        false
    }

    async fn find_fresh(&self) -> Applied {
        let Some(asked) = self.begin() else { return Applied::Nothing };
        let Some(kept) = self.platform.cache_get(&self.name(FRESH)).await else { return Applied::Nothing };
        self.learn(|gate| gate.apply_shared(self.config, &kept, asked, self.platform.now()))
    }

    /// Whether another isolate is asking the authority, and its answer can be waited for; otherwise the others are told that this one
    /// asks. Nobody need believe that sign: who put it there can delay an asking by as much as what is known is good for.
    async fn leaves_it_to_another(&self) -> bool {
        let sign = self.name(ASKING);
        let may_wait = |now| self.isolate.gate().is_some_and(|gate| gate.may_wait(self.config, now));
        if may_wait(self.platform.now())
            && self.platform.cache_get(&sign).await.is_some()
            && may_wait(self.platform.now())
        {
            return true;
        }
        self.platform.cache_put(&sign, ASKING, ASKING_SECONDS);
        false
    }

    /// A page of a snapshot may be old: what has changed since is asked for after it.
    async fn find_page(&self, ask: &FeedQuery) -> Applied {
        let Some(kept) = self.platform.cache_get(&self.page_name(ask)).await else { return Applied::Nothing };
        let now = self.platform.now();
        self.learn(|gate| gate.apply_fallback(self.config, &kept, now))
    }

    async fn ask_authority(&self, ask: FeedQuery) -> Applied {
        let name = self.page_name(&ask);
        let Some(asked) = self.begin() else { return Applied::Nothing };
        match registry::ask(self.platform, &Request::Changes(ask)).await {
            Ok(Response::Changes { changes, .. }) => {
                let applied = self.learn(|gate| gate.learn_changes(&changes, asked, self.platform.now()));
                self.keep(&name, changes, asked.at, &applied);
                let now = self.platform.now();
                if applied == Applied::Complete
                    && self.isolate.gate().is_some_and(|gate| gate.is_past_bound(self.config, now))
                {
                    // It took longer than the bound to say so: that is no answer to act on.
                    return self.silent("the registry answered later than the bound");
                }
                applied
            }
            Ok(_) => self.silent("the registry answered another question"),
            Err(Unreachable(cause)) => self.silent(&cause),
        }
    }

    fn begin(&self) -> Option<PendingQuery> {
        Some(self.isolate.gate()?.begin_asking(self.platform.now()))
    }

    fn silent(&self, cause: &str) -> Applied {
        self.platform.log(Level::Warn, "authority_silent", &[("cause", cause)]);
        if let Some(mut gate) = self.isolate.gate() {
            gate.record_failure(self.platform.now());
        }
        Applied::Nothing
    }

    /// Gives an answer to the data centre's cache: whole ones and pages of snapshots.
    fn keep(&self, page: &str, changes: FeedPage, asked_at: Millis, applied: &Applied) {
        let seconds = self.config.bound_seconds.saturating_add(self.config.grace_seconds);
        let snapshot = matches!(changes, FeedPage::Snapshot { .. });
        if !snapshot && *applied != Applied::Complete {
            return;
        }
        let now = self.platform.now();
        let seal = |changes| CachedFeedPage { asked_at, took: now.since(asked_at), changes }.seal(&self.config.keyring);
        let Some(text) = seal(changes) else { return };
        if snapshot {
            self.platform.cache_put(page, &text, seconds);
            return;
        }
        if self.config.bound_seconds >= LEAST_BOUND_FOR_FRESH {
            self.platform.cache_put(&self.name(FRESH), &text, FRESH_SECONDS);
        }
        self.platform.cache_put(&self.name(LAST), &text, seconds);
        // The last answer alone is of no use to an isolate that is born in an outage: it follows on a snapshot, and the pages that the
        // authority gave the last one that was born may be gone.
        let known = self.isolate.gate().and_then(|mut gate| gate.snapshot_due(seconds, now));
        if let Some(text) = known.and_then(seal) {
            self.platform.cache_put(&self.name(FIRST_PAGE), &text, seconds);
        }
    }

    async fn fall_back(&self) {
        for _ in 0..PAGES {
            let Some(ask) = self.isolate.gate().map(|gate| gate.ask()) else { return };
            match ask {
                FeedQuery::Snapshot { .. } if self.find_page(&ask).await == Applied::More => {}
                FeedQuery::Snapshot { .. } => return,
                FeedQuery::Since(_) => break,
            }
        }
        if let Some(kept) = self.platform.cache_get(&self.name(LAST)).await {
            let now = self.platform.now();
            self.learn(|gate| gate.apply_fallback(self.config, &kept, now));
        }
    }

    fn learn(&self, take: impl FnOnce(&mut keyward_gate::Gate) -> Applied) -> Applied {
        let Some(applied) = self.isolate.gate().map(|mut gate| take(&mut gate)) else { return Applied::Nothing };
        match &applied {
            Applied::NewEpoch { known, now } => {
                // Nobody restores an authority unnoticed. docs/OPERATIONS.md says what to do.
                let (known, now) = (known.to_string(), now.to_string());
                self.platform.log(
                    Level::Error,
                    "authority_restored",
                    &[("known_revision", &known), ("revision", &now)],
                );
            }
            Applied::Broken(Broken::Newer) => {}
            Applied::Broken(why) => {
                self.platform.log(Level::Warn, "cache_entry_broken", &[("why", why.as_str())]);
            }
            Applied::Complete | Applied::More | Applied::Nothing => {}
        }
        applied
    }

    /// A name in the cache. Deployments of one zone share it; with another secret, which each has to have, each finds what is its own.
    fn name(&self, name: &str) -> String {
        ["changes/", self.config.keyring.current().generation().as_str(), "/", name].concat()
    }

    fn page_name(&self, ask: &FeedQuery) -> String {
        match ask {
            FeedQuery::Snapshot { after: None } => self.name(FIRST_PAGE),
            FeedQuery::Snapshot { after: Some(cursor) } => self.name(&["snapshot/", &cursor.0].concat()),
            FeedQuery::Since(_) => self.name(LAST),
        }
    }
}
