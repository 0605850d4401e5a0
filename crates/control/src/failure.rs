//! Failures of a request to the control plane.

use super::oauth::OAuthError;
use keyward_http::problem::{Code, Problem};
use keyward_http::reply::Reply;
use keyward_key::entropy::EntropyFailed;

/// A failure, with the response that it causes.
#[derive(Debug)]
pub enum Failure {
    /// A problem (RFC 9457).
    Problem(Problem),
    /// An error in the form of OAuth (RFC 6749, section 5.2).
    OAuth(OAuthError),
    /// An internal fault: logged under this name, and answered with this code.
    Fault {
        /// Name of the log event.
        event: &'static str,
        /// Code of the answer.
        code: Code,
    },
}

impl Failure {
    /// Returns the response.
    #[must_use]
    pub fn reply(&self, request_id: &str) -> Reply {
        match self {
            Self::Problem(problem) => Reply::problem(problem, request_id),
            Self::OAuth(error) => error.reply(request_id),
            Self::Fault { code, .. } => Reply::problem(&(*code).into(), request_id),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self::Problem(code.into())
    }
}

impl From<OAuthError> for Failure {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
    }
}

impl From<EntropyFailed> for Failure {
    fn from(_: EntropyFailed) -> Self {
        Self::Fault { event: "entropy_failed", code: Code::InternalError }
    }
}
