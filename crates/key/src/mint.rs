//! Minting of keys and member credentials.

use super::entropy::{Entropy, EntropyFailed, base62};
use super::format::{SECRET_LENGTH, check_of};
use super::hash::KeyHash;
use super::id::{Class, IDENTIFIER_LENGTH, KeyId, Prefix};
use super::keyring::{DerivedKeys, Generation, Keyring};

/// Text of a new credential: a whole key, or the secret of a claim. It has no `Debug`, `Display`, `Clone` or `Serialize`. Only [`Self::expose`] returns the text, and
/// only the response that shows a new credential calls it.
pub struct ApiKey(String);

impl ApiKey {
    /// Takes the text of a credential that was just minted.
    pub(super) const fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the text, for the response that shows it once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A new key: its text, and the fields that the registry stores.
pub struct Minted {
    /// Text of the key, to show once.
    pub api_key: ApiKey,
    /// Key id.
    pub id: KeyId,
    /// Hash to store.
    pub hash: KeyHash,
    /// Name of the secret that it was minted under.
    pub generation: Generation,
}

/// Mints a key under the current secret.
///
/// # Errors
/// [`EntropyFailed`] if the random source fails.
pub fn mint(
    keyring: &Keyring,
    prefix: &Prefix,
    class: Class,
    entropy: &mut impl Entropy,
) -> Result<Minted, EntropyFailed> {
    mint_in(keyring.current(), prefix, class, entropy)
}

/// Mints a key under the given secret.
///
/// # Errors
/// As [`mint`].
pub fn mint_in(
    derived: &DerivedKeys,
    prefix: &Prefix,
    class: Class,
    entropy: &mut impl Entropy,
) -> Result<Minted, EntropyFailed> {
    let identifier = base62(entropy, IDENTIFIER_LENGTH)?;
    let id = KeyId::assemble(prefix, class, &identifier).ok_or(EntropyFailed)?;
    mint_for(derived, id, entropy)
}

/// Mints a new secret for an existing id. A member keeps their id when their credential is rotated.
///
/// # Errors
/// As [`mint`].
pub fn mint_for(derived: &DerivedKeys, id: KeyId, entropy: &mut impl Entropy) -> Result<Minted, EntropyFailed> {
    let secret = base62(entropy, SECRET_LENGTH)?;
    let mut text = format!("{id}_{secret}");
    let hash = derived.hash(&text);
    text.extend(derived.tag(&hash).map(char::from));
    text.extend(check_of(&text).map(char::from));
    Ok(Minted { api_key: ApiKey(text), id, hash, generation: derived.generation().clone() })
}
