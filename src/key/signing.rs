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

/// Outside the worker there is no WebCrypto: tests, fuzzers and the simulator sign with a library.
#[cfg(not(target_arch = "wasm32"))]
impl SigningKey {
    /// Computes the public half.
    #[must_use]
    pub fn native_public(&self) -> PublicKey {
        ed25519_dalek::SigningKey::from_bytes(&self.seed).verifying_key().to_bytes()
    }

    /// Signs.
    #[must_use]
    pub fn native_sign(&self, text: &[u8]) -> Signature {
        ed25519_dalek::Signer::sign(&ed25519_dalek::SigningKey::from_bytes(&self.seed), text).to_bytes()
    }
}
