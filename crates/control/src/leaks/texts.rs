//! Texts of a leak report: the keys in them, and what is stored of the others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use keyward_config::Config;
use keyward_http::limits::{LEAK_PLACE_CHARS, LEAKED_KEYS};
use keyward_key::base62::is_base62;
use keyward_key::format::{SHORTEST, keys_in};
use keyward_key::id::{IDENTIFIER_LENGTH, KeyId, Prefix};
use keyward_protocol::LeakedKey;

use crate::text::misleading;

/// Text that replaces a key.
const BLANK: &str = "[key]";

/// Returns the keys in a text whose tag is right. The text may have other characters around them. The first [`LEAKED_KEYS`] well-formed keys
/// are checked: the tag of each costs two MACs or more, and anyone can write well-formed keys.
pub(super) fn keys_of(config: &Config, text: &str) -> Vec<LeakedKey> {
    let recognised = keys_in(text.as_bytes(), &config.prefix).take(LEAKED_KEYS).filter_map(|presented| {
        let recognised = config.keyring.recognise(&presented)?;
        let (id, key_hash) = (KeyId::parse(presented.id())?, recognised.hash().clone());
        Some(LeakedKey { id, key_hash, place: None })
    });
    recognised.collect()
}

/// Returns the keys in a text that was found at this place, each with the place as it may be stored.
pub(super) fn keys_at(config: &Config, text: &str, place: Option<&str>) -> Vec<LeakedKey> {
    let mut keys = keys_of(config, text);
    // Few texts have a key, so few places are blanked.
    let place = place.filter(|_| !keys.is_empty()).and_then(|place| blanked(config, place));
    keys.iter_mut().for_each(|key| key.place.clone_from(&place));
    keys
}

/// Returns a text as it may be stored and shown: without keys, without characters that mislead a reader, and not too long. What follows a
/// part of a key is cut off, because it may be the rest. A text with a key that is split, or written in another encoding, is dropped.
pub(super) fn blanked(config: &Config, text: &str) -> Option<String> {
    // A key may be whole only without the misleading characters, so they go first.
    let plain: String = text.chars().filter(|letter| !misleading(*letter)).take(LEAK_PLACE_CHARS).collect();
    let shown = without_keys(&plain, &config.prefix);
    (!shown.trim().is_empty() && !hides_key(&shown, &config.prefix)).then_some(shown)
}

/// Length from which a word behind the prefix is blanked: class and identifier are shorter, and are no secret.
const SECRET_PART: usize = 20;
/// Length behind the prefix of a whole key of the shortest class, in bytes.
const WHOLE_KEY: usize = SHORTEST - 3;

/// Blanks every word that begins with the prefix and is long enough for a part of a secret, whether or not its check is right.
fn without_keys(text: &str, prefix: &Prefix) -> String {
    let start = [prefix.as_str(), "_"].concat();
    let (mut kept, mut left) = (String::with_capacity(text.len()), text);
    while let Some((before, rest)) = left.split_once(start.as_str()) {
        kept.push_str(before);
        let length = rest.find(|letter: char| !is_of_key(letter)).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        if word.len() < SECRET_PART {
            kept.extend([start.as_str(), word]);
            left = after;
        } else {
            kept.push_str(BLANK);
            // The rest of the key may follow, behind whatever splits it.
            left = if word.len() < WHOLE_KEY { "" } else { after };
        }
    }
    kept.push_str(left);
    kept
}

