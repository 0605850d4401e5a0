//! `keyward events tail`.

use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::Value as Json;

use super::Delivery;
use super::list::{DELIVERIES, Filters};
use crate::api::{Session, parse_item};
use crate::failure::{Exit, Failure};
use crate::output::{Output, OutputArgs};
use crate::profile::ConnectionArgs;

/// Pause between two questions.
const PAUSE: Duration = Duration::from_secs(2);
/// Number of deliveries of the first question, and of the later ones if they show that none is missed.
const FEW: usize = 50;
/// Maximum number of new deliveries in one pause. Older ones are not shown then.
const MOST: usize = 1_000;

/// Arguments of `events tail`.
#[derive(Args)]
#[command(after_help = "\
Asks the deployment every two seconds, until you press Ctrl-C. An event that goes to several
endpoints is shown once for each. With --output json every line is one object.

Examples:
  keyward events tail
  keyward events tail --type key.exposed --output json")]
pub struct TailArgs {
    #[command(flatten)]
    filters: Filters,
    /// Number of earlier deliveries to show first
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=200))]
    lines: u8,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Shows deliveries as they are made, until it is interrupted.
///
/// # Errors
/// [`Failure`] if the deployment refuses. One that can't be reached for a while is asked again.
pub fn run(args: &TailArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let session = Session::open(&args.connection)?;
    let query = args.filters.query();
    let lines = usize::from(args.lines);
    let first = session.list(DELIVERIES, &query, lines.max(1))?;
    let mut latest = 0;
    let fresh = after(first, &mut latest);
    for item in fresh.iter().skip(fresh.len().saturating_sub(lines)) {
        show(&output, item)?;
    }
    loop {
        thread::sleep(PAUSE);
        match newer(&session, &query, &mut latest) {
            Ok(fresh) => fresh.iter().try_for_each(|item| show(&output, item))?,
            Err(failure) if failure.exit == Exit::Unavailable => output.say(&failure.message),
            Err(failure) => return Err(failure),
        }
    }
}

/// Reads the deliveries after `latest`, oldest first, and moves it.
fn newer(session: &Session, query: &[(&'static str, String)], latest: &mut u64) -> Result<Vec<Json>, Failure> {
    let mut items = session.list(DELIVERIES, query, FEW)?;
    let reaches_back =
        items.len() < FEW || items.iter().any(|item| number(item).is_some_and(|number| number <= *latest));
    if !reaches_back {
        items = session.list(DELIVERIES, query, MOST)?;
    }
    Ok(after(items, latest))
}

/// Returns the items after `latest`, oldest first, and moves it to the last of them.
fn after(items: Vec<Json>, latest: &mut u64) -> Vec<Json> {
    let numbered = items.into_iter().filter_map(|item| Some((number(&item)?, item)));
    let mut fresh: Vec<(u64, Json)> = numbered.filter(|(number, _)| *number > *latest).collect();
    fresh.sort_unstable_by_key(|(number, _)| *number);
    *latest = fresh.last().map_or(*latest, |(number, _)| *number);
    fresh.into_iter().map(|(_, item)| item).collect()
}

/// Returns the number in a delivery's id. Later deliveries have higher ones.
fn number(item: &Json) -> Option<u64> {
    item.get("id")?.as_str()?.strip_prefix("dlv_")?.parse().ok()
}

fn show(output: &Output, item: &Json) -> Result<(), Failure> {
    if output.is_json() {
        return output.line(&item.to_string());
    }
    let delivery: Delivery = parse_item(item.clone())?;
    let parts = [&delivery.event_time, &delivery.kind, &delivery.endpoint, &delivery.status, &delivery.last_attempt()];
    output.line(&parts.map(String::as_str).join("  "))
}
