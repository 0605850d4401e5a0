//! `keyward keys …`.

mod exposure;
mod issue;
mod list;
mod revoke;
mod rotate;
mod show;
mod update;

use clap::Subcommand;

pub use issue::issue;

use crate::api::{Answer, Request, Session};
use crate::delivery::DeliveryArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::time::relative;
use crate::views::{Change, Key};

/// Commands about keys.
#[derive(Subcommand)]
pub enum KeysCommand {
    /// List keys, newest first
    List(list::ListArgs),
    /// Show one key
    Show(show::ShowArgs),
    /// Issue a key: by claim link, or straight into a secret manager
    Issue(Box<issue::IssueArgs>),
    /// Change a key's name, rights or end
    Update(Box<update::UpdateArgs>),
    /// Replace a key by a successor with the same rights
    Rotate(rotate::RotateArgs),
    /// End the overlap of a rotation now
    FinishRotation(rotate::FinishArgs),
    /// Let the old key of a rotation work for longer
    ExtendRotation(rotate::ExtendArgs),
    /// Show where a key arrived that it must not: in a URL, from a browser, over plain HTTP
    Exposures(exposure::ExposuresArgs),
    /// Mark the exposures of a key as harmless
    DismissExposure(exposure::ReasonedArgs),
    /// Let a quarantined key work again
    Release(exposure::ReasonedArgs),
    /// Revoke keys for good
    Revoke(revoke::RevokeArgs),
}

/// Runs a command about keys.
///
/// # Errors
/// [`Failure`] of the command.
pub fn run(command: &KeysCommand) -> Result<(), Failure> {
    match command {
        KeysCommand::List(args) => list::run(args),
        KeysCommand::Show(args) => show::run(args),
        KeysCommand::Issue(args) => issue::run(args),
        KeysCommand::Update(args) => update::run(args),
        KeysCommand::Rotate(args) => rotate::run(args),
        KeysCommand::FinishRotation(args) => rotate::finish(args),
        KeysCommand::ExtendRotation(args) => rotate::extend(args),
        KeysCommand::Exposures(args) => exposure::list(args),
        KeysCommand::DismissExposure(args) => exposure::dismiss(args),
        KeysCommand::Release(args) => exposure::release(args),
        KeysCommand::Revoke(args) => revoke::run(args),
    }
}

/// Path of a key, or of an operation on it.
fn path(id: &str, operation: &str) -> String {
    format!("/_keyward/v1/keys/{id}{operation}")
}

/// Sends a request that makes a key. A lost answer leaves open whether there is one now.
fn send_creation(session: &Session, request: &Request<'_>, integration: &str) -> Result<Answer, Failure> {
    let look = format!("keyward keys list {integration} --status active");
    session.send(request).map_err(|failure| failure.unknown_outcome("Whether the key was made is unknown.", look))
}

/// Shows a new key: with `--show` its text alone is on standard output, so that a script can take it.
fn show_new(output: &Output, change: &Change, delivery: &DeliveryArgs) -> Result<(), Failure> {
    let key = change.key.clone().unwrap_or_default();
    let summary = format!(
        "{} · {} · {} · expires {}",
        key.id,
        key.name,
        key.scopes.join(" "),
        relative(&key.expires_at, output.now)
    );
    match (&change.api_key, &change.claim) {
        (Some(text), _) if delivery.show => {
            output.say(&summary);
            output.line(text.expose())?;
        }
        (_, Some(claim)) => {
            output.line(&summary)?;
            output.line(&format!(
                "Claim link, good until {} ({}):",
                claim.expires_at,
                relative(&claim.expires_at, output.now)
            ))?;
            output.line(&format!("  {}", claim.url))?;
            output.say("Send the link to the person who needs the key. No key exists before the link is used, and it works once.");
        }
        _ => output.line(&summary)?,
    }
    if let Some(old) = &change.retiring {
        output.say(&format!(
            "The old key {} works until {} ({}).",
            old.id,
            old.expires_at,
            relative(&old.expires_at, output.now)
        ));
    }
    Ok(())
}

/// Shows the effect of a change.
fn show_change(output: &Output, answer: &Answer, what: &str) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(&answer.json()?);
    }
    let change: Change = answer.parse()?;
    let key: Key = change.key.clone().unwrap_or_default();
    output.line(&format!("{} ({}) {what}. It is {} now.", key.id, key.name, key.status))?;
    output.line(&effect(&change, output))
}

/// Says when a change holds.
fn effect(change: &Change, output: &Output) -> String {
    let moment = |at: &Option<String>| {
        at.as_deref().map(|at| format!("{at} ({})", relative(at, output.now))).unwrap_or_default()
    };
    format!(
        "In effect everywhere by {}; guaranteed, whatever fails, by {}.",
        moment(&change.effective_by),
        moment(&change.guaranteed_by)
    )
}
