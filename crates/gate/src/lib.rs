//! The decision about a request. No I/O, no clock: a state machine that is asked, and told what it needs to know.
//!
//! ```text
//! admit(head) ─► Forward(Grant)   send it on, as this key
//!             ├► Sign(Unsigned)   have its assertion signed, tell me, then send it on
//!             ├► Refuse(Refusal)  answer this
//!             └► Need(Need)       find this out, tell me, ask again
//! ```
//!
//! 1. The route is found, then the credential, then its form, check and tag: none of this reads a store.
//! 2. The feed says how old this isolate's knowledge is. Within the bound it decides; past it the authority is asked what has
//!    changed; while that is silent, what is known holds for the grace more; then the answer is 503.
//! 3. The key's record is in memory, or it is needed: from KV, if no later change of the key is known than the copy's, or from the
//!    authority.
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
mod feed;
mod forward;
mod key_cache;
mod lookup_limiter;
mod refusal;
mod sizes;
mod updates;

pub use check::{SubmittedKey, check_rights, scope_asked};
pub use feed::{Applied, FRESH_SECONDS};
pub use forward::{Grant, Plan, Unsigned};
pub use refusal::{Reason, Refusal};
pub use sizes::GateSizes;
pub use updates::PendingQuery;

use assertion::Assertions;
use feed::{Feed, Freshness};
use key_cache::{Known, Memory};
use keyward_config::{Config, Origin};
use keyward_http::credential::{Credential, CredentialHeaders};
use keyward_http::head::Head;
use keyward_http::problem::{Code, Problem};
use keyward_http::route::{Access, Matched, Route, is_own_path};
use keyward_key::format::{Presented, contains_key};
use keyward_key::id::{Class, Environment, KeyId};
use keyward_key::keyring::Recognised;
use keyward_key::record::Record;
use keyward_key::scope::Scope;
use keyward_key::sealed::Broken;
use keyward_key::time::Millis;
use keyward_protocol::feed::CompactKeyId;
use lookup_limiter::LookupLimiter;

/// How far the clock may step back before the age of all knowledge is in doubt. Less is the platform's rounding.
const STEP_BACK_MILLIS: i64 = 100;

/// What the gate wants done with a request.
pub enum Step {
    /// Send it on. Only the gate makes a grant.
    Forward(Grant),
    /// Have its assertion signed, and take the grant from [`Gate::signed`].
    Sign(Unsigned),
    /// Answer this.
    Refuse(Refusal),
    /// Find this out, tell the gate, and ask again.
    Need(Need),
}

impl Step {
    /// The grant, if there is one, signed or not.
    #[must_use]
    pub const fn grant(&self) -> Option<&Grant> {
        match self {
            Self::Forward(grant) => Some(grant),
            Self::Sign(unsigned) => Some(unsigned.grant()),
            Self::Refuse(_) | Self::Need(_) => None,
        }
    }
}

/// What the gate must be told before it can decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// What the authority has changed.
    Changes,
    /// This key's record.
    Record(KeyId),
}

/// What a copy from KV was good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyVerdict {
    /// It is the key's record, or the key is revoked: the authority need not be asked.
    Settled,
    /// The copy is authentic, but the authority has to be asked.
    Confirm,
    /// The copy is not to be believed; to be logged.
    Broken(Broken),
}

/// The gate of one isolate.
pub struct Gate {
    feed: Feed,
    memory: Memory,
    assertions: Assertions,
    lookups: LookupLimiter,
    /// The latest instant that the isolate's clock has shown here.
    latest: Option<Millis>,
    /// How often it was seen to step back.
    steps: u64,
    outage_logged: Option<Millis>,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(GateSizes::default(), 0)
    }
}

impl Gate {
    /// Creates an empty gate. `jitter` is a random byte: isolates that differ in it ask the authority at different moments.
    #[must_use]
    pub fn new(sizes: GateSizes, jitter: u8) -> Self {
        Self {
            feed: Feed::new(sizes, jitter),
            memory: Memory::new(sizes),
            assertions: Assertions::new(sizes.assertion_bytes),
            lookups: LookupLimiter::new(sizes.lookups_per_second),
            latest: None,
            steps: 0,
            outage_logged: None,
        }
    }

    /// Decides about a request at `now`, by the isolate's clock. The order of the checks is the contract's.
    pub fn admit(&mut self, config: &Config, head: &Head<'_>, now: Millis) -> Step {
        self.note_clock(now);
        match self.decide(config, head, now) {
            Ok(step) => step,
            Err(refusal) => Step::Refuse(refusal),
        }
    }

