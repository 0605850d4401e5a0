//! `keyward usage`.

use std::collections::BTreeMap;

use clap::Args;
use clap_complete::ArgValueCandidates;
use serde::Deserialize;

use crate::api::{Request, Session, encode_query};
use crate::commands::key_id;
use crate::completion;
use crate::failure::Failure;
use crate::output::{Column, Output, OutputArgs, Table};
use crate::profile::ConnectionArgs;
use crate::time::parse_duration;
use keyward_key::time::Millis;

/// Heights of a sparkline.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Arguments of `usage`.
#[derive(Args)]
#[command(after_help = "\
With an id: the requests of one key over time, as a sparkline of the allowed ones. Without: totals.

Examples:
  keyward usage wafl_live_8Fh2kQ0sZp1L --since 7d
  keyward usage wafl_live_8Fh2kQ0sZp1L --since 2h --step minute
  keyward usage --by integration --since 30d")]
pub struct UsageArgs {
    /// Key id
    #[arg(value_name = "ID", add = ArgValueCandidates::new(completion::key_ids))]
    id: Option<String>,
    /// How far back: a number with s, m, h or d
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "24h")]
    since: u32,
    /// Step of the sparkline: minute, hour or day
    #[arg(long, value_name = "STEP", value_parser = ["minute", "hour", "day"], hide_possible_values = true, default_value = "hour")]
    step: String,
    /// What totals are of: integration, key, route or code
    #[arg(long, value_name = "WHAT", value_parser = ["integration", "key", "route", "code"], hide_possible_values = true)]
    #[arg(default_value = "integration", conflicts_with = "id")]
    by: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Requests of one key.
#[derive(Deserialize)]
struct KeyUsage {
    from: String,
    to: String,
    complete_to: Option<String>,
    items: Vec<StepItem>,
}

#[derive(Deserialize)]
struct StepItem {
    at: String,
    #[serde(default)]
    allowed: u64,
    #[serde(default)]
    refused: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Totals {
    items: Vec<Total>,
}

#[derive(Deserialize)]
struct Total {
    name: String,
    #[serde(default)]
    allowed: u64,
    #[serde(default)]
    refused: u64,
}

/// Shows how much keys are used.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn run(args: &UsageArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let from = output.now.plus_seconds(i64::from(args.since).saturating_neg());
    let mut query = vec![("from", from.rfc3339()), ("to", output.now.rfc3339())];
    let path = match &args.id {
        Some(id) => {
            query.push(("step", args.step.clone()));
            format!("/_keyward/v1/keys/{}/usage?{}", key_id(id)?, encode_query(&query))
        }
        None => {
            query.push(("by", args.by.clone()));
            format!("/_keyward/v1/usage?{}", encode_query(&query))
        }
    };
    let session = Session::open(&args.connection)?;
    let answer = session.send(&Request::get(&path))?;
    if output.is_json() {
        return output.json(&answer.json()?);
    }
    match &args.id {
        Some(_) => show_key(&output, &answer.parse()?, &args.step),
        None => show_totals(&output, &answer.parse()?),
    }
}

fn show_key(output: &Output, usage: &KeyUsage, step: &str) -> Result<(), Failure> {
    let allowed: u64 = usage.items.iter().map(|item| item.allowed).fold(0, u64::saturating_add);
    let mut refused: BTreeMap<&str, u64> = BTreeMap::new();
    for (code, count) in usage.items.iter().flat_map(|item| &item.refused) {
        let total = refused.entry(code).or_default();
        *total = total.saturating_add(*count);
    }
    let codes: Vec<String> = refused.iter().map(|(code, count)| format!("{code} {count}")).collect();
    let most = usage.items.iter().map(|item| item.allowed).max().unwrap_or_default();
    let codes = if codes.is_empty() { "none".to_owned() } else { codes.join(", ") };
    let mut pairs = vec![
        ("from", usage.from.clone()),
        ("to", usage.to.clone()),
        ("allowed", format!("{allowed}, at most {most} in one {step}")),
        ("refused", codes),
    ];
    pairs.extend(usage.complete_to.clone().map(|at| ("complete to", at)));
    output.pairs(&pairs)?;
    output.line(&sparkline(usage, step))
}

/// Returns one bar for each step. A step that the answer omits had no request.
fn sparkline(usage: &KeyUsage, step: &str) -> String {
    let step_ms = match step {
        "minute" => 60_000,
        "hour" => 3_600_000,
        _ => 86_400_000,
    };
    let number = |text: &str| Millis::parse(text).ok().and_then(|at| at.0.checked_div_euclid(step_ms));
    let counts: BTreeMap<i64, u64> =
        usage.items.iter().filter_map(|item| Some((number(&item.at)?, item.allowed))).collect();
    let (Some(first), Some(last)) = (number(&usage.from), number(&usage.to)) else { return String::new() };
    let most = counts.values().copied().max().unwrap_or_default();
    (first..=last).take(1_000).map(|at| bar(counts.get(&at).copied().unwrap_or_default(), most)).collect()
}

/// Returns the bar of a count. Even one request is higher than none.
fn bar(count: u64, most: u64) -> char {
    let height = count.saturating_mul(7).div_ceil(most.max(1));
    usize::try_from(height).ok().and_then(|height| BARS.get(height)).copied().unwrap_or('█')
}

fn show_totals(output: &Output, totals: &Totals) -> Result<(), Failure> {
    if totals.items.is_empty() {
        output.say("There was no request.");
        return Ok(());
    }
    let mut table = Table::new(&[Column::elastic("NAME"), Column::whole("ALLOWED"), Column::whole("REFUSED")]);
    for total in &totals.items {
        table.row([total.name.clone(), total.allowed.to_string(), total.refused.to_string()]);
    }
    output.table(&table)
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn one_request_among_many_is_visible() {
        assert_eq!(
            [bar(0, 0), bar(0, 9), bar(1, 1_000_000), bar(500_000, 1_000_000), bar(7, 7)],
            ['▁', '▁', '▂', '▅', '█']
        );
    }
}
