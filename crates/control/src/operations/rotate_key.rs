//! `POST /_keyward/v1/keys/{id}/rotate`: issues a successor of a key. The old key is retiring: it works until the overlap ends.

use serde::{Deserialize, Serialize};

use crate::body::{Fields, Json, invalid};
use crate::changed::Changed;
use crate::credential::Subject;
use crate::delivery::{self, ClaimTerms, Pending, PendingKey};
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::sight::check_key_in_sight;
use keyward_http::problem::{Code, Problem};
use keyward_key::id::{Class, KeyId};
use keyward_key::mint::Minted;
use keyward_key::time::Millis;
use keyward_protocol::{KeyView, Raw, Rejection, Role, Status};
use keyward_registry::audit::shown;
use keyward_registry::context::{Context, OperationError, days_after};
use keyward_registry::keys::{self, NewKey, Retirement};
use keyward_registry::store::{Store, StoreError};
use keyward_registry::{key_limits, meta, outbox};

/// Default overlap, in seconds: one day.
const DEFAULT_OVERLAP_SECONDS: u32 = 86_400;
/// Maximum overlap, in seconds: 30 days.
pub const MAX_OVERLAP_SECONDS: u32 = 2_592_000;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct RotateKey {
    /// Id of the key.
    pub id: KeyId,
    /// Time for which the old key keeps working, 0 to 2,592,000 seconds.
    pub overlap_seconds: u32,
    /// Terms of the successor's claim, if it is delivered by one. The overlap begins when the claim is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimTerms>,
}

/// The successor and the old key, or the successor alone if it waits for its claim.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Both keys, and the time of the rotation.
    KeyRotated(Rotated),
    /// The successor, which waits for its claim. The old key is unchanged.
    KeyPending(Pending),
}

impl ControlOperation for RotateKey {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/keys/{id}/rotate",
        body: BodyKind::Json,
        takes_query: false,
        access: Access::Roles(&[Role::Owner, Role::Manager]),
        writes: true,
        idempotent: true,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let id = parse_id(input.key_id()?)?;
        let mut fields = Fields::parse(input.body, &["overlap_seconds", "deliver", "claim_hours"])?;
        let overlap_seconds = parse_overlap(&mut fields)?.unwrap_or(DEFAULT_OVERLAP_SECONDS);
        Ok(Self { id, overlap_seconds, claim: delivery::parse(&mut fields)? })
    }

    fn subject(&self) -> Option<Subject> {
        let class = self.id.class();
        Some(if self.claim.is_some() { Subject::Claim(class) } else { Subject::New(class) })
    }

    fn authorise(request: Option<&Self>, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        request.map_or(Ok(()), |request| check_key_in_sight(store, by, &request.id))
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let row = keys::find(store, &self.id)?.ok_or(Rejection::NotFound)?;
        let old = keys::view(&row, by.now)?;
        check_rotatable(&old)?;
        if self.overlap_seconds > MAX_OVERLAP_SECONDS {
            let detail = format!("An overlap is 0 to {MAX_OVERLAP_SECONDS} seconds.");
            return Err(Rejection::Invalid { field: "overlap_seconds".to_owned(), detail }.into());
        }
        if let Some(id) = keys::pending_successor(store, &old, by.now)? {
            return Err(Rejection::SuccessorPending { id }.into());
        }
        let credential = by.credential()?;
        keys::check_new_id(store, &credential.id, old.attributes.environment)?;

        let own_end = row.millis("expires_at")?;
        let lifetime_ms = own_end.since(row.millis("created_at")?);
        // One change has one revision, even if it changes two keys.
        let revision = meta::next_revision(store)?;
        let successor = NewKey {
            id: &credential.id,
            credential: self.claim.is_none().then_some(credential),
            attributes: &keys::attributes(&row)?,
            created_at: by.now,
            created_by: &by.member()?.id,
            expires_at: Millis(by.now.0.saturating_add(lifetime_ms)).min(days_after(by.now, by.policy.max_key_days)),
            rotated_from: Some(&self.id),
            limit_group: Some(key_limits::limit_group(&row)?),
            revision,
        };
        keys::insert(store, &successor)?;
        match &self.claim {
            Some(terms) => self.await_claim(store, by, terms, &successor),
            None => self.replace(store, by, &successor, (old.status, own_end)),
        }
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        minted: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        match outcome? {
            Outcome::KeyRotated(Rotated { key, retiring, changed_at }) => Ok(input
                .created(&Changed::new_key(&key, minted)?.retiring(&retiring).since(input.config, changed_at))),
            Outcome::KeyPending(pending) => pending.respond(input, minted),
        }
    }
}

/// A rotation. The successor has the attributes of the old key, including scopes that no route uses any more, because a rotation
/// changes no right. Its lifetime is that of the old key, counted from now and limited to `MAX_KEY_DAYS`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Rotated {
    /// View of the successor.
    pub key: Raw,
    /// View of the old key.
    pub retiring: Raw,
    /// Time of the rotation, at which the bound starts.
    pub changed_at: Millis,
}

impl RotateKey {
    /// Retires the old key, because its successor is active now.
    fn replace(
        &self,
        store: &mut dyn Store,
        by: &Context<'_>,
        successor: &NewKey<'_>,
        (status, own_end): (Status, Millis),
    ) -> Result<Outcome, OperationError> {
        let NewKey { id, revision, .. } = *successor;
        let overlap_seconds = self.overlap_seconds.into();
        let (id_of_old, at) = (&self.id, by.now);
        let retirement = Retirement { id: id_of_old, status, successor: id, at, overlap_seconds, own_end, revision };
        keys::retire(store, &retirement)?;
        outbox::enqueue(store, id, revision)?;
        let key = keys::view(&keys::get_written(store, id)?, by.now)?;
        let retiring = keys::view(&keys::get_written(store, &self.id)?, by.now)?;
        // Both keys have the same rights, so the log contains their lists only once.
        let detail = vec![("key", shown(&key)?), ("retiring", shown_without_lists(&retiring)?)];
        by.record(store, "key.rotate", &self.id, detail)?;
        Ok(Outcome::KeyRotated(Rotated { key: raw(&key)?, retiring: raw(&retiring)?, changed_at: by.now }))
    }

