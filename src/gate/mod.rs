//! The decision about a request. No I/O, no clock: a state machine that is asked, and told what it needs to know.
//!
//! ```text
//! admit(head) ─► Forward(Grant)   send it on, as this key
//!             ├► Refuse(Refusal)  answer this
//!             └► Need(Need)       ask KV and the registry about this key, tell me, ask again
//! ```
//!
//! 1. The route is found, then the credential, then its form, check and tag: none of this reads a store.
//! 2. The record in memory decides, if the authority was asked about it within the bound.
//! 3. Otherwise the record is needed. A copy from KV can only refuse: what accepts is the authority's own word.
//! 4. While the authority is silent, what it said last holds for the grace more; then the answer is 503.
#![forbid(unsafe_code)]

mod check;
mod forward;
mod memory;
mod refusal;

pub use check::{Handed, check_rights, scope_asked};
pub use forward::{Grant, Plan};
pub use memory::CopyVerdict;
pub use refusal::{Reason, Refusal};

use crate::config::{Config, Origin};
use crate::http::credential::{Credential, Strip};
use crate::http::head::Head;
use crate::http::problem::{Code, Problem};
use crate::http::route::{Access, METADATA_PATH, Matched, Route};
use crate::key::format::{Presented, contains_key};
use crate::key::house::Recognised;
use crate::key::id::{Class, Environment, KeyId};
use crate::key::record::Record;
use crate::key::scope::Scope;
use crate::time::Millis;
use memory::{Age, Memory};

/// How long the silence of the authority is taken for granted before it is asked again, so that an outage doesn't make
/// every request wait.
const SILENCE_MILLIS: i64 = 1_000;

/// How far the clock may step back before everything learned so far is forgotten. Less is the platform's rounding.
const STEP_BACK_MILLIS: i64 = 100;

/// What the gate wants done with a request.
pub enum Step {
    /// Send it on. Only the gate makes a grant.
    Forward(Grant),
    /// Answer this.
    Refuse(Refusal),
    /// Find out about this key, tell the gate, and ask again.
    Need(Need),
}

/// What the gate must be told before it can decide.
pub struct Need {
    /// The key it is about.
    pub id: KeyId,
    /// Nothing is known of it yet, so a copy from KV may already settle it.
    pub first_use: bool,
}

/// The gate of one isolate.
pub struct Gate {
    memory: Memory,
    silent_since: Option<Millis>,
    /// The latest instant that the isolate's clock has shown here.
    latest: Option<Millis>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { memory: Memory::new(), silent_since: None, latest: None }
    }
}

impl Gate {
    /// Decides about a request at `now`, by the isolate's clock. The order of the checks is the contract's.
    pub fn admit(&mut self, config: &Config, head: &Head<'_>, now: Millis) -> Step {
        self.forget_the_future(now);
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
        let silent = self.silent_since.is_some_and(|since| (0..SILENCE_MILLIS).contains(&now.since(since)));
        let known = match self.memory.get(&id, now, config) {
            Some((known, Age::Fresh)) => known,
            Some((known, Age::Grace)) if silent && !route.closed_on_outage => known,
            _ if silent => return Err(Refusal::new(Code::AuthorityUnavailable, Reason::AuthoritySilent).about(id)),
            known => return Ok(Step::Need(Need { first_use: known.is_none(), id })),
        };
        let record = known.record.as_ref().ok_or_else(|| Refusal::invalid_key(Reason::UnknownId).about(id.clone()))?;
        check_alive(record, &recognised, now).map_err(|refusal| refusal.about(id.clone()))?;
        let origin = check_use(config, record, scope, environment, head)
            .map_err(|refusal| refusal.about(id.clone()).by_retiring_key(known.retires.as_deref()))?;
        Ok(Step::Forward(Grant::as_key(origin.clone(), strip, known.identity.clone(), known.retires.clone())))
    }

    /// What was learned while the clock was ahead has a wrong age for ever: once the clock gets there again it would pass for
    /// fresh. So nothing of it is kept when the clock steps back.
    fn forget_the_future(&mut self, now: Millis) {
        if self.latest.is_some_and(|latest| now.since(latest) < -STEP_BACK_MILLIS) {
            *self = Self::default();
        }
        self.note_clock(now);
    }

    fn note_clock(&mut self, now: Millis) {
        self.latest = self.latest.max(Some(now));
    }

    /// Takes what KV holds under a key's name, asked for at `asked_at`. Only a final refusal is believed.
    pub fn learn_copy(&mut self, config: &Config, id: &KeyId, stored: &str, asked_at: Millis) -> CopyVerdict {
        self.note_clock(asked_at);
        self.memory.learn_copy(&config.keyring, id, stored, asked_at)
    }

    /// Takes the authority's word on a key: its record, or that there is none. `asked_at` is the isolate's clock before asking.
    pub fn learn_record(&mut self, id: KeyId, record: Option<Record>, asked_at: Millis) {
        self.note_clock(asked_at);
        self.silent_since = None;
        self.memory.learn(id, record, asked_at);
    }

    /// Takes note that the authority didn't answer at `now`.
    pub const fn authority_silent(&mut self, now: Millis) {
        self.silent_since = Some(now);
    }

    /// How many keys are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.memory.len()
    }
}

/// Whether a path is Keyward's own: `/_keyward` in any letter case and what is below it, and exactly the metadata's address,
/// which stands elsewhere. Such a path is never forwarded.
#[must_use]
pub fn is_own_path(path: &str) -> bool {
    let own = "/_keyward";
    path.get(..own.len()).is_some_and(|start| start.eq_ignore_ascii_case(own))
        && matches!(path.as_bytes().get(own.len()), None | Some(b'/'))
        || path == METADATA_PATH
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
fn recognise<'a>(config: &Config, head: &Head<'a>) -> Result<(Presented<'a>, Recognised, Strip), Refusal> {
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
