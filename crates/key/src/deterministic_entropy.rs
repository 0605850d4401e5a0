//! Deterministic entropy. A retried write (`Idempotency-Key`) derives the same credential again, so nobody has to store it.
//!
//! Each block is HMAC-SHA-256 under `keyward/reissue/v1` over `keyward/reissue-stream/v1` ‖ fingerprint ‖ nonce ‖ counter.
//! Every part has a fixed length, so no two messages are equal. The registry stores fingerprint and nonce but not
//! `KEYWARD_SECRET`, without which the blocks are indistinguishable from random bytes.

use super::entropy::{Entropy, EntropyFailed};
use super::keyring::DerivedKeys;

const DOMAIN: &[u8] = b"keyward/reissue-stream/v1";

/// Length of a nonce in bytes.
pub const NONCE_BYTES: usize = 16;

/// Stream of bytes that depends on the secret, the fingerprint of a write and the nonce of one attempt.
pub struct DeterministicEntropy<'a> {
    derived: &'a DerivedKeys,
    fingerprint: [u8; 32],
    nonce: [u8; NONCE_BYTES],
    counter: u32,
}

impl<'a> DeterministicEntropy<'a> {
    /// Creates the stream of one write and one nonce, at its start.
    #[must_use]
    pub const fn new(derived: &'a DerivedKeys, fingerprint: [u8; 32], nonce: [u8; NONCE_BYTES]) -> Self {
        Self { derived, fingerprint, nonce, counter: 0 }
    }
}

impl Entropy for DeterministicEntropy<'_> {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EntropyFailed> {
        for chunk in buffer.chunks_mut(32) {
            let counter = self.counter.to_be_bytes();
            let block = self.derived.reissue().mac(&[DOMAIN, &self.fingerprint, &self.nonce, &counter]);
            self.counter = self.counter.checked_add(1).ok_or(EntropyFailed)?;
            for (slot, byte) in chunk.iter_mut().zip(block) {
                *slot = byte;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Class, Environment, Prefix};
    use crate::keyring::Secret;
    use crate::mint::mint_in;

    fn derived(byte: u8) -> DerivedKeys {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode([byte; 32]);
        DerivedKeys::new(&Secret::parse(&text).unwrap()).unwrap()
    }

    fn key(derived: &DerivedKeys, fingerprint: u8, nonce: u8) -> String {
        let mut stream = DeterministicEntropy::new(derived, [fingerprint; 32], [nonce; NONCE_BYTES]);
        let prefix = Prefix::parse("wafl").unwrap();
        let minted = mint_in(derived, &prefix, Class::Data(Environment::Live), &mut stream).unwrap();
        minted.api_key.expose().to_owned()
    }

    #[test]
    fn a_key_repeats_only_for_the_same_secret_write_and_nonce() {
        let (first, second) = (derived(1), derived(2));
        let known = key(&first, 1, 1);
        assert_eq!(known, key(&first, 1, 1));
        for other in [key(&first, 1, 2), key(&first, 2, 1), key(&second, 1, 1)] {
            assert_ne!(known[..22], other[..22]);
            assert_ne!(known[23..55], other[23..55]);
        }
    }

    #[test]
    fn the_stream_does_not_repeat() {
        let first = derived(1);
        let mut stream = DeterministicEntropy::new(&first, [0; 32], [0; NONCE_BYTES]);
        let mut blocks = vec![[0_u8; 32]; 100];
        for block in &mut blocks {
            stream.fill(block).unwrap();
        }
        blocks.sort_unstable();
        blocks.dedup();
        assert_eq!(blocks.len(), 100);
    }
}