const fn is_of_key(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Maximum number of encodings around each other that are decoded. A text with more is dropped.
const MOST_ENCODINGS: usize = 8;

/// Returns whether a text still has a part of a key's secret: split by other characters, escaped, or in hex or base64.
fn hides_key(text: &str, prefix: &Prefix) -> bool {
    let encoded = encoded_starts(prefix);
    let mut text = text.to_owned();
    for _ in 0..MOST_ENCODINGS {
        if without_keys(&text, prefix) != text || is_split_key(&text, prefix) || has_encoded_key(&text, &encoded) {
            return true;
        }
        let decoded = unescaped(&text);
        if decoded == text {
            return false;
        }
        text = decoded;
    }
    true
}

/// Returns whether a text contains an id with an underscore behind it, where the secret begins, once everything between the letters is gone.
fn is_split_key(text: &str, prefix: &Prefix) -> bool {
    let joined: String = text.chars().filter(|letter| is_of_key(*letter)).collect();
    let start = [prefix.as_str(), "_"].concat();
    joined.match_indices(start.as_str()).any(|(at, _)| {
        let class_and_identifier = joined.get(at..).and_then(|text| text.get(start.len()..)).unwrap_or_default();
        CLASSES.iter().any(|class| {
            let identifier = class_and_identifier.strip_prefix(class).and_then(|rest| rest.strip_prefix('_'));
            let split = identifier.and_then(|rest| rest.split_at_checked(IDENTIFIER_LENGTH));
            split.is_some_and(|(identifier, rest)| is_base62(identifier) && rest.starts_with('_'))
        })
    })
}

const CLASSES: [&str; 3] = ["live", "test", "admin"];

/// Returns the start of a key in hex and in base64, as far as the bytes around it do not change it.
fn encoded_starts(prefix: &Prefix) -> Vec<String> {
    let mut starts = Vec::new();
    for class in CLASSES {
        let start = [prefix.as_str(), "_", class, "_"].concat();
        starts.push(hex::encode(&start));
        for before in 0..3_usize {
            let bytes = [vec![0; before].as_slice(), start.as_bytes()].concat();
            let text = STANDARD_NO_PAD.encode(&bytes);
            // Six bits a character: the first and the last may have bits of other bytes.
            let (first, last) = (before.saturating_mul(8).div_ceil(6), bytes.len().saturating_mul(8) / 6);
            starts.extend(text.get(first..last).map(str::to_owned));
        }
    }
    starts
}

/// Returns whether a text has one of these starts, in whichever alphabet of base64, and with line breaks.
fn has_encoded_key(text: &str, starts: &[String]) -> bool {
    let plain = |letter| match letter {
        '-' => Some('+'),
        '_' => Some('/'),
        '+' | '/' => Some(letter),
        _ => letter.is_ascii_alphanumeric().then_some(letter),
    };
    let text: String = text.chars().filter_map(plain).collect();
    let lower = text.to_ascii_lowercase();
    starts.iter().any(|start| text.contains(start.as_str()) || lower.contains(start.as_str()))
}

/// Introducers of escapes, each with its radix, its minimum and maximum number of digits, and what ends it.
const ESCAPES: [(&str, u32, usize, usize, &str); 11] = [
    ("%u", 16, 4, 4, ""),
    ("%", 16, 2, 2, ""),
    ("\\x", 16, 2, 2, ""),
    ("\\u{", 16, 1, 6, "}"),
    ("\\u", 16, 4, 4, ""),
    ("\\U", 16, 8, 8, ""),
    ("\\", 8, 3, 3, ""),
    ("&#x", 16, 1, 6, ";"),
    ("&#X", 16, 1, 6, ";"),
    ("&#", 10, 1, 7, ";"),
    // Quoted-printable (RFC 2045).
    ("=", 16, 2, 2, ""),
];

/// Replaces each ASCII character that is escaped as in URLs, HTML, JSON, source code or mail, and the full-width forms of ASCII.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let (letter, after) = escape(rest).unwrap_or_else(|| {
            let half_width = u32::from(letter).checked_sub(0xfee0).filter(|code| (0x21..0x7f).contains(code));
            let after = rest.get(letter.len_utf8()..).unwrap_or_default();
            (half_width.and_then(char::from_u32).unwrap_or(letter), after)
        });
        plain.push(letter);
        rest = after;
    }
    plain
}

