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

    /// Parses RFC 3339 in UTC, written with `Z`. Drops fractions of a millisecond.
    /// `None` for anything else, including other offsets and years after 9999.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if !text.ends_with('Z') || text.as_bytes().get(10) != Some(&b'T') {
            return None;
        }
        let instant = DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis();
        (0..=LATEST).contains(&instant).then_some(Self(instant))
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
    fn only_utc_written_with_z_is_parsed() {
        for text in [
            "",
            "Infinity",
            "2026-11-23",
            "2026-11-23T14:02:03",
            "2026-11-23T14:02:03+00:00",
            "2026-11-23 14:02:03Z",
            "2026-13-23T14:02:03Z",
            "2026-02-30T14:02:03Z",
            "12026-11-23T14:02:03Z",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(Millis::parse(text), None, "{text}");
        }
    }

    #[test]
    fn arithmetic_stays_in_range() {
        assert_eq!(Millis(i64::MAX).plus_seconds(i64::MAX).0, i64::MAX);
        assert_eq!(Millis(i64::MIN).since(Millis(i64::MAX)), i64::MIN);
        assert_eq!(Millis(i64::MAX).rfc3339(), "9999-12-31T23:59:59.999Z");
    }
}
