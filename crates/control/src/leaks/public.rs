//! `POST /_keyward/v1/leaks`: anyone who found keys reports them. The answer is the same for every text, and is sent before the registry is
//! asked.

use serde::Serialize;

use super::Found;
use super::texts::{blanked, keys_of};
use crate::body::Fields;
use crate::failure::Failure;
use crate::operation::BodyKind;
use crate::operations::issue_key::instant;
use crate::platform::ControlPlatform;
use crate::serve::ControlContext;
use crate::transport::check_transport;
use keyward_config::Config;
use keyward_edge::Platform;
use keyward_http::limits::{LEAKED_KEYS, PROSE_CHARS};
use keyward_http::problem::{Code, Problem};
use keyward_http::reply::Reply;
use keyward_protocol::LeakSource;

#[derive(Serialize)]
struct Accepted {
    status: &'static str,
}

pub(super) async fn serve<P: Platform, C: ControlPlatform>(
    context: &ControlContext<'_, P, C>,
) -> Result<Reply, Failure> {
    check_transport(context.request.config, context.request.head, BodyKind::Json)?;
    limit(context)?;
    let body = context.leak_body().await?;
    let found = parse(context, &body)?;
    context.report_leak_later(&found)?;
    Ok(Reply::json(202, &Accepted { status: "accepted" }, context.request.request_id))
}

/// Counts a report of an address, whatever it contains.
fn limit<P: Platform, C: ControlPlatform>(context: &ControlContext<'_, P, C>) -> Result<(), Problem> {
    const DETAIL: &str = "Too many reports from this address. Retry after the time in `Retry-After`.";
    let head = context.request.head;
    let Ok(mut limiter) = context.leaks.limiter.try_borrow_mut() else { return Ok(()) };
    limiter.take(head.client_address(), head.now()).map_err(|seconds| Problem::rate_limited(DETAIL, seconds))
}

/// Parses `{"keys", "found_at"?, "note"?}`. A text that is no key is accepted like any other.
fn parse<P: Platform, C: ControlPlatform>(context: &ControlContext<'_, P, C>, body: &[u8]) -> Result<Found, Problem> {
    let config: &Config = context.request.config;
    let mut fields = Fields::parse(body, &["keys", "found_at", "note"])?;
    if !fields.has("keys") {
        return Err(Problem::field(Code::InvalidRequest, "keys", "This field is required."));
    }
    let texts = fields.texts("keys", LEAKED_KEYS)?;
    let nfc = |text: &str| context.event.nfc(text);
    let parser = crate::text::TextParser::new(&nfc);
    let found_at = fields.take("found_at").map(|value| parser.parse("found_at", value, PROSE_CHARS)).transpose()?;
    let found_at = found_at.map(|text| instant("found_at", &text)).transpose()?;
    let note = fields.take("note").map(|value| parser.parse("note", value, PROSE_CHARS)).transpose()?;
    // As one text, in which the number of MACs is bounded: a body has room for 13,000 well-formed keys.
    let keys = keys_of(config, &texts.join("\n"));
    Ok(Found { source: LeakSource::Public, found_at, note: note.and_then(|note| blanked(config, &note)), keys })
}
