//! The facts that the rules of posture judge, read for one member.

use std::collections::BTreeMap;

use keyward_key::id::{Environment, KeyId};
use keyward_key::scope::Scope;
use keyward_key::time::Millis;
use keyward_protocol::Status;
use keyward_protocol::role::Role;

use crate::endpoints::BY_MEMBER;
use crate::idle::{self, IdleRules};
use crate::key_uses::KeyUses;
use crate::members::Member;
use crate::store::{Row, Store, StoreError};
use crate::usage::Evidence;

/// Settings that the rules need.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    /// Scopes that `ROUTES` uses.
    pub known_scopes: &'a [Scope],
    /// `ROTATE_DAYS`.
    pub rotate_days: u32,
    /// The `match` of every route of each scope; `None` if an isolate of the previous version asks.
    pub routes_of: Option<&'a BTreeMap<Scope, Vec<String>>>,
}

/// Everything that the rules may know.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Time of the assessment.
    pub now: Millis,
    /// `ROTATE_DAYS`.
    pub rotate_days: u32,
    /// `IDLE_DAYS`.
    pub idle: IdleRules,
    /// Keys that are not final.
    pub keys: Vec<KeyFacts>,
    /// Members who may sign in. `None` for a viewer with a limit, to whom members are absent.
    pub members: Option<Vec<MemberFacts>>,
    /// Open claims.
    pub claims: Vec<ClaimFacts>,
    /// Endpoints. None for a viewer with a limit, to whom they are absent.
    pub endpoints: Vec<EndpointFacts>,
}

/// A key that is not final.
#[derive(Clone, Debug)]
pub struct KeyFacts {
    /// Id.
    pub id: KeyId,
    /// Slug of the integration.
    pub integration: String,
    /// Environment.
    pub environment: Environment,
    /// `active`, `pending`, `quarantined` or `retiring`.
    pub status: Status,
    /// Time of issue.
    pub created_at: Millis,
    /// Time of expiry.
    pub expires_at: Millis,
    /// Whether it has every scope that routes use, and these are at least two.
    pub has_every_scope: bool,
    /// Whether no limit applies to it.
    pub is_unlimited: bool,
    /// First exposure since the issue or the last dismissal.
    pub exposed_at: Option<Millis>,
    /// Last known use.
    pub last_used_at: Option<Millis>,
    /// Instant since which it is proven to be unused; `None` without proof.
    pub unused_since: Option<Millis>,
    /// Its scopes, each with the instant since which it is proven to be unused; `None` without proof.
    pub scopes: Vec<(Scope, Option<Millis>)>,
    /// Whether it works from every network.
    pub is_open: bool,
    /// Start of the last day on which it was used from more than [`WIDE_NETWORKS`](crate::key_uses::WIDE_NETWORKS) networks, and their number.
    pub wide: Option<(Millis, u32)>,
}

/// A member who may sign in.
#[derive(Clone, Debug)]
pub struct MemberFacts {
    /// Id.
    pub id: KeyId,
    /// Whether they are an owner without a limit.
    pub is_full_owner: bool,
    /// Time of creation.
    pub created_at: Millis,
    /// Expiry of the credential.
    pub expires_at: Millis,
    /// Life of the credential in days, which a rotation restarts.
    pub life_days: u32,
}

/// An endpoint of events.
#[derive(Clone, Debug)]
pub struct EndpointFacts {
    /// Id.
    pub id: String,
    /// When Keyward stopped sending to it; `None` if it did not.
    pub stopped_at: Option<Millis>,
}

/// An open claim.
#[derive(Clone, Debug)]
pub struct ClaimFacts {
    /// Id of its key.
    pub id: KeyId,
    /// Time of creation.
    pub created_at: Millis,
    /// End.
    pub expires_at: Millis,
}

