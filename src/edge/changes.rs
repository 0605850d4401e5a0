//! What the authority has changed.

use super::isolate::{Isolate, Subject};
use super::outside::{Level, Outside};
use super::registry::{self, Silent};
use crate::config::Config;
use crate::gate::{Asked, FRESH_SECONDS, Learned};
use crate::key::feed::{Ask, Changes, Kept};
use crate::registry::command::{Answer, Call};
use crate::time::Millis;

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
pub(super) async fn find(isolate: &Isolate, config: &Config, outside: &impl Outside) {
    let asking = Asking { isolate, config, outside };
    let answered = asking.ask().await;
    if !answered {
        asking.fall_back().await;
    }
}

struct Asking<'a, O> {
    isolate: &'a Isolate,
    config: &'a Config,
    outside: &'a O,
}

impl<O: Outside> Asking<'_, O> {
    /// Gives whether everything is known now.
    async fn ask(&self) -> bool {
        let mut may_be_fresh = self.config.bound_seconds >= LEAST_BOUND_FOR_FRESH;
        for _ in 0..PAGES {
            let now = self.outside.now();
            self.isolate.go_on(&Subject::Changes, now);
            let Some(ask) = self.isolate.gate().map(|mut gate| {
                gate.note_look(now);
                gate.ask()
            }) else {
                return false;
            };
            let kept = match &ask {
                Ask::Snapshot { .. } => self.find_page(&ask).await,
                Ask::Since(_) if std::mem::take(&mut may_be_fresh) => {
                    let fresh = self.find_fresh().await;
                    if fresh == Learned::Nothing && self.leaves_it_to_another().await {
                        return true;
                    }
                    fresh
                }
                Ask::Since(_) => Learned::Nothing,
            };
            let learned = match kept {
                Learned::More | Learned::Complete | Learned::NewEpoch { .. } => kept,
                Learned::Nothing | Learned::Broken(_) => self.ask_authority(ask).await,
            };
            match learned {
                Learned::Complete => return true,
                Learned::More | Learned::NewEpoch { .. } => {}
                Learned::Nothing | Learned::Broken(_) => return false,
            }
        }
        false
    }

    async fn find_fresh(&self) -> Learned {
        let Some(asked) = self.begin() else { return Learned::Nothing };
        let Some(kept) = self.outside.cache_get(&self.name(FRESH)).await else { return Learned::Nothing };
        self.learn(|gate| gate.learn_fresh(self.config, &kept, asked, self.outside.now()))
    }

    /// Whether another isolate is asking the authority, and its answer can be waited for; otherwise the others are told that this one
    /// asks. Nobody need believe that sign: who put it there can delay an asking by as much as what is known is good for.
    async fn leaves_it_to_another(&self) -> bool {
        let sign = self.name(ASKING);
        let may_wait = |now| self.isolate.gate().is_some_and(|gate| gate.may_wait(self.config, now));
        if may_wait(self.outside.now()) && self.outside.cache_get(&sign).await.is_some() && may_wait(self.outside.now())
        {
            return true;
        }
        self.outside.cache_put(&sign, ASKING, ASKING_SECONDS);
        false
    }

    /// A page of a snapshot may be old: what has changed since is asked for after it.
    async fn find_page(&self, ask: &Ask) -> Learned {
        let Some(kept) = self.outside.cache_get(&self.page_name(ask)).await else { return Learned::Nothing };
        let now = self.outside.now();
        self.learn(|gate| gate.learn_last(self.config, &kept, now))
    }

    async fn ask_authority(&self, ask: Ask) -> Learned {
        let name = self.page_name(&ask);
        let Some(asked) = self.begin() else { return Learned::Nothing };
        match registry::ask(self.outside, &Call::Changes(ask)).await {
            Ok(Answer::Changes { changes, .. }) => {
                let learned = self.learn(|gate| gate.learn_changes(&changes, asked, self.outside.now()));
                self.keep(&name, changes, asked.at, &learned);
                let now = self.outside.now();
                if learned == Learned::Complete
                    && self.isolate.gate().is_some_and(|gate| gate.is_past_bound(self.config, now))
                {
                    // It took longer than the bound to say so: that is no answer to act on.
                    return self.silent("the registry answered later than the bound");
                }
                learned
            }
            Ok(_) => self.silent("the registry answered another question"),
            Err(Silent(cause)) => self.silent(&cause),
        }
    }

    fn begin(&self) -> Option<Asked> {
        Some(self.isolate.gate()?.begin_asking(self.outside.now()))
    }

    fn silent(&self, cause: &str) -> Learned {
        self.outside.log(Level::Warn, "authority_silent", &[("cause", cause)]);
        if let Some(mut gate) = self.isolate.gate() {
            gate.authority_silent(self.outside.now());
        }
        Learned::Nothing
    }

    /// Gives an answer to the data centre's cache: whole ones and pages of snapshots.
    fn keep(&self, page: &str, changes: Changes, asked_at: Millis, learned: &Learned) {
        let seconds = self.config.bound_seconds.saturating_add(self.config.grace_seconds);
        let snapshot = matches!(changes, Changes::Snapshot { .. });
        if !snapshot && *learned != Learned::Complete {
            return;
        }
        let now = self.outside.now();
        let seal = |changes| Kept { asked_at, took: now.since(asked_at), changes }.seal(&self.config.keyring);
        let Some(text) = seal(changes) else { return };
        if snapshot {
            self.outside.cache_put(page, &text, seconds);
            return;
        }
        if self.config.bound_seconds >= LEAST_BOUND_FOR_FRESH {
            self.outside.cache_put(&self.name(FRESH), &text, FRESH_SECONDS);
        }
        self.outside.cache_put(&self.name(LAST), &text, seconds);
        // The last answer alone is of no use to an isolate that is born in an outage: it follows on a snapshot, and the pages that the
        // authority gave the last one that was born may be gone.
        let known = self.isolate.gate().and_then(|mut gate| gate.snapshot_due(seconds, now));
        if let Some(text) = known.and_then(seal) {
            self.outside.cache_put(&self.name(FIRST_PAGE), &text, seconds);
        }
    }

    async fn fall_back(&self) {
        for _ in 0..PAGES {
            let Some(ask) = self.isolate.gate().map(|gate| gate.ask()) else { return };
            match ask {
                Ask::Snapshot { .. } if self.find_page(&ask).await == Learned::More => {}
                Ask::Snapshot { .. } => return,
                Ask::Since(_) => break,
            }
        }
        if let Some(kept) = self.outside.cache_get(&self.name(LAST)).await {
            let now = self.outside.now();
            self.learn(|gate| gate.learn_last(self.config, &kept, now));
        }
    }

    fn learn(&self, take: impl FnOnce(&mut crate::gate::Gate) -> Learned) -> Learned {
        let Some(learned) = self.isolate.gate().map(|mut gate| take(&mut gate)) else { return Learned::Nothing };
        match &learned {
            Learned::NewEpoch { known, now } => {
                // Nobody restores an authority unnoticed. docs/OPERATIONS.md says what to do.
                let (known, now) = (known.to_string(), now.to_string());
                self.outside.log(Level::Error, "authority_restored", &[("known_revision", &known), ("revision", &now)]);
            }
            Learned::Broken(why) => {
                self.outside.log(Level::Warn, "cache_entry_broken", &[("why", why.as_str())]);
            }
            Learned::Complete | Learned::More | Learned::Nothing => {}
        }
        learned
    }

    /// A name in the cache. Deployments of one zone share it; with another secret, which each has to have, each finds what is its own.
    fn name(&self, name: &str) -> String {
        ["changes/", self.config.keyring.current().generation().as_str(), "/", name].concat()
    }

    fn page_name(&self, ask: &Ask) -> String {
        match ask {
            Ask::Snapshot { after: None } => self.name(FIRST_PAGE),
            Ask::Snapshot { after: Some(cursor) } => self.name(&["snapshot/", &cursor.0].concat()),
            Ask::Since(_) => self.name(LAST),
        }
    }
}
