//! The system's entropy, and request ids made from it.

use keyward_key::entropy::{Entropy, EntropyFailed, base62};

/// `crypto.getRandomValues`.
pub struct System;

impl Entropy for System {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EntropyFailed> {
        getrandom::fill(buffer).map_err(|_| EntropyFailed)
    }
}

/// Random bytes fetched at a time: one crossing for about 60 request ids.
const POOL: usize = 4096;

/// Makes request ids. They need not be secret, only different, so their entropy is drawn ahead.
pub struct RequestIds {
    pool: Vec<u8>,
}

impl RequestIds {
    pub const fn new() -> Self {
        Self { pool: Vec::new() }
    }

    /// A new id: 16 base62 characters, 95 bits. Empty only if the system has no entropy at all.
    pub fn next(&mut self) -> String {
        base62(self, 16).unwrap_or_default()
    }
}

impl Entropy for RequestIds {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EntropyFailed> {
        if self.pool.len() < buffer.len() {
            self.pool.resize(POOL.max(buffer.len()), 0);
            System.fill(&mut self.pool)?;
        }
        let rest = self.pool.split_off(self.pool.len().saturating_sub(buffer.len()));
        for (slot, byte) in buffer.iter_mut().zip(rest) {
            *slot = byte;
        }
        Ok(())
    }
}
