//! Endpoints of events: where the events object sends them. The registry has the list, because a change of an endpoint and its audit entry
//! are committed together; the events object has a copy.

use super::audit::{self, AuditDetail, Change, shown};
use super::context::{Context, OWN_ACTOR, OperationError};
use super::events;
use super::meta;
use super::store::{Row, Store, StoreError, Value, counters};
use keyward_key::id::Environment;
use keyward_key::keyring::Generation;
use keyward_key::time::Millis;
use keyward_protocol::events::{
    Endpoint, EndpointReport, EndpointSecret, EndpointStatus, EndpointTested, EndpointView, MAX_ENDPOINTS, StopReason,
};
use keyward_protocol::metrics::Sample;
use keyward_protocol::{Rejection, Response};

/// Time for which a replaced secret signs too, in seconds: one day.
pub const SECRET_OVERLAP_SECONDS: i64 = 86_400;

/// Why a member's change disabled an endpoint.
pub const BY_MEMBER: &str = "member";

/// An endpoint as stored.
#[derive(Clone, Debug)]
pub struct StoredEndpoint {
    /// Id.
    pub id: String,
    /// The part that a member chooses.
    pub attributes: EndpointAttributes,
    /// Status.
    pub status: EndpointStatus,
    /// Why it is disabled.
    pub disabled_reason: Option<String>,
    /// Time of its creation.
    pub created_at: Millis,
    /// Member who created it.
    pub created_by: String,
    /// Time of the last test that succeeded since its address was set.
    pub tested_at: Option<Millis>,
    /// Number of the audit entry that enabled it.
    pub enabled_since: Option<u64>,
    /// The current secret of `v1`, if it has had one. Not used while [`EndpointAttributes::has_hmac`] is false.
    pub secret: Option<EndpointSecret>,
    /// The replaced secret.
    pub previous: Option<EndpointSecret>,
    /// Time of the last delivery.
    pub last_delivery_at: Option<Millis>,
    /// Number of its last change.
    pub revision: u64,
}

/// The part of an endpoint that a member chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointAttributes {
    /// Address.
    pub url: String,
    /// Description.
    pub description: String,
    /// Patterns of types; `None` for all.
    pub types: Option<Vec<String>>,
    /// Environments; `None` for all.
    pub environments: Option<Vec<Environment>>,
    /// Whether events are signed with `v1` too.
    pub has_hmac: bool,
}

impl StoredEndpoint {
    /// Returns the view at `now`.
    #[must_use]
    pub fn view(&self, now: Millis) -> EndpointView {
        let EndpointAttributes { url, description, types, environments, has_hmac } = self.attributes.clone();
        let signatures = if has_hmac { vec!["v1a".to_owned(), "v1".to_owned()] } else { vec!["v1a".to_owned()] };
        let previous_until = self.previous.as_ref().and_then(|previous| previous.until).filter(|until| now < *until);
        EndpointView {
            id: self.id.clone(),
            url,
            description,
            types,
            environments,
            signatures,
            status: self.status,
            disabled_reason: self.disabled_reason.clone(),
            created_at: self.created_at.rfc3339(),
            created_by: self.created_by.clone(),
            tested_at: self.tested_at.map(Millis::rfc3339),
            previous_secret_until: previous_until.filter(|_| has_hmac).map(Millis::rfc3339),
            last_delivery_at: self.last_delivery_at.map(Millis::rfc3339),
            revision: self.revision,
        }
    }

    /// Returns the form for the events object.
    #[must_use]
    pub fn for_delivery(self) -> Endpoint {
        let is_enabled = self.status == EndpointStatus::Enabled;
        let secrets = if self.attributes.has_hmac { [self.secret, self.previous] } else { [None, None] };
        Endpoint {
            id: self.id,
            url: self.attributes.url,
            types: self.attributes.types,
            environments: self.attributes.environments,
            secrets: secrets.into_iter().flatten().collect(),
            enabled_since: self.enabled_since.filter(|_| is_enabled),
            revision: self.revision,
        }
    }

