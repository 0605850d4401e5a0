//! `keyward events list`.

use clap::Args;
use serde_json::json;

use super::{Delivery, table};
use crate::api::{Session, parse_list};
use crate::failure::Failure;
use crate::output::{Output, OutputArgs};
use crate::profile::ConnectionArgs;

/// Path of the list.
pub(super) const DELIVERIES: &str = "/_keyward/v1/deliveries";

/// Arguments of `events list`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward events list
  keyward events list --status failed --endpoint ep_8Fh2kQ0sZp1L3vTq
  keyward events list --type key.revoked --output json | jq '.items[].event_id'")]
pub struct ListArgs {
    #[command(flatten)]
    filters: Filters,
    /// Only deliveries with this status: pending, delivered or failed
    #[arg(long, value_name = "STATUS", value_parser = ["pending", "delivered", "failed"], hide_possible_values = true)]
    status: Option<String>,
    /// Maximum number of deliveries
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Filters of deliveries.
#[derive(Args, Clone, Debug, Default)]
pub struct Filters {
    /// Only deliveries to this endpoint
    #[arg(long, value_name = "ID")]
    endpoint: Option<String>,
    /// Only this type, such as key.revoked
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
}

impl Filters {
    /// Returns the filters as parameters of a query.
    pub fn query(&self) -> Vec<(&'static str, String)> {
        let all = [("endpoint", &self.endpoint), ("type", &self.kind)];
        all.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }
}

/// Lists deliveries.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn run(args: &ListArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let session = Session::open(&args.connection)?;
    let mut query = args.filters.query();
    query.extend(args.status.clone().map(|status| ("status", status)));
    let items = session.list(DELIVERIES, &query, args.limit.max(1))?;
    if output.is_json() {
        return output.json(&json!({"items": items}));
    }
    let deliveries: Vec<Delivery> = parse_list(items)?;
    if deliveries.is_empty() {
        output.say("There is no such delivery. Events are sent to enabled endpoints: keyward endpoints list");
        return Ok(());
    }
    output.table(&table(&deliveries, &output))
}
