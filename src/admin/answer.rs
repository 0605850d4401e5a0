//! The registry's answer as a response.

use serde::Serialize;

use super::{checkpoint, read_audit};
use crate::config::Config;
use crate::http::problem::{Code, Problem};
use crate::http::reply::Reply;
use crate::key::mint::ApiKey;
use crate::registry::command::{Done, Operation, Raw, Refused, Status, Told};
use crate::time::Millis;

/// What a change answers: what was changed, with whatever else belongs to it.
#[derive(Serialize, Default)]
struct Changed<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retiring: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guaranteed_by: Option<String>,
}

impl<'a> Changed<'a> {
    fn key(key: &'a Raw) -> Self {
        Self { key: Some(key), ..Self::default() }
    }

    fn member(member: &'a Raw) -> Self {
        Self { member: Some(member), ..Self::default() }
    }

    /// With the credential that was made. It is shown here and nowhere else.
    fn with(self, api_key: &'a ApiKey) -> Self {
        Self { api_key: Some(api_key.expose()), ..self }
    }

    /// With the instants by which the change holds everywhere.
    fn since(self, config: &Config, changed_at: Millis) -> Self {
        let effective = changed_at.plus_seconds(config.bound_seconds.into());
        let guaranteed = effective.plus_seconds(config.grace_seconds.into());
        Self { effective_by: Some(effective.rfc3339()), guaranteed_by: Some(guaranteed.rfc3339()), ..self }
    }
}

#[derive(Serialize)]
struct Page<'a> {
    items: &'a [Raw],
    next_cursor: Option<&'a str>,
}

/// The response to an operation that was done. `api_key` is what was minted for it, or derived again for a retry.
#[must_use]
pub fn answer(config: &Config, operation: Operation, done: &Told, api_key: Option<&ApiKey>, request_id: &str) -> Reply {
    let json = |status: u16, body: &Changed<'_>| Reply::json(status, body, request_id);
    match (done, api_key) {
        (Done::MemberCreated(member) | Done::MemberRotated(member), Some(api_key)) => {
            json(201, &Changed::member(member).with(api_key))
        }
        (Done::KeyIssued(key), Some(api_key)) => json(201, &Changed::key(key).with(api_key)),
        (Done::KeyRotated { key, retiring, changed_at }, Some(api_key)) => {
            let body = Changed { retiring: Some(retiring), ..Changed::key(key).with(api_key) };
            json(201, &body.since(config, *changed_at))
        }
        (Done::KeyRevoked { key, changed_at } | Done::KeyUpdated { key, changed_at }, _) => {
            json(200, &Changed::key(key).since(config, *changed_at))
        }
        (Done::Member(member), _) if operation == Operation::ShowMember => Reply::json(200, member, request_id),
        (Done::Member(member), _) => json(200, &Changed::member(member)),
        (Done::Me(member), _) => Reply::json(200, member, request_id),
        (Done::Key(key), _) => Reply::json(200, key, request_id),
        (Done::Keys { items, next_cursor }, _) => page(items, next_cursor.as_deref(), request_id),
        (Done::Members { items, next_cursor }, _) => page(items, next_cursor.as_deref(), request_id),
        (Done::Audit { entries, more }, _) => audit_page(entries, *more, request_id),
        (Done::Authorised, _) if operation == Operation::AuditKey => checkpoint::verifier_keys(config, request_id),
        // The log's head is signed first, see `checkpoint`. None of the others is the answer to what was asked: a fault of ours.
        (
            Done::Authorised
            | Done::AuditHead { .. }
            | Done::MemberCreated(_)
            | Done::MemberRotated(_)
            | Done::KeyIssued(_)
            | Done::KeyRotated { .. }
            | Done::Inspected { .. }
            | Done::Replayed { .. },
            _,
        ) => Reply::problem(&Code::InternalError.into(), request_id),
    }
}

fn page(items: &[Raw], next_cursor: Option<&str>, request_id: &str) -> Reply {
    Reply::json(200, &Page { items, next_cursor }, request_id)
}

/// The cursor of the log is the last entry's number: what `after` takes.
fn audit_page(entries: &[Raw], more: bool, request_id: &str) -> Reply {
    let last = entries.last().filter(|_| more).and_then(read_audit::last_seq);
    let next_cursor = last.map(|seq| seq.to_string());
    page(entries, next_cursor.as_deref(), request_id)
}

impl From<&Refused> for Problem {
    fn from(refused: &Refused) -> Self {
        match refused {
            Refused::Unauthenticated { .. } => Code::InvalidKey.into(),
            Refused::Forbidden => Code::Forbidden.into(),
            Refused::NotFound => Code::NotFound.into(),
            Refused::AlreadyBootstrapped => Code::AlreadyBootstrapped.into(),
            Refused::IntegrationHasKey { id } => Self::detailed(
                Code::IntegrationHasKey,
                format!("This integration already has the active key {id} in this environment. Rotate that one."),
            ),
            Refused::NameTaken { id } => Self::detailed(
                Code::NameTaken,
                format!("The active key {id} of this environment has this name. Choose another."),
            ),
            Refused::Invalid { field, detail } => Self::field(Code::InvalidRequest, field, detail),
            Refused::UnknownScope { field, detail, .. } => Self::field(Code::UnknownScope, field, detail),
            Refused::NotActive { status: Status::Retiring } => {
                Self::detailed(Code::NotActive, "This key is retiring: it has its successor already. Rotate that one.")
            }
            Refused::NotActive { status } => Self::detailed(
                Code::NotActive,
                format!("This key is {}. It stays as it is; issue another for the integration.", status.as_str()),
            ),
            Refused::LastOwner => Code::LastOwner.into(),
            Refused::EmailTaken => Code::EmailTaken.into(),
            Refused::IdempotencyMismatch => Code::IdempotencyMismatch.into(),
            Refused::IdTaken => Code::InternalError.into(),
        }
    }
}