    /// Gives the endpoint its next secret. The one before, if it was in use, signs too for [`SECRET_OVERLAP_SECONDS`].
    pub fn replace_secret(&mut self, minted_under: Generation, was_used: bool, now: Millis) {
        let number = self.secret.as_ref().map_or(1, |secret| secret.number.saturating_add(1));
        let until = Some(now.plus_seconds(SECRET_OVERLAP_SECONDS));
        let replaced = self.secret.replace(EndpointSecret { number, minted_under, until: None });
        self.previous = replaced.filter(|_| was_used).map(|secret| EndpointSecret { until, ..secret });
    }
}

macro_rules! select_endpoints {
    ($rest:literal) => {
        concat!(
            "SELECT id, url, description, types, environments, has_hmac, status, disabled_reason, created_at, created_by, \
             tested_at, enabled_since, secret, previous_secret, last_delivery_at, revision FROM endpoints ",
            $rest
        )
    };
}

fn from_row(row: &Row) -> Result<StoredEndpoint, StoreError> {
    fn json<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
        serde_json::from_str(text).ok()
    }
    Ok(StoredEndpoint {
        id: row.text("id")?.to_owned(),
        attributes: EndpointAttributes {
            url: row.text("url")?.to_owned(),
            description: row.text("description")?.to_owned(),
            types: row.optional_parsed("types", json)?,
            environments: row.optional_parsed("environments", json)?,
            has_hmac: row.integer("has_hmac")? != 0,
        },
        status: row.parsed("status", EndpointStatus::parse)?,
        disabled_reason: row.optional_text("disabled_reason")?.map(str::to_owned),
        created_at: row.millis("created_at")?,
        created_by: row.text("created_by")?.to_owned(),
        tested_at: row.optional_millis("tested_at")?,
        enabled_since: row.optional_integer("enabled_since")?.and_then(|number| u64::try_from(number).ok()),
        secret: row.optional_parsed("secret", json)?,
        previous: row.optional_parsed("previous_secret", json)?,
        last_delivery_at: row.optional_millis("last_delivery_at")?,
        revision: row.count("revision")?,
    })
}

/// Returns an endpoint.
///
/// # Errors
/// [`StoreError`] when the store fails or the row is malformed.
pub fn find(store: &mut dyn Store, id: &str) -> Result<Option<StoredEndpoint>, StoreError> {
    store.query(select_endpoints!("WHERE id = ?"), &[id.into()])?.first().map(from_row).transpose()
}

/// Returns every endpoint, newest first: at most [`MAX_ENDPOINTS`].
///
/// # Errors
/// [`StoreError`] when the store fails or a row is malformed.
pub fn all(store: &mut dyn Store) -> Result<Vec<StoredEndpoint>, StoreError> {
    store.query(select_endpoints!("ORDER BY position DESC"), &[])?.iter().map(from_row).collect()
}

/// Returns every endpoint in the form for the events object.
pub(super) fn all_for_delivery(store: &mut dyn Store) -> Result<Vec<Endpoint>, StoreError> {
    Ok(all(store)?.into_iter().map(StoredEndpoint::for_delivery).collect())
}

/// Inserts a new endpoint, within the caller's transaction, and its audit entry.
///
/// # Errors
/// A refusal if there are [`MAX_ENDPOINTS`], or a failure of the store.
pub fn insert(store: &mut dyn Store, by: &Context<'_>, endpoint: &mut StoredEndpoint) -> Result<(), OperationError> {
    let rows = store.query("SELECT count(*) AS number FROM endpoints", &[])?;
    let number = rows.first().map(|row| row.count("number")).transpose()?.unwrap_or(0);
    if number >= u64::from(MAX_ENDPOINTS) {
        let detail = format!("There are {MAX_ENDPOINTS} endpoints, the most that are possible. Delete one first.");
        return Err(Rejection::Invalid { field: "url".to_owned(), detail }.into());
    }
    if find(store, &endpoint.id)?.is_some() {
        return Err(StoreError::new("the id of a new endpoint exists").into());
    }
    endpoint.revision = meta::next_revision(store)?;
    write(store, endpoint)?;
    let detail = vec![("endpoint", shown(&logged(endpoint, by.now))?)];
    record(store, by, "endpoint.create", (endpoint, detail))
}

