//! Times as people read them.

use std::time::{SystemTime, UNIX_EPOCH};

use keyward_key::time::Millis;

const MINUTE_SECONDS: i64 = 60;
const HOUR_SECONDS: i64 = 3_600;
const DAY_SECONDS: i64 = 86_400;

/// Returns the system's time.
#[must_use]
pub fn now() -> Millis {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

/// Returns an API time relative to `now`, such as `in 12 days` or `3 hours ago`. Returns the text itself if it is no time.
#[must_use]
pub fn relative(text: &str, now: Millis) -> String {
    let Ok(at) = Millis::parse(text) else { return text.to_owned() };
    let seconds = at.since(now).checked_div(1000).unwrap_or_default();
    let (count, unit) = match seconds.abs() {
        0 => return "now".to_owned(),
        1..MINUTE_SECONDS => (seconds.abs(), "second"),
        MINUTE_SECONDS..HOUR_SECONDS => (seconds.abs().div_euclid(MINUTE_SECONDS), "minute"),
        HOUR_SECONDS..172_800 => (seconds.abs().div_euclid(HOUR_SECONDS), "hour"),
        _ => (seconds.abs().div_euclid(DAY_SECONDS), "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    if seconds < 0 { format!("{count} {unit}{plural} ago") } else { format!("in {count} {unit}{plural}") }
}

/// Returns the date of an API time, such as `2027-01-31`.
#[must_use]
pub fn date(text: &str) -> String {
    text.split('T').next().unwrap_or_default().to_owned()
}

/// Parses a duration such as `90s`, `15m`, `24h` or `7d`, and returns its seconds.
///
/// # Errors
/// How a duration is written.
pub fn parse_duration(text: &str) -> Result<u32, String> {
    let wrong = || "Write a number with s, m, h or d, such as 24h.".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let factor: u32 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number = text.strip_suffix(unit).and_then(|number| number.parse::<u32>().ok()).ok_or_else(wrong)?;
    number.checked_mul(factor).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_the_largest_fitting_unit() {
        let now = Millis::parse("2026-11-26T12:00:00Z").unwrap();
        for (text, shown) in [
            ("2026-11-26T12:00:00.900Z", "now"),
            ("2026-11-26T11:59:59.900Z", "now"),
            ("2026-11-26T12:00:05Z", "in 5 seconds"),
            ("2026-11-26T12:01:30Z", "in 1 minute"),
            ("2026-11-26T10:00:00Z", "2 hours ago"),
            ("2026-11-28T11:00:00Z", "in 47 hours"),
            ("2027-02-24T12:00:00Z", "in 90 days"),
            ("never", "never"),
        ] {
            assert_eq!(relative(text, now), shown, "{text}");
        }
    }

    #[test]
    fn a_duration_has_a_unit() {
        for (text, count) in [("0s", 0), ("90s", 90), ("15m", 900), ("24h", 86_400), ("30d", 2_592_000)] {
            assert_eq!(parse_duration(text), Ok(count));
        }
        for text in ["", "5", "h", "-1h", "1.5h", "1w", "99999999d", "é"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
