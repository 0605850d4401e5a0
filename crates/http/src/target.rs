//! Path and query of a request in their one canonical form (RFC 3986, section 3.3).
//!
//! Matching, authorisation and forwarding use the same value. An ambiguous target is refused, not repaired: no [`Target`] exists for a
//! text that two correct parsers could read differently.

/// Path and query, as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    whole: &'a str,
    path: &'a str,
}

/// Reason why a target is refused. The caller gets `bad_path` with [`Self::detail`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTarget {
    /// Does not begin with a slash (`*`, an authority).
    Start,
    /// A character that a path or query cannot contain unescaped: backslash in a path, `#`, controls, `<`.
    Character,
    /// A character outside ASCII that is not escaped.
    NonAscii,
    /// `%` without two hex digits.
    Escape,
    /// An escape that hides structure: an encoded slash, backslash or control, or `%25` before two hex digits.
    Hidden,
    /// An escape of a letter, digit, `-`, `.`, `_` or `~`, which needs none.
    Unreserved,
    /// The decoded path is not UTF-8.
    Utf8,
    /// `//` anywhere.
    EmptySegment,
    /// `.` or `..` as a segment, with or without parameters.
    DotSegment,
}

impl BadTarget {
    /// Returns the problem and its fix, for the caller.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Start => "The path must begin with a slash.",
            Self::Character => {
                "The path or query contains a character that must be percent-encoded, like a space (%20), a quotation mark (%22), < (%3C) or, in a path, | (%7C)."
            }
            Self::NonAscii => {
                "The path or query contains a character outside ASCII. Percent-encode the bytes of its UTF-8 form: é is %C3%A9."
            }
            Self::Escape => "In the path, % must be followed by two hex digits. A percent sign itself is %25.",
            Self::Hidden => {
                "The path contains an encoded slash, backslash, control character or escape (%2F, %5C, %00, %2525), which servers read in different ways. Send such text in the query or the body."
            }
            Self::Unreserved => {
                "In the path, letters, digits, -, ., _ and ~ must not be percent-encoded. Send them as they are."
            }
            Self::Utf8 => "The percent-encoded bytes of the path must be UTF-8: é is %C3%A9, not %E9.",
            Self::EmptySegment => "The path contains //, which servers read in different ways. Send one slash.",
            Self::DotSegment => {
                "The path contains a dot segment (. or ..), in some spelling. Send the path that it leads to."
            }
        }
    }
}

/// Returns the reason why a byte is not allowed at its position.
const fn bad_byte(byte: u8) -> BadTarget {
    if byte.is_ascii() { BadTarget::Character } else { BadTarget::NonAscii }
}

impl<'a> Target<'a> {
    /// Parses path and query.
    ///
    /// # Errors
    /// [`BadTarget`], for the first failed check.
    pub fn parse(whole: &'a str) -> Result<Self, BadTarget> {
        let path = whole.split('?').next().unwrap_or_default();
        let query = whole.get(path.len()..).unwrap_or_default();
        if !path.starts_with('/') {
            return Err(BadTarget::Start);
        }
        check_segments(path)?;
        check_escapes(path)?;
        match query.bytes().find(|byte| !is_query_byte(*byte)) {
            Some(byte) => Err(bad_byte(byte)),
            None => Ok(Self { whole, path }),
        }
    }

    /// Returns the path, which begins with a slash.
    #[must_use]
    pub const fn path(self) -> &'a str {
        self.path
    }

    /// Returns path and query exactly as sent and as forwarded.
    #[must_use]
    pub const fn as_sent(self) -> &'a str {
        self.whole
    }

    /// Returns the query without its `?`, or `None` if there is none.
    #[must_use]
    pub fn query(self) -> Option<&'a str> {
        self.whole.get(self.path.len()..)?.strip_prefix('?')
    }
}

fn check_segments(path: &str) -> Result<(), BadTarget> {
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            return Err(BadTarget::EmptySegment);
        }
        // Servers that support path parameters read `..;x` and `..%3bx` as dot segments.
        let name = ["%3b", "%3B", ";"].iter().fold(segment, |name, mark| name.split(mark).next().unwrap_or_default());
        if matches!(name, "." | "..") {
            return Err(BadTarget::DotSegment);
        }
    }
    Ok(())
}

