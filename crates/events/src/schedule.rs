//! Times of attempts, as Standard Webhooks 1.0.0 recommends them, and what the receiver asks for with `Retry-After`.

use chrono::DateTime;

use keyward_key::time::Millis;

/// Pauses before each attempt, in seconds: 75 hours and 35 minutes in all.
pub const PAUSES_SECONDS: [i64; 10] = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// Longest `Retry-After` that is honoured, in seconds: one day.
pub const MAX_RETRY_AFTER_SECONDS: i64 = 86_400;

/// Time in milliseconds after the start of an attempt at which it counts as interrupted. An attempt takes at most 15 s, and its signature
/// and its two transactions little more.
pub const INTERRUPTED_AFTER_MS: i64 = 60_000;

/// Returns the pause after this number of failed attempts, in milliseconds; `None` if none follows. `jitter` spreads it over ±20 %.
/// A longer `Retry-After` wins.
#[must_use]
pub fn pause_ms(failed: u32, jitter: u16, retry_after_seconds: Option<i64>) -> Option<i64> {
    let pause = *usize::try_from(failed).ok().and_then(|failed| PAUSES_SECONDS.get(failed))?;
    // From 800 to 1,200 thousandths.
    let thousandths = i64::from(jitter).saturating_mul(401).checked_div(65_536).unwrap_or(0).saturating_add(800);
    let spread_ms = pause.saturating_mul(thousandths);
    let asked_seconds = retry_after_seconds.unwrap_or(0).clamp(0, MAX_RETRY_AFTER_SECONDS);
    Some(spread_ms.max(asked_seconds.saturating_mul(1_000)))
}

/// Returns the seconds that a `Retry-After` names (RFC 9110, section 10.2.3): a number, or a date. `None` if it is malformed.
#[must_use]
pub fn retry_after_seconds(value: &str, now: Millis) -> Option<i64> {
    let value = value.trim_ascii();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse().unwrap_or(MAX_RETRY_AFTER_SECONDS));
    }
    let until = DateTime::parse_from_rfc2822(value).ok()?;
    Some(until.timestamp().saturating_sub(now.0.div_euclid(1_000)).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_takes_75_hours_and_35_minutes() {
        assert_eq!(PAUSES_SECONDS.iter().sum::<i64>(), 75 * 3_600 + 35 * 60 + 5);
        assert_eq!(pause_ms(0, 40_000, None), Some(0));
        assert_eq!(pause_ms(10, 0, None), None);
        assert_eq!(pause_ms(10, 0, Some(60)), None, "a receiver cannot prolong the schedule");
    }

    #[test]
    fn jitter_spreads_a_pause_over_20_percent_to_both_sides() {
        for (failed, pause) in PAUSES_SECONDS.into_iter().enumerate() {
            let failed = u32::try_from(failed).unwrap();
            assert_eq!(pause_ms(failed, 0, None), Some(pause * 800));
            assert_eq!(pause_ms(failed, u16::MAX, None), Some(pause * 1_200));
        }
    }

    #[test]
    fn a_longer_retry_after_is_honoured_up_to_a_day() {
        assert_eq!(pause_ms(1, 0, Some(60)), Some(60_000));
        assert_eq!(pause_ms(2, 0, Some(60)), Some(240_000), "the schedule's own pause is longer");
        assert_eq!(pause_ms(1, 0, Some(i64::MAX)), Some(86_400_000));
        assert_eq!(pause_ms(1, 0, Some(-5)), Some(4_000));
    }

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date() {
        let now = Millis(1_445_412_480_000);
        assert_eq!(retry_after_seconds("120", now), Some(120));
        assert_eq!(retry_after_seconds(" 120 ", now), Some(120));
        assert_eq!(retry_after_seconds("99999999999999999999", now), Some(86_400));
        assert_eq!(retry_after_seconds("Wed, 21 Oct 2015 07:29:00 GMT", now), Some(60));
        assert_eq!(retry_after_seconds("Wed, 21 Oct 2015 07:00:00 GMT", now), Some(0), "a time in the past");
        for malformed in ["", "soon", "-1", "1.5", "Wed, 99 Oct 2015"] {
            assert_eq!(retry_after_seconds(malformed, now), None, "{malformed}");
        }
    }
}
