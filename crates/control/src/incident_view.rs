//! An incident as responses show it: its keys with their receipts, and its checklist, which fills itself where the registry has data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::delivery::claim_url;
use super::operation::Input;
use keyward_key::id::{Environment, KeyId};
use keyward_key::mint::Minted;
use keyward_key::time::Millis;
use keyward_protocol::KeyView;
use keyward_registry::claims::{self, ClaimState};
use keyward_registry::context::OperationError;
use keyward_registry::incidents::{self, Incident as Stored};
use keyward_registry::keys;
use keyward_registry::store::{Store, StoreError};

/// An incident, in messages. The isolate adds the times of effect, which depend on its settings, and the links.
#[derive(Debug, Serialize, Deserialize)]
pub struct Incident {
    id: String,
    status: String,
    kind: String,
    note: String,
    opened_at: String,
    opened_by: String,
    keys: Vec<AffectedKey>,
    checklist: Vec<Step>,
    closed_at: Option<String>,
}

/// A key of an incident.
#[derive(Debug, Serialize, Deserialize)]
struct AffectedKey {
    key_id: KeyId,
    revoked_at: Millis,
    claim: Option<Claim>,
}

/// The claim of a replacement.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claim {
    id: KeyId,
    status: String,
    expires_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// A step of the checklist.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Step {
    step: String,
    done: bool,
    at: Option<String>,
    by: Option<String>,
    detail: String,
}

/// What is known of a replaced key and its replacement.
struct Replaced {
    claim: claims::Claim,
    /// Integration and environment.
    place: (String, Environment),
    successor_used_at: Option<String>,
    /// Last use of any key of the incident at this place.
    old_used_at: Option<String>,
}

/// Reads the keys of an incident and fills its checklist.
pub(super) fn read(store: &mut dyn Store, stored: Stored) -> Result<Incident, OperationError> {
    let keys = incidents::affected(store, &stored.id)?;
    let (mut affected, mut replaced) = (Vec::new(), Vec::new());
    let mut last_uses: BTreeMap<(String, Environment), Option<String>> = BTreeMap::new();
    for key in keys {
        let row = keys::get_written(store, &key.id)?;
        let revoked_at = row.optional_millis("revoked_at")?.unwrap_or(stored.opened_at);
        let old = keys::view(&row, stored.opened_at)?;
        let place = (old.attributes.integration, old.attributes.environment);
        let last_use = last_uses.entry(place.clone()).or_default();
        // All times have the same form, so they sort as texts.
        *last_use = last_use.take().max(old.last_used_at);
        let mut shown = AffectedKey { key_id: key.id, revoked_at, claim: None };
        if let Some(successor) = key.successor {
            let claim =
                claims::find(store, &successor)?.ok_or_else(|| StoreError::new("a replacement has no claim"))?;
            let new = view(store, &successor, stored.opened_at)?;
            shown.claim = Some(Claim {
                id: successor,
                status: claim.state.as_str().to_owned(),
                expires_at: claim.expires_at.rfc3339(),
                url: None,
            });
            replaced.push(Replaced { claim, place, successor_used_at: new.last_used_at, old_used_at: None });
        }
        affected.push(shown);
    }
    // A replacement takes the place of every key of its integration and environment in the incident.
    for one in &mut replaced {
        one.old_used_at = last_uses.get(&one.place).cloned().flatten();
    }
    let checklist = checklist(&stored, affected.len(), &replaced);
    let closed_at = stored.closed.as_ref().map(|(at, _)| at.rfc3339());
    Ok(Incident {
        id: stored.id,
        status: if closed_at.is_some() { "closed" } else { "open" }.to_owned(),
        kind: stored.kind,
        note: stored.note,
        opened_at: stored.opened_at.rfc3339(),
        opened_by: stored.opened_by,
        keys: affected,
        checklist,
        closed_at,
    })
}

fn view(store: &mut dyn Store, id: &KeyId, now: Millis) -> Result<KeyView, StoreError> {
    keys::view(&keys::get_written(store, id)?, now)
}

