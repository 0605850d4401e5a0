//! `keyward endpoints test`, `enable`, `disable` and `remove`.

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::{path, show};
use crate::api::{Request, Session};
use crate::commands::events::Delivery;
use crate::failure::Failure;
use crate::output::{Output, OutputArgs, confirm};
use crate::profile::ConnectionArgs;

/// Arguments of `endpoints test`.
#[derive(Args)]
#[command(after_help = "\
The exit code is 1 if the endpoint does not answer with a status of 200 to 299.

Examples:
  keyward endpoints test ep_8Fh2kQ0sZp1L3vTq")]
pub struct TestArgs {
    /// Endpoint id
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `endpoints enable`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward endpoints enable ep_8Fh2kQ0sZp1L3vTq")]
pub struct EnableArgs {
    /// Endpoint id
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `endpoints disable`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward endpoints disable ep_8Fh2kQ0sZp1L3vTq")]
pub struct DisableArgs {
    /// Endpoint id
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `endpoints remove`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward endpoints remove ep_8Fh2kQ0sZp1L3vTq")]
pub struct RemoveArgs {
    /// Endpoint id
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

#[derive(Deserialize)]
struct Tested {
    delivered: bool,
    delivery: Delivery,
}

/// Sends a test event.
///
/// # Errors
/// [`Failure`] if the deployment refuses, or the event did not arrive.
pub fn test(args: &TestArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let path = path(&args.id, "/test")?;
    let session = Session::open(&args.connection)?;
    // A repetition would send another test event.
    let answer = session.send(&Request::once("POST", &path, None)).map_err(|failure| {
        failure.unknown_outcome("The test event may have been sent.", "keyward events list --type endpoint.test")
    })?;
    let Tested { delivered, delivery } = answer.parse()?;
    if output.is_json() {
        output.json(&answer.json()?)?;
    }
    if !delivered {
        return Err(Failure::failed(format!("The test event was not accepted: {}.", delivery.last_attempt()))
            .next("See what the receiver logs, correct it, and run the test again."));
    }
    if output.is_json() {
        Ok(())
    } else {
        output.line(&format!("The test event arrived: {}.", delivery.last_attempt()))
    }
}

/// Enables an endpoint.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn enable(args: &EnableArgs) -> Result<(), Failure> {
    set_status(&args.id, "enabled", &args.connection, args.output)
}

/// Disables an endpoint.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn disable(args: &DisableArgs) -> Result<(), Failure> {
    set_status(&args.id, "disabled", &args.connection, args.output)
}

fn set_status(id: &str, status: &str, connection: &ConnectionArgs, output: OutputArgs) -> Result<(), Failure> {
    let output = Output::new(output);
    let path = path(id, "")?;
    let session = Session::open(connection)?;
    show(&output, &session.send(&Request::change("PATCH", &path, Some(&json!({"status": status}))))?)
}

/// Removes an endpoint. Asks first.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn remove(args: &RemoveArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let path = path(&args.id, "")?;
    let session = Session::open(&args.connection)?;
    if !args.yes && !confirm(&format!("Remove the endpoint {} and what waits for it?", args.id), "--yes")? {
        return Err(Failure::failed("Nothing was removed."));
    }
    session.send(&Request::delete(&path))?;
    output.say(&format!("{} was removed.", args.id));
    Ok(())
}
