//! The house's Ed25519 keys (RFC 8032). The worker signs with WebCrypto, seven times as fast as wasm would and without its code;
//! so a key here is what the platform takes over, and what is known of it.

use std::sync::OnceLock;

/// The public half: 32 bytes.
pub type PublicKey = [u8; 32];

/// A signature: 64 bytes.
pub type Signature = [u8; 64];

/// PKCS #8 of an Ed25519 key up to its seed (RFC 8410, section 7).
const PKCS8_HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// A key that signs. It has no `Debug`; what leaves it is the public half, signatures, and [`Self::pkcs8`].
pub struct SigningKey {
    name: String,
    seed: [u8; 32],
    public: OnceLock<PublicKey>,
}

impl SigningKey {
    /// From its seed; `name` is no other key's.
    pub(super) const fn new(name: String, seed: [u8; 32]) -> Self {
        Self { name, seed, public: OnceLock::new() }
    }

    /// What the platform keeps it under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The secret itself, in the form that WebCrypto takes. The one way out, for the platform alone.
    #[must_use]
    pub fn pkcs8(&self) -> Vec<u8> {
        [PKCS8_HEAD.as_slice(), &self.seed].concat()
    }

    /// The public half, once the platform has told it.
    #[must_use]
    pub fn public(&self) -> Option<&PublicKey> {
        self.public.get()
    }

    /// Takes the public half from the platform.
    pub fn learn_public(&self, public: PublicKey) {
        let _ = self.public.set(public);
    }
}

/// The tests of this crate sign with a library; other crates' tests have `keyward_testkit::signing`.
#[cfg(test)]
impl SigningKey {
    /// Computes the public half.
    #[must_use]
    pub(crate) fn native_public(&self) -> PublicKey {
        ed25519_dalek::SigningKey::from_bytes(&self.seed).verifying_key().to_bytes()
    }

    /// Signs.
    #[must_use]
    pub(crate) fn native_sign(&self, text: &[u8]) -> Signature {
        ed25519_dalek::Signer::sign(&ed25519_dalek::SigningKey::from_bytes(&self.seed), text).to_bytes()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::super::keyring::{DerivedKeys, Secret};
    use super::*;

    /// The example of RFC 8410, sections 10.1 and 10.3.
    #[test]
    fn the_example_of_rfc_8410_is_written_to_the_letter() {
        let seed = hex::decode("d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842").unwrap();
        let key = SigningKey::new("example".to_owned(), seed.try_into().unwrap());
        assert_eq!(STANDARD.encode(key.pkcs8()), "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC");
        let public = STANDARD.decode("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=").unwrap();
        assert_eq!(public[12..], key.native_public());
    }

    #[test]
    fn no_two_keys_are_kept_under_one_name() {
        let derived = |byte: u8| DerivedKeys::new(&Secret::parse(&STANDARD.encode([byte; 32])).unwrap()).unwrap();
        let (one, other) = (derived(1), derived(2));
        let keys = [one.assertion(), one.checkpoint(), other.assertion(), other.checkpoint()];
        let mut names: Vec<&str> = keys.map(SigningKey::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 4, "{names:?}");
    }
}
