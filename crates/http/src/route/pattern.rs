//! Path of a route, and how a request's path matches it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::{BadPattern, is_own_path};
use crate::target::Target;

/// Path of a route.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    literal: String,
    /// `literal` with its escapes decoded.
    decoded: Vec<u8>,
    rest: Rest,
}

/// Allowed continuation after the literal part of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// Nothing.
    Nothing,
    /// `*`: any text, including the empty one.
    Any,
    /// `/**`: nothing, or a slash and any text.
    Below,
}

/// How a path matches a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// Byte for byte, the whole path.
    Whole,
    /// Byte for byte, plus a continuation that the pattern allows.
    Open,
    /// In another letter case, or with escaped characters that are plain in the pattern.
    EquivalentSpelling,
    /// Except for parts that many servers drop before they look for a handler: parameters (`;…`), a trailing slash, a format suffix
    /// (`.json`), spaces around a segment and dots after it, and everything from an escaped `?` or `#` on.
    EquivalentPath,
}

/// A path, and the other forms in which an origin may read it.
pub(super) struct Readings<'a> {
    path: &'a str,
    decoded: Cow<'a, [u8]>,
    /// Decoded, without parameters, and without spaces and dots at the end of segments, and a query or fragment that was escaped. `None` if the path
    /// contains none of these.
    bare: Option<Vec<u8>>,
}

impl Pattern {
    /// Parses `/path`, `/path/*` or `/path/**`.
    pub(super) fn parse(path: &str) -> Result<Self, BadPattern> {
        if has_parameter(path) {
            return Err(
                "has a parameter in its path (like :id, {id} or <id>), which a route cannot have: end the path with * for any rest \
                 (GET /v1/contacts/*), or with /** for the path itself and everything below it (GET /v1/contacts/**)",
            );
        }
        let (literal, rest) = match (path.strip_suffix("/**"), path.strip_suffix('*')) {
            (Some(literal), _) => (literal, Rest::Below),
            (None, Some(literal)) => (literal, Rest::Any),
            (None, None) => (path, Rest::Nothing),
        };
        if literal.contains('*') {
            return Err("may have a * only at its end, and ** only as /** at its end");
        }
        let whole = if literal.is_empty() && rest == Rest::Below { "/" } else { literal };
        let target = Target::parse(whole)
            .map_err(|_| "must be an absolute path in its plain form, without dot segments or //")?;
        if target.query().is_some() {
            return Err("must be a path without a query");
        }
        if rest == Rest::Below && literal.ends_with('/') {
            return Err("must be an absolute path in its plain form, without dot segments or //");
        }
        if is_own_path(literal) {
            return Err("must not be one of Keyward's own paths: /_keyward, paths below it, and the metadata path");
        }
        Ok(Self { literal: literal.to_owned(), decoded: percent_decode_str(literal).collect(), rest })
    }

    pub(super) fn fits(&self, readings: &Readings<'_>) -> Option<Fit> {
        if let Some(rest) = readings.path.strip_prefix(self.literal.as_str())
            && self.leaves_open(rest.as_bytes())
        {
            return Some(if rest.is_empty() { Fit::Whole } else { Fit::Open });
        }
        let loosely = |path: &[u8]| self.rest_of(path).is_some_and(|rest| self.leaves_open(rest));
        if loosely(&readings.decoded) {
            return Some(Fit::EquivalentSpelling);
        }
        let bare = readings.bare.as_deref()?;
        let short = bare.strip_suffix(b"/").unwrap_or(bare);
        let with_format = !self.decoded.ends_with(b"/") && self.rest_of(short).is_some_and(is_format);
        (loosely(bare) || loosely(short) || with_format).then_some(Fit::EquivalentPath)
    }

    /// Returns the part of a decoded path after the literal part, in any letter case.
    fn rest_of<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        let (start, rest) = path.split_at_checked(self.decoded.len())?;
        start.eq_ignore_ascii_case(&self.decoded).then_some(rest)
    }

    /// Returns whether the pattern allows this continuation after its literal part.
    fn leaves_open(&self, rest: &[u8]) -> bool {
        match self.rest {
            Rest::Nothing => rest.is_empty(),
            Rest::Any => true,
            Rest::Below => rest.is_empty() || rest.starts_with(b"/"),
        }
    }
}

#[cfg(test)]
impl std::fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rest = match self.rest {
            Rest::Nothing => "",
            Rest::Any => "*",
            Rest::Below => "/**",
        };
        write!(formatter, "{}{rest}", self.literal)
    }
}

impl<'a> Readings<'a> {
    pub(super) fn of(path: &'a str) -> Self {
        let decoded: Cow<'a, [u8]> = percent_decode_str(path).into();
        let drops = |byte: &u8| matches!(byte, b';' | b'.' | b' ' | b'?' | b'#') || !byte.is_ascii();
        let bare = (decoded.ends_with(b"/") || decoded.iter().any(drops)).then(|| {
            // Servers that rewrite a decoded path read it a second time, and take these for the end (CVE-2024-38474).
            let path = decoded.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
            path.split(|byte| *byte == b'/').map(bare_segment).collect::<Vec<_>>().join(&b'/')
        });
        Self { path, decoded, bare }
    }
}

/// Returns a segment without its parameters, without spaces around it, and without dots and spaces at its end. Some servers trim
/// segments, and Windows drops such characters from the end of file names.
fn bare_segment(segment: &[u8]) -> &[u8] {
    let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
    // A path that is not UTF-8 is refused earlier.
    std::str::from_utf8(name).map_or(name, |name| {
        name.trim_start_matches(is_blank).trim_end_matches(|letter: char| letter == '.' || is_blank(letter)).as_bytes()
    })
}

/// Returns whether a server may trim the character: white space, and zero-width characters that look like none.
fn is_blank(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

/// Returns whether the end of a path is a format suffix, like `.json` or `.tar.gz`.
fn is_format(end: &[u8]) -> bool {
    end.starts_with(b".") && !end.contains(&b'/')
}

/// Returns whether a segment is written like a path parameter of a web framework.
fn has_parameter(path: &str) -> bool {
    path.split('/').any(|segment| {
        segment.contains(['{', '}', '<', '>', '[', ']'])
            || segment
                .strip_prefix(':')
                .is_some_and(|name| name.starts_with(|letter: char| letter.is_ascii_alphabetic()))
    })
}