/// Writes a changed endpoint, within the caller's transaction, and its audit entry. Sets the number of the change.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn update(
    store: &mut dyn Store,
    by: &Context<'_>,
    action: &'static str,
    endpoint: &mut StoredEndpoint,
    before: &StoredEndpoint,
) -> Result<(), OperationError> {
    let detail = change(store, endpoint, before, by.now)?;
    record(store, by, action, (endpoint, detail))
}

/// Returns the view for the audit log: the address without its path, because that of a chat webhook is a secret.
fn logged(endpoint: &StoredEndpoint, now: Millis) -> EndpointView {
    let mut view = endpoint.view(now);
    let host_at = view.url.find("://").map_or(0, |at| at.saturating_add(3));
    let end = view.url.get(host_at..).and_then(|rest| rest.find(['/', '?'])).map(|at| at.saturating_add(host_at));
    if let Some(host) = end.and_then(|end| view.url.get(..end)) {
        view.url = [host, "/…"].concat();
    }
    view
}

/// Writes a changed endpoint and returns the detail of its audit entry.
fn change(
    store: &mut dyn Store,
    endpoint: &mut StoredEndpoint,
    before: &StoredEndpoint,
    now: Millis,
) -> Result<AuditDetail, StoreError> {
    // The revision is the number of the audit entry, so the difference does not list it.
    endpoint.revision = before.revision;
    let mut detail = audit::difference(&logged(before, now), &logged(endpoint, now))?.unwrap_or_default();
    if before.attributes.url != endpoint.attributes.url {
        detail.push(("url_changed", true.into()));
    }
    endpoint.revision = meta::next_revision(store)?;
    let is_enabled = endpoint.status == EndpointStatus::Enabled;
    if !is_enabled {
        endpoint.enabled_since = None;
    } else if endpoint.enabled_since.is_none() {
        endpoint.enabled_since = Some(endpoint.revision);
    }
    write(store, endpoint)?;
    Ok(detail)
}

fn record(
    store: &mut dyn Store,
    by: &Context<'_>,
    action: &'static str,
    (endpoint, detail): (&StoredEndpoint, AuditDetail),
) -> Result<(), OperationError> {
    by.record_about(store, action, &endpoint.id, detail)?;
    Ok(events::note_endpoints(store, endpoint.revision)?)
}

/// Deletes an endpoint, within the caller's transaction, and appends the audit entry.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn delete(store: &mut dyn Store, by: &Context<'_>, endpoint: &mut StoredEndpoint) -> Result<(), OperationError> {
    endpoint.revision = meta::next_revision(store)?;
    store.execute("DELETE FROM endpoints WHERE id = ?", &[endpoint.id.as_str().into()])?;
    let detail = vec![("endpoint", shown(&logged(endpoint, by.now))?)];
    record(store, by, "endpoint.delete", (endpoint, detail))
}

