//! `keyward members list` and `show`.

use clap::Args;
use serde_json::json;

use super::path;
use crate::api::{Request, Session, parse_list};
use crate::commands::member_id;
use crate::failure::Failure;
use crate::output::{Output, OutputArgs};
use crate::profile::ConnectionArgs;
use crate::views::{Member, member_table};

/// Arguments of `members list`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward members list
  keyward members list --output json | jq -r '.items[] | select(.role == \"owner\") | .email'")]
pub struct ListArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `members show`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward members show wafl_admin_8Fh2kQ0sZp1L")]
pub struct ShowArgs {
    /// Member id
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Lists members.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn run(args: &ListArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let session = Session::open(&args.connection)?;
    let items = session.list("/_keyward/v1/members", &[], usize::MAX)?;
    if output.is_json() {
        return output.json(&json!({"items": items}));
    }
    let members: Vec<Member> = parse_list(items)?;
    output.table(&member_table(&members, &output))
}

/// Shows one member.
///
/// # Errors
/// [`Failure`] if there is no such member.
pub fn show(args: &ShowArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let id = member_id(&args.id)?;
    let session = Session::open(&args.connection)?;
    let answer = session.send(&Request::get(&path(id.as_str(), "")))?;
    if output.is_json() {
        return output.json(&answer.json()?);
    }
    output.pairs(&answer.parse::<Member>()?.pairs(&output))
}
