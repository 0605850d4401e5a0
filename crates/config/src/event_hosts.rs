//! `EVENT_HOSTS`: the hosts to which events may go.

use serde_json::Value;

use super::reader::Reader;
use keyward_http::event_url::EventHosts;

impl Reader<'_> {
    /// Reads `EVENT_HOSTS`. The hosts of Keyward and of the origins are excluded, even if a star matches them.
    pub(super) fn event_hosts(&mut self) -> EventHosts {
        let name = "EVENT_HOSTS";
        let mut hosts = EventHosts::default();
        let list = match self.get(name) {
            None => return hosts,
            Some(Value::String(text)) => serde_json::from_str(text).ok(),
            Some(value) => Some(value.clone()),
        };
        let is_listed = match &list {
            Some(Value::Array(entries)) => {
                entries.iter().all(|entry| entry.as_str().is_some_and(|entry| hosts.allow(entry)))
            }
            _ => false,
        };
        if !is_listed {
            let form = "must be a list of host names, like [\"hooks.example.com\", \"*.example.org\"], each with a port only if it is not 443, or localhost:*";
            self.problem(name, form);
        }
        for own in ["ORIGIN_LIVE", "ORIGIN_TEST", "CONTROL_HOST", "ISSUER"] {
            if let Some(base) = self.get(own).and_then(Value::as_str).filter(|base| *base != "route") {
                hosts.exclude(base);
            }
        }
        for host in self.listed("ROUTE_HOSTS") {
            hosts.exclude(&host);
        }
        hosts
    }

    /// Returns the texts of a list, whose form is checked elsewhere.
    fn listed(&self, name: &str) -> Vec<String> {
        let list: Option<Value> = match self.get(name) {
            Some(Value::String(text)) => serde_json::from_str(text).ok(),
            other => other.cloned(),
        };
        let items = list.as_ref().and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    }
}
