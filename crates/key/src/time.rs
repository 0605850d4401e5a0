//! Instants, in milliseconds.
#![forbid(unsafe_code)]

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z. Product logic never reads a clock: the time is always a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub i64);

/// Latest instant that RFC 3339 can express: 9999-12-31T23:59:59.999Z.
const LATEST: i64 = 253_402_300_799_999;

impl Millis {
    /// Returns the instant `seconds` later. Saturates instead of overflowing.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// Returns the milliseconds from `earlier` to this instant; negative if this one is earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Formats the instant as responses and the audit log show it: RFC 3339, UTC, milliseconds, `Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        DateTime::<Utc>::from_timestamp_millis(self.0.clamp(0, LATEST))
            .unwrap_or(DateTime::UNIX_EPOCH)
            .to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// Parses RFC 3339 with any offset; `T` and `Z` may be lower case (section 5.6). Drops digits beyond a millisecond.
    ///
    /// # Errors
    /// [`BadTime`].
    pub fn parse(text: &str) -> Result<Self, BadTime> {
        if !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
            return Err(BadTime::Malformed);
        }
        let parsed = DateTime::parse_from_rfc3339(text).map_err(|_| BadTime::Malformed)?;
        // The library keeps a leap second as the second before with more than a second of nanoseconds.
        if parsed.timestamp_subsec_nanos() >= 1_000_000_000 {
            return Err(BadTime::LeapSecond);
        }
        let instant = parsed.timestamp_millis();
        if (0..=LATEST).contains(&instant) { Ok(Self(instant)) } else { Err(BadTime::OutOfRange) }
    }
}

/// Why a text is no instant of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTime {
    /// It is not RFC 3339.
    Malformed,
    /// It names second 60. Milliseconds since 1970 have no leap seconds, so it would become another instant.
    LeapSecond,
    /// It is before 1970 or after 9999 in UTC.
    OutOfRange,
}

/// Bound and grace, in seconds, for the times by which a change takes effect.
#[derive(Clone, Copy, Debug)]
pub struct EffectTimes {
    /// `REVOCATION_BOUND_SECONDS`.
    pub bound_seconds: u32,
    /// `OUTAGE_GRACE_SECONDS`.
    pub grace_seconds: u32,
}

impl EffectTimes {
    /// Returns the times by which a change takes effect everywhere: while the authority answers, and whatever fails.
    #[must_use]
    pub fn of(self, changed_at: Millis) -> (Millis, Millis) {
        let effective = changed_at.plus_seconds(self.bound_seconds.into());
        (effective, effective.plus_seconds(self.grace_seconds.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_parsed_and_written_unchanged() {
        let instant = Millis::parse("2026-11-23T14:02:03.004Z").unwrap();
        assert_eq!(instant, Millis(1_795_442_523_004));
        assert_eq!(instant.rfc3339(), "2026-11-23T14:02:03.004Z");
        assert_eq!(Millis::parse("2026-11-23T14:02:03Z").unwrap().rfc3339(), "2026-11-23T14:02:03.000Z");
    }

    #[test]
    fn an_instant_with_any_offset_is_shown_in_utc() {
        for (text, expected) in [
            ("2026-11-23T14:02:03+00:00", "2026-11-23T14:02:03.000Z"),
            ("2026-11-23T14:02:03-00:00", "2026-11-23T14:02:03.000Z"),
            ("2026-11-23T15:02:03+01:00", "2026-11-23T14:02:03.000Z"),
            ("2026-11-23T00:32:03.123456789-05:30", "2026-11-23T06:02:03.123Z"),
            ("2026-11-23t14:02:03z", "2026-11-23T14:02:03.000Z"),
            ("1970-01-01T01:00:00+01:00", "1970-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(Millis::parse(text).unwrap().rfc3339(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_refused_by_its_kind() {
        for (text, kind) in [
            ("", BadTime::Malformed),
            ("Infinity", BadTime::Malformed),
            ("2026-11-23", BadTime::Malformed),
            ("2026-11-23T14:02:03", BadTime::Malformed),
            ("2026-11-23T14:02Z", BadTime::Malformed),
            ("2026-11-23 14:02:03Z", BadTime::Malformed),
            ("2026-11-23T14:02:03+0100", BadTime::Malformed),
            ("2026-11-23T14:02:03+24:00", BadTime::Malformed),
            ("2026-13-23T14:02:03Z", BadTime::Malformed),
            ("2026-02-30T14:02:03Z", BadTime::Malformed),
            ("2026-11-23T14:02:61Z", BadTime::Malformed),
            ("12026-11-23T14:02:03Z", BadTime::Malformed),
            ("2026-12-31T23:59:60Z", BadTime::LeapSecond),
            ("2027-01-01T00:59:60.5+01:00", BadTime::LeapSecond),
            ("1969-12-31T23:59:59Z", BadTime::OutOfRange),
            ("1970-01-01T00:00:00+01:00", BadTime::OutOfRange),
            ("9999-12-31T23:59:59-01:00", BadTime::OutOfRange),
        ] {
            assert_eq!(Millis::parse(text), Err(kind), "{text}");
        }
    }

    #[test]
    fn arithmetic_stays_in_range() {
        assert_eq!(Millis(i64::MAX).plus_seconds(i64::MAX).0, i64::MAX);
        assert_eq!(Millis(i64::MIN).since(Millis(i64::MAX)), i64::MIN);
        assert_eq!(Millis(i64::MAX).rfc3339(), "9999-12-31T23:59:59.999Z");
    }
}
