//! Messages about events: from the registry and from isolates to the events object, and back.
//!
//! The registry decides what happened and which endpoints there are, and tells the events object, which delivers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use keyward_key::id::Environment;
use keyward_key::keyring::Generation;
use keyward_key::time::Millis;

use crate::metrics::Sample;
use crate::request::RequestMeta;
use crate::response::Raw;

/// Name of the events object. A deployment has one.
pub const EVENTS_OBJECT: &str = "events";

/// Prefix of the ids of endpoints.
pub const ENDPOINT_PREFIX: &str = "ep_";

/// Number of base62 characters after the prefix: 95 bits.
pub const ENDPOINT_CHARS: usize = 16;

/// Maximum number of events in one message of the registry: about 100 KB.
pub const MAX_TOLD_EVENTS: u32 = 100;

/// Maximum number of endpoints. Every message of the registry lists them, and the events object asks for the due deliveries of each.
pub const MAX_ENDPOINTS: u32 = 20;

/// Type of the event that tests an endpoint. Only its endpoint receives it.
pub const TEST_TYPE: &str = "endpoint.test";

/// Every type of event. The types of members' events share the prefix `member.`.
pub const EVENT_TYPES: &[&str] = &[
    "key.issued",
    "key.claimed",
    "key.rotated",
    "key.expiring",
    "key.expired",
    "key.revoked",
    "key.quarantined",
    "key.exposed",
    "key.idle",
    "leak.reported",
    "incident.opened",
    "incident.closed",
    "member.created",
    "member.updated",
    "member.rotated",
    "member.revoked",
    "member.exposed",
    "endpoint.disabled",
    TEST_TYPE,
];

/// Returns whether a pattern of an endpoint's `types` matches a type: the type itself, or `group.*` for a group.
#[must_use]
pub fn matches_type(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(group) => group.ends_with('.') && kind.starts_with(group),
        None => pattern == kind,
    }
}

/// An event, as the registry wrote it in the transaction of its change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// `evt_` and the first 24 hex digits of the hash of its audit entry.
    pub id: String,
    /// Number of its audit entry, which orders events.
    pub seq: u64,
    /// Time of the change.
    pub at: Millis,
    /// Type, such as `key.revoked`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Environment of its key; `None` for an event about no key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// `data` of the body.
    pub data: Map<String, Value>,
}

/// The secret of a `v1` signature: a name from which the server's secret derives it. Nothing stores the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSecret {
    /// Number among the secrets of its endpoint.
    pub number: u64,
    /// Generation of the server's secret.
    pub minted_under: Generation,
    /// Time until which a replaced secret signs too; `None` for the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
}

/// An endpoint, as the events object needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Id, `ep_` and 16 base62 digits.
    pub id: String,
    /// Address.
    pub url: String,
    /// Patterns of types; `None` for all.
    pub types: Option<Vec<String>>,
    /// Environments; `None` for all. Events about no key match every list.
    pub environments: Option<Vec<Environment>>,
    /// Secrets of `v1` signatures, the current one first; empty without `v1`.
    pub secrets: Vec<EndpointSecret>,
    /// Number of the audit entry that enabled it, which receives later events only; `None` while it is not enabled.
    pub enabled_since: Option<u64>,
    /// Number of its last change.
    pub revision: u64,
}

impl Endpoint {
    /// Returns whether the endpoint subscribes to an event, whatever its status.
    #[must_use]
    pub fn subscribes_to(&self, kind: &str, environment: Option<Environment>) -> bool {
        let of_type = self.types.as_ref().is_none_or(|types| types.iter().any(|pattern| matches_type(pattern, kind)));
        let in_environment = match (&self.environments, environment) {
            (Some(environments), Some(environment)) => environments.contains(&environment),
            _ => true,
        };
        of_type && in_environment
    }
}