    /// Opens the claim that the successor waits for. Until it is used the old key stays as it is.
    fn await_claim(
        &self,
        store: &mut dyn Store,
        by: &Context<'_>,
        terms: &ClaimTerms,
        successor: &NewKey<'_>,
    ) -> Result<Outcome, OperationError> {
        let pending = PendingKey {
            terms,
            credential: by.credential()?,
            expires_at: successor.expires_at,
            overlap_seconds: Some(self.overlap_seconds),
            revision: successor.revision,
        };
        let claim = delivery::open(store, by, &pending)?;
        let key = keys::view(&keys::get_written(store, successor.id)?, by.now)?;
        let detail = vec![("key", shown(&key)?), ("claim_until", claim.expires_at.rfc3339().into())];
        by.record(store, "key.rotate", &self.id, detail)?;
        Ok(Outcome::KeyPending(Pending { key: raw(&key)?, claim }))
    }
}

/// Returns a view in the form of the log, without the lists of rights.
pub(super) fn shown_without_lists(view: &KeyView) -> Result<serde_json::Value, StoreError> {
    let mut shown = shown(view)?;
    if let Some(fields) = shown.as_object_mut() {
        // Where a key was used from is kept for days, and the log for ever.
        fields.retain(|name, value| !value.is_array() && name != "first_used_at" && name != "last_used_from");
    }
    Ok(shown)
}

/// Refuses a key that is neither active nor quarantined, or that has a successor.
fn check_rotatable(key: &KeyView) -> Result<(), Rejection> {
    match key.status {
        Status::Active => Ok(()),
        Status::Quarantined if key.successor.is_none() => Ok(()),
        Status::Quarantined => Err(Rejection::NotActive { status: Status::Retiring }),
        status => Err(Rejection::NotActive { status }),
    }
}

/// Refuses the id of a member.
fn parse_id(id: KeyId) -> Result<KeyId, Problem> {
    if id.class() == Class::Member { Err(Code::NotFound.into()) } else { Ok(id) }
}

/// Parses `overlap_seconds`.
pub(super) fn parse_overlap(fields: &mut Fields) -> Result<Option<u32>, Problem> {
    match fields.take("overlap_seconds") {
        None => Ok(None),
        Some(Json::Number(seconds)) if seconds <= MAX_OVERLAP_SECONDS.into() => {
            Ok(Some(u32::try_from(seconds).unwrap_or(MAX_OVERLAP_SECONDS)))
        }
        Some(_) => Err(invalid("overlap_seconds", "This must be a whole number from 0 to 2592000 (30 days).")),
    }
}

const OPEN_API: &str = r##"{
  "operationId": "rotateKey",
  "tags": ["Keys"],
  "summary": "Rotates a key: issues its successor",
  "description": "Owner, manager. The old key keeps working for `overlap_seconds`, but not past its own expiry.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/KeyId"}, {"$ref": "#/components/parameters/IfMatch"}, {"$ref": "#/components/parameters/IdempotencyKey"}],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RotateKey"}}}
  },
  "responses": {
    "201": {
      "description": "The successor with its text, which only this response shows, and the old key; or with `deliver` the successor and the link of its claim",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"oneOf": [{"$ref": "#/components/schemas/KeyRotated"}, {"$ref": "#/components/schemas/KeyPending"}]}}}
    },
    "400": {
      "description": "The body, query or path is invalid; `field` names the part: `invalid_request`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "invalid_request",
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
    "401": {"$ref": "#/components/responses/Unauthorized"},
    "403": {"$ref": "#/components/responses/Forbidden"},
    "404": {"$ref": "#/components/responses/NotFound"},
    "409": {
      "description": "`not_active`; `integration_has_key` while a successor waits for its claim",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "not_active",
                  "integration_has_key"
                ]
              }
            }
          }
        }
      }
    },
    "412": {"$ref": "#/components/responses/PreconditionFailed"},
    "413": {"$ref": "#/components/responses/TooLarge"},
    "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
    "422": {"$ref": "#/components/responses/Mismatch"},
    "503": {"$ref": "#/components/responses/Unavailable"},
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(body: &str) -> Result<Option<u32>, Problem> {
        parse_overlap(&mut Fields::parse(body.as_bytes(), &["overlap_seconds"])?)
    }

    #[test]
    fn an_overlap_is_0_to_30_days_and_a_day_by_default() {
        for (body, seconds) in [
            ("{}", None),
            (r#"{"overlap_seconds":null}"#, None),
            (r#"{"overlap_seconds":0}"#, Some(0)),
            (r#"{"overlap_seconds":2592000}"#, Some(2_592_000)),
        ] {
            assert_eq!(parsed(body).ok(), Some(seconds), "{body}");
        }
        for value in ["2592001", "-1", "1.5", "\"1\"", "1e300", "4294967296"] {
            assert!(parsed(&format!("{{\"overlap_seconds\":{value}}}")).is_err(), "{value}");
        }
        assert!(parse_id(KeyId::parse("wafl_live_8Fh2kQ0sZp1L").unwrap()).is_ok());
        assert!(parse_id(KeyId::parse("wafl_admin_8Fh2kQ0sZp1L").unwrap()).is_err());
    }
}
