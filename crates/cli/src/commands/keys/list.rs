//! `keyward keys list`.

use clap::Args;
use clap_complete::ArgValueCandidates;
use serde_json::json;

use crate::api::{Session, parse_list};
use crate::completion;
use crate::failure::Failure;
use crate::output::{Output, OutputArgs};
use crate::profile::ConnectionArgs;
use crate::views::{Key, key_table};

/// Arguments of `keys list`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward keys list
  keyward keys list --status active --sort expires_at
  keyward keys list --idle-days 90 --sort last_used_at
  keyward keys list --search crm --output json | jq -r '.items[].id'")]
pub struct ListArgs {
    /// Only keys of this environment: live or test
    #[arg(long, value_name = "ENVIRONMENT", value_parser = ["live", "test"], hide_possible_values = true)]
    environment: Option<String>,
    /// Only keys of this integration
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(completion::integrations))]
    integration: Option<String>,
    /// Only keys of this owner
    #[arg(long, value_name = "TEXT")]
    owner: Option<String>,
    /// Only keys in this state: active, pending, retiring, quarantined, expired or revoked
    #[arg(long, value_name = "STATUS", hide_possible_values = true)]
    #[arg(value_parser = ["active", "pending", "retiring", "quarantined", "expired", "revoked"])]
    status: Option<String>,
    /// Only keys whose name or id contains this text
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only keys that were exposed
    #[arg(long)]
    exposed: bool,
    /// Only keys that end before this time, such as 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires_before: Option<String>,
    /// Only keys that nobody has used for so many days, as far as the reports of usage prove it
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=400))]
    idle_days: Option<u32>,
    /// Order: created_at, expires_at, last_used_at or name; with - before it the greatest first
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true)]
    sort: Option<String>,
    /// Maximum number of keys
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    limit: usize,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Lists keys.
///
/// # Errors
/// [`Failure`] if the deployment refuses or can't be reached.
pub fn run(args: &ListArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let session = Session::open(&args.connection)?;
    let filters = [
        ("environment", &args.environment),
        ("integration", &args.integration),
        ("owner", &args.owner),
        ("status", &args.status),
        ("q", &args.search),
        ("expires_before", &args.expires_before),
        ("sort", &args.sort),
    ];
    let mut query: Vec<_> = filters.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
    query.extend(args.exposed.then(|| ("exposed", "true".to_owned())));
    query.extend(args.idle_days.map(|days| ("idle_days", days.to_string())));
    let items = session.list("/_keyward/v1/keys", &query, args.limit.max(1))?;
    completion::remember(&session.profile, &items);
    if output.is_json() {
        return output.json(&json!({"items": items}));
    }
    if items.is_empty() {
        output.say("There is no such key.");
        return Ok(());
    }
    let keys: Vec<Key> = parse_list(items)?;
    output.table(&key_table(&keys, &output))?;
    if keys.len() >= args.limit {
        output.say(&format!("Only {} keys are shown. Give --limit, or filter.", keys.len()));
    }
    Ok(())
}
