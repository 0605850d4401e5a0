//! One file for each command.

pub mod audit;
pub mod claim;
pub mod claims;
pub mod completion;
pub mod endpoints;
pub mod events;
pub mod incident;
pub mod keys;
pub mod login;
pub mod man;
pub mod members;
pub mod plan;
pub mod posture;
pub mod scan;
pub mod usage;
pub mod whoami;

use keyward_key::id::{Class, KeyId};

use crate::args::Command;
use crate::failure::Failure;

/// Runs a command.
///
/// # Errors
/// [`Failure`] of the command.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Login(args) => login::login(&args),
        Command::Logout(args) => login::logout(&args),
        Command::Whoami(args) => whoami::run(&args),
        Command::Keys(command) => keys::run(&command),
        Command::Claim(args) => claim::run(&args),
        Command::Claims(command) => claims::run(&command),
        Command::Members(command) => members::run(&command),
        Command::Incident(command) => incident::run(&command),
        Command::Usage(args) => usage::run(&args),
        Command::Endpoints(command) => endpoints::run(&command),
        Command::Events(command) => events::run(&command),
        Command::Posture(args) => posture::run(&args),
        Command::Plan(args) => plan::plan(&args),
        Command::Apply(args) => plan::apply(&args),
        Command::Export(args) => plan::export(&args),
        Command::Scan(args) => scan::run(&args),
        Command::Audit(command) => audit::run(&command),
        Command::Completion(args) => completion::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

/// Parses the id of a data key.
///
/// # Errors
/// [`Failure`] that says what the text is instead.
fn key_id(text: &str) -> Result<KeyId, Failure> {
    match parse_id(text)? {
        id if id.class() == Class::Member => {
            Err(Failure::usage(format!("{id} is a member, not a key.")).next(format!("keyward members show {id}")))
        }
        id => Ok(id),
    }
}

/// Parses the id of a member.
///
/// # Errors
/// [`Failure`] that says what the text is instead.
fn member_id(text: &str) -> Result<KeyId, Failure> {
    match parse_id(text)? {
        id if id.class() == Class::Member => Ok(id),
        id => Err(Failure::usage(format!("{id} is a key, not a member.")).next(format!("keyward keys show {id}"))),
    }
}

fn parse_id(text: &str) -> Result<KeyId, Failure> {
    KeyId::parse(text).ok_or_else(|| {
        Failure::usage(format!("{text} is no id."))
            .next("An id looks like wafl_live_8Fh2kQ0sZp1L. `keyward keys list` shows them.")
    })
}

/// Failure for a whole key among the arguments: it is in the shell's history and in the list of processes now.
#[must_use]
pub fn whole_key(id: &KeyId) -> Failure {
    Failure::usage(format!(
        "The text of {id} is an argument. Arguments are in the shell's history and in the list of processes: treat the key as leaked."
    ))
    .next(format!("Give the id alone. Rotate or revoke the key: keyward keys rotate {id}"))
}
