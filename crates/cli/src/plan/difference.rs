//! What has to change for the deployment to have the keys of the file.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use serde_json::{Map, Value as Json, json};

use super::file::Wanted;
use crate::views::Key;
use keyward_key::time::Millis;

/// A step towards the keys of the file.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Revoke a key that the file does not have. Only with `--prune`.
    Revoke {
        /// Key id.
        id: String,
        /// Name, for people.
        name: String,
    },
    /// Change a key in place.
    Change {
        /// Key id.
        id: String,
        /// Name, for people.
        name: String,
        /// Revision that the plan is based on.
        revision: u64,
        /// Fields of the change.
        fields: Map<String, Json>,
        /// The change in words, a line for each field.
        lines: Vec<String>,
    },
    /// Issue a key.
    Issue(Box<Wanted>),
}

/// The difference between a file and a deployment.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// Steps, in the order in which they are taken.
    pub steps: Vec<Step>,
    /// Keys that the file does not have and that stay, because nothing is destroyed without `--prune`.
    pub kept: Vec<(String, String)>,
    /// Steps that the deployment will refuse, in words.
    pub conflicts: Vec<String>,
}

/// Compares. `present` are the keys of the deployment that are neither revoked nor expired nor retiring.
#[must_use]
pub fn compare(wanted: &[Wanted], present: &[Key], prune: bool) -> Plan {
    let mut plan = Plan::default();
    let mut unclaimed: BTreeMap<(String, String), &Key> =
        present.iter().map(|key| ((key.environment.clone(), key.integration.clone()), key)).collect();
    let (mut changes, mut issues) = (Vec::new(), Vec::new());
    for key in wanted {
        match unclaimed.remove(&key.identity()) {
            Some(present) => changes.extend(change(key, present)),
            None => issues.push(key),
        }
    }
    for key in unclaimed.into_values() {
        if prune {
            plan.steps.push(Step::Revoke { id: key.id.clone(), name: key.name.clone() });
        } else {
            plan.kept.push((key.id.clone(), key.name.clone()));
        }
    }
    for key in &issues {
        let holder =
            present.iter().find(|present| present.name == key.name && present.environment == key.environment.as_str());
        if let Some(holder) = holder.filter(|holder| plan.kept.iter().any(|(id, _)| *id == holder.id)) {
            plan.conflicts.push(format!(
                "the name `{}` belongs to {} of the integration {}. Choose another name, or --prune that key",
                key.name, holder.id, holder.integration
            ));
        }
    }
    plan.steps.extend(changes);
    plan.steps.extend(issues.into_iter().map(|key| Step::Issue(Box::new(key.clone()))));
    plan
}

fn change(wanted: &Wanted, present: &Key) -> Option<Step> {
    let (mut fields, mut lines) = (Map::new(), Vec::new());
    for (name, old, new) in [
        ("name", &present.name, &wanted.name),
        ("purpose", &present.purpose, &wanted.purpose),
        ("owner", &present.owner, &wanted.owner),
    ] {
        if old != new {
            lines.push(format!("{name}: {old} → {new}"));
            fields.insert(name.to_owned(), new.as_str().into());
        }
    }
    let networks = |texts: &[String]| texts.iter().map(|text| network(text)).collect::<Vec<_>>();
    for (name, old, new) in [
        ("scopes", present.scopes.clone(), wanted.scopes.clone()),
        ("allowed_cidrs", networks(&present.allowed_cidrs), networks(&wanted.allowed_cidrs)),
    ] {
        if let Some(line) = list_change(&old, &new) {
            let widened = if name == "allowed_cidrs" && new.is_empty() { " (every address)" } else { "" };
            lines.push(format!("{name}: {line}{widened}"));
            fields.insert(name.to_owned(), new.into());
        }
    }
    if let Some(end) = &wanted.expires_at
        && Millis::parse(end).ok() != Millis::parse(&present.expires_at).ok()
    {
        lines.push(format!("expires_at: {} → {end}", present.expires_at));
        fields.insert("expires_at".to_owned(), end.as_str().into());
    }
    if let Some(limits) = wanted.limits.as_ref().map(|limits| json!(limits))
        && limits != json!(present.limits)
    {
        lines.push(format!("limits: {} → {limits}", json!(present.limits)));
        fields.insert("limits".to_owned(), limits);
    }
    let (id, name, revision) = (present.id.clone(), present.name.clone(), present.revision);
    (!fields.is_empty()).then_some(Step::Change { id, name, revision, fields, lines })
}

/// Returns a network in the API's form: one address is a network of that address.
fn network(text: &str) -> String {
    let whole = |text: &str| text.parse::<std::net::IpAddr>().ok().map(IpNet::from);
    text.parse::<IpNet>().ok().or_else(|| whole(text)).map_or_else(|| text.to_owned(), |network| network.to_string())
}

