//! `keyward keys show`.

use clap::Args;
use clap_complete::ArgValueCandidates;

use super::path;
use crate::api::{Request, Session};
use crate::commands::key_id;
use crate::completion;
use crate::failure::Failure;
use crate::output::{Output, OutputArgs};
use crate::profile::ConnectionArgs;
use crate::views::Key;

/// Arguments of `keys show`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward keys show wafl_live_8Fh2kQ0sZp1L
  keyward keys show wafl_live_8Fh2kQ0sZp1L --output json | jq .scopes")]
pub struct ShowArgs {
    /// Key id
    #[arg(value_name = "ID", add = ArgValueCandidates::new(completion::key_ids))]
    id: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Shows one key.
///
/// # Errors
/// [`Failure`] if there is no such key.
pub fn run(args: &ShowArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let id = key_id(&args.id)?;
    let session = Session::open(&args.connection)?;
    let answer = session.send(&Request::get(&path(id.as_str(), "")))?;
    if output.is_json() {
        return output.json(&answer.json()?);
    }
    output.pairs(&answer.parse::<Key>()?.pairs(&output))
}
