//! The port to a random source. It is a parameter, so that tests can expect literal keys.

use super::base62::ALPHABET;

/// The random source failed. Nothing may be minted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntropyFailed;

/// A source of uniformly random bytes.
pub trait Entropy {
    /// Fills `buffer` with random bytes.
    ///
    /// # Errors
    /// [`EntropyFailed`] if the source fails. The content of `buffer` must then not be used.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EntropyFailed>;
}

/// Returns `length` uniformly distributed base62 digits. Bytes from 248 are discarded, because 256 is not a multiple of 62.
///
/// # Errors
/// [`EntropyFailed`] if the source fails.
pub fn base62(entropy: &mut impl Entropy, length: usize) -> Result<String, EntropyFailed> {
    let mut text = String::with_capacity(length);
    let mut buffer = [0_u8; 64];
    // A round yields about 62 digits. A source that yields too few in this many rounds is broken.
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
    fn bytes_that_would_bias_the_digits_are_discarded() {
        let mut source = Bytes(vec![0; 64]);
        source.0.extend([255, 248, 247, 62, 61, 0].iter().rev());
        source.0.drain(0..6);
        assert_eq!(base62(&mut source, 4).unwrap(), "z0z0");
    }

    #[test]
    fn a_failing_source_yields_no_digits() {
        assert_eq!(base62(&mut Bytes(Vec::new()), 4), Err(EntropyFailed));
        assert_eq!(base62(&mut Bytes(vec![255; 10_000]), 4), Err(EntropyFailed));
    }
}
