//! The system's entropy and the request ids made from it.

use keyward_key::entropy::{Entropy, EntropyFailed, base62};

/// `crypto.getRandomValues`.
pub struct System;

impl Entropy for System {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EntropyFailed> {
        getrandom::fill(buffer).map_err(|_| EntropyFailed)
    }
}

/// Random bytes fetched in one crossing, enough for about 60 request ids.
const POOL_BYTES: usize = 4096;

/// Makes request ids. They must be unique but not secret, so their entropy is drawn ahead.
pub struct RequestIds {
    pool: Vec<u8>,
}

impl RequestIds {
    pub const fn new() -> Self {
        Self { pool: Vec::new() }
    }

    /// Returns a new id of 16 base62 characters, 95 bits; empty only if the system has no entropy.
    pub fn next(&mut self) -> String {
        base62(self, 16).unwrap_or_default()
    }
}

impl Entropy for RequestIds {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EntropyFailed> {
        if self.pool.len() < buffer.len() {
            self.pool.resize(POOL_BYTES.max(buffer.len()), 0);
            System.fill(&mut self.pool)?;
        }
        let rest = self.pool.split_off(self.pool.len().saturating_sub(buffer.len()));
        for (slot, byte) in buffer.iter_mut().zip(rest) {
            *slot = byte;
        }
        Ok(())
    }
}
