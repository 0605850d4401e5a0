//! Questions about deliveries, which the registry authorises and the events object answers, and the public keys of events.

use serde::Serialize;

use super::failure::Failure;
use keyward_config::Config;
use keyward_edge::platform::ShardedObject;
use keyward_edge::{Level, Platform};
use keyward_http::problem::{Code, Problem};
use keyward_http::reply::Reply;
use keyward_key::assertion::Jwk;
use keyward_key::keyring::DerivedKeys;
use keyward_key::time::Millis;
use keyward_key::version;
use keyward_key::webhook::public_text;
use keyward_protocol::events::{
    DeliveryPage, DeliveryQuery, DeliveryStatus, DeliveryView, EventsRequest, EventsResponse, TestOrder,
};
use keyward_protocol::metrics::Sample;
use keyward_registry::page::write_cursor;

/// A question whose caller is authorised.
pub enum EventsQuestion {
    /// Sends `endpoint.test`.
    Test(Box<TestOrder>),
    /// Deliveries, newest first.
    Deliveries(DeliveryQuery),
    /// Sends one delivery again.
    Resend(i64),
    /// Sends the events of a range of time again.
    Replay {
        /// Id of the endpoint.
        endpoint: String,
        /// Start of the range.
        from: Millis,
        /// End of the range, not included.
        to: Millis,
    },
}

/// Response body of a test.
#[derive(Serialize)]
struct Tested {
    delivered: bool,
    delivery: DeliveryView,
}

/// Response body of a delivery that is sent again.
#[derive(Serialize)]
struct Resent {
    delivery: DeliveryView,
}

/// Response body of a replay.
#[derive(Serialize)]
struct Replayed {
    count: u32,
}

/// Response body of a list.
#[derive(Serialize)]
struct Page {
    items: Vec<DeliveryView>,
    next_cursor: Option<String>,
}

/// Asks the events object, and makes the response.
pub(super) async fn answer(
    platform: &impl Platform,
    question: EventsQuestion,
    request_id: &str,
) -> Result<Reply, Failure> {
    let request = match question {
        EventsQuestion::Test(order) => EventsRequest::Test(order),
        EventsQuestion::Deliveries(query) => EventsRequest::Deliveries(query),
        EventsQuestion::Resend(delivery) => EventsRequest::Resend { delivery },
        EventsQuestion::Replay { endpoint, from, to } => EventsRequest::Replay { endpoint, from, to },
    };
    match ask(platform, &request, request_id).await? {
        EventsResponse::Tested(delivery) => {
            let delivered = delivery.status == DeliveryStatus::Delivered;
            Ok(Reply::json(200, &Tested { delivered, delivery: *delivery }, request_id))
        }
        EventsResponse::Deliveries(DeliveryPage { items, next }) => {
            let page = Page { items, next_cursor: next.map(write_cursor) };
            Ok(Reply::json(200, &page, request_id))
        }
        EventsResponse::Resent(delivery) => Ok(Reply::json(202, &Resent { delivery: *delivery }, request_id)),
        EventsResponse::Replayed { count } => Ok(Reply::json(202, &Replayed { count }, request_id)),
        EventsResponse::NotFound => Err(Code::NotFound.into()),
        EventsResponse::NotEnabled => Err(Code::EndpointNotEnabled.into()),
        EventsResponse::TooMany => {
            let detail = "The range has more than 10,000 events. Send a shorter one.";
            Err(Problem::field(Code::InvalidRequest, "to", detail).into())
        }
        EventsResponse::Noted | EventsResponse::Metrics(_) => {
            Err(failed(platform, "the answer does not match the question", request_id))
        }
    }
}

/// Returns the gauges of the events object; none if it does not answer, which is logged.
pub(super) async fn metrics(platform: &impl Platform, request_id: &str) -> Vec<Sample> {
    match ask(platform, &EventsRequest::Metrics, request_id).await {
        Ok(EventsResponse::Metrics(samples)) => samples,
        Ok(_) => {
            failed(platform, "the answer does not match the question", request_id);
            Vec::new()
        }
        // It is logged already.
        Err(_) => Vec::new(),
    }
}

async fn ask(platform: &impl Platform, request: &EventsRequest, request_id: &str) -> Result<EventsResponse, Failure> {
    let message = serde_json::to_string(request).map_err(|_| failed(platform, "no JSON form", request_id))?;
    let answer = platform.ask_shard(ShardedObject::Events, 0, &message).await;
    match answer.map(|answer| version::read::<EventsResponse>(&answer)) {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(failed(platform, &error.to_string(), request_id)),
        Err(cause) => Err(failed(platform, &cause, request_id)),
    }
}

/// An object that does not answer is never "no deliveries".
fn failed(platform: &impl Platform, cause: &str, request_id: &str) -> Failure {
    platform.log(Level::Error, "events_query_failed", &[("cause", cause), ("request_id", request_id)]);
    Code::AuthorityUnavailable.into()
}

/// One public key in the two forms that receivers use.
#[derive(Serialize)]
struct EventKey<'a> {
    jwk: &'a Jwk,
    whpk: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<Box<Self>>,
}

fn event_key(derived: &DerivedKeys) -> Option<EventKey<'_>> {
    Some(EventKey { jwk: derived.events_key()?.jwk(), whpk: public_text(derived.events().public()?), previous: None })
}

/// Returns the public key that verifies events and, during a rotation of the secret, the previous one. Both must be known.
pub(super) fn keys(config: &Config, request_id: &str) -> Reply {
    match config.keyring.generations().map(event_key).collect::<Option<Vec<_>>>() {
        Some(mut keys) if !keys.is_empty() => {
            let mut first = keys.remove(0);
            first.previous = keys.pop().map(Box::new);
            Reply::json(200, &first, request_id)
        }
        _ => Reply::problem(&Code::InternalError.into(), request_id),
    }
}
