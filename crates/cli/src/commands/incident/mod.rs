//! `keyward incident …`.

mod open;
mod read;

use clap::Subcommand;
use serde::Deserialize;

use crate::api::Answer;
use crate::failure::Failure;
use crate::output::{Column, Output, Table};
use crate::time::relative;
use crate::views::Claim;

/// Commands about incidents.
#[derive(Subcommand)]
pub enum IncidentCommand {
    /// Revoke every key concerned in one step, with a replacement for each integration
    Open(open::OpenArgs),
    /// List incidents, newest first
    List(read::ListArgs),
    /// Show one incident and what is still to be done
    Show(read::ShowArgs),
    /// Record what the review of the keys' activity found
    Review(read::ReviewArgs),
    /// Close an incident
    Close(read::CloseArgs),
}

/// Runs a command about incidents.
///
/// # Errors
/// [`Failure`] of the command.
pub fn run(command: &IncidentCommand) -> Result<(), Failure> {
    match command {
        IncidentCommand::Open(args) => open::run(args),
        IncidentCommand::List(args) => read::list(args),
        IncidentCommand::Show(args) => read::show(args),
        IncidentCommand::Review(args) => read::review(args),
        IncidentCommand::Close(args) => read::close(args),
    }
}

/// An incident, as the API shows it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Incident {
    id: String,
    status: String,
    kind: String,
    note: String,
    opened_at: String,
    opened_by: String,
    keys: Vec<ConcernedKey>,
    checklist: Vec<Step>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ConcernedKey {
    key_id: String,
    effective_by: Option<String>,
    guaranteed_by: Option<String>,
    claim: Option<Claim>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Step {
    step: String,
    done: bool,
    by: Option<String>,
    detail: Option<String>,
}

/// An answer with or without the object around the incident.
#[derive(Deserialize)]
#[serde(untagged)]
enum Shown {
    Wrapped { incident: Incident },
    Bare(Incident),
}

/// Returns the link of a claim, which is shown once, and its state afterwards.
fn claim_text(claim: &Claim, output: &Output) -> String {
    match claim.status.as_str() {
        _ if !claim.url.is_empty() => claim.url.clone(),
        "open" => format!("open, ends {}", relative(&claim.expires_at, output.now)),
        status => status.to_owned(),
    }
}

fn show_incident(output: &Output, answer: &Answer) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(&answer.json()?);
    }
    let (Shown::Wrapped { incident } | Shown::Bare(incident)) = answer.parse()?;
    output.pairs(&[
        ("id", incident.id),
        ("status", incident.status),
        ("kind", incident.kind),
        ("note", incident.note),
        ("opened", format!("{} by {}", relative(&incident.opened_at, output.now), incident.opened_by)),
    ])?;
    let columns =
        [Column::whole("KEY"), Column::whole("OFF BY"), Column::whole("GUARANTEED BY"), Column::whole("CLAIM LINK")];
    let mut table = Table::new(&columns);
    for key in incident.keys {
        let text = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        table.row([
            key.key_id,
            text(key.effective_by),
            text(key.guaranteed_by),
            text(key.claim.map(|claim| claim_text(&claim, output))),
        ]);
    }
    output.table(&table)?;
    for step in incident.checklist {
        let mark = if step.done { "done" } else { "to do" };
        let facts: Vec<String> = step.by.into_iter().chain(step.detail).collect();
        let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
        output.line(&crate::output::printable(&format!("{mark:5}  {}{facts}", step.step)))?;
    }
    Ok(())
}
