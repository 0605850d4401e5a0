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
pub mod pending;
mod public;
mod rules;
mod slots;
mod texts;
pub mod view;

pub(super) use open_api::open_api;

use std::cell::RefCell;

use super::failure::Failure;
use super::guard::NoAnswer;
use super::operation::LeaksShown;
use super::platform::{BodyError, ControlPlatform};
use super::revocation_limiter::RevocationLimiter;
use super::serve::ControlContext;
use github_keys::{Fetched, GithubKeys};
use keyward_edge::registry::ask;
use keyward_edge::{BackgroundReport, Level, Platform};
use keyward_http::limits::LEAK_BODY_BYTES;
use keyward_http::problem::{Code, Problem};
use keyward_http::reply::Reply;
use keyward_key::entropy::{Entropy, EntropyFailed, base62};
use keyward_key::keyring::SealingKey;
use keyward_key::time::Millis;
use keyward_protocol::{LeakReport, LeakSource, LeakedKey, MAX_LEAKED_KEYS, Request, RequestMeta, Response};
use serde::Serialize;
use slots::{Slot, Slots};
use view::LeakView;

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
    /// Reports in progress of GitHub, GitLab and anyone. Each receiver has its own, so that public reports do not use up those of the others.
    /// A request has its slot before its signature can be checked, so strangers can hold GitHub's for the time that a body may take.
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

/// Services of the platform for GitHub's reports, in an isolate and in the registry's object.
#[expect(async_fn_in_trait, reason = "everything runs on the one thread of its isolate")]
pub trait ReportPlatform {
    /// Fetches GitHub's list of public keys, of at most [`LIST_BYTES`](github_keys::LIST_BYTES), within
    /// [`FETCH_MILLIS`](github_keys::FETCH_MILLIS). The request is conditional if `etag` is given. Follows no redirect.
    ///
    /// # Errors
    /// The cause, for the log.
    async fn fetch_list(&self, url: &str, etag: Option<&str>) -> Result<Fetched, String>;

    /// Returns whether an ECDSA signature (P-256 with SHA-256, `r ‖ s`) of a body is valid. A key that cannot be imported verifies none.
    async fn verify_p256(&self, spki: &[u8], signature: &[u8; 64], signed: &[u8]) -> bool;

    /// Seals a body with AES-256-GCM: returns a random nonce of 12 bytes, the ciphertext and the tag.
    ///
    /// # Errors
    /// The cause, for the log.
    async fn seal(&self, key: &SealingKey, body: &[u8]) -> Result<Vec<u8>, String>;

    /// Opens what [`Self::seal`] returned. `None` if it was not sealed with this key, or was changed.
    async fn open(&self, key: &SealingKey, sealed: &[u8]) -> Option<Vec<u8>>;

    /// Returns the system's source of randomness.
    fn entropy(&self) -> impl Entropy;
}

/// A report with its genuine-looking keys: those with a right tag.
struct Found {
    source: LeakSource,
    found_at: Option<Millis>,
    note: Option<String>,
    keys: Vec<LeakedKey>,
}

/// Splits what was found into messages for the registry. None without a key of ours.
fn reports(found: &Found, request: &RequestMeta, entropy: &mut impl Entropy) -> Result<Vec<LeakReport>, EntropyFailed> {
    let chunks = found.keys.chunks(MAX_LEAKED_KEYS).map(|keys| {
        Ok(LeakReport {
            id: format!("leak_{}", base62(entropy, 16)?),
            source: found.source,
            found_at: found.found_at,
            note: found.note.clone(),
            keys: keys.to_vec(),
            request: request.clone(),
        })
    });
    chunks.collect()
}

/// Adds to reports how often their keys were used since, and makes the response.
pub(super) async fn shown<P: Platform>(leaks: LeaksShown, platform: &P, request_id: &str) -> Reply {
    #[derive(Serialize)]
    struct Page {
        items: Vec<LeakView>,
        next_cursor: Option<String>,
    }
    match leaks {
        LeaksShown::One(mut leak) => {
            view::add_uses(std::slice::from_mut(&mut *leak), platform, request_id).await;
            Reply::json(200, &leak, request_id)
        }
        LeaksShown::Page(mut items, next_cursor) => {
            view::add_uses(&mut items, platform, request_id).await;
            Reply::json(200, &Page { items, next_cursor }, request_id)
        }
    }
}

impl<P: Platform, C: ControlPlatform> ControlContext<'_, P, C> {
    async fn leak_body(&self) -> Result<Vec<u8>, Problem> {
        const DETAIL: &str = "The report has more than 1,048,576 bytes. Send several smaller ones.";
        self.event.read_body(LEAK_BODY_BYTES).await.map_err(|error| match error {
            BodyError::TooLarge => Problem::detailed(Code::BodyTooLarge, DETAIL),
            BodyError::Incomplete => Problem::detailed(Code::InvalidRequest, "The body is incomplete. Send it again."),
        })
    }

    fn leak_reports(&self, found: &Found) -> Result<Vec<LeakReport>, Failure> {
        Ok(reports(found, &self.meta(), &mut self.event.entropy())?)
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
