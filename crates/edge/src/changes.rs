//! Refresh of the change feed.

use super::isolate::{Isolate, LookupKey};
use super::platform::{Level, Platform};
use super::registry::{self, Unreachable};
use keyward_config::Config;
use keyward_gate::{Applied, FRESH_SECONDS, Gate, PendingQuery};
use keyward_key::sealed::Broken;
use keyward_key::time::Millis;
use keyward_protocol::feed::{CachedFeedPage, FeedPage, FeedQuery};
use keyward_protocol::{Request, Response};

/// Cache name of the last complete answer while it is fresh.
const FRESH: &str = "fresh";
/// Cache name of the last complete answer that isolates read when they start in an outage.
const LAST: &str = "last";
/// Cache name of the marker that an isolate is querying the authority.
const QUERYING: &str = "asking";
/// TTL of the marker.
const QUERYING_SECONDS: u32 = 1;
/// Cache name of the first page of the snapshot.
const FIRST_PAGE: &str = "snapshot/first";

/// Minimum bound for sharing, in seconds. With a shorter bound a shared answer is already stale when another isolate reads it.
const MIN_BOUND_FOR_SHARING_SECONDS: u32 = 5;

/// Maximum number of pages of one refresh: the largest snapshot that the gate keeps, plus the changes made while it is read.
const MAX_PAGES: usize = 32;

/// Refreshes the feed. The sources, in this order:
///
/// 1. The answer that another isolate of this data centre shared a moment ago.
/// 2. The authority, page by page until the feed is complete. Each answer is shared. If another isolate is already querying the
///    authority and this isolate's feed stays fresh for a while, this isolate skips the query and reads the other's answer later.
///    Without this rule all isolates would miss the shared answer at once, because its TTL is one second.
/// 3. If the authority is unreachable, the last answer that any isolate here received. From it, an isolate that starts in an outage
///    learns the age of its feed.
pub(super) async fn find(isolate: &Isolate, config: &Config, platform: &impl Platform) {
    let refresh = Refresh { isolate, config, platform };
    let is_complete = refresh.run().await;
    if !is_complete {
        refresh.fall_back().await;
    }
}

struct Refresh<'a, P> {
    isolate: &'a Isolate,
    config: &'a Config,
    platform: &'a P,
}

