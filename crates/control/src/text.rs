//! Text fields: accepted in Unicode's normalization form C, or refused.

use unicode_normalization::char::{canonical_combining_class, compose, decompose_canonical};

use super::body::{Json, invalid};
use keyward_http::limits::{CONTACT_CHARS, INTEGRATION_CHARS};
use keyward_http::problem::Problem;

/// Parses a text of 1 to `most` characters, at least one of them visible, without control characters, line separators or direction
/// marks, and without a space at its ends. Returns it in normalization form C, so that texts that look the same compare equal.
pub(super) fn text(field: &str, value: Json, most: usize) -> Result<String, Problem> {
    let Json::Text(text) = value else {
        return Err(invalid(field, "This must be a string."));
    };
    let text = composed(&text);
    let length = text.chars().count();
    if length == 0 || length > most {
        return Err(invalid(field, format!("This must have 1 to {most} characters; it has {length}.")));
    }
    if text.chars().any(misleading) {
        return Err(invalid(field, "This must not contain control characters, line breaks or direction marks."));
    }
    if text.trim() != text {
        return Err(invalid(field, "This must not begin or end with a space."));
    }
    if text.chars().all(invisible) {
        return Err(invalid(field, "This must have a visible character."));
    }
    Ok(text)
}

/// Returns a text in Unicode's normalization form C (UAX #15, section 1.3). The result is at most 3 times as long as the input.
///
/// Implemented here because the library's iterator includes the tables of the other forms, 70 KB of the wasm.
pub(super) fn composed(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut letters = Vec::with_capacity(text.len());
    text.chars().for_each(|letter| decompose_canonical(letter, |part| letters.push(part)));
    // A starter and its combining marks, which are sorted into canonical order.
    for run in letters.chunk_by_mut(|_, next| canonical_combining_class(*next) != 0) {
        run.sort_by_key(|letter| canonical_combining_class(*letter));
    }
    let (mut whole, mut starter, mut marks, mut last_class) =
        (String::with_capacity(text.len()), None, String::new(), 0);
    for letter in letters {
        let class = canonical_combining_class(letter);
        let reachable = marks.is_empty() || last_class < class;
        if let Some(both) = starter.filter(|_| reachable).and_then(|starter| compose(starter, letter)) {
            starter = Some(both);
        } else if class == 0 {
            whole.extend(starter.replace(letter));
            whole.push_str(&marks);
            marks.clear();
        } else {
            marks.push(letter);
            last_class = class;
        }
    }
    whole.extend(starter);
    whole.push_str(&marks);
    whole
}

/// Parses a slug: 1 to 64 of `a-z`, `0-9` and `-`, with a letter or digit at both ends.
pub(super) fn slug(field: &str, value: Json) -> Result<String, Problem> {
    let text = text(field, value, INTEGRATION_CHARS)?;
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let fits = bytes.iter().all(|byte| plain(byte) || *byte == b'-')
        && bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain);
    if fits {
        Ok(text)
    } else {
        Err(invalid(
            field,
            "This must be a slug: a-z, 0-9 and -, with a letter or digit at both ends, like `crm-sync`.",
        ))
    }
}

/// Parses an e-mail address by its form: text on both sides of one `@`, without spaces.
pub(super) fn email(field: &str, value: Json) -> Result<String, Problem> {
    let text = text(field, value, CONTACT_CHARS)?;
    let fits =
        text.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'))
            && !text.contains(char::is_whitespace);
    if fits { Ok(text) } else { Err(invalid(field, "This must be an e-mail address, like `ops@acme.example`.")) }
}

/// Returns the name of a field or parameter in a form that an answer may show: without misleading characters, and truncated, so that a
/// key sent in the wrong place is not repeated.
pub(super) fn shown(name: &str) -> String {
    let plain = || name.chars().filter(|letter| !misleading(*letter));
    if plain().count() <= 32 { plain().collect() } else { plain().take(16).chain(['…']).collect() }
}

