//! Conversion of ECDSA signatures from DER (RFC 3279, section 2.2.3), as GitHub sends them, to the form that WebCrypto verifies.

/// Length of each of the two integers of a P-256 signature, in bytes.
const INTEGER_BYTES: usize = 32;

/// Converts `SEQUENCE { r INTEGER, s INTEGER }` into `r ‖ s`, each padded to 32 bytes. Integers may be shorter than 32 bytes, or have 33 with
/// a leading zero. `None` if the text is not exactly that.
pub(super) fn raw_signature(der: &[u8]) -> Option<[u8; 64]> {
    let (sequence, rest) = element(0x30, der)?;
    let (r, after_r) = integer(sequence)?;
    let (s, after_s) = integer(after_r)?;
    if !rest.is_empty() || !after_s.is_empty() {
        return None;
    }
    let mut raw = [0; 64];
    let (first, second) = raw.split_at_mut_checked(INTEGER_BYTES)?;
    first.copy_from_slice(&r);
    second.copy_from_slice(&s);
    Some(raw)
}

/// Reads an element with this tag and a length under 128, and returns its content and the bytes after it.
fn element(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let ([found, length], rest) = bytes.split_first_chunk::<2>()?;
    (*found == tag && *length < 0x80).then(|| rest.split_at_checked(usize::from(*length))).flatten()
}

/// Reads a positive integer in its shortest form, padded to 32 bytes.
fn integer(bytes: &[u8]) -> Option<([u8; INTEGER_BYTES], &[u8])> {
    let (content, rest) = element(0x02, bytes)?;
    let magnitude = match content {
        [] => return None,
        // A zero precedes only a byte that would make the integer negative.
        [0, next, ..] if *next >= 0x80 => content.get(1..)?,
        [0, ..] | [0x80..=0xff, ..] => return None,
        _ => content,
    };
    let mut padded = [0; INTEGER_BYTES];
    let start = INTEGER_BYTES.checked_sub(magnitude.len())?;
    padded.get_mut(start..)?.copy_from_slice(magnitude);
    Some((padded, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes an integer in DER.
    fn der_integer(magnitude: &[u8]) -> Vec<u8> {
        let mut content = magnitude.to_vec();
        if content[0] >= 0x80 {
            content.insert(0, 0);
        }
        [&[0x02, u8::try_from(content.len()).unwrap()], content.as_slice()].concat()
    }

    fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
        let content = [der_integer(r), der_integer(s)].concat();
        [&[0x30, u8::try_from(content.len()).unwrap()], content.as_slice()].concat()
    }

    #[test]
    fn integers_of_every_length_are_padded() {
        for r_length in 1..=32 {
            for s_length in 1..=32 {
                for first in [1, 0x7f, 0x80, 0xff] {
                    let (mut r, mut s) = (vec![7; r_length], vec![9; s_length]);
                    (r[0], s[0]) = (first, first);
                    let raw = raw_signature(&der(&r, &s)).unwrap();
                    let padded = |bytes: &[u8]| [vec![0; 32 - bytes.len()], bytes.to_vec()].concat();
                    assert_eq!(raw.as_slice(), [padded(&r), padded(&s)].concat());
                }
            }
        }
    }

    #[test]
    fn any_other_text_is_no_signature() {
        let good = der(&[0x81; 32], &[1; 31]);
        assert!(raw_signature(&good).is_some());
        for at in 0..good.len() {
            assert_eq!(raw_signature(&good[..at]), None, "cut at {at}");
        }
        let changed = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            bytes
        };
        for wrong in [
            vec![],
            [good.clone(), vec![0]].concat(),
            changed(0, 0x31),
            changed(1, 0x80),
            changed(1, 0x81),
            changed(2, 0x03),
            changed(3, 0),
            changed(3, 34),
            // A negative integer, a needless zero, an integer of 33 bytes.
            changed(4, 0x80),
            der_sequence(&[0x02, 0x02, 0x00, 0x01], &[0x02, 0x01, 0x01]),
            der(&[1; 33], &[1]),
            der_sequence(&[0x02, 0x00], &[0x02, 0x01, 0x01]),
        ] {
            assert_eq!(raw_signature(&wrong), None, "{wrong:02x?}");
        }
    }

    fn der_sequence(one: &[u8], other: &[u8]) -> Vec<u8> {
        [&[0x30, u8::try_from(one.len() + other.len()).unwrap()], one, other].concat()
    }
}
