//! `keyward endpoints …`: where events go.

mod add;
mod change;
mod list;
mod secret;

use clap::Subcommand;
use serde::Deserialize;

use crate::api::Answer;
use crate::failure::Failure;
use crate::output::Output;
use crate::secret::Secret;
use crate::time::relative;

/// Commands about endpoints.
#[derive(Subcommand)]
pub enum EndpointsCommand {
    /// List endpoints
    List(list::ListArgs),
    /// Show one endpoint
    Show(list::ShowArgs),
    /// Add an endpoint. It receives events after a test has succeeded
    Add(add::AddArgs),
    /// Send a test event now, which enables a new endpoint if it arrives
    Test(change::TestArgs),
    /// Send events again to a disabled endpoint
    Enable(change::EnableArgs),
    /// Send no more events to an endpoint
    Disable(change::DisableArgs),
    /// Give an endpoint another secret. The old one stays good for 24 hours
    RotateSecret(add::RotateArgs),
    /// Remove an endpoint and what waits for it
    Remove(change::RemoveArgs),
    /// Show the public key that verifies events
    Key(list::KeyArgs),
}

/// Runs a command about endpoints.
///
/// # Errors
/// [`Failure`] of the command.
pub fn run(command: &EndpointsCommand) -> Result<(), Failure> {
    match command {
        EndpointsCommand::List(args) => list::run(args),
        EndpointsCommand::Show(args) => list::show(args),
        EndpointsCommand::Add(args) => add::run(args),
        EndpointsCommand::Test(args) => change::test(args),
        EndpointsCommand::Enable(args) => change::enable(args),
        EndpointsCommand::Disable(args) => change::disable(args),
        EndpointsCommand::RotateSecret(args) => add::rotate(args),
        EndpointsCommand::Remove(args) => change::remove(args),
        EndpointsCommand::Key(args) => list::key(args),
    }
}

/// Path of the list.
const PATH: &str = "/_keyward/v1/endpoints";

/// Returns the path of an operation on an endpoint.
///
/// # Errors
/// [`Failure`] if `id` has not the form of an id: it would change the path.
pub(super) fn path(id: &str, operation: &str) -> Result<String, Failure> {
    let is_plain = id.strip_prefix("ep_").is_some_and(|rest| rest.chars().all(|letter| letter.is_ascii_alphanumeric()));
    if !is_plain {
        return Err(Failure::usage(format!("{id} is no id of an endpoint."))
            .next("An id looks like ep_8Fh2kQ0sZp1L3vTq. `keyward endpoints list` shows them."));
    }
    Ok(format!("{PATH}/{id}{operation}"))
}

/// An endpoint, as far as this program shows it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Endpoint {
    id: String,
    url: String,
    description: String,
    types: Option<Vec<String>>,
    environments: Option<Vec<String>>,
    signatures: Vec<String>,
    status: String,
    disabled_reason: Option<String>,
    previous_secret_until: Option<String>,
    last_delivery_at: Option<String>,
}

/// Answer of an operation on an endpoint. `secret` is there when one was made.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Changed {
    endpoint: Endpoint,
    secret: Option<Secret>,
}

impl Endpoint {
    fn pairs(&self, output: &Output) -> Vec<(&'static str, String)> {
        let last = self.last_delivery_at.as_ref().map_or_else(|| "never".to_owned(), |at| relative(at, output.now));
        let mut pairs = vec![
            ("id", self.id.clone()),
            ("url", self.url.clone()),
            ("description", self.description.clone()),
            ("types", all_or(self.types.as_deref())),
            ("environments", all_or(self.environments.as_deref())),
            ("signatures", self.signatures.join(" ")),
            ("status", self.status_text()),
            ("last delivery", last),
        ];
        let until = self.previous_secret_until.as_ref();
        pairs.extend(until.map(|at| ("old secret", format!("good until {at} ({})", relative(at, output.now)))));
        pairs
    }

    fn status_text(&self) -> String {
        let why = match self.disabled_reason.as_deref() {
            Some("gone") => " (it answered 410)",
            Some("failing") => " (every attempt failed for days)",
            Some("member") => " (by a member)",
            _ => "",
        };
        format!("{}{why}", self.status)
    }
}

/// A list in words: without one everything is meant.
fn all_or(list: Option<&[String]>) -> String {
    list.map_or_else(|| "all".to_owned(), |list| list.join(" "))
}

/// Shows the endpoint of an answer.
fn show(output: &Output, answer: &Answer) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(&answer.json()?);
    }
    output.pairs(&answer.parse::<Changed>()?.endpoint.pairs(output))
}
