//! `keyward audit …`.

mod export;
mod verify;

use clap::Subcommand;

use crate::failure::Failure;

/// Name of the exported log.
const LOG: &str = "audit.ndjson";
/// Name of the newest checkpoint. Earlier ones are kept beside it, see [`export`].
const CHECKPOINT: &str = "checkpoint.txt";
/// Name of the exported verifier keys.
const KEYS: &str = "audit.vkey";

/// Commands about the audit log.
#[derive(Subcommand)]
pub enum AuditCommand {
    /// Write log, signed checkpoint and verifier key into a folder
    Export(export::ExportArgs),
    /// Verify an exported log: no network, no trust in the server
    Verify(verify::VerifyArgs),
}

/// Runs a command about the audit log.
///
/// # Errors
/// [`Failure`] of the command.
pub fn run(command: &AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Export(args) => export::run(args),
        AuditCommand::Verify(args) => verify::run(args),
    }
}
