//! Making a key.

use super::entropy::{Entropy, EntropyFailed, base62};
use super::format::{SECRET_LENGTH, check_of};
use super::hash::KeyHash;
use super::id::{Class, IDENTIFIER_LENGTH, KeyId, Prefix};
use super::keyring::{DerivedKeys, Generation, Keyring};

/// A whole key in plain text. It has no `Debug`, `Display`, `Clone` or `Serialize`; [`Self::expose`] is the one way out,
/// and the answer that shows a new key to its owner is the one place that takes it.
pub struct ApiKey(String);

impl ApiKey {
    /// The text. For the answer that shows it once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A new key: the text for its owner, and what the registry keeps.
pub struct Minted {
    /// To be shown once.
    pub api_key: ApiKey,
    /// The key's public name.
    pub id: KeyId,
    /// What is stored of the secret.
    pub hash: KeyHash,
    /// The secret it was minted under.
    pub generation: Generation,
}

/// Mints a key under the current secret.
///
/// # Errors
/// [`EntropyFailed`] when the system has no randomness to give.
pub fn mint(
    keyring: &Keyring,
    prefix: &Prefix,
    class: Class,
    entropy: &mut impl Entropy,
) -> Result<Minted, EntropyFailed> {
    mint_in(keyring.current(), prefix, class, entropy)
}

/// Mints a key under a certain secret.
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

/// Mints a new secret for an id that exists: a member keeps theirs when their credential is rotated.
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
