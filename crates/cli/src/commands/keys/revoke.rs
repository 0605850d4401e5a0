//! `keyward keys revoke`.

use clap::Args;
use clap_complete::ArgValueCandidates;
use serde_json::{Value as Json, json};

use super::{effect, path};
use crate::api::{Request, Session};
use crate::commands::key_id;
use crate::completion;
use crate::failure::Failure;
use crate::output::{Output, OutputArgs, confirm};
use crate::profile::ConnectionArgs;
use crate::views::Change;

/// Arguments of `keys revoke`.
#[derive(Args)]
#[command(after_help = "\
A revocation is final. For a key that is still needed, rotate it instead.

Examples:
  keyward keys revoke wafl_live_8Fh2kQ0sZp1L --reason 'Found in a public repository'
  keyward keys revoke wafl_live_8Fh2kQ0sZp1L wafl_live_000000000001 \\
    --reason 'Integration ended' --yes")]
pub struct RevokeArgs {
    /// Key ids
    #[arg(value_name = "ID", required = true, add = ArgValueCandidates::new(completion::key_ids))]
    ids: Vec<String>,
    /// Why; the audit log and the key show it
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Revokes keys. Asks first.
///
/// # Errors
/// [`Failure`] if a revocation is refused. The keys before it are revoked.
pub fn run(args: &RevokeArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let ids = args.ids.iter().map(|id| key_id(id)).collect::<Result<Vec<_>, _>>()?;
    let session = Session::open(&args.connection)?;
    if !args.yes {
        let names: Vec<&str> = ids.iter().map(keyward_key::id::KeyId::as_str).collect();
        if !confirm(&format!("Revoke {} for good?", names.join(", ")), "--yes")? {
            return Err(Failure::failed("Nothing was revoked."));
        }
    }
    let mut documents: Vec<Json> = Vec::new();
    for id in &ids {
        let body = json!({"reason": args.reason});
        let answer = session.send(&Request::change("POST", &path(id.as_str(), "/revoke"), Some(&body)))?;
        if output.is_json() {
            documents.push(answer.json()?);
            continue;
        }
        let change: Change = answer.parse()?;
        let key = change.key.clone().unwrap_or_default();
        output.line(&format!("{} ({}) is revoked: {}.", key.id, key.name, key.revoke_reason.unwrap_or_default()))?;
        output.line(&effect(&change, &output))?;
    }
    if output.is_json() { output.json(&json!({"items": documents})) } else { Ok(()) }
}
