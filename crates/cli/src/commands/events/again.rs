//! `keyward events resend` and `replay`.

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::Delivery;
use crate::api::{Request, Session};
use crate::commands::endpoints;
use crate::failure::Failure;
use crate::output::{Output, OutputArgs};
use crate::profile::ConnectionArgs;

/// Arguments of `events resend`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward events resend dlv_4711")]
pub struct ResendArgs {
    /// Id of the delivery
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `events replay`.
#[derive(Args)]
#[command(after_help = "\
For a receiver that was down, or lost its data. Every event keeps its id, so a receiver that
remembers ids takes each event once. Events are kept for 30 days.

Examples:
  keyward events replay ep_8Fh2kQ0sZp1L3vTq --from 2026-11-20T00:00:00Z --to 2026-11-21T00:00:00Z")]
pub struct ReplayArgs {
    /// Id of the endpoint
    #[arg(value_name = "ENDPOINT")]
    endpoint: String,
    /// Events from this time on
    #[arg(long, value_name = "TIME")]
    from: String,
    /// Events before this time
    #[arg(long, value_name = "TIME")]
    to: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Deserialize)]
struct Resent {
    delivery: Delivery,
}

#[derive(Deserialize)]
struct Replayed {
    count: u64,
}

/// Sends a delivery again.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn resend(args: &ResendArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let is_plain = args.id.strip_prefix("dlv_").is_some_and(|rest| rest.chars().all(|letter| letter.is_ascii_digit()));
    if !is_plain {
        return Err(Failure::usage(format!("{} is no id of a delivery.", args.id))
            .next("An id looks like dlv_4711. `keyward events list` shows them."));
    }
    let path = format!("/_keyward/v1/deliveries/{}/resend", args.id);
    let session = Session::open(&args.connection)?;
    let answer = session.send(&Request::once("POST", &path, None)).map_err(unknown)?;
    if output.is_json() {
        return output.json(&answer.json()?);
    }
    let Resent { delivery } = answer.parse()?;
    output.line(&format!("{} is sent to {} again, as {}.", delivery.kind, delivery.endpoint, delivery.id))
}

/// Sends the events of a span again.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn replay(args: &ReplayArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let path = endpoints::path(&args.endpoint, "/replay")?;
    let session = Session::open(&args.connection)?;
    let body = json!({"from": args.from, "to": args.to});
    let answer = session.send(&Request::once("POST", &path, Some(&body))).map_err(unknown)?;
    if output.is_json() {
        return output.json(&answer.json()?);
    }
    match answer.parse::<Replayed>()?.count {
        0 => output.line("No event for this endpoint is of that time."),
        1 => output.line("1 event is sent again."),
        count => output.line(&format!("{count} events are sent again.")),
    }
}

/// A repetition would send the events once more.
fn unknown(failure: Failure) -> Failure {
    failure.unknown_outcome("The events may have been sent again.", "keyward events list --status pending")
}
