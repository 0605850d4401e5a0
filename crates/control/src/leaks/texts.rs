//! Texts of a leak report: the keys in them, and what is stored of the others.

use keyward_config::Config;
use keyward_http::limits::{LEAK_PLACE_CHARS, LEAKED_KEYS};
use keyward_key::format::keys_in;
use keyward_key::id::KeyId;
use keyward_protocol::LeakedKey;
use percent_encoding::percent_decode_str;

use crate::text::misleading;

/// Text that replaces a key.
const BLANK: &str = "[key]";

/// Returns the keys in a text whose tag is right. The text may have other characters around them.
pub(super) fn keys_of(config: &Config, text: &str, place: Option<&str>) -> Vec<LeakedKey> {
    let recognised = keys_in(text.as_bytes(), &config.prefix).take(LEAKED_KEYS).filter_map(|presented| {
        let recognised = config.keyring.recognise(&presented)?;
        let (id, key_hash) = (KeyId::parse(presented.id())?, recognised.hash().clone());
        Some(LeakedKey { id, key_hash, place: place.map(str::to_owned) })
    });
    recognised.collect()
}

/// Returns a text as it may be stored and shown: without keys, without characters that mislead a reader, and not too long. A text that
/// contains a key only once it is percent-decoded is dropped.
pub(super) fn blanked(config: &Config, text: &str) -> Option<String> {
    let decoded: Vec<u8> = percent_decode_str(text).collect();
    let mut left = text.to_owned();
    // A key has its secret behind its last underscore; any text of that form is blanked, whether or not its check is right.
    let start = [config.prefix.as_str(), "_"].concat();
    let mut kept = String::new();
    while let Some((before, rest)) = left.split_once(&start) {
        kept.push_str(before);
        let length = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(length)?;
        if word.len() >= SECRET_PART {
            kept.push_str(BLANK)
        } else {
            kept.extend([start.as_str(), word])
        }
        left = after.to_owned();
    }
    kept.push_str(&left);
    let hidden =
        keys_in(&decoded, &config.prefix).next().is_some() && keys_in(text.as_bytes(), &config.prefix).next().is_none();
    let shown: String = kept.chars().filter(|letter| !misleading(*letter)).take(LEAK_PLACE_CHARS).collect();
    (!hidden && !shown.trim().is_empty()).then_some(shown)
}

/// Length from which a word behind the prefix is blanked: class and identifier are shorter, and are no secret.
const SECRET_PART: usize = 20;

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
        assert_eq!(blanked(&config, &"é".repeat(5_000)).unwrap().chars().count(), LEAK_PLACE_CHARS);
    }

    #[test]
    fn only_keys_with_a_right_tag_are_reported() {
        let config = config(&json!({}));
        let (one, two) = (Key::live(&config, 1), Key::live(&config, 2));
        let found = keys_of(&config, &format!("A={}\nB=\"{}\"", one.text, two.text), Some("a"));
        let ids: Vec<&KeyId> = found.iter().map(|key| &key.id).collect();
        assert_eq!(ids, [&one.record.id, &two.record.id]);
        for text in ["", "wafl_live_8Fh2kQ0sZp1L", &one.text[1..], &one.text[..one.text.len() - 1]] {
            assert!(keys_of(&config, text, None).is_empty(), "{text}");
        }
    }
}
