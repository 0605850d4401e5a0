//! Where the member's credential comes from: `KEYWARD_CREDENTIAL`, a file, the keyring. Never an argument, and never shown.

mod file;
pub mod keyring;

pub use file::{read as read_file, write as write_file};

use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;

use keyward_key::id::{Class, KeyId};

use crate::failure::{Exit, Failure};
use crate::secret::Secret;

/// Variable that holds a credential.
pub const VARIABLE: &str = "KEYWARD_CREDENTIAL";
/// Maximum length of a credential's text in a file or on standard input, in bytes.
const TEXT_BYTES: u64 = 4_096;

/// A well-formed credential of a member.
pub struct Credential {
    /// Text.
    pub text: Secret,
    /// Public id of the member.
    pub member: KeyId,
}

impl Credential {
    /// Parses a text. White space around it is ignored.
    ///
    /// # Errors
    /// [`Failure`] that says what the text is instead, without showing it.
    pub fn parse(text: &str, source: &str) -> Result<Self, Failure> {
        let text = Secret::new(text.trim().to_owned());
        match text.parse_key() {
            Some((member, Class::Member)) => Ok(Self { text, member }),
            Some((id, Class::Data(_))) => Err(Failure::new(
                Exit::Refused,
                format!("{source} holds {id}, the key of an integration. It opens the gate, not the control plane."),
            )
            .next("Use a member's credential. Its text contains `_admin_`.")),
            None => Err(Failure::new(Exit::Refused, format!("{source} holds no well-formed credential."))
                .next("Check that the whole text was copied. A credential looks like wafl_admin_…, and its end is a checksum.")),
        }
    }

    /// Returns the credential of `KEYWARD_CREDENTIAL`, or of the file.
    ///
    /// # Errors
    /// [`Failure`] if what was given is malformed or not private.
    pub fn given(file: Option<&Path>) -> Result<Option<Self>, Failure> {
        if let Some(text) = std::env::var_os(VARIABLE).filter(|text| !text.is_empty()) {
            let text = Secret::new(text.into_string().unwrap_or_default());
            return Self::parse(text.expose(), VARIABLE).map(Some);
        }
        file.map(read_file).transpose()
    }

    /// Reads the credential from standard input. On a terminal it asks for it, and shows nothing of what is typed.
    ///
    /// # Errors
    /// [`Failure`] if nothing well-formed comes.
    pub fn ask() -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::failed(format!("Reading the credential failed: {error}."));
        let text = if io::stdin().is_terminal() {
            Secret::new(rpassword::prompt_password("Credential (not shown): ").map_err(failed)?)
        } else {
            let mut text = String::new();
            io::stdin().take(TEXT_BYTES).read_to_string(&mut text).map_err(failed)?;
            Secret::new(text)
        };
        Self::parse(text.expose(), "Standard input")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_credential_is_refused_without_being_shown() {
        for text in ["", "wafl_admin_8Fh2kQ0sZp1L_short", "secret-text"] {
            let failure = Credential::parse(text, VARIABLE).err().unwrap();
            assert_eq!(failure.exit, Exit::Refused);
            assert!(text.is_empty() || !failure.text().contains(text), "{}", failure.text());
        }
    }
}
