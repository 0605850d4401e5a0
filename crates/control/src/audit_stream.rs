//! The audit log as lines of JSON, to its end.
//!
//! A stream holds one page at a time: it asks for the next page when the client has taken the one before. The registry
//! authenticates the member for each page, so a member who is revoked in the middle gets no more. Every failure breaks the
//! connection: a part must not look like the whole.

use serde::{Deserialize, Serialize};

use super::operations::Operation;
use super::operations::read_audit::{Outcome, ReadAudit};
use super::serve::control_request;
use keyward_edge::Platform;
use keyward_edge::registry::{Unreachable, ask};
use keyward_http::reply::Reply;
use keyward_key::version;
use keyward_protocol::{Caller, Raw, Request, RequestMeta, Response};
use serde_json::value::to_raw_value;

/// Entries on a page of a stream: about half a megabyte.
pub(super) const STREAM_PAGE: u32 = 1_000;

/// A page of the audit log.
#[derive(Debug, Serialize, Deserialize)]
pub struct Page {
    /// Entries, oldest first.
    pub entries: Vec<Raw>,
    /// Whether more entries follow.
    pub more: bool,
}

impl Page {
    /// Returns the number of the last entry.
    #[must_use]
    pub fn last_seq(&self) -> Option<u64> {
        #[derive(Deserialize)]
        struct Numbered {
            seq: u64,
        }
        version::read::<Numbered>(self.entries.last()?.get()).ok().map(|entry| entry.seq)
    }

    fn lines(&self) -> String {
        let mut lines = String::with_capacity(self.entries.len().saturating_mul(512));
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
    state: State,
    https: bool,
}

enum State {
    /// This page is next.
    Page(Page),
    /// The page after this entry is next.
    After(u64),
    /// The log has ended.
    Ended,
}

impl AuditStream {
    pub(super) const fn new(caller: Caller, request: RequestMeta, first: Page) -> Self {
        Self { caller, request, state: State::Page(first), https: false }
    }

    /// The stream as the answer to a request over HTTPS, or over plain HTTP.
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
    pub async fn next(&mut self, platform: &impl Platform) -> Result<Option<String>, String> {
        let page = match std::mem::replace(&mut self.state, State::Ended) {
            State::Page(page) => page,
            State::After(seq) => self.ask(platform, seq).await?,
            State::Ended => return Ok(None),
        };
        if page.more {
            self.state = State::After(page.last_seq().ok_or("an entry has no number")?);
        }
        Ok(Some(page.lines()))
    }

    async fn ask(&self, platform: &impl Platform, after: u64) -> Result<Page, String> {
        let command = to_raw_value(&ReadAudit { after, limit: STREAM_PAGE, lines: true }).ok();
        let control = control_request(Operation::ReadAudit, self.caller.clone(), self.request.clone(), command);
        match ask(platform, &Request::Control(Box::new(control))).await {
            Ok(Response::Done(outcome)) => match version::read::<Outcome>(outcome.get()) {
                Ok(Outcome { audit }) if !audit.entries.is_empty() => Ok(audit),
                _ => Err("the registry answered no page of the log".to_owned()),
            },
            Ok(Response::Refused(refused)) => Err(format!("{refused:?}")),
            Ok(_) => Err("the registry answered no page of the log".to_owned()),
            Err(Unreachable(cause)) => Err(cause),
        }
    }
}
