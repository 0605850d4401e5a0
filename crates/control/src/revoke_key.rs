//! `POST /_keyward/v1/keys/{id}/revoke`: shuts a key off, for good.

use super::body::Fields;
use super::show_key::parse_id;
use super::text::text;
use keyward_http::limits::PROSE_CHARS;
use keyward_http::problem::Problem;
use keyward_protocol::Command;

/// Parses `{"reason"}`.
pub(super) fn command(segment: &str, body: &[u8]) -> Result<Command, Problem> {
    let id = parse_id(segment)?;
    let mut fields = Fields::parse(body, &["reason"])?;
    Ok(Command::RevokeKey { id, reason: text("reason", fields.require("reason")?, PROSE_CHARS)? })
}
