//! `keyward members create` and `rotate`: what makes a member's credential.

use clap::Args;
use serde_json::json;

use super::path;
use crate::api::{Answer, Request, Session};
use crate::commands::member_id;
use crate::delivery::{DeliveryArgs, Undelivered, deliver, shown_json};
use crate::failure::Failure;
use crate::output::{Output, OutputArgs};
use crate::profile::ConnectionArgs;

/// Arguments of `members create`.
#[derive(Args)]
#[command(after_help = "\
Roles: owner, manager (keys), responder (revokes, incidents), auditor (reads), verifier (asks
about keys). If --to fails or is interrupted, the new member is revoked.

Examples:
  keyward members create --name Mia --email mia@acme.example --role manager --show
  keyward members create --name Gateway --email ops@acme.example --role verifier \\
    --to wrangler:KEYWARD_VERIFIER")]
pub struct CreateArgs {
    /// Name
    #[arg(long, value_name = "TEXT")]
    name: String,
    /// E-mail address
    #[arg(long, value_name = "ADDRESS")]
    email: String,
    /// Role
    #[arg(long, value_name = "ROLE", value_parser = ["owner", "manager", "responder", "auditor", "verifier"], hide_possible_values = true)]
    role: String,
    /// Limit the member to this environment; repeat for several
    #[arg(long = "environment", value_name = "ENVIRONMENT", value_parser = ["live", "test"], hide_possible_values = true)]
    environments: Vec<String>,
    /// Life of the credential in days; by default the longest that the deployment allows
    #[arg(long, value_name = "DAYS")]
    expires_in_days: Option<u32>,
    #[command(flatten)]
    delivery: DeliveryArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `members rotate`.
#[derive(Args)]
#[command(after_help = "\
Your own old credential works until the new one is first used, at most 10 minutes. Another
member's old credential is refused at once.

Examples:
  keyward members rotate wafl_admin_8Fh2kQ0sZp1L --show
  keyward members rotate wafl_admin_8Fh2kQ0sZp1L \\
    --to exec:'keyward login --url https://keys.example.com'")]
pub struct RotateArgs {
    /// Member id
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    delivery: DeliveryArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Makes a member.
///
/// # Errors
/// [`Failure`] if the deployment refuses, or the credential could not be delivered.
pub fn run(args: &CreateArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    check_delivery(&args.delivery)?;
    let session = Session::open(&args.connection)?;
    args.delivery.prepare()?;
    let environments = (!args.environments.is_empty()).then_some(&args.environments);
    let body = json!({
        "name": args.name,
        "email": args.email,
        "role": args.role,
        "environments": environments,
        "expires_in_days": args.expires_in_days,
    });
    let answer = session.send(&Request::create("/_keyward/v1/members", &body))?;
    let id = answer.parse::<crate::views::Change>()?.member.unwrap_or_default().id;
    let revoke = path(&id, "/revoke");
    finish(&session, &output, &args.delivery, &answer, Undelivered::RevokeMember(&revoke))
}

/// Gives a member another credential.
///
/// # Errors
/// [`Failure`] as of [`run`].
pub fn rotate(args: &RotateArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let id = member_id(&args.id)?;
    check_delivery(&args.delivery)?;
    let session = Session::open(&args.connection)?;
    args.delivery.prepare()?;
    let path = path(id.as_str(), "/rotate");
    let request = Request::change("POST", &path, None).header("idempotency-key", crate::api::random_text());
    let answer = session.send(&request)?;
    finish(&session, &output, &args.delivery, &answer, Undelivered::Keep)
}

fn check_delivery(delivery: &DeliveryArgs) -> Result<(), Failure> {
    if delivery.by_claim() {
        return Err(Failure::usage("Where shall the credential go? Claim links are for keys only.")
            .next("Choose --to DESTINATION, or --show."));
    }
    Ok(())
}

fn finish(
    session: &Session,
    output: &Output,
    delivery: &DeliveryArgs,
    answer: &Answer,
    undelivered: Undelivered<'_>,
) -> Result<(), Failure> {
    let change = deliver(session, output, delivery, answer, undelivered)?;
    if output.is_json() {
        return output.json(&shown_json(answer, delivery)?);
    }
    let member = change.member.unwrap_or_default();
    let summary = format!("{} · {} · {} · expires {}", member.id, member.name, member.role, member.expires_at);
    match &change.api_key {
        Some(text) if delivery.show => {
            output.say(&summary);
            output.line(text.expose())
        }
        _ => output.line(&summary),
    }
}