/// What the registry tells the events object. Handled twice, it has the same effect as once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct News {
    /// The authority's epoch. Numbers of different epochs do not compare.
    pub epoch: String,
    /// Number of the last audit entry when the registry wrote the message: the list of endpoints is of that moment.
    pub at: u64,
    /// Events, in order, at most [`MAX_TOLD_EVENTS`].
    pub events: Vec<Event>,
    /// Every endpoint.
    pub endpoints: Vec<Endpoint>,
}

/// A request to send `endpoint.test`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TestOrder {
    /// The endpoint, as the registry has it.
    pub endpoint: Endpoint,
    /// Member who tests it.
    pub by: String,
    /// The member's request, for the audit log.
    pub request: RequestMeta,
}

/// A query for deliveries, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryQuery {
    /// Only of this endpoint.
    pub endpoint: Option<String>,
    /// Only of this type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Only with this status.
    pub status: Option<DeliveryStatus>,
    /// Maximum number.
    pub limit: u32,
    /// Only those before this number; `None` to begin with the newest.
    pub before: Option<i64>,
}

/// State of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryStatus {
    /// Another attempt follows.
    Pending,
    /// The receiver answered with 2xx.
    Delivered,
    /// Every attempt failed, or the endpoint was disabled or deleted.
    Failed,
}

impl DeliveryStatus {
    /// Returns the name in answers and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// Parses the output of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::Failed].into_iter().find(|status| status.as_str() == text)
    }
}

/// A message to the events object.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventsRequest {
    /// The registry tells events and endpoints.
    News(News),
    /// A member tests an endpoint.
    Test(Box<TestOrder>),
    /// A member reads deliveries.
    Deliveries(DeliveryQuery),
    /// A member sends one delivery again.
    Resend {
        /// Number of the delivery.
        delivery: i64,
    },
    /// A member sends the events of a range of time to an endpoint.
    Replay {
        /// Id of the endpoint.
        endpoint: String,
        /// Start of the range.
        from: Millis,
        /// End of the range, not included.
        to: Millis,
    },
    /// The control plane asks for the metrics.
    Metrics,
}

/// An attempt to deliver, as responses show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptView {
    /// Time (RFC 3339).
    pub at: String,
    /// HTTP status of the receiver's answer, if there was one.
    pub status: Option<u16>,
    /// Reason of a failure without an answer.
    pub error: Option<String>,
    /// Time until the answer or the failure, in milliseconds; `None` if the attempt was interrupted.
    pub duration_ms: Option<u64>,
}

/// A delivery, as responses show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryView {
    /// Id, `dlv_` and a number.
    pub id: String,
    /// Endpoint.
    pub endpoint: String,
    /// Id of the event, which is the header `webhook-id`.
    pub event_id: String,
    /// Type of the event.
    #[serde(rename = "type")]
    pub kind: String,
    /// `data.seq` of the event.
    pub seq: u64,
    /// Time of the event (RFC 3339).
    pub event_time: String,
    /// Status.
    pub status: DeliveryStatus,
    /// Time of the next attempt (RFC 3339); `None` if none follows.
    pub next_attempt_at: Option<String>,
    /// Attempts, oldest first.
    pub attempts: Vec<AttemptView>,
}

/// A page of deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryPage {
    /// Deliveries, newest first.
    pub items: Vec<DeliveryView>,
    /// Number of the delivery before which the next page begins; `None` at the end.
    pub next: Option<i64>,
}

/// Answer of the events object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventsResponse {
    /// The news is stored.
    Noted,
    /// The test was sent.
    Tested(Box<DeliveryView>),
    /// A page of deliveries.
    Deliveries(DeliveryPage),
    /// The delivery will be sent again.
    Resent(Box<DeliveryView>),
    /// The events of the range will be sent again.
    Replayed {
        /// Number of events.
        count: u32,
    },
    /// Answer to [`EventsRequest::Metrics`].
    Metrics(Vec<Sample>),
    /// There is no such delivery.
    NotFound,
    /// The endpoint is not enabled.
    NotEnabled,
    /// The range has more events than one replay sends.
    TooMany,
}

