//! The body of an event: one JSON object that is valid as Standard Webhooks 1.0.0 (`type`, `timestamp`, `data`) and as a CloudEvent 1.0
//! (`specversion`, `id`, `source`, `type`). It is stored, so every attempt sends the same bytes.

use serde::Serialize;
use serde_json::{Map, Value};

use keyward_store::StoreError;

use crate::news::NewEvent;

#[derive(Serialize)]
struct Body<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    r#type: &'a str,
    time: String,
    timestamp: String,
    datacontenttype: &'static str,
    data: &'a Map<String, Value>,
}

/// Returns the body of an event of this deployment.
///
/// # Errors
/// [`StoreError`] if it has no JSON form, which does not happen.
pub fn body(source: &str, event: &NewEvent<'_>) -> Result<String, StoreError> {
    let time = event.at.rfc3339();
    let body = Body {
        specversion: "1.0",
        id: event.id,
        source,
        r#type: event.kind,
        timestamp: time.clone(),
        time,
        datacontenttype: "application/json",
        data: event.data,
    };
    serde_json::to_string(&body).map_err(|_| StoreError::new("an event has no JSON form"))
}