/// Returns the ASCII character of the escape at the start of a text, and the text after it.
fn escape(text: &str) -> Option<(char, &str)> {
    for named in ["&lowbar;", "&UnderBar;"] {
        if let Some(after) = text.strip_prefix(named) {
            return Some(('_', after));
        }
    }
    if let Some(after) = text.strip_prefix('\\').and_then(|rest| rest.strip_prefix(['n', 'r', 't'])) {
        return Some((' ', after));
    }
    ESCAPES.iter().find_map(|(start, radix, least, most, end)| {
        let rest = text.strip_prefix(start)?;
        let length = rest.chars().take(*most).take_while(|letter| letter.is_digit(*radix)).count();
        let (digits, after) = rest.split_at_checked(length).filter(|_| length >= *least)?;
        let code = u32::from_str_radix(digits, *radix).ok().filter(|code| *code < 0x80)?;
        Some((char::from_u32(code)?, after.strip_prefix(end).unwrap_or(after)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_testkit::gate_world::{Key, config};
    use serde_json::json;

    #[test]
    fn a_text_is_stored_without_keys_whatever_surrounds_them() {
        let config = config(&json!({}));
        let key = Key::live(&config, 1);
        let (id, text) = (key.record.id.to_string(), key.text.clone());
        let wrong_check = format!("{}x", &text[..text.len() - 1]);
        let truncated = &text[..text.len() - 9];
        for (sent, stored) in [
            (format!("https://a.example/?k={text}&x=1"), Some("https://a.example/?k=[key]&x=1")),
            (format!("{text} and {text}"), Some("[key] and [key]")),
            (format!("x{text}"), Some("x[key]")),
            (wrong_check, Some("[key]")),
            (truncated.to_owned(), Some("[key]")),
            ("https://a.example/wafl_live".to_owned(), Some("https://a.example/wafl_live")),
            ("a\u{202e}b\nc".to_owned(), Some("abc")),
            (text.replace('_', "%5F"), None),
            (String::new(), None),
            ("\u{200b}".to_owned(), None),
        ] {
            assert_eq!(blanked(&config, &sent).as_deref(), stored, "{sent}");
        }
        assert_eq!(blanked(&config, &id).as_deref(), Some(id.as_str()), "an id is no secret");
        let commit = format!("https://github.example/a_b/blob/9a1fbc0de1/{id}/some_file_of_tests.rs?live=%5F#L1");
        assert_eq!(blanked(&config, &commit).as_deref(), Some(commit.as_str()));
        assert_eq!(blanked(&config, &"é".repeat(5_000)).unwrap().chars().count(), LEAK_PLACE_CHARS);
    }

    /// Returns whether a text has eight characters of the secret next to each other, however they are escaped in URLs.
    fn shows_secret(stored: &str, key: &str) -> bool {
        let secret = key.rsplit('_').next().unwrap();
        (0..=secret.len() - 8).any(|at| stored.contains(&secret[at..at + 8]))
    }

    #[test]
    fn no_part_of_a_secret_is_stored_however_it_is_split_or_encoded() {
        let config = config(&json!({}));
        let key = Key::live(&config, 1).text;
        let escaped = |escape: &dyn Fn(u8) -> String| key.bytes().map(escape).collect::<String>();
        let percent = key.replace('_', "%5F");
        let mut texts = vec![
            // A whole key beside an escaped one.
            format!("{key} {percent}"),
            percent.clone(),
            percent.replace('%', "%25"),
            percent.replace('%', "%2525"),
            (0..12).fold(percent, |text, _| text.replace('%', "%25")),
            escaped(&|byte| format!("%{byte:02x}")),
            escaped(&|byte| format!("\\x{byte:02x}")),
            escaped(&|byte| format!("\\u{byte:04x}")),
            escaped(&|byte| format!("&#{byte};")),
            escaped(&|byte| format!("={byte:02X}")),
            escaped(&|byte| char::from_u32(u32::from(byte) + 0xfee0).unwrap().to_string()),
            key.replace('_', "\\u005f"),
            key.replace('_', "%u005F"),
            key.replace('_', "\\137"),
            key.replace('_', "\\U0000005f"),
            key.replace('_', "\\u{5f}"),
            key.replace('_', "&#x5F;"),
            key.replace('_', "&#95"),
            key.replace('_', "&lowbar;"),
            key.replace('_', " _ "),
            hex::encode(&key),
            hex::encode_upper(&key),
        ];
        for before in ["", "u", "us", "user:"] {
            texts.push(STANDARD_NO_PAD.encode([before, &key].concat()));
            texts.push(base64::engine::general_purpose::URL_SAFE.encode([before, &key, " ÿÿÿ"].concat()));
        }
        for splitter in [
            "\u{200b}", "\n", "\r\n  ", "\u{202e}", "\u{ad}", "\u{200d}", " ", "+", "\" + \"", "=\n", "%0A", "\\n", "é",
        ] {
            texts.extend((1..key.len()).map(|at| [&key[..at], splitter, &key[at..]].concat()));
        }
        for text in &texts {
            let shown = blanked(&config, &format!("https://a.example/?k={text}")).unwrap_or_default();
            assert!(!shows_secret(&shown, &key), "{text} {shown}");
            assert!(!shown.contains("%5F") && !shown.contains("5f"), "{text} {shown}");
        }
    }

    #[test]
    fn a_text_of_a_megabyte_is_blanked_in_linear_time() {
        let config = config(&json!({}));
        let key = Key::live(&config, 1).text;
        for part in [key.as_str(), "wafl_", "wafl_live_", "%25", "\u{200b}", "wafl_live_8Fh2kQ0sZp1L "] {
            let text = part.repeat(1_048_576 / part.len());
            assert!(blanked(&config, &text).is_none_or(|shown| shown.len() <= LEAK_PLACE_CHARS));
        }
    }

    #[test]
    fn only_keys_with_a_right_tag_are_reported() {
        let config = config(&json!({}));
        let (one, two) = (Key::live(&config, 1), Key::live(&config, 2));
        let found = keys_of(&config, &format!("A={}\nB=\"{}\"", one.text, two.text));
        let ids: Vec<&KeyId> = found.iter().map(|key| &key.id).collect();
        assert_eq!(ids, [&one.record.id, &two.record.id]);
        for text in ["", "wafl_live_8Fh2kQ0sZp1L", &one.text[1..], &one.text[..one.text.len() - 1]] {
            assert!(keys_of(&config, text).is_empty(), "{text}");
        }
    }
}
