//! Base62 of the key format: digits `0-9A-Za-z`, most significant first, fixed width.

/// The digits, in the order of their values.
pub const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Whether `text` consists of base62 digits only.
#[must_use]
pub fn is_base62(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Writes `number` modulo 62^N in `N` digits, padded with `0`.
#[must_use]
pub fn encode<const N: usize>(mut number: u64) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET.get(usize::try_from(number % 62).unwrap_or(0)).copied().unwrap_or(b'0');
        number /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_most_significant_first_and_padded() {
        assert_eq!(&encode::<6>(0), b"000000");
        assert_eq!(&encode::<6>(61), b"00000z");
        assert_eq!(&encode::<6>(62), b"000010");
        assert_eq!(&encode::<6>(u64::from(u32::MAX)), b"4gfFC3");
    }
}