fn write(store: &mut dyn Store, endpoint: &StoredEndpoint) -> Result<(), StoreError> {
    fn json<T: serde::Serialize>(value: Option<&T>) -> Result<Value, StoreError> {
        let text = value.map(serde_json::to_string).transpose();
        text.map(Value::from).map_err(|_| StoreError::new("a field of an endpoint has no JSON form"))
    }
    let StoredEndpoint { attributes, .. } = endpoint;
    store.execute(
        "INSERT INTO endpoints (position, id, url, description, types, environments, has_hmac, status, disabled_reason,
             created_at, created_by, tested_at, enabled_since, secret, previous_secret, last_delivery_at, revision)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET url = excluded.url, description = excluded.description, types = excluded.types,
             environments = excluded.environments, has_hmac = excluded.has_hmac, status = excluded.status,
             disabled_reason = excluded.disabled_reason, tested_at = excluded.tested_at,
             enabled_since = excluded.enabled_since, secret = excluded.secret,
             previous_secret = excluded.previous_secret, last_delivery_at = excluded.last_delivery_at,
             revision = excluded.revision",
        &[
            Value::count(endpoint.revision)?,
            endpoint.id.as_str().into(),
            attributes.url.as_str().into(),
            attributes.description.as_str().into(),
            json(attributes.types.as_ref())?,
            json(attributes.environments.as_ref())?,
            Value::Integer(attributes.has_hmac.into()),
            endpoint.status.as_str().into(),
            endpoint.disabled_reason.as_deref().into(),
            endpoint.created_at.into(),
            endpoint.created_by.as_str().into(),
            endpoint.tested_at.into(),
            endpoint.enabled_since.map(Value::count).transpose()?.unwrap_or(Value::Null),
            json(endpoint.secret.as_ref())?,
            json(endpoint.previous.as_ref())?,
            endpoint.last_delivery_at.into(),
            Value::count(endpoint.revision)?,
        ],
    )
}

/// Stores what the events object reports, in one transaction: times of deliveries, endpoints that it stopped, and its counters. An endpoint
/// that has changed since is not disabled.
///
/// # Errors
/// [`StoreError`] if the store fails. The events object reports again.
pub fn note_report(store: &mut dyn Store, report: &EndpointReport, now: Millis) -> Result<Response, StoreError> {
    let most = usize::try_from(MAX_ENDPOINTS).unwrap_or(usize::MAX);
    store.transaction(&mut |store| {
        for news in report.endpoints.iter().take(most) {
            store.execute(
                "UPDATE endpoints SET last_delivery_at = max(ifnull(last_delivery_at, ?), ?) WHERE id = ? AND ? IS NOT NULL",
                &[
                    news.last_delivery_at.into(),
                    news.last_delivery_at.into(),
                    news.id.as_str().into(),
                    news.last_delivery_at.into(),
                ],
            )?;
            if let Some(reason) = news.stopped {
                stop(store, (&news.id, news.revision), reason, now)?;
            }
        }
        counters::add_fixed(store, report.counters.iter().map(Sample::increase).collect(), now)
    })?;
    Ok(Response::EndpointsNoted)
}

fn stop(store: &mut dyn Store, (id, revision): (&str, u64), reason: StopReason, now: Millis) -> Result<(), StoreError> {
    let Some(before) = find(store, id)? else { return Ok(()) };
    if before.revision != revision || before.status != EndpointStatus::Enabled {
        return Ok(());
    }
    let mut endpoint = before.clone();
    endpoint.status = EndpointStatus::Disabled;
    endpoint.disabled_reason = Some(reason.as_str().to_owned());
    let mut detail = change(store, &mut endpoint, &before, now)?;
    detail.push(("endpoint", id.into()));
    detail.push(("reason", reason.as_str().into()));
    let change = Change { at: now, actor: OWN_ACTOR, action: "endpoint.stop", subject: id, request: None, detail };
    audit::append(store, change)
}

/// Records that a test succeeded, in one transaction. A pending endpoint is enabled. An endpoint that has changed since stays as it is.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn note_test(store: &mut dyn Store, tested: &EndpointTested, now: Millis) -> Result<Response, StoreError> {
    store.transaction(&mut |store| {
        let Some(before) = find(store, &tested.id)? else { return Ok(()) };
        if before.revision != tested.revision {
            return Ok(());
        }
        let mut endpoint = before.clone();
        endpoint.tested_at = Some(now);
        if endpoint.status == EndpointStatus::Pending {
            endpoint.status = EndpointStatus::Enabled;
        }
        let detail = change(store, &mut endpoint, &before, now)?;
        let request = Some(&tested.request);
        let change =
            Change { at: now, actor: &tested.by, action: "endpoint.test", subject: &tested.id, request, detail };
        audit::append(store, change)?;
        events::note_endpoints(store, endpoint.revision)
    })?;
    Ok(Response::EndpointsNoted)
}
