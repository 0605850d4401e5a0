//! `POST /_keyward/v1/keys/{id}/rotate`: issues a successor of a key. The old key is retiring: it works until the overlap ends.

use serde::{Deserialize, Serialize};

use crate::body::{Fields, Json, invalid};
use crate::changed::Changed;
use crate::credential::Subject;
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
use keyward_registry::keys::{self, NewKey};
use keyward_registry::store::{Store, StoreError, Value};
use keyward_registry::{meta, outbox};

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
}

/// The successor and the old key.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Both keys, and the time of the rotation.
    pub key_rotated: Rotated,
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
        Ok(Self { id: parse_id(input.key_id()?)?, overlap_seconds: parse_overlap(input.body)?.unwrap_or(DEFAULT_OVERLAP_SECONDS) })
    }

    fn subject(&self) -> Option<Subject> {
        Some(Subject::New(self.id.class()))
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
        let credential = by.credential()?;
        keys::check_new_id(store, &credential.id, old.attributes.environment)?;

        let end = row.millis("expires_at")?;
        let lifetime_ms = end.since(row.millis("created_at")?);
        // One change has one revision, even if it changes two keys.
        let revision = meta::next_revision(store)?;
        self.retire(store, by, &credential.id, (old.status, end), revision)?;
        let successor = NewKey {
            credential,
            attributes: &keys::attributes(&row)?,
            created_at: by.now,
            created_by: &by.member()?.id,
            expires_at: Millis(by.now.0.saturating_add(lifetime_ms)).min(days_after(by.now, by.policy.max_key_days)),
            rotated_from: Some(&self.id),
            limit_group: Some(keys::limit_group(&row)?),
            revision,
        };
        keys::insert(store, &successor)?;
        let key = keys::view(&keys::get_written(store, &credential.id)?, by.now)?;
        let retiring = keys::view(&keys::get_written(store, &self.id)?, by.now)?;
        // Both keys have the same rights, so the log contains their lists only once.
        let mut without_lists = shown(&retiring)?;
        if let Some(fields) = without_lists.as_object_mut() {
            fields.retain(|_, value| !value.is_array());
        }
        by.record(store, "key.rotate", &self.id, vec![("key", shown(&key)?), ("retiring", without_lists)])?;
        outbox::enqueue(store, &self.id, revision)?;
        outbox::enqueue(store, &credential.id, revision)?;
        Ok(Outcome { key_rotated: Rotated { key: raw(&key)?, retiring: raw(&retiring)?, changed_at: by.now } })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        minted: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let Rotated { key, retiring, changed_at } = outcome?.key_rotated;
        Ok(input.created(&Changed::new_key(&key, minted)?.retiring(&retiring).since(input.config, changed_at)))
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
    /// Retires the old key until the overlap ends, or until its own expiry if that is sooner. A retiring key is not active, so no key gets
    /// two successors, and the integration still has one active key.
    fn retire(
        &self,
        store: &mut dyn Store,
        by: &Context<'_>,
        successor: &KeyId,
        (status, end): (Status, Millis),
        revision: u64,
    ) -> Result<(), StoreError> {
        // Without an overlap the key is expired by every clock. A quarantined one stays quarantined: only a release makes it work.
        let status = match status {
            _ if self.overlap_seconds == 0 => Status::Expired,
            Status::Quarantined => Status::Quarantined,
            _ => Status::Retiring,
        };
        store.execute(
            "UPDATE keys SET state = ?, successor = ?, expires_at = ?, own_end = ?, revision = ? WHERE id = ?",
            &[
                status.as_str().into(),
                successor.as_str().into(),
                by.now.plus_seconds(i64::from(self.overlap_seconds)).min(end).into(),
                end.into(),
                Value::count(revision)?,
                self.id.as_str().into(),
            ],
        )
    }
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

/// Parses `{"overlap_seconds"?}`.
pub(super) fn parse_overlap(body: &[u8]) -> Result<Option<u32>, Problem> {
    let mut fields = Fields::parse(body, &["overlap_seconds"])?;
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
      "description": "The successor with its text, which only this response shows, and the old key",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/KeyRotated"}}}
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
      "description": "`not_active`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "not_active"
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

    #[test]
    fn an_overlap_is_0_to_30_days_and_a_day_by_default() {
        for (body, seconds) in [
            ("{}", None),
            (r#"{"overlap_seconds":null}"#, None),
            (r#"{"overlap_seconds":0}"#, Some(0)),
            (r#"{"overlap_seconds":2592000}"#, Some(2_592_000)),
        ] {
            assert_eq!(parse_overlap(body.as_bytes()).ok(), Some(seconds), "{body}");
        }
        for value in ["2592001", "-1", "1.5", "\"1\"", "1e300", "4294967296"] {
            assert!(parse_overlap(format!("{{\"overlap_seconds\":{value}}}").as_bytes()).is_err(), "{value}");
        }
        assert!(parse_overlap(b"").is_err());
        assert!(parse_id(KeyId::parse("wafl_live_8Fh2kQ0sZp1L").unwrap()).is_ok());
        assert!(parse_id(KeyId::parse("wafl_admin_8Fh2kQ0sZp1L").unwrap()).is_err());
    }
}