impl<P: Platform> Refresh<'_, P> {
    /// Runs the refresh. Returns `true` if no fallback is needed.
    async fn run(&self) -> bool {
        let mut may_be_shared = self.config.bound_seconds >= MIN_BOUND_FOR_SHARING_SECONDS;
        for _ in 0..MAX_PAGES {
            let now = self.platform.now();
            self.isolate.touch(&LookupKey::Changes, now);
            let Some(query) = self.isolate.gate().map(|mut gate| {
                gate.refresh_started(now);
                gate.next_query()
            }) else {
                return false;
            };
            let from_cache = match &query {
                FeedQuery::Snapshot { .. } => self.find_page(&query).await,
                FeedQuery::Since(_) if std::mem::take(&mut may_be_shared) => {
                    let shared = self.find_shared().await;
                    if shared == Applied::Nothing && self.leaves_it_to_another().await {
                        return true;
                    }
                    shared
                }
                FeedQuery::Since(_) => Applied::Nothing,
            };
            let applied = match from_cache {
                Applied::More | Applied::Complete | Applied::NewEpoch { .. } => from_cache,
                Applied::Nothing | Applied::Broken(_) => self.query_authority(query).await,
            };
            match applied {
                Applied::Complete => return true,
                Applied::More | Applied::NewEpoch { .. } => {}
                Applied::Nothing | Applied::Broken(_) => return false,
            }
        }
        false
    }

    async fn find_shared(&self) -> Applied {
        let Some(query) = self.start_query() else { return Applied::Nothing };
        let Some(text) = self.platform.cache_get(&self.name(FRESH)).await else { return Applied::Nothing };
        self.apply(|gate| gate.apply_shared(self.config, &text, query, self.platform.now()))
    }

    /// Returns whether another isolate is querying the authority and this one can wait for its answer. Otherwise writes the marker for
    /// the other isolates. The marker needs no authentication: a forged marker delays a query only while the feed stays fresh.
    async fn leaves_it_to_another(&self) -> bool {
        let marker = self.name(QUERYING);
        let may_wait = |now| self.isolate.gate().is_some_and(|gate| gate.may_wait(self.config, now));
        if may_wait(self.platform.now())
            && self.platform.cache_get(&marker).await.is_some()
            && may_wait(self.platform.now())
        {
            return true;
        }
        self.platform.cache_put(&marker, QUERYING, QUERYING_SECONDS);
        false
    }

    /// Applies a cached page of a snapshot. The page may be old: the refresh then queries the changes made since.
    async fn find_page(&self, query: &FeedQuery) -> Applied {
        let Some(text) = self.platform.cache_get(&self.page_name(query)).await else { return Applied::Nothing };
        let now = self.platform.now();
        self.apply(|gate| gate.apply_fallback(self.config, &text, now))
    }

    async fn query_authority(&self, query: FeedQuery) -> Applied {
        let name = self.page_name(&query);
        let Some(pending) = self.start_query() else { return Applied::Nothing };
        match registry::ask(self.platform, &Request::Changes(query)).await {
            Ok(Response::Changes { changes, .. }) => {
                let applied = self.apply(|gate| gate.apply_authority(&changes, pending, self.platform.now()));
                self.share(&name, changes, pending.at, &applied);
                let now = self.platform.now();
                if let Some(mut usage) = self.isolate.usage() {
                    usage.metrics.authority_answered(now);
                }
                if applied == Applied::Complete
                    && self.isolate.gate().is_some_and(|gate| gate.is_past_bound(self.config, now))
                {
                    // The answer took longer than the bound, so it is stale on arrival.
                    return self.unreachable("the registry answered later than the bound");
                }
                applied
            }
            Ok(_) => self.unreachable("the registry answered another query"),
            Err(Unreachable(cause)) => self.unreachable(&cause),
        }
    }

    fn start_query(&self) -> Option<PendingQuery> {
        Some(self.isolate.gate()?.start_query(self.platform.now()))
    }

    fn unreachable(&self, cause: &str) -> Applied {
        self.platform.log(Level::Warn, "authority_query_failed", &[("cause", cause)]);
        self.isolate.authority_failed(self.platform.now());
        Applied::Nothing
    }

    /// Writes an answer to the data centre's cache if it is complete or is a page of a snapshot.
    fn share(&self, page_name: &str, changes: FeedPage, asked_at: Millis, applied: &Applied) {
        let ttl_seconds = self.config.bound_seconds.saturating_add(self.config.grace_seconds);
        let is_snapshot = matches!(changes, FeedPage::Snapshot { .. });
        if !is_snapshot && *applied != Applied::Complete {
            return;
        }
        let now = self.platform.now();
        let seal = |changes| CachedFeedPage { asked_at, took: now.since(asked_at), changes }.seal(&self.config.keyring);
        let Some(text) = seal(changes) else { return };
        if is_snapshot {
            self.platform.cache_put(page_name, &text, ttl_seconds);
            return;
        }
        if self.config.bound_seconds >= MIN_BOUND_FOR_SHARING_SECONDS {
            self.platform.cache_put(&self.name(FRESH), &text, FRESH_SECONDS);
        }
        self.platform.cache_put(&self.name(LAST), &text, ttl_seconds);
        // The last answer alone does not help an isolate that starts in an outage: it continues a snapshot, and the snapshot's cached
        // pages may have been evicted.
        let snapshot = self.isolate.gate().and_then(|mut gate| gate.snapshot_due(ttl_seconds, now));
        if let Some(text) = snapshot.and_then(seal) {
            self.platform.cache_put(&self.name(FIRST_PAGE), &text, ttl_seconds);
        }
    }

    async fn fall_back(&self) {
        for _ in 0..MAX_PAGES {
            let Some(query) = self.isolate.gate().map(|gate| gate.next_query()) else { return };
            match query {
                FeedQuery::Snapshot { .. } if self.find_page(&query).await == Applied::More => {}
                FeedQuery::Snapshot { .. } => return,
                FeedQuery::Since(_) => break,
            }
        }
        if let Some(text) = self.platform.cache_get(&self.name(LAST)).await {
            let now = self.platform.now();
            self.apply(|gate| gate.apply_fallback(self.config, &text, now));
        }
    }

    /// Applies an answer to the gate and logs a restored authority, an unknown version or a failure.
    fn apply(&self, apply: impl FnOnce(&mut Gate) -> Applied) -> Applied {
        let now = self.platform.now();
        let applied = self.isolate.gate().map(|mut gate| {
            let known_ms = gate.authority_age_ms(now);
            let applied = apply(&mut gate);
            // Taken even if the age is unknown: the next answer must not count it.
            let has_revoked = gate.take_revoked();
            (applied, known_ms.filter(|_| has_revoked))
        });
        let Some((applied, revoked_within_ms)) = applied else { return Applied::Nothing };
        // The revocation was made after the query whose answer lacked it, so this is an upper bound by one clock.
        if let (Some(within_ms), Some(mut usage)) = (revoked_within_ms, self.isolate.usage()) {
            usage.metrics.revocation_applied(within_ms);
        }
        match &applied {
            Applied::NewEpoch { known, now } => {
                // A restored authority is always logged. docs/operations.md describes the response.
                let (known, now) = (known.to_string(), now.to_string());
                self.platform.log(
                    Level::Error,
                    "authority_restored",
                    &[("known_revision", &known), ("revision", &now)],
                );
            }
            // During a deployment a newer version of the worker runs beside this one. This version skips its entries.
            Applied::Broken(Broken::Newer) => {}
            Applied::Broken(why) => {
                self.platform.log(Level::Warn, "cache_entry_broken", &[("why", why.as_str())]);
            }
            Applied::Complete | Applied::More | Applied::Nothing => {}
        }
        applied
    }

    /// Returns the cache name of an entry. Deployments in one zone share the cache, so the name contains the generation of the secret.
    fn name(&self, name: &str) -> String {
        ["changes/", self.config.keyring.current().generation().as_str(), "/", name].concat()
    }

    fn page_name(&self, query: &FeedQuery) -> String {
        match query {
            FeedQuery::Snapshot { after: None } => self.name(FIRST_PAGE),
            FeedQuery::Snapshot { after: Some(cursor) } => self.name(&["snapshot/", &cursor.0].concat()),
            FeedQuery::Since(_) => self.name(LAST),
        }
    }
}
