//! The text form of a key, and the checks on it that need no secret. See docs/concepts/keys.md.

use super::base62::{encode, is_base62};
use super::id::{Class, IDENTIFIER_LENGTH, Prefix};

/// Length of the secret in base62 characters, about 190 bits.
pub const SECRET_LENGTH: usize = 32;
/// Length of the keyed tag in base62 characters.
pub const TAG_LENGTH: usize = 8;
/// Length of the check in base62 characters.
pub const CHECK_LENGTH: usize = 6;
/// Length of a key without its prefix and class: three underscores and the parts of fixed length.
const FIXED_LENGTH: usize = 3 + IDENTIFIER_LENGTH + SECRET_LENGTH + TAG_LENGTH + CHECK_LENGTH;

/// Minimum length of a data key, in bytes: with a prefix of two letters.
pub const SHORTEST: usize = 2 + 4 + FIXED_LENGTH;
/// Maximum length of a key, in bytes: with a prefix of eight letters and the class `admin`.
pub const LONGEST: usize = 8 + 5 + FIXED_LENGTH;

/// The first defect of a text that is not a well-formed key. For logs and tests; the caller gets the same 401 for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It does not begin with the prefix and an underscore.
    Prefix,
    /// The part after the prefix is not `live`, `test` or `admin`.
    Class,
    /// A part has the wrong length or a character outside base62.
    Form,
    /// The last six characters are not the CRC-32 of the text before them.
    Check,
}

/// A well-formed key as presented: form and check are right, the tag is not verified yet.
/// It borrows the secret's text, so it has no `Debug`, `Display` or `Serialize`.
pub struct Presented<'a> {
    text: &'a str,
    class: Class,
    id: &'a str,
    message: &'a str,
    tag: &'a str,
}

impl<'a> Presented<'a> {
    /// Parses a whole credential, without allocating.
    ///
    /// # Errors
    /// [`Malformed`] with the first defect.
    pub fn parse(text: &'a str, prefix: &Prefix) -> Result<Self, Malformed> {
        let after_prefix =
            text.strip_prefix(prefix.as_str()).and_then(|rest| rest.strip_prefix('_')).ok_or(Malformed::Prefix)?;
        let (class, rest) = after_prefix.split_once('_').ok_or(Malformed::Class)?;
        let class = Class::parse(class).ok_or(Malformed::Class)?;
        let (identifier, tail) = rest.split_once('_').ok_or(Malformed::Form)?;
        let fits = identifier.len() == IDENTIFIER_LENGTH
            && is_base62(identifier)
            && tail.len() == SECRET_LENGTH + TAG_LENGTH + CHECK_LENGTH
            && is_base62(tail);
        if !fits {
            return Err(Malformed::Form);
        }
        let (body, check) = split_end(text, CHECK_LENGTH)?;
        if check.as_bytes() != check_of(body) {
            return Err(Malformed::Check);
        }
        let (message, tag) = split_end(body, TAG_LENGTH)?;
        let (id, _) = split_end(message, SECRET_LENGTH + 1)?;
        Ok(Self { text, class, id, message, tag })
    }

    /// Returns the whole key. It is secret.
    #[must_use]
    pub const fn expose(&self) -> &'a str {
        self.text
    }

    /// Returns the class that the key names.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// Returns the key id: prefix, class and identifier.
    #[must_use]
    pub const fn id(&self) -> &'a str {
        self.id
    }

    /// Returns the input of the key hash: the text up to and including the secret.
    #[must_use]
    pub(super) const fn message(&self) -> &'a str {
        self.message
    }

    /// Returns the tag, which only a holder of the server's secret can compute.
    #[must_use]
    pub(super) const fn tag(&self) -> &'a str {
        self.tag
    }
}

fn split_end(text: &str, length: usize) -> Result<(&str, &str), Malformed> {
    text.len().checked_sub(length).and_then(|at| text.split_at_checked(at)).ok_or(Malformed::Form)
}

/// CRC-32, one byte at a time with a table of 1 KB. Faster variants need incompressible tables of 16 KB, and a key is short.
static CRC_32: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// Computes the check of a text: its CRC-32 (IEEE, as in zip) in six base62 digits.
#[must_use]
pub fn check_of(body: &str) -> [u8; CHECK_LENGTH] {
    encode::<CHECK_LENGTH>(u64::from(CRC_32.checksum(body.as_bytes())))
}

/// Returns the well-formed key at the start of `text`. What follows it does not matter, not even letters, because its class determines
/// its length.
#[must_use]
pub fn key_at<'a>(text: &'a [u8], prefix: &Prefix) -> Option<Presented<'a>> {
    let name = prefix.as_str().as_bytes();
    let rest = text.strip_prefix(name)?;
    let class = ["_live_", "_test_", "_admin_"].iter().find(|class| rest.starts_with(class.as_bytes()))?;
    // `FIXED_LENGTH` counts the two underscores around the class.
    let length = name.len().saturating_add(class.len()).saturating_add(FIXED_LENGTH - 2);
    let candidate = std::str::from_utf8(text.get(..length)?).ok()?;
    Presented::parse(candidate, prefix).ok()
}

/// Whether `text` contains a well-formed key. Prefix, form and check must be right, so look-alikes do not count.
/// Takes time linear in `text`: at each candidate position it reads at most the length of a key.
#[must_use]
pub fn contains_key(text: &[u8], prefix: &Prefix) -> bool {
    keys_in(text, prefix).next().is_some()
}

/// Returns the well-formed keys in `text`, as [`contains_key`] finds them.
pub fn keys_in<'a>(text: &'a [u8], prefix: &'a Prefix) -> impl Iterator<Item = Presented<'a>> {
    let needle = prefix.as_str().as_bytes();
    text.windows(needle.len().saturating_add(1))
        .enumerate()
        .filter(move |(_, window)| window.strip_prefix(needle) == Some(b"_"))
        .filter_map(move |(at, _)| key_at(text.get(at..)?, prefix))
}
