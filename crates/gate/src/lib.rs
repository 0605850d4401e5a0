//! The decision about a request: a state machine without I/O and without a clock. It either decides or returns the lookup it needs.
//!
//! ```text
//! admit(head) ─► Forward(Grant)   forward the request with this key's identity
//!             ├► Sign(Unsigned)   sign its assertion, pass it to `signed`, then forward
//!             ├► Refuse(Refusal)  answer with this problem
//!             └► Need(Need)       do this lookup, apply the result, call `admit` again
//! ```
//!
//! 1. Check the route, then the credential's form, check digits and tag. None of this reads a store.
//! 2. Check the freshness of the feed. Within the bound the gate decides. After the bound the authority must be queried. While the
//!    authority is unreachable, the gate keeps deciding for the grace; after that the answer is 503.
//! 3. Check the record. It comes from the cache; otherwise from KV, unless the feed knows a newer change; otherwise from the authority.
#![forbid(unsafe_code)]
#![deny(missing_docs, clippy::disallowed_methods)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::arithmetic_side_effects,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason
    )
)]

mod assertion;
mod check;
mod connection;
mod exposure;
mod feed;
mod forward;
mod identity;
mod key_cache;
pub mod leases;
mod limited;
mod min_revisions;
mod refusal;
mod sizes;
mod updates;
mod usage;

pub use check::{SubmittedKey, check_rights, scope_asked};
pub use connection::{Checked, Closing, Connection, TOO_OLD};
pub use exposure::{exposed_keys, exposure_kind, route_asked};
pub use feed::{Applied, FRESH_SECONDS};
pub use forward::{Grant, Plan, Unsigned};
pub use leases::Spending;
pub use limited::cost_asked;
pub use refusal::{Reason, Refusal};
pub use sizes::GateSizes;
pub use updates::PendingQuery;
pub use usage::KeyUse;

use std::borrow::Cow;
use std::sync::Arc;

use assertion::Assertions;
use feed::{Feed, Freshness};
use forward::GrantedKey;
use key_cache::{Entry, KeyCache};
use keyward_config::{Config, Origin};
use keyward_http::credential::{Credential, CredentialHeaders};
use keyward_http::head::Head;
use keyward_http::limits::LEASED_GROUPS;
use keyward_http::origin::origin_of;
use keyward_http::problem::{Code, Problem};
use keyward_http::route::{Access, Matched, Route, is_own_path};
use keyward_key::format::{Presented, contains_key};
use keyward_key::id::{Class, Environment, KeyId};
use keyward_key::keyring::Recognised;
use keyward_key::record::Record;
use keyward_key::sealed::Broken;
use keyward_key::time::Millis;
use keyward_protocol::feed::CompactKeyId;
use leases::LeaseBook;
use limited::{Counted, count};
use usage::RefusedUse;

/// Maximum step back of the clock that is ignored as rounding, in milliseconds. A larger step makes every age unknown.
const CLOCK_STEP_TOLERANCE_MS: i64 = 100;

/// Result of [`Gate::admit`].
pub enum Step {
    /// Forward the request. Only the gate creates a grant.
    Forward(Grant),
    /// Sign the request's assertion, then get the grant from [`Gate::signed`].
    Sign(Unsigned),
    /// Answer with this refusal.
    Refuse(Refusal),
    /// Do this lookup, apply the result to the gate, and call [`Gate::admit`] again.
    Need(Need),
}

impl Step {
    /// Returns the grant, signed or not.
    #[must_use]
    pub const fn grant(&self) -> Option<&Grant> {
        match self {
            Self::Forward(grant) => Some(grant),
            Self::Sign(unsigned) => Some(unsigned.grant()),
            Self::Refuse(_) | Self::Need(_) => None,
        }
    }
}

/// Data that the gate needs before it can decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The authority's latest changes.
    Changes,
    /// This key's record.
    Record(KeyId),
    /// More units for limited keys, from the object of this number.
    Lease(u32),
}

/// Result of [`Gate::apply_copy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyVerdict {
    /// The copy was used: it is current, or the key is revoked. The authority is not needed.
    Settled,
    /// The copy is authentic, but the authority must be queried.
    Confirm,
    /// The copy is not authentic. Must be logged.
    Broken(Broken),
}

