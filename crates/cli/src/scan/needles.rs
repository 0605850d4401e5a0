//! What is searched for: the prefix and an underscore, in UTF-8 and in both forms of UTF-16.

use aho_corasick::{AhoCorasick, MatchKind};

use keyward_key::format::{LONGEST, key_at};
use keyward_key::id::{Class, Prefix};

use crate::failure::Failure;
use crate::secret::Secret;

/// Maximum length of a key in a text, in bytes: UTF-16 has two for each letter.
pub const LONGEST_BYTES: usize = LONGEST * 2;

/// Searches for the keys of some prefixes.
pub struct Needles {
    automaton: AhoCorasick,
    /// For each pattern its prefix, and whether it is UTF-16, big endian.
    patterns: Vec<(Prefix, Encoding)>,
}

#[derive(Clone, Copy)]
enum Encoding {
    Utf8,
    Utf16LittleEndian,
    Utf16BigEndian,
}

/// A key in a piece of text.
pub struct Hit {
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Key id.
    pub id: String,
    /// `true` for a member's credential, `false` for a data key.
    pub is_member: bool,
    /// The key.
    pub key: Secret,
}

impl Needles {
    /// Creates the search for keys with one of these prefixes.
    ///
    /// # Errors
    /// [`Failure`] if the search can't be built, which does not happen for few prefixes.
    pub fn new(prefixes: &[Prefix]) -> Result<Self, Failure> {
        let (mut texts, mut patterns) = (Vec::new(), Vec::new());
        for prefix in prefixes {
            let text = format!("{}_", prefix.as_str());
            let wide = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
            texts.extend([text.as_bytes().to_vec(), wide(u16::to_le_bytes), wide(u16::to_be_bytes)]);
            let encodings = [Encoding::Utf8, Encoding::Utf16LittleEndian, Encoding::Utf16BigEndian];
            patterns.extend(encodings.map(|encoding| (prefix.clone(), encoding)));
        }
        let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(&texts);
        let automaton =
            automaton.map_err(|error| Failure::usage(format!("These prefixes can't be searched for: {error}.")))?;
        Ok(Self { automaton, patterns })
    }

    /// Returns the keys that begin before `limit`, in order. Look-alikes are none.
    ///
    /// A key in UTF-16, little endian, after another letter also reads as big endian from the byte before: its start is one byte too early.
    pub fn find<'a>(&'a self, text: &'a [u8], limit: usize) -> impl Iterator<Item = Hit> + 'a {
        let mut next = 0;
        self.automaton.find_iter(text).take_while(move |found| found.start() < limit).filter_map(move |found| {
            // The other form of UTF-16 may match inside a key that was found already.
            if found.end() <= next {
                return None;
            }
            let (prefix, encoding) = self.patterns.get(found.pattern().as_usize())?;
            let hit = key_in(text.get(found.start()..)?, found.start(), prefix, *encoding)?;
            next = hit.end;
            Some(hit)
        })
    }
}

/// Returns the key at the start of a text.
fn key_in(text: &[u8], start: usize, prefix: &Prefix, encoding: Encoding) -> Option<Hit> {
    let (narrow, width) = match encoding {
        Encoding::Utf8 => (text.get(..text.len().min(LONGEST))?.to_vec(), 1),
        Encoding::Utf16LittleEndian => (narrow(text, [0, 1]), 2),
        Encoding::Utf16BigEndian => (narrow(text, [1, 0]), 2),
    };
    let narrow = zeroize::Zeroizing::new(narrow);
    let key = key_at(&narrow, prefix)?;
    let end = start.saturating_add(key.expose().len().saturating_mul(width));
    Some(Hit {
        start,
        end,
        id: key.id().to_owned(),
        is_member: key.class() == Class::Member,
        key: Secret::new(key.expose().to_owned()),
    })
}

/// Returns the ASCII letters at the start of a UTF-16 text, at most as many as a key has. `[letter, zero]` are their places in each pair.
fn narrow(text: &[u8], [letter, zero]: [usize; 2]) -> Vec<u8> {
    let pairs = text.chunks_exact(2).take(LONGEST);
    pairs.map_while(|pair| (*pair.get(zero)? == 0).then(|| pair.get(letter).copied())?).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "wafl_live_8Fh2kQ0sZp1L_mavzfVABqZ5YsOOlB1f46RfHk7hp3ILTp46QPr1i0kUC0g";

    fn ids(text: &[u8]) -> Vec<(usize, String)> {
        let needles = Needles::new(&[Prefix::parse("wafl").unwrap()]).unwrap();
        needles.find(text, text.len()).map(|hit| (hit.start, hit.id)).collect()
    }

    #[test]
    fn a_key_is_found_in_utf_8_and_in_both_forms_of_utf_16() {
        for text in [KEY.to_owned(), format!("x={KEY}"), format!("é{KEY}é"), format!("{KEY}{KEY}")] {
            let keys = text.matches(KEY).count();
            assert_eq!(ids(text.as_bytes()).len(), keys, "{text}");
            for order in [u16::to_le_bytes, u16::to_be_bytes] {
                let wide: Vec<u8> = text.encode_utf16().flat_map(order).collect();
                assert_eq!(ids(&wide).len(), keys, "{text}");
                // In a binary file it may begin anywhere.
                assert_eq!(ids(&[&[7], wide.as_slice()].concat()).len(), keys, "{text}");
            }
        }
    }

    #[test]
    fn a_look_alike_is_no_finding() {
        for at in 5..KEY.len() {
            let mut other = KEY.as_bytes().to_vec();
            other[at] = if other[at] == b'7' { b'8' } else { b'7' };
            assert_eq!(ids(&other), [], "{at}");
        }
        for text in ["wafl_", "wafl_live_", &KEY[..68], "wafl_live_8Fh2kQ0sZp1L", &KEY.to_uppercase()] {
            assert_eq!(ids(text.as_bytes()), [], "{text}");
        }
    }

    #[test]
    fn several_prefixes_are_found_in_one_pass() {
        let body = "acme_test_000000000001_0000000000000000000000000000000000000000";
        let check = keyward_key::format::check_of(body);
        let other = format!("{body}{}", std::str::from_utf8(&check).unwrap());
        let prefixes = ["wafl", "acme"].map(|prefix| Prefix::parse(prefix).unwrap());
        let text = format!("{other} {KEY}");
        let found: Vec<_> =
            Needles::new(&prefixes).unwrap().find(text.as_bytes(), text.len()).map(|hit| hit.id).collect();
        assert_eq!(found, ["acme_test_000000000001", "wafl_live_8Fh2kQ0sZp1L"]);
    }
}
