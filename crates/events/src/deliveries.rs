//! Attempts: which delivery is due, the start of an attempt, and its outcome.

use keyward_fault::fault;
use keyward_key::time::Millis;
use keyward_protocol::events::{DeliveryStatus, Endpoint, StopReason};
use keyward_store::{Row, Store, StoreError, Value};

use crate::endpoints::{self, EnabledEndpoint};
use crate::schedule::{INTERRUPTED_AFTER_MS, PAUSES_SECONDS, pause_ms, retry_after_seconds};

/// Number of attempts of a delivery.
pub const ATTEMPTS: u32 = 10;

/// Maximum number of attempts that are kept for one delivery, which members can send again. The oldest are removed first.
pub const KEPT_ATTEMPTS: u32 = 30;

/// Duration in milliseconds from which an attempt is slow, whatever its outcome: its receiver answers slowly, or its answer does not end.
pub const SLOW_MS: i64 = 5_000;

/// Error of an attempt that has not ended. It stays if the instance ends first.
pub const INTERRUPTED: &str = "interrupted";

/// An attempt to make.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Number of the attempt's row.
    pub number: i64,
    /// Number of the delivery.
    pub delivery: i64,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Id of the event.
    pub event_id: String,
    /// Body.
    pub body: String,
    /// Start.
    pub at: Millis,
    /// Number of attempts of this delivery, this one included, since it was last sent by hand.
    pub attempts: u32,
    /// Whether it is a test, which does not count for the endpoint's health.
    pub is_test: bool,
}

/// Outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver answered.
    Answered {
        /// HTTP status.
        status: u16,
        /// `Retry-After`, as sent.
        retry_after: Option<String>,
    },
    /// There was no answer.
    Failed(Failure),
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Not within the timeout.
    Timeout,
    /// No connection, or it broke off.
    Connection,
    /// The deployment does not allow the address any more. Nothing was sent.
    AddressNotAllowed,
    /// The signature could not be made. Nothing was sent.
    Unsigned,
}

impl Failure {
    /// Returns the name in answers and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connection => "connection_failed",
            Self::AddressNotAllowed => "address_not_allowed",
            Self::Unsigned => "not_signed",
        }
    }
}

impl Outcome {
    /// Returns whether the receiver took the event.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Answered { status: 200..=299, .. })
    }
}

/// Returns the due delivery that has waited longest, among these endpoints. Reads one entry of an index for each.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn next_due(
    store: &mut dyn Store,
    among: &[EnabledEndpoint],
    now: Millis,
) -> Result<Option<(i64, EnabledEndpoint)>, StoreError> {
    let mut first: Option<(Millis, i64, &EnabledEndpoint)> = None;
    for endpoint in among {
        let rows = store.query(
            "SELECT number, next_at FROM deliveries INDEXED BY deliveries_due
             WHERE status = 'pending' AND endpoint = ? AND next_at <= ? ORDER BY next_at, number LIMIT 1",
            &[endpoint.id.as_str().into(), now.into()],
        )?;
        let Some(row) = rows.first() else { continue };
        let (at, number) = (row.millis("next_at")?, row.integer("number")?);
        if first.is_none_or(|(earliest, _, _)| at < earliest) {
            first = Some((at, number, endpoint));
        }
    }
    Ok(first.map(|(_, number, endpoint)| (number, endpoint.clone())))
}

/// Returns the time at which the next delivery falls due.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn next_at(store: &mut dyn Store) -> Result<Option<Millis>, StoreError> {
    let rows = store.query(
        "SELECT next_at FROM deliveries INDEXED BY deliveries_next
         WHERE status = 'pending' AND next_at IS NOT NULL ORDER BY next_at LIMIT 1",
        &[],
    )?;
    rows.first().map(|row| row.millis("next_at")).transpose()
}

/// Starts an attempt of a pending delivery, in one transaction, and writes down when the next one is due if this one is interrupted.
/// `None` if none may be made: the delivery is not pending any more, or its last attempt was interrupted, and it has failed.
///
/// # Errors
/// [`StoreError`] if the store fails. No attempt may be made.
pub fn start(store: &mut dyn Store, delivery: i64, jitter: u16, now: Millis) -> Result<Option<Attempt>, StoreError> {
    let mut started = None;
    store.transaction(&mut |store| {
        started = start_within(store, delivery, jitter, now)?;
        Ok(())
    })?;
    Ok(started)
}

fn start_within(store: &mut dyn Store, delivery: i64, jitter: u16, now: Millis) -> Result<Option<Attempt>, StoreError> {
    let rows = store.query(
        "SELECT deliveries.endpoint, attempts, events.id, body FROM deliveries
         JOIN events ON events.number = deliveries.event
         WHERE deliveries.number = ? AND deliveries.status = 'pending'",
        &[Value::Integer(delivery)],
    )?;
    let Some(row) = rows.first() else { return Ok(None) };
    let endpoint = match endpoints::find(store, row.text("endpoint")?)? {
        Some((endpoint, true)) => endpoint,
        _ => return fail(store, delivery),
    };
    let attempts = attempts_of(row)?.saturating_add(1);
    if attempts > ATTEMPTS {
        return fail(store, delivery);
    }
    let pause = pause_ms(attempts, jitter, None).unwrap_or(0);
    let wait_ms = match pause.max(INTERRUPTED_AFTER_MS) {
        _ if fault!("an attempt is not written down before it begins") => 0,
        _ if fault!("an interrupted attempt is not repeated") => 86_400_000,
        wait_ms => wait_ms,
    };
    let number = begin(store, delivery, (attempts, Millis(now.0.saturating_add(wait_ms))), now)?;
    let (event_id, body) = (row.text("id")?.to_owned(), row.text("body")?.to_owned());
    Ok(Some(Attempt { number, delivery, endpoint, event_id, body, at: now, attempts, is_test: false }))
}

