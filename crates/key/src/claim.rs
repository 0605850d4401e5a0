//! Claims: permissions to mint a key. A claim has the id of its key, and a secret that only the claim's link contains.
//!
//! The secret's text is 22 random base62 characters (about 131 bits) and a tag of 8. Its hash is HMAC-SHA-256 under
//! `keyward/claim/v1` over `keyward/claim-hash/v1` ‖ key id ‖ random characters, and the tag is the first 8 bytes of the MAC over
//! `keyward/claim-tag/v1` ‖ hash, modulo 62^8. So a wrong secret is refused without a lookup, and whoever can only write to the
//! registry's tables cannot make a claim.

use ctutils::CtEq;

use super::base62::{encode, is_base62};
use super::entropy::{Entropy, EntropyFailed, base62};
use super::format::TAG_LENGTH;
use super::hash::KeyHash;
use super::id::{Class, IDENTIFIER_LENGTH, KeyId, Prefix};
use super::keyring::{DerivedKeys, Keyring, TAG_MODULUS};
use super::mint::{ApiKey, Minted};

/// Number of random base62 characters in a claim's secret, about 131 bits.
const RANDOM_LENGTH: usize = 22;

/// Length of a claim's secret with its tag.
pub const CLAIM_SECRET_LENGTH: usize = RANDOM_LENGTH + TAG_LENGTH;

/// Draws the id of a key that its claim will mint, and the claim's secret. [`Minted::hash`] is the hash of that secret.
///
/// # Errors
/// [`EntropyFailed`] if the random source fails.
pub fn mint_claim(
    derived: &DerivedKeys,
    prefix: &Prefix,
    class: Class,
    entropy: &mut impl Entropy,
) -> Result<Minted, EntropyFailed> {
    let identifier = base62(entropy, IDENTIFIER_LENGTH)?;
    let id = KeyId::assemble(prefix, class, &identifier).ok_or(EntropyFailed)?;
    let mut text = base62(entropy, RANDOM_LENGTH)?;
    let hash = hash(derived, &id, &text);
    text.extend(tag(derived, &hash).map(char::from));
    Ok(Minted { api_key: ApiKey::new(text), id, hash, generation: derived.generation().clone() })
}

fn hash(derived: &DerivedKeys, id: &KeyId, random: &str) -> KeyHash {
    // The random part has a fixed length, so no two pairs give the same message.
    KeyHash::new(derived.claim().mac(&[b"keyward/claim-hash/v1", id.as_str().as_bytes(), random.as_bytes()]))
}

fn tag(derived: &DerivedKeys, hash: &KeyHash) -> [u8; TAG_LENGTH] {
    let mac = derived.claim().mac(&[b"keyward/claim-tag/v1", hash.as_bytes()]);
    let head = mac.first_chunk::<8>().copied().unwrap_or_default();
    encode::<TAG_LENGTH>(u64::from_be_bytes(head) % TAG_MODULUS)
}

impl Keyring {
    /// Returns the hash of a claim's secret whose tag is right for the key `id`, under the current secret or the previous one.
    /// `None` if this deployment minted no such claim, which is decided without a lookup.
    #[must_use]
    pub fn recognise_claim(&self, id: &KeyId, presented: &str) -> Option<KeyHash> {
        if presented.len() != CLAIM_SECRET_LENGTH || !is_base62(presented) {
            return None;
        }
        let (random, presented_tag) = presented.split_at_checked(RANDOM_LENGTH)?;
        self.generations().find_map(|derived| {
            let hash = hash(derived, id, random);
            let right: bool = tag(derived, &hash).as_slice().ct_eq(presented_tag.as_bytes()).into();
            right.then_some(hash)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Environment;
    use crate::keyring::Secret;

    /// Entropy that counts up from a seed.
    struct Counting(u8);

    impl Entropy for Counting {
        fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EntropyFailed> {
            for slot in buffer {
                self.0 = self.0.wrapping_add(1);
                *slot = self.0 % 62;
            }
            Ok(())
        }
    }

    fn secret(byte: u8) -> Secret {
        use base64::Engine as _;
        Secret::parse(&base64::engine::general_purpose::STANDARD.encode([byte; 32])).unwrap()
    }

    fn minted(keyring: &Keyring, seed: u8) -> Minted {
        let prefix = Prefix::parse("wafl").unwrap();
        mint_claim(keyring.current(), &prefix, Class::Data(Environment::Live), &mut Counting(seed)).unwrap()
    }

    #[test]
    fn a_claims_secret_is_recognised_for_its_key_only_and_under_a_previous_secret_too() {
        let keyring = Keyring::new(&secret(1), None).unwrap();
        let claim = minted(&keyring, 0);
        let text = claim.api_key.expose();
        assert_eq!(text.len(), CLAIM_SECRET_LENGTH);
        for known in [Keyring::new(&secret(1), None), Keyring::new(&secret(2), Some(&secret(1)))] {
            assert!(known.unwrap().recognise_claim(&claim.id, text).unwrap().matches(&claim.hash));
        }
        assert!(Keyring::new(&secret(2), None).unwrap().recognise_claim(&claim.id, text).is_none());
        assert!(keyring.recognise_claim(&minted(&keyring, 9).id, text).is_none());
    }

    #[test]
    fn a_claims_secret_with_any_one_character_changed_is_refused() {
        let keyring = Keyring::new(&secret(1), None).unwrap();
        let claim = minted(&keyring, 0);
        let text = claim.api_key.expose();
        for at in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            assert!(keyring.recognise_claim(&claim.id, str::from_utf8(&bytes).unwrap()).is_none(), "{at}");
        }
        for other in ["", &text[1..], &format!("{text}0"), &text.replace(&text[..1], "_"), &"é".repeat(15)] {
            assert!(keyring.recognise_claim(&claim.id, other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_claim_has_this_id_secret_and_hash_under_a_fixed_secret() {
        let claim = minted(&Keyring::new(&secret(1), None).unwrap(), 0);
        let vector = (claim.id.as_str(), claim.api_key.expose(), claim.hash.to_hex());
        let hash = "dfb38a7a787d97dacbe897d3cf4ffe9ddb2c02934ba1400c528e8ec3bed13e59".to_owned();
        assert_eq!(vector, ("wafl_live_123456789ABC", "3456789ABCDEFGHIJKLMNONIclPKwT", hash));
    }
}
