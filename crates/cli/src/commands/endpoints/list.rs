//! `keyward endpoints list`, `show` and `key`.

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::{Endpoint, PATH, all_or, path};
use crate::api::{Request, Session, parse_list};
use crate::failure::Failure;
use crate::output::{Column, Output, OutputArgs, Table};
use crate::profile::ConnectionArgs;
use crate::time::relative;

/// Arguments of `endpoints list`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward endpoints list
  keyward endpoints list --output json | jq -r '.items[] | select(.status == \"disabled\") | .url'")]
pub struct ListArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `endpoints show`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward endpoints show ep_8Fh2kQ0sZp1L3vTq")]
pub struct ShowArgs {
    /// Endpoint id
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `endpoints key`.
#[derive(Args)]
#[command(after_help = "\
A receiver verifies the signatures v1a with this key. It is no secret.

Examples:
  keyward endpoints key
  keyward endpoints key --output json | jq .jwk")]
pub struct KeyArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Lists endpoints.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn run(args: &ListArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let session = Session::open(&args.connection)?;
    let items = session.short_list(PATH)?;
    if output.is_json() {
        return output.json(&json!({"items": items}));
    }
    let endpoints: Vec<Endpoint> = parse_list(items)?;
    if endpoints.is_empty() {
        output.say("There is no endpoint, so nobody is told of events. Add one: keyward endpoints add ADDRESS");
        return Ok(());
    }
    let columns = [
        Column::whole("ID"),
        Column::elastic("URL"),
        Column::elastic("TYPES"),
        Column::whole("STATUS"),
        Column::whole("LAST DELIVERY"),
    ];
    let mut table = Table::new(&columns);
    for endpoint in endpoints {
        let last = endpoint.last_delivery_at.as_ref().map_or_else(|| "never".to_owned(), |at| relative(at, output.now));
        table.row([endpoint.id, endpoint.url, all_or(endpoint.types.as_deref()), endpoint.status, last]);
    }
    output.table(&table)
}

/// Shows one endpoint.
///
/// # Errors
/// [`Failure`] if there is no such endpoint.
pub fn show(args: &ShowArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let path = path(&args.id, "")?;
    let session = Session::open(&args.connection)?;
    super::show(&output, &session.send(&Request::get(&path))?)
}

#[derive(Deserialize)]
struct Key {
    whpk: String,
}

/// Shows the key that verifies events.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn key(args: &KeyArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let session = Session::open(&args.connection)?;
    let answer = session.send(&Request::get(&format!("{PATH}/key")))?;
    if output.is_json() {
        return output.json(&answer.json()?);
    }
    output.line(&answer.parse::<Key>()?.whpk)
}
