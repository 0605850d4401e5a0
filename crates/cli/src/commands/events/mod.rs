//! `keyward events …`: what was told to whom.

mod again;
mod list;
mod tail;

use clap::Subcommand;
use serde::Deserialize;

use crate::failure::Failure;
use crate::output::{Column, Output, Table};
use crate::time::relative;

/// Commands about events.
#[derive(Subcommand)]
pub enum EventsCommand {
    /// List deliveries of the last 30 days, newest first
    List(list::ListArgs),
    /// Show events as they happen
    Tail(tail::TailArgs),
    /// Send one delivery again
    Resend(again::ResendArgs),
    /// Send the events of a span of time to an endpoint again
    Replay(again::ReplayArgs),
}

/// Runs a command about events.
///
/// # Errors
/// [`Failure`] of the command.
pub fn run(command: &EventsCommand) -> Result<(), Failure> {
    match command {
        EventsCommand::List(args) => list::run(args),
        EventsCommand::Tail(args) => tail::run(args),
        EventsCommand::Resend(args) => again::resend(args),
        EventsCommand::Replay(args) => again::replay(args),
    }
}

/// One event on its way to one endpoint.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Delivery {
    id: String,
    endpoint: String,
    #[serde(rename = "type")]
    kind: String,
    event_time: String,
    status: String,
    next_attempt_at: Option<String>,
    attempts: Vec<Attempt>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Attempt {
    status: Option<u16>,
    error: Option<String>,
    duration_ms: Option<u64>,
}

impl Delivery {
    /// Returns what came of the last attempt, in words.
    #[must_use]
    pub fn last_attempt(&self) -> String {
        let Some(attempt) = self.attempts.last() else { return "not tried yet".to_owned() };
        let what = match (attempt.status, attempt.error.as_deref()) {
            (Some(status), _) => format!("status {status}"),
            (None, Some("timeout")) => "no answer in time".to_owned(),
            (None, Some("connection_failed")) => "no connection".to_owned(),
            (None, Some("address_not_allowed")) => "EVENT_HOSTS does not list the host any more".to_owned(),
            (None, Some(error)) => error.replace('_', " "),
            (None, None) => "under way".to_owned(),
        };
        match attempt.duration_ms {
            Some(duration) => format!("{what} after {duration} ms"),
            None => what,
        }
    }
}

/// Returns the table of deliveries.
fn table(deliveries: &[Delivery], output: &Output) -> Table {
    let columns = [
        Column::whole("ID"),
        Column::whole("WHEN"),
        Column::whole("TYPE"),
        Column::whole("STATUS"),
        Column::elastic("LAST ATTEMPT"),
        Column::whole("NEXT"),
        Column::whole("ENDPOINT"),
    ];
    let mut table = Table::new(&columns);
    for delivery in deliveries {
        let next = delivery.next_attempt_at.as_ref().map_or_else(|| "–".to_owned(), |at| relative(at, output.now));
        let when = relative(&delivery.event_time, output.now);
        let texts = [&delivery.kind, &delivery.status].map(String::clone);
        let last = delivery.last_attempt();
        table.row([delivery.id.clone(), when].into_iter().chain(texts).chain([last, next, delivery.endpoint.clone()]));
    }
    table
}
