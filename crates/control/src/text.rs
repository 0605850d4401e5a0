//! Text fields: accepted as they were sent, in Unicode's normalization form C, or refused.

use super::body::{Json, invalid};
use keyward_http::limits::{CONTACT_CHARS, INTEGRATION_CHARS};
use keyward_http::problem::Problem;
use keyward_key::format::contains_key;
use keyward_key::id::Prefix;

/// Parser of text fields. It normalizes with [`nfc`](super::ControlPlatform::nfc) of the platform, whose tables the wasm need not contain.
#[derive(Clone, Copy)]
pub struct TextParser<'a> {
    platform_nfc: &'a dyn Fn(&str) -> String,
    /// Prefix of the keys that no text may contain.
    refused: Option<&'a Prefix>,
}

impl<'a> TextParser<'a> {
    /// Creates a parser. `platform_nfc` returns a text in Unicode's normalization form C; it receives no ASCII text.
    #[must_use]
    pub fn new(platform_nfc: &'a dyn Fn(&str) -> String) -> Self {
        Self { platform_nfc, refused: None }
    }

    /// Returns a parser that also refuses texts with a well-formed key. Texts of members are stored for good, in the audit log too, and events
    /// send them to other systems, and a note about a leak is where a key gets pasted.
    #[must_use]
    pub const fn refusing_keys(self, prefix: &'a Prefix) -> Self {
        Self { refused: Some(prefix), ..self }
    }

    /// Returns a text in Unicode's normalization form C (UAX #15). It may be longer than the text by a factor of 3 at most.
    pub(super) fn nfc(self, text: String) -> String {
        if text.is_ascii() { text } else { (self.platform_nfc)(&text) }
    }

    /// Parses a text of 1 to `most` characters, at least one of them visible, without control characters, line separators or
    /// direction marks, and without space at its ends. Returns it in normalization form C: what looks the same compares equal.
    pub(super) fn parse(self, field: &str, value: Json, most: usize) -> Result<String, Problem> {
        let Json::Text(text) = value else {
            return Err(invalid(field, "This must be a string."));
        };
        let text = self.nfc(text);
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
        if self.refused.is_some_and(|prefix| contains_key(text.as_bytes(), prefix)) {
            return Err(invalid(
                field,
                "This contains an API key. Write its id instead, the part before the last `_`.",
            ));
        }
        Ok(text)
    }

    /// Parses a slug: 1 to 64 of `a-z`, `0-9` and `-`, with a letter or digit at both ends.
    pub(super) fn slug(self, field: &str, value: Json) -> Result<String, Problem> {
        let text = self.parse(field, value, INTEGRATION_CHARS)?;
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

    /// Parses an e-mail address by its form: something on both sides of one `@`, without spaces.
    pub(super) fn email(self, field: &str, value: Json) -> Result<String, Problem> {
        let text = self.parse(field, value, CONTACT_CHARS)?;
        let fits = text
            .split_once('@')
            .is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'))
            && !text.contains(char::is_whitespace);
        if fits { Ok(text) } else { Err(invalid(field, "This must be an e-mail address, like `ops@acme.example`.")) }
    }
}

/// Returns the name of a field or parameter as an answer may show it: without misleading characters, and a long name cut, so that
/// a key or a claim's secret sent in the wrong place does not come back.
pub(super) fn shown(name: &str) -> String {
    let plain = || name.chars().filter(|letter| !misleading(*letter));
    if plain().count() <= 24 { plain().collect() } else { plain().take(16).chain(['…']).collect() }
}

/// Whether a character misleads a reader: controls, line separators, direction marks and overrides, invisible joiners, tags.
pub(super) fn misleading(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether a character shows nothing by itself: space, joiners, variation selectors, fillers, and what [`misleading`] refuses.
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

    impl TextParser<'static> {
        /// Normalizes with the library that the tests use instead of the platform.
        pub(crate) fn of_tests() -> Self {
            Self::new(&keyward_testkit::text::nfc)
        }
    }

    fn text(field: &str, value: Json, most: usize) -> Result<String, Problem> {
        TextParser::of_tests().parse(field, value, most)
    }

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

    /// Returns the characters of the Basic Multilingual Plane that `fits` takes, as ranges of a regular expression.
    fn class(fits: impl Fn(char) -> bool) -> String {
        let taken: Vec<u32> = (0..=0xffff).filter(|code| char::from_u32(*code).is_some_and(&fits)).collect();
        let ranges = taken.chunk_by(|one, next| one + 1 == *next).map(|run| match run {
            [only] => format!("\\u{only:04x}"),
            [first, second] => format!("\\u{first:04x}\\u{second:04x}"),
            run => format!("\\u{:04x}-\\u{:04x}", run[0], run[run.len() - 1]),
        });
        ranges.collect()
    }

    /// The patterns are without look-ahead and without characters beyond U+FFFF, which several languages have no pattern for.
    #[test]
    fn the_document_describes_the_accepted_texts() {
        let base: serde_json::Value = serde_json::from_str(include_str!("openapi_base.json")).unwrap();
        let misleading = class(misleading);
        let space = class(|letter| letter.is_whitespace() && !super::misleading(letter));
        let unseen = class(|letter| invisible(letter) && !letter.is_whitespace() && !super::misleading(letter));
        let text = format!(
            "^([{unseen}][{unseen}{space}]*)?[^{misleading}{space}{unseen}]([^{misleading}]*[^{misleading}{space}])?$"
        );
        let email = format!("^[^@{misleading}{space}]+@[^@{misleading}{space}]+$");
        for (schema, pattern) in [("Name", &text), ("Prose", &text), ("Contact", &text), ("Email", &email)] {
            assert_eq!(base["components"]["schemas"][schema]["pattern"], **pattern, "{schema}");
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
    fn a_text_with_a_key_is_refused_and_one_with_its_id_is_not() {
        let config = keyward_testkit::gate_world::config(&serde_json::json!({}));
        let key = keyward_testkit::gate_world::Key::live(&config, 1);
        let parser = TextParser::of_tests().refusing_keys(&config.prefix);
        for sent in [key.text.clone(), format!("Found {} in a build log", key.text), format!("x{}y", key.text)] {
            let problem = parser.parse("note", json(&sent), 500).err().unwrap().body("r");
            assert!(problem.contains("API key") && !problem.contains(&key.text), "{problem}");
        }
        let id = format!("Found {}_… in a build log", key.record.id);
        assert!(parser.parse("note", json(&id), 500).is_ok());
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
        assert!(TextParser::of_tests().slug("integration", json("crm-sync-2")).is_ok());
        for sent in ["", "CRM", "-a", "a-", "a_b", "a b", "é", &"a".repeat(65)] {
            assert!(TextParser::of_tests().slug("integration", json(sent)).is_err(), "{sent}");
        }
        assert!(TextParser::of_tests().email("email", json("ops@acme.example")).is_ok());
        for sent in ["ops", "@acme", "ops@", "a@b@c", "a b@c"] {
            assert!(TextParser::of_tests().email("email", json(sent)).is_err(), "{sent}");
        }
    }
}
