//! Tells the events object what happened, in order, with retries by alarm.

use super::RegistryObject;
use super::host::{Level, ObjectHost};
use crate::events;
use keyward_fault::fault;
use keyward_key::version;
use keyward_protocol::events::{EventsRequest, EventsResponse};

impl<H: ObjectHost> RegistryObject<H> {
    /// Tells everything that is pending. Only one call does so at a time.
    pub(super) async fn tell_events(&self) {
        self.make(&self.news, self.tell_all()).await;
    }

    /// Tells everything that is pending before an answer, beside a call that may be running: what arrives twice or late has no effect.
    pub(super) async fn tell_endpoints(&self) {
        if let Err(cause) = self.tell_all().await {
            self.host.log(Level::Warn, "events_not_told", &[("cause", &cause), ("retry_in_ms", "1000")]);
        }
        self.reset_alarm().await;
    }

    async fn tell_all(&self) -> Result<(), String> {
        let effect = self.settings.as_ref().ok_or("misconfigured")?.effect;
        loop {
            let news = self.stored(|store| events::news(store, effect))?;
            let Some((news, upto)) = news else { return Ok(()) };
            if fault!("an event counts as told before it is stored") {
                self.stored(|store| events::told(store, upto))?;
            }
            let message = serde_json::to_string(&EventsRequest::News(news)).map_err(|error| error.to_string())?;
            let answer = self.host.ask_events(&message).await?;
            match version::read::<EventsResponse>(&answer) {
                Ok(EventsResponse::Noted) => {}
                _ => return Err("the events object did not confirm".to_owned()),
            }
            self.stored(|store| events::told(store, upto))?;
        }
    }

    /// Returns whether there is anything to tell. Also `true` if the store fails, because an unnecessary alarm is harmless.
    pub(super) fn has_news(&self) -> bool {
        self.with_store(events::is_any_pending).unwrap_or(true)
    }
}
