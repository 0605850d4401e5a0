//! `PATCH /_keyward/v1/keys/{id}`: changes a key. Omitted fields keep their values.

use serde::{Deserialize, Serialize};

use ipnet::IpNet;

use super::issue_key::{allowed_cidrs, check_end, check_scopes, instant, scopes};
use crate::body::{Fields, Json, invalid};
use crate::changed::Changed;
use crate::failure::Failure;
use crate::limits::take_limits;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::sight::check_key_in_sight;
use crate::text::TextParser;
use keyward_http::limits::{CONTACT_CHARS, NAME_CHARS, PROSE_CHARS};
use keyward_http::problem::Problem;
use keyward_key::id::KeyId;
use keyward_key::limit::Limit;
use keyward_key::mint::Minted;
use keyward_key::scope::Scope;
use keyward_key::time::Millis;
use keyward_key::version::third_reader;
use keyward_protocol::{KeyAttributes, KeyView, Raw, Rejection, Role, Status};
use keyward_registry::audit::difference;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::{Row, Store};
use keyward_registry::{claims, key_limits, key_uses, keys, meta, outbox};

const FIELDS: &[&str] = &["name", "purpose", "owner", "scopes", "allowed_cidrs", "limits", "expires_at"];

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct UpdateKey {
    /// Id of the key.
    pub id: KeyId,
    /// Changes.
    pub changes: KeyChanges,
}

/// The key after its change.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Key and time of the change.
    pub key_updated: Updated,
}

impl ControlOperation for UpdateKey {
    const SPEC: Spec = Spec {
        method: "PATCH",
        path: "v1/keys/{id}",
        body: BodyKind::Json,
        takes_query: false,
        access: Access::Roles(&[Role::Owner, Role::Manager]),
        writes: true,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        Ok(Self { id: input.key_id()?, changes: parse(input.body, input.text)? })
    }

    fn authorise(request: Option<&Self>, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        request.map_or(Ok(()), |request| check_key_in_sight(store, by, &request.id))
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let row = keys::find(store, &self.id)?.ok_or(Rejection::NotFound)?;
        let before = keys::view(&row, by.now)?;
        let ends_at = row.millis("expires_at")?;
        self.check(store, by, &before.status, &before.attributes, ends_at)?;

        self.changes.write(store, by, &row)?;
        // The key's successor would otherwise bring back, once it is claimed, what this change takes away. It has its own expiry.
        if let Some(successor) = keys::pending_successor(store, &before, by.now)? {
            let row = keys::get_written(store, &successor)?;
            KeyChanges { expires_at: None, ..self.changes.clone() }.write(store, by, &row)?;
        }
        let key = keys::view(&keys::get_written(store, &self.id)?, by.now)?;
        Ok(Outcome { key_updated: Updated { key: raw(&key)?, changed_at: by.now } })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let Updated { key, changed_at } = outcome?.key_updated;
        Ok(input.ok(&Changed::key(&key).since(input.config, changed_at)).tagged(&key))
    }
}

/// A changed key. A change to the present values writes nothing.
#[derive(Debug, Serialize, Deserialize)]
pub struct Updated {
    /// View.
    pub key: Raw,
    /// Time of the change, at which the bound starts.
    pub changed_at: Millis,
}

/// Writes the audit entry of a key change that was already written, queues the copy for KV, and returns the key.
pub(super) fn log_change(
    store: &mut dyn Store,
    by: &Context<'_>,
    action: &'static str,
    before: &KeyView,
) -> Result<Updated, OperationError> {
    let after = keys::view(&keys::get_written(store, &before.id)?, by.now)?;
    // The revision is the number of the audit entry.
    let logged = KeyView { revision: before.revision, ..after.clone() };
    by.record(store, action, &before.id, difference(before, &logged)?.unwrap_or_default())?;
    outbox::enqueue(store, &before.id, after.revision)?;
    Ok(Updated { key: raw(&after)?, changed_at: by.now })
}

/// Changes of a key; `None` keeps a field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChanges {
    /// New name.
    pub name: Option<String>,
    /// New purpose.
    pub purpose: Option<String>,
    /// New owner.
    pub owner: Option<String>,
    /// New list of all scopes.
    pub scopes: Option<Vec<Scope>>,
    /// New list of all networks.
    pub allowed_cidrs: Option<Vec<IpNet>>,
    /// New limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitsChange>,
    /// New expiry: in the future, and at most `MAX_KEY_DAYS` from now.
    pub expires_at: Option<Millis>,
    /// Set if the limits change, so that a reader that would ignore them refuses the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_reader: Option<u64>,
}

