//! `POST /_keyward/v1/bootstrap`: makes the first owner.

use super::body::Fields;
use super::text::{email, text};
use keyward_http::limits::NAME_CHARS;
use keyward_http::problem::Problem;
use keyward_protocol::{Command, NewCredential};

/// The body.
pub(super) struct Draft {
    name: String,
    email: String,
}

/// Parses `{"name", "email"}`.
pub(super) fn parse(body: &[u8]) -> Result<Draft, Problem> {
    let mut fields = Fields::parse(body, &["name", "email"])?;
    Ok(Draft {
        name: text("name", fields.require("name")?, NAME_CHARS)?,
        email: email("email", fields.require("email")?)?,
    })
}

impl Draft {
    /// The command, with the credential minted for the owner.
    pub fn command(self, credential: NewCredential) -> Command {
        Command::Bootstrap { name: self.name, email: self.email, credential }
    }
}
