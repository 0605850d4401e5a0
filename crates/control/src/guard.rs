//! Protects the authority from overload by callers of the control plane.
//!
//! A repeated sign-in that was refused is refused again without a query, concurrent requests of an unknown caller share one query, and
//! each credential and each isolate has a rate limit. The feed and key lookups do not count towards these limits, so changes keep
//! arriving whatever callers do.

use super::callers::{CallerName, Callers, Refused, Standing};
use super::operations::Operation;
use super::platform::ControlPlatform;
use super::serve::ControlContext;
use keyward_edge::registry::{Unreachable, ask};
use keyward_edge::{LookupKey, Platform, RequestContext, start_or_wait};
use keyward_http::problem::Problem;
use keyward_key::time::Millis;
use keyward_protocol::{Caller, ControlRequest, Rejection, Request, Response};

/// Maximum number of times that a request waits for another request's query about the same caller.
const MAX_WAITS: u8 = 2;

/// Reason why a caller's query got no answer.
pub(super) enum NoAnswer {
    /// The isolate's query rate is exhausted. Contains the whole seconds until the next query is admitted.
    Busy(i64),
    /// The authority is unreachable. The cause is for the log.
    Unreachable(String),
}

/// Next action of a request for its caller.
enum Turn {
    /// Repeats the refusal.
    Refused(Refused),
    /// Queries the authority. If `shared`, other requests wait for the answer.
    Ask { shared: bool },
    /// Gives up, because other requests' queries about the same caller failed.
    GiveUp,
}

impl<P: Platform, C: ControlPlatform> ControlContext<'_, P, C> {
    /// Counts one request of a caller against its rate limit, and returns what the isolate knows of the caller.
    ///
    /// # Errors
    /// 429 `rate_limited`.
    pub(super) fn admit(&self, caller: &Caller) -> Result<Standing, Problem> {
        const DETAIL: &str = "Too many requests with this credential. Retry after the time in `Retry-After`.";
        let Ok(mut callers) = self.callers.try_borrow_mut() else { return Ok(Standing::Unknown) };
        let admitted = callers.admit(&CallerName::of(caller), self.request.platform.now());
        admitted.map_err(|seconds| Problem::rate_limited(DETAIL, seconds))
    }

    /// Counts a request of an operation that has a rate of its own: each sign-in is an entry of the audit log, and each reading of the
    /// posture reads every current key.
    ///
    /// # Errors
    /// 429 `rate_limited`.
    pub(super) fn limit(&self, operation: Operation, caller: &Caller) -> Result<(), Problem> {
        type Take = fn(&mut Callers, &CallerName, Millis) -> Result<(), i64>;
        let (take, detail): (Take, &'static str) = match operation {
            Operation::StartSession => (
                Callers::take_sign_in,
                "Too many sign-ins with this credential. Retry after the time in `Retry-After`.",
            ),
            Operation::ShowPosture => (
                Callers::take_posture,
                "Too many readings of the posture with this credential. Retry after the time in `Retry-After`.",
            ),
            _ => return Ok(()),
        };
        let Ok(mut callers) = self.callers.try_borrow_mut() else { return Ok(()) };
        let taken = take(&mut callers, &CallerName::of(caller), self.request.platform.now());
        taken.map_err(|seconds| Problem::rate_limited(detail, seconds))
    }

    /// Queries the authority for a caller, unless a cached refusal applies.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub(super) async fn query(&self, control: ControlRequest) -> Result<Response, NoAnswer> {
        let name = CallerName::of(&control.caller);
        let lookup = LookupKey::Caller(name.as_str().to_owned());
        match self.turn(&name, &lookup).await {
            Turn::Refused(refused) => Ok(Response::Refused(refused_before(refused))),
            Turn::GiveUp => Err(NoAnswer::Unreachable("another query about this caller failed".to_owned())),
            Turn::Ask { shared } => {
                let taken = self.take(|callers, now| callers.take_query(now));
                let answered = match taken {
                    Ok(()) => self.ask_authority(&name, control).await,
                    Err(busy) => Err(busy),
                };
                if shared {
                    self.request.isolate.finish(&lookup);
                }
                answered
            }
        }
    }

    /// Queries the authority, and records one query from a rate.
    ///
    /// # Errors
    /// [`NoAnswer::Busy`].
    pub(super) fn take(&self, rate: impl FnOnce(&mut Callers, Millis) -> Result<(), i64>) -> Result<(), NoAnswer> {
        let now = self.request.platform.now();
        let taken = self.callers.try_borrow_mut().map_or(Ok(()), |mut callers| rate(&mut callers, now));
        taken.map_err(NoAnswer::Busy)
    }

    /// Asks the authority, and records whether it accepted the caller's sign-in. The query was [taken](Self::take) from a rate.
    ///
    /// # Errors
    /// [`NoAnswer::Unreachable`].
    pub(super) async fn ask_authority(&self, name: &CallerName, control: ControlRequest) -> Result<Response, NoAnswer> {
        let RequestContext { platform, .. } = self.request;
        let is_holder = matches!(control.caller, Caller::Holder { .. });
        let answered = ask(platform, &Request::Control(Box::new(control))).await;
        let response = answered.map_err(|Unreachable(cause)| NoAnswer::Unreachable(cause))?;
        if let Ok(mut callers) = self.callers.try_borrow_mut() {
            match &response {
                Response::Refused(Rejection::Unauthenticated { reason, is_final }) => {
                    let refused = Refused { reason: reason.clone(), is_final: *is_final };
                    callers.refused(name, refused, platform.now());
                }
                // The key is revoked for good, and its holder has no other operation.
                Response::Done(_) if is_holder => {
                    let reason = "the holder has revoked this key".to_owned();
                    callers.refused(name, Refused { reason, is_final: true }, platform.now());
                }
                _ => callers.accepted(name),
            }
        }
        Ok(response)
    }

    /// Returns the next action for a caller. While nothing is known of the caller, one request queries and the others wait for its answer.
    async fn turn(&self, name: &CallerName, lookup: &LookupKey) -> Turn {
        let RequestContext { isolate, platform, .. } = self.request;
        for waits_left in (0..=MAX_WAITS).rev() {
            match self.standing(name) {
                Standing::Refused(refused) => return Turn::Refused(refused),
                Standing::Accepted => return Turn::Ask { shared: false },
                Standing::Unknown if waits_left == 0 => break,
                Standing::Unknown => {
                    if start_or_wait(isolate, platform, lookup).await {
                        return Turn::Ask { shared: true };
                    }
                }
            }
        }
        Turn::GiveUp
    }

    fn standing(&self, name: &CallerName) -> Standing {
        let now = self.request.platform.now();
        self.callers.try_borrow_mut().map_or(Standing::Unknown, |mut callers| callers.standing(name, now))
    }
}

/// Returns the refusal of a caller whom the authority has refused before.
pub(super) fn refused_before(refused: Refused) -> Rejection {
    let Refused { reason, is_final } = refused;
    Rejection::Unauthenticated { reason, is_final }
}
