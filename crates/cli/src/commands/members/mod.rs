//! `keyward members …`.

mod change;
mod create;
mod list;

use clap::Subcommand;

use crate::failure::Failure;

/// Commands about members.
#[derive(Subcommand)]
pub enum MembersCommand {
    /// List members, newest first
    List(list::ListArgs),
    /// Show one member
    Show(list::ShowArgs),
    /// Make a member and their credential
    Create(create::CreateArgs),
    /// Change a member's name, address, role, environments or end
    Update(change::UpdateArgs),
    /// Give a member another credential
    Rotate(create::RotateArgs),
    /// Revoke a member and their credential for good
    Revoke(change::RevokeArgs),
}

/// Runs a command about members.
///
/// # Errors
/// [`Failure`] of the command.
pub fn run(command: &MembersCommand) -> Result<(), Failure> {
    match command {
        MembersCommand::List(args) => list::run(args),
        MembersCommand::Show(args) => list::show(args),
        MembersCommand::Create(args) => create::run(args),
        MembersCommand::Update(args) => change::update(args),
        MembersCommand::Rotate(args) => create::rotate(args),
        MembersCommand::Revoke(args) => change::revoke(args),
    }
}

/// Path of a member, or of an operation on one.
fn path(id: &str, operation: &str) -> String {
    format!("/_keyward/v1/members/{id}{operation}")
}
