//! Limits of a key: how many requests in any window of some seconds, or in a calendar period.

use std::fmt;

use chrono::{DateTime, Datelike};
use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// Maximum number of limits of a key.
pub const LIMITS: usize = 4;
/// Maximum length of a limit's name in bytes.
pub const LIMIT_NAME_BYTES: usize = 32;
/// Maximum number of requests of a limit.
pub const LIMIT_REQUESTS: u64 = 1_000_000_000;
/// Maximum length of a window in seconds: one day.
pub const LIMIT_SECONDS: u32 = 86_400;

/// Length of a day in milliseconds. UTC days have no leap seconds in the clocks of this system.
const DAY_MS: i64 = 86_400_000;

/// One limit of a key. Its JSON is `{"name", "requests", "seconds"}` or `{"name", "requests", "period"}`, in stored forms too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "LimitForm", into = "LimitForm")]
pub struct Limit {
    name: String,
    requests: u64,
    span: Span,
}

/// Time that a limit applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Any window of this number of seconds.
    Seconds(u32),
    /// Each calendar period.
    Period(Period),
}

/// A calendar period in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    Month,
}

impl Period {
    /// Returns the name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// Returns the number of the period that contains an instant. Consecutive periods have consecutive numbers.
    #[must_use]
    pub fn number(self, at: Millis) -> i64 {
        match self {
            Self::Day => at.0.div_euclid(DAY_MS),
            Self::Month => DateTime::from_timestamp_millis(at.0)
                .map_or(0, |date| i64::from(date.year()).saturating_mul(12).saturating_add(i64::from(date.month0()))),
        }
    }

    /// Returns the start of the period after the one that contains an instant.
    #[must_use]
    pub fn next_start(self, at: Millis) -> Millis {
        let day = Millis(at.0.div_euclid(DAY_MS).saturating_add(1).saturating_mul(DAY_MS));
        match self {
            Self::Day => day,
            Self::Month => {
                // A month has at most 31 days, so at most 31 steps.
                let mut start = day;
                while self.number(start) == self.number(at) && start.since(at) < DAY_MS.saturating_mul(32) {
                    start = Millis(start.0.saturating_add(DAY_MS));
                }
                start
            }
        }
    }
}

/// The form in JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct LimitForm {
    name: String,
    requests: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seconds: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    period: Option<Period>,
}

/// An invalid field of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLimit {
    /// The field: `name`, `requests`, `seconds` or `period`.
    pub field: &'static str,
    /// The valid form.
    pub detail: &'static str,
}

impl fmt::Display for BadLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field, self.detail)
    }
}

impl Limit {
    /// Creates a limit.
    ///
    /// # Errors
    /// [`BadLimit`] names the first invalid field.
    pub fn new(name: String, requests: u64, span: Span) -> Result<Self, BadLimit> {
        let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
        if !(1..=LIMIT_NAME_BYTES).contains(&name.len()) || !name.bytes().all(valid) {
            return Err(BadLimit { field: "name", detail: "A limit's name has 1 to 32 of a-z, 0-9, `_` and `-`." });
        }
        if !(1..=LIMIT_REQUESTS).contains(&requests) {
            return Err(BadLimit { field: "requests", detail: "This must be a whole number, 1 to 1000000000." });
        }
        if matches!(span, Span::Seconds(seconds) if !(1..=LIMIT_SECONDS).contains(&seconds)) {
            return Err(BadLimit { field: "seconds", detail: "This must be a whole number of seconds, 1 to 86400." });
        }
        Ok(Self { name, requests, span })
    }

    /// Returns the name, unique in the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the maximum number of requests.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.requests
    }

    /// Returns the time that the limit applies to.
    #[must_use]
    pub const fn span(&self) -> Span {
        self.span
    }

    /// Returns the limit as a phrase, such as `100 requests in any minute, 87 sustained`.
    ///
    /// The sustained number is the guaranteed throughput in a window under continuous load: `0.9 × requests × w / (w + 2)`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let requests = self.requests;
        let noun = if requests == 1 { "request" } else { "requests" };
        let seconds = match self.span {
            Span::Period(Period::Day) => return format!("{requests} {noun} in a UTC day"),
            Span::Period(Period::Month) => return format!("{requests} {noun} in a UTC month"),
            Span::Seconds(seconds) => seconds,
        };
        let window = match seconds {
            1 => "any second".to_owned(),
            60 => "any minute".to_owned(),
            3_600 => "any hour".to_owned(),
            86_400 => "any 24 hours".to_owned(),
            seconds => format!("any {seconds} seconds"),
        };
        let hundredths = requests
            .saturating_mul(90)
            .saturating_mul(seconds.into())
            .checked_div(u64::from(seconds).saturating_add(2))
            .unwrap_or_default();
        let sustained = if hundredths < 1_000 {
            let tenths = hundredths.saturating_add(5) / 10;
            format!("{}.{}", tenths / 10, tenths % 10)
        } else {
            (hundredths.saturating_add(50) / 100).to_string()
        };
        format!("{requests} {noun} in {window}, {sustained} sustained")
    }
}

