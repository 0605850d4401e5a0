//! Ed25519 signing keys (RFC 8032). The platform signs, not this crate: WebCrypto is seven times as fast as wasm and adds no code.
//! A key here is the seed to hand to the platform, and the public half that the platform returns.

use std::sync::OnceLock;

/// Ed25519 public key, 32 bytes.
pub type PublicKey = [u8; 32];

/// Ed25519 signature, 64 bytes.
pub type Signature = [u8; 64];

/// Start of the PKCS #8 form of an Ed25519 key, before its seed (RFC 8410, section 7).
const PKCS8_HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// An Ed25519 key pair. It has no `Debug`. Only [`Self::pkcs8`] returns the private half.
pub struct SigningKey {
    name: String,
    seed: [u8; 32],
    public: OnceLock<PublicKey>,
}

impl SigningKey {
    /// Creates the key from its seed. `name` must be unique.
    pub(super) const fn new(name: String, seed: [u8; 32]) -> Self {
        Self { name, seed, public: OnceLock::new() }
    }

    /// Returns the name under which the platform caches the imported key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the private key in the PKCS #8 form that WebCrypto imports. Only the platform may call this.
    #[must_use]
    pub fn pkcs8(&self) -> Vec<u8> {
        [PKCS8_HEAD.as_slice(), &self.seed].concat()
    }

    /// Returns the public half, once the platform has supplied it.
    #[must_use]
    pub fn public(&self) -> Option<&PublicKey> {
        self.public.get()
    }

    /// Sets the public half. Later calls have no effect.
    pub fn set_public(&self, public: PublicKey) {
        let _ = self.public.set(public);
    }
}

/// Signing for the tests of this crate. Other crates' tests use `keyward_testkit::signing`.
#[cfg(test)]
impl SigningKey {
    /// Computes the public half.
    #[must_use]
    pub(crate) fn native_public(&self) -> PublicKey {
        ed25519_dalek::SigningKey::from_bytes(&self.seed).verifying_key().to_bytes()
    }

    /// Signs `text`.
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

    /// Source: RFC 8410, sections 10.1 and 10.3.
    #[test]
    fn the_example_of_rfc_8410_gets_its_published_encoding() {
        let seed = hex::decode("d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842").unwrap();
        let key = SigningKey::new("example".to_owned(), seed.try_into().unwrap());
        assert_eq!(STANDARD.encode(key.pkcs8()), "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC");
        let public = STANDARD.decode("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=").unwrap();
        assert_eq!(public[12..], key.native_public());
    }

    #[test]
    fn signing_keys_have_distinct_names() {
        let derived = |byte: u8| DerivedKeys::new(&Secret::parse(&STANDARD.encode([byte; 32])).unwrap()).unwrap();
        let (one, other) = (derived(1), derived(2));
        let keys = [one.assertion(), one.checkpoint(), other.assertion(), other.checkpoint()];
        let mut names: Vec<&str> = keys.map(SigningKey::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 4, "{names:?}");
    }
}