/// Returns whether a character misleads a reader: controls, line separators, direction marks and overrides, invisible joiners, tags.
fn misleading(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Returns whether a character has no visible form of its own: space, joiners, variation selectors, fillers, and all that [`misleading`]
/// matches.
fn invisible(letter: char) -> bool {
    letter.is_whitespace()
        || misleading(letter)
        || matches!(letter,
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200c}' | '\u{200d}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::Text(text.to_owned())
    }

    #[test]
    fn a_text_is_kept_as_it_was_sent() {
        for sent in ["a", "Zoë's <b>sync</b> & \"more\" 'x' 連携 👩‍🚀", "x\u{300}", "ﬁ ½ Å"] {
            assert_eq!(text("name", json(sent), 100).ok().as_deref(), Some(sent));
        }
    }

    #[test]
    fn two_spellings_of_one_text_become_one() {
        for (sent, kept) in [("Cafe\u{301}", "Café"), ("\u{1112}\u{1161}\u{11ab}", "한"), ("\u{212b}", "Å")] {
            assert_eq!(text("name", json(sent), 100).ok().as_deref(), Some(kept));
        }
        assert!(text("name", json(&"e\u{301}".repeat(100)), 100).is_ok(), "100 characters once they are composed");
    }

    #[test]
    fn the_composed_form_is_that_of_the_library() {
        use unicode_normalization::UnicodeNormalization;
        let marks =
            ['\u{301}', '\u{323}', '\u{327}', '\u{345}', '\u{3099}', '\u{11a8}', '\u{1161}', '\u{9be}', 'a', '\u{334}'];
        for letter in (0..=0x0002_ffff).filter_map(char::from_u32) {
            let mut text = letter.to_string();
            for mark in ['a', '\u{301}', '\u{323}'] {
                assert_eq!(composed(&text), text.nfc().collect::<String>(), "{text:?}");
                text.push(mark);
            }
        }
        // Every text of four of these, after letters that compose with some of them.
        for first in ['e', '\u{1100}', '\u{304b}', '\u{9c7}', '\u{1ea1}', '\u{1eb9}', '\u{345}'] {
            for number in 0..10_000_usize {
                let text: String =
                    std::iter::once(first).chain([1, 10, 100, 1_000].map(|place| marks[number / place % 10])).collect();
                assert_eq!(composed(&text), text.nfc().collect::<String>(), "{text:?}");
            }
        }
    }

    #[test]
    fn a_text_without_a_visible_character_is_refused() {
        for sent in ["\u{200d}", "\u{ad}", "\u{3164}", "\u{2800}\u{fe0f}", "\u{34f}", "\u{115f}\u{1160}", "\u{e0100}"] {
            assert!(text("name", json(sent), 100).is_err(), "{sent:?}");
            let beside = format!("a{sent}");
            assert!(text("name", json(&beside), 100).is_ok(), "{beside:?}");
        }
    }

    #[test]
    fn misleading_text_is_refused() {
        for sent in ["", " ", " a", "a ", "a\n", "a\tb", "\0", "a\u{202e}b", "\u{feff}a", "a\u{2066}", "a\u{85}b"] {
            assert!(text("name", json(sent), 100).is_err(), "{sent:?}");
        }
        assert!(text("name", json(&"é".repeat(100)), 100).is_ok());
        assert!(text("name", json(&"é".repeat(101)), 100).is_err());
        assert!(text("name", Json::Number(1), 100).is_err());
    }

    #[test]
    fn malformed_slugs_and_addresses_are_refused() {
        assert!(slug("integration", json("crm-sync-2")).is_ok());
        for sent in ["", "CRM", "-a", "a-", "a_b", "a b", "é", &"a".repeat(65)] {
            assert!(slug("integration", json(sent)).is_err(), "{sent}");
        }
        assert!(email("email", json("ops@acme.example")).is_ok());
        for sent in ["ops", "@acme", "ops@", "a@b@c", "a b@c"] {
            assert!(email("email", json(sent)).is_err(), "{sent}");
        }
    }
}
