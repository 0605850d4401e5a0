//! Counts of one key that are not reported yet.

use std::sync::Arc;

use keyward_gate::KeyUse;
use keyward_http::limits::{COUNTED_NETWORKS, COUNTED_USES};
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::usage::{HOUR_MINUTES, KeyUsage, OTHER, Step, UseCount, UsedFrom, minute_of, usage_shard};

use super::counter::Use;
use super::source::{Network, Origin};

/// Counts of one key, and the networks that it was used from in this hour.
pub(super) struct KeyCounter {
    key_id: KeyId,
    integration: Option<String>,
    pub shard: u32,
    /// Hour of the last use.
    hour: i64,
    /// Hour of [`Self::networks`].
    networks_hour: i64,
    networks: Vec<(Network, Origin)>,
    /// First and last use that are not reported.
    span: Option<(Millis, Millis)>,
    last_network: usize,
    counts: Vec<Count>,
    /// Position of the count that matched last.
    latest: usize,
}

/// Number of uses that agree in everything.
struct Count {
    minute: i64,
    decision: &'static str,
    route: Arc<str>,
    client: Box<str>,
    network: usize,
    count: u64,
}

/// Result of [`KeyCounter::add`].
#[derive(Clone, Copy, Default)]
pub(super) struct Added {
    /// A network of which the origin is not known.
    pub new_network: Option<Network>,
    /// Whether the use is the first one in its hour.
    pub is_first: bool,
    /// Whether a row was added.
    pub has_grown: bool,
}

impl KeyCounter {
    pub fn new(used: &KeyUse<'_>) -> Self {
        Self {
            key_id: used.key_id.clone(),
            integration: used.integration.map(str::to_owned),
            shard: usage_shard(used.key_id.as_str()),
            hour: i64::MIN,
            networks_hour: i64::MIN,
            networks: Vec::new(),
            span: None,
            last_network: 0,
            counts: Vec::new(),
            latest: 0,
        }
    }

    /// Counts one request.
    pub fn add(&mut self, used: &KeyUse<'_>, request: &Use<'_>) -> Added {
        let minute = minute_of(request.now);
        let mut added = Added::default();
        let hour = Step::Hour.of_minute(minute);
        if hour != self.hour {
            self.hour = hour;
            self.forget_networks();
            added.is_first = true;
        }
        if self.integration.is_none() {
            self.integration = used.integration.map(str::to_owned);
        }
        let network = self.network(request.network, &mut added);
        self.last_network = network;
        self.span = Some(
            self.span
                .map_or((request.now, request.now), |(first, last)| (first.min(request.now), last.max(request.now))),
        );
        let fits = |count: &Count| {
            count.minute == minute
                && count.network == network
                && Arc::ptr_eq(&count.route, used.route)
                && *count.decision == *request.decision
                && *count.client == *request.client
        };
        if let Some(count) = self.counts.get_mut(self.latest).filter(|count| fits(count)) {
            count.count = count.count.saturating_add(1);
            return added;
        }
        let found = self.counts.iter().position(&fits);
        let (position, has_grown) = match found {
            Some(position) => (position, false),
            None if self.counts.len() < COUNTED_USES => (self.push(minute, used.route, request, network), true),
            None => self.overflow(hour, request.decision, used),
        };
        added.has_grown = has_grown;
        self.latest = position;
        if let Some(count) = self.counts.get_mut(position) {
            count.count = count.count.saturating_add(1);
        }
        added
    }

    /// Forgets the networks of an earlier hour, unless unreported counts name them by their position.
    fn forget_networks(&mut self) {
        if self.counts.is_empty() && self.networks_hour != self.hour {
            self.networks.clear();
            self.networks_hour = self.hour;
        }
    }

    fn push(&mut self, minute: i64, route: &Arc<str>, request: &Use<'_>, network: usize) -> usize {
        self.counts.push(Count {
            minute,
            decision: request.decision,
            route: Arc::clone(route),
            client: request.client.into(),
            network,
            count: 0,
        });
        self.counts.len().saturating_sub(1)
    }

    /// Returns the row that takes whatever exceeds [`COUNTED_USES`], and whether it is new: one for each hour, decision and route. A client
    /// that varies its address or `User-Agent` must not hide which routes it uses. Beyond as many rows again, routes are not told
    /// apart.
    fn overflow(&mut self, hour: i64, decision: &'static str, used: &KeyUse<'_>) -> (usize, bool) {
        let minute = hour.saturating_mul(HOUR_MINUTES);
        let is_overflow = |count: &Count, route: &str| {
            count.minute == minute
                && *count.decision == *decision
                && *count.client == *OTHER
                && count.network == usize::MAX
                && *count.route == *route
        };
        let request = Use { decision, network: Network::Other, client: OTHER, now: Millis(0) };
        if let Some(position) = self.counts.iter().position(|count| is_overflow(count, used.route)) {
            return (position, false);
        }
        if self.counts.len() < COUNTED_USES.saturating_mul(2) {
            return (self.push(minute, used.route, &request, usize::MAX), true);
        }
        if let Some(position) = self.counts.iter().position(|count| is_overflow(count, OTHER)) {
            return (position, false);
        }
        (self.push(minute, &Arc::from(OTHER), &request, usize::MAX), true)
    }

    /// Returns the position of a network. Beyond [`COUNTED_NETWORKS`], networks are not told apart.
    fn network(&mut self, network: Network, added: &mut Added) -> usize {
        if let Some(position) = self.networks.iter().position(|(known, _)| *known == network) {
            return position;
        }
        if self.networks.len() >= COUNTED_NETWORKS {
            return usize::MAX;
        }
        added.new_network = (network != Network::Unknown).then_some(network);
        self.networks.push((network, Origin::default()));
        self.networks.len().saturating_sub(1)
    }

    pub fn set_origin(&mut self, network: Network, origin: Origin) {
        if let Some((_, place)) = self.networks.iter_mut().find(|(known, _)| *known == network) {
            *place = origin;
        }
    }

    pub fn is_reported(&self) -> bool {
        self.counts.is_empty()
    }

    pub fn len(&self) -> usize {
        self.counts.len()
    }

    fn from(&self, position: usize) -> UsedFrom {
        match self.networks.get(position) {
            Some((network, Origin { country, asn })) => {
                UsedFrom { country: country.clone(), asn: *asn, network: network.text() }
            }
            None => UsedFrom { network: Network::Other.text(), ..UsedFrom::default() },
        }
    }

    /// Takes the counts for a report; `None` if there are none.
    pub fn take(&mut self) -> Option<KeyUsage> {
        let (first_at, last_at) = self.span.take()?;
        let last_from = Some(self.from(self.last_network));
        let uses = std::mem::take(&mut self.counts).into_iter().map(|count| UseCount {
            minute: count.minute,
            decision: count.decision.to_owned(),
            route: count.route.as_ref().to_owned(),
            client: count.client.into(),
            from: self.from(count.network),
            count: count.count,
        });
        let uses = uses.collect();
        self.forget_networks();
        self.latest = 0;
        Some(KeyUsage {
            id: self.key_id.clone(),
            integration: self.integration.clone(),
            first_at,
            last_at,
            last_from,
            uses,
        })
    }
}