fn check_escapes(path: &str) -> Result<(), BadTarget> {
    let mut bytes = path.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            if !is_path_byte(byte) {
                return Err(bad_byte(byte));
            }
            if !decoded.is_empty() {
                decoded.push(byte);
            }
            continue;
        }
        let escaped = hex_pair(bytes.next(), bytes.next()).ok_or(BadTarget::Escape)?;
        match escaped {
            0..=0x1f | 0x7f | b'/' | b'\\' => return Err(BadTarget::Hidden),
            b'%' => {
                let mut after = bytes.clone();
                if hex_pair(after.next(), after.next()).is_some() {
                    return Err(BadTarget::Hidden);
                }
            }
            _ if is_unreserved(escaped) => {
                return Err(if escaped == b'.' { BadTarget::DotSegment } else { BadTarget::Unreserved });
            }
            _ => {}
        }
        // Decoding starts at the first escape: everything before it is ASCII.
        decoded.push(escaped);
    }
    let text = std::str::from_utf8(&decoded).map_err(|_| BadTarget::Utf8)?;
    if text.chars().any(char::is_control) {
        return Err(BadTarget::Hidden);
    }
    Ok(())
}

fn hex_pair(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| u8::try_from(char::from(byte?).to_digit(16)?).ok();
    Some((digit(high)? << 4) | digit(low)?)
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Returns whether the byte is an RFC 3986 pchar or a slash, escapes excluded.
const fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@' | b'/'
        )
}

/// Returns whether a query may contain the byte: printable ASCII except the characters that a URL parser splits at or rewrites.
/// (One exception is accepted: the runtime forwards `'` as `%27`, and every query parser reads both as the same character.)
const fn is_query_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'#' | b'"' | b'<' | b'>')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_target_is_kept_byte_for_byte() {
        for text in [
            "/",
            "/v1/contacts",
            "/v1/contacts/",
            "/v1/contacts?a=b&c=%2F..%2f&d=//",
            "/v1/contacts?q=[a|b]{c}^`\\'",
            "/v1/%C3%A9t%C3%A9",
            "/v1/a%20b",
            "/v1/100%25",
            "/v1/100%25x",
            "/v1/a;b=c",
            "/v1/..a/...",
            "/v1/x?",
            "/v1/x??y",
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!(target.as_sent(), text);
        }
        assert_eq!(Target::parse("/a?b?c").unwrap().path(), "/a");
        assert_eq!(Target::parse("/a?b?c").unwrap().query(), Some("b?c"));
        assert_eq!(Target::parse("/a").unwrap().query(), None);
    }

    #[test]
    fn each_refusal_tells_the_caller_what_to_send() {
        use BadTarget::*;
        let all = [Start, Character, NonAscii, Escape, Hidden, Unreserved, Utf8, EmptySegment, DotSegment];
        let details = all.map(BadTarget::detail);
        for detail in details {
            assert!(detail.ends_with('.') && details.iter().filter(|other| **other == detail).count() == 1, "{detail}");
        }
        assert!(NonAscii.detail().contains("%C3%A9"));
    }

    #[test]
    fn an_ambiguous_target_is_refused() {
        use BadTarget::*;
        for (text, why) in [
            ("", Start),
            ("*", Start),
            ("v1", Start),
            ("?x", Start),
            ("//v1", EmptySegment),
            ("/v1//x", EmptySegment),
            ("/v1/x//", EmptySegment),
            ("/..", DotSegment),
            ("/a/../b", DotSegment),
            ("/a/./b", DotSegment),
            ("/a/..;x/b", DotSegment),
            ("/a/.;/b", DotSegment),
            ("/a/..%3bx", DotSegment),
            ("/a/..%3Bx", DotSegment),
            ("/a/..%3Bx%3by", DotSegment),
            ("/a/..%3bx%3By;z", DotSegment),
            ("/a/.;%3b%3B", DotSegment),
            ("/a/%2e%2e/b", DotSegment),
            ("/a/.%2E/b", DotSegment),
            ("/a\\b", Character),
            ("/é", NonAscii),
            ("/a b", Character),
            ("/a#b", Character),
            ("/a?b#c", Character),
            ("/a?é", NonAscii),
            ("/a?q=caf\u{e9}&r=\"", NonAscii),
            ("/a?q=\"caf\u{e9}", Character),
            ("/a%", Escape),
            ("/a%2", Escape),
            ("/a%zz", Escape),
            ("/a%2fb", Hidden),
            ("/a%5Cb", Hidden),
            ("/a%00", Hidden),
            ("/a%0a", Hidden),
            ("/a%7f", Hidden),
            ("/a%C2%85", Hidden),
            ("/a%252e", Hidden),
            ("/v1/%63ontacts", Unreserved),
            ("/%7Euser", Unreserved),
            ("/a%ff", Utf8),
            ("/a%c0%af", Utf8),
            ("/a%C3x", Utf8),
            ("/a%C3", Utf8),
            // The bytes of one character, separated by another character.
            ("/a%C3x%A9", Utf8),
            ("/%E2%82/%AC", Utf8),
        ] {
            assert_eq!(Target::parse(text), Err(why), "{text}");
        }
    }
}
