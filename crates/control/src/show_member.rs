//! `GET /_keyward/v1/members/{id}`: shows one member.

use super::show_key::parse_id;
use keyward_http::problem::Problem;
use keyward_protocol::Command;

/// The command.
pub(super) fn command(segment: &str) -> Result<Command, Problem> {
    Ok(Command::ShowMember { id: parse_id(segment)? })
}
