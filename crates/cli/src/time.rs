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
        0..MINUTE_SECONDS => (seconds.abs(), "second"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_the_largest_fitting_unit() {
        let now = Millis::parse("2026-11-26T12:00:00Z").unwrap();
        for (text, shown) in [
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
}
