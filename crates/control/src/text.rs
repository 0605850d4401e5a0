//! Text fields: accepted as they were sent, or refused.

use super::body::{Json, invalid};
use keyward_http::limits::{CONTACT_CHARS, INTEGRATION_CHARS};
use keyward_http::problem::Problem;

/// Parses a text of 1 to `most` characters, without control characters, line separators or direction marks, and without space
/// at its ends.
pub(super) fn text(field: &str, value: Json, most: usize) -> Result<String, Problem> {
    let Json::Text(text) = value else {
        return Err(invalid(field, "This must be a string."));
    };
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
    Ok(text)
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

/// Parses an e-mail address by its form: something on both sides of one `@`, without spaces.
pub(super) fn email(field: &str, value: Json) -> Result<String, Problem> {
    let text = text(field, value, CONTACT_CHARS)?;
    let fits =
        text.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'))
            && !text.contains(char::is_whitespace);
    if fits { Ok(text) } else { Err(invalid(field, "This must be an e-mail address, like `ops@acme.example`.")) }
}

/// Returns the name of a field or parameter as an answer may show it: without misleading characters, and a long name cut, so that
/// a key sent in the wrong place does not come back.
pub(super) fn shown(name: &str) -> String {
    let plain = || name.chars().filter(|letter| !misleading(*letter));
    if plain().count() <= 32 { plain().collect() } else { plain().take(16).chain(['…']).collect() }
}

/// Whether a character misleads a reader: controls, line separators, direction marks and overrides, invisible joiners, tags.
fn misleading(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::Text(text.to_owned())
    }

    #[test]
    fn a_text_is_kept_as_it_was_sent() {
        for sent in ["a", "Zoë's <b>sync</b> & \"more\" 'x' 連携 👩‍🚀", "a\u{300}"] {
            assert_eq!(text("name", json(sent), 100).ok().as_deref(), Some(sent));
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