impl TryFrom<LimitForm> for Limit {
    type Error = BadLimit;

    fn try_from(form: LimitForm) -> Result<Self, BadLimit> {
        let span = match (form.seconds, form.period) {
            (Some(seconds), None) => Span::Seconds(seconds),
            (None, Some(period)) => Span::Period(period),
            _ => return Err(BadLimit { field: "seconds", detail: "Send either seconds or period." }),
        };
        Self::new(form.name, form.requests, span)
    }
}

impl From<Limit> for LimitForm {
    fn from(limit: Limit) -> Self {
        let (seconds, period) = match limit.span {
            Span::Seconds(seconds) => (Some(seconds), None),
            Span::Period(period) => (None, Some(period)),
        };
        Self { name: limit.name, requests: limit.requests, seconds, period }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(requests: u64, seconds: u32) -> Limit {
        Limit::new("burst".to_owned(), requests, Span::Seconds(seconds)).unwrap()
    }

    #[test]
    fn a_sentence_states_the_limit_and_the_sustained_number() {
        for (limit, sentence) in [
            (limit(100, 60), "100 requests in any minute, 87 sustained"),
            (limit(1_000, 60), "1000 requests in any minute, 871 sustained"),
            (limit(1, 60), "1 request in any minute, 0.9 sustained"),
            (limit(5, 1), "5 requests in any second, 1.5 sustained"),
            (limit(50, 45), "50 requests in any 45 seconds, 43 sustained"),
        ] {
            assert_eq!(limit.sentence(), sentence);
        }
        let monthly = Limit::new("m".to_owned(), 100_000, Span::Period(Period::Month)).unwrap();
        assert_eq!(monthly.sentence(), "100000 requests in a UTC month");
    }

    #[test]
    fn every_field_outside_its_range_is_named() {
        let field = |name: &str, requests, span| Limit::new(name.to_owned(), requests, span).map_err(|bad| bad.field);
        let span = Span::Seconds(60);
        assert!(field("a_-9", 1, span).is_ok() && field(&"a".repeat(32), 1_000_000_000, Span::Seconds(86_400)).is_ok());
        for name in ["", "A", "a b", "é", "a\"", &"a".repeat(33)] {
            assert_eq!(field(name, 1, span), Err("name"), "{name}");
        }
        assert_eq!(field("a", 0, span), Err("requests"));
        assert_eq!(field("a", 1_000_000_001, span), Err("requests"));
        assert_eq!(field("a", 1, Span::Seconds(0)), Err("seconds"));
        assert_eq!(field("a", 1, Span::Seconds(86_401)), Err("seconds"));
    }

    #[test]
    fn the_stored_form_is_literal_and_reads_back() {
        for text in
            [r#"{"name":"burst","requests":100,"seconds":60}"#, r#"{"name":"monthly","requests":7,"period":"month"}"#]
        {
            let limit: Limit = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&limit).unwrap(), text);
        }
        for wrong in [
            r#"{"name":"a","requests":1}"#,
            r#"{"name":"a","requests":1,"seconds":1,"period":"day"}"#,
            r#"{"name":"a","requests":0,"seconds":1}"#,
        ] {
            assert!(serde_json::from_str::<Limit>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn periods_are_those_of_the_utc_calendar() {
        let at = |text: &str| Millis::parse(text).unwrap();
        let (last, first) = (at("2028-02-29T23:59:59.999Z"), at("2028-03-01T00:00:00Z"));
        for period in [Period::Day, Period::Month] {
            assert_eq!(period.number(last) + 1, period.number(first));
            assert_eq!(period.next_start(last), first);
        }
        assert_eq!(Period::Month.next_start(at("2027-12-05T08:00:00Z")), at("2028-01-01T00:00:00Z"));
        assert_eq!(
            Period::Month.number(at("2027-12-05T08:00:00Z")) + 1,
            Period::Month.number(at("2028-01-01T00:00:00Z"))
        );
        assert_eq!(Period::Day.next_start(first), at("2028-03-02T00:00:00Z"));
    }
}
