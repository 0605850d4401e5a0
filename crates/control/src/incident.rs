//! Incidents: one change that revokes many keys and makes their replacements, and the checklist of what is still to be done.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::body::{Fields, Json, invalid};
use super::credential::without_text;
use super::delivery::{self, ClaimTerms, PendingKey};
use super::incident_view::{self, Incident};
use super::text::{TextParser, shown as shown_text};
use keyward_http::limits::{
    CLAIM_HOURS_DEFAULT, CONTACT_CHARS, INCIDENT_KEYS, NAME_CHARS, PROSE_CHARS, UNCONFIRMED_KEYS,
};
use keyward_http::problem::Problem;
use keyward_key::id::{Class, Environment, KeyId};
use keyward_key::mint::Minted;
use keyward_key::time::Millis;
use keyward_protocol::{KeyAttributes, KeyView, NewCredential, Rejection, Status};
use keyward_registry::audit::shown;
use keyward_registry::context::{Context, OperationError, days_after};
use keyward_registry::incidents::{self, AffectedKey, NewIncident, Selection};
use keyward_registry::keys::{self, NewKey};
use keyward_registry::store::{Row, Store};
use keyward_registry::{key_limits, meta};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// Somebody saw the keys who should not have.
    Exposed,
    /// Somebody may have seen them.
    Suspected,
    /// Another reason.
    Other,
}

impl IncidentKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Exposed => "exposed",
            Self::Suspected => "suspected",
            Self::Other => "other",
        }
    }
}

/// The keys that an incident revokes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selected {
    /// These keys, in every state.
    KeyIds(Vec<KeyId>),
    /// The keys of an integration that are not final.
    Integration(String),
    /// The keys of an owner that are not final.
    Owner(String),
}

impl Selected {
    const fn field(&self) -> &'static str {
        match self {
            Self::KeyIds(_) => "key_ids",
            Self::Integration(_) => "integration",
            Self::Owner(_) => "owner",
        }
    }
}

/// A request to open an incident.
#[derive(Serialize, Deserialize)]
pub struct NewIncidentRequest {
    /// The keys.
    pub selected: Selected,
    /// What happened.
    pub kind: IncidentKind,
    /// Text of whoever opens it. Also the reason of the revocations.
    pub note: String,
    /// Whether each integration gets a replacement by claim in each environment.
    pub replace: bool,
    /// Whether the answer only counts.
    pub dry_run: bool,
    /// Text that confirms the number of keys.
    pub confirm: Option<String>,
    /// Claims for the replacements: ids of the keys to make, and hashes of the claims' secrets.
    pub claims: Vec<NewCredential>,
    /// The same claims with their secrets, for the response.
    #[serde(skip)]
    pub minted: Vec<Minted>,
}

/// Numbers of what an incident would revoke.
#[derive(Debug, Serialize, Deserialize)]
pub struct Counts {
    /// Keys that are not revoked yet.
    pub keys: usize,
    /// Their integrations.
    pub integrations: usize,
    /// Their owners.
    pub owners: usize,
    /// Text that confirms this number.
    pub confirm: String,
}

/// Returns an incident. One with keys that the caller may not see is refused as absent, with 404.
pub(super) fn find(store: &mut dyn Store, by: &Context<'_>, id: &str) -> Result<incidents::Incident, OperationError> {
    incidents::find(store, by.member()?, id)?.ok_or_else(|| Rejection::NotFound.into())
}

/// Parses a body with a selection of keys.
pub(super) fn parse(body: &[u8], text: TextParser<'_>) -> Result<NewIncidentRequest, Problem> {
    const FIELDS: &[&str] = &["key_ids", "integration", "owner", "kind", "note", "replace", "dry_run", "confirm"];
    let mut fields = Fields::parse(body, FIELDS)?;
    let dry_run = fields.flag("dry_run")?;
    let confirm = fields.take("confirm").map(|value| text.parse("confirm", value, NAME_CHARS)).transpose()?;
    let selected = selected(&mut fields, text)?;
    Ok(NewIncidentRequest { dry_run, confirm, ..rest(&mut fields, text, selected)? })
}

/// Parses a body about the one key in the path.
pub(super) fn parse_of_key(body: &[u8], text: TextParser<'_>, id: KeyId) -> Result<NewIncidentRequest, Problem> {
    let mut fields = Fields::parse(body, &["kind", "note", "replace"])?;
    rest(&mut fields, text, Selected::KeyIds(vec![id]))
}

