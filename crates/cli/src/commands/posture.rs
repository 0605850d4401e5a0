//! `keyward posture`.

use clap::Args;
use serde::Deserialize;

use crate::api::{Request, Session};
use crate::failure::Failure;
use crate::output::{Column, Output, OutputArgs, Table};
use crate::profile::ConnectionArgs;
use crate::time::relative;

/// Arguments of `posture`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward posture
  keyward posture --min-score 90 || echo 'below 90'
  keyward posture --output json | jq '.findings[] | select(.severity == \"high\") | .fix'")]
pub struct PostureArgs {
    /// Exit code 10 if the score is below this
    #[arg(long, value_name = "SCORE", value_parser = clap::value_parser!(u32).range(0..=100))]
    min_score: Option<u32>,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Deserialize)]
struct Posture {
    score: f64,
    #[serde(default)]
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Finding {
    rule: String,
    severity: String,
    key_id: Option<String>,
    since: String,
    detail: String,
}

/// Shows what is wrong with the deployment's keys.
///
/// # Errors
/// [`Failure`] with exit code 10 if the score is below the least one.
pub fn run(args: &PostureArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let session = Session::open(&args.connection)?;
    let answer = session.send(&Request::get("/_keyward/v1/posture"))?;
    let posture: Posture = answer.parse()?;
    if output.is_json() {
        output.json(&answer.json()?)?;
    } else {
        show(&output, &posture)?;
    }
    let below = args.min_score.is_some_and(|least| posture.score < f64::from(least));
    if below { Err(Failure::differs()) } else { Ok(()) }
}

fn show(output: &Output, posture: &Posture) -> Result<(), Failure> {
    output.line(&format!("Score {} of 100.", posture.score))?;
    if posture.findings.is_empty() {
        return output.line("Nothing was found.");
    }
    let columns = [
        Column::whole("SEVERITY"),
        Column::whole("RULE"),
        Column::whole("KEY"),
        Column::whole("SINCE"),
        Column::elastic("DETAIL"),
    ];
    let mut table = Table::new(&columns);
    for finding in &posture.findings {
        table.row([
            finding.severity.clone(),
            finding.rule.clone(),
            finding.key_id.clone().unwrap_or_else(|| "–".to_owned()),
            relative(&finding.since, output.now),
            finding.detail.clone(),
        ]);
    }
    output.table(&table)
}
