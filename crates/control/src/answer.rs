//! The registry's answer as a response.

use serde::Serialize;

use super::{checkpoint, read_audit};
use keyward_config::Config;
use keyward_http::problem::{Code, Problem};
use keyward_http::reply::Reply;
use keyward_key::mint::ApiKey;
use keyward_key::time::Millis;
use keyward_protocol::{Operation, Outcome, Raw, RawOutcome, Rejection, Status};

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
pub fn answer(
    config: &Config,
    operation: Operation,
    done: &RawOutcome,
    api_key: Option<&ApiKey>,
    request_id: &str,
) -> Reply {
    let json = |status: u16, body: &Changed<'_>| Reply::json(status, body, request_id);
    match (done, api_key) {
        (Outcome::MemberCreated(member) | Outcome::MemberRotated(member), Some(api_key)) => {
            json(201, &Changed::member(member).with(api_key))
        }
        (Outcome::KeyIssued(key), Some(api_key)) => json(201, &Changed::key(key).with(api_key)),
        (Outcome::KeyRotated { key, retiring, changed_at }, Some(api_key)) => {
            let body = Changed { retiring: Some(retiring), ..Changed::key(key).with(api_key) };
            json(201, &body.since(config, *changed_at))
        }
        (Outcome::KeyRevoked { key, changed_at } | Outcome::KeyUpdated { key, changed_at }, _) => {
            json(200, &Changed::key(key).since(config, *changed_at))
        }
        (Outcome::Member(member), _) if operation == Operation::ShowMember => Reply::json(200, member, request_id),
        (Outcome::Member(member), _) => json(200, &Changed::member(member)),
        (Outcome::Me(member), _) => Reply::json(200, member, request_id),
        (Outcome::Key(key), _) => Reply::json(200, key, request_id),
        (Outcome::Keys { items, next_cursor }, _) => page(items, next_cursor.as_deref(), request_id),
        (Outcome::Members { items, next_cursor }, _) => page(items, next_cursor.as_deref(), request_id),
        (Outcome::Audit { entries, more }, _) => audit_page(entries, *more, request_id),
        (Outcome::Authorised, _) if operation == Operation::AuditKey => checkpoint::verifier_keys(config, request_id),
        // The log's head is signed first, see `checkpoint`. None of the others is the answer to what was asked: a fault of ours.
        (
            Outcome::Authorised
            | Outcome::AuditHead { .. }
            | Outcome::MemberCreated(_)
            | Outcome::MemberRotated(_)
            | Outcome::KeyIssued(_)
            | Outcome::KeyRotated { .. }
            | Outcome::Inspected { .. }
            | Outcome::Replayed { .. },
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

/// Returns the public answer to a refusal of the registry.
#[must_use]
pub fn problem_of(refused: &Rejection) -> Problem {
    match refused {
        Rejection::Unauthenticated { .. } => Code::InvalidKey.into(),
        Rejection::Forbidden => Code::Forbidden.into(),
        Rejection::NotFound => Code::NotFound.into(),
        Rejection::AlreadyBootstrapped => Code::AlreadyBootstrapped.into(),
        Rejection::IntegrationHasKey { id } => Problem::detailed(
            Code::IntegrationHasKey,
            format!("This integration already has the active key {id} in this environment. Rotate that one."),
        ),
        Rejection::NameTaken { id } => Problem::detailed(
            Code::NameTaken,
            format!("The active key {id} of this environment has this name. Choose another."),
        ),
        Rejection::Invalid { field, detail } => Problem::field(Code::InvalidRequest, field, detail),
        Rejection::UnknownScope { field, detail, .. } => Problem::field(Code::UnknownScope, field, detail),
        Rejection::NotActive { status: Status::Retiring } => {
            Problem::detailed(Code::NotActive, "This key is retiring: it has its successor already. Rotate that one.")
        }
        Rejection::NotActive { status } => Problem::detailed(
            Code::NotActive,
            format!("This key is {}. It stays as it is; issue another for the integration.", status.as_str()),
        ),
        Rejection::LastOwner => Code::LastOwner.into(),
        Rejection::EmailTaken => Code::EmailTaken.into(),
        Rejection::IdempotencyMismatch => Code::IdempotencyMismatch.into(),
        Rejection::IdTaken => Code::InternalError.into(),
    }
}
