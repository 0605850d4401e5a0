//! `keyward incident list`, `show`, `review` and `close`.

use clap::Args;
use serde_json::{Value as Json, json};

use super::open::PATH;
use super::{Incident, show_incident};
use crate::api::{Answer, Request, Session, parse_list};
use crate::failure::Failure;
use crate::output::{Column, Output, OutputArgs, Table};
use crate::profile::ConnectionArgs;
use crate::time::relative;

/// Arguments of `incident list`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward incident list")]
pub struct ListArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `incident show`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward incident show ID")]
pub struct ShowArgs {
    /// Incident id
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `incident review`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward incident review ID --finding 'No use from outside our networks'")]
pub struct ReviewArgs {
    /// Incident id
    #[arg(value_name = "ID")]
    id: String,
    /// What the review found
    #[arg(long, value_name = "TEXT")]
    finding: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `incident close`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward incident close ID")]
pub struct CloseArgs {
    /// Incident id
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

fn path(id: &str, operation: &str) -> Result<String, Failure> {
    let plain = !id.is_empty() && id.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter));
    if plain {
        return Ok(format!("{PATH}/{id}{operation}"));
    }
    Err(Failure::usage(format!("{id} is no incident id.")).next("`keyward incident list` shows them."))
}

/// Lists incidents.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn list(args: &ListArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let session = Session::open(&args.connection)?;
    let items = session.list(PATH, &[], usize::MAX)?;
    if output.is_json() {
        return output.json(&json!({"items": items}));
    }
    let incidents: Vec<Incident> = parse_list(items)?;
    let columns = [
        Column::whole("ID"),
        Column::whole("STATUS"),
        Column::whole("KIND"),
        Column::whole("OPENED"),
        Column::elastic("NOTE"),
    ];
    let mut table = Table::new(&columns);
    for incident in incidents {
        let opened = relative(&incident.opened_at, output.now);
        table.row([incident.id, incident.status, incident.kind, opened, incident.note]);
    }
    output.table(&table)
}

/// Shows one incident.
///
/// # Errors
/// [`Failure`] if there is no such incident.
pub fn show(args: &ShowArgs) -> Result<(), Failure> {
    let path = path(&args.id, "")?;
    let session = Session::open(&args.connection)?;
    show_incident(&Output::new(args.output), &session.send(&Request::get(&path))?)
}

/// Records a review.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn review(args: &ReviewArgs) -> Result<(), Failure> {
    let body = json!({"finding": args.finding});
    let answer = send(&args.connection, &path(&args.id, "/review")?, Some(&body))?;
    show_incident(&Output::new(args.output), &answer)
}

/// Closes an incident.
///
/// # Errors
/// [`Failure`] if the deployment refuses, for example before a review.
pub fn close(args: &CloseArgs) -> Result<(), Failure> {
    let answer = send(&args.connection, &path(&args.id, "/close")?, None)?;
    show_incident(&Output::new(args.output), &answer)
}

fn send(connection: &ConnectionArgs, path: &str, body: Option<&Json>) -> Result<Answer, Failure> {
    Session::open(connection)?.send(&Request::change("POST", path, body))
}