impl Facts {
    /// Reads the facts that `viewer` may see. Costs one pass over the keys that are not final, the members, and the open claims.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails or a row is malformed.
    pub fn read(
        store: &mut dyn Store,
        viewer: &Member,
        settings: &Settings<'_>,
        now: Millis,
    ) -> Result<Self, StoreError> {
        let evidence = Evidence::new(store, now)?;
        let (mut keys, mut claims) = (Vec::new(), Vec::new());
        for environment in Environment::ALL.into_iter().filter(|environment| viewer.sees(*environment)) {
            for status in [Status::Active, Status::Pending, Status::Quarantined, Status::Retiring] {
                let rows = store.query(
                    "SELECT keys.id, integration, environment, state, scopes, created_at, expires_at, exposed_at, last_used_at,
                         allowed_cidrs = '[]' AS is_open,
                         coalesce(limits, (SELECT value FROM meta WHERE name = 'default_limits'), '[]') = '[]' AS is_unlimited,
                         routes, wide_day, wide_networks, scopes_since
                     FROM keys INDEXED BY keys_listed LEFT JOIN key_uses ON key_uses.id = keys.id
                     WHERE environment = ? AND state = ? AND expires_at > ? ORDER BY position",
                    &[environment.as_str().into(), status.as_str().into(), now.into()],
                )?;
                for row in &rows {
                    keys.push(KeyFacts::from_row(row, settings, &evidence)?);
                }
            }
            let rows = store.query(
                "SELECT id, created_at, expires_at FROM claims INDEXED BY claims_open
                 WHERE state = 'open' AND environment = ? AND expires_at > ? ORDER BY position",
                &[environment.as_str().into(), now.into()],
            )?;
            for row in &rows {
                claims.push(ClaimFacts {
                    id: row.parsed("id", KeyId::parse)?,
                    created_at: row.millis("created_at")?,
                    expires_at: row.millis("expires_at")?,
                });
            }
        }
        let sees_all = viewer.environments.is_none();
        let members = if sees_all { Some(members(store, now)?) } else { None };
        let endpoints = if sees_all { endpoints(store)? } else { Vec::new() };
        let idle = idle::read_rules(store)?;
        Ok(Self { now, rotate_days: settings.rotate_days, idle, keys, members, claims, endpoints })
    }
}

impl KeyFacts {
    fn from_row(row: &Row, settings: &Settings<'_>, evidence: &Evidence) -> Result<Self, StoreError> {
        let scopes: Vec<Scope> = row.parsed("scopes", |text| serde_json::from_str(text).ok())?;
        let (created_at, last_used_at) = (row.millis("created_at")?, row.optional_millis("last_used_at")?);
        let known = settings.known_scopes;
        let uses = KeyUses::from_row(row)?;
        let has_scopes_since = created_at.max(uses.scopes_since.unwrap_or(created_at));
        let proven = settings.routes_of.zip(evidence.routes_since(row.text("id")?));
        let unused_since = |scope: &Scope| {
            let (routes_of, told_since) = proven?;
            let routes = routes_of.get(scope).map(Vec::as_slice).unwrap_or_default();
            Some(told_since.max(has_scopes_since).max(uses.last_use_of(routes).unwrap_or(told_since)))
        };
        Ok(Self {
            id: row.parsed("id", KeyId::parse)?,
            scopes: scopes.iter().map(|scope| (scope.clone(), unused_since(scope))).collect(),
            is_open: row.integer("is_open")? != 0,
            wide: uses.wide(),
            integration: row.text("integration")?.to_owned(),
            environment: row.parsed("environment", Environment::parse)?,
            status: row.parsed("state", Status::parse)?,
            created_at,
            expires_at: row.millis("expires_at")?,
            has_every_scope: known.len() > 1 && known.iter().all(|scope| scopes.contains(scope)),
            is_unlimited: row.integer("is_unlimited")? != 0,
            exposed_at: row.optional_millis("exposed_at")?,
            last_used_at,
            unused_since: evidence.unused_since(row.text("id")?, last_used_at.unwrap_or(created_at)),
        })
    }
}

fn endpoints(store: &mut dyn Store) -> Result<Vec<EndpointFacts>, StoreError> {
    let rows = store.query(
        "SELECT id, CASE WHEN status = 'disabled' AND disabled_reason <> ? THEN
             (SELECT at FROM audit INDEXED BY audit_by_subject WHERE subject = endpoints.id AND action = 'endpoint.stop'
              ORDER BY seq DESC LIMIT 1) END AS stopped_at
         FROM endpoints ORDER BY position",
        &[BY_MEMBER.into()],
    )?;
    let endpoint = |row: &Row| {
        let stopped_at = row.optional_parsed("stopped_at", |text| Millis::parse(text).ok())?;
        Ok(EndpointFacts { id: row.text("id")?.to_owned(), stopped_at })
    };
    rows.iter().map(endpoint).collect()
}

fn members(store: &mut dyn Store, now: Millis) -> Result<Vec<MemberFacts>, StoreError> {
    store
        .query(
            "SELECT id, role, environments, created_at, expires_at, life_days FROM members
             WHERE revoked_at IS NULL AND expires_at > ? ORDER BY position",
            &[now.into()],
        )?
        .iter()
        .map(|row| {
            let is_owner = row.parsed("role", Role::parse)? == Role::Owner;
            Ok(MemberFacts {
                id: row.parsed("id", KeyId::parse)?,
                is_full_owner: is_owner && row.optional_text("environments")?.is_none(),
                created_at: row.millis("created_at")?,
                expires_at: row.millis("expires_at")?,
                life_days: u32::try_from(row.count("life_days")?).unwrap_or(u32::MAX),
            })
        })
        .collect()
}
