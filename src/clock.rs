//! The isolate's clock.

use keyward_key::time::Millis;

/// Returns milliseconds since 1970. Within one event the clock advances only with I/O.
pub fn now() -> Millis {
    #[expect(clippy::cast_possible_truncation, reason = "a date in milliseconds is far below 2^53")]
    Millis(js_sys::Date::now() as i64)
}
