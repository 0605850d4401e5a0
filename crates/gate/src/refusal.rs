//! A refusal: what the caller is told, and what only the log is told.

use keyward_http::forwarded_request::ForwardAuthError;
use keyward_http::head::BadHead;
use keyward_http::problem::{Code, Problem};
use keyward_key::format::Malformed;
use keyward_key::id::KeyId;

/// The inner reason. Never shown to a caller: several of them share one public answer on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is a short name for the log; what it means stands where it is made")]
pub enum Reason {
    Head(BadHead),
    KeyInUrl,
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
    Address,
    NoAddress,
    Scope,
    NoOrigin,
    GateBusy,
    Unsigned,
    ForwardedRequest(ForwardAuthError),
    Verifier,
}

/// A request that is not forwarded.
#[derive(Debug)]
pub struct Refusal {
    /// For the caller.
    pub problem: Problem,
    /// For the log.
    pub reason: Reason,
    /// For the log: the key it was about, once its tag showed that it is one of ours.
    pub key_id: Option<KeyId>,
}

impl Refusal {
    /// A refusal with a code's own words.
    #[must_use]
    pub fn new(code: Code, reason: Reason) -> Self {
        Self::with(code.into(), reason)
    }

    /// A refusal with a problem made for it.
    #[must_use]
    pub const fn with(problem: Problem, reason: Reason) -> Self {
        Self { problem, reason, key_id: None }
    }

    /// The one answer for everything that is no valid key.
    pub(super) fn invalid_key(reason: Reason) -> Self {
        Self::new(Code::InvalidKey, reason)
    }

    /// The answer to a retiring key says until when it goes on, whatever else it says.
    pub(super) fn by_retiring_key(mut self, expires: Option<&str>) -> Self {
        if let Some(expires) = expires {
            self.problem.key_expires(expires);
        }
        self
    }

    /// During the grace every answer says so.
    pub(super) fn during_outage(mut self, age: Option<i64>) -> Self {
        if let Some(age) = age {
            self.problem.authority_unreachable(age);
        }
        self
    }

    /// Names the key that the refusal is about, for the log.
    #[must_use]
    pub fn about(self, id: KeyId) -> Self {
        Self { key_id: Some(id), ..self }
    }
}

impl From<BadHead> for Refusal {
    fn from(why: BadHead) -> Self {
        let problem = match why.code() {
            Code::MethodNotAllowed => Problem::method_not_allowed("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            code => code.into(),
        };
        Self::with(problem, Reason::Head(why))
    }
}

impl From<ForwardAuthError> for Refusal {
    fn from(why: ForwardAuthError) -> Self {
        Self::with(Problem::detailed(Code::InvalidRequest, why.detail()), Reason::ForwardedRequest(why))
    }
}
