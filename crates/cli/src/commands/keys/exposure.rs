//! `keyward keys exposures`, `dismiss-exposure` and `release`: keys that arrived where they must not.

use clap::Args;
use clap_complete::ArgValueCandidates;
use serde_json::{Value as Json, json};

use super::{path, show_change};
use crate::api::{Request, Session};
use crate::commands::key_id;
use crate::completion;
use crate::failure::Failure;
use crate::output::{Column, Output, OutputArgs, Table};
use crate::profile::ConnectionArgs;
use crate::time::relative;

/// Arguments of `keys exposures`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward keys list --exposed
  keyward keys exposures wafl_live_8Fh2kQ0sZp1L")]
pub struct ExposuresArgs {
    /// Key id
    #[arg(value_name = "ID", add = ArgValueCandidates::new(completion::key_ids))]
    id: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `keys dismiss-exposure` and `keys release`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward keys dismiss-exposure wafl_live_8Fh2kQ0sZp1L --reason 'A test of our own'
  keyward keys release wafl_live_8Fh2kQ0sZp1L --reason 'The page is internal'")]
pub struct ReasonedArgs {
    /// Key id
    #[arg(value_name = "ID", add = ArgValueCandidates::new(completion::key_ids))]
    id: String,
    /// Why; the audit log shows it
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Lists the exposures of a key.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn list(args: &ExposuresArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let id = key_id(&args.id)?;
    let session = Session::open(&args.connection)?;
    let items = session.list(&path(id.as_str(), "/exposures"), &[], usize::MAX)?;
    if output.is_json() {
        return output.json(&json!({"items": items}));
    }
    if items.is_empty() {
        output.say("The key was not exposed.");
        return Ok(());
    }
    let columns = [Column::whole("KIND"), Column::whole("WHEN"), Column::elastic("ROUTE"), Column::elastic("NETWORK")];
    let mut table = Table::new(&columns);
    for item in &items {
        let text = |name: &str| item.get(name).and_then(Json::as_str).unwrap_or("–").to_owned();
        table.row([text("kind"), relative(&text("at"), output.now), text("route"), text("network")]);
    }
    output.table(&table)
}

/// Dismisses the exposures of a key.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn dismiss(args: &ReasonedArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let answer = send(args, "/dismiss-exposure")?;
    if output.is_json() {
        return output.json(&answer.json()?);
    }
    output.line(&format!("The exposures of {} were dismissed.", args.id))
}

/// Releases a quarantined key.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn release(args: &ReasonedArgs) -> Result<(), Failure> {
    show_change(&Output::new(args.output), &send(args, "/release")?, "was released")
}

fn send(args: &ReasonedArgs, operation: &str) -> Result<crate::api::Answer, Failure> {
    let id = key_id(&args.id)?;
    let session = Session::open(&args.connection)?;
    let body = json!({"reason": args.reason});
    session.send(&Request::change("POST", &path(id.as_str(), operation), Some(&body)))
}
