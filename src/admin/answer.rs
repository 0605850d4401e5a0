//! The registry's answer as a response.

use serde::Serialize;

use crate::config::Config;
use crate::http::problem::{Code, Problem};
use crate::http::reply::Reply;
use crate::key::mint::ApiKey;
use crate::registry::command::{Done, KeyView, MemberView, Refused};

#[derive(Serialize)]
struct WithApiKey<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<&'a MemberView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a KeyView>,
    api_key: &'a str,
}

#[derive(Serialize)]
struct Page<'a> {
    items: &'a [KeyView],
    next_cursor: Option<&'a str>,
}

#[derive(Serialize)]
struct Changed<'a> {
    key: &'a KeyView,
    effective_by: String,
    guaranteed_by: String,
}

/// The response to an operation that was done. `api_key` is what was minted for it; it is shown here and nowhere else.
#[must_use]
pub fn answer(config: &Config, done: &Done, api_key: Option<&ApiKey>, request_id: &str) -> Reply {
    match (done, api_key) {
        (Done::MemberCreated(member), Some(api_key)) => {
            let body = WithApiKey { member: Some(member), key: None, api_key: api_key.expose() };
            Reply::json(201, &body, request_id)
        }
        (Done::KeyIssued(key), Some(api_key)) => {
            let body = WithApiKey { member: None, key: Some(key), api_key: api_key.expose() };
            Reply::json(201, &body, request_id)
        }
        (Done::Me(member), _) => Reply::json(200, member, request_id),
        (Done::Key(key), _) => Reply::json(200, key, request_id),
        (Done::Keys { items, next_cursor }, _) => {
            Reply::json(200, &Page { items, next_cursor: next_cursor.as_deref() }, request_id)
        }
        (Done::KeyRevoked { key, changed_at }, _) => {
            let effective = changed_at.plus_seconds(config.bound_seconds.into());
            let guaranteed = effective.plus_seconds(config.grace_seconds.into());
            let body = Changed { key, effective_by: effective.rfc3339(), guaranteed_by: guaranteed.rfc3339() };
            Reply::json(200, &body, request_id)
        }
        // Neither is the answer to what was asked: a fault of ours.
        (_, _) => Reply::problem(&Code::InternalError.into(), request_id),
    }
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
            Refused::IdTaken
            | Refused::NotActive { .. }
            | Refused::LastOwner
            | Refused::EmailTaken
            | Refused::IdempotencyMismatch => Code::InternalError.into(),
        }
    }
}
