//! The text form of a key, and what anyone can check of it offline: see docs/concepts/keys.md.

use super::base62::{encode, is_base62};
use super::id::{Class, IDENTIFIER_LENGTH, Prefix};

/// Base62 characters of the secret, about 190 bits.
pub const SECRET_LENGTH: usize = 32;
/// Base62 characters of the keyed tag.
pub const TAG_LENGTH: usize = 8;
/// Base62 characters of the check.
pub const CHECK_LENGTH: usize = 6;
/// What a key has besides its prefix and the word of its class: three underscores and the random parts.
const BESIDES_WORDS: usize = 3 + IDENTIFIER_LENGTH + SECRET_LENGTH + TAG_LENGTH + CHECK_LENGTH;

/// Minimum length of a data key, in bytes: with a prefix of two letters.
pub const SHORTEST: usize = 2 + 4 + BESIDES_WORDS;

/// Why a text is no well-formed key. For logs and tests; every one is the same 401 to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It doesn't begin with our prefix and an underscore.
    Prefix,
    /// The word after the prefix is not `live`, `test` or `admin`.
    Class,
    /// Wrong length, or a character outside base62 where one is due.
    Form,
    /// The last six characters are not the CRC-32 of what stands before them.
    Check,
}

/// A well-formed key as it was presented: form and check are right, the tag is yet to be recognised.
/// It borrows the secret's text, so it has no `Debug`, `Display` or `Serialize`.
pub struct Presented<'a> {
    class: Class,
    id: &'a str,
    message: &'a str,
    tag: &'a str,
}

impl<'a> Presented<'a> {
    /// Parses a whole credential. Costs no allocation and reads nothing.
    ///
    /// # Errors
    /// [`Malformed`], by what was found wrong first.
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
        Ok(Self { class, id, message, tag })
    }

    /// What the key says it opens.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// The key id: prefix, class and identifier.
    #[must_use]
    pub const fn id(&self) -> &'a str {
        self.id
    }

    /// What is hashed: everything up to and including the secret.
    #[must_use]
    pub(super) const fn message(&self) -> &'a str {
        self.message
    }

    /// The eight characters that only a holder of the server's secret can make.
    #[must_use]
    pub(super) const fn tag(&self) -> &'a str {
        self.tag
    }
}

fn split_end(text: &str, length: usize) -> Result<(&str, &str), Malformed> {
    text.len().checked_sub(length).and_then(|at| text.split_at_checked(at)).ok_or(Malformed::Form)
}

/// By one byte at a time, with a table of 1 KB. Faster ways have tables of 16 KB, which don't compress, and a key is short.
static CRC_32: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// The check of a text: CRC-32 (IEEE, as in zip) in six base62 digits.
#[must_use]
pub fn check_of(body: &str) -> [u8; CHECK_LENGTH] {
    encode::<CHECK_LENGTH>(u64::from(CRC_32.checksum(body.as_bytes())))
}

/// Whether a well-formed key stands anywhere in `text`: by prefix, form and check, so that a mere look-alike passes.
/// What stands around it doesn't matter, more letters included: a key's length is known from its class.
/// Linear in `text`: each place where a key could begin is looked at for no more bytes than a key has.
#[must_use]
pub fn contains_key(text: &[u8], prefix: &Prefix) -> bool {
    let needle = prefix.as_str().as_bytes();
    text.windows(needle.len().saturating_add(1))
        .enumerate()
        .filter(|(_, window)| window.strip_prefix(needle) == Some(b"_"))
        .any(|(at, _)| {
            let rest = text.get(at..).unwrap_or_default();
            ["live", "test", "admin"].iter().any(|class| {
                let length = needle.len().saturating_add(class.len()).saturating_add(BESIDES_WORDS);
                rest.get(..length)
                    .and_then(|candidate| std::str::from_utf8(candidate).ok())
                    .is_some_and(|candidate| Presented::parse(candidate, prefix).is_ok())
            })
        })
}
