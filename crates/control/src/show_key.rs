//! `GET /_keyward/v1/keys/{id}`: shows one key.

use keyward_http::problem::{Code, Problem};
use keyward_key::id::KeyId;
use keyward_protocol::Command;

/// A path segment that is no id names nothing: the same 404 as an absent key.
pub(super) fn parse_id(segment: &str) -> Result<KeyId, Problem> {
    KeyId::parse(segment).ok_or_else(|| Code::NotFound.into())
}

/// The command.
pub(super) fn command(segment: &str) -> Result<Command, Problem> {
    Ok(Command::ShowKey { id: parse_id(segment)? })
}
