//! Protects the authority from overload by callers of the control plane.
//!
//! A repeated sign-in that was refused is refused again without a query, concurrent requests of an unknown caller share one query, and
//! each credential and each isolate has a rate limit. The feed and key lookups do not count towards these limits, so changes keep
//! arriving whatever callers do.

use super::callers::{CallerName, Callers, Refused, Standing};
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
    /// Counts one request of a caller against its rate limit.
    ///
    /// # Errors
    /// 429 `rate_limited`.
    pub(super) fn admit(&self, caller: &Caller) -> Result<(), Problem> {
        const DETAIL: &str = "Too many requests with this credential. Retry after the time in `Retry-After`.";
        let Ok(mut callers) = self.callers.try_borrow_mut() else { return Ok(()) };
        let admitted = callers.admit(&CallerName::of(caller), self.request.platform.now());
        admitted.map(|_| ()).map_err(|seconds| Problem::rate_limited(DETAIL, seconds))
    }

    /// Returns the cached refusal of a caller's sign-in, if one applies.
    pub(super) fn known_refusal(&self, caller: &Caller) -> Option<Rejection> {
        match self.standing(&CallerName::of(caller)) {
            Standing::Refused(Refused { reason, is_final }) => Some(Rejection::Unauthenticated { reason, is_final }),
            Standing::Accepted | Standing::Unknown => None,
        }
    }

    /// Counts one sign-in of a caller against the rate of sign-ins, because each of them is an entry of the audit log.
    ///
    /// # Errors
    /// 429 `rate_limited`.
    pub(super) fn limit_sign_ins(&self, caller: &Caller) -> Result<(), Problem> {
        const DETAIL: &str = "Too many sign-ins with this credential. Retry after the time in `Retry-After`.";
        let Ok(mut callers) = self.callers.try_borrow_mut() else { return Ok(()) };
        let taken = callers.take_sign_in(&CallerName::of(caller), self.request.platform.now());
        taken.map_err(|seconds| Problem::rate_limited(DETAIL, seconds))
    }

    /// Counts one reading of the posture by a caller, because each of them reads every current key.
    ///
    /// # Errors
    /// 429 `rate_limited`.
    pub(super) fn limit_postures(&self, caller: &Caller) -> Result<(), Problem> {
        const DETAIL: &str =
            "Too many readings of the posture with this credential. Retry after the time in `Retry-After`.";
        let Ok(mut callers) = self.callers.try_borrow_mut() else { return Ok(()) };
        let taken = callers.take_posture(&CallerName::of(caller), self.request.platform.now());
        taken.map_err(|seconds| Problem::rate_limited(DETAIL, seconds))
    }

    /// Queries the authority for a caller, unless a cached refusal applies.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub(super) async fn query(&self, control: ControlRequest) -> Result<Response, NoAnswer> {
        let name = CallerName::of(&control.caller);
        let lookup = LookupKey::Caller(name.as_str().to_owned());
        match self.turn(&name, &lookup).await {
            Turn::Refused(refused) => Ok(refusal(refused)),
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

fn refusal(refused: Refused) -> Response {
    let Refused { reason, is_final } = refused;
    Response::Refused(Rejection::Unauthenticated { reason, is_final })
}
