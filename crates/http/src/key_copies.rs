//! Finds copies of the presented key in headers other than the one that presents it.
//!
//! Proxies, SDKs and browsers copy a key into a cookie, `Referer`, `User-Agent` or a header of their own. The origin does not need such
//! a copy, and its logs would expose it.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode_str;

use super::credential::CredentialHeaders;
use super::head::Head;
use keyward_key::format::SHORTEST;

/// The presented keys: at most one on a route that needs a key. Borrows secrets, so it has no `Debug`.
pub(super) struct KeyCopies<'a>([Option<&'a str>; 2]);

impl<'a> KeyCopies<'a> {
    /// Reads the keys from the headers that hold a Keyward credential.
    pub(super) fn of(head: &Head<'a>, strip: CredentialHeaders) -> Self {
        // A shorter text is not a key, and would match unrelated headers.
        let key = |value: &'a str| value.split([' ', '\t', ',']).find(|word| word.len() >= SHORTEST);
        Self([
            head.api_key().filter(|_| strip.api_key).and_then(key),
            head.authorization().filter(|_| strip.authorization).and_then(key),
        ])
    }

    /// Returns whether the value of a header or cookie contains a presented key: plain, percent-encoded, or in a Basic credential. Most
    /// values are shorter than a key and are not searched.
    pub(super) fn are_in(&self, value: &str) -> bool {
        self.0.iter().flatten().any(|key| value.len() >= key.len() && contains(value, key))
    }
}

fn contains(value: &str, key: &str) -> bool {
    contains_plain(value, key) || basic(value).is_some_and(|credential| contains_plain(&credential, key))
}

fn contains_plain(text: &str, key: &str) -> bool {
    let decoded = || text.contains('%') && has(&percent_decode_str(text).collect::<Vec<u8>>(), key.as_bytes());
    has(text.as_bytes(), key.as_bytes()) || decoded()
}

/// Returns whether the text contains the key. For a short key a comparison at each position is faster than preparing a search.
fn has(text: &[u8], key: &[u8]) -> bool {
    text.windows(key.len()).any(|place| place.first() == key.first() && place == key)
}

/// Returns the decoded credential of the Basic scheme (RFC 7617). Decodes as leniently as any server: either alphabet, with or without
/// padding, other characters ignored.
pub(super) fn basic(value: &str) -> Option<String> {
    let (scheme, encoded) = value.trim_start().split_once([' ', '\t'])?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let mut digits: Vec<u8> = encoded
        .bytes()
        .map(|byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        })
        .filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        .collect();
    // A single digit does not encode a byte.
    if digits.len() % 4 == 1 {
        digits.pop();
    }
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true);
    let decoded = GeneralPurpose::new(&STANDARD, config).decode(digits).ok()?;
    Some(match String::from_utf8_lossy(&decoded) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD as PADDED, URL_SAFE_NO_PAD};

    const KEY: &str = "wafl_live_8Fh2kQ0sZp1L_0123456789abcdefghijABCDEFGHIJ0123456789abcdef";

    fn found(value: &str) -> bool {
        KeyCopies([Some(KEY), None]).are_in(value)
    }

    #[test]
    fn a_copy_is_found_in_any_place_and_encoding() {
        let encoded = KEY.replace('_', "%5f").replace('w', "%77");
        for value in [
            KEY.to_owned(),
            format!("https://api.example/?key={KEY}&x"),
            format!("curl/8 ({KEY})"),
            format!("Bearer {KEY}"),
            format!("https://api.example/?next=%2F%3Fkey%3D{encoded}"),
            format!("Basic {}", PADDED.encode(format!("{KEY}:"))),
            format!("bAsIc   {}", PADDED.encode(format!("user:{KEY}"))),
            format!("Basic {}", URL_SAFE_NO_PAD.encode(format!("\u{ff}\u{fe}:{KEY}"))),
            format!("Basic {}", PADDED.encode(format!("u:{encoded}"))),
            format!("Basic \"{}\"=A", PADDED.encode(format!(":{KEY}"))),
        ] {
            assert!(found(&value), "{value}");
        }
    }

    #[test]
    fn what_is_not_the_whole_key_is_not_found() {
        let lower = KEY.to_lowercase();
        for value in ["", "Basic", "Basic ", "Basic ====", "%", "Basic %%%", &KEY[1..], &KEY[..68], lower.as_str()] {
            assert!(!found(value), "{value}");
            assert!(!found(&format!("{value}{}", "x".repeat(80))), "{value}");
        }
        assert!(!KeyCopies([None, None]).are_in(KEY));
    }

    #[test]
    fn only_a_text_as_long_as_a_key_is_searched_for() {
        let text = format!("0\nGET\nhttp://h/\nauthorization\nBearer {KEY}\nx-api-key\nwafl_x\n");
        let head = Head::parse(&text).unwrap();
        let both = CredentialHeaders { authorization: true, api_key: true };
        assert_eq!(KeyCopies::of(&head, both).0, [None, Some(KEY)]);
        assert_eq!(KeyCopies::of(&head, CredentialHeaders::default()).0, [None, None]);
    }
}
