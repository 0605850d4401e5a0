//! A refusal: a public problem for the caller, and an internal reason for the log.

use super::usage::{KeyUse, RefusedUse};
use keyward_http::forwarded_request::ForwardAuthError;
use keyward_http::head::BadHead;
use keyward_http::problem::{Code, Problem};
use keyward_http::rate_limit::{Left, rate_limit_fields};
use keyward_key::format::Malformed;
use keyward_key::id::KeyId;
use keyward_key::limit::Limit;
use keyward_protocol::lease::LimitState;

use super::leases::{Exhausted, seconds_of};

/// Internal reason. Never shown to a caller: several reasons deliberately share one public answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is a short name for the log, documented by the check that returns it")]
pub enum Reason {
    Head(BadHead),
    KeyInUrl,
    Host,
    NoRoute,
    Method,
    Preflight,
    NoCredential,
    Ambiguous,
    OtherScheme,
    Malformed(Malformed),
    Tag,
    MemberCredential,
    PlainHttp,
    Browser,
    AuthorityUnreachable,
    RecordUnknown,
    UnknownId,
    WrongSecret,
    Revoked,
    Expired,
    Quarantined,
    Address,
    NoAddress,
    Scope,
    NoOrigin,
    GateBusy,
    Unsigned,
    ForwardedRequest(ForwardAuthError),
    Verifier,
    Limit,
    LimitsUnreachable,
}

/// A request that is not forwarded.
#[derive(Debug)]
pub struct Refusal {
    /// Problem to send to the caller.
    pub problem: Problem,
    /// Reason for the log.
    pub reason: Reason,
    /// Id of the refused key, for the log. Boxed, because most refusals have none. Set only after its tag showed that it is one of ours.
    pub key_id: Option<Box<KeyId>>,
    /// Data that only the refusal of a genuine key has. Boxed, so that the other refusals stay small.
    details: Option<Box<Details>>,
}

#[derive(Debug, Default)]
struct Details {
    /// The use of a genuine key, for the counts.
    used: Option<RefusedUse>,
    /// Limits of the key that this isolate must announce as reached.
    reached: Vec<Limit>,
}

impl Refusal {
    /// Creates a refusal with the code's own title and detail.
    #[must_use]
    pub fn new(code: Code, reason: Reason) -> Self {
        Self::with(code.into(), reason)
    }

    /// Creates a refusal with its own problem.
    #[must_use]
    pub const fn with(problem: Problem, reason: Reason) -> Self {
        Self { problem, reason, key_id: None, details: None }
    }

    /// Creates the refusal of a credential that is not a valid key. The public answer is the same for every reason.
    pub(super) fn invalid_key(reason: Reason) -> Self {
        Self::new(Code::InvalidKey, reason)
    }

    /// Creates the refusal of a request over a limit.
    pub(super) fn over_limit(exhausted: &Exhausted) -> Self {
        let age_ms = exhausted.age_ms;
        let reset =
            |state: &LimitState| seconds_of(state.reset_in_ms.saturating_sub(age_ms)).max(i64::from(state.violated));
        let violated = || exhausted.limits.iter().filter(|state| state.violated);
        let retry = seconds_of(exhausted.retry_in_ms).max(1).max(violated().map(reset).max().unwrap_or_default());
        let lefts: Vec<Left<'_>> = exhausted
            .limits
            .iter()
            .map(|state| Left { name: state.limit.name(), remaining: state.remaining, reset_seconds: reset(state) })
            .collect();
        let limits: Vec<Limit> = exhausted.limits.iter().map(|state| state.limit.clone()).collect();
        let unit = if retry == 1 { "second" } else { "seconds" };
        let sentence =
            violated().next().map_or_else(String::new, |state| format!("At most {}. ", state.limit.sentence()));
        let detail = format!("{sentence}Try again in {retry} {unit}.");
        let names = violated().map(|state| state.limit.name().to_owned()).collect();
        let problem = Problem::limit_reached(detail, retry, names, rate_limit_fields(&limits, &lefts));
        let mut refusal = Self::with(problem, Reason::Limit);
        if !exhausted.announced.is_empty() {
            refusal.details.get_or_insert_default().reached.clone_from(&exhausted.announced);
        }
        refusal
    }

    /// Adds the expiry of a retiring key, which every answer to such a key contains.
    pub(super) fn by_retiring_key(mut self, expires: Option<&str>) -> Self {
        if let Some(expires) = expires {
            self.problem.key_expires(expires);
        }
        self
    }

    /// Adds the feed's age in milliseconds, which every answer within the grace contains.
    pub(super) fn during_outage(mut self, age_ms: Option<i64>) -> Self {
        if let Some(age_ms) = age_ms {
            self.problem.authority_unreachable(age_ms);
        }
        self
    }

    /// Makes the problem's `type` an absolute URL at this scheme and host.
    #[must_use]
    pub fn with_pages_at(self, base: &str) -> Self {
        Self { problem: self.problem.with_pages_at(base), ..self }
    }

    /// Adds the use of a genuine key.
    pub(super) fn of_use(mut self, used: RefusedUse) -> Self {
        self.details.get_or_insert_default().used = Some(used);
        self
    }

    /// Returns the limits of the key that this isolate must announce as reached.
    #[must_use]
    pub fn reached(&self) -> &[Limit] {
        self.details.as_ref().map_or(&[], |details| &details.reached)
    }

    /// Returns the use of a genuine key, for the counts. `None` if the key is not genuine, or its record is not known.
    #[must_use]
    pub fn used(&self) -> Option<KeyUse<'_>> {
        self.details.as_ref()?.used.as_ref()?.about(self.key_id.as_ref()?)
    }

    /// Adds the id of the refused key, for the log.
    #[must_use]
    pub fn about(self, id: KeyId) -> Self {
        Self { key_id: Some(Box::new(id)), ..self }
    }
}

impl From<BadHead> for Refusal {
    fn from(why: BadHead) -> Self {
        let problem = match why.code() {
            Code::MethodNotAllowed => Problem::method_not_allowed("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            code => match why {
                BadHead::Target(why) => Problem::detailed(code, why.detail()),
                _ => code.into(),
            },
        };
        Self::with(problem, Reason::Head(why))
    }
}

impl From<ForwardAuthError> for Refusal {
    fn from(why: ForwardAuthError) -> Self {
        Self::with(Problem::detailed(Code::InvalidRequest, why.detail()), Reason::ForwardedRequest(why))
    }
}
