//! `POST /_keyward/v1/members/{id}/rotate`: a new credential for a member; the old one is dead at once.

use super::body::Fields;
use super::show_key::parse_id;
use keyward_http::problem::{Code, Problem};
use keyward_key::id::{Class, KeyId};
use keyward_protocol::{Command, NewCredential};

/// Whose credential it is. The body may be absent or `{}`.
pub(super) fn parse(segment: &str, body: &[u8]) -> Result<KeyId, Problem> {
    let id = parse_id(segment)?;
    if id.class() != Class::Member {
        return Err(Code::NotFound.into());
    }
    Fields::none(body)?;
    Ok(id)
}

/// The command, with what was minted for the member.
pub(super) fn command(id: KeyId, credential: NewCredential) -> Command {
    Command::RotateMember { id, credential }
}