/// The gate of one isolate.
pub struct Gate {
    feed: Feed,
    cache: KeyCache,
    assertions: Assertions,
    leases: LeaseBook,
    /// Latest time shown by the isolate's clock.
    latest: Option<Millis>,
    /// Number of times that the clock stepped back.
    steps: u64,
    outage_logged_at: Option<Millis>,
    /// A revocation was applied since [`Gate::take_revoked`].
    has_revoked: bool,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(GateSizes::default(), 0)
    }
}

impl Gate {
    /// Creates an empty gate. `jitter` is a random byte that spreads the isolates' queries to the authority over time.
    #[must_use]
    pub fn new(sizes: GateSizes, jitter: u8) -> Self {
        Self {
            feed: Feed::new(sizes, jitter),
            cache: KeyCache::new(sizes),
            assertions: Assertions::new(sizes.assertion_bytes),
            leases: LeaseBook::new(LEASED_GROUPS),
            latest: None,
            has_revoked: false,
            steps: 0,
            outage_logged_at: None,
        }
    }

    /// Decides about a request at `now`, by the isolate's clock. The order of the checks is part of the public behaviour.
    pub fn admit(&mut self, config: &Config, head: &Head<'_>, now: Millis) -> Step {
        self.note_clock(now);
        match self.decide(config, head, now) {
            Ok(step) => step,
            Err(refusal) => Step::Refuse(refusal),
        }
    }

    fn decide(&mut self, config: &Config, head: &Head<'_>, now: Millis) -> Result<Step, Refusal> {
        refuse_key_in_url(config, head)?;
        if !config.forwards_from(head) {
            return Err(Refusal::new(Code::MisdirectedRequest, Reason::Host));
        }
        let route = find_route(config, head)?;
        let Access::Scope(scope) = &route.access else {
            let strip = Credential::strip_public(head, &config.prefix);
            return Ok(Step::Forward(Grant::public(config.origin_live.clone(), strip)));
        };
        let (presented, recognised, strip) = recognise(config, head)?;
        let Class::Data(environment) = presented.class() else {
            return Err(Refusal::invalid_key(Reason::MemberCredential));
        };
        if config.require_https && !head.https() {
            return Err(Refusal::new(Code::InsecureTransport, Reason::PlainHttp));
        }
        if config.refuse_browsers && head.from_browser() {
            return Err(Refusal::new(Code::BrowserExposed, Reason::Browser));
        }
        let id = KeyId::parse(presented.id()).ok_or_else(|| Refusal::invalid_key(Reason::MemberCredential))?;
        let compact = CompactKeyId::of(&id).ok_or_else(|| Refusal::invalid_key(Reason::MemberCredential))?;
        let outage_age_ms = match self.feed.freshness(config, now, route.closed_on_outage) {
            Freshness::Fresh => None,
            Freshness::StaleWithinGrace(age_ms) => Some(age_ms),
            Freshness::RefreshRequired => return Ok(Step::Need(Need::Changes)),
            Freshness::Unavailable => {
                let refusal = Refusal::new(Code::AuthorityUnavailable, Reason::AuthorityUnreachable);
                return Err(refusal.about(id).of_use(RefusedUse::new(compact, route.text(), None)));
            }
        };
        let key = match self.cache.get(compact, self.feed.revision(), now) {
            None => return Ok(Step::Need(Need::Record(id))),
            Some(Entry::Negative { .. }) => {
                return Err(Refusal::invalid_key(Reason::UnknownId).about(id).during_outage(outage_age_ms));
            }
            Some(Entry::Found(key)) => key,
        };
        let used = || RefusedUse::new(compact, route.text(), Some(&key.record.integration));
        check_alive(&key.record, &recognised, now).map_err(|refusal| {
            let is_genuine = refusal.reason != Reason::WrongSecret;
            let refusal = refusal.about(id.clone()).during_outage(outage_age_ms);
            if is_genuine { refusal.of_use(used()) } else { refusal }
        })?;
        let refused = |refusal: Refusal| {
            let refusal = refusal.about(id.clone()).of_use(used());
            refusal.by_retiring_key(key.retires_at.as_deref()).during_outage(outage_age_ms)
        };
        check_rights(&key.record, [scope], head.client_address()).map_err(refused)?;
        let origin = origin_for(config, environment);
        let counted = match key.limits(config) {
            None => None,
            Some(limits) => match count(&mut self.leases, limits, Spending::on(route, config, now), origin.is_some()) {
                Counted::Granted(receipt) => receipt,
                Counted::Renew => return Ok(Step::Need(Need::Lease(limits.shard))),
                Counted::Refused(refusal) => return Err(refused(*refusal)),
            },
        };
        let origin = origin.ok_or_else(|| refused(Refusal::new(Code::NoOrigin, Reason::NoOrigin)))?;
        let granted = GrantedKey {
            identity_headers: key.identity_headers.clone(),
            retires_at: key.retires_at.clone(),
            used: (compact, Arc::clone(route.text())),
            assertion: self.assertions.of(
                &config.issuer(head),
                &audience(origin, head),
                &key.identity,
                route.own_assertion,
                now,
            ),
            counted,
        };
        Ok(Grant::keyed(origin.clone(), strip, granted, outage_age_ms))
    }

