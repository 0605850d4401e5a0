//! Fields of an endpoint in requests, and what its operations share.

use serde::Serialize;

use super::body::{Fields, Json, invalid};
use super::failure::Failure;
use super::operation::{Answer, Input, confused};
use super::operations::create_member::environments;
use keyward_http::limits::{EVENT_TYPES_LISTED, PROSE_CHARS};
use keyward_http::problem::{Code, Problem};
use keyward_http::reply::Reply;
use keyward_key::id::Environment;
use keyward_key::version;
use keyward_key::webhook::WebhookSecret;
use keyward_protocol::events::{
    ChangedEndpoint, ENDPOINT_CHARS, ENDPOINT_PREFIX, EVENT_TYPES, EndpointView, TEST_TYPE, matches_type,
};
use keyward_protocol::{Raw, Rejection};
use keyward_registry::context::OperationError;
use keyward_registry::endpoints::{self, StoredEndpoint};
use keyward_registry::store::Store;

/// Prefix of the ids of deliveries.
const DELIVERY_PREFIX: &str = "dlv_";

/// Parses the id of an endpoint in the path. A malformed one gets the 404 of an absent one.
pub(super) fn endpoint_id(input: &Input<'_>) -> Result<String, Problem> {
    let rest = input.id.strip_prefix(ENDPOINT_PREFIX).unwrap_or_default();
    let fits = rest.len() == ENDPOINT_CHARS && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if fits { Ok(input.id.to_owned()) } else { Err(Code::NotFound.into()) }
}

/// Parses the id of a delivery in the path, as [`endpoint_id`] does.
pub(super) fn delivery_number(input: &Input<'_>) -> Result<i64, Problem> {
    let number = input.id.strip_prefix(DELIVERY_PREFIX).and_then(super::query::whole);
    let number = number.and_then(|number| i64::try_from(number).ok());
    number.filter(|number| *number <= keyward_registry::store::LARGEST_INTEGER).ok_or_else(|| Code::NotFound.into())
}

/// Finds an endpoint.
pub(super) fn find(store: &mut dyn Store, id: &str) -> Result<StoredEndpoint, OperationError> {
    Ok(endpoints::find(store, id)?.ok_or(Rejection::NotFound)?)
}

/// Checks an `If-Match`.
pub(super) fn check_revision(endpoint: &StoredEndpoint, if_match: Option<&[u64]>) -> Result<(), Rejection> {
    match if_match {
        Some(revisions) if !revisions.contains(&endpoint.revision) => Err(Rejection::PreconditionFailed),
        _ => Ok(()),
    }
}

/// Parses `url`: an address that this deployment allows.
pub(super) fn url(input: &Input<'_>, value: Json) -> Result<String, Problem> {
    let Json::Text(url) = value else { return Err(invalid("url", "This must be a string.")) };
    if input.config.event_hosts.is_empty() {
        return Err(invalid(
            "url",
            "This deployment sends no events. Ask whoever deploys Keyward to list the receiver's host in EVENT_HOSTS.",
        ));
    }
    match input.config.event_hosts.check(&url, Some(input.head.base())) {
        Ok(()) => Ok(url),
        Err(why) => Err(invalid("url", why.detail())),
    }
}

/// Parses `description`. Without one it is empty.
pub(super) fn description(input: &Input<'_>, fields: &mut Fields) -> Result<Option<String>, Problem> {
    fields.take("description").map(|value| input.text.parse("description", value, PROSE_CHARS)).transpose()
}

/// Takes `types`: `null` for all, or a list of types and groups. `None` if the field is absent.
pub(super) fn types(fields: &mut Fields) -> Result<Option<Option<Vec<String>>>, Problem> {
    let value = match fields.take_even_null("types") {
        None => return Ok(None),
        Some(Json::Null) => return Ok(Some(None)),
        Some(value) => value,
    };
    let Json::List(items) = value else {
        return Err(invalid("types", "This must be null (all types) or a list like [\"key.*\", \"member.created\"]."));
    };
    if items.is_empty() || items.len() > EVENT_TYPES_LISTED {
        let detail = format!("Name 1 to {EVENT_TYPES_LISTED} types, or null for all.");
        return Err(invalid("types", detail));
    }
    let mut types: Vec<String> = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let wrong = |detail: String| invalid(format!("types[{index}]"), detail);
        let known = match item {
            Json::Text(text) if EVENT_TYPES.iter().any(|kind| *kind != TEST_TYPE && matches_type(&text, kind)) => text,
            _ => {
                let known: Vec<&str> = EVENT_TYPES.iter().copied().filter(|kind| *kind != TEST_TYPE).collect();
                let detail = format!("Unknown type. Use a group like `key.*`, or one of: {}.", known.join(", "));
                return Err(wrong(detail));
            }
        };
        if types.contains(&known) {
            return Err(wrong("Duplicate type. List each type once.".to_owned()));
        }
        types.push(known);
    }
    Ok(Some(Some(types)))
}

/// Takes `environments`: `null` for all, or a list. `None` if the field is absent.
pub(super) fn limited_to(fields: &mut Fields) -> Result<Option<Option<Vec<Environment>>>, Problem> {
    match fields.take_even_null("environments") {
        None => Ok(None),
        Some(Json::Null) => Ok(Some(None)),
        Some(value) => environments(value).map(|environments| Some(Some(environments))),
    }
}

/// Takes `signatures`, and returns whether `v1` is among them. `None` if the field is absent.
pub(super) fn signatures(fields: &mut Fields) -> Result<Option<bool>, Problem> {
    let Some(value) = fields.take("signatures") else { return Ok(None) };
    let wrong = || invalid("signatures", "This must be [\"v1a\"], or [\"v1a\", \"v1\"] for an HMAC beside it.");
    let Json::List(items) = value else { return Err(wrong()) };
    let mut names: Vec<&str> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match item {
            Json::Text(text) if matches!(text.as_str(), "v1a" | "v1") && !names.contains(&text.as_str()) => {
                names.push(text);
            }
            _ => return Err(invalid(format!("signatures[{index}]"), "This must be \"v1a\" or \"v1\", each once.")),
        }
    }
    if names.contains(&"v1a") { Ok(Some(names.contains(&"v1"))) } else { Err(wrong()) }
}

/// Response body of a change.
#[derive(Serialize)]
struct Body<'a> {
    endpoint: &'a Raw,
    secret: Option<String>,
}

/// Creates the response to a change, with the secret that it made, which only this response shows.
pub(super) fn respond(input: &Input<'_>, status: u16, changed: &ChangedEndpoint) -> Result<Answer, Failure> {
    let secret = match &changed.secret {
        None => None,
        Some(secret) => {
            let lost = || Failure::Fault { event: "replay_failed", code: Code::AuthorityUnavailable };
            let derived = input.config.keyring.of_generation(&secret.minted_under).ok_or_else(lost)?;
            let view = version::read::<EndpointView>(changed.endpoint.get()).map_err(|_| confused())?;
            Some(WebhookSecret::derive(derived, &view.id, secret.number).expose())
        }
    };
    let body = Body { endpoint: &changed.endpoint, secret };
    Ok(Answer::Reply(Reply::json(status, &body, input.request_id)).tagged(&changed.endpoint))
}
