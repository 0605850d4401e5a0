//! `keyward keys rotate`, `finish-rotation` and `extend-rotation`.

use clap::Args;
use clap_complete::ArgValueCandidates;
use serde_json::json;

use super::{path, send_creation, show_change, show_new};
use crate::api::{Request, Session};
use crate::commands::key_id;
use crate::completion;
use crate::delivery::{DeliveryArgs, Undelivered, deliver, explain_claims, shown_json};
use crate::failure::Failure;
use crate::output::{Output, OutputArgs};
use crate::profile::ConnectionArgs;
use crate::views::Change;

/// Arguments of `keys rotate`.
#[derive(Args)]
#[command(after_help = "\
Both keys work until the overlap ends. Without --to and --show the successor is delivered by a
claim link, and the overlap begins when it is used. If --to fails or is interrupted, the
successor is revoked.

Examples:
  keyward keys rotate wafl_live_8Fh2kQ0sZp1L --to gh:acme/crm/KEYWARD_API_KEY
  keyward keys rotate wafl_live_8Fh2kQ0sZp1L --overlap 1h
  keyward keys rotate wafl_live_8Fh2kQ0sZp1L --overlap 0s --show")]
pub struct RotateArgs {
    /// Key id
    #[arg(value_name = "ID", add = ArgValueCandidates::new(completion::key_ids))]
    id: String,
    /// How long the old key still works: a number with s, m, h or d; 1 day by default, 30 at most
    #[arg(long, value_name = "TIME", value_parser = crate::time::parse_duration)]
    overlap: Option<u32>,
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

/// Arguments of `keys finish-rotation`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward keys finish-rotation wafl_live_8Fh2kQ0sZp1L")]
pub struct FinishArgs {
    /// Id of the old key
    #[arg(value_name = "ID", add = ArgValueCandidates::new(completion::key_ids))]
    id: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `keys extend-rotation`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward keys extend-rotation wafl_live_8Fh2kQ0sZp1L --overlap 2d")]
pub struct ExtendArgs {
    /// Id of the old key
    #[arg(value_name = "ID", add = ArgValueCandidates::new(completion::key_ids))]
    id: String,
    /// How long it works from now on: a number with s, m, h or d
    #[arg(long, value_name = "TIME", value_parser = crate::time::parse_duration)]
    overlap: u32,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Rotates a key and delivers its successor.
///
/// # Errors
/// [`Failure`] if the deployment refuses, or the successor could not be delivered.
pub fn run(args: &RotateArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let id = key_id(&args.id)?;
    let session = Session::open(&args.connection)?;
    args.delivery.prepare()?;
    let mut body = json!({});
    if let (Some(overlap), Some(fields)) = (args.overlap, body.as_object_mut()) {
        fields.insert("overlap_seconds".to_owned(), overlap.into());
    }
    args.delivery.ask_for_claim(&mut body, args.claim_hours);
    let rotate = path(id.as_str(), "/rotate");
    let answer = send_creation(&session, &Request::create(&rotate, &body), &format!("--search {id}"))
        .map_err(|failure| explain_claims(failure, &args.delivery))?;
    let successor = answer.parse::<Change>()?.key.unwrap_or_default().id;
    let revoke = path(&successor, "/revoke");
    let change = deliver(&session, &output, &args.delivery, &answer, Undelivered::Revoke(&revoke))?;
    if output.is_json() {
        return output.json(&shown_json(&answer, &args.delivery)?);
    }
    show_new(&output, &change, &args.delivery)
}

/// Ends the overlap of a rotation.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn finish(args: &FinishArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let id = key_id(&args.id)?;
    let session = Session::open(&args.connection)?;
    let answer = session.send(&Request::change("POST", &path(id.as_str(), "/finish-rotation"), None))?;
    show_change(&output, &answer, "no longer works")
}

/// Prolongs the overlap of a rotation.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn extend(args: &ExtendArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let id = key_id(&args.id)?;
    let session = Session::open(&args.connection)?;
    let body = json!({"overlap_seconds": args.overlap});
    let answer = session.send(&Request::change("POST", &path(id.as_str(), "/extend-rotation"), Some(&body)))?;
    show_change(&output, &answer, "works for longer")
}