/// Change of a key's limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitsChange {
    /// `DEFAULT_LIMITS` apply.
    Default,
    /// The key has these limits.
    Own(Vec<Limit>),
}

impl KeyChanges {
    /// Writes the changes of one key, with their audit entry. A change to the present values writes nothing.
    fn write(&self, store: &mut dyn Store, by: &Context<'_>, row: &Row) -> Result<(), OperationError> {
        let before = keys::view(row, by.now)?;
        let id = &before.id;
        let expires_at = self.expires_at.map_or_else(|| row.millis("expires_at"), Ok)?;
        let mut after = before.clone();
        self.apply(&mut after.attributes);
        if let Some(LimitsChange::Default) = self.limits {
            after.attributes.limits = Some(key_limits::default_limits(store)?);
        }
        after.expires_at = expires_at.rfc3339();
        let mut stored = keys::attributes(row)?;
        let own_limits = stored.limits.clone();
        self.apply(&mut stored);
        let changes_limits = stored.limits != own_limits;
        let shown = difference(&before, &after)?;
        // A change between the default and the same limits of its own is invisible today, but not after a change of the default.
        let Some(difference) = shown.or_else(|| changes_limits.then(Vec::new)) else { return Ok(()) };
        let revision = meta::next_revision(store)?;
        keys::update(store, id, &stored, expires_at, revision)?;
        if stored.scopes.iter().any(|scope| !before.attributes.scopes.contains(scope)) {
            key_uses::got_scope(store, id, by.now)?;
        }
        if before.status == Status::Pending {
            claims::end_by(store, id, expires_at)?;
        }
        if changes_limits {
            key_limits::set_limit_revision(store, id, revision)?;
        }
        by.record(store, "key.update", id, difference)?;
        outbox::enqueue(store, id, revision)?;
        Ok(())
    }

    fn apply(&self, attributes: &mut KeyAttributes) {
        let Self { name, purpose, owner, scopes, allowed_cidrs, limits, expires_at: _, min_reader: _ } = self.clone();
        replace(&mut attributes.name, name);
        replace(&mut attributes.purpose, purpose);
        replace(&mut attributes.owner, owner);
        replace(&mut attributes.scopes, scopes);
        replace(&mut attributes.allowed_cidrs, allowed_cidrs);
        match limits {
            Some(LimitsChange::Own(limits)) => attributes.limits = Some(limits),
            Some(LimitsChange::Default) => attributes.limits = None,
            None => {}
        }
    }
}

fn replace<T>(field: &mut T, change: Option<T>) {
    if let Some(value) = change {
        *field = value;
    }
}

impl UpdateKey {
    /// Refuses a change. The order of these checks decides which refusal the caller gets.
    fn check(
        &self,
        store: &mut dyn Store,
        by: &Context<'_>,
        status: &Status,
        before: &KeyAttributes,
        ends_at: Millis,
    ) -> Result<(), OperationError> {
        if let Status::Quarantined | Status::Expired | Status::Revoked = status {
            return Err(Rejection::NotActive { status: *status }.into());
        }
        if let Some(scopes) = &self.changes.scopes {
            check_scopes(scopes, by.policy)?;
        }
        if let Some(end) = self.changes.expires_at {
            check_end(end, by.policy, by.now)?;
        }
        if *status == Status::Retiring {
            check_only_narrower(before, ends_at, &self.changes)?;
        } else if let Some(name) = &self.changes.name
            && let Some(id) = keys::other_of_name(store, before.environment, name, &before.integration, by.now)?
        {
            return Err(Rejection::NameTaken { id }.into());
        }
        Ok(())
    }
}

/// Parses the changes. The registry checks whether the scopes exist, and the lifetime.
fn parse(body: &[u8], text: TextParser<'_>) -> Result<KeyChanges, Problem> {
    let mut fields = Fields::parse_changes(body, FIELDS, &["limits"])?;
    let limits = if fields.has("limits") {
        Some(take_limits(&mut fields)?.map_or(LimitsChange::Default, LimitsChange::Own))
    } else {
        None
    };
    let min_reader = third_reader(limits.is_some());
    Ok(KeyChanges {
        name: fields.take("name").map(|value| text.parse("name", value, NAME_CHARS)).transpose()?,
        purpose: fields.take("purpose").map(|value| text.parse("purpose", value, PROSE_CHARS)).transpose()?,
        owner: fields.take("owner").map(|value| text.parse("owner", value, CONTACT_CHARS)).transpose()?,
        scopes: fields.has("scopes").then(|| scopes(&mut fields)).transpose()?,
        allowed_cidrs: fields.has("allowed_cidrs").then(|| allowed_cidrs(&mut fields)).transpose()?,
        limits,
        expires_at: fields.take("expires_at").map(end).transpose()?,
        min_reader,
    })
}