/// What the events object tells the registry about endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointReport {
    /// Endpoints with news, at most [`MAX_ENDPOINTS`].
    pub endpoints: Vec<EndpointNews>,
}

/// What the events object tells about one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointNews {
    /// Id.
    pub id: String,
    /// Number of the endpoint's change that the events object knows. The registry disables no endpoint that has changed since.
    pub revision: u64,
    /// Time of the last delivery.
    pub last_delivery_at: Option<Millis>,
    /// Why the events object stopped sending; `None` if it did not.
    pub stopped: Option<StopReason>,
}

/// Why the events object stopped sending to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The receiver answered 410.
    Gone,
    /// Every attempt of 5 days failed.
    Failing,
}

impl StopReason {
    /// Returns the name in answers and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    /// Parses the output of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Gone, Self::Failing].into_iter().find(|reason| reason.as_str() == text)
    }
}

/// An endpoint, as responses show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointView {
    /// Id.
    pub id: String,
    /// Address.
    pub url: String,
    /// Description.
    pub description: String,
    /// Patterns of types; `None` for all.
    pub types: Option<Vec<String>>,
    /// Environments; `None` for all.
    pub environments: Option<Vec<Environment>>,
    /// `v1a`, and perhaps `v1`.
    pub signatures: Vec<String>,
    /// Status.
    pub status: EndpointStatus,
    /// Why it is disabled: `member`, `gone` or `failing`; `None` unless it is.
    pub disabled_reason: Option<String>,
    /// Time of its creation (RFC 3339).
    pub created_at: String,
    /// Member who created it.
    pub created_by: String,
    /// Time of the last test that succeeded since its address was set (RFC 3339).
    pub tested_at: Option<String>,
    /// Time until which the replaced secret signs too (RFC 3339).
    pub previous_secret_until: Option<String>,
    /// Time of the last delivery (RFC 3339), at most a minute late.
    pub last_delivery_at: Option<String>,
    /// Number of its last change.
    pub revision: u64,
}

/// State of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointStatus {
    /// Waits for its first successful test.
    Pending,
    /// Receives events.
    Enabled,
    /// Receives none.
    Disabled,
}

impl EndpointStatus {
    /// Returns the name in answers and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }

    /// Parses the output of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Enabled, Self::Disabled].into_iter().find(|status| status.as_str() == text)
    }
}

/// The events object tells the registry that a test of an endpoint succeeded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndpointTested {
    /// Id of the endpoint.
    pub id: String,
    /// Number of the endpoint's change that was tested.
    pub revision: u64,
    /// Member who tested it.
    pub by: String,
    /// The member's request, for the audit log.
    pub request: RequestMeta,
}

/// Outcome of an operation that changed an endpoint, between registry and isolate.
#[derive(Debug, Serialize, Deserialize)]
pub struct ChangedEndpoint {
    /// View.
    pub endpoint: Raw,
    /// The secret to show; `None` if the operation made none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<EndpointSecret>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_its_type_or_its_group_and_nothing_else() {
        for (pattern, kind, expected) in [
            ("key.revoked", "key.revoked", true),
            ("key.*", "key.revoked", true),
            ("key.revoked", "key.revoke", false),
            ("key.*", "keys.revoked", false),
            ("k*", "key.revoked", false),
            ("*", "key.revoked", false),
            ("member.*", "key.revoked", false),
            ("", "key.revoked", false),
        ] {
            assert_eq!(matches_type(pattern, kind), expected, "{pattern} {kind}");
        }
    }

    #[test]
    fn events_about_no_key_match_every_list_of_environments() {
        let endpoint = Endpoint {
            id: "ep_a".to_owned(),
            url: String::new(),
            types: None,
            environments: Some(vec![Environment::Live]),
            secrets: Vec::new(),
            enabled_since: Some(1),
            revision: 1,
        };
        assert!(endpoint.subscribes_to("key.issued", Some(Environment::Live)));
        assert!(!endpoint.subscribes_to("key.issued", Some(Environment::Test)));
        assert!(endpoint.subscribes_to("member.created", None));
    }
}
