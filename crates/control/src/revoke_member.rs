//! `POST /_keyward/v1/members/{id}/revoke`: a member's credential opens nothing from the next request on, for good.

use super::body::Fields;
use super::show_key::parse_id;
use keyward_http::problem::Problem;
use keyward_protocol::Command;

/// The command. The body may be absent or `{}`.
pub(super) fn command(segment: &str, body: &[u8]) -> Result<Command, Problem> {
    let id = parse_id(segment)?;
    Fields::none(body)?;
    Ok(Command::RevokeMember { id })
}