fn rest(fields: &mut Fields, text: TextParser<'_>, selected: Selected) -> Result<NewIncidentRequest, Problem> {
    let kind = match fields.require("kind")? {
        Json::Text(kind) if kind == "exposed" => IncidentKind::Exposed,
        Json::Text(kind) if kind == "suspected" => IncidentKind::Suspected,
        Json::Text(kind) if kind == "other" => IncidentKind::Other,
        _ => return Err(invalid("kind", "This must be \"exposed\", \"suspected\" or \"other\".")),
    };
    let note = text.parse("note", fields.require("note")?, PROSE_CHARS)?;
    let replace = match fields.take("replace") {
        None => false,
        Some(Json::Text(replace)) if replace == "claim" => true,
        Some(Json::Text(replace)) if replace == "none" => false,
        Some(_) => return Err(invalid("replace", "This must be \"claim\" or \"none\".")),
    };
    let (claims, minted) = (Vec::new(), Vec::new());
    Ok(NewIncidentRequest { selected, kind, note, replace, dry_run: false, confirm: None, claims, minted })
}

fn selected(fields: &mut Fields, text: TextParser<'_>) -> Result<Selected, Problem> {
    let mut given = ["key_ids", "integration", "owner"].into_iter().filter(|name| fields.gives(name));
    let (first, second) = (given.next(), given.next());
    if let Some(second) = second {
        return Err(invalid(second, "Send exactly one of key_ids, integration and owner."));
    }
    match first {
        Some("integration") => text.slug("integration", fields.require("integration")?).map(Selected::Integration),
        Some("owner") => text.parse("owner", fields.require("owner")?, CONTACT_CHARS).map(Selected::Owner),
        Some(_) => key_ids(fields).map(Selected::KeyIds),
        None => Err(invalid("key_ids", "Send exactly one of key_ids, integration and owner.")),
    }
}

fn key_ids(fields: &mut Fields) -> Result<Vec<KeyId>, Problem> {
    let mut ids: Vec<KeyId> = Vec::new();
    let mut known = std::collections::HashSet::new();
    for (index, text) in fields.texts("key_ids", INCIDENT_KEYS)?.iter().enumerate() {
        let Some(id) = KeyId::parse(text).filter(|id| id.class() != Class::Member) else {
            let detail = format!("{} is not the id of a key. Nothing was done.", shown_text(text));
            return Err(invalid(format!("key_ids[{index}]"), &detail));
        };
        if !known.insert(id.clone()) {
            return Err(invalid(format!("key_ids[{index}]"), "Duplicate key id. List each key once."));
        }
        ids.push(id);
    }
    if ids.is_empty() {
        return Err(invalid("key_ids", "At least one key id is required."));
    }
    Ok(ids)
}

impl NewIncidentRequest {
    /// Returns the class of the key of each claim that may be needed: one for each key that is named, one in each environment for an
    /// integration, and the maximum for an owner, whose integrations the isolate does not know.
    pub(super) fn wanted_claims(&self) -> Vec<Class> {
        if !self.replace || self.dry_run {
            return Vec::new();
        }
        let many =
            |count| Environment::ALL.into_iter().flat_map(move |one| std::iter::repeat_n(Class::Data(one), count));
        match &self.selected {
            Selected::KeyIds(ids) => ids.iter().map(KeyId::class).collect(),
            Selected::Integration(_) => many(1).collect(),
            Selected::Owner(_) => many(INCIDENT_KEYS).collect(),
        }
    }

    pub(super) fn take_claims(&mut self, minted: Vec<Minted>) {
        self.claims = minted.iter().map(without_text).collect();
        self.minted = minted;
    }

