//! The test of an endpoint: one attempt, whose outcome is the answer.

use keyward_key::time::Millis;
use keyward_protocol::Request;
use keyward_protocol::events::{EndpointTested, EventsResponse, TEST_TYPE, TestOrder};
use keyward_store::{Store, StoreError, Value};
use serde_json::Map;

use super::{EventsHost, EventsObject};
use crate::deliveries::{ATTEMPTS, Attempt, begin};
use crate::list;
use crate::news::NewEvent;
use crate::schedule::INTERRUPTED_AFTER_MS;

impl<H: EventsHost> EventsObject<H> {
    /// Sends `endpoint.test` once. If the receiver takes it, the registry learns so before the answer.
    pub(super) async fn test(&self, order: &TestOrder) -> Result<EventsResponse, StoreError> {
        let settings = self.settings()?;
        let name = self.host.random_name().ok_or_else(|| StoreError::new("no entropy for an event"))?;
        let now = self.host.now();
        let attempt = self.with_store(|store| write(store, order, (&settings.source, &format!("evt_{name}")), now))?;
        let outcome = self.make(settings, &attempt).await;
        if outcome.is_success() {
            self.tell_success(order).await?;
        }
        let view = self.with_store(|store| list::find(store, attempt.delivery))?;
        let view = view.ok_or_else(|| StoreError::new("a test just written is not there"))?;
        Ok(EventsResponse::Tested(Box::new(view)))
    }

    async fn tell_success(&self, order: &TestOrder) -> Result<(), StoreError> {
        let tested = EndpointTested {
            id: order.endpoint.id.clone(),
            revision: order.endpoint.revision,
            by: order.by.clone(),
            request: order.request.clone(),
        };
        self.tell(&Request::EndpointTested(Box::new(tested))).await.map_err(StoreError::new)
    }
}

/// Writes the event, its delivery and its only attempt.
fn write(
    store: &mut dyn Store,
    order: &TestOrder,
    (source, event_id): (&str, &str),
    now: Millis,
) -> Result<Attempt, StoreError> {
    let endpoint = &order.endpoint;
    let mut written = None;
    store.transaction(&mut |store| {
        let rows = store.query("SELECT ifnull(max(seq), 0) AS seq FROM events", &[])?;
        let seq = rows.first().map(|row| row.count("seq")).transpose()?.unwrap_or(0);
        let mut data = Map::new();
        data.insert("seq".to_owned(), seq.into());
        data.insert("endpoint".to_owned(), endpoint.id.as_str().into());
        data.insert("actor".to_owned(), order.by.as_str().into());
        let only_for = Some(endpoint.id.as_str());
        let event = NewEvent { id: event_id, seq, at: now, kind: TEST_TYPE, environment: None, only_for, data: &data };
        let (number, body) = event.insert(store, source, now)?;
        store.execute(
            "INSERT INTO deliveries (endpoint, event, type, status, attempts) VALUES (?, ?, ?, 'pending', 0)",
            &[endpoint.id.as_str().into(), Value::Integer(number), TEST_TYPE.into()],
        )?;
        let rows = store.query("SELECT number FROM deliveries WHERE event = ?", &[Value::Integer(number)])?;
        let delivery = rows.first().ok_or_else(|| StoreError::new("a delivery just written is not there"))?;
        let delivery = delivery.integer("number")?;
        // Used up: if this instance ends now, the delivery has failed.
        let used_up = (ATTEMPTS, Millis(now.0.saturating_add(INTERRUPTED_AFTER_MS)));
        written = Some(Attempt {
            number: begin(store, delivery, used_up, now)?,
            delivery,
            endpoint: endpoint.clone(),
            event_id: event_id.to_owned(),
            body,
            at: now,
            attempts: ATTEMPTS,
            is_test: true,
        });
        Ok(())
    })?;
    written.ok_or_else(|| StoreError::new("the transaction was committed without its work"))
}
