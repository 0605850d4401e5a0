//! Receivers of leak reports. They need no member: a whole key is its own proof, and is revoked by the code of a holder's revocation.
//!
//! | endpoint | caller |
//! |---|---|
//! | `POST v1/leaks/github` | GitHub's secret scanning partner program, by its signature |
//! | `GET v1/leaks/gitlab/v1/revocable_token_types`, `POST …/revoke_tokens` | GitLab's token revocation API, by `LEAK_GITLAB_TOKEN` |
//! | `POST v1/leaks` | anyone, limited for each address |
//! | `GET v1/leaks/rules` | anyone: expressions that find this deployment's keys |
//!
//! The tag decides offline which texts are ours. Other texts cause no query and leave nothing.

mod der;
mod github;
pub mod github_keys;
mod gitlab;
mod open_api;
mod public;
mod rules;
mod slots;
mod texts;
pub(crate) mod view;

pub(super) use open_api::open_api;

use std::cell::RefCell;

use super::failure::Failure;
use super::guard::NoAnswer;
use super::platform::{BodyError, ControlPlatform};
use super::revocation_limiter::RevocationLimiter;
use super::serve::ControlContext;
use github_keys::GithubKeys;
use keyward_edge::registry::ask;
use keyward_edge::{BackgroundReport, Level, Platform};
use keyward_http::limits::LEAK_BODY_BYTES;
use keyward_http::problem::{Code, Problem};
use keyward_http::reply::Reply;
use keyward_key::entropy::base62;
use keyward_key::time::Millis;
use keyward_protocol::{LeakReport, LeakSource, LeakedKey, MAX_LEAKED_KEYS, Request, Response};
use slots::{Slot, Slots};

/// An endpoint for leak reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// `POST v1/leaks/github`
    GitHub,
    /// `GET v1/leaks/gitlab/v1/revocable_token_types`
    GitLabTypes,
    /// `POST v1/leaks/gitlab/v1/revoke_tokens`
    GitLabTokens,
    /// `POST v1/leaks`
    Public,
    /// `GET v1/leaks/rules`
    Rules,
}

/// State of one isolate for the receivers; borrowed for one step at a time, never across an await.
#[derive(Default)]
pub struct LeakState {
    /// Rate limiter of public reports, per client address.
    limiter: RefCell<RevocationLimiter>,
    /// GitHub's public keys.
    github: RefCell<GithubKeys>,
    /// Reports in progress of GitHub, GitLab and anyone. Each receiver has its own, so that strangers do not use up those of the others.
    slots: [Slots; 3],
}

impl LeakState {
    /// Takes a slot for a report. `None` for a receiver that reads no body.
    ///
    /// # Errors
    /// 429 `rate_limited` while too many reports are in progress.
    fn slot(&self, receiver: Receiver, now: Millis) -> Result<Option<Slot>, Problem> {
        const DETAIL: &str = "Too many reports at the same time. Retry after the time in `Retry-After`.";
        let [github, gitlab, public] = &self.slots;
        let slots = match receiver {
            Receiver::GitHub => github,
            Receiver::GitLabTokens => gitlab,
            Receiver::Public => public,
            Receiver::GitLabTypes | Receiver::Rules => return Ok(None),
        };
        slots.take(now).map(Some).ok_or_else(|| Problem::rate_limited(DETAIL, 1))
    }
}

/// Serves a receiver.
///
/// # Errors
/// The failure to answer with.
pub(super) async fn serve<P: Platform, C: ControlPlatform>(
    context: &ControlContext<'_, P, C>,
    receiver: Receiver,
) -> Result<Reply, Failure> {
    let _slot = context.leaks.slot(receiver, context.request.platform.now())?;
    match receiver {
        Receiver::GitHub => github::serve(context).await,
        Receiver::GitLabTypes => gitlab::types(context),
        Receiver::GitLabTokens => gitlab::tokens(context).await,
        Receiver::Public => public::serve(context).await,
        Receiver::Rules => Ok(rules::serve(context)),
    }
}

/// A report with its genuine-looking keys: those with a right tag.
struct Found {
    source: LeakSource,
    found_at: Option<Millis>,
    note: Option<String>,
    keys: Vec<LeakedKey>,
}

impl<P: Platform, C: ControlPlatform> ControlContext<'_, P, C> {
    async fn leak_body(&self) -> Result<Vec<u8>, Problem> {
        const DETAIL: &str = "The report has more than 1,048,576 bytes. Send several smaller ones.";
        self.event.read_body(LEAK_BODY_BYTES).await.map_err(|error| match error {
            BodyError::TooLarge => Problem::detailed(Code::BodyTooLarge, DETAIL),
            BodyError::Incomplete => Problem::detailed(Code::InvalidRequest, "The body is incomplete. Send it again."),
        })
    }

    /// Splits what was found into messages for the registry. None without a key of ours.
    fn leak_reports(&self, found: &Found) -> Result<Vec<LeakReport>, Failure> {
        let chunks = found.keys.chunks(MAX_LEAKED_KEYS).map(|keys| {
            let id = format!("leak_{}", base62(&mut self.event.entropy(), 16)?);
            Ok(LeakReport {
                id,
                source: found.source,
                found_at: found.found_at,
                note: found.note.clone(),
                keys: keys.to_vec(),
                request: self.meta(),
            })
        });
        chunks.collect()
    }

    /// Has the registry revoke what was found, and waits for it.
    async fn report_leak(&self, found: &Found) -> Result<(), Failure> {
        const DETAIL: &str = "This gate has too many control-plane requests. Retry after the time in `Retry-After`.";
        for report in self.leak_reports(found)? {
            if let Err(NoAnswer::Busy(seconds)) = self.take(|callers, now| callers.take_query(now)) {
                return Err(Problem::rate_limited(DETAIL, seconds).into());
            }
            let cause = match ask(self.request.platform, &Request::Leak(Box::new(report))).await {
                Ok(Response::Reported) => continue,
                Ok(_) => "the registry answered another query".to_owned(),
                Err(unreachable) => unreachable.0,
            };
            let fields = [("cause", cause.as_str()), ("request_id", self.request.request_id)];
            self.request.platform.log(Level::Error, "leak_report_failed", &fields);
            return Err(Code::AuthorityUnavailable.into());
        }
        Ok(())
    }

    /// Has the registry revoke what was found after the answer, which so tells nothing, not even by its time.
    fn report_leak_later(&self, found: &Found) -> Result<(), Failure> {
        for report in self.leak_reports(found)? {
            self.event.report_in_background(BackgroundReport::Leak(Box::new(report)));
        }
        Ok(())
    }
}
