//! `keyward incident open`.

use clap::Args;
use clap_complete::ArgValueCandidates;
use serde_json::{Value as Json, json};

use super::show_incident;
use crate::api::{Request, Session};
use crate::commands::key_id;
use crate::completion;
use crate::failure::Failure;
use crate::output::{Output, OutputArgs, confirm};
use crate::profile::ConnectionArgs;

/// Path of the list.
pub const PATH: &str = "/_keyward/v1/incidents";

/// Arguments of `incident open`.
#[derive(Args)]
#[command(after_help = "\
First it is shown which keys are concerned, then you are asked. All of them are revoked in one step, and
each integration gets a claim link for a new key.

Examples:
  keyward incident open --key wafl_live_8Fh2kQ0sZp1L --kind exposed --note 'In a public repository'
  keyward incident open --integration crm-sync --kind suspected --note 'Laptop lost' --dry-run
  keyward incident open --owner ops@acme.example --kind exposed --note 'Mailbox leaked' --replace none")]
pub struct OpenArgs {
    #[command(flatten)]
    which: Which,
    /// exposed, suspected or other
    #[arg(long, value_name = "KIND", value_parser = ["exposed", "suspected", "other"], hide_possible_values = true)]
    kind: String,
    /// What happened
    #[arg(long, value_name = "TEXT")]
    note: String,
    /// What replaces the keys: claim (a link for each integration) or none
    #[arg(long, value_name = "HOW", value_parser = ["claim", "none"], hide_possible_values = true, default_value = "claim")]
    replace: String,
    /// Only show which keys are concerned
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// The keys concerned.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Key id; repeat for several
    #[arg(long = "key", value_name = "ID", add = ArgValueCandidates::new(completion::key_ids))]
    keys: Vec<String>,
    /// Every key of this integration, in both environments
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(completion::integrations))]
    integration: Option<String>,
    /// Every key of this owner
    #[arg(long, value_name = "TEXT")]
    owner: Option<String>,
}

/// Opens an incident.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn run(args: &OpenArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let mut body = body(args)?;
    let session = Session::open(&args.connection)?;
    let with = |body: &Json, name: &str, value: Json| {
        let mut body = body.clone();
        if let Some(fields) = body.as_object_mut() {
            fields.insert(name.to_owned(), value);
        }
        body
    };
    let trial = with(&body, "dry_run", true.into());
    let concerned: Json = session.send(&Request::change("POST", PATH, Some(&trial)))?.json()?;
    if args.dry_run && output.is_json() {
        return output.json(&concerned);
    }
    let what = summary(&concerned);
    if args.dry_run {
        return output.line(&format!("{what} No key was revoked."));
    }
    if !args.yes && !confirm(&format!("{what} Revoke them for good?"), "--yes")? {
        return Err(Failure::failed("Nothing was revoked."));
    }
    // The number that was shown: if more keys are concerned by now, the deployment refuses.
    if let Some(text) = concerned.get("confirm").filter(|text| text.is_string()) {
        body = with(&body, "confirm", text.clone());
    }
    show_incident(&output, &session.send(&Request::create(PATH, &body))?)
}

fn body(args: &OpenArgs) -> Result<Json, Failure> {
    let mut body = json!({"kind": args.kind, "note": args.note, "replace": args.replace});
    let keys = args.which.keys.iter().map(|id| key_id(id)).collect::<Result<Vec<_>, _>>()?;
    let (name, value): (&str, Json) = match (&args.which.integration, &args.which.owner) {
        (Some(integration), _) => ("integration", integration.as_str().into()),
        (None, Some(owner)) => ("owner", owner.as_str().into()),
        (None, None) => ("key_ids", json!(keys)),
    };
    if let Some(fields) = body.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
    Ok(body)
}

/// Says how many keys, integrations and owners are concerned. The API gives numbers or lists.
fn summary(concerned: &Json) -> String {
    let count = |name: &str| match concerned.get(name) {
        Some(Json::Array(items)) => items.len().to_string(),
        Some(Json::Number(number)) => number.to_string(),
        _ => "?".to_owned(),
    };
    format!("Concerned: keys {}, integrations {}, owners {}.", count("keys"), count("integrations"), count("owners"))
}
