//! `keyward claims …`: claim links that were given out and are not used yet.

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;

use super::key_id;
use crate::api::{Request, Session, parse_list};
use crate::failure::Failure;
use crate::output::{Column, Output, OutputArgs, Table, confirm};
use crate::profile::ConnectionArgs;
use crate::time::relative;

/// Commands about claim links that were given out.
#[derive(Subcommand)]
pub enum ClaimsCommand {
    /// List the claim links that are still good, newest first
    List(ListArgs),
    /// Withdraw a claim link before it is used, and revoke its key
    Withdraw(WithdrawArgs),
}

/// Arguments of `claims list`.
#[derive(Args)]
#[command(after_help = "\
A link itself is shown once, when it is made. The list names its key, which is pending until then.

Examples:
  keyward claims list
  keyward claims list --output json | jq -r '.items[] | select(.owner == \"ops@acme.example\") | .id'")]
pub struct ListArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `claims withdraw`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward claims withdraw wafl_live_8Fh2kQ0sZp1L")]
pub struct WithdrawArgs {
    /// Id of the claim, which is the id of its key
    #[arg(value_name = "ID")]
    id: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// A claim as the list shows it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ClaimItem {
    id: String,
    status: String,
    name: String,
    integration: String,
    owner: String,
    created_by: String,
    expires_at: String,
}

#[derive(Deserialize)]
struct Withdrawn {
    claim: ClaimItem,
}

/// Runs a command about claim links.
///
/// # Errors
/// [`Failure`] of the command.
pub fn run(command: &ClaimsCommand) -> Result<(), Failure> {
    match command {
        ClaimsCommand::List(args) => list(args),
        ClaimsCommand::Withdraw(args) => withdraw(args),
    }
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let session = Session::open(&args.connection)?;
    let items = session.list("/_keyward/v1/claims", &[], usize::MAX)?;
    if output.is_json() {
        return output.json(&json!({"items": items}));
    }
    let claims: Vec<ClaimItem> = parse_list(items)?;
    if claims.is_empty() {
        output.say("No claim link is waiting to be used.");
        return Ok(());
    }
    let columns = [
        Column::whole("ID"),
        Column::elastic("NAME"),
        Column::elastic("INTEGRATION"),
        Column::elastic("FOR"),
        Column::elastic("MADE BY"),
        Column::whole("GOOD UNTIL"),
    ];
    let mut table = Table::new(&columns);
    for claim in claims {
        let until = relative(&claim.expires_at, output.now);
        table.row([claim.id, claim.name, claim.integration, claim.owner, claim.created_by, until]);
    }
    output.table(&table)
}

fn withdraw(args: &WithdrawArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let id = key_id(&args.id)?;
    let session = Session::open(&args.connection)?;
    if !args.yes && !confirm(&format!("Withdraw the claim link of {id}, and revoke the key for good?"), "--yes")? {
        return Err(Failure::failed("The link was not withdrawn. It stays good."));
    }
    let path = format!("/_keyward/v1/claims/{id}/withdraw");
    let answer =
        session.send(&Request::change("POST", &path, None)).map_err(|failure| explain(failure, id.as_str()))?;
    if output.is_json() {
        return output.json(&answer.json()?);
    }
    let Withdrawn { claim } = answer.parse()?;
    let what = match claim.status.as_str() {
        "withdrawn" => "The link is good no longer, and the key is revoked.",
        _ => "The link had ended before. Nothing was changed.",
    };
    output.say(what);
    output.line(&format!("{} · {} · {}", claim.id, claim.name, claim.status))
}

/// Says what to do about a link that was used already.
fn explain(failure: Failure, id: &str) -> Failure {
    match failure.code.as_deref() {
        Some("already_claimed") => Failure {
            message: "The link was used already: the key exists.".to_owned(),
            next: Some(format!("Revoke the key instead: keyward keys revoke {id}")),
            ..failure
        },
        _ => failure,
    }
}
