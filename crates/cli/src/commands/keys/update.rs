//! `keyward keys update`.

use clap::Args;
use clap_complete::ArgValueCandidates;
use serde_json::{Map, Value as Json};

use super::{path, show_change};
use crate::api::{Request, Session};
use crate::commands::key_id;
use crate::completion;
use crate::failure::Failure;
use crate::output::{Output, OutputArgs};
use crate::profile::ConnectionArgs;
use crate::views::Key;

/// Arguments of `keys update`.
#[derive(Args)]
#[command(after_help = "\
--scope and --network replace the whole list. --add-… and --remove-… change the list that the
key has.

Examples:
  keyward keys update wafl_live_8Fh2kQ0sZp1L --add-scope events:read
  keyward keys update wafl_live_8Fh2kQ0sZp1L --network 192.0.2.0/24 --network 2001:db8::/32
  keyward keys update wafl_live_8Fh2kQ0sZp1L --expires-at 2027-01-31T00:00:00Z")]
pub struct UpdateArgs {
    /// Key id
    #[arg(value_name = "ID", add = ArgValueCandidates::new(completion::key_ids))]
    id: String,
    /// New name
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// New purpose
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    /// New owner
    #[arg(long, value_name = "TEXT")]
    owner: Option<String>,
    /// Scopes instead of the present ones
    #[arg(long = "scope", value_name = "SCOPE", conflicts_with_all = ["add_scopes", "remove_scopes"])]
    scopes: Vec<String>,
    /// Add a scope
    #[arg(long = "add-scope", value_name = "SCOPE")]
    add_scopes: Vec<String>,
    /// Remove a scope
    #[arg(long = "remove-scope", value_name = "SCOPE")]
    remove_scopes: Vec<String>,
    /// Networks instead of the present ones
    #[arg(long = "network", value_name = "CIDR", conflicts_with_all = ["add_networks", "remove_networks", "any_network"])]
    networks: Vec<String>,
    /// Add a network
    #[arg(long = "add-network", value_name = "CIDR")]
    add_networks: Vec<String>,
    /// Remove a network
    #[arg(long = "remove-network", value_name = "CIDR")]
    remove_networks: Vec<String>,
    /// Allow every address
    #[arg(long, conflicts_with_all = ["add_networks", "remove_networks"])]
    any_network: bool,
    /// New end, such as 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Changes a key. A change by others in between is noticed.
///
/// # Errors
/// [`Failure`] if the deployment refuses.
pub fn run(args: &UpdateArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let id = key_id(&args.id)?;
    let session = Session::open(&args.connection)?;
    let path = path(id.as_str(), "");
    let present = session.send(&Request::get(&path))?;
    let changes = changes(args, &present.parse()?)?;
    let mut request = Request::change("PATCH", &path, Some(&changes));
    if let Some(etag) = present.etag {
        request = request.header("if-match", etag);
    }
    show_change(&output, &session.send(&request)?, "was changed")
}

fn changes(args: &UpdateArgs, present: &Key) -> Result<Json, Failure> {
    let mut changes = Map::new();
    let texts =
        [("name", &args.name), ("purpose", &args.purpose), ("owner", &args.owner), ("expires_at", &args.expires_at)];
    for (name, value) in texts {
        changes.extend(value.clone().map(|value| (name.to_owned(), value.into())));
    }
    let scopes = list("scope", &present.scopes, &args.scopes, &args.add_scopes, &args.remove_scopes)?;
    changes.extend(scopes.map(|scopes| ("scopes".to_owned(), scopes.into())));
    let networks = list("network", &present.allowed_cidrs, &args.networks, &args.add_networks, &args.remove_networks)?;
    let networks = if args.any_network { Some(Vec::new()) } else { networks };
    if networks.as_ref().is_some_and(Vec::is_empty) && !args.any_network {
        return Err(Failure::usage("Without a network every address could use the key.")
            .next("Give --any-network if you mean that."));
    }
    changes.extend(networks.map(|networks| ("allowed_cidrs".to_owned(), networks.into())));
    if changes.is_empty() {
        return Err(Failure::usage("Nothing is to be changed.").next("`keyward keys update --help` lists what can be."));
    }
    Ok(changes.into())
}

/// Returns the new list, or `None` if it stays as it is.
fn list(
    what: &str,
    present: &[String],
    whole: &[String],
    added: &[String],
    removed: &[String],
) -> Result<Option<Vec<String>>, Failure> {
    if !whole.is_empty() {
        return Ok(Some(whole.to_vec()));
    }
    if added.is_empty() && removed.is_empty() {
        return Ok(None);
    }
    if let Some(absent) = removed.iter().find(|item| !present.contains(item)) {
        return Err(Failure::usage(format!("The key has no {what} {absent}. It has: {}.", present.join(" "))));
    }
    let kept = present.iter().filter(|item| !removed.contains(item) && !added.contains(item));
    Ok(Some(kept.chain(added).cloned().collect()))
}

#[cfg(test)]
mod tests {
    use super::list;

    #[test]
    fn a_list_is_replaced_or_changed_item_by_item() {
        let texts = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let changed =
            |whole, added, removed| list("scope", &texts("a b"), &texts(whole), &texts(added), &texts(removed));
        assert_eq!(changed("", "", "").unwrap(), None);
        assert_eq!(changed("x", "", "").unwrap(), Some(texts("x")));
        assert_eq!(changed("", "c a", "b").unwrap(), Some(texts("c a")));
        assert!(changed("", "", "z").unwrap_err().text().contains("It has: a b."));
    }
}