    fn decide(&mut self, config: &Config, head: &Head<'_>, now: Millis) -> Result<Step, Refusal> {
        refuse_key_in_url(config, head)?;
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
        let short = CompactKeyId::of(&id).ok_or_else(|| Refusal::invalid_key(Reason::MemberCredential))?;
        let unreachable = match self.feed.standing(config, now, route.closed_on_outage) {
            Freshness::Fresh => None,
            Freshness::StaleWithinGrace(age) => Some(age),
            Freshness::RefreshRequired => return Ok(Step::Need(Need::Changes)),
            Freshness::Unavailable => {
                return Err(Refusal::new(Code::AuthorityUnavailable, Reason::AuthorityUnreachable).about(id));
            }
        };
        let position = self.feed.position().map_or(0, |position| position.revision);
        let known = match self.memory.get(short, position, now) {
            None => return Ok(Step::Need(Need::Record(id))),
            Some(Known::Missing { .. }) => {
                return Err(Refusal::invalid_key(Reason::UnknownId).about(id).during_outage(unreachable));
            }
            Some(Known::Record(known)) => known,
        };
        check_alive(&known.record, &recognised, now)
            .map_err(|refusal| refusal.about(id.clone()).during_outage(unreachable))?;
        let origin = check_use(config, &known.record, scope, environment, head).map_err(|refusal| {
            refusal.about(id).by_retiring_key(known.retires.as_deref()).during_outage(unreachable)
        })?;
        let assertion = self.assertions.of(config, route, head, origin, &known.record, now);
        let (identity, retires) = (known.identity.clone(), known.retires.clone());
        Ok(Grant::as_key(origin.clone(), strip, identity, retires, unreachable, assertion))
    }

    /// Takes the signed assertion of a request: it may be forwarded.
    pub fn signed(&mut self, unsigned: Unsigned, jwt: String) -> Grant {
        unsigned.signed(jwt.into(), &mut self.assertions)
    }

    /// Once the clock steps back, the age of what was learned before can't be told: it would pass for younger than it is. What is
    /// known stays, and the authority is asked what has changed since.
    fn note_clock(&mut self, now: Millis) {
        let stepped_back = self.latest.is_some_and(|latest| now.since(latest) < -STEP_BACK_MILLIS);
        if stepped_back && !keyward_fault::fault!("a step of the clock is ignored") {
            self.feed.mark_age_unknown();
            self.steps = self.steps.saturating_add(1);
            self.latest = Some(now);
        }
        self.latest = self.latest.max(Some(now));
    }

    /// Whether it is time to ask, beside the requests, what the authority has changed.
    #[must_use]
    pub fn is_refresh_due(&self, config: &Config, now: Millis) -> bool {
        self.feed.is_due(config, now)
    }

    /// How many keys are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.memory.len()
    }
}

/// A well-formed key anywhere in the URL, decoded once, is refused on every address, Keyward's own too.
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

fn find_route<'c>(config: &'c Config, head: &Head<'_>) -> Result<&'c Route, Refusal> {
    let path = head.target().path();
    if is_own_path(path) {
        return Err(Refusal::new(Code::NoRoute, Reason::NoRoute));
    }
    // A browser asks before it sends: the answer for a key route must not invite it.
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

/// Finds the credential and recognises it as ours: form, check and tag. Reads no store.
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

/// Recognises a text as one of our credentials: form, check and tag.
fn recognise_text<'a>(config: &Config, text: &'a str) -> Result<(Presented<'a>, Recognised), Refusal> {
    let presented =
        Presented::parse(text, &config.prefix).map_err(|why| Refusal::invalid_key(Reason::Malformed(why)))?;
    let recognised = config.keyring.recognise(&presented).ok_or_else(|| Refusal::invalid_key(Reason::Tag))?;
    Ok((presented, recognised))
}

/// Whether it is this key, and it still opens something.
fn check_alive(record: &Record, recognised: &Recognised, now: Millis) -> Result<(), Refusal> {
    if !record.key_hash.matches(recognised.hash()) {
        return Err(Refusal::invalid_key(Reason::WrongSecret));
    }
    if record.revoked {
        return Err(Refusal::new(Code::RevokedKey, Reason::Revoked));
    }
    if now >= record.expires_at {
        return Err(Refusal::new(Code::ExpiredKey, Reason::Expired));
    }
    Ok(())
}

/// Whether the key may be used so: from there, for this scope, where there is an origin. Gives the origin.
fn check_use<'c>(
    config: &'c Config,
    record: &Record,
    scope: &Scope,
    environment: Environment,
    head: &Head<'_>,
) -> Result<&'c Origin, Refusal> {
    check_rights(record, [scope], head.client_address())?;
    origin_for(config, environment).ok_or_else(|| Refusal::new(Code::NoOrigin, Reason::NoOrigin))
}

const fn origin_for(config: &Config, environment: Environment) -> Option<&Origin> {
    match environment {
        Environment::Live => Some(&config.origin_live),
        Environment::Test => config.origin_test.as_ref(),
    }
}