    /// Adds the signed assertion to a request and returns the grant to forward it.
    pub fn signed(&mut self, unsigned: Unsigned, jwt: String) -> Grant {
        unsigned.signed(jwt.into(), &mut self.assertions)
    }

    /// Detects a clock that stepped back. State learned earlier would then look younger than it is, so its age is marked as unknown and
    /// the authority must be queried. The state itself is kept.
    fn note_clock(&mut self, now: Millis) {
        let stepped_back = self.latest.is_some_and(|latest| now.since(latest) < -CLOCK_STEP_TOLERANCE_MS);
        if stepped_back && !keyward_fault::fault!("a step of the clock is ignored") {
            self.feed.mark_age_unknown();
            self.leases.clock_stepped_back();
            self.steps = self.steps.saturating_add(1);
            self.latest = Some(now);
        }
        self.latest = self.latest.max(Some(now));
    }

    /// Returns whether a background refresh of the feed is due.
    #[must_use]
    pub fn is_refresh_due(&self, config: &Config, now: Millis) -> bool {
        self.feed.is_refresh_due(config, now)
    }

    /// Returns the number of keys in the cache.
    #[must_use]
    pub fn cached_keys(&self) -> usize {
        self.cache.len()
    }
}

/// Refuses a request whose URL contains a well-formed key, as sent or percent-decoded once, on every path including Keyward's own.
///
/// # Errors
/// [`Code::KeyInUrl`].
pub fn refuse_key_in_url(config: &Config, head: &Head<'_>) -> Result<(), Refusal> {
    let target = head.target().as_sent();
    let plain = || contains_key(target.as_bytes(), &config.prefix);
    let decoded = || {
        target.contains('%') && {
            let bytes: Vec<u8> = percent_encoding::percent_decode_str(target).collect();
            contains_key(&bytes, &config.prefix)
        }
    };
    if plain() || decoded() || contains_key(head.base().as_bytes(), &config.prefix) {
        return Err(Refusal::new(Code::KeyInUrl, Reason::KeyInUrl));
    }
    Ok(())
}

/// Returns the refusal of an API request on the control-plane host, which never serves the API: `misdirected_request` if a route has
/// the path, with any method; `no_route` otherwise.
#[must_use]
pub fn refuse_on_control_host(config: &Config, head: &Head<'_>) -> Refusal {
    match config.routes.find(head.method(), head.target().path()) {
        Matched::Route(_) | Matched::OtherMethods(_) => Refusal::new(Code::MisdirectedRequest, Reason::Host),
        Matched::Nothing => Refusal::new(Code::NoRoute, Reason::NoRoute),
    }
}

/// Returns the texts of a URL in which a key may be: path and query as sent, percent-decoded once, and scheme and host.
fn url_texts<'a>(head: &Head<'a>) -> [Cow<'a, [u8]>; 3] {
    let target = head.target().as_sent();
    let decoded: Cow<'a, [u8]> = percent_encoding::percent_decode_str(target).into();
    [target.as_bytes().into(), decoded, head.base().as_bytes().into()]
}