/// Returns added and removed items in words, `None` if the lists have the same items in any order.
fn list_change(old: &[String], new: &[String]) -> Option<String> {
    let (old, new): (BTreeSet<_>, BTreeSet<_>) = (old.iter().collect(), new.iter().collect());
    let added = new.difference(&old).map(|item| format!("+{item}"));
    let removed = old.difference(&new).map(|item| format!("-{item}"));
    let words: Vec<String> = added.chain(removed).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Returns the key of a file that describes a present key.
#[must_use]
pub fn wanted_of(key: &Key) -> Option<Wanted> {
    let environment = keyward_key::id::Environment::parse(&key.environment)?;
    let limits: Vec<toml::Table> =
        key.limits.iter().map(|limit| serde_json::from_value(limit.clone()).ok()).collect::<Option<_>>()?;
    // The life, not the end: a rotation changes the end, and the file stays as it is.
    let life_ms = Millis::parse(&key.expires_at).ok()?.since(Millis::parse(&key.created_at).ok()?);
    let days = life_ms.checked_add(43_200_000)?.checked_div(86_400_000)?;
    Some(Wanted {
        name: key.name.clone(),
        integration: key.integration.clone(),
        environment,
        purpose: key.purpose.clone(),
        owner: key.owner.clone(),
        scopes: key.scopes.clone(),
        allowed_cidrs: key.allowed_cidrs.clone(),
        limits: (!limits.is_empty()).then_some(limits),
        expires_in_days: u32::try_from(days).ok().map(|days| days.max(1)),
        expires_at: None,
        deliver: None,
        claim_hours: None,
        to: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, integration: &str) -> Key {
        Key {
            id: id.to_owned(),
            name: format!("Key of {integration}"),
            integration: integration.to_owned(),
            environment: "live".to_owned(),
            purpose: "Sync".to_owned(),
            owner: "ops@acme.example".to_owned(),
            scopes: vec!["a".to_owned(), "b".to_owned()],
            allowed_cidrs: vec!["192.0.2.7/32".to_owned()],
            limits: vec![json!({"name": "burst", "requests": 100, "seconds": 60})],
            created_at: "2026-11-01T00:00:00.000Z".to_owned(),
            expires_at: "2027-01-30T00:00:00.000Z".to_owned(),
            revision: 5,
            ..Key::default()
        }
    }

    #[test]
    fn what_was_exported_differs_in_nothing() {
        let present = [key("1", "crm"), key("2", "shop")];
        let wanted: Vec<Wanted> = present.iter().map(|key| wanted_of(key).unwrap()).collect();
        assert_eq!(wanted[0].expires_in_days, Some(90));
        assert_eq!(compare(&wanted, &present, true), Plan::default());
        let mut other_spelling = wanted;
        other_spelling[0].scopes.reverse();
        other_spelling[0].allowed_cidrs = vec!["192.0.2.7".to_owned()];
        assert_eq!(compare(&other_spelling, &present, true), Plan::default());
    }

    #[test]
    fn rights_change_in_place_and_only_what_differs_is_sent() {
        let present = [key("1", "crm")];
        let mut wanted = wanted_of(&present[0]).unwrap();
        wanted.scopes = vec!["b".to_owned(), "c".to_owned()];
        wanted.allowed_cidrs = Vec::new();
        wanted.expires_at = Some("2027-02-01T00:00:00+01:00".to_owned());
        let plan = compare(&[wanted], &present, false);
        let [Step::Change { id, revision, fields, lines, .. }] = &plan.steps[..] else { panic!("{plan:?}") };
        assert_eq!((id.as_str(), *revision), ("1", 5));
        assert_eq!(
            Json::from(fields.clone()),
            json!({"scopes": ["b", "c"], "allowed_cidrs": [], "expires_at": "2027-02-01T00:00:00+01:00"})
        );
        assert_eq!(lines[..2], ["scopes: +c -a", "allowed_cidrs: -192.0.2.7/32 (every address)"]);
    }

    #[test]
    fn nothing_is_destroyed_without_prune() {
        let present = [key("1", "crm"), key("2", "shop")];
        let wanted = [wanted_of(&present[0]).unwrap()];
        let plan = compare(&wanted, &present, false);
        assert_eq!((plan.steps.len(), plan.kept.len()), (0, 1));
        let plan = compare(&wanted, &present, true);
        assert_eq!(plan.steps, [Step::Revoke { id: "2".to_owned(), name: "Key of shop".to_owned() }]);
    }

    #[test]
    fn a_name_that_another_key_keeps_is_a_conflict_and_prune_frees_it_first() {
        let present = [key("1", "crm")];
        let mut wanted = wanted_of(&present[0]).unwrap();
        wanted.integration = "crm-2".to_owned();
        let plan = compare(&[wanted.clone()], &present, false);
        assert!(plan.conflicts[0].contains("belongs to 1"), "{plan:?}");
        let plan = compare(&[wanted], &present, true);
        assert!(
            matches!(plan.steps[..], [Step::Revoke { .. }, Step::Issue(_)]) && plan.conflicts.is_empty(),
            "{plan:?}"
        );
    }
}
