//! The token of a console session, the value of the session cookie: 32 random base62 digits and a tag of 8.
//!
//! The tag is keyed with `KEYWARD_SECRET`, so a forged or foreign token is refused without a lookup, like a key with a wrong tag. Only
//! the hash of the digits is stored.

use ctutils::CtEq;

use super::base62::is_base62;
use super::entropy::{Entropy, EntropyFailed, base62};
use super::format::TAG_LENGTH;
use super::hash::KeyHash;
use super::keyring::{DerivedKeys, Keyring, tag_of};

/// Number of random base62 digits, 190 bits.
const SECRET_LENGTH: usize = 32;

/// Begins the message of a tag. The message of a hash consists of base62 digits only, so the two never coincide.
const TAG_LABEL: &[u8] = b"keyward/session-tag/v1";

/// A whole token in plain text. It has no `Debug`, `Display`, `Clone` or `Serialize`. Only [`Self::expose`] returns the text, and only
/// the response that sets the cookie calls it.
pub struct SessionToken(String);

impl SessionToken {
    /// Returns the text, for the cookie.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A new token and the hash that the registry stores.
pub struct NewSession {
    /// The token, to show once.
    pub token: SessionToken,
    /// The hash to store.
    pub hash: KeyHash,
}

/// Mints a token under the current secret.
///
/// # Errors
/// [`EntropyFailed`] if the random source fails.
pub fn mint_session(derived: &DerivedKeys, entropy: &mut impl Entropy) -> Result<NewSession, EntropyFailed> {
    let mut text = base62(entropy, SECRET_LENGTH)?;
    let hash = hash_of(derived, &text);
    text.extend(tag(derived, &hash).map(char::from));
    Ok(NewSession { token: SessionToken(text), hash })
}

/// Returns the hash of a token with a right tag, under the current secret or the previous one. `None` for any other text, which is
/// decided without a lookup.
#[must_use]
pub fn recognise_session(keyring: &Keyring, text: &str) -> Option<KeyHash> {
    let (secret, shown) = text.split_at_checked(SECRET_LENGTH)?;
    if shown.len() != TAG_LENGTH || !is_base62(text) {
        return None;
    }
    keyring.generations().find_map(|derived| {
        let hash = hash_of(derived, secret);
        let right: bool = tag(derived, &hash).as_slice().ct_eq(shown.as_bytes()).into();
        right.then_some(hash)
    })
}

fn hash_of(derived: &DerivedKeys, secret: &str) -> KeyHash {
    KeyHash::new(derived.session().mac(&[secret.as_bytes()]))
}

fn tag(derived: &DerivedKeys, hash: &KeyHash) -> [u8; TAG_LENGTH] {
    tag_of(&derived.session().mac(&[TAG_LABEL, hash.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::Secret;

    struct Counter(u8);

    impl Entropy for Counter {
        fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EntropyFailed> {
            for slot in buffer {
                *slot = self.0;
                self.0 = self.0.wrapping_add(1);
            }
            Ok(())
        }
    }

    fn secret(byte: u8) -> Secret {
        use base64::Engine as _;
        Secret::parse(&base64::engine::general_purpose::STANDARD.encode([byte; 32])).unwrap()
    }

    fn keyring(current: u8, previous: Option<u8>) -> Keyring {
        Keyring::new(&secret(current), previous.map(secret).as_ref()).unwrap()
    }

    #[test]
    fn a_session_token_and_its_hash_are_these_literals() {
        let made = mint_session(keyring(7, None).current(), &mut Counter(0)).unwrap();
        assert_eq!(made.token.expose(), "0123456789ABCDEFGHIJKLMNOPQRSTUVHfwNikXE");
        assert_eq!(made.hash.to_hex(), "2c13c00199f3ebe2d7d14b0275bddcfe8552956db0d17d4273a8a9769731d76c");
    }

    #[test]
    fn only_a_token_of_this_deployment_is_recognised() {
        let made = mint_session(keyring(7, None).current(), &mut Counter(0)).unwrap();
        let text = made.token.expose();
        for ring in [keyring(7, None), keyring(8, Some(7))] {
            assert!(recognise_session(&ring, text).is_some_and(|hash| hash.matches(&made.hash)));
        }
        assert!(recognise_session(&keyring(8, None), text).is_none(), "the secret is gone");
        let changed = |at: usize| {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            String::from_utf8(bytes).unwrap()
        };
        for other in (0..text.len()).map(changed) {
            assert!(recognise_session(&keyring(7, None), &other).is_none(), "{other}");
        }
        for other in
            ["", "a", &text[1..], &format!("{text}a"), &"é".repeat(20), &text.replace('0', "-"), &"0".repeat(40)]
        {
            assert!(recognise_session(&keyring(7, None), other).is_none(), "{other}");
        }
    }
}