    /// Opens the incident, or counts what it would revoke.
    pub(super) fn open(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Opened, OperationError> {
        let rows = self.rows(store, by)?;
        let mut views = Vec::new();
        for row in &rows {
            views.push((keys::view(row, by.now)?, row.millis("created_at")?, row.millis("expires_at")?));
        }
        let unrevoked = || views.iter().filter(|(view, ..)| view.status != Status::Revoked).map(|(view, ..)| view);
        let counts = counts(unrevoked());
        if self.dry_run {
            return Ok(Opened::Counted(counts));
        }
        if counts.keys > UNCONFIRMED_KEYS {
            if self.confirm.as_deref() != Some(counts.confirm.as_str()) {
                return Err(Rejection::CountNotConfirmed { keys: counts.keys }.into());
            }
            by.confirm()?;
        }
        let incident = self.insert(store, by, views.iter().map(|(view, ..)| view), counts.keys)?;
        for view in unrevoked() {
            keys::mark_revoked(store, &view.id, by.actor_name(), &self.note, by.now)?;
            let detail = vec![("reason", self.note.as_str().into()), ("incident", incident.as_str().into())];
            by.record(store, "key.revoke", &view.id, detail)?;
        }
        let mut successors = self.replace(store, by, &incident, &views)?;
        for (view, ..) in &views {
            let successor = successors.remove(&view.id);
            incidents::add_key(store, &incident, &AffectedKey { id: view.id.clone(), successor })?;
        }
        let stored = find(store, by, &incident)?;
        Ok(Opened::Incident(incident_view::read(store, stored)?))
    }

    /// Reads the rows of the selected keys.
    fn rows(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Vec<Row>, OperationError> {
        let member = by.member()?;
        let selection = match &self.selected {
            Selected::Integration(slug) => Selection::Integration(slug),
            Selected::Owner(owner) => Selection::Owner(owner),
            Selected::KeyIds(ids) => {
                let mut rows = Vec::new();
                for id in ids {
                    let seen = keys::environment(store, id)?.is_some_and(|environment| member.sees(environment));
                    let row = if seen { keys::find(store, id)? } else { None };
                    rows.push(row.ok_or_else(|| Rejection::KeyNotFound { id: id.clone() })?);
                }
                return Ok(rows);
            }
        };
        let rows = incidents::select(store, member, selection, INCIDENT_KEYS.saturating_add(1), by.now)?;
        if rows.len() > INCIDENT_KEYS {
            let detail =
                format!("This selects more than {INCIDENT_KEYS} keys. Name them in key_ids, in several incidents.");
            return Err(Rejection::Invalid { field: self.selected.field().to_owned(), detail }.into());
        }
        if rows.is_empty() { Err(Rejection::NotFound.into()) } else { Ok(rows) }
    }

    fn insert<'a>(
        &self,
        store: &mut dyn Store,
        by: &Context<'_>,
        views: impl Iterator<Item = &'a KeyView>,
        keys: usize,
    ) -> Result<String, OperationError> {
        let environments: Vec<Environment> = views.map(|view| view.attributes.environment).collect();
        let revision = meta::next_revision(store)?;
        let new = NewIncident { revision, environments: &environments, kind: self.kind.as_str(), note: &self.note };
        let incident = incidents::insert(store, by, &new)?;
        let detail = vec![
            ("kind", self.kind.as_str().into()),
            ("note", self.note.as_str().into()),
            ("keys", keys.into()),
            ("replace", if self.replace { "claim" } else { "none" }.into()),
        ];
        by.record_about(store, "incident.open", &incident, detail)?;
        Ok(incident)
    }

    /// Makes a key by claim for each integration and environment of the revoked keys that has none left. Returns the new key of each
    /// revoked one that it replaces.
    fn replace(
        &self,
        store: &mut dyn Store,
        by: &Context<'_>,
        incident: &str,
        views: &[(KeyView, Millis, Millis)],
    ) -> Result<BTreeMap<KeyId, KeyId>, OperationError> {
        let mut successors = BTreeMap::new();
        if !self.replace {
            return Ok(successors);
        }
        let mut claims = self.claims.iter();
        let mut spare: BTreeMap<Environment, Vec<&NewCredential>> = BTreeMap::new();
        for (old, created_at, expires_at) in newest_of_each(views) {
            let KeyAttributes { environment, integration, .. } = &old.attributes;
            if keys::current_of_integration(store, *environment, integration, by.now)?.is_some() {
                continue;
            }
            let credential = next_claim(&mut claims, &mut spare, *environment)?;
            let lifetime_ms = expires_at.since(*created_at);
            let end = Millis(by.now.0.saturating_add(lifetime_ms)).min(days_after(by.now, by.policy.max_key_days));
            let replacement = Replacement { old, credential, expires_at: end, incident };
            replacement.make(store, by)?;
            successors.insert(old.id.clone(), credential.id.clone());
        }
        Ok(successors)
    }
}

/// Returns the next unused claim for a key of an environment.
fn next_claim<'a>(
    claims: &mut impl Iterator<Item = &'a NewCredential>,
    spare: &mut BTreeMap<Environment, Vec<&'a NewCredential>>,
    environment: Environment,
) -> Result<&'a NewCredential, OperationError> {
    if let Some(found) = spare.get_mut(&environment).and_then(Vec::pop) {
        return Ok(found);
    }
    for claim in claims {
        match claim.id.class() {
            Class::Data(of) if of == environment => return Ok(claim),
            Class::Data(of) => spare.entry(of).or_default().push(claim),
            Class::Member => {}
        }
    }
    Err(keyward_registry::store::StoreError::new("the message has too few claims").into())
}