fn end(value: Json) -> Result<Millis, Problem> {
    match value {
        Json::Text(text) => instant("expires_at", &text),
        _ => Err(invalid("expires_at", "This must be an RFC 3339 time, as a string.")),
    }
}

/// Refuses a change that gives a retiring key more rights or time. Its successor can get them instead.
fn check_only_narrower(
    before: &KeyAttributes,
    ends_at: Millis,
    changes: &KeyChanges,
) -> Result<(), Rejection> {
    let wider = |field: String| Rejection::Invalid {
        field,
        detail:
            "A retiring key cannot get more rights or time. Change its successor."
                .to_owned(),
    };
    if changes.limits.is_some() {
        let detail = "This key has a successor, and both share their limits. Change the limits of the successor.".to_owned();
        return Err(Rejection::Invalid { field: "limits".to_owned(), detail });
    }
    let scopes = changes.scopes.as_deref().unwrap_or_default();
    if let Some(position) = scopes.iter().position(|scope| !before.scopes.contains(scope)) {
        return Err(wider(format!("scopes[{position}]")));
    }
    // An empty list of networks allows any address.
    if let (false, Some(networks)) = (before.allowed_cidrs.is_empty(), &changes.allowed_cidrs) {
        if networks.is_empty() {
            return Err(wider("allowed_cidrs".to_owned()));
        }
        let within = |network| before.allowed_cidrs.iter().any(|allowed| allowed.contains(network));
        if let Some(position) = networks.iter().position(|network| !within(network)) {
            return Err(wider(format!("allowed_cidrs[{position}]")));
        }
    }
    if changes.expires_at.is_some_and(|end| end > ends_at) {
        return Err(wider("expires_at".to_owned()));
    }
    Ok(())
}

const OPEN_API: &str = r##"{
  "operationId": "updateKey",
  "tags": ["Keys"],
  "summary": "Changes the given fields of a key",
  "description": "Owner, manager. A retiring key can only lose rights or time. A successor that waits for its claim changes in the same way, except for `expires_at`.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/KeyId"}, {"$ref": "#/components/parameters/IfMatch"}],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/UpdateKey"}}}
  },
  "responses": {
    "200": {
      "description": "The key, and the times by which the change takes effect",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "ETag": {"$ref": "#/components/headers/ETag"}
      },
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/KeyChanged"}}}
    },
    "400": {
      "description": "The body, query or path is invalid; `field` names the part: `invalid_request`, `unknown_scope`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "invalid_request",
                  "unknown_scope",
                  "bad_path",
                  "key_in_url",
                  "unexpected_body"
                ]
              }
            }
          }
        }
      }
    },
    "409": {
      "description": "`not_active`, `name_taken`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "not_active",
                  "name_taken"
                ]
              }
            }
          }
        }
      }
    }
  }
}"##;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn only_the_named_fields_change() {
        let Ok(changes) = parse(br#"{"scopes":["a:read"],"allowed_cidrs":[]}"#, TextParser::of_tests()) else { panic!("refused") };
        assert!(changes.name.is_none() && changes.owner.is_none() && changes.expires_at.is_none());
        assert_eq!(changes.scopes.unwrap().len(), 1);
        assert_eq!(changes.allowed_cidrs, Some(Vec::new()));
    }

    #[test]
    fn the_error_names_the_wrong_field() {
        for (body, field) in [
            (r#"{"name":""}"#, Some("name")),
            (r#"{"name":null}"#, Some("name")),
            (r#"{"expires_at":null}"#, Some("expires_at")),
            (r#"{"expires_at":1}"#, Some("expires_at")),
            (r#"{"scopes":[]}"#, Some("scopes")),
            (r#"{"scopes":"a"}"#, Some("scopes")),
            (r#"{"allowed_cidrs":["x"]}"#, Some("allowed_cidrs[0]")),
            (r#"{"environment":"test"}"#, Some("environment")),
            (r#"{"integration":"x"}"#, Some("integration")),
            (r#"{"expires_in_days":3}"#, Some("expires_in_days")),
            ("{}", None),
        ] {
            let problem = parse(body.as_bytes(), TextParser::of_tests()).err().unwrap();
            let shown: Value = serde_json::from_str(&problem.body("r")).unwrap();
            assert_eq!(shown["field"].as_str(), field, "{body}");
        }
    }
}
