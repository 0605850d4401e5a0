//! `keyward members update` and `revoke`.

use clap::Args;
use serde_json::{Map, Value as Json};

use super::path;
use crate::api::{Request, Session};
use crate::commands::member_id;
use crate::failure::Failure;
use crate::output::{Output, OutputArgs, confirm};
use crate::profile::ConnectionArgs;
use crate::views::Change;

/// Arguments of `members update`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward members update wafl_admin_8Fh2kQ0sZp1L --role responder
  keyward members update wafl_admin_8Fh2kQ0sZp1L --all-environments")]
pub struct UpdateArgs {
    /// Member id
    #[arg(value_name = "ID")]
    id: String,
    /// New name
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// New e-mail address
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// New role
    #[arg(long, value_name = "ROLE", value_parser = ["owner", "manager", "responder", "auditor", "verifier"], hide_possible_values = true)]
    role: Option<String>,
    /// Limit the member to this environment; repeat for several
    #[arg(long = "environment", value_name = "ENVIRONMENT", value_parser = ["live", "test"], hide_possible_values = true)]
    environments: Vec<String>,
    /// Remove the limit to environments
    #[arg(long, conflicts_with = "environments")]
    all_environments: bool,
    /// Life of the credential from now on, in days
    #[arg(long, value_name = "DAYS")]
    expires_in_days: Option<u32>,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `members revoke`.
#[derive(Args)]
#[command(after_help = "\
The member's keys stay as they are.

Examples:
  keyward members revoke wafl_admin_8Fh2kQ0sZp1L")]
pub struct RevokeArgs {
    /// Member id
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

/// Changes a member. A change by others in between is noticed.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn update(args: &UpdateArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let id = member_id(&args.id)?;
    let mut changes = Map::new();
    for (name, value) in [("name", &args.name), ("email", &args.email), ("role", &args.role)] {
        changes.extend(value.clone().map(|value| (name.to_owned(), value.into())));
    }
    if args.all_environments {
        changes.insert("environments".to_owned(), Json::Null);
    } else if !args.environments.is_empty() {
        changes.insert("environments".to_owned(), args.environments.clone().into());
    }
    changes.extend(args.expires_in_days.map(|days| ("expires_in_days".to_owned(), days.into())));
    if changes.is_empty() {
        return Err(
            Failure::usage("Nothing is to be changed.").next("`keyward members update --help` lists what can be.")
        );
    }
    let session = Session::open(&args.connection)?;
    let path = path(id.as_str(), "");
    let present = session.send(&Request::get(&path))?;
    let changes = changes.into();
    let mut request = Request::change("PATCH", &path, Some(&changes));
    if let Some(etag) = present.etag {
        request = request.header("if-match", etag);
    }
    finish(&output, &session.send(&request)?)
}

/// Revokes a member. Asks first.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn revoke(args: &RevokeArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let id = member_id(&args.id)?;
    let session = Session::open(&args.connection)?;
    if !args.yes && !confirm(&format!("Revoke the member {id} for good?"), "--yes")? {
        return Err(Failure::failed("Nothing was revoked."));
    }
    finish(&output, &session.send(&Request::change("POST", &path(id.as_str(), "/revoke"), None))?)
}

fn finish(output: &Output, answer: &crate::api::Answer) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(&answer.json()?);
    }
    let member = answer.parse::<Change>()?.member.unwrap_or_default();
    output.pairs(&member.pairs(output))
}
