//! `keyward plan`, `apply` and `export`: keys as code.

mod apply;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value as Json, json};

pub use apply::apply;

use crate::api::{Session, parse_list};
use crate::failure::Failure;
use crate::output::{Output, OutputArgs, printable};
use crate::plan::difference::{Plan, Step, compare, wanted_of};
use crate::plan::file::{Wanted, parse, write};
use crate::profile::ConnectionArgs;
use crate::views::Key;

/// Arguments of `plan`.
#[derive(Args)]
#[command(after_help = "\
Exit code 10: the deployment differs from the file. A key of the file is the deployment's key of
the same environment and integration.

Examples:
  keyward export > keys.toml
  keyward plan keys.toml
  keyward plan keys.toml --prune --output json")]
pub struct PlanArgs {
    #[command(flatten)]
    what: FileArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `apply`.
#[derive(Args)]
#[command(after_help = "\
Rights change in place. New keys are delivered by claim link, or to the program of their `to`.
Nothing is revoked without --prune.

Examples:
  keyward apply keys.toml
  keyward apply keys.toml --prune --yes")]
pub struct ApplyArgs {
    #[command(flatten)]
    what: FileArgs,
    /// Do not ask before --prune revokes keys
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// File and extent.
#[derive(Args)]
struct FileArgs {
    /// File with a table for each key
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    /// Revoke active keys that the file does not have
    #[arg(long)]
    prune: bool,
}

/// Arguments of `export`.
#[derive(Args)]
#[command(after_help = "\
The file has no secret. `keyward plan` on it finds no difference.

Examples:
  keyward export > keys.toml
  keyward export --environment test > test-keys.toml")]
pub struct ExportArgs {
    /// Only keys of this environment: live or test
    #[arg(long, value_name = "ENVIRONMENT", value_parser = ["live", "test"], hide_possible_values = true)]
    environment: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// States of keys that hold the place of their integration.
const HOLDING: [&str; 3] = ["active", "pending", "quarantined"];

/// Shows the difference.
///
/// # Errors
/// [`Failure`] with exit code 10 if there is one.
pub fn plan(args: &PlanArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let wanted = read(&args.what.file)?;
    let session = Session::open(&args.connection)?;
    let plan = compare(&wanted, &present(&session, None)?, args.what.prune);
    if output.is_json() {
        output.json(&document(&plan))?;
    } else {
        show(&output, &plan)?;
    }
    if plan.steps.is_empty() { Ok(()) } else { Err(Failure::differs()) }
}

/// Writes the keys of the deployment as a file.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn export(args: &ExportArgs) -> Result<(), Failure> {
    let output = Output::new(OutputArgs::default());
    let session = Session::open(&args.connection)?;
    let mut keys = Vec::new();
    for key in present(&session, args.environment.as_deref())? {
        let wanted = wanted_of(&key)
            .ok_or_else(|| Failure::failed(format!("{} has an unknown form.", key.id)).next("Update this program."))?;
        keys.push(wanted);
    }
    keys.sort_by_key(Wanted::identity);
    output.line(write(&keys)?.trim_end())
}

fn read(path: &Path) -> Result<Vec<Wanted>, Failure> {
    let name = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("{name} can't be read: {error}.")))?;
    parse(&name, &text)
}

/// Returns the keys that hold the place of their integration. A deployment that does not know a state has no key in it.
fn present(session: &Session, environment: Option<&str>) -> Result<Vec<Key>, Failure> {
    let mut keys = Vec::new();
    for status in HOLDING {
        let mut query = vec![("status", status.to_owned())];
        query.extend(environment.map(|environment| ("environment", environment.to_owned())));
        match session.list("/_keyward/v1/keys", &query, usize::MAX) {
            Ok(items) => keys.extend(items),
            Err(failure) if failure.is("invalid_request") && status != "active" => {}
            Err(failure) => return Err(failure),
        }
    }
    parse_list(keys)
}

fn show(output: &Output, plan: &Plan) -> Result<(), Failure> {
    for step in &plan.steps {
        match step {
            Step::Revoke { id, name } => output.line(&printable(&format!("- revoke {id} ({name})")))?,
            Step::Change { id, name, lines, .. } => {
                output.line(&printable(&format!("~ change {id} ({name})")))?;
                lines.iter().try_for_each(|line| output.line(&printable(&format!("    {line}"))))?;
            }
            Step::Issue(key) => {
                let to = key.to.as_deref().unwrap_or("claim link");
                output.line(&printable(&format!(
                    "+ issue {} for {} in {}, by {to}",
                    key.name,
                    key.integration,
                    key.environment.as_str()
                )))?;
                output.line(&printable(&format!("    scopes: {}", key.scopes.join(" "))))?;
            }
        }
    }
    for (id, name) in &plan.kept {
        output.say(&format!("Not in the file, and kept: {id} ({name}). --prune would revoke it."));
    }
    for conflict in &plan.conflicts {
        output.say(&format!("Conflict: {conflict}."));
    }
    if plan.steps.is_empty() {
        output.say("No differences.");
    }
    Ok(())
}

fn document(plan: &Plan) -> Json {
    let steps: Vec<Json> = plan.steps.iter().map(step_document).collect();
    let kept: Vec<Json> = plan.kept.iter().map(|(id, name)| json!({"id": id, "name": name})).collect();
    json!({"steps": steps, "kept": kept, "conflicts": plan.conflicts})
}

fn step_document(step: &Step) -> Json {
    match step {
        Step::Revoke { id, name } => json!({"step": "revoke", "id": id, "name": name}),
        Step::Change { id, name, fields, .. } => json!({"step": "change", "id": id, "name": name, "fields": fields}),
        Step::Issue(key) => json!({
            "step": "issue", "name": key.name, "integration": key.integration, "environment": key.environment, "to": key.to,
        }),
    }
}