/// Returns the key of each integration and environment whose attributes its replacement gets: the newest that was not revoked before.
fn newest_of_each(views: &[(KeyView, Millis, Millis)]) -> impl Iterator<Item = &(KeyView, Millis, Millis)> {
    let mut newest: BTreeMap<(&str, Environment), &(KeyView, Millis, Millis)> = BTreeMap::new();
    for entry in views.iter().filter(|(view, ..)| view.status != Status::Revoked) {
        let of = (entry.0.attributes.integration.as_str(), entry.0.attributes.environment);
        let best = newest.entry(of).or_insert(entry);
        if (entry.1, &entry.0.id) > (best.1, &best.0.id) {
            *best = entry;
        }
    }
    newest.into_values()
}

/// A key that replaces a revoked one, and waits for its claim.
struct Replacement<'a> {
    old: &'a KeyView,
    credential: &'a NewCredential,
    expires_at: Millis,
    incident: &'a str,
}

impl Replacement<'_> {
    fn make(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        let Self { old, credential, expires_at, incident } = *self;
        let row = keys::get_written(store, &old.id)?;
        let mut attributes = keys::attributes(&row)?;
        keys::check_new_id(store, &credential.id, old.attributes.environment)?;
        attributes.name = self.free_name(store, by)?;
        let revision = meta::next_revision(store)?;
        let key = NewKey {
            id: &credential.id,
            credential: None,
            attributes: &attributes,
            created_at: by.now,
            created_by: &by.member()?.id,
            expires_at,
            rotated_from: Some(&old.id),
            limit_group: Some(key_limits::limit_group(&row)?),
            revision,
        };
        keys::insert(store, &key)?;
        let terms = ClaimTerms::new(CLAIM_HOURS_DEFAULT);
        let pending = PendingKey { terms: &terms, credential, expires_at, overlap_seconds: None, revision };
        let opened = delivery::open(store, by, &pending)?;
        let view = keys::view(&keys::get_written(store, &credential.id)?, by.now)?;
        let detail = vec![
            ("key", shown(&view)?),
            ("claim_until", opened.expires_at.rfc3339().into()),
            ("incident", incident.into()),
        ];
        by.record(store, "key.issue", &credential.id, detail).map_err(OperationError::from)
    }
}

impl Replacement<'_> {
    /// Returns a name that no key of another integration has: the old key's, with the integration behind it, or with the new key's identifier.
    /// A retiring key does not reserve its name, so another one may have it by now.
    fn free_name(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<String, OperationError> {
        let KeyAttributes { environment, integration, name, .. } = &self.old.attributes;
        let with = |text: &str| {
            let most = NAME_CHARS.saturating_sub(text.len()).saturating_sub(3);
            format!("{} ({text})", name.chars().take(most).collect::<String>())
        };
        let identifier = self.credential.id.as_str().rsplit('_').next().unwrap_or_default();
        let mut taken_by = None;
        for candidate in [name.clone(), with(integration), with(identifier)] {
            match keys::other_of_name(store, *environment, &candidate, integration, by.now)? {
                None => return Ok(candidate),
                Some(id) => taken_by = Some(id),
            }
        }
        // Nobody knows the identifier of a new key before.
        Err(taken_by.map_or(Rejection::NotFound, |id| Rejection::NameTaken { id }).into())
    }
}

fn counts<'a>(views: impl Iterator<Item = &'a KeyView>) -> Counts {
    let (mut keys, mut integrations, mut owners) = (0_usize, Vec::new(), Vec::new());
    for view in views {
        keys = keys.saturating_add(1);
        integrations.push(view.attributes.integration.as_str());
        owners.push(view.attributes.owner.as_str());
    }
    let distinct = |mut names: Vec<&str>| {
        names.sort_unstable();
        names.dedup();
        names.len()
    };
    Counts { keys, integrations: distinct(integrations), owners: distinct(owners), confirm: format!("{keys} keys") }
}

/// Outcome of a request to open an incident.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opened {
    /// It was opened.
    Incident(Incident),
    /// It was only counted.
    Counted(Counts),
}
