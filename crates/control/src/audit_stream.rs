//! The whole audit log as a stream of JSON lines.
//!
//! A stream holds one page at a time and requests the next page once the client has read the current one. The registry authenticates
//! the member for each page, so a member who is revoked during the stream receives no further page. Every failure breaks the
//! connection, so that a client cannot mistake a part for the whole.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};

use super::callers::Callers;
use super::operations::Operation;
use super::operations::read_audit::{Outcome, ReadAudit};
use super::serve::control_request;
use keyward_edge::Platform;
use keyward_edge::registry::{Unreachable, ask};
use keyward_http::reply::Reply;
use keyward_key::version;
use keyward_protocol::{Caller, Raw, Request, RequestMeta, Response};
use keyward_registry::audit::AuditFilter;
use serde_json::value::to_raw_value;

/// Maximum number of entries on a page of a stream. The page's size in bytes is limited too.
pub(super) const STREAM_PAGE: u32 = 1_000;

/// Maximum number of times that a page waits for the isolate's rate of queries.
const MAX_WAITS: u8 = 30;

/// A page of the audit log.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Page {
    /// Entries, oldest first.
    pub entries: Vec<Raw>,
    /// Whether more entries follow.
    pub more: bool,
    /// Number of the entry after which the next page begins. A registry of the previous version omits it; then it is the number of
    /// the last entry.
    #[serde(default)]
    pub next: Option<u64>,
}

impl Page {
    /// Returns the number of the entry after which the next page begins; `None` at the end.
    #[must_use]
    pub fn next_after(&self) -> Option<u64> {
        self.next.or_else(|| if self.more { self.last_seq() } else { None })
    }

    fn last_seq(&self) -> Option<u64> {
        #[derive(Deserialize)]
        struct Numbered {
            seq: u64,
        }
        version::read::<Numbered>(self.entries.last()?.get()).ok().map(|entry| entry.seq)
    }

    fn lines(&self) -> String {
        let mut lines = String::with_capacity(
            self.entries
                .iter()
                .fold(0, |bytes: usize, entry| bytes.saturating_add(entry.get().len()).saturating_add(1)),
        );
        for entry in &self.entries {
            lines.push_str(entry.get());
            lines.push('\n');
        }
        lines
    }
}

/// A stream of the audit log, from its first page to the end.
pub struct AuditStream {
    caller: Caller,
    request: RequestMeta,
    filter: AuditFilter,
    state: State,
    https: bool,
}

enum State {
    /// This page is sent next.
    Page(Page),
    /// The page after this entry is requested next.
    After(u64),
    /// The log has ended.
    Ended,
}

impl AuditStream {
    pub(super) const fn new(caller: Caller, request: RequestMeta, filter: AuditFilter, first: Page) -> Self {
        Self { caller, request, filter, state: State::Page(first), https: false }
    }

    /// Returns the stream as the answer to a request over HTTPS or over plain HTTP.
    pub(super) fn over(self, https: bool) -> Self {
        Self { https, ..self }
    }

    /// Returns the head of the response.
    #[must_use]
    pub fn head(&self) -> Reply {
        Reply::lines(&self.request.request_id).over(self.https)
    }

    /// Returns the `Keyward-Request-Id` of the request.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request.request_id
    }

    /// Returns the next lines; `None` at the end.
    ///
    /// # Errors
    /// The cause, for the log: the registry did not answer, or refused the member.
    pub async fn next(
        &mut self,
        platform: &impl Platform,
        callers: &RefCell<Callers>,
    ) -> Result<Option<String>, String> {
        let page = match std::mem::replace(&mut self.state, State::Ended) {
            State::Page(page) => page,
            State::After(seq) => {
                wait_for_turn(platform, callers).await?;
                self.ask(platform, seq).await?
            }
            State::Ended => return Ok(None),
        };
        if page.more {
            self.state = State::After(page.next_after().ok_or("an entry has no number")?);
        }
        Ok(Some(page.lines()))
    }

    async fn ask(&self, platform: &impl Platform, after: u64) -> Result<Page, String> {
        let command = to_raw_value(&ReadAudit::new(after, STREAM_PAGE, self.filter.clone())).ok();
        let control = control_request(Operation::ReadAudit, self.caller.clone(), self.request.clone(), command);
        match ask(platform, &Request::Control(Box::new(control))).await {
            Ok(Response::Done(outcome)) => match version::read::<Outcome>(outcome.get()) {
                // A page may be empty only under a filter.
                Ok(Outcome { audit })
                    if audit
                        .next_after()
                        .map_or(!audit.entries.is_empty() || !self.filter.is_empty(), |next| next > after) =>
                {
                    Ok(audit)
                }
                _ => Err("the registry answered no page of the log".to_owned()),
            },
            Ok(Response::Refused(refused)) => Err(format!("{refused:?}")),
            Ok(_) => Err("the registry answered no page of the log".to_owned()),
            Err(Unreachable(cause)) => Err(cause),
        }
    }
}

/// Takes one query from the isolate's rate, after a wait if it is used up: a page costs the authority as much as a request.
async fn wait_for_turn(platform: &impl Platform, callers: &RefCell<Callers>) -> Result<(), String> {
    for _ in 0..MAX_WAITS {
        let now = platform.now();
        let taken = callers.try_borrow_mut().map_or(Ok(()), |mut callers| callers.take_query(now));
        let Err(seconds) = taken else { return Ok(()) };
        platform.pause(u32::try_from(seconds.saturating_mul(1_000)).unwrap_or(u32::MAX)).await;
    }
    Err("too many queries of this isolate".to_owned())
}