fn find_route<'c>(config: &'c Config, head: &Head<'_>) -> Result<&'c Route, Refusal> {
    let path = head.target().path();
    if is_own_path(path) {
        return Err(Refusal::new(Code::NoRoute, Reason::NoRoute));
    }
    // A browser sends a preflight first. The answer for a route that needs a key must not permit the actual request.
    if let Some(method) = head.preflight_for().filter(|_| config.refuse_browsers) {
        let for_key = |method| matches!(config.routes.find(method, path), Matched::Route(route) if route.access != Access::Public);
        let public_options =
            matches!(config.routes.find("OPTIONS", path), Matched::Route(route) if route.access == Access::Public);
        if for_key("OPTIONS") || (for_key(method) && !public_options) {
            return Err(Refusal::new(Code::BrowserExposed, Reason::Preflight));
        }
    }
    match config.routes.find(head.method(), path) {
        Matched::Route(route) => Ok(route),
        Matched::OtherMethods(allow) => Err(Refusal::with(Problem::method_not_allowed(allow), Reason::Method)),
        Matched::Nothing => Err(Refusal::new(Code::NoRoute, Reason::NoRoute)),
    }
}

/// Finds the credential and verifies its form, check digits and tag. Reads no store.
fn recognise<'a>(config: &Config, head: &Head<'a>) -> Result<(Presented<'a>, Recognised, CredentialHeaders), Refusal> {
    let (credential, strip) = Credential::find(head, &config.prefix);
    let text = match credential {
        Credential::Absent => return Err(Refusal::new(Code::MissingKey, Reason::NoCredential)),
        Credential::Ambiguous => return Err(Refusal::new(Code::AmbiguousCredentials, Reason::Ambiguous)),
        Credential::OtherScheme => return Err(Refusal::invalid_key(Reason::OtherScheme)),
        Credential::Candidate(text) => text,
    };
    let (presented, recognised) = recognise_text(config, text)?;
    Ok((presented, recognised, strip))
}

/// Parses a text as one of our credentials and verifies its form, check digits and tag.
fn recognise_text<'a>(config: &Config, text: &'a str) -> Result<(Presented<'a>, Recognised), Refusal> {
    let presented =
        Presented::parse(text, &config.prefix).map_err(|why| Refusal::invalid_key(Reason::Malformed(why)))?;
    let recognised = config.keyring.recognise(&presented).ok_or_else(|| Refusal::invalid_key(Reason::Tag))?;
    Ok((presented, recognised))
}

/// Checks that the record has this key's hash, and that the key is neither revoked nor expired nor quarantined.
fn check_alive(record: &Record, recognised: &Recognised, now: Millis) -> Result<(), Refusal> {
    if !record.key_hash.matches(recognised.hash()) {
        return Err(Refusal::invalid_key(Reason::WrongSecret));
    }
    check_state(record, now)
}

/// Checks that a key is neither revoked nor expired nor quarantined. Used for new requests and for open connections.
fn check_state(record: &Record, now: Millis) -> Result<(), Refusal> {
    if record.revoked {
        return Err(Refusal::new(Code::RevokedKey, Reason::Revoked));
    }
    if now >= record.expires_at {
        return Err(Refusal::new(Code::ExpiredKey, Reason::Expired));
    }
    if record.quarantined.is_some() {
        return Err(Refusal::new(Code::QuarantinedKey, Reason::Quarantined));
    }
    Ok(())
}

/// Returns the origin's scheme and host, the audience of an assertion.
fn audience<'a>(origin: &'a Origin, head: &Head<'a>) -> Cow<'a, str> {
    match origin {
        Origin::Route => origin_of(head.base()),
        Origin::Base(base) => base.into(),
    }
}

const fn origin_for(config: &Config, environment: Environment) -> Option<&Origin> {
    match environment {
        Environment::Live => Some(&config.origin_live),
        Environment::Test => config.origin_test.as_ref(),
    }
}
