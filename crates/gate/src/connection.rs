//! Long-lived responses: a WebSocket or an event stream stays open only while its key would still be accepted.
//!
//! Each check records the time at which the key was last known to be active, which is the time at which the feed was last complete.
//! From that time on the connection may stay open for the bound plus the grace, whatever fails. A later change of the key takes effect
//! within the same time (`guaranteed_by`), so no connection outlives that guarantee.

use keyward_config::Config;
use keyward_http::credential::Credential;
use keyward_http::head::Head;
use keyward_http::problem::Code;
use keyward_http::route::Access;
use keyward_key::id::{Class, KeyId};
use keyward_key::scope::Scope;
use keyward_key::time::Millis;
use keyward_protocol::feed::CompactKeyId;
use serde::{Deserialize, Serialize};

use super::key_cache::Entry;
use super::{CLOCK_STEP_TOLERANCE_MS, Gate, Need, Reason, Refusal, check_rights, check_state, find_route, origin_for};

/// Margin in milliseconds by which a connection closes early: timers fire late, and the close frame needs time to arrive.
const CLOSING_MARGIN_MS: i64 = 250;

/// A long-lived response and the conditions it was granted under. It holds no credential. Between two checks it exists only as JSON
/// text stored with the connection itself, so nothing remains of a client that disconnects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    key_id: KeyId,
    /// Scope that its route requires.
    scope: Scope,
    /// The client's address, for keys that are limited to networks.
    address: Option<String>,
    /// Whether its route has no grace.
    closed_on_outage: bool,
    opened_at: Millis,
    /// Latest time at which the key is known to have been active. `None` before the first check.
    confirmed_at: Option<Millis>,
    /// Expiry of the key, from the record of the last check.
    expires_at: Option<Millis>,
    /// Time of the last check, by the isolate's clock.
    checked_at: Millis,
}

/// Deadline of a connection that no later check confirms, and the reason for closing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Deadline, by the isolate's clock.
    pub at: Millis,
    /// Reason, for the close frame and the log.
    pub reason: &'static str,
}

/// Reason for closing a connection that is older than `MAX_CONNECTION_SECONDS`.
pub const TOO_OLD: &str = "connection_too_old";

/// Result of [`Gate::check_connection`].
#[derive(Debug)]
pub enum Checked {
    /// The key is accepted according to the isolate's state; [`Connection::closing`] is updated.
    Confirmed,
    /// The isolate should do this lookup and check again. Until then [`Connection::closing`] applies.
    Need(Need),
    /// The key is no longer accepted.
    Refused(Refusal),
}

impl Connection {
    /// Creates the connection of a request that was just accepted. `None` if its route needs no key, or the head has none.
    #[must_use]
    pub fn of(config: &Config, head: &Head<'_>, now: Millis) -> Option<Self> {
        let route = find_route(config, head).ok()?;
        let Access::Scope(scope) = &route.access else { return None };
        let (Credential::Candidate(text), _) = Credential::find(head, &config.prefix) else { return None };
        let (presented, _) = super::recognise_text(config, text).ok()?;
        Some(Self {
            key_id: KeyId::parse(presented.id())?,
            scope: scope.clone(),
            address: head.client_address().map(str::to_owned),
            closed_on_outage: route.closed_on_outage,
            opened_at: now,
            confirmed_at: None,
            expires_at: None,
            checked_at: now,
        })
    }

    /// Returns the id of the key.
    #[must_use]
    pub const fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// Returns the deadline of a connection that no later check confirms: the earliest of the key's expiry, the maximum age, and the last
    /// confirmation plus the bound and the grace.
    #[must_use]
    pub fn closing(&self, config: &Config) -> Closing {
        let grace_seconds = if self.closed_on_outage { 0 } else { config.grace_seconds };
        let usable_ms = i64::from(config.bound_seconds).saturating_add(grace_seconds.into()).saturating_mul(1_000);
        let usable_ms = usable_ms.saturating_sub(CLOSING_MARGIN_MS.min(usable_ms / 20));
        let unconfirmed = Closing {
            at: self.confirmed_at.map_or(self.opened_at, |at| Millis(at.0.saturating_add(usable_ms))),
            reason: Code::AuthorityUnavailable.as_str(),
        };
        let old = Closing { at: self.opened_at.plus_seconds(config.max_connection_seconds.into()), reason: TOO_OLD };
        let expired = self.expires_at.map(|at| Closing { at, reason: Code::ExpiredKey.as_str() });
        [Some(old), expired].into_iter().flatten().fold(
            unconfirmed,
            |first, other| {
                if other.at < first.at { other } else { first }
            },
        )
    }

    /// Shifts the times of the connection if the clock stepped back since the last check, so that the step does not extend it.
    fn follow_clock(&mut self, now: Millis) {
        let step = now.since(self.checked_at);
        if step < -CLOCK_STEP_TOLERANCE_MS {
            self.opened_at = Millis(self.opened_at.0.saturating_add(step));
            self.confirmed_at = self.confirmed_at.map(|at| Millis(at.0.saturating_add(step)));
        }
        self.checked_at = now;
    }
}

impl Gate {
    /// Checks at `now` whether a connection may stay open: its key is neither revoked, expired nor quarantined, has the route's scope and allows the
    /// client's network. Records the latest confirmation in the connection, even if a lookup is needed.
    pub fn check_connection(&mut self, config: &Config, connection: &mut Connection, now: Millis) -> Checked {
        self.note_clock(now);
        connection.follow_clock(now);
        let found = self.confirm(config, connection, now);
        match found {
            Err(refusal) => Checked::Refused(refusal.about(connection.key_id.clone())),
            Ok(_) if self.feed.is_connection_refresh_due(config, now) => Checked::Need(Need::Changes),
            Ok(true) => Checked::Confirmed,
            Ok(false) => Checked::Need(Need::Record(connection.key_id.clone())),
        }
    }

    /// Confirms the connection as of the feed's age if the key's record is cached. Returns whether it is.
    fn confirm(&mut self, config: &Config, connection: &mut Connection, now: Millis) -> Result<bool, Refusal> {
        let unknown = || Refusal::invalid_key(Reason::UnknownId);
        let Class::Data(environment) = connection.key_id.class() else { return Err(unknown()) };
        let compact = CompactKeyId::of(&connection.key_id).ok_or_else(unknown)?;
        match self.cache.get(compact, self.feed.revision(), now) {
            None => Ok(false),
            Some(Entry::Negative { .. }) => Err(unknown()),
            Some(Entry::Found(key)) => {
                check_state(&key.record, now)?;
                check_rights(&key.record, [&connection.scope], connection.address.as_deref())?;
                origin_for(config, environment).ok_or_else(|| Refusal::new(Code::NoOrigin, Reason::NoOrigin))?;
                connection.expires_at = Some(key.record.expires_at);
                // While the age is unknown, the last confirmation applies.
                connection.confirmed_at = self.feed.complete_at(now).or(connection.confirmed_at);
                Ok(true)
            }
        }
    }

    /// Returns the time in milliseconds until a refresh of the feed is due in an isolate that has only open connections; 0 if it is due
    /// or the age is unknown.
    #[must_use]
    pub fn connection_refresh_in_ms(&self, config: &Config, now: Millis) -> i64 {
        self.feed.connection_refresh_in_ms(config, now)
    }
}
