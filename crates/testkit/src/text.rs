//! Unicode normalization, which the worker leaves to the platform.

use unicode_normalization::UnicodeNormalization;

/// Returns a text in Unicode's normalization form C.
#[must_use]
pub fn nfc(text: &str) -> String {
    text.nfc().collect()
}
