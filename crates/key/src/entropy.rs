//! Where randomness comes from: a parameter, so that a test can show the literal key.

use super::base62::ALPHABET;

/// The system's entropy failed. Nothing may be minted then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntropyFailed;

/// A source of uniformly random bytes.
pub trait Entropy {
    /// Fills `buffer`, or fails without a partial result worth using.
    ///
    /// # Errors
    /// [`EntropyFailed`] when the system has none to give.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EntropyFailed>;
}

/// `length` base62 digits, each uniform: a byte of 248 or more is thrown away, since 256 is no multiple of 62.
///
/// # Errors
/// [`EntropyFailed`] when the source fails.
pub fn base62(entropy: &mut impl Entropy, length: usize) -> Result<String, EntropyFailed> {
    let mut text = String::with_capacity(length);
    let mut buffer = [0_u8; 64];
    // Each round gives about 62 digits; a source that still has too few after so many is broken.
    for _ in 0..length.max(8) {
        if text.len() >= length {
            return Ok(text);
        }
        entropy.fill(&mut buffer)?;
        let digits = buffer.iter().filter(|byte| **byte < 248).filter_map(|byte| ALPHABET.get(usize::from(byte % 62)));
        for digit in digits {
            if text.len() < length {
                text.push(char::from(*digit));
            }
        }
    }
    if text.len() >= length { Ok(text) } else { Err(EntropyFailed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bytes(Vec<u8>);

    impl Entropy for Bytes {
        fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EntropyFailed> {
            for slot in buffer {
                *slot = self.0.pop().ok_or(EntropyFailed)?;
            }
            Ok(())
        }
    }

    #[test]
    fn bytes_that_would_favour_some_digits_are_thrown_away() {
        let mut source = Bytes(vec![0; 64]);
        source.0.extend([255, 248, 247, 62, 61, 0].iter().rev());
        source.0.drain(0..6);
        assert_eq!(base62(&mut source, 4).unwrap(), "z0z0");
    }

    #[test]
    fn a_source_that_fails_mints_nothing() {
        assert_eq!(base62(&mut Bytes(Vec::new()), 4), Err(EntropyFailed));
        assert_eq!(base62(&mut Bytes(vec![255; 10_000]), 4), Err(EntropyFailed));
    }
}
