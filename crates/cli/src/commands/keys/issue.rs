//! `keyward keys issue`.

use clap::Args;
use clap_complete::ArgValueCandidates;
use serde_json::{Value as Json, json};

use super::{path, send_creation, show_new};
use crate::api::{Answer, Request, Session};
use crate::completion;
use crate::delivery::{DeliveryArgs, Undelivered, deliver, explain_claims, shown_json};
use crate::failure::Failure;
use crate::output::{Output, OutputArgs};
use crate::profile::ConnectionArgs;
use crate::views::Change;

/// Arguments of `keys issue`.
#[derive(Args)]
#[command(after_help = "\
Without --to and --show the key is delivered by a claim link: no key exists before its receiver
uses it. With --to the key goes to the standard input of that program and nowhere else. If that
fails or is interrupted, the key is revoked.

Examples:
  keyward keys issue --name 'CRM sync' --integration crm-sync --environment live \\
    --purpose 'Nightly contact sync to the CRM' --owner ops@acme.example --scope contacts:read
  keyward keys issue … --to gh:acme/crm/KEYWARD_API_KEY
  keyward keys issue … --to vault:secret/crm#api_key
  keyward keys issue … --to exec:'pass insert -m crm/api-key'")]
pub struct IssueArgs {
    /// Name, unique among the environment's active keys
    #[arg(long, value_name = "TEXT")]
    name: String,
    /// Integration that uses the key: a-z, 0-9 and -
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(completion::integrations))]
    integration: String,
    /// live or test
    #[arg(long, value_name = "ENVIRONMENT", value_parser = ["live", "test"], hide_possible_values = true)]
    environment: String,
    /// What the key is for
    #[arg(long, value_name = "TEXT")]
    purpose: String,
    /// Whom to ask about it
    #[arg(long, value_name = "TEXT")]
    owner: String,
    /// Scope; repeat for several
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    scopes: Vec<String>,
    /// Network or address that may use the key; repeat for several. Without it every address may
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<String>,
    /// Life in days; 90 by default
    #[arg(long, value_name = "DAYS", conflicts_with = "expires_at")]
    expires_in_days: Option<u32>,
    /// End, such as 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// How long a claim link is good, in hours; 24 by default
    #[arg(long, value_name = "HOURS", conflicts_with_all = ["to", "show"])]
    claim_hours: Option<u32>,
    #[command(flatten)]
    delivery: DeliveryArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Issues a key and delivers it.
///
/// # Errors
/// [`Failure`] if the deployment refuses, or the key could not be delivered.
pub fn run(args: &IssueArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let session = Session::open(&args.connection)?;
    args.delivery.prepare()?;
    let answer = issue(&session, &output, &body(args), args.claim_hours, &args.delivery)?;
    if output.is_json() { output.json(&shown_json(&answer, &args.delivery)?) } else { Ok(()) }
}

/// Issues the key that `body` describes, and delivers it. Without `--output json` it shows the result.
///
/// # Errors
/// [`Failure`] if the deployment refuses, or the key could not be delivered.
pub fn issue(
    session: &Session,
    output: &Output,
    body: &Json,
    claim_hours: Option<u32>,
    delivery: &DeliveryArgs,
) -> Result<Answer, Failure> {
    let mut body = body.clone();
    delivery.ask_for_claim(&mut body, claim_hours);
    let integration = body.get("integration").and_then(Json::as_str).unwrap_or_default();
    let request = Request::create("/_keyward/v1/keys", &body);
    let answer = send_creation(session, &request, &format!("--integration {integration}"))
        .map_err(|failure| explain_claims(failure, delivery))?;
    let id = answer.parse::<Change>()?.key.unwrap_or_default().id;
    let revoke = path(&id, "/revoke");
    let change = deliver(session, output, delivery, &answer, Undelivered::Revoke(&revoke))?;
    if !output.is_json() {
        show_new(output, &change, delivery)?;
    }
    Ok(answer)
}

fn body(args: &IssueArgs) -> Json {
    let mut body = json!({
        "name": args.name,
        "integration": args.integration,
        "environment": args.environment,
        "purpose": args.purpose,
        "owner": args.owner,
        "scopes": args.scopes,
        "allowed_cidrs": args.networks,
    });
    if let Some(fields) = body.as_object_mut() {
        fields.extend(args.expires_in_days.map(|days| ("expires_in_days".to_owned(), days.into())));
        fields.extend(args.expires_at.clone().map(|end| ("expires_at".to_owned(), end.into())));
    }
    body
}