fn attempts_of(row: &Row) -> Result<u32, StoreError> {
    u32::try_from(row.integer("attempts")?).map_err(|_| StoreError::corrupt("attempts", "a small number"))
}

fn fail(store: &mut dyn Store, delivery: i64) -> Result<Option<Attempt>, StoreError> {
    store.execute(
        "UPDATE deliveries SET status = 'failed', next_at = NULL WHERE number = ? AND status = 'pending'",
        &[Value::Integer(delivery)],
    )?;
    Ok(None)
}

/// Marks tests as failed whose call has ended without an outcome.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn fail_interrupted_tests(store: &mut dyn Store, now: Millis) -> Result<(), StoreError> {
    store.execute(
        "UPDATE deliveries INDEXED BY deliveries_next SET status = 'failed', next_at = NULL
         WHERE status = 'pending' AND next_at <= ? AND type = 'endpoint.test'",
        &[now.into()],
    )
}

/// Writes the row of an attempt that begins, and returns its number.
pub(crate) fn begin(
    store: &mut dyn Store,
    delivery: i64,
    (attempts, next_at): (u32, Millis),
    now: Millis,
) -> Result<i64, StoreError> {
    store.execute(
        "UPDATE deliveries SET attempts = ?, next_at = ? WHERE number = ?",
        &[Value::Integer(attempts.into()), next_at.into(), Value::Integer(delivery)],
    )?;
    let rows = store.query("SELECT ifnull(max(number), 0) + 1 AS number FROM attempts", &[])?;
    let number = rows.first().map(|row| row.integer("number")).transpose()?.unwrap_or(1);
    store.execute(
        "INSERT INTO attempts (number, delivery, at, error) VALUES (?, ?, ?, ?)",
        &[Value::Integer(number), Value::Integer(delivery), now.into(), INTERRUPTED.into()],
    )?;
    store.execute(
        "DELETE FROM attempts WHERE delivery = ? AND number <= (SELECT number FROM attempts
             INDEXED BY attempts_by_delivery WHERE delivery = ? ORDER BY number DESC LIMIT 1 OFFSET ?)",
        &[Value::Integer(delivery), Value::Integer(delivery), Value::Integer(KEPT_ATTEMPTS.into())],
    )?;
    Ok(number)
}

/// Writes the outcome of an attempt, in one transaction. Returns why the endpoint was stopped, if it was.
///
/// # Errors
/// [`StoreError`] if the store fails. The attempt then counts as interrupted.
pub fn finish(
    store: &mut dyn Store,
    attempt: &Attempt,
    outcome: &Outcome,
    jitter: u16,
    now: Millis,
) -> Result<Option<StopReason>, StoreError> {
    let mut stopped = None;
    let is_slow = matches!(outcome, Outcome::Failed(Failure::Timeout)) || now.since(attempt.at) >= SLOW_MS;
    store.transaction(&mut |store| {
        record(store, attempt, outcome, now)?;
        let is_unanswered = matches!(outcome, Outcome::Failed(_));
        stopped =
            if outcome.is_success() || (is_unanswered && fault!("an attempt without an answer counts as delivered")) {
                settle(store, attempt, DeliveryStatus::Delivered, None)?;
                if !attempt.is_test {
                    endpoints::note_success(store, &attempt.endpoint.id, is_slow, now)?;
                }
                None
            } else {
                let retry_after = match outcome {
                    Outcome::Answered { retry_after: Some(value), .. } => retry_after_seconds(value, now),
                    _ => None,
                };
                let pause = if attempt.is_test { None } else { pause_ms(attempt.attempts, jitter, retry_after) };
                let pause = if fault!("a failed attempt is repeated at once") { Some(0) } else { pause };
                let next_at = pause.map(|pause| Millis(now.0.saturating_add(pause)));
                let status = if next_at.is_some() { DeliveryStatus::Pending } else { DeliveryStatus::Failed };
                settle(store, attempt, status, next_at)?;
                if attempt.is_test {
                    None
                } else {
                    let is_gone = matches!(outcome, Outcome::Answered { status: 410, .. });
                    endpoints::note_failure(store, &attempt.endpoint.id, is_slow, is_gone, now)?
                }
            };
        Ok(())
    })?;
    Ok(stopped)
}

fn record(store: &mut dyn Store, attempt: &Attempt, outcome: &Outcome, now: Millis) -> Result<(), StoreError> {
    let (status, error) = match outcome {
        Outcome::Answered { status, .. } => (Value::Integer((*status).into()), Value::Null),
        Outcome::Failed(failure) => (Value::Null, failure.as_str().into()),
    };
    let duration_ms = now.since(attempt.at).max(0);
    store.execute(
        "UPDATE attempts SET status = ?, error = ?, duration_ms = ? WHERE number = ?",
        &[status, error, Value::Integer(duration_ms), Value::Integer(attempt.number)],
    )
}

/// Writes the status of a delivery after an attempt. A failure changes nothing if the delivery was stopped, or sent again, meanwhile.
fn settle(
    store: &mut dyn Store,
    attempt: &Attempt,
    status: DeliveryStatus,
    next_at: Option<Millis>,
) -> Result<(), StoreError> {
    store.execute(
        "UPDATE deliveries SET status = ?, next_at = ?
         WHERE number = ? AND (status = 'pending' AND attempts = ? OR ? = 'delivered')",
        &[
            status.as_str().into(),
            next_at.into(),
            Value::Integer(attempt.delivery),
            Value::Integer(attempt.attempts.into()),
            status.as_str().into(),
        ],
    )
}

const _: () = assert!(PAUSES_SECONDS.len() == ATTEMPTS as usize);