fn checklist(stored: &Stored, keys: usize, replaced: &[Replaced]) -> Vec<Step> {
    let step = |step: &str, done, at: Option<String>, by: Option<&str>, detail: String| Step {
        step: step.to_owned(),
        done,
        at,
        by: by.map(str::to_owned),
        detail,
    };
    let claimed = replaced.iter().filter(|one| one.claim.state == ClaimState::Claimed);
    let all_claimed = claimed.clone().count() == replaced.len();
    let claimed_at = claimed.clone().filter_map(|one| one.claim.ended_at).max();
    let updated = replaced.iter().filter(|one| is_updated(one)).count();
    let last_use = replaced.iter().filter_map(|one| one.successor_used_at.clone()).max();
    let all_updated = all_claimed && updated == replaced.len();
    let of = |done: usize| format!("{done} of {}", replaced.len());
    let (replacements, systems) = if replaced.is_empty() {
        ("No replacement was asked for".to_owned(), "Nothing was replaced".to_owned())
    } else {
        (
            format!("{} replacements were claimed", of(claimed.count())),
            format!("{} replacements were seen at the gate, and no old key since", of(updated)),
        )
    };
    let review = stored.review.as_ref();
    vec![
        step(
            "revoked",
            true,
            Some(stored.opened_at.rfc3339()),
            Some(&stored.opened_by),
            if keys == 1 { "1 key was revoked".to_owned() } else { format!("{keys} keys were revoked") },
        ),
        step("replaced", all_claimed, claimed_at.filter(|_| all_claimed).map(Millis::rfc3339), None, replacements),
        step("updated", all_updated, last_use.filter(|_| all_updated), None, systems),
        step(
            "reviewed",
            review.is_some(),
            review.map(|(at, ..)| at.rfc3339()),
            review.map(|(_, by, _)| by.as_str()),
            review.map_or_else(|| "Nobody has looked at what the keys did".to_owned(), |(.., finding)| finding.clone()),
        ),
    ]
}

/// Returns whether the successor was used, and no old key after that.
fn is_updated(one: &Replaced) -> bool {
    match (&one.successor_used_at, &one.old_used_at) {
        (Some(new), Some(old)) => old < new,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// A key of an incident, in responses.
#[derive(Serialize)]
struct ShownKey {
    key_id: KeyId,
    effective_by: String,
    guaranteed_by: String,
    claim: Option<Claim>,
}

#[derive(Serialize)]
struct ShownIncident<'a> {
    id: &'a str,
    status: &'a str,
    kind: &'a str,
    note: &'a str,
    opened_at: &'a str,
    opened_by: &'a str,
    keys: Vec<ShownKey>,
    checklist: &'a [Step],
    closed_at: Option<&'a str>,
}

/// Response body with an incident.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    incident: ShownIncident<'a>,
}

impl Incident {
    /// Creates the response. `minted` are the claims whose links only the first answer shows.
    pub(super) fn body<'a>(&'a self, input: &Input<'_>, minted: &[Minted]) -> Body<'a> {
        let shown = |key: &AffectedKey| {
            let (effective, guaranteed) = input.config.effect_times(key.revoked_at);
            let secret = |claim: &Claim| minted.iter().find(|minted| minted.id == claim.id);
            let claim = key.claim.clone().map(|claim| {
                let url = secret(&claim).map(|minted| claim_url(input, minted));
                Claim { url, ..claim }
            });
            ShownKey {
                key_id: key.key_id.clone(),
                effective_by: effective.rfc3339(),
                guaranteed_by: guaranteed.rfc3339(),
                claim,
            }
        };
        Body {
            incident: ShownIncident {
                id: &self.id,
                status: &self.status,
                kind: &self.kind,
                note: &self.note,
                opened_at: &self.opened_at,
                opened_by: &self.opened_by,
                keys: self.keys.iter().map(shown).collect(),
                checklist: &self.checklist,
                closed_at: self.closed_at.as_deref(),
            },
        }
    }
}
